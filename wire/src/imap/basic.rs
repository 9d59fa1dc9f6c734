//! CAPABILITY, NOOP, LOGOUT (RFC 9051 §6.1) and ID (RFC 2971).

/// The argument of ID: the client's fields in its order, or NIL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Id(pub Vec<(Box<str>, Option<Box<str>>)>);
