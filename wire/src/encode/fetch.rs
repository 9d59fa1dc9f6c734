//! FETCH responses (RFC 9051 §7.5.2; RFC 3501 §7.4.2 for RFC822 items; RFC 3516 §4.3 for literal8;
//! RFC 9586 §3.3 for UIDFETCH).
//!
//! Content of a section may be large and is then not at hand: the writer stops after the literal's
//! header, and the connection pumps the announced bytes before it asks for the next item.

use mail::{
    date::DateTime,
    structure::{Section, SectionText},
};

use super::{
    mailbox::flag_list,
    text::{
        Quoting, astring, list, literal, literal_header, literal8, number, separated, string,
        two_digits,
    },
};
use crate::imap::{
    fetch::{BodyName, BodySection, Partial},
    object_id,
    response::{Content, FetchData, Recent, Subject},
};

/// What must follow a streamed item before anything else is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the announced bytes must follow"]
pub struct Pump {
    /// Exactly so many bytes.
    pub bytes: u64,
    /// How they are written.
    pub form: PumpForm,
}

/// How pumped bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PumpForm {
    /// Into a literal: each NUL as 0x80, see [`super::replace_nul`].
    Literal,
    /// Into a literal8: as they are.
    Literal8,
}

/// Writes one FETCH response item by item.
#[derive(Debug)]
#[must_use = "a FETCH response must be ended"]
pub struct FetchWriter {
    items: usize,
}

impl FetchWriter {
    /// Begins the response of a message.
    pub fn begin(out: &mut Vec<u8>, subject: Subject) -> Self {
        let (message, name) = match subject {
            Subject::Seq(seq) => (seq.get(), " FETCH ("),
            Subject::Uid(uid) => (uid.get(), " UIDFETCH ("),
        };
        out.extend_from_slice(b"* ");
        number(out, u64::from(message));
        out.extend_from_slice(name.as_bytes());
        Self { items: 0 }
    }

    /// Writes one item. After `Some`, the caller writes that many bytes before it calls again.
    #[must_use = "the announced bytes must follow"]
    pub fn item(&mut self, out: &mut Vec<u8>, data: &FetchData) -> Option<Pump> {
        if self.items > 0 {
            out.push(b' ');
        }
        self.items = self.items.saturating_add(1);
        match data {
            FetchData::BodySection(section, body) => {
                body_name(out, section);
                return content(out, body.as_ref(), PumpForm::Literal);
            }
            FetchData::Binary(path, partial, body) => {
                out.extend_from_slice(b"BINARY[");
                part_number(out, path);
                out.push(b']');
                origin(out, *partial);
                return content(out, body.as_ref(), PumpForm::Literal8);
            }
            metadata => item(out, metadata),
        }
        None
    }

    /// Ends the response.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }
}

/// Items that are written whole; allocates nothing.
fn item(out: &mut Vec<u8>, data: &FetchData) {
    match data {
        FetchData::Flags(flags, recent) => {
            out.extend_from_slice(b"FLAGS ");
            let recent = matches!(recent, Recent::Recent).then_some("\\Recent");
            flag_list(out, flags.system, flags.keywords(), recent);
        }
        FetchData::Uid(uid) => {
            out.extend_from_slice(b"UID ");
            number(out, u64::from(uid.get()));
        }
        FetchData::InternalDate(date) => {
            out.extend_from_slice(b"INTERNALDATE ");
            date_time(out, *date);
        }
        FetchData::Size(bytes) => {
            out.extend_from_slice(b"RFC822.SIZE ");
            number(out, *bytes);
        }
        FetchData::Envelope(value) => named(out, b"ENVELOPE ", value),
        FetchData::Body(value) => named(out, b"BODY ", value),
        FetchData::BodyStructure(value) => named(out, b"BODYSTRUCTURE ", value),
        FetchData::BinarySize(path, bytes) => {
            out.extend_from_slice(b"BINARY.SIZE[");
            part_number(out, path);
            out.extend_from_slice(b"] ");
            number(out, *bytes);
        }
        FetchData::ModSeq(mod_seq) => {
            out.extend_from_slice(b"MODSEQ (");
            number(out, mod_seq.get());
            out.push(b')');
        }
        FetchData::EmailId(id) => {
            out.extend_from_slice(b"EMAILID ");
            object_id::email(out, *id);
        }
        FetchData::ThreadId(id) => {
            out.extend_from_slice(b"THREADID ");
            object_id::thread(out, *id);
        }
        FetchData::SaveDate(date) => {
            out.extend_from_slice(b"SAVEDATE ");
            date_time(out, *date);
        }
        FetchData::Preview(text) => {
            out.extend_from_slice(b"PREVIEW ");
            string(out, text.as_bytes(), Quoting::Ascii);
        }
        FetchData::BodySection(..) | FetchData::Binary(..) => {}
    }
}

