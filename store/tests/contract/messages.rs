//! Messages: adding, flags, expunging, copying, moving (RFC 9051 §6.3.12, §6.4; RFC 7162 §3.1).

use mail::{
    date::DateTime,
    flag::FlagChange,
    id::{ModSeq, Uid},
    set::UidSet,
};
use store::{
    Access, AccountChange, Error, Expunge, FlagsOutcome, Mailbox, NewMessage, Quota,
    error::{Fit, What},
    state::MailboxState,
};

use crate::support::*;

pub(crate) async fn what_was_stored_comes_back(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let text = b"Subject: bytes\r\n\r\nany: \0\xff\x80\n bare LF, no end";
    let mut new = message(&*account, text, "\\Seen \\Draft $Forwarded Work").await;
    let date = DateTime {
        secs: 1_000_000_000,
        offset_minutes: -90,
    };
    new.internal_date = Some(date);
    account.append(inbox.id(), vec![new]).await.unwrap();
    append(&*account, inbox.id(), "").await;
    for round in 0..2 {
        let account = given.open("a").await;
        let inbox = open(&*account, "INBOX").await;
        assert_eq!(read(&*inbox, uid(1)).await, text, "{round}");
        assert_eq!(read(&*inbox, uid(2)).await, b"");
        let row = *inbox.state().row(uid(1)).unwrap();
        assert_eq!(row.internal_date, date);
        assert_eq!((row.saved_secs, row.size as usize), (NOW, text.len()));
        let now = inbox.state().row(uid(2)).unwrap().internal_date;
        assert_eq!(now.secs, NOW);
        assert_eq!(flags_of(&*inbox, uid(1)), "\\Seen \\Draft $Forwarded Work");
        assert_eq!(inbox.read(row.body, 9, 5).await.unwrap(), "bytes");
        assert_eq!(inbox.read(row.body, 40, 500).await.unwrap(), text[40..]);
        assert_eq!(inbox.read(row.body, 4_000, 5).await.unwrap(), "");
        let kept = inbox.fixed(&[row.body]).await.unwrap();
        assert_eq!(*kept[0], fixed(text));
        given.reopen().await;
    }
}

pub(crate) async fn a_long_message_comes_back(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let lines = (0..200_000u32).map(|n| format!("{:x}\r\n", n.wrapping_mul(2_654_435_761)));
    let text = format!("Subject: long\r\n\r\n{}", lines.collect::<String>());
    for length in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, text.len()] {
        append(&*account, inbox.id(), &text[..length]).await;
    }
    // One that is never appended leaves nothing.
    drop(message(&*account, text.as_bytes(), "").await);
    for _ in 0..2 {
        let account = given.open("a").await;
        let inbox = open(&*account, "INBOX").await;
        let state = inbox.state();
        for (uid, row) in state.rows() {
            let bytes = read(&*inbox, uid).await;
            assert_eq!(bytes.len(), row.size as usize);
            assert!(text.as_bytes().starts_with(&bytes));
        }
        let last = state.row(uid(4)).unwrap().body;
        let part = inbox.read(last, 1_000_000, 70_000).await.unwrap();
        assert_eq!(part, text[1_000_000..1_070_000]);
        assert_eq!(account.usage().messages, 4);
        given.reopen().await;
    }
}

pub(crate) async fn rule_04_uids_ascend_and_are_not_used_again(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(inbox.state().summary.uid_next, Uid::MIN);
    let first = append_with(&*account, inbox.id(), "a\r\n\r\n", "\\Deleted").await;
    assert_eq!(inbox.expunge(Expunge::Deleted).await.unwrap(), uids(&[1]));
    // uid_next advanced though nobody ever saw the message.
    assert_eq!(inbox.state().summary.uid_next, uid(2));
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(account.summary(inbox.id()).unwrap().uid_next, uid(2));
    let second = append(&*account, inbox.id(), "b\r\n\r\n").await;
    assert!(second > first);
    let more = append_many(&*account, inbox.id(), 3).await;
    assert_eq!(more, uids(&[3, 4, 5]));
}

