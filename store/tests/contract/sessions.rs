//! Several sessions: commit, then announce, in the order of the commits.

use std::{sync::Arc, time::Duration};

use mail::{flag::FlagChange, id::ModSeq, set::UidSet};
use store::{Changes, Error, Expunge, Subscription};

use crate::support::*;

pub(crate) async fn what_is_seen_is_durable(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let mut watch = inbox.watch();
    let appended = append(&*account, inbox.id(), "a\r\n\r\n").await;
    // Whoever was told OK sees it at once, and so does everybody else.
    assert!(inbox.state().row(appended).is_some());
    assert!(watch.has_changed().unwrap());
    let seen = watch.borrow_and_update().summary;
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(inbox.state().summary, seen);
}

pub(crate) async fn sessions_converge(given: &mut Given) {
    let account = given.account("a").await;
    let (one, two) = (
        open(&*account, "INBOX").await,
        open(&*account, "INBOX").await,
    );
    append_many(&*account, one.id(), 4).await;
    let told = two.state();
    assert!(Arc::ptr_eq(&told, &one.state()));
    let stored = change_flags(
        &*one,
        uids(&[2]),
        FlagChange::Add,
        flags("\\Deleted Work"),
        None,
    );
    stored.await.unwrap();
    one.expunge(Expunge::Deleted).await.unwrap();
    let stored = change_flags(&*one, uids(&[3]), FlagChange::Add, flags("\\Seen"), None);
    stored.await.unwrap();
    let now = two.state();
    let changed: UidSet = now
        .changed_since(told.summary.highest_mod_seq)
        .map(|(uid, _)| uid)
        .collect();
    assert_eq!(changed, uids(&[3]));
    let (before, after): (UidSet, UidSet) = (
        told.rows().map(|(uid, _)| uid).collect(),
        now.rows().map(|(uid, _)| uid).collect(),
    );
    assert_eq!(before.difference(&after), uids(&[2]));
    // The version it had was not touched.
    assert_eq!(told.summary.messages, 4);
}

pub(crate) async fn many_writers_get_different_numbers(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 8).await;
    let mut watch = inbox.watch();
    let watching = tokio::spawn(async move {
        let mut last = ModSeq::MIN;
        while watch.changed().await.is_ok() {
            let state = watch.borrow_and_update();
            assert!(state.summary.highest_mod_seq >= last);
            last = state.summary.highest_mod_seq;
            if state.summary.messages == 8 + 8 * 10 {
                break;
            }
        }
    });
    let mut writers = Vec::new();
    for writer in 1..=8u32 {
        let (account, inbox) = (Arc::clone(&account), Arc::clone(&inbox));
        writers.push(tokio::spawn(async move {
            let mut mod_seqs = Vec::new();
            let mut own = Vec::new();
            for n in 0..10 {
                own.push(append(&*account, inbox.id(), "x\r\n\r\n").await);
                let change = [FlagChange::Add, FlagChange::Remove][n % 2];
                let stored =
                    change_flags(&*inbox, uids(&[writer]), change, flags("\\Flagged"), None);
                mod_seqs.push(stored.await.unwrap().mod_seq.unwrap());
            }
            assert!(mod_seqs.is_sorted() && own.is_sorted());
            (mod_seqs, own)
        }));
    }
    let (mut mod_seqs, mut own) = (Vec::new(), Vec::new());
    for writer in writers {
        let (m, o) = writer.await.unwrap();
        mod_seqs.extend(m);
        own.extend(o);
    }
    watching.await.unwrap();
    mod_seqs.sort_unstable();
    mod_seqs.dedup();
    assert_eq!(mod_seqs.len(), 80);
    own.sort_unstable();
    own.dedup();
    assert_eq!(own.len(), 80);
}

pub(crate) async fn a_caller_that_goes_away_loses_nothing(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    for n in 0..40 {
        let new = message(&*account, b"x\r\n\r\n", "").await;
        let appending = account.append(inbox.id(), vec![new]);
        // Given up at some point on the way, or not at all.
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), appending).await;
        let storing = change_flags(&*inbox, all(), FlagChange::Add, flags("\\Seen"), None);
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), storing).await;
    }
    let last = append(&*account, inbox.id(), "last\r\n\r\n").await;
    let state = inbox.state();
    assert_eq!(state.last_uid(), Some(last));
    assert_eq!(account.usage().messages, u64::from(state.summary.messages));
}

pub(crate) async fn account_changes_wake(given: &mut Given) {
    let account = given.account("a").await;
    let mut changes = account.changes();
    let inbox = id_of(&*account, "INBOX").unwrap();
    append(&*account, inbox, "a\r\n\r\n").await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    account.create_mailbox(&name("x"), &[]).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    account
        .subscribe(&name("x"), Subscription::On)
        .await
        .unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    // What changes nothing wakes nobody.
    account
        .subscribe(&name("x"), Subscription::On)
        .await
        .unwrap();
    assert!(!changes.has_changed().unwrap());
}

