//! Known answers for every response and code.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use mail::{
    date::DateTime,
    flag::{Flags, Keyword, SystemFlags},
    id::{BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity},
    mailbox::{MailboxName, SpecialUse},
    set::{Set, UidSet},
    structure::{Section, SectionText},
};

use super::*;
use crate::imap::{
    code::NewKeywords,
    fetch::{BinarySection, BodyName, BodySection, Partial, Peek},
    list::SelectOptions,
    quota::{QuotaResource, Resource},
    response::{Content, ListAttribute, ListEntry, MailboxStatus, Recent},
    sequence::Seq,
    status::StatusItem,
};

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn uids(ranges: &[(u32, u32)]) -> UidSet {
    ranges.iter().map(|&(a, b)| (uid(a), uid(b))).collect()
}

fn seq(n: u32) -> Seq {
    Seq::new(n).unwrap()
}

fn keyword(name: &str) -> Keyword {
    Keyword::new(name).unwrap()
}

fn untagged(mode: Mode, response: &Untagged) -> String {
    let mut out = Vec::new();
    Encoder::new(mode).untagged(&mut out, response);
    String::from_utf8(out).unwrap()
}

fn completion(status: Status, code: Option<Code>, text: &'static str) -> Completion {
    Completion {
        status,
        code,
        text: Cow::Borrowed(text),
    }
}

fn with_code(code: Code) -> String {
    untagged(
        Mode::REV1,
        &Untagged::Status(completion(Status::Ok, Some(code), "x")),
    )
}

#[test]
fn conditions() {
    let ok = |text| completion(Status::Ok, None, text);
    assert_eq!(
        untagged(Mode::REV1, &Untagged::Status(ok("hello"))),
        "* OK hello\r\n"
    );
    assert_eq!(
        untagged(
            Mode::REV1,
            &Untagged::Status(completion(Status::No, None, "n"))
        ),
        "* NO n\r\n"
    );
    assert_eq!(
        untagged(
            Mode::REV1,
            &Untagged::Status(completion(Status::Bad, None, "b"))
        ),
        "* BAD b\r\n"
    );
    assert_eq!(
        untagged(Mode::REV1, &Untagged::PreAuth(None, Cow::Borrowed("in"))),
        "* PREAUTH in\r\n"
    );
    assert_eq!(
        untagged(
            Mode::REV1,
            &Untagged::Bye(Some(Code::Unavailable), Cow::Borrowed("bye"))
        ),
        "* BYE [UNAVAILABLE] bye\r\n"
    );
}

#[test]
fn tagged_responses() {
    let check = |tag: &str, want: &str| {
        let mut out = Vec::new();
        let done = completion(Status::No, Some(Code::TryCreate), "no such mailbox");
        Encoder::new(Mode::REV1).tagged(&mut out, &Tag(tag.into()), &done);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    };
    check("A1", "A1 NO [TRYCREATE] no such mailbox\r\n");
    check("a]", "a] NO [TRYCREATE] no such mailbox\r\n");
    check("a\r\n* BYE", "* NO [TRYCREATE] no such mailbox\r\n");
}

#[test]
fn continuations() {
    let mut out = Vec::new();
    let encoder = Encoder::new(Mode::REV1);
    encoder.continuation(&mut out, "idling");
    encoder.challenge(&mut out, b"");
    encoder.challenge(&mut out, b"a\0b");
    assert_eq!(out, b"+ idling\r\n+ \r\n+ YQBi\r\n");
}

