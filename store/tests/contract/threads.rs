//! Conversations: which messages are of one, and that this stays (RFC 8474 §5.2).

use mail::id::{ThreadId, Uid};
use store::{Account, Expunge, Mailbox, Static};

use crate::support::*;

const DAY: i64 = 24 * 60 * 60;

/// A message with a subject and identifiers: its own, then those it answers.
fn conversing(subject: &str, ids: &[&str]) -> (Vec<u8>, Static) {
    let text = format!("Subject: {subject}\r\n\r\n{}\r\n", "text ".repeat(2_000));
    let fixed = Static {
        thread_keys: ids.iter().map(|id| (*id).into()).collect(),
        ..fixed(text.as_bytes())
    };
    (text.into_bytes(), fixed)
}

async fn say(account: &dyn Account, to: &str, subject: &str, ids: &[&str]) -> Uid {
    let (text, fixed) = conversing(subject, ids);
    let message = try_message(account, &text, fixed, "").await.unwrap();
    let to = id_of(account, to).unwrap();
    let appended = account.append(to, vec![message]).await.unwrap();
    appended.uids.first().unwrap()
}

async fn thread_of(account: &dyn Account, mailbox: &str, uid: Uid) -> ThreadId {
    open(account, mailbox)
        .await
        .state()
        .row(uid)
        .unwrap()
        .thread
}

async fn threads(mailbox: &dyn Mailbox) -> Vec<ThreadId> {
    mailbox.state().rows().map(|(_, row)| row.thread).collect()
}

pub(crate) async fn answers_join_what_they_answer(given: &mut Given) {
    let account = given.account("a").await;
    say(&*account, "INBOX", "Lunch", &["1@x"]).await;
    let sent = say(&*account, "Sent", "Re: Lunch", &["2@x", "1@x"]).await;
    let inbox = open(&*account, "INBOX").await;
    let lunch = threads(&*inbox).await[0];
    assert_eq!(thread_of(&*account, "Sent", sent).await, lunch);
    // Those that come together know each other, also if the answer comes first.
    let mut together = Vec::new();
    for ids in [&["5@x", "4@x"][..], &["4@x"]] {
        let (text, fixed) = conversing("Dinner", ids);
        together.push(try_message(&*account, &text, fixed, "").await.unwrap());
    }
    account.append(inbox.id(), together).await.unwrap();
    let all = threads(&*inbox).await;
    assert_eq!(all[1], all[2]);
    assert_ne!(all[1], lunch);
    // Two conversations stay two, whatever joins them (RFC 8474 §5.2: it is never changed).
    let both = say(&*account, "INBOX", "Dinner", &["6@x", "4@x", "1@x"]).await;
    assert_eq!(thread_of(&*account, "INBOX", both).await, all[1]);
    assert_eq!(threads(&*inbox).await[..3], all);
    // Another account's mail is not known here.
    let other = given.account("b").await;
    let alone = say(&*other, "INBOX", "Re: Lunch", &["7@x", "1@x"]).await;
    assert_ne!(thread_of(&*other, "INBOX", alone).await, lunch);
}

pub(crate) async fn a_conversation_goes_on_whatever_was_lost(given: &mut Given) {
    let account = given.account("a").await;
    let first = say(&*account, "INBOX", "Lunch", &["0@x"]).await;
    let lunch = thread_of(&*account, "INBOX", first).await;
    drop(account);
    for (n, lost) in [Lost::Nothing, Lost::Index, Lost::Summaries]
        .into_iter()
        .enumerate()
    {
        given.reopen_without(lost).await;
        let account = given.open("a").await;
        let own = format!("{}@x", n + 1);
        let answer = say(&*account, "INBOX", "Re: Lunch", &[&own, &format!("{n}@x")]).await;
        let inbox = open(&*account, "INBOX").await;
        assert_eq!(thread_of(&*account, "INBOX", answer).await, lunch);
        // A copy and what was moved keep it.
        let (copied, moved) = (id_of(&*account, "Sent"), id_of(&*account, "Trash"));
        inbox.copy(&uids(&[1]), copied.unwrap()).await.unwrap();
        let answer = [answer].into_iter().collect();
        inbox.move_to(&answer, moved.unwrap()).await.unwrap();
        for mailbox in ["INBOX", "Sent", "Trash"] {
            let all = threads(&*open(&*account, mailbox).await).await;
            assert!(all.iter().all(|thread| *thread == lunch), "{mailbox} {n}");
        }
    }
}

pub(crate) async fn a_conversation_is_forgotten_with_its_last_message(given: &mut Given) {
    let account = given.account("a").await;
    let first = say(&*account, "INBOX", "Lunch", &["1@x"]).await;
    let lunch = thread_of(&*account, "INBOX", first).await;
    // More than is remembered apart from the index.
    for n in 0..1_100 {
        say(&*account, "INBOX", "Other", &[&format!("other{n}@x")]).await;
    }
    empty(&*account, "INBOX").await;
    // Within the undelete window it is still known.
    let again = say(&*account, "INBOX", "Re: Lunch", &["2@x", "1@x"]).await;
    assert_eq!(thread_of(&*account, "INBOX", again).await, lunch);
    // So much that the segment is closed, …
    let inbox = id_of(&*account, "INBOX").unwrap();
    append(&*account, inbox, &noise(8 << 20)).await;
    // … and worth rewriting.
    empty(&*account, "INBOX").await;
    let sent = id_of(&*account, "Sent").unwrap();
    append(&*account, sent, &noise(8 << 20)).await;
    given.clock.set(NOW + 8 * DAY);
    // The store may have begun by itself.
    given.store.compact().await.unwrap();
    let later = say(&*account, "INBOX", "Re: Lunch", &["3@x", "1@x"]).await;
    assert_ne!(thread_of(&*account, "INBOX", later).await, lunch);
}

async fn empty(account: &dyn Account, mailbox: &str) {
    let mailbox = open(account, mailbox).await;
    let (change, deleted) = (mail::flag::FlagChange::Add, flags("\\Deleted"));
    let stored = mailbox.store_flags(&all(), change, &deleted, None).await;
    stored.unwrap();
    mailbox.expunge(Expunge::Deleted).await.unwrap();
}

/// Text that becomes half as short at most.
fn noise(bytes: usize) -> String {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::from("Subject: noise\r\n\r\n");
    while text.len() < bytes {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        text.push_str(&format!("{random:x}"));
    }
    text.truncate(bytes);
    text
}
