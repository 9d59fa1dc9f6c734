//! The past: who did what to which messages.

use std::sync::Arc;

use mail::flag::FlagChange;
use store::{
    Access, Account, Actor, Expunge, NewMessage, Store,
    history::{Deed, HistoryEnd, HistoryQuery, Past},
};
use tokio::sync::mpsc;

use crate::support::*;

/// Everything that is told, and how it ended.
async fn told(store: &Arc<dyn Store>, query: HistoryQuery) -> (Vec<Past>, HistoryEnd) {
    let (to, mut from) = mpsc::channel(2);
    let all = async {
        let mut all = Vec::new();
        while let Some(past) = from.recv().await {
            all.push(past);
        }
        all
    };
    let (end, all) = tokio::join!(store.history(query, to), all);
    (all, end.unwrap())
}

/// An entry in a few words.
fn line(past: &Past) -> String {
    let what = match &past.deed {
        Deed::AccountSet => "account".to_owned(),
        Deed::AccountRemoved => "account removed".to_owned(),
        Deed::MailboxCreated { mailbox } => format!("create {mailbox}"),
        Deed::MailboxRenamed { mailbox, to } => format!("rename {mailbox} {to}"),
        Deed::MailboxDeleted { mailbox } => format!("delete {mailbox}"),
        Deed::Subscribed { mailbox } => format!("subscribe {mailbox}"),
        Deed::Unsubscribed { mailbox } => format!("unsubscribe {mailbox}"),
        Deed::Added { mailbox, uids, .. } => format!("add {mailbox} {uids}"),
        Deed::Copied { mailbox, uids } => format!("copy {mailbox} {uids}"),
        Deed::Moved {
            mailbox,
            uids,
            to,
            to_uids,
        } => format!("move {mailbox} {uids} {to} {to_uids}"),
        Deed::Flagged {
            mailbox,
            uids,
            flags,
        } => {
            let names: Vec<_> = flags.system.names().collect();
            format!("flag {mailbox} {uids} {}", names.join(" "))
        }
        Deed::Expunged { mailbox, uids } => format!("expunge {mailbox} {uids}"),
    };
    format!("{} {}: {what}", past.account, past.origin)
}

fn lines(all: &[Past]) -> Vec<String> {
    all.iter().map(line).collect()
}

/// An account opened by a client that names itself later.
async fn opened_by(given: &Given, name: &str) -> (Arc<dyn Account>, Actor) {
    let info = given.store.find_account(name).unwrap();
    let actor = Actor {
        account: info.id,
        origin: "imap 192.0.2.7:5 #17".into(),
        client: Arc::default(),
        access: Access::ReadWrite,
    };
    let opened = given.store.open_account(info.id, actor.clone()).await;
    (opened.unwrap(), actor)
}

pub(crate) async fn the_past_says_who_did_what_to_which_messages(given: &mut Given) {
    given.account("anna").await;
    given.account("ben").await;
    given.clock.set(NOW + 100);
    let (anna, actor) = opened_by(given, "anna").await;
    let inbox = id_of(&*anna, "INBOX").unwrap();
    append_many(&*anna, inbox, 2).await;
    actor.client.set("Mail 1".into()).unwrap();
    let mailbox = open(&*anna, "INBOX").await;
    let seen = flags("\\Seen");
    change_flags(&*mailbox, uids(&[1]), FlagChange::Add, seen, None)
        .await
        .unwrap();
    anna.create_mailbox(&name("Old"), &[]).await.unwrap();
    let old = id_of(&*anna, "Old").unwrap();
    mailbox.copy(&uids(&[2]), old).await.unwrap();
    mailbox.move_to(&uids(&[1]), old).await.unwrap();
    let deleted = flags("\\Deleted");
    change_flags(&*mailbox, uids(&[2]), FlagChange::Add, deleted, None)
        .await
        .unwrap();
    mailbox.expunge(Expunge::Deleted).await.unwrap();
    anna.rename_mailbox(&name("Old"), &name("New"))
        .await
        .unwrap();
    anna.delete_mailbox(old).await.unwrap();
    let recent = HistoryQuery {
        account: Some(actor.account),
        since_secs: Some(NOW + 1),
        ..HistoryQuery::default()
    };
    let by = "anna imap 192.0.2.7:5 #17 Mail 1:";
    let expected = [
        "anna imap 192.0.2.7:5 #17: add INBOX 1:2".to_owned(),
        format!("{by} flag INBOX 1 \\Seen"),
        format!("{by} create Old"),
        format!("{by} copy Old 1"),
        format!("{by} move INBOX 1 Old 2"),
        format!("{by} flag INBOX 2 \\Deleted"),
        format!("{by} expunge INBOX 2"),
        format!("{by} rename Old New"),
        format!("{by} delete New"),
    ];
    for _ in 0..2 {
        let (all, end) = told(&given.store, recent.clone()).await;
        assert_eq!(lines(&all), expected);
        assert_eq!(end.missing, [""; 0]);
        let whole = told(&given.store, HistoryQuery::default()).await;
        assert_eq!(whole.1.begins_secs, Some(NOW));
        assert!(lines(&whole.0).contains(&"ben account: account".to_owned()));
        let of_uid = HistoryQuery {
            mailbox: Some(name("INBOX").key()),
            uid: Some(uid(2)),
            ..recent.clone()
        };
        let (all, _) = told(&given.store, of_uid).await;
        assert_eq!(all.len(), 3, "{:?}", lines(&all));
        given.reopen().await;
    }
}

