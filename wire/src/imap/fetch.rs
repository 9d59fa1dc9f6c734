//! FETCH (RFC 9051 §6.4.5; RFC 3501 §6.4.5 for RFC822 items; RFC 7162 §3.1.4 and §3.2.6 for
//! mod-sequences).
//!
//! ```text
//! C: a1 FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (DATE FROM)])
//! C: a2 UID FETCH 42 BODY[1.2]<0.1024>
//! C: a3 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)
//! ```

use mail::{
    id::ModSeq,
    structure::{Section, SectionText},
};

use super::{
    command::{Command, Selected},
    modifier,
    page::{Page, page},
    sequence::{self, Messages, Numbers},
};
use crate::cursor::{Cursor, Parsed};

/// FETCH's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// Which messages.
    pub messages: Messages,
    /// What of them, in the client's order, macros already written out.
    pub items: Vec<FetchItem>,
    /// Which of those messages, and what besides.
    pub modifiers: FetchModifiers,
}

/// What stands in parentheses behind the items.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FetchModifiers {
    /// CHANGEDSINCE: only messages that changed after it (RFC 7162 §3.1.4.1).
    pub changed_since: Option<ModSeq>,
    /// VANISHED: which of the messages were expunged since (RFC 7162 §3.2.6). Only of UID FETCH,
    /// and only beside CHANGEDSINCE.
    pub vanished: bool,
    /// PARTIAL: those of the messages on this page (RFC 9394 §3.3). Only of UID FETCH.
    pub page: Option<Page>,
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
    /// MODSEQ (RFC 7162 §3.1.4.2)
    ModSeq,
    /// EMAILID (RFC 8474 §5.1)
    EmailId,
    /// THREADID (RFC 8474 §5.2)
    ThreadId,
    /// SAVEDATE (RFC 8514 §4.2)
    SaveDate,
    /// PREVIEW (RFC 8970 §3.1), LAZY or not: it is made at delivery, so there is nothing to wait for
    Preview,
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

/// ```abnf
/// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" /
///         fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
/// ```
pub(super) fn fetch(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Seq)
}

pub(super) fn uid_fetch(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Uid)
}

