//! `relate-imap log`: who did what to which messages, as the store's log remembers it.

use mail::{
    date::{Civil, Date, DateTime},
    flag::Flags,
    id::Uid,
    set::UidSet,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    Store,
    history::{Deed, HistoryEnd, HistoryQuery, Past},
};
use tokio::sync::mpsc;

use super::{failed, find, mailbox_name, moment, print::visible};
use crate::{cli::DeedKind, config::Setting, problem::Problem};

/// Entries that are read ahead of whoever reads them.
const AHEAD: usize = 64;
/// How far back `--since 7d` may reach, milliseconds: a hundred years.
const SINCE_MILLIS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;
/// UIDs of one entry shown to people, characters.
const UIDS_CHARS_MAX: usize = 60;

/// What of the past is asked for.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// The name or an alias of the account.
    pub account: Option<String>,
    /// The mailbox.
    pub mailbox: Option<String>,
    /// A message's UID in it.
    pub uid: Option<u32>,
    /// A message's Message-ID.
    pub message_id: Option<String>,
    /// From when on, seconds since 1970.
    pub since_secs: Option<i64>,
    /// What kinds of deeds; none means all.
    pub kinds: Vec<DeedKind>,
}

/// Who takes what is told, an entry at a time.
pub trait Listener {
    /// Takes one; `false` if nobody listens any more.
    fn take(&mut self, item: Value) -> impl Future<Output = bool> + Send;
}

/// Tells the past, oldest first; then how far it could be told.
///
/// # Errors
/// What is asked for does not exist, or the log cannot be read.
pub async fn tell(
    store: &dyn Store,
    request: LogRequest,
    listener: &mut (impl Listener + Send),
) -> Result<Value, Problem> {
    let query = query(store, &request)?;
    let (to, mut told) = mpsc::channel(AHEAD);
    let taking = async {
        while let Some(past) = told.recv().await {
            if let Some(item) = shown(&past, &request.kinds)
                && !listener.take(item).await
            {
                break;
            }
        }
        // Who reads the log then ends.
        drop(told);
    };
    let (end, ()) = tokio::join!(store.history(query, to), taking);
    let HistoryEnd {
        begins_secs,
        missing,
    } = end.map_err(|error| failed(&error, "the log"))?;
    Ok(json!({ "begins": begins_secs.map(moment), "missing": missing }))
}

fn query(store: &dyn Store, request: &LogRequest) -> Result<HistoryQuery, Problem> {
    let account = match &request.account {
        Some(name) => Some(find(store, name)?.id),
        None => None,
    };
    let mailbox = match &request.mailbox {
        Some(name) => Some(mailbox_name(name)?.key()),
        None => None,
    };
    let message_id = request.message_id.as_deref().map(|id| {
        let id = id.trim();
        let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
        inner.unwrap_or(id).into()
    });
    Ok(HistoryQuery {
        account,
        mailbox,
        uid: request.uid.and_then(Uid::new),
        message_id,
        since_secs: request.since_secs,
    })
}

/// An entry, if its kind is asked for.
fn shown(past: &Past, kinds: &[DeedKind]) -> Option<Value> {
    let origin = Origin::read(&past.origin);
    let kind = kind(&past.deed, origin.protocol);
    if !kinds.is_empty() && !kinds.contains(&kind) {
        return None;
    }
    let mut entry = json!({
        "time": moment(past.time_secs),
        "account": &*past.account,
        "kind": kind,
        "protocol": origin.protocol,
        "address": origin.address,
        "session": origin.session,
        "client": origin.client,
    });
    if let (Some(entry), Value::Object(details)) = (entry.as_object_mut(), details(&past.deed)) {
        entry.extend(details);
    }
    Some(entry)
}

fn kind(deed: &Deed, protocol: &str) -> DeedKind {
    match deed {
        Deed::AccountSet | Deed::AccountRemoved => DeedKind::Account,
        Deed::MailboxCreated { .. } | Deed::MailboxRenamed { .. } | Deed::MailboxDeleted { .. } => {
            DeedKind::Mailbox
        }
        Deed::Subscribed { .. } | Deed::Unsubscribed { .. } => DeedKind::Subscription,
        Deed::Added { .. } if protocol == "imap" => DeedKind::Appended,
        Deed::Added { .. } => DeedKind::Delivered,
        Deed::Copied { .. } => DeedKind::Copied,
        Deed::Moved { .. } => DeedKind::Moved,
        Deed::Flagged { .. } => DeedKind::Flagged,
        Deed::Expunged { .. } => DeedKind::Deleted,
    }
}