#[test]
fn codes_without_data() {
    let codes = [
        Code::Alert,
        Code::AlreadyExists,
        Code::AuthenticationFailed,
        Code::AuthorizationFailed,
        Code::Cannot,
        Code::ClientBug,
        Code::Closed,
        Code::ContactAdmin,
        Code::Corruption,
        Code::Expired,
        Code::ExpungeIssued,
        Code::HasChildren,
        Code::InUse,
        Code::Limit,
        Code::NonExistent,
        Code::NoPerm,
        Code::NotificationOverflow,
        Code::NotSaved,
        Code::OverQuota,
        Code::Parse,
        Code::PrivacyRequired,
        Code::ReadOnly,
        Code::ReadWrite,
        Code::ServerBug,
        Code::TooBig,
        Code::TryCreate,
        Code::UidNotSticky,
        Code::UidRequired,
        Code::Unavailable,
        Code::UnknownCte,
        Code::UseAttr,
    ];
    let names = "ALERT ALREADYEXISTS AUTHENTICATIONFAILED AUTHORIZATIONFAILED CANNOT CLIENTBUG \
        CLOSED CONTACTADMIN CORRUPTION EXPIRED EXPUNGEISSUED HASCHILDREN INUSE LIMIT NONEXISTENT \
        NOPERM NOTIFICATIONOVERFLOW NOTSAVED OVERQUOTA PARSE PRIVACYREQUIRED READ-ONLY READ-WRITE SERVERBUG TOOBIG \
        TRYCREATE UIDNOTSTICKY UIDREQUIRED UNAVAILABLE UNKNOWN-CTE USEATTR";
    assert_eq!(codes.len(), names.split(' ').count());
    for (code, name) in codes.into_iter().zip(names.split(' ')) {
        assert_eq!(with_code(code), format!("* OK [{name}] x\r\n"));
    }
}

#[test]
fn codes_with_data() {
    let check = |code, want: &str| assert_eq!(with_code(code), format!("* OK {want}x\r\n"));
    check(Code::UidNext(uid(4392)), "[UIDNEXT 4392] ");
    let mailbox = MailboxId::new(0xabc).unwrap();
    check(Code::MailboxId(mailbox), "[MAILBOXID (Fabc)] ");
    check(
        Code::UidValidity(UidValidity::MAX),
        "[UIDVALIDITY 4294967295] ",
    );
    check(Code::Unseen(seq(12)), "[UNSEEN 12] ");
    check(
        Code::Capability("IMAP4rev1 ID".into()),
        "[CAPABILITY IMAP4rev1 ID] ",
    );
    check(
        Code::BadEvent,
        "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)] ",
    );
    check(Code::BadCharset(&[]), "[BADCHARSET] ");
    check(
        Code::BadCharset(&["US-ASCII", "UTF-8"]),
        "[BADCHARSET (US-ASCII UTF-8)] ",
    );
    let system = SystemFlags::DELETED.with(SystemFlags::SEEN);
    check(
        Code::PermanentFlags(system, vec![keyword("$Junk")], NewKeywords::Allowed),
        "[PERMANENTFLAGS (\\Deleted \\Seen $Junk \\*)] ",
    );
    check(
        Code::PermanentFlags(SystemFlags::NONE, vec![], NewKeywords::Refused),
        "[PERMANENTFLAGS ()] ",
    );
}

#[test]
fn rule_16_appenduid_is_one_number_and_copyuid_pairs_in_order() {
    let check = |code, want: &str| assert_eq!(with_code(code), format!("* OK {want}x\r\n"));
    let validity = UidValidity::new(38505).unwrap();
    check(
        Code::AppendUid(validity, uids(&[(5, 5)])),
        "[APPENDUID 38505 5] ",
    );
    check(
        Code::AppendUid(validity, uids(&[(5, 7)])),
        "[APPENDUID 38505 5:7] ",
    );
    check(
        Code::CopyUid(
            validity,
            uids(&[(304, 304), (319, 320)]),
            uids(&[(3956, 3958)]),
        ),
        "[COPYUID 38505 304,319:320 3956:3958] ",
    );
    check(Code::CopyUid(validity, UidSet::new(), UidSet::new()), "");
    check(
        Code::HighestModSeq(ModSeq::MAX),
        "[HIGHESTMODSEQ 9223372036854775807] ",
    );
    let left = NumberSet::Uid(uids(&[(7, 7), (9, 12)]));
    check(Code::Modified(left), "[MODIFIED 7,9:12] ");
    check(Code::Modified(NumberSet::Seq(Set::new())), "");
    check(Code::AppendUid(validity, UidSet::new()), "");
}

