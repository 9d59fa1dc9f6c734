//! The one encoder: every response of the server as bytes (RFC 9051 §7 and §9; RFC 3501 §7 for
//! sessions of IMAP4rev1).
//!
//! It appends to a buffer that the caller owns, so nothing is built twice and the caller decides
//! when to write. What a value holds decides how it is spelled: atom, quoted string, literal or
//! literal8. Not here: which responses may be sent when.

mod code;
mod fetch;
mod mailbox;
mod text;

pub(crate) use self::text::{Quoting, list, nstring, number, string};
pub use self::{
    fetch::{FetchWriter, Pump, PumpForm},
    text::replace_nul,
};

use mail::{
    id::{ModSeq, Uid},
    set::UidSet,
};

use crate::imap::{
    code::Code,
    command::Tag,
    page::{Page, PageEnd},
    response::{
        Completion, Content, ESearch, FetchData, NumberSet, Status, Subject, Untagged, Vanished,
    },
    select::Enableable,
    sequence::Numbers,
};

/// How mailbox names are spelled to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailboxSpelling {
    /// Modified UTF-7 (RFC 3501 §5.1.3).
    ModifiedUtf7,
    /// UTF-8 in NFC, after ENABLE IMAP4rev2 or UTF8=ACCEPT (RFC 9051 §5.1, RFC 9755 §3).
    Utf8,
}

/// The revision a session speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revision {
    /// IMAP4rev1: every session before ENABLE IMAP4rev2.
    Rev1,
    /// IMAP4rev2.
    Rev2,
}

/// What a session wants to be told of changes (RFC 7162). Each includes the ones before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sync {
    /// Flags and EXPUNGE.
    Plain,
    /// Flags with their mod-sequences, after any command that enables CONDSTORE (§3.1).
    CondStore,
    /// VANISHED instead of EXPUNGE, after ENABLE QRESYNC (§3.2.3).
    QResync,
}

/// What a session has enabled, as far as it changes what responses say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// How mailbox names are spelled.
    pub names: MailboxSpelling,
    /// Which revision.
    pub revision: Revision,
    /// How it keeps in step with changes.
    pub sync: Sync,
    /// What it calls messages: by sequence numbers, or by UIDs alone after ENABLE UIDONLY (RFC 9586).
    pub numbers: Numbers,
}

impl Mode {
    /// A session that has enabled nothing.
    pub const REV1: Self = Self {
        names: MailboxSpelling::ModifiedUtf7,
        revision: Revision::Rev1,
        sync: Sync::Plain,
        numbers: Numbers::Seq,
    };
    /// A session of IMAP4rev1 that enabled UTF8=ACCEPT.
    pub const REV1_UTF8: Self = Self {
        names: MailboxSpelling::Utf8,
        revision: Revision::Rev1,
        sync: Sync::Plain,
        numbers: Numbers::Seq,
    };
    /// A session that enabled IMAP4rev2.
    pub const REV2: Self = Self {
        names: MailboxSpelling::Utf8,
        revision: Revision::Rev2,
        sync: Sync::Plain,
        numbers: Numbers::Seq,
    };

    /// The mode after one more ENABLE.
    #[must_use]
    pub fn enabled(self, capability: Enableable) -> Self {
        match capability {
            Enableable::Imap4Rev2 => Self {
                names: MailboxSpelling::Utf8,
                revision: Revision::Rev2,
                ..self
            },
            Enableable::Utf8Accept => Self {
                names: MailboxSpelling::Utf8,
                ..self
            },
            Enableable::CondStore => self.synchronised(Sync::CondStore),
            Enableable::QResync => self.synchronised(Sync::QResync),
            Enableable::UidOnly => Self {
                numbers: Numbers::Uid,
                ..self
            },
        }
    }

    /// The mode with at least this.
    #[must_use]
    pub fn synchronised(self, sync: Sync) -> Self {
        Self {
            sync: self.sync.max(sync),
            ..self
        }
    }

    /// Whether messages that are gone are told of by VANISHED rather than by EXPUNGE (RFC 7162
    /// §3.2.10, RFC 9586 §3.4).
    #[must_use]
    pub fn tells_vanished(self) -> bool {
        self.sync == Sync::QResync || self.numbers == Numbers::Uid
    }

    const fn quoting(self) -> Quoting {
        match self.names {
            MailboxSpelling::ModifiedUtf7 => Quoting::Ascii,
            MailboxSpelling::Utf8 => Quoting::Utf8,
        }
    }
}

/// Writes responses for a session in some mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoder {
    mode: Mode,
}