pub(crate) async fn rule_06_mod_sequences_ascend_whatever_the_clock(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 3).await;
    let first = inbox.state().summary.highest_mod_seq;
    assert!(inbox.state().rows().all(|(_, row)| row.mod_seq == first));
    let seen = flags("\\Seen");
    let store = async |uid| {
        let outcome = change_flags(&*inbox, uids(&[uid]), FlagChange::Add, seen.clone(), None);
        outcome.await.unwrap().mod_seq.unwrap()
    };
    let one = store(1).await;
    given.clock.set(NOW - 3_600);
    let two = store(2).await;
    assert!(first < one && one < two);
    let new = append(&*account, inbox.id(), "x\r\n\r\n").await;
    let state = inbox.state();
    let new = state.row(new).unwrap().mod_seq;
    assert!(new > two);
    assert_eq!(state.summary.highest_mod_seq, new);
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(inbox.state().summary.highest_mod_seq, new);
    append(&*account, inbox.id(), "y\r\n\r\n").await;
    assert!(inbox.state().summary.highest_mod_seq > new);
}

pub(crate) async fn rule_07_a_store_without_effect_keeps_the_mod_sequence(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "a\r\n\r\n", "\\Seen Work").await;
    append(&*account, inbox.id(), "b\r\n\r\n").await;
    let before = inbox.state();
    for (change, named) in [
        (FlagChange::Add, "\\Seen"),
        (FlagChange::Add, "wORK"),
        (FlagChange::Remove, "\\Flagged"),
        (FlagChange::Replace, "Work \\Seen"),
    ] {
        let stored = change_flags(&*inbox, uids(&[1]), change, flags(named), None);
        let outcome = stored.await.unwrap();
        assert_eq!(outcome.done, uids(&[1]), "{named}");
        assert_eq!(outcome.mod_seq, None);
    }
    assert_eq!(inbox.state().summary, before.summary);
    // Of two, only the one that changes gets a new one.
    let stored = change_flags(&*inbox, all(), FlagChange::Add, flags("\\Seen"), None);
    let outcome = stored.await.unwrap();
    assert_eq!(outcome.done, uids(&[1, 2]));
    let state = inbox.state();
    assert_eq!(state.row(uid(1)), before.row(uid(1)));
    assert_eq!(Some(state.row(uid(2)).unwrap().mod_seq), outcome.mod_seq);
}

pub(crate) async fn rule_08_expunge_raises_the_mod_sequence(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "a\r\n\r\n", "\\Deleted").await;
    append(&*account, inbox.id(), "b\r\n\r\n").await;
    let before = inbox.state().summary.highest_mod_seq;
    inbox.expunge(Expunge::Deleted).await.unwrap();
    let expunged = inbox.state().summary.highest_mod_seq;
    assert!(expunged > before);
    let trash = id_of(&*account, "Trash").unwrap();
    inbox.move_to(&uids(&[2]), trash).await.unwrap();
    let moved = inbox.state().summary.highest_mod_seq;
    assert!(moved > expunged);
    // Which went is remembered with its number.
    for (since, want) in [(before, &[1, 2][..]), (expunged, &[2]), (moved, &[])] {
        let gone = inbox.expunged_since(since).await.unwrap();
        assert_eq!(gone, Some(uids(want)));
    }
    // Nothing to expunge raises nothing.
    assert!(inbox.expunge(Expunge::Deleted).await.unwrap().is_empty());
    assert_eq!(inbox.state().summary.highest_mod_seq, moved);
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    let summary = account.summary(inbox.id()).unwrap();
    assert_eq!(summary.highest_mod_seq, moved);
    let gone = inbox.expunged_since(before).await.unwrap();
    assert_eq!(gone, Some(uids(&[1, 2])));
}

pub(crate) async fn rule_14_unchanged_since_leaves_what_changed(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 3).await;
    let before = inbox.state().summary.highest_mod_seq;
    let seen = flags("\\Seen");
    let stored = change_flags(
        &*inbox,
        uids(&[2]),
        FlagChange::Add,
        seen.clone(),
        Some(before),
    );
    let changed = stored.await.unwrap().mod_seq.unwrap();
    let flagged = flags("\\Flagged");
    let wanted = UidSet::range(uid(1), uid(9));
    let stored = change_flags(
        &*inbox,
        wanted,
        FlagChange::Add,
        flagged.clone(),
        Some(before),
    );
    let outcome = stored.await.unwrap();
    assert_eq!(outcome.modified, uids(&[2]));
    assert_eq!(outcome.done, uids(&[1, 3]));
    assert_eq!(outcome.missing, UidSet::range(uid(4), uid(9)));
    assert!(outcome.mod_seq > Some(changed));
    assert_eq!(flags_of(&*inbox, uid(2)), "\\Seen");
    let stored = change_flags(
        &*inbox,
        all(),
        FlagChange::Add,
        flagged.clone(),
        ModSeq::new(1),
    );
    assert_eq!(stored.await.unwrap().modified, uids(&[1, 2, 3]));
}