pub(crate) async fn a_message_is_followed_by_its_message_id(given: &mut Given) {
    let anna = given.account("anna").await;
    let inbox = id_of(&*anna, "INBOX").unwrap();
    let trash = id_of(&*anna, "Trash").unwrap();
    append_many(&*anna, inbox, 3).await;
    let message: NewMessage = {
        let mut made = fixed(b"Subject: x\r\n\r\n");
        made.thread_keys = vec!["wanted@x".into()];
        try_message(&*anna, b"Subject: x\r\n\r\n", made, "")
            .await
            .unwrap()
    };
    anna.append(inbox, vec![message]).await.unwrap();
    let mailbox = open(&*anna, "INBOX").await;
    mailbox.move_to(&uids(&[4]), trash).await.unwrap();
    mailbox.move_to(&uids(&[1]), trash).await.unwrap();
    let bin = open(&*anna, "Trash").await;
    change_flags(&*bin, all(), FlagChange::Add, flags("\\Seen"), None)
        .await
        .unwrap();
    let query = HistoryQuery {
        message_id: Some("wanted@x".into()),
        ..HistoryQuery::default()
    };
    let (found, _) = told(&given.store, query).await;
    assert_eq!(
        lines(&found),
        [
            "anna test: add INBOX 4",
            "anna test: move INBOX 4 Trash 1",
            "anna test: flag Trash 1 \\Seen",
        ]
    );
}

pub(crate) async fn what_does_not_concern_is_left_out_and_nothing_else(given: &mut Given) {
    let anna = given.account("anna").await;
    let inbox = id_of(&*anna, "INBOX").unwrap();
    append(&*anna, inbox, "Subject: first\r\n\r\n").await;
    // Segments full of another one's mail: they are sealed, and summed up when the store opens.
    let ben = given.account("ben").await;
    let to = id_of(&*ben, "INBOX").unwrap();
    let noise: String = (0..200_000u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    for _ in 0..60 {
        append(&*ben, to, &format!("Subject: x\r\n\r\n{noise}")).await;
    }
    given.clock.set(NOW + 1_000);
    append(&*anna, inbox, "Subject: last\r\n\r\n").await;
    given.reopen().await;
    let query = HistoryQuery {
        account: Some(given.store.find_account("anna").unwrap().id),
        mailbox: Some(name("INBOX").key()),
        ..HistoryQuery::default()
    };
    for lost in [Lost::Nothing, Lost::Summaries] {
        given.reopen_without(lost).await;
        let (found, end) = told(&given.store, query.clone()).await;
        let added: Vec<_> = lines(&found)
            .into_iter()
            .filter(|l| l.contains("add"))
            .collect();
        assert_eq!(added, ["anna test: add INBOX 1", "anna test: add INBOX 2"]);
        assert_eq!(end.missing, [""; 0]);
    }
    let since = HistoryQuery {
        since_secs: Some(NOW + 500),
        ..query
    };
    let (found, _) = told(&given.store, since).await;
    assert_eq!(lines(&found), ["anna test: add INBOX 2"]);
}
