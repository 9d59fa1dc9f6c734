//! Space of deleted mail comes back after the undelete window, and nothing else goes with it.

use std::sync::Arc;

use mail::{flag::FlagChange, set::UidSet};
use store::{Account, Compacted, Error, Expunge, Mailbox, Options};

use crate::{deliveries::noise, support::*};

const DAY: i64 = 86_400;

/// Puts messages of 100 KB that do not compress into a mailbox.
async fn fill(account: &dyn Account, named: &str, count: u32) {
    let id = id_of(account, named).unwrap();
    for n in 0..count {
        let text = text(n);
        let message = message(account, &text, "").await;
        account.append(id, vec![message]).await.unwrap();
    }
}

fn text(n: u32) -> Vec<u8> {
    noise(100_000 + n as usize)
}

async fn delete(mailbox: &dyn Mailbox, uids: &UidSet) {
    let deleted = flags("\\Deleted");
    let marked = mailbox.store_flags(uids, FlagChange::Add, &deleted, None);
    marked.await.unwrap();
    let gone = mailbox.expunge(Expunge::DeletedOf(uids.clone())).await;
    assert_eq!(gone.as_ref(), Ok(uids));
}

/// What is left of a mailbox of which every fifth message was kept.
async fn kept(account: &dyn Account, named: &str, count: u32) {
    let mailbox = open(account, named).await;
    let there: Vec<u32> = present(&*mailbox).iter().map(mail::id::Uid::get).collect();
    let expected: Vec<u32> = (1..=count).filter(|uid| uid % 5 == 0).collect();
    assert_eq!(there, expected);
    for n in expected {
        assert!(read(&*mailbox, uid(n)).await == text(n - 1), "UID {n}");
    }
    let summary = mailbox.state().summary;
    assert_eq!(summary.uid_next.get(), count + 1);
}

fn four_of_five(count: u32) -> UidSet {
    let gone = (1..=count).filter(|uid| uid % 5 != 0);
    gone.map(uid).collect()
}

pub(crate) async fn deleted_mail_gives_its_space_back(given: &mut Given) {
    let account = given.account("a").await;
    fill(&*account, "INBOX", 100).await;
    fill(&*account, "Sent", 10).await;
    let inbox = open(&*account, "INBOX").await;
    delete(&*inbox, &four_of_five(100)).await;
    let before = given.engine.log_bytes();
    given.clock.set(NOW + 7 * DAY - 1);
    assert_eq!(given.store.compact().await, Ok(Compacted::default()));
    assert!(given.store.room().waiting_bytes >= 8_000_000);
    given.clock.set(NOW + 7 * DAY);
    let done = given.store.compact().await.unwrap();
    assert!(done.segments > 0 && done.bytes_after < done.bytes_before);
    let after = given.engine.log_bytes();
    assert!(before - after > 7_900_000, "{before} and {after}");
    let mod_seq = inbox.state().summary.highest_mod_seq;
    drop((inbox, account));
    for lost in [Lost::Nothing, Lost::Index, Lost::Summaries] {
        given.reopen_without(lost).await;
        let account = given.open("a").await;
        kept(&*account, "INBOX", 100).await;
        let inbox = open(&*account, "INBOX").await;
        assert_eq!(inbox.state().summary.highest_mod_seq, mod_seq);
        assert_eq!(present(&*open(&*account, "Sent").await).count(), 10);
        assert_eq!(given.store.check().await.unwrap(), [""; 0]);
    }
    let account = given.open("a").await;
    let appended = append_many(&*account, id_of(&*account, "INBOX").unwrap(), 1).await;
    assert_eq!(appended, uids(&[101]));
}

pub(crate) async fn a_mailbox_that_is_deleted_gives_its_space_back(given: &mut Given) {
    let account = given.account("a").await;
    account.create_mailbox(&name("x"), &[]).await.unwrap();
    fill(&*account, "x", 50).await;
    fill(&*account, "INBOX", 5).await;
    let x = id_of(&*account, "x").unwrap();
    account.delete_mailbox(x).await.unwrap();
    given.clock.set(NOW + 6 * DAY);
    given.reopen().await;
    let account = given.open("a").await;
    assert_eq!(given.store.compact().await, Ok(Compacted::default()));
    let before = given.engine.log_bytes();
    given.clock.set(NOW + 8 * DAY);
    given.store.compact().await.unwrap();
    assert!(before - given.engine.log_bytes() >= 5_000_000);
    let inbox = open(&*account, "INBOX").await;
    for n in 1..=5 {
        assert!(read(&*inbox, uid(n)).await == text(n - 1));
    }
}