fn details(deed: &Deed) -> Value {
    match deed {
        Deed::AccountSet => json!({ "did": "set" }),
        Deed::AccountRemoved => json!({ "did": "removed" }),
        Deed::MailboxCreated { mailbox } => json!({ "did": "created", "mailbox": &**mailbox }),
        Deed::MailboxRenamed { mailbox, to } => {
            json!({ "did": "renamed", "mailbox": &**mailbox, "to": &**to })
        }
        Deed::MailboxDeleted { mailbox } => json!({ "did": "removed", "mailbox": &**mailbox }),
        Deed::Subscribed { mailbox } => json!({ "did": "subscribed", "mailbox": &**mailbox }),
        Deed::Unsubscribed { mailbox } => json!({ "did": "unsubscribed", "mailbox": &**mailbox }),
        Deed::Added {
            mailbox,
            uids,
            message_id,
        } => json!({
            "mailbox": &**mailbox, "uids": uids.to_string(), "messages": uids.count(),
            "message_id": message_id,
        }),
        Deed::Copied { mailbox, uids } | Deed::Expunged { mailbox, uids } => {
            messages(mailbox, uids)
        }
        Deed::Moved {
            mailbox,
            uids,
            to,
            to_uids,
        } => json!({
            "mailbox": &**mailbox, "uids": uids.to_string(), "messages": uids.count(),
            "to": &**to, "to_uids": to_uids.to_string(),
        }),
        Deed::Flagged {
            mailbox,
            uids,
            flags,
        } => json!({
            "mailbox": &**mailbox, "uids": uids.to_string(), "messages": uids.count(),
            "flags": names(flags),
        }),
    }
}

fn messages(mailbox: &str, uids: &UidSet) -> Value {
    json!({ "mailbox": mailbox, "uids": uids.to_string(), "messages": uids.count() })
}

fn names(flags: &Flags) -> Vec<String> {
    let keywords = flags.keywords().iter().map(ToString::to_string);
    let system = flags.system.names().map(str::to_owned);
    system.chain(keywords).collect()
}

/// Who did something, taken apart: `imap 192.0.2.7:51234 #17 Thunderbird 128`.
#[derive(PartialEq, Eq, Debug)]
struct Origin<'a> {
    protocol: &'a str,
    address: Option<&'a str>,
    session: Option<u64>,
    client: Option<&'a str>,
}

impl<'a> Origin<'a> {
    fn read(text: &'a str) -> Self {
        let (protocol, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (address, rest) = rest.split_once(" #").unwrap_or((rest, ""));
        let (session, client) = rest.split_once(' ').unwrap_or((rest, ""));
        let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            protocol,
            address: some(address),
            session: session.parse().ok(),
            client: some(client),
        }
    }
}

/// An entry as a line for people.
#[must_use]
pub fn line(entry: &Value) -> String {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(visible);
    let list = |key: &str| {
        let items = entry.get(key).and_then(Value::as_array)?;
        let words: Vec<String> = items
            .iter()
            .filter_map(Value::as_str)
            .map(visible)
            .collect();
        Some(words.join(" "))
    };
    let place = |mailbox: &str, uids: &str| {
        let name = text(mailbox)?;
        Some(match text(uids) {
            Some(uids) => format!("{name} {}", shortened(&uids)),
            None => name,
        })
    };
    let session = entry.get("session").and_then(Value::as_u64);
    let mut words: Vec<String> = ["time", "account", "kind", "did"]
        .into_iter()
        .filter_map(text)
        .collect();
    words.extend(place("mailbox", "uids"));
    words.extend(place("to", "to_uids").map(|to| format!("-> {to}")));
    words.extend(list("flags").map(|flags| format!("({flags})")));
    words.extend(text("message_id").map(|id| format!("<{id}>")));
    words.extend(text("protocol").map(|protocol| format!("by {protocol}")));
    words.extend(text("address"));
    words.extend(session.map(|session| format!("#{session}")));
    words.extend(text("client").map(|client| format!("\"{client}\"")));
    format!("{}\n", words.join("  "))
}