#[test]
fn server_and_numbers() {
    let check = |response, want: &str| assert_eq!(untagged(Mode::REV2, &response), want);
    check(
        Untagged::Capability("IMAP4rev2 IMAP4rev1".into()),
        "* CAPABILITY IMAP4rev2 IMAP4rev1\r\n",
    );
    check(Untagged::Enabled(vec![]), "* ENABLED\r\n");
    check(
        Untagged::Enabled(vec![Enableable::Imap4Rev2, Enableable::Utf8Accept]),
        "* ENABLED IMAP4rev2 UTF8=ACCEPT\r\n",
    );
    check(Untagged::Id(vec![]), "* ID NIL\r\n");
    check(
        Untagged::Id(vec![("name", "relate-imap".into()), ("v", "a\"b".into())]),
        "* ID (\"name\" \"relate-imap\" \"v\" \"a\\\"b\")\r\n",
    );
    check(
        Untagged::Namespace,
        "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n",
    );
    check(Untagged::Exists(0), "* 0 EXISTS\r\n");
    check(Untagged::Recent(3), "* 3 RECENT\r\n");
    check(Untagged::Expunge(seq(44)), "* 44 EXPUNGE\r\n");
    check(Untagged::Search(vec![], None), "* SEARCH\r\n");
    check(Untagged::Search(vec![2, 3, 6], None), "* SEARCH 2 3 6\r\n");
    let mod_seq = ModSeq::new(917_162_500);
    check(
        Untagged::Search(vec![2, 5], mod_seq),
        "* SEARCH 2 5 (MODSEQ 917162500)\r\n",
    );
    check(Untagged::Search(vec![], mod_seq), "* SEARCH\r\n");
    check(
        Untagged::Vanished(Vanished::Now, uids(&[(4, 4), (6, 9)])),
        "* VANISHED 4,6:9\r\n",
    );
    check(
        Untagged::Vanished(Vanished::Earlier, uids(&[(1, 300)])),
        "* VANISHED (EARLIER) 1:300\r\n",
    );
    check(Untagged::Vanished(Vanished::Now, UidSet::new()), "");
    check(
        Untagged::Flags(SystemFlags::from_bits(31), vec![keyword("$Forwarded")]),
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n",
    );
}

#[test]
fn rule_24_esearch_names_its_command_also_when_empty() {
    let check = |result, want: &str| {
        assert_eq!(untagged(Mode::REV2, &Untagged::ESearch(result)), want);
    };
    let empty = ESearch {
        tag: Tag("A282".into()),
        numbers: Numbers::Seq,
        min: None,
        max: None,
        all: Some(NumberSet::Seq(Set::new())),
        count: None,
        mod_seq: None,
        partial: None,
    };
    check(empty.clone(), "* ESEARCH (TAG \"A282\")\r\n");
    check(
        ESearch {
            numbers: Numbers::Uid,
            min: Some(7),
            max: Some(3800),
            count: Some(15),
            all: Some(NumberSet::Uid(uids(&[(7, 7), (9, 3800)]))),
            ..empty.clone()
        },
        "* ESEARCH (TAG \"A282\") UID MIN 7 MAX 3800 COUNT 15 ALL 7,9:3800\r\n",
    );
    check(
        ESearch {
            all: Some(NumberSet::Seq(Set::range(seq(1), seq(3)))),
            count: Some(3),
            mod_seq: ModSeq::new(1_236),
            ..empty.clone()
        },
        "* ESEARCH (TAG \"A282\") COUNT 3 ALL 1:3 MODSEQ 1236\r\n",
    );
    let page = |end| Page {
        end,
        first: 500,
        last: 1,
    };
    let newest = NumberSet::Uid(uids(&[(7, 7), (9, 12)]));
    check(
        ESearch {
            all: None,
            partial: Some((page(PageEnd::Newest), newest)),
            ..empty.clone()
        },
        "* ESEARCH (TAG \"A282\") PARTIAL (-500:-1 7,9:12)\r\n",
    );
    check(
        ESearch {
            partial: Some((page(PageEnd::Oldest), NumberSet::Seq(Set::new()))),
            ..empty
        },
        "* ESEARCH (TAG \"A282\") PARTIAL (500:1 NIL)\r\n",
    );
}

#[test]
fn batches_of_uids() {
    let check = |batches: &[(u32, u32)], want: &str| {
        let uid = |n| Uid::new(n).unwrap();
        let batches = batches.iter().map(|(a, b)| (uid(*a), uid(*b))).collect();
        let response = Untagged::UidBatches(Tag("A143".into()), batches);
        assert_eq!(untagged(Mode::REV1, &response), want);
    };
    check(&[], "* UIDBATCHES (TAG \"A143\")\r\n");
    check(
        &[(215_295, 99_696), (99_695, 7), (6, 6)],
        "* UIDBATCHES (TAG \"A143\") 215295:99696,99695:7,6:6\r\n",
    );
}

