//! Names: create, delete, rename, subscribe (RFC 9051 §6.3.4 to §6.3.8).

use mail::{limits::Names, mailbox::SpecialUse};
use store::{Error, Subscription, error::What};

use crate::support::*;

pub(crate) async fn create_makes_missing_parents(given: &mut Given) {
    let account = given.account("a").await;
    let deep = name("x/y/z");
    let made = account
        .create_mailbox(&deep, &[SpecialUse::All])
        .await
        .unwrap();
    assert_eq!(made.name, name("x/y/z"));
    for parent in ["x", "x/y"] {
        let tree = account.tree();
        assert!(tree.mailboxes[&name(parent).key()].special_use.is_empty());
    }
    assert_eq!(made.special_use, [SpecialUse::All]);
    let again = account.create_mailbox(&name("x/y"), &[]).await;
    assert_eq!(again.err(), Some(Error::AlreadyExists(What::Mailbox)));
    // It can be used at once.
    append(&*account, made.id, "a\r\n\r\n").await;
    given.reopen().await;
    let account = given.open("a").await;
    assert_eq!(id_of(&*account, "x/y/z"), Some(made.id));
    assert_eq!(account.summary(made.id).unwrap().messages, 1);
}

pub(crate) async fn rule_05_a_name_used_again_has_a_greater_uid_validity(given: &mut Given) {
    let account = given.account("a").await;
    let first = account.create_mailbox(&name("x"), &[]).await.unwrap();
    append(&*account, first.id, "a\r\n\r\n").await;
    account.delete_mailbox(first.id).await.unwrap();
    given.clock.set(NOW - 5_000);
    let second = account.create_mailbox(&name("x"), &[]).await.unwrap();
    assert!(second.uid_validity > first.uid_validity);
    assert_ne!(second.id, first.id);
    account.delete_mailbox(second.id).await.unwrap();
    given.reopen().await;
    let account = given.open("a").await;
    let third = account.create_mailbox(&name("x"), &[]).await.unwrap();
    assert!(third.uid_validity > second.uid_validity);
    assert_eq!(account.summary(third.id).unwrap().messages, 0);
}

pub(crate) async fn rule_05_a_rename_over_a_deleted_name_has_a_greater_uid_validity(
    given: &mut Given,
) {
    let account = given.account("a").await;
    let old = account.create_mailbox(&name("old"), &[]).await.unwrap();
    append(&*account, old.id, "a\r\n\r\n").await;
    let young = account.create_mailbox(&name("young"), &[]).await.unwrap();
    assert!(young.uid_validity > old.uid_validity);
    account.delete_mailbox(young.id).await.unwrap();
    account
        .rename_mailbox(&name("old"), &name("young"))
        .await
        .unwrap();
    let tree = account.tree();
    let renamed = &tree.mailboxes[&name("young").key()];
    assert_eq!(renamed.id, old.id);
    assert!(renamed.uid_validity > young.uid_validity);
    let summary = account.summary(old.id).unwrap();
    assert_eq!(summary.uid_validity, renamed.uid_validity);
    let mailbox = open(&*account, "young").await;
    assert_eq!(mailbox.state().summary, summary);
    given.reopen().await;
    let account = given.open("a").await;
    assert_eq!(account.summary(old.id).unwrap(), summary);
    assert_eq!(account.tree().mailboxes, tree.mailboxes);
}

pub(crate) async fn rule_26_inbox_is_one_and_its_rename_moves_mail(given: &mut Given) {
    let account = given.account("a").await;
    assert_eq!(id_of(&*account, "inbox"), id_of(&*account, "INBOX"));
    let made = account.create_mailbox(&name("InBox"), &[]).await;
    assert!(matches!(made, Err(Error::Cannot(_))));
    let inbox = id_of(&*account, "INBOX").unwrap();
    let deleted = account.delete_mailbox(inbox).await;
    assert!(matches!(deleted, Err(Error::Cannot(_))));
    let child = account
        .create_mailbox(&name("inbox/child"), &[])
        .await
        .unwrap();
    append_with(&*account, inbox, "Subject: 1\r\n\r\n", "\\Seen Work").await;
    append(&*account, inbox, "Subject: 2\r\n\r\n").await;
    let before = account.summary(inbox).unwrap();
    account
        .rename_mailbox(&name("INBOX"), &name("saved/mail"))
        .await
        .unwrap();
    let after = account.summary(inbox).unwrap();
    assert_eq!((after.messages, after.uid_next), (0, before.uid_next));
    assert!(after.highest_mod_seq > before.highest_mod_seq);
    assert_eq!(after.uid_validity, before.uid_validity);
    assert_eq!(id_of(&*account, "INBOX/child"), Some(child.id));
    let saved = open(&*account, "saved/mail").await;
    assert_eq!(present(&*saved).count(), 2);
    assert_eq!(flags_of(&*saved, uid(1)), "\\Seen Work");
    assert_eq!(read(&*saved, uid(2)).await, b"Subject: 2\r\n\r\n");
    let again = account
        .rename_mailbox(&name("INBOX"), &name("saved/mail"))
        .await;
    assert_eq!(again, Err(Error::AlreadyExists(What::Mailbox)));
    account
        .rename_mailbox(&name("inbox"), &name("INBOX/old"))
        .await
        .unwrap();
    assert_eq!(account.usage().messages, 2);
}