pub(crate) async fn news_are_what_changed_since_a_version(given: &mut Given) {
    let account = given.account("a").await;
    let (inbox, sent) = (
        id_of(&*account, "INBOX").unwrap(),
        id_of(&*account, "Sent").unwrap(),
    );
    let before = account.news(0).unwrap();
    let since = |version: u64| {
        let news = account.news(version).unwrap().mailboxes;
        let mut told: Vec<_> = news.iter().map(|of| (of.id, of.summary)).collect();
        told.sort_by_key(|(id, _)| *id);
        told
    };
    assert_eq!(since(before.version), []);
    assert_eq!(since(u64::MAX), []);
    append(&*account, inbox, "a\r\n\r\n").await;
    let once = account.news(before.version).unwrap();
    assert_eq!(
        since(before.version),
        [(inbox, account.summary(inbox).unwrap())]
    );
    append(&*account, sent, "a\r\n\r\n").await;
    append(&*account, inbox, "b\r\n\r\n").await;
    let now = account.summary(inbox).unwrap();
    let both = [(inbox, now), (sent, account.summary(sent).unwrap())];
    assert_eq!(since(before.version), both, "each once");
    assert_eq!(since(once.version), both);
    let twice = account.news(once.version).unwrap();
    assert!(Arc::ptr_eq(&before.tree, &twice.tree));
    // Names and mailboxes that come and go.
    let new = account.create_mailbox(&name("x"), &[]).await.unwrap().id;
    assert_eq!(since(twice.version), [(new, account.summary(new).unwrap())]);
    account.delete_mailbox(new).await.unwrap();
    let gone = account.news(twice.version).unwrap();
    assert_eq!(gone.mailboxes, []);
    assert!(gone.version > twice.version && !gone.tree.mailboxes.contains_key(&name("x").key()));
}

pub(crate) async fn news_tell_what_changed_and_what_was_before(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let changes = |version| account.news(version).unwrap().mailboxes[0].changes;
    let version = || account.news(u64::MAX).unwrap().version;
    let (loaded, empty) = (version(), account.summary(inbox.id()).unwrap());
    append(&*account, inbox.id(), "a\r\n\r\n").await;
    let (one, first) = (version(), changes(loaded));
    assert_eq!(
        (first.messages, first.unseen, first.mod_seq),
        (one, one, one)
    );
    assert!(first.before <= loaded && first.uid_validity <= loaded);
    assert_eq!(first.mod_seq_before, Some(empty.highest_mod_seq));
    // A flag that is neither `\Seen` nor `\Deleted`.
    let before = account.summary(inbox.id()).unwrap();
    let stored = change_flags(
        &*inbox,
        uids(&[1]),
        FlagChange::Add,
        flags("\\Flagged"),
        None,
    );
    stored.await.unwrap();
    let second = changes(one);
    let expected = Changes {
        mod_seq: version(),
        before: one,
        mod_seq_before: Some(before.highest_mod_seq),
        ..first
    };
    assert_eq!(second, expected);
}

pub(crate) async fn a_closed_store_refuses(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "a\r\n\r\n").await;
    let upload = message(&*account, b"x", "").await;
    given.store.close().await;
    let refused = account.append(inbox.id(), vec![upload]).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))));
    let stored = change_flags(&*inbox, all(), FlagChange::Add, flags("\\Seen"), None).await;
    assert!(matches!(stored, Err(Error::Unavailable(_))));
    let created = given.store.create_account(new_account("b")).await;
    assert!(matches!(created, Err(Error::Unavailable(_))));
    assert!(given.store.health().is_err());
    given.store.close().await;
}

pub(crate) async fn mailboxes_leave_memory_and_come_back(given: &mut Given) {
    given.options.mailbox_cache_bytes = 1;
    given.reopen().await;
    let account = given.account("a").await;
    for round in 1..=3u32 {
        for named in ["INBOX", "Sent", "Archive"] {
            let mailbox = open(&*account, named).await;
            let new = append_with(&*account, mailbox.id(), "a\r\n\r\n", "K").await;
            assert_eq!(new, uid(round));
            mailbox.take_recent(&mailbox.state());
            let add = FlagChange::Add;
            let stored = change_flags(&*mailbox, uids(&[round]), add, flags("\\Seen"), None);
            stored.await.unwrap();
        }
    }
    for named in ["INBOX", "Sent", "Archive"] {
        let mailbox = open(&*account, named).await;
        let summary = mailbox.state().summary;
        assert_eq!(
            (summary.messages, summary.unseen, summary.recent),
            (3, 0, 0)
        );
        assert_eq!(flags_of(&*mailbox, uid(2)), "\\Seen K");
    }
}
