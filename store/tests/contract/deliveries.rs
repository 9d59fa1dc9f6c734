//! Messages to several accounts: stored once, and each account's own.

use std::sync::Arc;

use mail::set::UidSet;
use store::{Account, Appended, Error, Expunge, Quota, Result, Shared, error::Fit};

use crate::support::*;

/// Text that does not compress.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = crate::model::Dice::new(bytes as u64);
    let mut noise = b"Subject: noise\r\n\r\n".to_vec();
    noise.extend((0..bytes).map(|_| u8::try_from(dice.below(256)).unwrap()));
    noise
}

fn head(name: &str) -> String {
    format!("Delivered-To: {name}\r\n")
}

async fn deliver(account: &dyn Account, rest: &Arc<dyn Shared>, text: &[u8]) -> Result<Appended> {
    let head = head(&account.info().name);
    let whole = [head.as_bytes(), text].concat();
    let inbox = id_of(account, "INBOX").unwrap();
    account
        .deliver(inbox, delivery(&head, rest, fixed(&whole)))
        .await
}

/// Delivers to accounts that are made for it, all at once.
async fn deliver_to(given: &Given, names: &[String], text: &[u8]) -> Vec<Arc<dyn Account>> {
    let rest = try_shared(&*given.store, text).await.unwrap();
    let (mut accounts, mut running) = (Vec::new(), tokio::task::JoinSet::new());
    for name in names {
        accounts.push(given.account(name).await);
    }
    for account in &accounts {
        let (account, rest, text) = (Arc::clone(account), Arc::clone(&rest), text.to_vec());
        running.spawn(async move { deliver(&*account, &rest, &text).await });
    }
    while let Some(done) = running.join_next().await {
        assert_eq!(done.unwrap().unwrap().uids, uids(&[1]));
    }
    accounts
}

/// What is in an INBOX of one message.
async fn content(account: &dyn Account) -> Vec<u8> {
    read(&*open(account, "INBOX").await, uid(1)).await
}

fn expected(name: &str, text: &[u8]) -> Vec<u8> {
    [head(name).as_bytes(), text].concat()
}

pub(crate) async fn a_message_to_many_is_stored_once(given: &mut Given) {
    let names: Vec<String> = (0..50).map(|n| format!("user{n}")).collect();
    for (round, bytes) in [100_000, 1 << 20, 3 << 20].into_iter().enumerate() {
        let names: Vec<String> = names.iter().map(|n| format!("{n}-{round}")).collect();
        let text = noise(bytes);
        let before = given.engine.log_bytes();
        let accounts = deliver_to(given, &names, &text).await;
        let grown = given.engine.log_bytes() - before;
        println!("{bytes} bytes to 50 accounts: {grown} bytes of log");
        assert!(grown < bytes as u64 + 150_000, "{grown} for {bytes}");
        for (account, name) in accounts.iter().zip(&names) {
            assert!(content(&**account).await == expected(name, &text), "{name}");
        }
    }
    given.reopen().await;
    let text = noise(3 << 20);
    let last = given.open("user49-2").await;
    assert!(content(&*last).await == expected("user49-2", &text));
}

pub(crate) async fn each_has_its_own_message(given: &mut Given) {
    let text = noise(200_000);
    let names = ["a".to_owned(), "somebody".to_owned()];
    let accounts = deliver_to(given, &names, &text).await;
    for (account, name) in accounts.iter().zip(&names) {
        let inbox = open(&**account, "INBOX").await;
        let whole = expected(name, &text);
        let row = *inbox.state().row(uid(1)).unwrap();
        assert_eq!(row.size as usize, whole.len());
        let own = head(name).len();
        // Across every border, and beyond the end.
        for from in [
            0,
            1,
            own - 1,
            own,
            own + 1,
            own + 19,
            65_536,
            whole.len() - 1,
        ] {
            for len in [0, 1, 2, own, 70_000, whole.len()] {
                let piece = inbox.read(row.body, from as u64, len).await.unwrap();
                let to = whole.len().min(from + len);
                assert!(piece == whole[from..to], "{len} bytes from {from}");
            }
        }
        let at = |from: usize, to: usize| (row.body, from as u64..to as u64);
        let wanted = [
            at(0, own),
            at(own, own + 5),
            at(2, own + 2),
            at(0, whole.len()),
        ];
        let pieces = inbox.read_many(&wanted).await.unwrap();
        for (piece, (_, range)) in pieces.iter().zip(&wanted) {
            assert!(*piece == whole[range.start as usize..range.end as usize]);
        }
        let kept = inbox.fixed(&[row.body]).await.unwrap();
        assert_eq!(*kept[0], fixed(&whole));
        let usage = account.usage();
        assert_eq!((usage.bytes, usage.messages), (whole.len() as u64, 1));
    }
}

