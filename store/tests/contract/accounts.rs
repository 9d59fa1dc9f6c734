//! Accounts: creating, changing, removing, who may open them, and how much they hold.

use mail::{flag::FlagChange, mailbox::SpecialUse};
use store::{
    Access, AccountChange, Actor, Error, Expunge, NewAccount, Quota, Subscription,
    credential::{ActAs, CredentialChange, NewAppPassword, Scope, Verifiers},
    error::{Fit, What},
};

use crate::support::*;

pub(crate) async fn a_new_account_has_its_folders(given: &mut Given) {
    let account = given.account("you@localhost").await;
    let tree = account.tree();
    let names: Vec<_> = tree.mailboxes.keys().map(|key| key.as_str()).collect();
    assert_eq!(
        names,
        ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    );
    let subscribed: Vec<_> = tree.subscriptions.keys().map(|key| key.as_str()).collect();
    assert_eq!(subscribed, names);
    let sent = &tree.mailboxes[&name("Sent").key()];
    assert_eq!(sent.special_use, [SpecialUse::Sent]);
    assert_eq!(
        i64::from(
            tree.mailboxes
                .values()
                .map(|i| i.uid_validity.get())
                .min()
                .unwrap()
        ),
        NOW
    );
    given.reopen().await;
    let account = given.open("you@localhost").await;
    assert_eq!(account.tree().mailboxes, tree.mailboxes);
    assert_eq!(account.tree().subscriptions, tree.subscriptions);
}

pub(crate) async fn names_are_unique_in_any_case(given: &mut Given) {
    let new = NewAccount {
        aliases: vec!["Second@localhost".into()],
        ..new_account("First@Localhost")
    };
    let info = given.store.create_account(new).await.unwrap();
    for taken in ["first@localhost", "FIRST@LOCALHOST", "second@LOCALHOST"] {
        assert_eq!(given.store.find_account(taken).unwrap().id, info.id);
        let refused = given.store.create_account(new_account(taken)).await;
        assert_eq!(refused, Err(Error::AlreadyExists(What::Account)));
    }
    assert_eq!(given.store.find_account("third@localhost"), None);
}

pub(crate) async fn a_change_takes_and_frees_names(given: &mut Given) {
    let a = given.account("a").await.info();
    let b = given.account("b").await.info();
    let aliases = |names: &[&str]| AccountChange {
        aliases: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        ..AccountChange::default()
    };
    given
        .store
        .change_account(a.id, aliases(&["x", "y"]))
        .await
        .unwrap();
    let taken = given.store.change_account(b.id, aliases(&["X"])).await;
    assert_eq!(taken, Err(Error::AlreadyExists(What::Account)));
    given
        .store
        .change_account(a.id, aliases(&["y"]))
        .await
        .unwrap();
    given
        .store
        .change_account(b.id, aliases(&["X"]))
        .await
        .unwrap();
    assert_eq!(given.store.find_account("x").unwrap().id, b.id);
    let off = AccountChange {
        enabled: Some(false),
        quota: Some(Quota {
            bytes: Some(7),
            messages: None,
        }),
        ..AccountChange::default()
    };
    let changed = given.store.change_account(b.id, off).await.unwrap();
    given.reopen().await;
    assert_eq!(given.store.find_account("x"), Some(changed));
    assert!(!given.store.find_account("b").unwrap().enabled);
    assert_eq!(given.store.accounts().len(), 2);
}

pub(crate) async fn a_removed_account_is_gone_at_once(given: &mut Given) {
    let account = given.account("gone").await;
    let id = account.info().id;
    let inbox = open(&*account, "INBOX").await;
    append(&*account, inbox.id(), "Subject: x\r\n\r\nx").await;
    let (mut watch, mut changes) = (inbox.watch(), account.changes());
    given.store.remove_account(id).await.unwrap();
    assert!(watch.changed().await.is_err());
    while changes.changed().await.is_ok() {}
    assert_eq!(given.store.find_account("gone"), None);
    let gone = Error::NotFound(What::Account);
    let opened = given.store.open_account(id, actor(id)).await;
    assert_eq!(opened.err(), Some(gone.clone()));
    assert!(account.create_mailbox(&name("x"), &[]).await.is_err());
    assert_eq!(
        given.store.remove_account(id).await.err(),
        Some(gone.clone())
    );
    given.reopen().await;
    assert!(given.store.accounts().is_empty());
}