#[test]
fn codes_of_progress_and_limits() {
    let check = |code, want: &str| {
        let completion = Completion {
            status: Status::Ok,
            code: Some(code),
            text: "x".into(),
        };
        assert_eq!(
            untagged(Mode::REV1, &Untagged::Status(completion)),
            format!("* OK [{want}] x\r\n")
        );
    };
    let progress = |tag: &str, state| Code::InProgress(Tag(tag.into()), state);
    check(progress("a", None), "INPROGRESS (\"a\" NIL NIL)");
    check(
        progress("a", Some((175, None))),
        "INPROGRESS (\"a\" 175 NIL)",
    );
    check(progress("a", Some((0, Some(1)))), "INPROGRESS (\"a\" 0 1)");
    check(progress("a]", Some((5, Some(5)))), "INPROGRESS (NIL 5 NIL)");
    check(Code::MessageLimit(1_000, None), "MESSAGELIMIT 1000");
    check(
        Code::MessageLimit(1_000, Uid::new(7)),
        "MESSAGELIMIT 1000 7",
    );
    check(Code::TooFew, "TOOFEW");
    check(Code::TooMany, "TOOMANY");
    check(Code::CompressionActive, "COMPRESSIONACTIVE");
}

fn entry(name: &str) -> ListEntry {
    ListEntry {
        attributes: vec![ListAttribute::HasNoChildren],
        name: Some(MailboxName::new(name).unwrap()),
        old_name: None,
        child_info: None,
    }
}

#[test]
fn lists() {
    let check = |mode, response, want: &str| assert_eq!(untagged(mode, &response), want);
    check(
        Mode::REV1,
        Untagged::List(ListEntry {
            attributes: vec![ListAttribute::NoSelect],
            name: None,
            ..entry("x")
        }),
        "* LIST (\\Noselect) \"/\" \"\"\r\n",
    );
    let attributes = vec![
        ListAttribute::NonExistent,
        ListAttribute::NoInferiors,
        ListAttribute::HasChildren,
        ListAttribute::Subscribed,
        ListAttribute::SpecialUse(SpecialUse::Sent),
    ];
    check(
        Mode::REV1,
        Untagged::List(ListEntry {
            attributes,
            ..entry("a b")
        }),
        "* LIST (\\NonExistent \\Noinferiors \\HasChildren \\Subscribed \\Sent) \"/\" \"a b\"\r\n",
    );
    check(
        Mode::REV1,
        Untagged::Lsub(entry("inbox")),
        "* LSUB (\\HasNoChildren) \"/\" INBOX\r\n",
    );
    check(
        Mode::REV1,
        Untagged::List(entry("Entwürfe")),
        "* LIST (\\HasNoChildren) \"/\" Entw&APw-rfe\r\n",
    );
}

#[test]
fn rule_50_names_keep_their_spelling_in_rev1_and_are_nfc_in_rev2() {
    let decomposed = entry("u\u{308}");
    let check = |mode, want: &str| {
        let line = untagged(mode, &Untagged::List(decomposed.clone()));
        assert_eq!(line, format!("* LIST (\\HasNoChildren) \"/\" {want}\r\n"));
    };
    check(Mode::REV1, "u&Awg-");
    check(Mode::REV1_UTF8, "\"ü\"");
    check(Mode::REV2, "\"ü\"");
}

#[test]
fn extended_list_data() {
    let both = ListEntry {
        old_name: Some(MailboxName::new("u\u{308}").unwrap()),
        child_info: Some(SelectOptions {
            subscribed: true,
            ..SelectOptions::default()
        }),
        ..entry("ü")
    };
    let check = |mode, entry: &ListEntry, want: &str| {
        let line = untagged(mode, &Untagged::List(entry.clone()));
        assert_eq!(line, format!("* LIST (\\HasNoChildren) \"/\" {want}\r\n"));
    };
    check(
        Mode::REV2,
        &both,
        "\"ü\" (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"u\u{308}\"))",
    );
    check(
        Mode::REV1,
        &both,
        "&APw- (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"u&Awg-\"))",
    );
    let special = ListEntry {
        old_name: None,
        child_info: Some(SelectOptions {
            subscribed: true,
            special_use: true,
            recursive_match: true,
            remote: true,
        }),
        ..both.clone()
    };
    check(
        Mode::REV2,
        &special,
        "\"ü\" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))",
    );
    let old = ListEntry {
        child_info: None,
        ..both
    };
    check(Mode::REV2, &old, "\"ü\" (\"OLDNAME\" (\"u\u{308}\"))");
    check(Mode::REV1_UTF8, &old, "\"ü\" (\"OLDNAME\" (\"u\u{308}\"))");
}

