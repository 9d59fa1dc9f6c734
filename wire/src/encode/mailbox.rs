//! Responses about mailboxes: LIST, LSUB, STATUS, FLAGS (RFC 9051 §7.3; RFC 5258 §6 for extended
//! data), and how a mailbox's name is spelled.

use mail::{
    flag::{Keyword, SystemFlags},
    id::MailboxId,
    mailbox::MailboxName,
};

use super::{
    Encoder, MailboxSpelling,
    text::{Quoting, astring, list, name_of, number, separated, string},
};
use crate::{
    imap::{
        object_id,
        quota::{QuotaResource, Resource},
        response::{ListEntry, MailboxStatus},
        status::StatusItem,
    },
    utf7,
};

impl Encoder {
    /// A name as this session reads it: the spelling in modified UTF-7, or its NFC in UTF-8
    /// (RFC 9051 Appendix A.1, protocol rule 50).
    fn mailbox(self, out: &mut Vec<u8>, name: &MailboxName) {
        match self.mode.names {
            MailboxSpelling::ModifiedUtf7 => {
                astring(out, utf7::encode(name.as_str()).as_bytes(), Quoting::Ascii);
            }
            MailboxSpelling::Utf8 => {
                astring(out, name.key().as_str().as_bytes(), Quoting::Utf8);
            }
        }
    }

    /// A line of LIST or LSUB, after its name.
    pub(super) fn list_entry(self, out: &mut Vec<u8>, entry: &ListEntry) {
        list(out, &entry.attributes, |out, attribute| {
            out.extend_from_slice(attribute.name().as_bytes());
        });
        out.extend_from_slice(b" \"/\" ");
        match &entry.name {
            Some(name) => self.mailbox(out, name),
            None => out.extend_from_slice(b"\"\""),
        }
        self.extended(out, entry);
    }

    /// Extended data.
    fn extended(self, out: &mut Vec<u8>, entry: &ListEntry) {
        let old_name = entry.old_name.as_ref();
        if old_name.is_none() && entry.child_info.is_none() {
            return;
        }
        out.extend_from_slice(b" (");
        if let Some(select) = entry.child_info {
            out.extend_from_slice(b"\"CHILDINFO\" ");
            list(out, &select.criteria(), |out, name| {
                string(out, name.as_bytes(), Quoting::Ascii);
            });
        }
        if let Some(old_name) = old_name {
            if entry.child_info.is_some() {
                out.push(b' ');
            }
            out.extend_from_slice(b"\"OLDNAME\" (");
            // As the client wrote or knew it, not in NFC: it is to be recognised.
            match self.mode.names {
                MailboxSpelling::ModifiedUtf7 => {
                    string(
                        out,
                        utf7::encode(old_name.as_str()).as_bytes(),
                        Quoting::Ascii,
                    );
                }
                MailboxSpelling::Utf8 => string(out, old_name.as_str().as_bytes(), Quoting::Utf8),
            }
            out.push(b')');
        }
        out.push(b')');
    }

    /// A STATUS response, after its name.
    pub(super) fn mailbox_status(self, out: &mut Vec<u8>, status: &MailboxStatus) {
        self.mailbox(out, &status.name);
        out.push(b' ');
        list(out, &status.items, |out, &(item, value)| {
            out.extend_from_slice(name_of(&StatusItem::NAMES, item).as_bytes());
            out.push(b' ');
            match (item, MailboxId::new(value)) {
                (StatusItem::MailboxId, Some(id)) => object_id::mailbox(out, id),
                _ => number(out, value),
            }
        });
    }

    /// A QUOTAROOT response, after its name (RFC 9208 §4.2.2).
    pub(super) fn quota_roots(self, out: &mut Vec<u8>, name: &MailboxName, roots: &[&str]) {
        self.mailbox(out, name);
        for root in roots {
            out.push(b' ');
            astring(out, root.as_bytes(), Quoting::Ascii);
        }
    }
}

/// A QUOTA response, after its name (RFC 9208 §4.2.1).
pub(super) fn quota(out: &mut Vec<u8>, root: &str, resources: &[QuotaResource]) {
    astring(out, root.as_bytes(), Quoting::Ascii);
    out.push(b' ');
    list(out, resources, |out, resource| {
        out.extend_from_slice(name_of(&Resource::NAMES, resource.resource).as_bytes());
        out.push(b' ');
        number(out, resource.usage);
        out.push(b' ');
        number(out, resource.limit);
    });
}

/// `(\Seen keyword)`, with `last` as a further member: `\*` or `\Recent`.
pub(super) fn flag_list(
    out: &mut Vec<u8>,
    system: SystemFlags,
    keywords: &[Keyword],
    last: Option<&str>,
) {
    let system_names = system.names().map(|name| -> &str { name });
    let names = system_names
        .chain(keywords.iter().map(Keyword::as_str))
        .chain(last);
    out.push(b'(');
    separated(out, b' ', names, |out, name| {
        out.extend_from_slice(name.as_bytes());
    });
    out.push(b')');
}