pub(crate) async fn a_purged_account_gives_its_space_back_at_once(given: &mut Given) {
    let (gone, stays) = (given.account("gone").await, given.account("stays").await);
    fill(&*gone, "INBOX", 40).await;
    fill(&*stays, "INBOX", 40).await;
    let rest = try_shared(&*given.store, &noise(90_000)).await.unwrap();
    for account in [&gone, &stays] {
        let inbox = id_of(&**account, "INBOX").unwrap();
        let message = delivery("X: y\r\n", &rest, fixed(&noise(90_000)));
        account.deliver(inbox, message).await.unwrap();
    }
    let before = given.engine.log_bytes();
    given.store.purge_account(gone.info().id).await.unwrap();
    given.store.compact().await.unwrap();
    let after = given.engine.log_bytes();
    assert!(before - after >= 4_000_000, "{before} and {after}");
    given.reopen_without(Lost::Summaries).await;
    let stays = given.open("stays").await;
    let inbox = open(&*stays, "INBOX").await;
    assert_eq!(present(&*inbox).count(), 41);
    assert!(read(&*inbox, uid(40)).await == text(39));
    let shared = [b"X: y\r\n".as_slice(), &noise(90_000)].concat();
    assert!(read(&*inbox, uid(41)).await == shared);
    assert!(given.store.find_account("gone").is_none());
}

pub(crate) async fn a_delivery_under_way_keeps_what_its_recipients_share(given: &mut Given) {
    given.options = Options {
        undelete_secs: 0,
        ..given.options.clone()
    };
    given.reopen().await;
    let (first, second) = (given.account("a").await, given.account("b").await);
    let rest = try_shared(&*given.store, &noise(400_000)).await.unwrap();
    let to = async |account: &Arc<dyn Account>| {
        let inbox = id_of(&**account, "INBOX").unwrap();
        let message = delivery("X: y\r\n", &rest, fixed(&noise(400_000)));
        account.deliver(inbox, message).await.unwrap();
    };
    to(&first).await;
    delete(&*open(&*first, "INBOX").await, &uids(&[1])).await;
    given.clock.set(NOW + DAY);
    given.store.compact().await.unwrap();
    to(&second).await;
    let whole = [b"X: y\r\n".as_slice(), &noise(400_000)].concat();
    given.store.compact().await.unwrap();
    assert!(read(&*open(&*second, "INBOX").await, uid(1)).await == whole);
    drop(rest);
    delete(&*open(&*second, "INBOX").await, &uids(&[1])).await;
    given.clock.set(NOW + 2 * DAY);
    given.store.compact().await.unwrap();
    let bytes = given.engine.log_bytes();
    assert!(bytes < 300_000, "{bytes}");
}

pub(crate) async fn who_began_to_read_goes_on_reading(given: &mut Given) {
    let account = given.account("a").await;
    fill(&*account, "INBOX", 10).await;
    let inbox = open(&*account, "INBOX").await;
    let seen = inbox.state();
    delete(&*inbox, &all_of(10)).await;
    given.clock.set(NOW + 30 * DAY);
    let store = Arc::clone(&given.store);
    let compacting = tokio::spawn(async move { store.compact().await });
    for (uid, row) in seen.rows() {
        tokio::task::yield_now().await;
        let bytes = inbox.read(row.body, 0, 200_000).await.unwrap();
        assert!(bytes == text(uid.get() - 1));
    }
    let body = seen.row(uid(1)).unwrap().body;
    drop(seen);
    let done = compacting.await.unwrap().unwrap();
    assert!(done.segments > 0, "{done:?}");
    let read = inbox.read(body, 0, 10).await;
    assert!(matches!(read, Err(Error::Damaged(_))), "{read:?}");
}

fn all_of(count: u32) -> UidSet {
    UidSet::range(uid(1), uid(count))
}