impl Encoder {
    /// The encoder for a session in this mode.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// Writes the tagged response of a command.
    pub fn tagged(self, out: &mut Vec<u8>, tag: &Tag, completion: &Completion) {
        let is_tag = |b: u8| mail::flag::is_atom_byte(b) && b != b'+' || b == b']';
        // A tag that cannot be one would break the line; such a command is answered untagged.
        if tag.0.is_empty() || !tag.0.bytes().all(is_tag) {
            out.push(b'*');
        } else {
            out.extend_from_slice(tag.0.as_bytes());
        }
        out.push(b' ');
        self.completion(out, completion);
    }

    /// Writes a command continuation request with a text for people.
    pub fn continuation(self, out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(b"+ ");
        text::human(out, text, self.mode.quoting());
        out.extend_from_slice(b"\r\n");
    }

    /// Writes a challenge of AUTHENTICATE (RFC 9051 §6.2.2).
    pub fn challenge(self, out: &mut Vec<u8>, challenge: &[u8]) {
        out.extend_from_slice(b"+ ");
        text::base64(out, challenge);
        out.extend_from_slice(b"\r\n");
    }

    /// Writes one untagged response.
    ///
    /// A FETCH whose content is streamed is written with a [`FetchWriter`] instead; here its place
    /// is taken by NIL, since nobody could pump the bytes.
    pub fn untagged(self, out: &mut Vec<u8>, response: &Untagged) {
        if matches!(response, Untagged::Vanished(_, uids) if uids.is_empty()) {
            return;
        }
        if let Untagged::Fetch(subject, items) = response {
            return whole_fetch(out, *subject, items);
        }
        out.extend_from_slice(b"* ");
        match response {
            Untagged::Status(completion) => return self.completion(out, completion),
            Untagged::PreAuth(code, text) => {
                return self.condition(out, b"PREAUTH ", code.as_ref(), text);
            }
            Untagged::Bye(code, text) => return self.condition(out, b"BYE ", code.as_ref(), text),
            Untagged::Exists(count) => numbered(out, *count, b" EXISTS"),
            Untagged::Recent(count) => numbered(out, *count, b" RECENT"),
            Untagged::Expunge(seq) => numbered(out, seq.get(), b" EXPUNGE"),
            Untagged::Vanished(when, uids) => vanished(out, *when, uids),
            Untagged::Search(numbers, mod_seq) => search(out, numbers, *mod_seq),
            Untagged::ESearch(result) => esearch(out, result),
            Untagged::UidBatches(tag, batches) => uid_batches(out, tag, batches),
            other => self.server_data(out, other),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Responses about the server, mailboxes and flags, without their line end.
    fn server_data(self, out: &mut Vec<u8>, response: &Untagged) {
        match response {
            Untagged::Capability(capabilities) => {
                out.extend_from_slice(b"CAPABILITY ");
                out.extend_from_slice(capabilities.as_bytes());
            }
            Untagged::Enabled(capabilities) => {
                out.extend_from_slice(b"ENABLED");
                for &capability in capabilities {
                    out.push(b' ');
                    out.extend_from_slice(text::name_of(&Enableable::NAMES, capability).as_bytes());
                }
            }
            Untagged::Id(fields) => self.id(out, fields),
            Untagged::List(entry) => {
                out.extend_from_slice(b"LIST ");
                self.list_entry(out, entry);
            }
            Untagged::Lsub(entry) => {
                out.extend_from_slice(b"LSUB ");
                self.list_entry(out, entry);
            }
            Untagged::Namespace => out.extend_from_slice(b"NAMESPACE ((\"\" \"/\")) NIL NIL"),
            Untagged::MailboxStatus(status) => {
                out.extend_from_slice(b"STATUS ");
                self.mailbox_status(out, status);
            }
            Untagged::Xlist(entry) => {
                out.extend_from_slice(b"XLIST ");
                self.list_entry(out, entry);
            }
            Untagged::QuotaRoots(name, roots) => {
                out.extend_from_slice(b"QUOTAROOT ");
                self.quota_roots(out, name, roots);
            }
            Untagged::Quota(root, resources) => {
                out.extend_from_slice(b"QUOTA ");
                mailbox::quota(out, root, resources);
            }
            Untagged::Flags(system, keywords) => {
                out.extend_from_slice(b"FLAGS ");
                mailbox::flag_list(out, *system, keywords, None);
            }
            _ => {}
        }
    }

    /// `ID (…)` or `ID NIL` (RFC 2971 §3.2).
    fn id(self, out: &mut Vec<u8>, fields: &[(&'static str, String)]) {
        out.extend_from_slice(b"ID ");
        if fields.is_empty() {
            return out.extend_from_slice(b"NIL");
        }
        let quoting = self.mode.quoting();
        list(out, fields, |out, (name, value)| {
            string(out, name.as_bytes(), quoting);
            out.push(b' ');
            string(out, value.as_bytes(), quoting);
        });
    }

    fn completion(self, out: &mut Vec<u8>, completion: &Completion) {
        let status: &[u8] = match completion.status {
            Status::Ok => b"OK ",
            Status::No => b"NO ",
            Status::Bad => b"BAD ",
        };
        self.condition(out, status, completion.code.as_ref(), &completion.text);
    }

    fn condition(self, out: &mut Vec<u8>, name: &[u8], code: Option<&Code>, text: &str) {
        out.extend_from_slice(name);
        code::bracketed(out, code);
        text::human(out, text, self.mode.quoting());
        out.extend_from_slice(b"\r\n");
    }
}

fn whole_fetch(out: &mut Vec<u8>, subject: Subject, items: &[FetchData]) {
    let mut writer = FetchWriter::begin(out, subject);
    for item in items {
        let absent = match item {
            FetchData::BodySection(section, Some(Content::Stream(_))) => {
                Some(FetchData::BodySection(section.clone(), None))
            }
            FetchData::Binary(path, partial, Some(Content::Stream(_))) => {
                Some(FetchData::Binary(path.clone(), *partial, None))
            }
            _ => None,
        };
        let _none = writer.item(out, absent.as_ref().unwrap_or(item));
    }
    writer.end(out);
}

fn numbered(out: &mut Vec<u8>, count: u32, name: &[u8]) {
    number(out, u64::from(count));
    out.extend_from_slice(name);
}

fn search(out: &mut Vec<u8>, numbers: &[u32], mod_seq: Option<ModSeq>) {
    out.extend_from_slice(b"SEARCH");
    for &n in numbers {
        out.push(b' ');
        number(out, u64::from(n));
    }
    if let Some(mod_seq) = mod_seq.filter(|_| !numbers.is_empty()) {
        out.extend_from_slice(b" (MODSEQ ");
        number(out, mod_seq.get());
        out.push(b')');
    }
}

fn vanished(out: &mut Vec<u8>, when: Vanished, uids: &UidSet) {
    out.extend_from_slice(match when {
        Vanished::Earlier => b"VANISHED (EARLIER) ",
        Vanished::Now => b"VANISHED ",
    });
    text::set(out, uids);
}

fn number_set(out: &mut Vec<u8>, set: &NumberSet) {
    match set {
        NumberSet::Seq(numbers) => text::set(out, numbers),
        NumberSet::Uid(numbers) => text::set(out, numbers),
    }
}

/// ESEARCH always names its command (protocol rule 24), and never an empty set (RFC 4731 §3.1).
fn esearch(out: &mut Vec<u8>, result: &ESearch) {
    out.extend_from_slice(b"ESEARCH (TAG ");
    string(out, result.tag.0.as_bytes(), Quoting::Ascii);
    out.push(b')');
    if result.numbers == Numbers::Uid {
        out.extend_from_slice(b" UID");
    }
    let counts: [(&[u8], _); 3] = [
        (b" MIN ", result.min),
        (b" MAX ", result.max),
        (b" COUNT ", result.count),
    ];
    for (name, value) in counts {
        if let Some(value) = value {
            out.extend_from_slice(name);
            number(out, u64::from(value));
        }
    }
    if let Some(all) = result.all.as_ref().filter(|all| !all.is_empty()) {
        out.extend_from_slice(b" ALL ");
        number_set(out, all);
    }
    if let Some(mod_seq) = result.mod_seq {
        out.extend_from_slice(b" MODSEQ ");
        number(out, mod_seq.get());
    }
    if let Some((page, found)) = &result.partial {
        partial(out, *page, found);
    }
}

/// ```abnf
/// ret-data-partial = "PARTIAL" SP "(" partial-range SP (sequence-set / "NIL") ")"
/// ```
///
/// RFC 9394 §4.
fn partial(out: &mut Vec<u8>, page: Page, found: &NumberSet) {
    let sign: &[u8] = match page.end {
        PageEnd::Oldest => b"",
        PageEnd::Newest => b"-",
    };
    out.extend_from_slice(b" PARTIAL (");
    out.extend_from_slice(sign);
    number(out, u64::from(page.first));
    out.push(b':');
    out.extend_from_slice(sign);
    number(out, u64::from(page.last));
    out.push(b' ');
    match found.is_empty() {
        true => out.extend_from_slice(b"NIL"),
        false => number_set(out, found),
    }
    out.push(b')');
}

/// ```abnf
/// uidbatches-response = "UIDBATCHES" search-correlator [SP uid-range *("," uid-range)]
/// ```
///
/// RFC 10022 §4.
fn uid_batches(out: &mut Vec<u8>, tag: &Tag, batches: &[(Uid, Uid)]) {
    out.extend_from_slice(b"UIDBATCHES (TAG ");
    string(out, tag.0.as_bytes(), Quoting::Ascii);
    out.push(b')');
    for (at, (high, low)) in batches.iter().enumerate() {
        out.push(if at == 0 { b' ' } else { b',' });
        number(out, u64::from(high.get()));
        out.push(b':');
        number(out, u64::from(low.get()));
    }
}

#[cfg(test)]
mod tests;