#[test]
fn quotas() {
    let check = |response, want: &str| assert_eq!(untagged(Mode::REV1, &response), want);
    let inbox = MailboxName::new("a b").unwrap();
    let roots = Untagged::QuotaRoots(inbox.clone(), vec!["", "user quota"]);
    check(roots, "* QUOTAROOT \"a b\" \"\" \"user quota\"\r\n");
    check(
        Untagged::QuotaRoots(inbox, vec![]),
        "* QUOTAROOT \"a b\"\r\n",
    );
    check(Untagged::Quota("", vec![]), "* QUOTA \"\" ()\r\n");
    let of = |resource, usage, limit| QuotaResource {
        resource,
        usage,
        limit,
    };
    let resources = vec![
        of(Resource::Storage, 104, 10_923_847),
        of(Resource::Message, 0, 0),
        of(Resource::Mailbox, 1, i64::MAX as u64),
    ];
    check(
        Untagged::Quota("account", resources),
        "* QUOTA account (STORAGE 104 10923847 MESSAGE 0 0 MAILBOX 1 9223372036854775807)\r\n",
    );
}

#[test]
fn xlist_has_names_of_its_own() {
    let line = |attribute| {
        let attributes = vec![attribute];
        let name = entry("x");
        untagged(
            Mode::REV1,
            &Untagged::Xlist(ListEntry { attributes, ..name }),
        )
    };
    for (attribute, want) in [
        (ListAttribute::Inbox, "\\Inbox"),
        (ListAttribute::XlistUse(SpecialUse::All), "\\AllMail"),
        (ListAttribute::XlistUse(SpecialUse::Flagged), "\\Starred"),
        (ListAttribute::XlistUse(SpecialUse::Junk), "\\Spam"),
        (ListAttribute::XlistUse(SpecialUse::Sent), "\\Sent"),
        (
            ListAttribute::XlistUse(SpecialUse::Important),
            "\\Important",
        ),
    ] {
        assert_eq!(line(attribute), format!("* XLIST ({want}) \"/\" x\r\n"));
    }
}

#[test]
fn statuses() {
    let status = MailboxStatus {
        name: MailboxName::new("blurdybloop").unwrap(),
        items: vec![
            (StatusItem::Messages, 231),
            (StatusItem::UidNext, 44292),
            (StatusItem::UidValidity, 1),
            (StatusItem::Unseen, 0),
            (StatusItem::Deleted, 2),
            (StatusItem::Size, u64::from(u32::MAX) + 1),
            (StatusItem::Recent, 3),
            (StatusItem::AppendLimit, 4),
        ],
    };
    assert_eq!(
        untagged(Mode::REV2, &Untagged::MailboxStatus(status)),
        "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 1 UNSEEN 0 DELETED 2 \
         SIZE 4294967296 RECENT 3 APPENDLIMIT 4)\r\n"
    );
}

fn body(name: BodyName, path: &[u32], text: Option<SectionText>) -> BodySection {
    BodySection {
        name,
        section: Section {
            path: path.to_vec(),
            text,
        },
        partial: None,
        peek: Peek::Peek,
    }
}

fn fetched(items: Vec<FetchData>) -> String {
    let line = untagged(Mode::REV1, &Untagged::Fetch(Subject::Seq(seq(7)), items));
    line.strip_prefix("* 7 FETCH (")
        .unwrap()
        .strip_suffix(")\r\n")
        .unwrap()
        .to_owned()
}

