//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8), and mailbox names
//! as they travel.
//!
//! ```text
//! C: a1 CREATE Work/2026
//! C: a2 CREATE Sent (USE (\Sent))
//! C: a3 RENAME Work {7}
//! ```

use mail::mailbox::SpecialUse;

use super::command::{Authenticated, Command};
use crate::cursor::{Cursor, Parsed};

/// A mailbox name as a client wrote it: the astring's bytes, not yet decoded.
///
/// How it reads depends on what the session has enabled: modified UTF-7 in an IMAP4rev1 session
/// (RFC 3501 §5.1.3), UTF-8 after ENABLE IMAP4rev2 or UTF8=ACCEPT (RFC 9051 Appendix A.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WireName(pub Vec<u8>);

/// DELETE, SUBSCRIBE or UNSUBSCRIBE: one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(pub WireName);

/// CREATE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    /// The new mailbox.
    pub mailbox: WireName,
    /// `USE (…)` (RFC 6154 §3), each once; the first that is no special use known here stands as
    /// `Err`.
    pub special_use: Vec<Result<SpecialUse, Box<str>>>,
}

/// RENAME's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rename {
    /// The mailbox that is there.
    pub from: WireName,
    /// Its new name.
    pub to: WireName,
}

/// ```abnf
/// SP mailbox
/// mailbox = "INBOX" / astring
/// ```
pub(super) fn argument(c: &mut Cursor<'_>) -> Parsed<WireName> {
    c.sp()?;
    name(c)
}

/// A mailbox name; INBOX in its cases is known when it is decoded.
pub(super) fn name(c: &mut Cursor<'_>) -> Parsed<WireName> {
    Ok(WireName(c.astring("a mailbox name")?.into_owned()))
}

/// ```abnf
/// create        = "CREATE" SP mailbox [create-params]
/// create-params = SP "(" create-param *( SP create-param) ")"
/// create-param  = "USE" SP "(" [use-attr *(SP use-attr)] ")"
/// ```
///
/// RFC 4466 §2.2, RFC 6154 §6.
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = argument(c)?;
    let mut special_use = Vec::new();
    if c.eat(b' ') {
        c.list(|c| {
            if !c.eat_text("USE ") {
                return c.fail("USE");
            }
            c.list_or_empty(|c| {
                let attribute = use_attribute(c)?;
                if !is_said(&special_use, &attribute) {
                    special_use.push(attribute);
                }
                Ok(())
            })
        })?;
    }
    let create = Create {
        mailbox,
        special_use,
    };
    Ok(Command::Authenticated(Authenticated::Create(create)))
}

/// Whether one more attribute says nothing new: one that is unknown is enough to refuse.
fn is_said(said: &[Result<SpecialUse, Box<str>>], more: &Result<SpecialUse, Box<str>>) -> bool {
    said.iter()
        .any(|one| one == more || (one.is_err() && more.is_err()))
}

/// ```abnf
/// use-attr-ext = "\" atom
/// ```
fn use_attribute(c: &mut Cursor<'_>) -> Parsed<Result<SpecialUse, Box<str>>> {
    c.byte(b'\\', "a special use, such as \\Sent")?;
    let attribute = format!("\\{}", c.atom("a special use, such as \\Sent")?);
    Ok(SpecialUse::named(&attribute).ok_or_else(|| attribute.into()))
}

/// ```abnf
/// delete = "DELETE" SP mailbox
/// ```
pub(super) fn delete(c: &mut Cursor<'_>) -> Parsed<Command> {
    let name = Name(argument(c)?);
    Ok(Command::Authenticated(Authenticated::Delete(name)))
}

/// ```abnf
/// rename = "RENAME" SP mailbox SP mailbox
/// ```
pub(super) fn rename(c: &mut Cursor<'_>) -> Parsed<Command> {
    let from = argument(c)?;
    let to = argument(c)?;
    let rename = Rename { from, to };
    Ok(Command::Authenticated(Authenticated::Rename(rename)))
}

/// ```abnf
/// subscribe = "SUBSCRIBE" SP mailbox
/// ```
pub(super) fn subscribe(c: &mut Cursor<'_>) -> Parsed<Command> {
    let name = Name(argument(c)?);
    Ok(Command::Authenticated(Authenticated::Subscribe(name)))
}

