//! COMPRESS (RFC 4978): what both sides send from here on is deflated.
//!
//! ```text
//! C: a1 COMPRESS DEFLATE
//! S: a1 OK DEFLATE active
//! ```
//!
//! Not here: the compressing, which is the connection's.

use super::command::{Authenticated, Command};
use crate::cursor::{Cursor, Parsed};

/// ```abnf
/// compress  = "COMPRESS" SP algorithm
/// algorithm = "DEFLATE"
/// ```
///
/// RFC 4978 §5; there is no other algorithm.
pub(super) fn compress(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    if !c.eat_text("DEFLATE") {
        return c.fail("DEFLATE");
    }
    Ok(Command::Authenticated(Authenticated::Compress))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    #[test]
    fn one_algorithm_in_any_case() {
        for name in ["DEFLATE", "deflate", "Deflate"] {
            let command = accept(&format!("compress {name}"));
            assert_eq!(command, Command::Authenticated(Authenticated::Compress));
        }
        reject("COMPRESS^");
        reject("COMPRESS ^");
        reject("COMPRESS ^LZW");
        reject("COMPRESS DEFLATE^X");
        reject("COMPRESS DEFLATE^ 9");
        reject("COMPRESS ^\"DEFLATE\"");
        incomplete("COMPRESS DEFLATE");
    }
}