pub(crate) async fn a_new_account_of_an_old_name_starts_over(given: &mut Given) {
    let old = given.account("again").await;
    let validities = |account: &dyn store::Account| {
        let tree = account.tree();
        let all: Vec<_> = tree.mailboxes.values().map(|i| i.uid_validity).collect();
        all
    };
    let before = validities(&*old);
    given.store.remove_account(old.info().id).await.unwrap();
    given.reopen().await;
    given.clock.set(NOW - 1_000);
    let new = given.account("again").await;
    assert!(new.info().id > old.info().id);
    assert!(validities(&*new).iter().min() > before.iter().max());
}

pub(crate) async fn another_actor_finds_nothing(given: &mut Given) {
    let owner = given.account("owner").await;
    let other = given.account("other").await;
    let as_other = actor(other.info().id);
    let opened = given.store.open_account(owner.info().id, as_other).await;
    assert_eq!(opened.err(), Some(Error::NotFound(What::Account)));
    // A mailbox of somebody else is no mailbox.
    let foreign = id_of(&*owner, "INBOX").unwrap();
    let missing = Some(Error::NotFound(What::Mailbox));
    let opened = other.open_mailbox(foreign, Access::ReadWrite).await;
    assert_eq!(opened.err(), missing);
    assert_eq!(other.summary(foreign).err(), missing);
    let inbox = open(&*other, "INBOX").await;
    let uid = append(&*other, inbox.id(), "a\r\n\r\n").await;
    let copied = inbox.copy(&uids(&[uid.get()]), foreign).await;
    assert_eq!(copied.err(), missing);
    let moved = inbox.move_to(&uids(&[uid.get()]), foreign).await;
    assert_eq!(moved.err(), missing);
    assert_eq!(other.delete_mailbox(foreign).await.err(), missing);
}

pub(crate) async fn an_actor_that_may_only_read_changes_nothing(given: &mut Given) {
    let owner = given.account("owner").await;
    let inbox = id_of(&*owner, "INBOX").unwrap();
    let uid = append(&*owner, inbox, "a\r\n\r\n").await;
    let reader = Actor {
        client: std::sync::Arc::default(),
        access: Access::ReadOnly,
        ..actor(owner.info().id)
    };
    let id = owner.info().id;
    let reader = given.store.open_account(id, reader).await.unwrap();
    let denied = Some(Error::Denied);
    // It asks for more than it has.
    let opened = reader.open_mailbox(inbox, Access::ReadWrite).await.unwrap();
    assert_eq!(opened.state().summary.messages, 1);
    assert_eq!(opened.take_recent(&opened.state()), None);
    let (all, seen) = (uids(&[uid.get()]), flags("x"));
    let stored = opened.store_flags(&all, FlagChange::Add, &seen, None).await;
    assert_eq!(stored.err(), denied);
    assert_eq!(opened.expunge(Expunge::Deleted).await.err(), denied);
    assert_eq!(opened.copy(&all, inbox).await.err(), denied);
    assert_eq!(opened.move_to(&all, inbox).await.err(), denied);
    assert_eq!(reader.upload(10).await.err(), denied);
    let (new, old) = (name("new"), name("Trash"));
    assert_eq!(reader.create_mailbox(&new, &[]).await.err(), denied);
    assert_eq!(reader.rename_mailbox(&old, &new).await.err(), denied);
    assert_eq!(reader.delete_mailbox(inbox).await.err(), denied);
    let off = reader.subscribe(&old, Subscription::Off).await;
    assert_eq!(off.err(), denied);
}

pub(crate) async fn quota_is_reserved_when_announced(given: &mut Given) {
    let quota = Quota {
        bytes: Some(1_000),
        messages: None,
    };
    let account = given.account_with("small", quota).await;
    let inbox = id_of(&*account, "INBOX").unwrap();
    let later = Some(Error::OverQuota(Fit::Later));
    let never = account.upload(1_001).await;
    assert_eq!(never.err(), Some(Error::OverQuota(Fit::Never)));
    let first = account.upload(600).await.unwrap();
    assert_eq!(account.upload(600).await.err(), later);
    drop(first);
    let text = vec![b'x'; 600];
    let message = message(&*account, &text, "").await;
    account.append(inbox, vec![message]).await.unwrap();
    assert_eq!(account.usage().bytes, 600);
    assert_eq!(account.upload(401).await.err(), later);
    let mut grows = account.upload(300).await.unwrap();
    assert_eq!(
        grows.write(&[0; 500]).await,
        Err(Error::OverQuota(Fit::Later))
    );
    drop(grows);
    // What goes makes room.
    let mailbox = open(&*account, "INBOX").await;
    let deleted = flags("\\Deleted");
    let add = FlagChange::Add;
    change_flags(&*mailbox, all(), add, deleted.clone(), None)
        .await
        .unwrap();
    mailbox.expunge(Expunge::Deleted).await.unwrap();
    assert_eq!(account.usage(), store::Usage::default());
    assert!(account.upload(1_000).await.is_ok());
    given.reopen().await;
    assert_eq!(given.open("small").await.usage(), store::Usage::default());
}

