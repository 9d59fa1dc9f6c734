//! CAPABILITY, NOOP, LOGOUT (RFC 9051 §6.1), IDLE (§6.3.13), CHECK (RFC 3501 §6.4.1) and
//! ID (RFC 2971).
//!
//! ```text
//! C: a1 ID ("name" "Example" "version" "1.0")
//! C: a2 IDLE
//! ```

use super::command::{AnyState, Authenticated, Command, Selected};
use crate::{
    cursor::{Cursor, Parsed},
    limits::{ID_FIELD_BYTES_MAX, ID_PAIRS_MAX, ID_VALUE_BYTES_MAX},
};

/// The argument of ID: the client's fields in its order, or NIL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Id(pub Vec<(Box<str>, Option<Box<str>>)>);

pub(super) const fn capability(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Any(AnyState::Capability))
}

pub(super) const fn noop(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Any(AnyState::Noop))
}

pub(super) const fn logout(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Any(AnyState::Logout))
}

pub(super) const fn idle(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Authenticated(Authenticated::Idle))
}

pub(super) const fn check(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Selected(Selected::Check))
}

/// ```abnf
/// id             = "ID" SP id_params_list
/// id_params_list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
/// ```
pub(super) fn id(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mut fields = Vec::new();
    c.sp()?;
    if !c.eat_text("NIL") {
        c.list_or_empty(|c| {
            if fields.len() >= ID_PAIRS_MAX {
                return c.fail("at most 30 fields");
            }
            let field = field_name(c)?;
            c.sp()?;
            fields.push((field, value(c)?));
            Ok(())
        })?;
    }
    Ok(Command::Any(AnyState::Id(Id(fields))))
}

fn field_name(c: &mut Cursor<'_>) -> Parsed<Box<str>> {
    let start = c.at();
    let name = c.string("a field name in quotes")?;
    if name.len() > ID_FIELD_BYTES_MAX {
        return c.fail_at(start, "a field name of at most 30 bytes");
    }
    Ok(String::from_utf8_lossy(&name).into())
}

fn value(c: &mut Cursor<'_>) -> Parsed<Option<Box<str>>> {
    if c.eat_text("NIL") {
        return Ok(None);
    }
    let start = c.at();
    let value = c.string("a value in quotes, or NIL")?;
    if value.len() > ID_VALUE_BYTES_MAX {
        return c.fail_at(start, "a value of at most 1024 bytes");
    }
    // Values are for people and logs: what is not UTF-8 is shown as well as it can be.
    Ok(Some(String::from_utf8_lossy(&value).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    fn fields(command: Command) -> Vec<(Box<str>, Option<Box<str>>)> {
        match command {
            Command::Any(AnyState::Id(id)) => id.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_without_arguments() {
        for name in [
            "CAPABILITY",
            "noop",
            "Logout",
            "IDLE",
            "CHECK",
            "STARTTLS",
            "NAMESPACE",
            "CLOSE",
            "UNSELECT",
            "EXPUNGE",
        ] {
            assert_eq!(accept(name).property().name, name.to_ascii_uppercase());
            reject(&format!("{name}^ "));
            reject(&format!("{name}^ x"));
            reject(&format!("{name}^(("));
            incomplete(name);
        }
    }

    #[test]
    fn id_fields() {
        assert!(fields(accept("ID NIL")).is_empty());
        assert!(fields(accept("id ()")).is_empty());
        let id = fields(accept(
            "ID (\"name\" \"x\" \"os\" NIL {7+}\r\nversion \"1.0\")",
        ));
        assert_eq!(id.len(), 3);
        assert_eq!(id[1], ("os".into(), None));
        assert_eq!(id[2], ("version".into(), Some("1.0".into())));
        incomplete("ID (\"name\" {1+}\r\nx)");
        reject("ID^");
        reject("ID ^name");
        reject("ID (^name \"x\")");
        reject("ID (\"name\"^)");
        reject("ID (\"name\" ^x)");
        reject("ID (^(\"name\" \"x\"))");
        reject("ID (\"name\" \"x\"^");
        reject("ID (\"name\" \"a\\^x\")");
    }

    #[test]
    fn id_limits() {
        let id = |pairs: usize| format!("ID ({})", vec!["\"a\" \"b\""; pairs].join(" "));
        assert_eq!(fields(accept(&id(30))).len(), 30);
        reject(&format!("{}^\"a\" \"b\")", id(30).replace(')', " ")));
        let name = |bytes| format!("\"{}\" NIL)", "n".repeat(bytes));
        accept(&format!("ID ({}", name(30)));
        reject(&format!("ID (^{}", name(31)));
        let value = |bytes| format!("\"{}\")", "v".repeat(bytes));
        accept(&format!("ID (\"a\" {}", value(1024)));
        reject(&format!("ID (\"a\" ^{}", value(1025)));
    }
}
