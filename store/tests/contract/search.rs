//! Searching (RFC 9051 §6.4.4).

use mail::{
    date::{Date, DateTime},
    flag::{Keyword, SystemFlags},
    predicate::{DateField, DateRelation, Predicate, TextField},
    set::UidSet,
};
use store::Mailbox;

use crate::support::*;

async fn found(mailbox: &dyn Mailbox, predicate: Predicate<UidSet>) -> String {
    let found = mailbox.search(&mailbox.state(), &predicate).await.unwrap();
    found.to_string()
}

fn text(field: TextField, text: &str) -> Predicate<UidSet> {
    Predicate::Text(field, text.into())
}

fn header(name: &str, value: &str) -> Predicate<UidSet> {
    text(TextField::Header(name.into()), value)
}

pub(crate) async fn rows_answer_flags_sizes_dates_and_uids(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    for (n, named) in ["\\Seen", "\\Seen Work", "\\Flagged", ""]
        .iter()
        .enumerate()
    {
        let body = format!(
            "Date: {} Mar 2020 23:00:00 -0500\r\n\r\n{}",
            n + 1,
            "x".repeat(n * 10)
        );
        let mut new = message(&*account, body.as_bytes(), named).await;
        new.internal_date = Some(DateTime {
            secs: 1_000_000_000 + i64::try_from(n).unwrap() * 86_400,
            offset_minutes: 600,
        });
        account.append(inbox.id(), vec![new]).await.unwrap();
    }
    let day = |year, month, day| Date::new(year, month, day).unwrap();
    let date = |field, relation, day| Predicate::Date(field, relation, day);
    let size = u64::from(inbox.state().row(uid(2)).unwrap().size);
    for (predicate, want) in [
        (Predicate::All, "1:4"),
        (Predicate::nothing(), ""),
        (Predicate::Recent, ""),
        (Predicate::Flags(SystemFlags::SEEN), "1:2"),
        (Predicate::Keyword(Keyword::new("wORK").unwrap()), "2"),
        (Predicate::Larger(size), "3:4"),
        (Predicate::Smaller(size), "1"),
        (
            Predicate::Messages(UidSet::range(uid(3), mail::id::Uid::MAX)),
            "3:4",
        ),
        (
            Predicate::ModSeq(inbox.state().row(uid(3)).unwrap().mod_seq),
            "3:4",
        ),
        // 2001-09-09 11:46 in its own zone.
        (
            date(DateField::Internal, DateRelation::On, day(2001, 9, 9)),
            "1",
        ),
        (
            date(DateField::Internal, DateRelation::Before, day(2001, 9, 11)),
            "1:2",
        ),
        (
            date(DateField::Sent, DateRelation::Since, day(2020, 3, 3)),
            "3:4",
        ),
        (
            date(DateField::Sent, DateRelation::On, day(2020, 3, 2)),
            "2",
        ),
        (
            date(DateField::Saved, DateRelation::On, day(2027, 1, 15)),
            "1:4",
        ),
    ] {
        let name = format!("{predicate:?}");
        assert_eq!(found(&*inbox, predicate).await, want, "{name}");
    }
}

pub(crate) async fn texts_are_decoded_and_compared_in_any_case(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let latin = "Subject: one\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nEin sch=F6ner Gru=\r\n=DF\r\n";
    let base64 = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        R3LDvMOfZSBhdXMgS8O2bG4=\r\n";
    let html = "Subject: page\r\nContent-Type: text/html\r\n\r\n\
        <p>big <b>wo</b>rd</p><script>hidden</script>";
    for message in [latin, base64, html, "Subject: empty\r\n\r\n"] {
        append(&*account, inbox.id(), message).await;
    }
    let (body, all) = (|| TextField::Body, || TextField::Text);
    for (predicate, want) in [
        (text(body(), "SCH\u{d6}NER"), "1"),
        (text(body(), "gru\u{df}"), "1"),
        (text(body(), "k\u{f6}ln"), "2"),
        (text(body(), "Big Word"), "3"),
        (text(body(), "hidden"), ""),
        (text(body(), "j\u{fc}rgen"), ""),
        (text(all(), "J\u{dc}RGEN"), "2"),
        (text(all(), "subject: page"), "3"),
        (text(body(), ""), "1:4"),
        (text(all(), "nowhere"), ""),
    ] {
        let name = format!("{predicate:?}");
        assert_eq!(found(&*inbox, predicate).await, want, "{name}");
    }
}

pub(crate) async fn headers_are_found_whether_kept_or_not(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    // The test's static data keeps Subject and nothing else.
    for message in [
        "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nX-Tag: one\r\nX-Tag: two\r\n\r\n",
        "Subject: plain\r\nx-tag: Folded\r\n value\r\n\r\n",
        "To: a@example.org\r\n\r\nSubject: not here\r\n",
    ] {
        append(&*account, inbox.id(), message).await;
    }
    for (predicate, want) in [
        (header("Subject", "GR\u{dc}"), "1"),
        (header("subject", ""), "1:2"),
        (header("SUBJECT", "not here"), ""),
        (header("X-Tag", "TWO"), "1"),
        (header("x-tag", "folded value"), "2"),
        (header("X-Tag", ""), "1:2"),
        (header("To", "example"), "3"),
        (header("Cc", ""), ""),
    ] {
        let name = format!("{predicate:?}");
        assert_eq!(found(&*inbox, predicate).await, want, "{name}");
    }
}

pub(crate) async fn logic_holds_whatever_the_order(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "Subject: a\r\n\r\nx", "\\Seen").await;
    append(&*account, inbox.id(), "Subject: b\r\n\r\nx").await;
    append(&*account, inbox.id(), "Subject: a\r\n\r\ny").await;
    let seen = || Predicate::Flags(SystemFlags::SEEN);
    let a = || header("subject", "a");
    let x = || text(TextField::Body, "X");
    let not = |p| Predicate::Not(Box::new(p));
    let or = |p, q| Predicate::Or(Box::new((p, q)));
    for (predicate, want) in [
        (Predicate::And(vec![]), "1:3"),
        (Predicate::And(vec![x(), a()]), "1"),
        (Predicate::And(vec![x(), not(seen())]), "2"),
        (or(x(), a()), "1:3"),
        (or(x(), seen()), "1:2"),
        (not(or(not(x()), a())), "2"),
        (Predicate::And(vec![or(a(), x()), not(a())]), "2"),
        (Predicate::And(vec![Predicate::nothing(), x()]), ""),
    ] {
        let name = format!("{predicate:?}");
        assert_eq!(found(&*inbox, predicate).await, want, "{name}");
    }
    // A search answers for the version it is given.
    let old = inbox.state();
    append(&*account, inbox.id(), "Subject: a\r\n\r\nx").await;
    let found = inbox.search(&old, &a()).await.unwrap();
    assert_eq!(found.to_string(), "1,3");
}