pub(crate) async fn rule_17_append_is_all_or_none(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let before = inbox.state().summary;
    let many: String = (0..25).map(|n| format!(" K{n}")).collect();
    let good = message(&*account, b"Subject: good\r\n\r\n", "\\Seen").await;
    let bad = message(&*account, b"Subject: bad\r\n\r\n", &many).await;
    let refused = account.append(inbox.id(), vec![good, bad]).await;
    assert!(matches!(refused, Err(Error::Limit(_))));
    assert_eq!(inbox.state().summary, before);
    assert!(inbox.state().keywords.names().is_empty());
    let one = message(&*account, b"1\r\n\r\n", "A").await;
    let two = message(&*account, b"2\r\n\r\n", "B").await;
    let appended = account.append(inbox.id(), vec![one, two]).await.unwrap();
    assert_eq!(appended.uids, uids(&[1, 2]));
    assert_eq!(appended.uid_validity, inbox.state().summary.uid_validity);
    assert_eq!(read(&*inbox, uid(2)).await, b"2\r\n\r\n");
}

/// A message in the place of another, which makes room for it.
async fn replacing(mailbox: &dyn Mailbox, uid: Uid, text: &str) -> store::Result<NewMessage> {
    let announced = u64::try_from(text.len()).unwrap();
    let mut upload = mailbox.upload_replacing(uid, announced).await?;
    upload.write(text.as_bytes()).await?;
    Ok(NewMessage {
        upload,
        fixed: fixed(text.as_bytes()),
        flags: flags("\\Draft"),
        internal_date: None,
    })
}

pub(crate) async fn replace_is_one_change_and_the_other_is_gone(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 3).await;
    let before = inbox.state();
    let mut versions = inbox.watch();
    versions.mark_unchanged();
    let new = replacing(&*inbox, uid(2), "Subject: new\r\n\r\n")
        .await
        .unwrap();
    let appended = inbox.replace(uid(2), inbox.id(), new).await.unwrap();
    assert_eq!(appended.uids, uids(&[4]));
    assert_eq!(present(&*inbox), uids(&[1, 3, 4]));
    assert_eq!(read(&*inbox, uid(4)).await, b"Subject: new\r\n\r\n");
    // It is told as any other expunge, and the two have nothing in common.
    let since = before.summary.highest_mod_seq;
    let gone = inbox.expunged_since(since).await.unwrap().unwrap();
    assert!(gone.contains(uid(2)) && !gone.contains(uid(4)));
    let body = |state: &MailboxState, n| state.row(uid(n)).unwrap().body;
    assert_ne!(body(&inbox.state(), 4), body(&before, 2));

    let other = open(&*account, "Drafts").await;
    let new = replacing(&*inbox, uid(4), "Subject: moved on\r\n\r\n")
        .await
        .unwrap();
    inbox.replace(uid(4), other.id(), new).await.unwrap();
    assert_eq!(present(&*inbox), uids(&[1, 3]));
    assert_eq!(present(&*other), uids(&[1]));

    // What is gone cannot be replaced, also if it goes while the other comes.
    let expunged = Some(Error::Expunged);
    assert_eq!(replacing(&*inbox, uid(4), "x").await.err(), expunged);
    let new = replacing(&*inbox, uid(3), "Subject: late\r\n\r\n")
        .await
        .unwrap();
    inbox.move_to(&uids(&[3]), other.id()).await.unwrap();
    let state = inbox.state().summary;
    assert_eq!(inbox.replace(uid(3), inbox.id(), new).await.err(), expunged);
    assert_eq!(inbox.state().summary, state);
    assert_eq!(present(&*other), uids(&[1, 2]));
}

