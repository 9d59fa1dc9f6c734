//! Messages on their way into a mailbox: packed, written if they are long, planned and committed.
//!
//! A message delivered to several accounts is a head of each and a rest that is stored with the
//! first that is committed; the others name it (docs/decisions/0007).

use std::{any::Any, sync::Arc};

use mail::{
    date::DateTime,
    flag::Flags,
    id::{BodyId, ThreadId, Uid},
    set::UidSet,
};
use tokio::sync::OnceCell;

use super::{
    account::EmbeddedAccount,
    blocking,
    body::Packed,
    cache::Cell,
    compact::Pin,
    core::Core,
    planner::{Draft, Joined, Looked, Planned},
    record::{BodyData, BodyRecord, Record},
    upload::{Content, EmbeddedUpload, Reservation},
};
use crate::{
    contract::{Appended, Delivery, NewMessage, Shared, Static, Upload, Usage, first_thread},
    error::{Error, Result},
    rules::{
        Context,
        messages::{Added, append, push_gone},
        quota,
        threads::{ThreadKey, keys},
    },
};

/// How often a large message is written again because a commit failed meanwhile.
const EPOCH_TRIES: usize = 3;
/// A message up to this long is compressed at once, a longer one on a thread for such work.
const PACK_HERE_BYTES: usize = 64 << 10;

/// A message that is whole.
pub(crate) struct Incoming {
    /// Stored with it, and each to be named by another: the rest of its own body, if it is new.
    carried: Option<NewBody>,
    body: NewBody,
    /// By which its conversation is found.
    keys: Vec<ThreadKey>,
    flags: Flags,
    internal_date: Option<DateTime>,
    reservation: Option<Reservation>,
}

/// A message that goes as others come (RFC 8508).
#[derive(Clone, Copy)]
pub(crate) struct Replaced<'a> {
    pub(crate) mailbox: &'a Cell,
    pub(crate) uid: Uid,
}

/// A body to store.
#[derive(Clone)]
struct NewBody {
    id: BodyId,
    size: u64,
    digest: [u8; 32],
    data: Data,
    rest: Option<BodyId>,
    fixed: Arc<Static>,
}

/// A body's bytes as they go to the log.
#[derive(Clone)]
enum Data {
    /// With the transaction.
    Packed(Packed),
    /// Before it, from a spool.
    Spooled(Content),
}

/// The rest that bodies of several accounts share.
pub(crate) struct Rest {
    size: u64,
    digest: [u8; 32],
    data: Data,
    /// Its body, once one of those accounts has it durably. It stays as long as this is there, also
    /// if that account loses it before the next one has it.
    stored: OnceCell<(BodyId, Pin)>,
}

