//! FETCH (RFC 9051 §6.4.5; RFC 3501 §6.4.5 for RFC822 items).

use mail::structure::Section;

use super::sequence::Messages;

/// FETCH's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// Which messages.
    pub messages: Messages,
    /// What of them, in the client's order, macros already written out.
    pub items: Vec<FetchItem>,
}

/// One thing to fetch.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FetchItem {
    /// FLAGS
    Flags,
    /// UID
    Uid,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// ENVELOPE
    Envelope,
    /// BODY, without extension data
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// `BODY[…]`, `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`
    BodySection(BodySection),
    /// `BINARY[…]`
    Binary(BinarySection),
    /// `BINARY.SIZE[…]`: the part numbers
    BinarySize(Vec<u32>),
}

/// Whether fetching a text sets `\Seen`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Peek {
    /// It does.
    Mark,
    /// `.PEEK`: it does not.
    Peek,
}

/// How the answer names the section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BodyName {
    /// `BODY[…]`
    Body,
    /// `RFC822`
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.TEXT`
    Rfc822Text,
}

/// `<origin.count>`: a range of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Partial {
    /// First byte.
    pub origin: u32,
    /// How many at most, not 0.
    pub count: u32,
}

/// `BODY[section]<partial>` and its old spellings.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BodySection {
    /// How the answer is named.
    pub name: BodyName,
    /// Which section.
    pub section: Section,
    /// Which bytes of it.
    pub partial: Option<Partial>,
    /// Whether `\Seen` is set.
    pub peek: Peek,
}

/// `BINARY[part]<partial>`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BinarySection {
    /// Part numbers; empty for the whole message.
    pub path: Vec<u32>,
    /// Which decoded bytes.
    pub partial: Option<Partial>,
    /// Whether `\Seen` is set.
    pub peek: Peek,
}
