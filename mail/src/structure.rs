//! The structure of a stored message: which section a client names (RFC 9051 §6.4.5.1),
//! where that section lies in the stored bytes, and the compact form in which the part
//! tree is kept with the message.
//!
//! Not here: the syntax of sections (that is `wire`), and finding the parts (that is
//! [`crate::mime`]).

/// The section of a message that `BODY[...]` or `BINARY[...]` names (RFC 9051 §6.4.5.1).
///
/// The empty path with no text is the whole message, `BODY[]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// Part numbers, outermost first, each at least 1. Empty means the message itself.
    pub path: Vec<u32>,
    /// Which text of the part is meant; `None` is its whole content.
    pub text: Option<SectionText>,
}

/// The part of a message or body part that a section specifier names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`: the whole header of a message, with its blank line.
    Header,
    /// `HEADER.FIELDS (...)`: these fields and the blank line.
    HeaderFields(Vec<Box<[u8]>>),
    /// `HEADER.FIELDS.NOT (...)`: all fields but these, and the blank line.
    HeaderFieldsNot(Vec<Box<[u8]>>),
    /// `TEXT`: a message without its header.
    Text,
    /// `MIME`: the MIME header of a body part. Never without a part number.
    Mime,
}