impl Shared for Rest {
    fn len(&self) -> u64 {
        self.size
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Rest {
    /// What was uploaded, of which the first bytes are a header's.
    pub(crate) async fn new(
        upload: Box<dyn Upload>,
        header_bytes: u64,
        level: i32,
    ) -> Result<Self> {
        let mut upload = own(upload)?;
        Ok(Self {
            size: upload.len(),
            digest: upload.digest(),
            data: pack(upload.content().await?, header_bytes, level).await?,
            stored: OnceCell::new(),
        })
    }

    fn body(&self, id: BodyId) -> NewBody {
        NewBody {
            id,
            size: self.size,
            digest: self.digest,
            data: self.data.clone(),
            rest: None,
            fixed: Arc::default(),
        }
    }
}

/// Bodies that were written before the transaction that will name them; given up if it does not
/// come.
struct Written {
    core: Arc<Core>,
    epoch: u64,
    bodies: Vec<BodyId>,
}

impl Drop for Written {
    fn drop(&mut self) {
        for id in self.bodies.drain(..) {
            self.core.drop_body(id);
        }
    }
}

fn own(upload: Box<dyn Upload>) -> Result<EmbeddedUpload> {
    let upload = upload.into_any().downcast::<EmbeddedUpload>();
    upload
        .map(|upload| *upload)
        .map_err(|_| Error::Cannot("an upload of another engine"))
}

/// Compresses a short message before anything waits for it.
async fn pack(content: Content, header_bytes: u64, level: i32) -> Result<Data> {
    Ok(match content {
        Content::Spooled(..) => Data::Spooled(content),
        Content::Inline(bytes) if bytes.len() <= PACK_HERE_BYTES => {
            Data::Packed(Packed::new(&[bytes], header_bytes, level))
        }
        Content::Inline(bytes) => {
            let pack = move || Ok(Packed::new(&[bytes], header_bytes, level));
            Data::Packed(blocking(pack).await?)
        }
    })
}

impl EmbeddedAccount {
    /// Uploads as what they are, each with an id.
    pub(crate) async fn receive(&self, messages: Vec<NewMessage>) -> Result<Vec<Incoming>> {
        let mut incoming = Vec::with_capacity(messages.len());
        let level = self.engine.compression_level();
        for message in messages {
            let mut upload = own(message.upload)?;
            let content = upload.content().await?;
            let body = NewBody {
                id: self.engine.body_id()?,
                size: upload.len(),
                digest: upload.digest(),
                data: pack(content, message.fixed.header_bytes, level).await?,
                rest: None,
                fixed: Arc::new(message.fixed),
            };
            incoming.push(Incoming {
                carried: None,
                keys: keys(&body.fixed),
                body,
                flags: message.flags,
                internal_date: message.internal_date,
                reservation: upload.into_reservation(),
            });
        }
        Ok(incoming)
    }

    /// Adds messages to a mailbox, all or none, and with them removes what they replace.
    pub(crate) async fn add(
        &self,
        to: &Cell,
        incoming: &mut [Incoming],
        replaced: Option<Replaced<'_>>,
    ) -> Result<Appended> {
        let keys = incoming.iter().flat_map(|message| &message.keys);
        let keys: Vec<ThreadKey> = keys.copied().collect();
        for _ in 0..EPOCH_TRIES {
            let epoch = self.engine.parts.core.epoch();
            let mut written = self.write_bodies(epoch, incoming).await?;
            let looked = self.planner.look_up(keys.clone()).await?;
            let context = self.context();
            let arriving = (&mut written, incoming as &mut [Incoming], &looked);
            let plan = |planned: &mut Planned| plan(&context, planned, (to, replaced), arriving);
            let appended = self.planner.commit(&self.stamp(&context), plan).await?;
            if let Some(appended) = appended {
                return Ok(appended);
            }
        }
        Err(Error::Unavailable("commits keep failing".into()))
    }

    /// Adds a message whose rest others may have too. The first carries it; others wait until that
    /// is durable, and if it fails the next one carries it.
    pub(crate) async fn add_delivery(&self, to: &Cell, message: Delivery) -> Result<Appended> {
        let rest = Arc::clone(&message.rest).into_any().downcast::<Rest>();
        let rest = rest.map_err(|_| Error::Cannot("a message of another engine"))?;
        let mut incoming = self.headed(message)?;
        let mut appended = None;
        let stored = rest.stored.get_or_try_init(async || {
            let id = self.engine.body_id()?;
            incoming.carried = Some(rest.body(id));
            incoming.body.rest = Some(id);
            let pin = self.engine.parts.core.pin(id);
            let only = std::slice::from_mut(&mut incoming);
            appended = Some(self.add(to, only, None).await?);
            Ok::<_, Error>((id, pin))
        });
        let stored = stored.await?.0;
        if let Some(appended) = appended {
            return Ok(appended);
        }
        incoming.body.rest = Some(stored);
        self.add(to, &mut [incoming], None).await
    }

    /// The head of a delivery.
    fn headed(&self, message: Delivery) -> Result<Incoming> {
        let (head, level) = (message.head, self.engine.compression_level());
        let header_bytes = head.len() as u64;
        let size = message.rest.len().saturating_add(header_bytes);
        if size > self.engine.message_bytes_max() {
            return Err(Error::Limit("size of a message"));
        }
        // Asked before a long rest is written for nothing.
        let mut reservation = Reservation::new(Arc::clone(&self.planner));
        reservation.add(Usage {
            bytes: size,
            messages: 1,
        })?;
        Ok(Incoming {
            carried: None,
            keys: keys(&message.fixed),
            body: NewBody {
                id: self.engine.body_id()?,
                size,
                digest: *blake3::hash(&head).as_bytes(),
                data: Data::Packed(Packed::new(&[head], header_bytes, level)),
                rest: None,
                fixed: Arc::new(message.fixed),
            },
            flags: message.flags,
            internal_date: message.internal_date,
            reservation: Some(reservation),
        })
    }

    /// Writes the bodies that are too long for a transaction. They count with the transaction that
    /// refers to them, if it is of the same epoch.
    async fn write_bodies(&self, epoch: u64, incoming: &[Incoming]) -> Result<Written> {
        let mut written = Written {
            core: Arc::clone(&self.engine.parts.core),
            epoch,
            bodies: Vec::new(),
        };
        for body in incoming.iter().flat_map(Incoming::bodies) {
            if let Data::Spooled(content) = &body.data {
                let core = Arc::clone(&self.engine.parts.core);
                let (id, content) = (body.id, content.clone());
                written.bodies.push(id);
                blocking(move || core.body_frames(epoch, id, &mut content.pieces())).await?;
            }
        }
        Ok(written)
    }
}

/// Plans an APPEND or a REPLACE; `None` if the bodies were written in an epoch that is over, or what
/// was looked up of their conversations is out of date.
fn plan(
    context: &Context,
    planned: &mut Planned,
    (to, replaced): (&Cell, Option<Replaced<'_>>),
    (written, incoming, looked): (&mut Written, &mut [Incoming], &Looked),
) -> Result<(Draft, Option<Appended>)> {
    let is_over = !written.bodies.is_empty() && planned.epoch() != written.epoch;
    if is_over || !planned.threads.complete(looked) {
        return Ok((Draft::nothing(planned), None));
    }
    for reservation in incoming.iter_mut().filter_map(|m| m.reservation.as_mut()) {
        planned.reserved = quota::subtract(planned.reserved, reservation.take());
    }
    let more = incoming.iter().fold(Usage::default(), |sum, message| {
        quota::add(sum, message.usage())
    });
    let less = replaced.map_or(Ok(Usage::default()), |it| it.usage(planned))?;
    planned.fits(quota::subtract(more, less))?;
    let state = Arc::clone(planned.mailbox(to.id)?);
    let mut joined = planned.threads.join(looked);
    let added: Vec<Added> = incoming
        .iter()
        .map(|message| message.added(&mut joined, context.now_secs))
        .collect();
    let joined = joined.finish();
    let (mut change, uids) = append(context, &state, &added)?;
    if let Some(Replaced { mailbox, uid }) = replaced {
        let gone = UidSet::range(uid, uid);
        push_gone(context, planned.mailbox(mailbox.id)?, &gone, &mut change)?;
    }
    planned.keep_threads(joined);
    let bodies = incoming.iter().flat_map(Incoming::bodies);
    change
        .records
        .splice(0..0, bodies.map(|body| Record::Body(body.record())));
    let usage = quota::add(quota::subtract(planned.usage, less), more);
    // From here on the transaction answers for them.
    written.bodies.clear();
    let appended = Appended {
        uid_validity: state.summary.uid_validity,
        uids,
    };
    Ok((
        Draft::messages(planned, Some(change), usage),
        Some(appended),
    ))
}

impl Replaced<'_> {
    /// What it uses, if it is there.
    pub(crate) fn usage(self, planned: &Planned) -> Result<Usage> {
        let row = planned.mailbox(self.mailbox.id)?.row(self.uid);
        let row = row.ok_or(Error::Expunged)?;
        Ok(Usage {
            bytes: u64::from(row.size),
            messages: 1,
        })
    }
}

impl Incoming {
    /// What it stores, a rest before the body that names it.
    fn bodies(&self) -> impl Iterator<Item = &NewBody> {
        self.carried.iter().chain([&self.body])
    }

    fn usage(&self) -> Usage {
        Usage {
            bytes: self.body.size,
            messages: 1,
        }
    }

    fn added(&self, joined: &mut Joined<'_>, now_secs: i64) -> Added {
        let new = first_thread(self.body.id).unwrap_or(ThreadId::MIN);
        Added {
            body: self.body.id,
            thread: joined.of(&self.keys, new),
            size: u32::try_from(self.body.size).unwrap_or(u32::MAX),
            internal_date: self.internal_date.unwrap_or(DateTime {
                secs: now_secs,
                offset_minutes: 0,
            }),
            flags: self.flags.clone(),
        }
    }
}

impl NewBody {
    fn record(&self) -> BodyRecord {
        BodyRecord {
            id: self.id,
            size: self.size,
            digest: self.digest,
            data: match &self.data {
                Data::Packed(packed) => BodyData::Packed(packed.clone()),
                Data::Spooled(_) => BodyData::Before,
            },
            rest: self.rest,
            fixed: Arc::clone(&self.fixed),
        }
    }
}