pub(crate) async fn replace_counts_the_difference(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "Subject: a\r\n\r\n0123456789").await;
    let held = account.usage();
    let quota = Quota {
        bytes: Some(held.bytes),
        messages: Some(held.messages),
    };
    let change = AccountChange {
        quota: Some(quota),
        ..AccountChange::default()
    };
    given
        .store
        .change_account(account.info().id, change)
        .await
        .unwrap();
    let full = Error::OverQuota(Fit::Later);
    assert_eq!(account.upload(1).await.err(), Some(full.clone()));
    // As long as it was, or shorter, it fits in a full account; longer it does not.
    let new = replacing(&*inbox, uid(1), "Subject: b\r\n\r\n012345678")
        .await
        .unwrap();
    inbox.replace(uid(1), inbox.id(), new).await.unwrap();
    assert_eq!(account.usage().bytes, held.bytes - 1);
    assert_eq!(account.usage().messages, 1);
    let longer = "Subject: c\r\n\r\n0123456789++";
    assert_eq!(
        replacing(&*inbox, uid(2), longer).await.err(),
        Some(full.clone())
    );
    // Nothing stays reserved of what was given up.
    drop(
        replacing(&*inbox, uid(2), "Subject: d\r\n\r\n0123456789")
            .await
            .unwrap(),
    );
    let same = "Subject: e\r\n\r\n0123456789";
    let new = replacing(&*inbox, uid(2), same).await.unwrap();
    inbox.replace(uid(2), inbox.id(), new).await.unwrap();
    assert_eq!(account.usage(), held);
}

pub(crate) async fn rule_18_nothing_is_created_on_the_way(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "a\r\n\r\n").await;
    let gone = id_of(&*account, "Junk").unwrap();
    account.delete_mailbox(gone).await.unwrap();
    let names = mailboxes(&*account);
    let missing = Some(Error::NotFound(What::Mailbox));
    let new = message(&*account, b"x", "").await;
    assert_eq!(account.append(gone, vec![new]).await.err(), missing);
    assert_eq!(inbox.copy(&all(), gone).await.err(), missing);
    assert_eq!(inbox.move_to(&all(), gone).await.err(), missing);
    assert_eq!(account.delete_mailbox(gone).await.err(), missing);
    assert_eq!(account.summary(gone).err(), missing);
    assert_eq!(mailboxes(&*account), names);
    assert_eq!(present(&*inbox), uids(&[1]));
    assert_eq!(account.usage().messages, 1);
}

pub(crate) async fn rule_19_copy_keeps_what_a_message_is(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(
        &*account,
        inbox.id(),
        "Subject: 1\r\n\r\nx",
        "\\Flagged Work",
    )
    .await;
    append(&*account, inbox.id(), "Subject: 2\r\n\r\ny").await;
    append(&*account, inbox.id(), "Subject: 3\r\n\r\nz").await;
    let archive = open(&*account, "Archive").await;
    append_with(&*account, archive.id(), "old", "Other").await;
    given.clock.set(NOW + 60);
    let copied = inbox.copy(&uids(&[1, 3, 77]), archive.id()).await.unwrap();
    assert_eq!(copied.from, uids(&[1, 3]));
    assert_eq!(copied.to, uids(&[2, 3]));
    assert_eq!(copied.uid_validity, archive.state().summary.uid_validity);
    let (source, target) = (inbox.state(), archive.state());
    let (old, new) = (source.row(uid(1)).unwrap(), target.row(uid(2)).unwrap());
    assert_eq!((old.body, old.thread), (new.body, new.thread));
    assert_eq!(old.internal_date, new.internal_date);
    assert_eq!(new.saved_secs, NOW + 60);
    assert_eq!(flags_of(&*archive, uid(2)), "\\Flagged Work");
    assert_eq!(present(&*inbox), uids(&[1, 2, 3]));
    let none = inbox.copy(&uids(&[50]), archive.id()).await.unwrap();
    assert!(none.from.is_empty() && none.to.is_empty());
    // The copy stays when the source goes.
    let stored = change_flags(&*inbox, all(), FlagChange::Add, flags("\\Deleted"), None);
    stored.await.unwrap();
    inbox.expunge(Expunge::Deleted).await.unwrap();
    given.reopen().await;
    let account = given.open("a").await;
    let archive = open(&*account, "Archive").await;
    assert_eq!(read(&*archive, uid(3)).await, b"Subject: 3\r\n\r\nz");
}

