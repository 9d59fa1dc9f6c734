//! Messages: their headers, their structure, and the bytes their bodies stand for
//! (RFC 5322, 2045, 2046, 2047, 2231).
//!
//! [`index()`] finds the parts of a message; [`fields`] the fields of a header; [`Encoding`]
//! decodes bodies; [`words`] and [`params`] decode header values. Nothing here fails because of
//! what a message says.

pub mod fields;
pub mod line_ends;
pub mod params;
pub mod words;

mod decode;
mod index;
mod part;

pub(crate) use self::part::children;
pub use self::{
    decode::{Decoder, Encoding},
    index::{Indexer, index},
    part::{Index, Media, Part, PartKind},
};