pub(crate) async fn a_removed_account_takes_nothing_from_others(given: &mut Given) {
    let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    for bytes in [1_000, 2 << 20] {
        let text = noise(bytes);
        deliver_to(given, &names, &text).await;
        // The first carried the rest.
        for gone in ["a", "b"] {
            let id = given.store.find_account(gone).unwrap().id;
            given.store.remove_account(id).await.unwrap();
            assert_eq!(given.store.check().await.unwrap(), [""; 0]);
            given.reopen().await;
            let left = given.open("c").await;
            assert!(content(&*left).await == expected("c", &text));
        }
        let id = given.store.find_account("c").unwrap().id;
        given.store.remove_account(id).await.unwrap();
    }
}

pub(crate) async fn one_refusal_is_not_anothers(given: &mut Given) {
    for bytes in [10_000_u64, 2 << 20] {
        let small = Quota {
            bytes: Some(bytes),
            messages: None,
        };
        let text = noise(usize::try_from(bytes).unwrap());
        let poor = given.account_with(&format!("poor{bytes}"), small).await;
        let rich = given.account(&format!("rich{bytes}")).await;
        let late = given.account(&format!("late{bytes}")).await;
        let rest = try_shared(&*given.store, &text).await.unwrap();
        let before = given.engine.log_bytes();
        let refused = deliver(&*poor, &rest, &text).await;
        assert_eq!(refused, Err(Error::OverQuota(Fit::Never)));
        assert_eq!(
            given.engine.log_bytes(),
            before,
            "nothing is written for it"
        );
        let gone = given.account(&format!("gone{bytes}")).await;
        given.store.remove_account(gone.info().id).await.unwrap();
        let before = given.engine.log_bytes();
        assert!(deliver(&*gone, &rest, &text).await.is_err());
        assert_eq!(given.engine.log_bytes(), before);
        deliver(&*rich, &rest, &text).await.unwrap();
        assert!(deliver(&*poor, &rest, &text).await.is_err());
        deliver(&*late, &rest, &text).await.unwrap();
        assert_eq!(poor.usage().messages, 0);
        for account in [rich, late] {
            let name = account.info().name.clone();
            assert!(content(&*account).await == expected(&name, &text));
        }
    }
}

pub(crate) async fn a_purge_leaves_what_others_have(given: &mut Given) {
    let names: Vec<String> = ["a", "b"].map(str::to_owned).into();
    let text = noise(5_000);
    let accounts = deliver_to(given, &names, &text).await;
    let [first, second] = &accounts[..] else {
        panic!("two accounts");
    };
    let inbox = open(&**first, "INBOX").await;
    let trash = id_of(&**first, "Trash").unwrap();
    inbox.copy(&all(), trash).await.unwrap();
    let deleted = flags("\\Deleted");
    let add = mail::flag::FlagChange::Add;
    for mailbox in [inbox, open(&**first, "Trash").await] {
        mailbox
            .store_flags(&all(), add, &deleted, None)
            .await
            .unwrap();
        assert_ne!(mailbox.expunge(Expunge::Deleted).await, Ok(UidSet::new()));
        assert_eq!(given.store.check().await.unwrap(), [""; 0]);
    }
    assert!(content(&**second).await == expected("b", &text));
    let inbox = open(&**second, "INBOX").await;
    inbox
        .store_flags(&all(), add, &deleted, None)
        .await
        .unwrap();
    inbox.expunge(Expunge::Deleted).await.unwrap();
    // The session that expunged it may still read it.
    assert_eq!(given.store.check().await.unwrap(), [""; 0]);
}