fn shortened(uids: &str) -> String {
    match uids.char_indices().nth(UIDS_CHARS_MAX) {
        Some((at, _)) => format!("{}…", uids.get(..at).unwrap_or_default()),
        None => uids.to_owned(),
    }
}

/// What the log could not tell, as warnings.
#[must_use]
pub fn gaps(end: &Value) -> Vec<Problem> {
    let missing = end.get("missing").and_then(Value::as_array);
    let lines = missing.into_iter().flatten().filter_map(Value::as_str);
    let problem = |line| {
        let next =
            "what was done there is not shown; `relate-imap check` says what else it concerns";
        Problem::new("a part of the log cannot be read", line, next)
    };
    lines.map(problem).collect()
}

/// The moment of `--since`: a date, a date and time in UTC, or how long before `now_secs`.
///
/// # Errors
/// It is none of these.
pub fn since(text: &str, now_secs: i64) -> Result<i64, String> {
    if let Some(secs) = date_time(text) {
        return Ok(secs);
    }
    let ago = <std::time::Duration as Setting>::parse(text, &(0..=SINCE_MILLIS_MAX));
    match ago {
        Ok(ago) => Ok(now_secs.saturating_sub(i64::try_from(ago.as_secs()).unwrap_or(i64::MAX))),
        Err(_) => Err(
            "give a date as 2026-11-28, a time in UTC as 2026-11-28T09:30:00Z, or how \
                       long ago as 90m, 12h or 7d"
                .to_owned(),
        ),
    }
}

fn date_time(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.strip_suffix('Z').unwrap_or(time)),
        None => (text, "00:00:00"),
    };
    let mut fields = date.split('-');
    let date = Date::new(
        fields.next()?.parse().ok()?,
        fields.next()?.parse().ok()?,
        fields.next()?.parse().ok()?,
    )?;
    let mut times = time.split(':').map(str::parse::<u8>);
    let (hour, minute) = (times.next()?.ok()?, times.next()?.ok()?);
    let second = times.next().unwrap_or(Ok(0)).ok()?;
    let is_it = fields.next().is_none() && times.next().is_none();
    let civil = Civil {
        date,
        hour,
        minute,
        second,
    };
    (is_it && hour < 24 && minute < 60 && second < 60).then(|| DateTime::from_civil(civil, 0).secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_apart() {
        for (text, protocol, address, session, client) in [
            (
                "imap 192.0.2.7:51 #17 Mail #5",
                "imap",
                Some("192.0.2.7:51"),
                Some(17),
                Some("Mail #5"),
            ),
            ("imap local #1", "imap", Some("local"), Some(1), None),
            (
                "lmtp [2001:db8::1]:9 #2",
                "lmtp",
                Some("[2001:db8::1]:9"),
                Some(2),
                None,
            ),
            ("admin", "admin", None, None, None),
            ("", "", None, None, None),
        ] {
            let expected = Origin {
                protocol,
                address,
                session,
                client,
            };
            assert_eq!(Origin::read(text), expected, "{text}");
        }
    }

    #[test]
    fn moments_are_dates_times_or_so_long_ago() {
        for (text, expected) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-01T00:01:00Z", Some(60)),
            ("1970-01-01 00:01", Some(60)),
            ("90m", Some(1_000_000 - 5_400)),
            ("7d", Some(1_000_000 - 7 * 86_400)),
            ("1970-13-01", None),
            ("1970-01-01T24:00", None),
            ("yesterday", None),
        ] {
            assert_eq!(since(text, 1_000_000).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_a_client_says_cannot_break_a_line() {
        let entry = json!({
            "time": "t", "account": "a", "kind": "deleted", "mailbox": "x\n\u{1b}[2J", "uids": "1",
            "client": "evil\r\nline\u{202e}",
        });
        let line = line(&entry);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains(['\r', '\u{1b}', '\u{202e}']), "{line:?}");
    }
}