/// ```abnf
/// unsubscribe = "UNSUBSCRIBE" SP mailbox
/// ```
pub(super) fn unsubscribe(c: &mut Cursor<'_>) -> Parsed<Command> {
    let name = Name(argument(c)?);
    Ok(Command::Authenticated(Authenticated::Unsubscribe(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    fn created(rest: &str) -> Create {
        match accept(rest) {
            Command::Authenticated(Authenticated::Create(create)) => create,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn create_with_use() {
        assert_eq!(created("CREATE Work/").mailbox, WireName(b"Work/".to_vec()));
        assert!(created("CREATE Work").special_use.is_empty());
        assert!(created("CREATE Work (USE ())").special_use.is_empty());
        let create = created("CREATE S (use (\\SENT \\Sent \\Other \\X))");
        let unknown = Err("\\Other".into());
        assert_eq!(create.special_use, [Ok(SpecialUse::Sent), unknown]);
        incomplete("CREATE {4}\r\nWork (USE (\\Sent))");
        reject("CREATE Work ^");
        reject("CREATE Work ^USE (\\Sent)");
        reject("CREATE Work (^)");
        reject("CREATE Work (^X (\\Sent))");
        reject("CREATE Work (USE (^Sent))");
        reject("CREATE Work (USE (\\^))");
        reject("CREATE Work (USE (\\Sent)^");
    }

    #[test]
    fn names() {
        let (from, to) = (WireName(b"a b".to_vec()), WireName(b"c".to_vec()));
        assert_eq!(
            accept("RENAME \"a b\" {1+}\r\nc"),
            Command::Authenticated(Authenticated::Rename(Rename { from, to }))
        );
        for command in ["DELETE", "SUBSCRIBE", "UNSUBSCRIBE"] {
            assert_eq!(accept(&format!("{command} x&-y")).property().name, command);
            reject(&format!("{command}^"));
            reject(&format!("{command} a^ b"));
            reject(&format!("{command} ^(a)"));
            reject(&format!("{command} a^*"));
        }
        reject("RENAME a^");
        reject("RENAME a ^");
        reject("RENAME a b^ c");
    }

    /// threat 4: each byte at each place, told by what it may be there.
    #[test]
    fn threat_04_every_byte_in_atom_quoted_literal_and_tag() {
        use crate::{
            frame::{Frame, Framer},
            imap::fixture::frame,
            limits::Limits,
        };
        let is_delete = |frame: &Frame| matches!(frame, Frame::Command(_));
        for byte in 0..=255u8 {
            if byte == b'\n' {
                continue;
            }
            let atom = [b"DELETE x", &[byte][..], b"y"].concat();
            let may = (33..127).contains(&byte) && !b"(){%*\"\\".contains(&byte);
            assert_eq!(is_delete(&frame(&atom)), may, "atom {byte}");

            let quoted = [b"DELETE \"x", &[byte][..], b"y\""].concat();
            let may = (1..128).contains(&byte) && !b"\r\"\\".contains(&byte);
            assert_eq!(is_delete(&frame(&quoted)), may, "quoted {byte}");

            let literal = [b"DELETE {3+}\r\nx", &[byte][..], b"y"].concat();
            assert_eq!(is_delete(&frame(&literal)), byte != 0, "literal {byte}");

            let mut framer = Framer::new();
            framer.push(&[b't', byte, b'g']);
            framer.push(b" NOOP\r\nz NOOP\r\n");
            let first = framer.next(&Limits::AFTER_LOGIN);
            let may = (33..127).contains(&byte) && !b"(){%*\"\\+".contains(&byte);
            assert_eq!(is_delete(&first), may, "tag {byte}: {first:?}");
            assert!(is_delete(&framer.next(&Limits::AFTER_LOGIN)));
        }
        assert!(is_delete(&frame(
            "DELETE \"\u{fc}\u{20ac}\u{1f600}\"".as_bytes()
        )));
        assert!(is_delete(&frame(b"DELETE {1+}\r\n\xff")));
        assert!(!is_delete(&frame(b"DELETE \"\xc0\x80\"")));
        assert!(!is_delete(&frame(b"DELETE \"\xed\xa0\x80\"")));
    }
}