#[test]
fn fetch_metadata() {
    let flags = Arc::new(Flags::new(SystemFlags::SEEN, [keyword("$Junk")]));
    let at = |secs, offset_minutes| DateTime {
        secs,
        offset_minutes,
    };
    let check = |item, want: &str| assert_eq!(fetched(vec![item]), want);
    check(
        FetchData::Flags(flags.clone(), Recent::Recent),
        "FLAGS (\\Seen $Junk \\Recent)",
    );
    check(FetchData::Flags(Arc::default(), Recent::No), "FLAGS ()");
    check(
        FetchData::InternalDate(at(837_596_665, -420)),
        "INTERNALDATE \"17-Jul-1996 02:44:25 -0700\"",
    );
    check(
        FetchData::InternalDate(at(0, 330)),
        "INTERNALDATE \" 1-Jan-1970 05:30:00 +0530\"",
    );
    check(
        FetchData::Size(u64::MAX),
        "RFC822.SIZE 18446744073709551615",
    );
    check(
        FetchData::Envelope(Bytes::from_static(b"(x)")),
        "ENVELOPE (x)",
    );
    check(FetchData::Body(Bytes::from_static(b"(x)")), "BODY (x)");
    check(
        FetchData::BodyStructure(Bytes::from_static(b"(x)")),
        "BODYSTRUCTURE (x)",
    );
    check(FetchData::BinarySize(vec![1, 2], 9), "BINARY.SIZE[1.2] 9");
    check(
        FetchData::ModSeq(ModSeq::MAX),
        "MODSEQ (9223372036854775807)",
    );
    let body = BodyId::new(0x1f).unwrap();
    check(FetchData::EmailId(body), "EMAILID (M1f)");
    let thread = ThreadId::new(u64::MAX).unwrap();
    check(FetchData::ThreadId(thread), "THREADID (Tffffffffffffffff)");
    check(
        FetchData::SaveDate(at(0, 0)),
        "SAVEDATE \" 1-Jan-1970 00:00:00 +0000\"",
    );
    check(FetchData::Preview("".into()), "PREVIEW \"\"");
    check(
        FetchData::Preview("a \"b\"".into()),
        "PREVIEW \"a \\\"b\\\"\"",
    );
    check(FetchData::Preview("é".into()), "PREVIEW {2}\r\né");
    assert_eq!(
        fetched(vec![
            FetchData::Uid(uid(9)),
            FetchData::Flags(flags, Recent::No),
            FetchData::Size(3),
        ]),
        "UID 9 FLAGS (\\Seen $Junk) RFC822.SIZE 3"
    );
}

#[test]
fn fetch_sections() {
    let content = Some(Content::Bytes(Bytes::from_static(b"hi")));
    let check = |section, want: &str| {
        let line = fetched(vec![FetchData::BodySection(section, content.clone())]);
        assert_eq!(line, format!("{want} {{2}}\r\nhi"));
    };
    let fields = || vec![Box::from(&b"From"[..]), Box::from(&b"a b"[..])];
    check(body(BodyName::Body, &[], None), "BODY[]");
    check(body(BodyName::Body, &[1, 2], None), "BODY[1.2]");
    check(
        body(BodyName::Body, &[], Some(SectionText::Header)),
        "BODY[HEADER]",
    );
    check(
        body(BodyName::Body, &[4], Some(SectionText::Mime)),
        "BODY[4.MIME]",
    );
    check(
        body(BodyName::Body, &[4], Some(SectionText::Text)),
        "BODY[4.TEXT]",
    );
    check(
        body(
            BodyName::Body,
            &[],
            Some(SectionText::HeaderFields(fields())),
        ),
        "BODY[HEADER.FIELDS (From \"a b\")]",
    );
    check(
        body(
            BodyName::Body,
            &[3],
            Some(SectionText::HeaderFieldsNot(fields())),
        ),
        "BODY[3.HEADER.FIELDS.NOT (From \"a b\")]",
    );
    check(body(BodyName::Rfc822, &[], None), "RFC822");
    check(body(BodyName::Rfc822Header, &[], None), "RFC822.HEADER");
    check(body(BodyName::Rfc822Text, &[], None), "RFC822.TEXT");
}