pub(crate) async fn rule_27_children_stay_and_move(given: &mut Given) {
    let account = given.account("a").await;
    let child = account.create_mailbox(&name("p/c/d"), &[]).await.unwrap();
    let deep = open(&*account, "p/c/d").await;
    append(&*account, child.id, "a\r\n\r\n").await;
    account
        .rename_mailbox(&name("p"), &name("q/r"))
        .await
        .unwrap();
    for moved in ["q", "q/r", "q/r/c", "q/r/c/d"] {
        assert!(id_of(&*account, moved).is_some(), "{moved}");
    }
    assert_eq!(id_of(&*account, "p"), None);
    assert_eq!(id_of(&*account, "q/r/c/d"), Some(child.id));
    // Who has it open goes on.
    append(&*account, child.id, "b\r\n\r\n").await;
    assert_eq!(present(&*deep).count(), 2);
    let parent = id_of(&*account, "q/r/c").unwrap();
    account.delete_mailbox(parent).await.unwrap();
    assert_eq!(id_of(&*account, "q/r/c"), None);
    assert_eq!(id_of(&*account, "q/r/c/d"), Some(child.id));
    // What only has children can be renamed.
    account
        .rename_mailbox(&name("q/r/c"), &name("top"))
        .await
        .unwrap();
    assert_eq!(id_of(&*account, "top/d"), Some(child.id));
    assert_eq!(id_of(&*account, "top"), None);
    given.reopen().await;
    let account = given.open("a").await;
    assert_eq!(id_of(&*account, "top/d"), Some(child.id));
    assert_eq!(account.summary(child.id).unwrap().messages, 2);
}

pub(crate) async fn rule_29_a_trailing_separator_is_dropped(given: &mut Given) {
    let account = given.account("a").await;
    let made = account.create_mailbox(&name("folder/"), &[]).await.unwrap();
    assert_eq!(made.name.as_str(), "folder");
    assert_eq!(id_of(&*account, "folder"), Some(made.id));
}

pub(crate) async fn rename_refuses(given: &mut Given) {
    let account = given.account("a").await;
    account.create_mailbox(&name("a/b"), &[]).await.unwrap();
    account.create_mailbox(&name("x"), &[]).await.unwrap();
    let before = mailboxes(&*account);
    let rename = async |from: &str, to: &str| account.rename_mailbox(&name(from), &name(to)).await;
    let exists = Err(Error::AlreadyExists(What::Mailbox));
    assert_eq!(rename("a", "x").await, exists);
    assert_eq!(rename("a", "a").await, exists);
    assert_eq!(rename("a", "inbox").await, exists);
    assert!(matches!(rename("a", "a/b/c").await, Err(Error::Cannot(_))));
    assert!(matches!(rename("a", "a/new").await, Err(Error::Cannot(_))));
    assert_eq!(
        rename("none", "y").await,
        Err(Error::NotFound(What::Mailbox))
    );
    let deep = "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16";
    assert!(matches!(rename("a", deep).await, Err(Error::Limit(_))));
    assert_eq!(mailboxes(&*account), before);
}

pub(crate) async fn two_spellings_are_one_name(given: &mut Given) {
    let account = given.account("a").await;
    let (composed, decomposed) = ("Caf\u{e9}", "Cafe\u{301}");
    let made = account
        .create_mailbox(&name(decomposed), &[])
        .await
        .unwrap();
    assert_eq!(made.name.as_str(), decomposed);
    assert_eq!(id_of(&*account, composed), Some(made.id));
    let again = account.create_mailbox(&name(composed), &[]).await;
    assert_eq!(again.err(), Some(Error::AlreadyExists(What::Mailbox)));
    given.reopen().await;
    let account = given.open("a").await;
    let tree = account.tree();
    assert_eq!(
        tree.mailboxes[&name(composed).key()].name.as_str(),
        decomposed
    );
}

