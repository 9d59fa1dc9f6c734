//! Modifiers of commands (RFC 4466 §2.1, §2.4 and §2.5): a parenthesised list of names, some of them
//! with a value, behind or within a command's arguments; and the mod-sequences that several of
//! them take (RFC 7162 §7).
//!
//! ```text
//! C: a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)
//! ```

use mail::id::ModSeq;

use crate::cursor::{Cursor, Parsed};

/// ```abnf
/// modifiers = "(" modifier *(SP modifier) ")"
/// modifier  = name [SP value]
/// ```
///
/// `read` is called behind each name, in upper case, and reads its value; it gives `None` for a
/// name that it does not know. Each may stand once.
pub(super) fn modifiers(
    c: &mut Cursor<'_>,
    mut read: impl FnMut(&mut Cursor<'_>, &str) -> Option<Parsed<()>>,
) -> Parsed<()> {
    let mut seen: Vec<String> = Vec::new();
    c.list(|c| {
        let start = c.at();
        let name = c.name("a modifier")?;
        if seen.contains(&name) {
            return c.fail_at(start, "each modifier once");
        }
        match read(c, &name) {
            Some(done) => done?,
            None => return c.fail_at(start, "a known modifier"),
        }
        seen.push(name);
        Ok(())
    })
}

/// [`modifiers`] behind a space, if there are any.
pub(super) fn trailing(
    c: &mut Cursor<'_>,
    read: impl FnMut(&mut Cursor<'_>, &str) -> Option<Parsed<()>>,
) -> Parsed<()> {
    if !c.is_next(b" (") {
        return Ok(());
    }
    c.sp()?;
    modifiers(c, read)
}

/// ```abnf
/// mod-sequence-valzer = "0" / mod-sequence-value
/// ```
pub(super) fn mod_seq_or_zero(c: &mut Cursor<'_>) -> Parsed<Option<ModSeq>> {
    c.number64().map(ModSeq::new)
}

/// ```abnf
/// mod-sequence-value = 1*DIGIT   ; 1 <= n <= 9,223,372,036,854,775,807
/// ```
///
/// Changes since 0 are all changes, as are those since 1: no message has a lower one than 2. Only
/// `mod-sequence-value` may stand here, but Apple's Mail has been seen to send 0.
pub(super) fn since(c: &mut Cursor<'_>) -> Parsed<ModSeq> {
    Ok(mod_seq_or_zero(c)?.unwrap_or(ModSeq::MIN))
}