fn of(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Command> {
    let messages = sequence::messages(c, numbers)?;
    c.sp()?;
    let items = items(c)?;
    let modifiers = fetch_modifiers(c, numbers)?;
    Ok(Command::Selected(Selected::Fetch(Fetch {
        messages,
        items,
        modifiers,
    })))
}

/// ```abnf
/// fetch-modifier     =/ chgsince-fetch-mod / rexpunges-fetch-mod / modifier-partial
/// chgsince-fetch-mod  = "CHANGEDSINCE" SP mod-sequence-value
/// rexpunges-fetch-mod = "VANISHED"
/// ```
///
/// VANISHED elsewhere than in UID FETCH, or alone, is BAD (RFC 7162 §3.2.6).
fn fetch_modifiers(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<FetchModifiers> {
    let mut modifiers = FetchModifiers::default();
    let start = c.at();
    modifier::trailing(c, |c, name| {
        Some(match name {
            "CHANGEDSINCE" => c
                .sp()
                .and_then(|()| modifier::since(c))
                .map(|since| modifiers.changed_since = Some(since)),
            "PARTIAL" if numbers == Numbers::Uid => c
                .sp()
                .and_then(|()| page(c))
                .map(|page| modifiers.page = Some(page)),
            "VANISHED" if numbers == Numbers::Uid => {
                modifiers.vanished = true;
                Ok(())
            }
            _ => return None,
        })
    })?;
    if modifiers.vanished && modifiers.changed_since.is_none() {
        return c.fail_at(start, "CHANGEDSINCE beside VANISHED");
    }
    Ok(modifiers)
}

fn items(c: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    if let Some(items) = written_out(c) {
        return Ok(items);
    }
    match c.peek() {
        Some(b'(') => listed_items(c),
        _ => Ok(vec![item(c)?]),
    }
}

/// ```abnf
/// "(" fetch-att *(SP fetch-att) ")"
/// ```
pub(super) fn listed_items(c: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    let mut items = Vec::new();
    c.list(|c| {
        if items.len() >= c.limits().fetch_items_max {
            return c.fail("fewer items");
        }
        // An item named twice is answered once.
        let item = item(c)?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}

/// A macro, which stands alone, as the items it means (RFC 9051 §6.4.5).
fn written_out(c: &mut Cursor<'_>) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    let start = c.at();
    let items = match c.name("an item").ok()?.as_str() {
        "FAST" => vec![Flags, InternalDate, Size],
        "ALL" => vec![Flags, InternalDate, Size, Envelope],
        "FULL" => vec![Flags, InternalDate, Size, Envelope, Body],
        _ => {
            c.back_to(start);
            return None;
        }
    };
    Some(items)
}

/// ```abnf
/// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///             "BODY" ["STRUCTURE"] / "UID" / "BODY" section [partial] /
///             "BODY.PEEK" section [partial] / "BINARY" [".PEEK"] section-binary [partial] /
///             "BINARY.SIZE" section-binary / "MODSEQ" / "EMAILID" / "THREADID" / "SAVEDATE" /
///             preview
/// ```
fn item(c: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let start = c.at();
    Ok(match c.name("an item to fetch")?.as_str() {
        "ENVELOPE" => FetchItem::Envelope,
        "FLAGS" => FetchItem::Flags,
        "INTERNALDATE" => FetchItem::InternalDate,
        "UID" => FetchItem::Uid,
        "RFC822.SIZE" => FetchItem::Size,
        "RFC822" => rfc822(BodyName::Rfc822, None, Peek::Mark),
        "RFC822.TEXT" => rfc822(BodyName::Rfc822Text, Some(SectionText::Text), Peek::Mark),
        "RFC822.HEADER" => rfc822(
            BodyName::Rfc822Header,
            Some(SectionText::Header),
            Peek::Peek,
        ),
        "BODYSTRUCTURE" => FetchItem::BodyStructure,
        "BODY" if c.peek() != Some(b'[') => FetchItem::Body,
        "BODY" => body(c, Peek::Mark)?,
        "BODY.PEEK" => body(c, Peek::Peek)?,
        "BINARY" => binary(c, Peek::Mark)?,
        "BINARY.PEEK" => binary(c, Peek::Peek)?,
        "BINARY.SIZE" => FetchItem::BinarySize(section_binary(c)?),
        "MODSEQ" => FetchItem::ModSeq,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "SAVEDATE" => FetchItem::SaveDate,
        "PREVIEW" => preview(c)?,
        _ => return c.fail_at(start, "an item to fetch"),
    })
}

/// ```abnf
/// preview     = "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]
/// preview-mod = "LAZY"
/// ```
///
/// What else follows in parentheses belongs to FETCH itself.
fn preview(c: &mut Cursor<'_>) -> Parsed<FetchItem> {
    if c.eat_text(" (LAZY") {
        while c.eat_text(" LAZY") {}
        c.byte(b')', "LAZY or the end of the list")?;
    }
    Ok(FetchItem::Preview)
}

/// The older names of sections (RFC 3501 §6.4.5).
const fn rfc822(name: BodyName, text: Option<SectionText>, peek: Peek) -> FetchItem {
    FetchItem::BodySection(BodySection {
        name,
        section: Section {
            path: Vec::new(),
            text,
        },
        partial: None,
        peek,
    })
}

fn body(c: &mut Cursor<'_>, peek: Peek) -> Parsed<FetchItem> {
    c.byte(b'[', "a section in brackets")?;
    let section = section(c)?;
    c.byte(b']', "the end of the section")?;
    Ok(FetchItem::BodySection(BodySection {
        name: BodyName::Body,
        section,
        partial: partial(c)?,
        peek,
    }))
}

fn binary(c: &mut Cursor<'_>, peek: Peek) -> Parsed<FetchItem> {
    Ok(FetchItem::Binary(BinarySection {
        path: section_binary(c)?,
        partial: partial(c)?,
        peek,
    }))
}

/// ```abnf
/// section-binary = "[" [section-part] "]"
/// ```
fn section_binary(c: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    c.byte(b'[', "part numbers in brackets")?;
    let mut path = Vec::new();
    while !c.eat(b']') {
        if !path.is_empty() {
            c.byte(b'.', "a dot or the end of the part numbers")?;
        }
        path.push(c.nz_number()?);
    }
    Ok(path)
}

/// ```abnf
/// section-spec = section-msgtext / (section-part ["." section-text])
/// section-part = nz-number *("." nz-number)
/// section-text = section-msgtext / "MIME"
/// ```
fn section(c: &mut Cursor<'_>) -> Parsed<Section> {
    let mut path = Vec::new();
    loop {
        match c.peek() {
            Some(b']') if path.is_empty() => return Ok(Section { path, text: None }),
            Some(b'0'..=b'9') => path.push(c.nz_number()?),
            _ => {
                let text = Some(section_text(c, &path)?);
                return Ok(Section { path, text });
            }
        }
        if !c.eat(b'.') {
            return Ok(Section { path, text: None });
        }
    }
}

/// ```abnf
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// ```
fn section_text(c: &mut Cursor<'_>, path: &[u32]) -> Parsed<SectionText> {
    let start = c.at();
    Ok(match c.name("a section")?.as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_list(c)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(c)?),
        "TEXT" => SectionText::Text,
        "MIME" if !path.is_empty() => SectionText::Mime,
        _ => return c.fail_at(start, "a section"),
    })
}

/// ```abnf
/// header-list = "(" header-fld-name *(SP header-fld-name) ")"
/// ```
fn header_list(c: &mut Cursor<'_>) -> Parsed<Vec<Box<[u8]>>> {
    let mut fields = Vec::new();
    c.sp()?;
    c.list(|c| {
        fields.push(c.astring("the name of a header field")?.into());
        Ok(())
    })?;
    Ok(fields)
}

/// ```abnf
/// partial = "<" number64 "." nz-number64 ">"
/// ```
///
/// Answers have 32 bits for the origin (RFC 9051 §9 `msg-att-static`), and no message is longer:
/// greater numbers mean the greatest of those.
fn partial(c: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !c.eat(b'<') {
        return Ok(None);
    }
    let origin = c.number64()?;
    c.byte(b'.', "a dot and the number of bytes")?;
    let start = c.at();
    let count = c.number64()?;
    if count == 0 {
        return c.fail_at(start, "a number above 0");
    }
    c.byte(b'>', "the end of the partial range")?;
    let origin = u32::try_from(origin).unwrap_or(u32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Some(Partial { origin, count }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::page::PageEnd;
    use crate::{
        imap::fixture::{accept, incomplete, reject},
        limits::Limits,
    };

    fn fetched(items: &str) -> Vec<FetchItem> {
        match accept(&format!("FETCH 1 {items}")) {
            Command::Selected(Selected::Fetch(fetch)) => fetch.items,
            other => panic!("{other:?}"),
        }
    }

    fn section_of(item: &str) -> BodySection {
        match fetched(item).pop() {
            Some(FetchItem::BodySection(section)) => section,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn macros_and_plain_items() {
        use FetchItem::{Body, BodyStructure, Envelope, Flags, InternalDate, Size, Uid};
        assert_eq!(fetched("fast"), [Flags, InternalDate, Size]);
        assert_eq!(fetched("ALL"), [Flags, InternalDate, Size, Envelope]);
        assert_eq!(fetched("FULL"), [Flags, InternalDate, Size, Envelope, Body]);
        assert_eq!(
            fetched("(UID uid FLAGS ENVELOPE INTERNALDATE RFC822.SIZE BODY BODYSTRUCTURE)"),
            [
                Uid,
                Flags,
                Envelope,
                InternalDate,
                Size,
                Body,
                BodyStructure
            ]
        );
        assert_eq!(accept("UID FETCH 1 FLAGS").property().name, "UID FETCH");
        incomplete("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS ({4}\r\nDate)])");
        reject("FETCH^");
        reject("FETCH 1^");
        reject("FETCH 1 ^");
        reject("FETCH 1 (^)");
        reject("FETCH 1 (^ALL)");
        reject("FETCH 1 ALL^ FLAGS");
        reject("FETCH 1 FLAGS^ UID");
        reject("FETCH 1 (FLAGS^");
        reject("FETCH 1 (FLAGS ^ UID)");
        reject("FETCH 1 (^(FLAGS))");
        reject("FETCH 1 FLAGS^[1]");
    }

    #[test]
    fn ids_save_date_and_preview() {
        use FetchItem::{EmailId, Preview, SaveDate, ThreadId, Uid};
        assert_eq!(
            fetched("(emailid THREADID SAVEDATE)"),
            [EmailId, ThreadId, SaveDate]
        );
        for item in ["PREVIEW", "preview (lazy)", "(PREVIEW (LAZY LAZY))"] {
            assert_eq!(fetched(item), [Preview]);
        }
        assert_eq!(fetched("(PREVIEW (LAZY) UID PREVIEW)"), [Preview, Uid]);
        reject("FETCH 1 (PREVIEW (LAZY^");
        reject("FETCH 1 (PREVIEW (LAZY^ ))");
        reject("FETCH 1 (PREVIEW (LAZY^X))");
        reject("FETCH 1 (PREVIEW ^())");
        reject("FETCH 1 EMAILID^[1]");
    }

    #[test]
    fn rfc822_items() {
        let whole = section_of("RFC822");
        assert_eq!((whole.name, whole.peek), (BodyName::Rfc822, Peek::Mark));
        assert_eq!(whole.section, Section::default());
        let header = section_of("rfc822.header");
        assert_eq!(
            (header.name, header.peek),
            (BodyName::Rfc822Header, Peek::Peek)
        );
        assert_eq!(header.section.text, Some(SectionText::Header));
        let text = section_of("RFC822.TEXT");
        assert_eq!((text.name, text.peek), (BodyName::Rfc822Text, Peek::Mark));
        reject("FETCH 1 RFC822^<0.5>");
        reject("FETCH 1 ^RFC822.PEEK");
    }

    #[test]
    fn rule_40_sections() {
        let check = |written: &str, path: &[u32], text: Option<SectionText>| {
            let section = section_of(&format!("BODY[{written}]"));
            let path = path.to_vec();
            assert_eq!(section.section, Section { path, text }, "{written}");
        };
        let names = || vec![Box::from(&b"Date"[..]), Box::from(&b"X]y"[..])];
        check("", &[], None);
        check("1", &[1], None);
        check("1.22.4294967295", &[1, 22, u32::MAX], None);
        check("header", &[], Some(SectionText::Header));
        check("TEXT", &[], Some(SectionText::Text));
        check("1.MIME", &[1], Some(SectionText::Mime));
        check("1.2.HEADER", &[1, 2], Some(SectionText::Header));
        check("3.TEXT", &[3], Some(SectionText::Text));
        check(
            "HEADER.FIELDS (Date X]y)",
            &[],
            Some(SectionText::HeaderFields(names())),
        );
        check(
            "1.HEADER.FIELDS.NOT (\"Date\" {3+}\r\nX]y)",
            &[1],
            Some(SectionText::HeaderFieldsNot(names())),
        );
        reject("FETCH 1 BODY[^MIME]");
        reject("FETCH 1 BODY[^0]");
        reject("FETCH 1 BODY[1.^0]");
        reject("FETCH 1 BODY[1.^]");
        reject("FETCH 1 BODY[1^");
        reject("FETCH 1 BODY[^.1]");
        reject("FETCH 1 BODY[TEXT^ ]");
        reject("FETCH 1 BODY[^TEXT.1]");
        reject("FETCH 1 BODY[HEADER.FIELDS^]");
        reject("FETCH 1 BODY[HEADER.FIELDS (^)]");
        reject("FETCH 1 BODY[HEADER.FIELDS (a b)^");
        reject("FETCH 1 BODY[^4294967296]");
        reject("FETCH 1 BODY.PEEK^");
    }

    #[test]
    fn rule_39_partials() {
        let check = |written: &str, want: Option<(u32, u32)>| {
            let partial = want.map(|(origin, count)| Partial { origin, count });
            assert_eq!(
                section_of(&format!("BODY.PEEK[]{written}")).partial,
                partial
            );
        };
        check("", None);
        check("<0.1>", Some((0, 1)));
        check("<4294967295.4294967295>", Some((u32::MAX, u32::MAX)));
        check(
            "<4294967296.9223372036854775807>",
            Some((u32::MAX, u32::MAX)),
        );
        assert_eq!(section_of("BODY.PEEK[]").peek, Peek::Peek);
        assert_eq!(section_of("BODY[]").peek, Peek::Mark);
        reject("FETCH 1 BODY[]<0.^0>");
        reject("FETCH 1 BODY[]<0^>");
        reject("FETCH 1 BODY[]<^.5>");
        reject("FETCH 1 BODY[]<0.5^");
        reject("FETCH 1 BODY[]<^-1.5>");
        reject("FETCH 1 BODY[]<0.^9223372036854775808>");
        reject("FETCH 1 BODY[]<^18446744073709551616.5>");
        reject("FETCH 1 BODY[]^ <0.5>");
    }

    #[test]
    fn rule_41_binary() {
        assert_eq!(
            fetched("(BINARY[1.2]<5.10> BINARY.PEEK[] BINARY.SIZE[3])"),
            [
                FetchItem::Binary(BinarySection {
                    path: vec![1, 2],
                    partial: Some(Partial {
                        origin: 5,
                        count: 10
                    }),
                    peek: Peek::Mark,
                }),
                FetchItem::Binary(BinarySection {
                    path: Vec::new(),
                    partial: None,
                    peek: Peek::Peek,
                }),
                FetchItem::BinarySize(vec![3]),
            ]
        );
        reject("FETCH 1 BINARY^");
        reject("FETCH 1 BINARY[^TEXT]");
        reject("FETCH 1 BINARY[1.^]");
        reject("FETCH 1 BINARY[1^");
        reject("FETCH 1 BINARY.SIZE[1]^<0.5>");
    }

    #[test]
    fn modifiers_follow_the_items() {
        let modifiers = |rest: &str| match accept(rest) {
            Command::Selected(Selected::Fetch(fetch)) => fetch.modifiers,
            other => panic!("{other:?}"),
        };
        let since = |n| FetchModifiers {
            changed_since: ModSeq::new(n),
            vanished: false,
            page: None,
        };
        assert_eq!(modifiers("FETCH 1 FAST"), FetchModifiers::default());
        assert_eq!(modifiers("FETCH 1 FAST (changedsince 5)"), since(5));
        assert_eq!(modifiers("UID FETCH 1 (UID) (CHANGEDSINCE 0)"), since(1));
        assert_eq!(
            modifiers("FETCH 1 UID (CHANGEDSINCE 9223372036854775807)"),
            since(i64::MAX.unsigned_abs())
        );
        assert!(modifiers("UID FETCH 1 UID (VANISHED CHANGEDSINCE 5)").vanished);
        let page = modifiers("UID FETCH 1 UID (partial -1:-30 CHANGEDSINCE 5)").page;
        let newest = PageEnd::Newest;
        let (end, first, last) = (newest, 1, 30);
        assert_eq!(page, Some(Page { end, first, last }));
        reject("FETCH 1 UID (^PARTIAL 1:2)");
        reject("UID FETCH 1 UID (PARTIAL^)");
        reject("UID FETCH 1 UID (PARTIAL ^*:2)");
        reject("UID FETCH 1 UID (PARTIAL -1:^2)");
        reject("UID FETCH 1 UID (PARTIAL 1:2 ^PARTIAL 3:4)");
        incomplete("UID FETCH 1 UID (CHANGEDSINCE 5 VANISHED)");
        reject("FETCH 1 UID (^)");
        reject("FETCH 1 UID (^)");
        reject("FETCH 1 UID (^X)");
        reject("FETCH 1 UID (CHANGEDSINCE^)");
        reject("FETCH 1 UID (CHANGEDSINCE ^x)");
        reject("FETCH 1 UID (CHANGEDSINCE ^9223372036854775808)");
        reject("FETCH 1 UID (CHANGEDSINCE 5 ^CHANGEDSINCE 5)");
        reject("FETCH 1 UID (CHANGEDSINCE 5)^ (CHANGEDSINCE 5)");
        reject("FETCH 1 UID (CHANGEDSINCE 5^");
    }

    #[test]
    fn rule_10_vanished_only_in_uid_fetch_with_changedsince() {
        reject("FETCH 1 UID (CHANGEDSINCE 5 ^VANISHED)");
        reject("UID FETCH 1 UID^ (VANISHED)");
    }

    #[test]
    fn items_are_bounded() {
        let max = Limits::AFTER_LOGIN.fetch_items_max;
        let parts: Vec<String> = (1..=max).map(|n| format!("BODY[{n}]")).collect();
        assert_eq!(fetched(&format!("({})", parts.join(" "))).len(), max);
        reject(&format!("FETCH 1 ({} ^UID)", parts.join(" ")));
    }
}