pub(crate) async fn rule_19_move_shows_a_message_somewhere_always(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let trash = open(&*account, "Trash").await;
    append_many(&*account, inbox.id(), 50).await;
    let (mut from, mut to) = (inbox.watch(), trash.watch());
    let watching = tokio::spawn(async move {
        // The source is looked at first: what is gone from it must be in the target by then.
        loop {
            let source = from.borrow_and_update().summary.messages;
            let target = to.borrow_and_update().summary;
            assert!(source + target.messages >= 50);
            assert_eq!(target.deleted, 0);
            if target.messages == 50 && source == 0 {
                return;
            }
            from.changed().await.unwrap();
        }
    });
    for first in (1..50).step_by(5) {
        let some = UidSet::range(uid(first), uid(first + 4));
        let moved = inbox.move_to(&some, trash.id()).await.unwrap();
        assert_eq!(moved.from, some);
        assert_eq!(moved.to, some);
    }
    watching.await.unwrap();
    assert_eq!(account.usage().messages, 50);
    assert_eq!(
        read(&*trash, uid(50)).await,
        b"Subject: 49\r\n\r\nbody 49\r\n"
    );
}

pub(crate) async fn rule_20_expunge_of_a_set_takes_only_deleted(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 6).await;
    let deleted = flags("\\Deleted");
    let delete = async |which: &[u32]| {
        let stored = change_flags(&*inbox, uids(which), FlagChange::Add, deleted.clone(), None);
        stored.await.unwrap().mod_seq.unwrap()
    };
    let first = delete(&[2, 3]).await;
    let gone = inbox.expunge(Expunge::DeletedOf(UidSet::range(uid(3), uid(6))));
    assert_eq!(gone.await.unwrap(), uids(&[3]));
    delete(&[4, 5]).await;
    // Only what has not changed since this session deleted it.
    let own = vec![(uids(&[2, 4]), first)];
    let gone = inbox.expunge(Expunge::DeletedUnchanged(own)).await.unwrap();
    assert_eq!(gone, uids(&[2]));
    assert_eq!(
        inbox.expunge(Expunge::Deleted).await.unwrap(),
        uids(&[4, 5])
    );
    assert_eq!(present(&*inbox), uids(&[1, 6]));
}

pub(crate) async fn rule_42_static_data_stays(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    let text = "Subject: s\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nx";
    append(&*account, inbox.id(), text).await;
    let row = *inbox.state().row(uid(1)).unwrap();
    let kept = inbox.fixed(&[row.body]).await.unwrap();
    inbox
        .move_to(&all(), id_of(&*account, "Trash").unwrap())
        .await
        .unwrap();
    // A session that still sees the expunged message can still read it.
    assert_eq!(inbox.fixed(&[row.body]).await.unwrap(), kept);
    assert_eq!(inbox.read(row.body, 0, 8).await.unwrap(), "Subject:");
    given.reopen().await;
    let account = given.open("a").await;
    let trash = open(&*account, "Trash").await;
    let moved = *trash.state().row(uid(1)).unwrap();
    assert_eq!((moved.body, moved.size), (row.body, row.size));
    assert_eq!(moved.internal_date, row.internal_date);
    assert_eq!(trash.fixed(&[row.body]).await.unwrap(), kept);
    assert_eq!(kept[0].version, 1);
}