fn named(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

/// `"17-Jul-1996 02:44:25 -0700"` (RFC 9051 §9 `date-time`).
fn date_time(out: &mut Vec<u8>, date: DateTime) {
    let civil = date.civil();
    out.push(b'"');
    match civil.date.day {
        day @ 0..=9 => out.extend_from_slice(&[b' ', b'0' | day]),
        day => two_digits(out, day),
    }
    out.push(b'-');
    out.extend_from_slice(month(civil.date.month).as_bytes());
    out.push(b'-');
    let year = u8::try_from(civil.date.year / 100).unwrap_or(0);
    two_digits(out, year);
    two_digits(out, u8::try_from(civil.date.year % 100).unwrap_or(0));
    out.push(b' ');
    two_digits(out, civil.hour);
    out.push(b':');
    two_digits(out, civil.minute);
    out.push(b':');
    two_digits(out, civil.second);
    out.extend_from_slice(if date.offset_minutes < 0 {
        b" -"
    } else {
        b" +"
    });
    let zone = date.offset_minutes.unsigned_abs();
    two_digits(out, u8::try_from(zone / 60).unwrap_or(0));
    two_digits(out, u8::try_from(zone % 60).unwrap_or(0));
    out.push(b'"');
}

const fn month(month: u8) -> &'static str {
    match month {
        2 => "Feb",
        3 => "Mar",
        4 => "Apr",
        5 => "May",
        6 => "Jun",
        7 => "Jul",
        8 => "Aug",
        9 => "Sep",
        10 => "Oct",
        11 => "Nov",
        12 => "Dec",
        _ => "Jan",
    }
}

fn body_name(out: &mut Vec<u8>, body: &BodySection) {
    match body.name {
        BodyName::Body => {
            out.extend_from_slice(b"BODY[");
            section(out, &body.section);
            out.push(b']');
            origin(out, body.partial);
        }
        BodyName::Rfc822 => out.extend_from_slice(b"RFC822"),
        BodyName::Rfc822Header => out.extend_from_slice(b"RFC822.HEADER"),
        BodyName::Rfc822Text => out.extend_from_slice(b"RFC822.TEXT"),
    }
}

/// What stands between the brackets (RFC 9051 §9 `section-spec`).
fn section(out: &mut Vec<u8>, section: &Section) {
    part_number(out, &section.path);
    let Some(text) = &section.text else { return };
    if !section.path.is_empty() {
        out.push(b'.');
    }
    let fields = match text {
        SectionText::Header => return out.extend_from_slice(b"HEADER"),
        SectionText::Text => return out.extend_from_slice(b"TEXT"),
        SectionText::Mime => return out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields(fields) => {
            out.extend_from_slice(b"HEADER.FIELDS ");
            fields
        }
        SectionText::HeaderFieldsNot(fields) => {
            out.extend_from_slice(b"HEADER.FIELDS.NOT ");
            fields
        }
    };
    list(out, fields, |out, field| {
        astring(out, field, Quoting::Ascii)
    });
}

fn part_number(out: &mut Vec<u8>, path: &[u32]) {
    separated(out, b'.', path, |out, &part| number(out, u64::from(part)));
}

/// The answer names only where the range begins (protocol rule 39).
fn origin(out: &mut Vec<u8>, partial: Option<Partial>) {
    if let Some(partial) = partial {
        out.push(b'<');
        number(out, u64::from(partial.origin));
        out.push(b'>');
    }
}

/// Content is always a literal, also when empty: clients are used to nothing else.
fn content(out: &mut Vec<u8>, content: Option<&Content>, form: PumpForm) -> Option<Pump> {
    out.push(b' ');
    match (content, form) {
        (None, _) => out.extend_from_slice(b"NIL"),
        (Some(Content::Bytes(bytes)), PumpForm::Literal8) if memchr::memchr(0, bytes).is_some() => {
            literal8(out, bytes);
        }
        (Some(Content::Bytes(bytes)), _) => literal(out, bytes),
        (Some(&Content::Stream(bytes)), form) => {
            // Whether a NUL will come is not known yet, and a literal8 may hold anything.
            if form == PumpForm::Literal8 {
                out.push(b'~');
            }
            literal_header(out, bytes);
            return Some(Pump { bytes, form });
        }
    }
    None
}