pub(crate) async fn subscriptions_are_of_names(given: &mut Given) {
    let account = given.account("a").await;
    let drafts = id_of(&*account, "Drafts").unwrap();
    account.delete_mailbox(drafts).await.unwrap();
    account
        .subscribe(&name("never/was"), Subscription::On)
        .await
        .unwrap();
    account
        .subscribe(&name("Sent"), Subscription::Off)
        .await
        .unwrap();
    account
        .subscribe(&name("Sent"), Subscription::Off)
        .await
        .unwrap();
    account
        .subscribe(&name("Junk"), Subscription::On)
        .await
        .unwrap();
    given.reopen().await;
    let account = given.open("a").await;
    let tree = account.tree();
    let names: Vec<_> = tree.subscriptions.keys().map(|key| key.as_str()).collect();
    let want = ["Archive", "Drafts", "INBOX", "Junk", "Trash", "never/was"];
    assert_eq!(names, want);
}

pub(crate) async fn as_many_mailboxes_as_allowed(given: &mut Given) {
    let account = given.account("a").await;
    let room = given.options.mailboxes_max - account.tree().mailboxes.len();
    for n in 1..room {
        account
            .create_mailbox(&name(&n.to_string()), &[])
            .await
            .unwrap();
    }
    // Its parent would fit, the mailbox would not.
    let over = account.create_mailbox(&name("p/c"), &[]).await;
    assert!(matches!(over, Err(Error::Limit(_))));
    account.create_mailbox(&name("last"), &[]).await.unwrap();
    let over = account.create_mailbox(&name("one more"), &[]).await;
    assert!(matches!(over, Err(Error::Limit(_))));
    assert_eq!(account.tree().mailboxes.len(), given.options.mailboxes_max);
}

pub(crate) async fn lower_limits_of_names_are_for_new_ones(given: &mut Given) {
    let account = given.account("a").await;
    let old = ["a/b/c/d", "short/abcdefghijklmnopqrst"];
    for old in old {
        account.create_mailbox(&name(old), &[]).await.unwrap();
    }
    given.options.names = Names {
        level_bytes_max: 16,
        depth_max: 3,
        name_bytes_max: 24,
    };
    given.reopen().await;
    let account = given.open("a").await;
    for (new, is_taken) in [
        ("abcdefghijklmno", true),
        ("abcdefghijklmnop", true),
        ("abcdefghijklmnopq", false),
        ("x/y", true),
        ("x/y/z", true),
        ("x/y/z/z", false),
        ("abcdefghijklmnop/abcdef", true),
        ("abcdefghijklmnop/abcdefg", true),
        ("abcdefghijklmnop/abcdefgh", false),
    ] {
        let renamed = account.rename_mailbox(&name("Archive"), &name(new)).await;
        assert_eq!(renamed.is_ok(), is_taken, "{new}: {renamed:?}");
        if is_taken {
            account
                .rename_mailbox(&name(new), &name("Archive"))
                .await
                .unwrap();
            continue;
        }
        let refused = Err(Error::Limit("length or depth of a mailbox name"));
        let created = account.create_mailbox(&name(new), &[]).await;
        assert_eq!(created.map(|_| ()), refused, "{new}");
        let subscribed = account.subscribe(&name(new), Subscription::On).await;
        assert_eq!(subscribed, refused, "{new}");
    }
    // What is there stays, and is used on: opened, subscribed to, and moved with its parent.
    for old in old {
        append(&*account, id_of(&*account, old).unwrap(), "a\r\n\r\n").await;
        account
            .subscribe(&name(old), Subscription::On)
            .await
            .unwrap();
    }
    account
        .rename_mailbox(&name("short"), &name("other"))
        .await
        .unwrap();
    assert!(id_of(&*account, "other/abcdefghijklmnopqrst").is_some());
    given.reopen().await;
    let account = given.open("a").await;
    assert!(id_of(&*account, "a/b/c/d").is_some());
}

pub(crate) async fn a_deleted_mailbox_wakes_its_watchers(given: &mut Given) {
    let account = given.account("a").await;
    let mailbox = open(&*account, "Trash").await;
    append(&*account, mailbox.id(), "a\r\n\r\n").await;
    let mut watch = mailbox.watch();
    account.delete_mailbox(mailbox.id()).await.unwrap();
    assert!(watch.changed().await.is_err());
    // The session still sees it, and cannot change it.
    assert_eq!(mailbox.state().summary.messages, 1);
    assert_eq!(read(&*mailbox, uid(1)).await, b"a\r\n\r\n");
    let change = mail::flag::FlagChange::Add;
    let stored = change_flags(&*mailbox, all(), change, flags("\\Seen"), None).await;
    assert_eq!(stored.err(), Some(Error::NotFound(What::Mailbox)));
    let expunged = mailbox.expunge(store::Expunge::Deleted).await;
    assert_eq!(expunged.err(), Some(Error::NotFound(What::Mailbox)));
    assert!(mailbox.watch().changed().await.is_err());
}