pub(crate) async fn quota_of_messages_and_copies(given: &mut Given) {
    let quota = Quota {
        bytes: None,
        messages: Some(3),
    };
    let account = given.account_with("few", quota).await;
    let inbox = open(&*account, "INBOX").await;
    append_many(&*account, inbox.id(), 2).await;
    let archive = id_of(&*account, "Archive").unwrap();
    let refused = inbox.copy(&all(), archive).await;
    assert_eq!(refused.err(), Some(Error::OverQuota(Fit::Later)));
    assert_eq!(account.summary(archive).unwrap().messages, 0);
    inbox.copy(&uids(&[1]), archive).await.unwrap();
    assert_eq!(account.usage().messages, 3);
    // Moving takes no room.
    inbox.move_to(&all(), archive).await.unwrap();
    assert_eq!(account.usage().messages, 3);
    account.delete_mailbox(archive).await.unwrap();
    assert_eq!(account.usage().messages, 0);
}

pub(crate) async fn app_passwords_survive_and_are_revoked(given: &mut Given) {
    let id = given.account("tim").await.info().id;
    let kept = |hash: &str| Verifiers {
        hash: hash.into(),
        scram: Some(format!("scram of {hash}")),
    };
    let app = |name: &str| {
        CredentialChange::AddApp(NewAppPassword {
            name: name.into(),
            verifiers: kept(name),
            selector: "abcd".into(),
            scopes: Scope::ALL.into_iter().collect(),
            expires_secs: Some(NOW + 1),
        })
    };
    let change = |credentials| AccountChange {
        credentials,
        may_act_as: Some(ActAs::These(vec![id])),
        ..AccountChange::default()
    };
    let all = vec![
        CredentialChange::Password(kept("main")),
        app("phone"),
        app("tablet"),
    ];
    let changed = given.store.change_account(id, change(all)).await.unwrap();
    let mut watched = given.open("tim").await.changes();
    watched.mark_unchanged();
    given
        .store
        .change_account(
            id,
            change(vec![CredentialChange::RevokeApp("phone".into())]),
        )
        .await
        .unwrap();
    assert!(watched.has_changed().unwrap(), "sessions are told");
    let taken = given
        .store
        .change_account(id, change(vec![app("tablet")]))
        .await;
    assert_eq!(taken, Err(Error::AlreadyExists(What::AppPassword)));
    given.reopen().await;
    let info = given.store.find_account("tim").unwrap();
    assert_eq!(info.app_passwords, changed.app_passwords[1..]);
    assert_eq!(info.password, changed.password);
    assert_eq!(info.may_act_as, changed.may_act_as);
    // An id is not given again, not even after its password is gone and the store was closed.
    let added = given
        .store
        .change_account(id, change(vec![app("new")]))
        .await;
    let added = added.unwrap().app_passwords.last().unwrap().id;
    assert!(changed.app_passwords.iter().all(|app| app.id < added));
}

pub(crate) async fn accounts_without_scram_are_counted(given: &mut Given) {
    let kept = |scram: Option<&str>| Verifiers {
        hash: "hash".into(),
        scram: scram.map(str::to_owned),
    };
    let with = |name: &str, password| NewAccount {
        password,
        ..new_account(name)
    };
    let store = std::sync::Arc::clone(&given.store);
    let create = async |name, password| store.create_account(with(name, password)).await.unwrap();
    create("none", None).await;
    create("has", Some(kept(Some("scram")))).await;
    let imported = create("imported", Some(kept(None))).await;
    let gone = create("gone", Some(kept(None))).await;
    assert_eq!(store.accounts_without_scram(), 2);
    assert_eq!(store.account_count(), store.accounts().len());
    store.remove_account(gone.id).await.unwrap();
    assert_eq!(store.account_count(), store.accounts().len());
    assert_eq!(store.accounts_without_scram(), 1);
    let change = |enabled, password| AccountChange {
        enabled: Some(enabled),
        credentials: vec![CredentialChange::Password(password)],
        ..AccountChange::default()
    };
    for (enabled, scram, expected) in [(false, None, 0), (true, None, 1), (true, Some("x"), 0)] {
        let change = change(enabled, kept(scram));
        store.change_account(imported.id, change).await.unwrap();
        assert_eq!(store.accounts_without_scram(), expected);
    }
    let change = change(true, kept(None));
    store.change_account(imported.id, change).await.unwrap();
    drop(store);
    given.reopen().await;
    assert_eq!(given.store.accounts_without_scram(), 1);
}