#[test]
fn rule_39_a_partial_answer_names_its_origin_only() {
    let partial = Some(Partial {
        origin: 100,
        count: 5,
    });
    let section = BodySection {
        partial,
        ..body(BodyName::Body, &[], None)
    };
    let past_end = FetchData::BodySection(section, Some(Content::Bytes(Bytes::new())));
    assert_eq!(fetched(vec![past_end]), "BODY[]<100> {0}\r\n");
    let binary = FetchData::Binary(
        vec![2],
        partial,
        Some(Content::Bytes(Bytes::from_static(b"x"))),
    );
    assert_eq!(fetched(vec![binary]), "BINARY[2]<100> {1}\r\nx");
}

#[test]
fn rule_41_nul_is_sent_only_in_a_literal8() {
    let nul = Some(Content::Bytes(Bytes::from_static(b"a\0b\0")));
    let mut out = Vec::new();
    let items = vec![
        FetchData::Binary(vec![], None, nul.clone()),
        FetchData::BodySection(body(BodyName::Body, &[], None), nul),
    ];
    Encoder::new(Mode::REV1).untagged(&mut out, &Untagged::Fetch(Subject::Seq(seq(1)), items));
    assert_eq!(
        out,
        b"* 1 FETCH (BINARY[] ~{4}\r\na\0b\0 BODY[] {4}\r\na\x80b\x80)\r\n"
    );
}

#[test]
fn streamed_content_is_pumped_by_the_caller() {
    let mut out = Vec::new();
    let mut writer = FetchWriter::begin(&mut out, Subject::Seq(seq(2)));
    assert_eq!(writer.item(&mut out, &FetchData::Uid(uid(8))), None);
    let whole = FetchData::BodySection(body(BodyName::Body, &[], None), Some(Content::Stream(4)));
    let pump = writer.item(&mut out, &whole).unwrap();
    assert_eq!((pump.bytes, pump.form), (4, PumpForm::Literal));
    let mut chunk = *b"a\0\0b";
    replace_nul(&mut chunk);
    out.extend_from_slice(&chunk);
    let BinarySection { path, partial, .. } = BinarySection {
        path: vec![1],
        partial: None,
        peek: Peek::Mark,
    };
    let binary = FetchData::Binary(path, partial, Some(Content::Stream(2)));
    let pump = writer.item(&mut out, &binary).unwrap();
    assert_eq!((pump.bytes, pump.form), (2, PumpForm::Literal8));
    out.extend_from_slice(b"\0x");
    writer.end(&mut out);
    assert_eq!(
        out,
        b"* 2 FETCH (UID 8 BODY[] {4}\r\na\x80\x80b BINARY[1] ~{2}\r\n\0x)\r\n"
    );
}

#[test]
fn absent_content_is_nil() {
    assert_eq!(
        fetched(vec![FetchData::BodySection(
            body(BodyName::Body, &[9], None),
            None
        )]),
        "BODY[9] NIL"
    );
    assert_eq!(
        fetched(vec![FetchData::Binary(
            vec![9],
            None,
            Some(Content::Stream(5))
        )]),
        "BINARY[9] NIL"
    );
}

#[test]
fn modes_follow_enable() {
    let utf8 = Mode::REV1.enabled(Enableable::Utf8Accept);
    assert_eq!(utf8, Mode::REV1_UTF8);
    assert_eq!(utf8.enabled(Enableable::Imap4Rev2), Mode::REV2);
    assert_eq!(Mode::REV2.enabled(Enableable::Utf8Accept), Mode::REV2);
    let told_uids = |mode: Mode| mode.tells_vanished();
    assert!(!told_uids(Mode::REV2.enabled(Enableable::CondStore)));
    assert!(told_uids(Mode::REV2.enabled(Enableable::QResync)));
    assert!(told_uids(Mode::REV1.enabled(Enableable::UidOnly)));
}

/// RFC 9586 §3.3: the UID stands where the number stood, and among the items only if asked for.
#[test]
fn uidfetch_begins_with_the_uid() {
    let mode = Mode::REV2.enabled(Enableable::UidOnly);
    let size = FetchData::Size(7);
    let told = |items| untagged(mode, &Untagged::Fetch(Subject::Uid(uid(9)), items));
    assert_eq!(told(vec![size.clone()]), "* 9 UIDFETCH (RFC822.SIZE 7)\r\n");
    let asked = vec![FetchData::Uid(uid(9)), size];
    assert_eq!(told(asked), "* 9 UIDFETCH (UID 9 RFC822.SIZE 7)\r\n");
}