pub(crate) async fn flags_change_as_asked(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "a\r\n\r\n", "\\Seen Work").await;
    let store = async |change, named: &str| {
        let outcome = change_flags(&*inbox, all(), change, flags(named), None).await;
        assert_eq!(outcome.unwrap().done, uids(&[1]));
        flags_of(&*inbox, uid(1))
    };
    assert_eq!(
        store(FlagChange::Add, "\\Answered later").await,
        "\\Answered \\Seen later Work"
    );
    assert_eq!(
        store(FlagChange::Remove, "WORK \\Seen").await,
        "\\Answered later"
    );
    // The spelling that came first is the one that is shown.
    assert_eq!(store(FlagChange::Replace, "work LATER").await, "later Work");
    assert_eq!(store(FlagChange::Replace, "").await, "");
    let summary = inbox.state().summary;
    assert_eq!((summary.unseen, summary.deleted), (1, 0));
    assert_eq!(
        store(FlagChange::Add, "\\Deleted \\Seen").await,
        "\\Deleted \\Seen"
    );
    let summary = account.summary(inbox.id()).unwrap();
    assert_eq!(
        (summary.unseen, summary.deleted, summary.deleted_bytes),
        (0, 1, 5)
    );
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(flags_of(&*inbox, uid(1)), "\\Deleted \\Seen");
}

pub(crate) async fn as_many_keywords_as_allowed(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "a\r\n\r\n").await;
    let most = given.options.keywords_per_mailbox_max;
    let named = |range: std::ops::Range<usize>| {
        let names: Vec<_> = range.map(|n| format!("k{n}")).collect();
        flags(&names.join(" "))
    };
    let add = FlagChange::Add;
    change_flags(&*inbox, all(), add, named(0..most), None)
        .await
        .unwrap();
    let over = change_flags(&*inbox, all(), add, named(most..most + 1), None).await;
    assert!(matches!(over, Err(Error::Limit(_))));
    // Those that are there can be used on.
    let replace = FlagChange::Replace;
    change_flags(&*inbox, all(), replace, named(3..5), None)
        .await
        .unwrap();
    assert_eq!(flags_of(&*inbox, uid(1)), "k3 k4");
    // A copy meets the limit of its target, and then nothing is copied.
    let full = open(&*account, "Archive").await;
    let others: Vec<_> = (0..most - 1).map(|n| format!("o{n}")).collect();
    append_with(&*account, full.id(), "x", &others.join(" ")).await;
    let refused = inbox.copy(&all(), full.id()).await;
    assert!(matches!(refused, Err(Error::Limit(_))));
    assert_eq!(full.state().summary.messages, 1);
}

pub(crate) async fn a_lower_limit_of_keywords_is_for_new_ones(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "x", "a-long-keyword").await;
    given.options.keyword_bytes_max = 6;
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    let add = FlagChange::Add;
    for keyword in ["5byte", "6bytes"] {
        change_flags(&*inbox, all(), add, flags(keyword), None)
            .await
            .unwrap();
    }
    let refused = change_flags(&*inbox, all(), add, flags("7-bytes"), None).await;
    assert_eq!(refused.err(), Some(Error::Limit("length of a keyword")));
    // What is there is used on: kept, taken away, set again, and copied.
    let archive = open(&*account, "Archive").await;
    inbox.copy(&all(), archive.id()).await.unwrap();
    assert_eq!(flags_of(&*archive, uid(1)), "5byte 6bytes a-long-keyword");
    for change in [FlagChange::Remove, FlagChange::Add] {
        let long = flags("a-long-keyword");
        change_flags(&*inbox, all(), change, long, None)
            .await
            .unwrap();
    }
    assert!(flags_of(&*inbox, uid(1)).ends_with("a-long-keyword"));
}

pub(crate) async fn read_only_changes_nothing(given: &mut Given) {
    let account = given.account("a").await;
    let id = id_of(&*account, "INBOX").unwrap();
    append_with(&*account, id, "a\r\n\r\n", "\\Deleted").await;
    let inbox = open_for(&*account, "INBOX", Access::ReadOnly)
        .await
        .unwrap();
    let before = inbox.state().summary;
    let stored = change_flags(&*inbox, all(), FlagChange::Add, flags("\\Seen"), None);
    assert_eq!(stored.await, Err(Error::Denied));
    assert_eq!(inbox.expunge(Expunge::Deleted).await, Err(Error::Denied));
    let trash = id_of(&*account, "Trash").unwrap();
    assert_eq!(inbox.move_to(&all(), trash).await, Err(Error::Denied));
    assert_eq!(inbox.take_recent(&inbox.state()), None);
    assert!(inbox.copy(&all(), trash).await.is_ok());
    assert_eq!(inbox.state().summary, before);
}

pub(crate) async fn recent_is_taken_once(given: &mut Given) {
    let account = given.account("a").await;
    let first = open(&*account, "INBOX").await;
    let second = open(&*account, "INBOX").await;
    assert_eq!(first.take_recent(&first.state()), None);
    append_many(&*account, first.id(), 3).await;
    assert_eq!(account.summary(first.id()).unwrap().recent, 3);
    let old = first.state();
    append(&*account, first.id(), "4\r\n\r\n").await;
    assert_eq!(first.take_recent(&old), Some(uid(1)));
    assert_eq!(second.state().summary.recent, 1);
    assert_eq!(second.take_recent(&old), None);
    assert_eq!(second.take_recent(&second.state()), Some(uid(4)));
    assert_eq!(first.take_recent(&first.state()), None);
    assert_eq!(account.summary(first.id()).unwrap().recent, 0);
    // It is written with the next change.
    append(&*account, first.id(), "5\r\n\r\n").await;
    given.reopen().await;
    let account = given.open("a").await;
    let inbox = open(&*account, "INBOX").await;
    assert_eq!(inbox.state().summary.recent, 1);
    assert_eq!(inbox.take_recent(&inbox.state()), Some(uid(5)));
}

pub(crate) async fn long_commands_run_in_steps(given: &mut Given) {
    const MESSAGES: u32 = 25_000;
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "a\r\n\r\n").await;
    // A mailbox grows by copying itself.
    while inbox.state().summary.messages < MESSAGES {
        let room = MESSAGES - inbox.state().summary.messages;
        let some = UidSet::range(uid(1), uid(room));
        inbox.copy(&some, inbox.id()).await.unwrap();
    }
    let last = inbox.state().summary.highest_mod_seq;
    let every = UidSet::range(uid(1), uid(MESSAGES));
    let deleted = flags("\\Deleted");
    let stored = change_flags(&*inbox, all(), FlagChange::Add, deleted.clone(), None);
    let FlagsOutcome { done, mod_seq, .. } = stored.await.unwrap();
    assert_eq!(done, every);
    let steps = mod_seq.unwrap().get() - last.get();
    assert_eq!(steps, 3);
    let trash = open(&*account, "Trash").await;
    let moved = inbox.move_to(&all(), trash.id()).await.unwrap();
    assert_eq!((moved.from, moved.to), (every.clone(), every.clone()));
    assert_eq!(trash.expunge(Expunge::Deleted).await.unwrap(), every);
    assert_eq!(account.usage().messages, 0);
}

pub(crate) async fn copy_and_move_within_a_mailbox(given: &mut Given) {
    let account = given.account("a").await;
    let inbox = open(&*account, "INBOX").await;
    append_with(&*account, inbox.id(), "a\r\n\r\n", "Work").await;
    append(&*account, inbox.id(), "b\r\n\r\n").await;
    let copied = inbox.copy(&all(), inbox.id()).await.unwrap();
    assert_eq!((copied.from, copied.to), (uids(&[1, 2]), uids(&[3, 4])));
    let moved = inbox.move_to(&uids(&[1, 4]), inbox.id()).await.unwrap();
    assert_eq!((moved.from, moved.to), (uids(&[1, 4]), uids(&[5, 6])));
    assert_eq!(present(&*inbox), uids(&[2, 3, 5, 6]));
    assert_eq!(flags_of(&*inbox, uid(5)), "Work");
    assert_eq!(read(&*inbox, uid(6)).await, b"b\r\n\r\n");
    assert_eq!(account.usage().messages, 4);
}

pub(crate) async fn a_message_that_is_too_large_is_refused(given: &mut Given) {
    let account = given.account("a").await;
    let most = given.options.message_bytes_max;
    let refused = account.upload(most + 1).await;
    assert!(matches!(refused.err(), Some(Error::Limit(_))));
    // One that grows beyond it is refused when it does.
    let mut grows = account.upload(10).await.unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..most >> 20 {
        grows.write(&piece).await.unwrap();
    }
    assert_eq!(grows.len(), most);
    assert!(matches!(grows.write(b"x").await, Err(Error::Limit(_))));
    drop(grows);
    let inbox = id_of(&*account, "INBOX").unwrap();
    append(&*account, inbox, "small\r\n\r\n").await;
    assert_eq!(account.usage().messages, 1);
}
