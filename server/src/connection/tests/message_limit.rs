//! MESSAGELIMIT and SAVELIMIT (RFC 9738), with as many messages as it takes.

use super::*;

/// Messages in INBOX, UIDs 1 to this; more than a limit may be.
const COUNT: usize = 1_024;
const LIMIT: &str = "Imap:MessageLimit=1000";

/// A client with INBOX selected, which holds `COUNT` messages. They are put there without a limit.
async fn full(set: &[&str]) -> (Server, Client) {
    let directory = tempfile::tempdir().unwrap();
    let open = |set: &[&str]| {
        let config = configured(set);
        let kept = config.store_options();
        let clock = clock();
        let time = Arc::clone(&clock) as _;
        let store = EmbeddedStore::open(directory.path(), kept, time).unwrap();
        (config, (store, clock))
    };
    let (config, store) = open(&[]);
    let before = Server::with(config, store, None).await;
    let mut client = before.selected().await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    while count(&mut client, "INBOX").await < COUNT {
        client.run("COPY 1:* INBOX").await;
        client.run("NOOP").await;
    }
    before.service.store.close().await;
    drop((before, client));
    let (config, store) = open(set);
    let server = Server::with(config, store, Some(directory)).await;
    let client = server.selected().await;
    (server, client)
}

fn last(lines: &[String]) -> &str {
    lines.last().unwrap()
}

#[tokio::test]
async fn the_newest_messages_are_worked_on_and_the_rest_is_told_of() {
    let (_server, mut client) = full(&[LIMIT]).await;
    let fetched = client.ask("FETCH 1:* UID").await;
    assert!(last(&fetched).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    assert_eq!(fetched.len(), 1_001);
    // From the highest UID to the lowest.
    assert_eq!(fetched[0], "* 1024 FETCH (UID 1024)");
    assert_eq!(fetched[999], "* 25 FETCH (UID 25)");
    let rest = client.ask("FETCH 1:24 UID").await;
    assert!(last(&rest).starts_with("t OK Fetched"), "{}", last(&rest));
    assert_eq!(rest[0], "* 1 FETCH (UID 1)");

    let paged = client.ask("UID FETCH 1:* UID (PARTIAL -1:-1001)").await;
    assert!(last(&paged).starts_with("t NO [MESSAGELIMIT 1000] "));
    assert_eq!(paged.len(), 1);
    let paged = client.ask("UID FETCH 1:* UID (PARTIAL -2:-3)").await;
    let told = ["* 1022 FETCH (UID 1022)", "* 1023 FETCH (UID 1023)"];
    assert_eq!(paged[..2], told);

    let stored = client.ask("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    assert!(last(&stored).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    let searched = client.ask("SEARCH RETURN (SAVE COUNT) DELETED").await;
    assert_eq!(searched[0], "* ESEARCH (TAG \"t\") COUNT 1000");
    assert!(last(&searched).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    let saved = client.ask("SEARCH RETURN (COUNT) $").await;
    assert_eq!(saved[0], "* ESEARCH (TAG \"t\") COUNT 1000");
    // What is looked at counts, not what is found.
    let few = client.ask("SEARCH UID 1:20 DELETED").await;
    assert_eq!(few, ["* SEARCH", "t OK Searched."]);
    let none = client.ask("SEARCH UNDELETED").await;
    assert_eq!(none[0], "* SEARCH");
    assert!(last(&none).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    let paged = client.ask("SEARCH RETURN (PARTIAL 1:1001) ALL").await;
    assert!(last(&paged).starts_with("t NO [MESSAGELIMIT 1000] "));
}

#[tokio::test]
async fn copies_are_refused_whole_and_moves_and_expunges_go_on() {
    let (_server, mut client) = full(&[LIMIT]).await;
    let copied = client.ask("UID COPY 1:* Sent").await;
    assert!(copied[0].starts_with("t NO [MESSAGELIMIT 1000 25] "));
    assert_eq!(count(&mut client, "Sent").await, 0);
    client.run("UID COPY 25:* Sent").await;
    assert_eq!(count(&mut client, "Sent").await, 1_000);
    let moved = client.ask("UID MOVE 1:* Archive").await;
    assert!(moved[0].contains("[COPYUID ") && moved[0].contains(" 25:1024 1:1000]"));
    assert!(last(&moved).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    assert_eq!(
        moved.iter().filter(|l| l.ends_with(" EXPUNGE")).count(),
        1_000
    );
    let rest = client.ask("UID MOVE 1:* Archive").await;
    assert!(last(&rest).starts_with("t OK The messages"));
    assert_eq!(count(&mut client, "Archive").await, COUNT);

    client.run("SELECT Archive").await;
    client.run("STORE 1:100 +FLAGS.SILENT (\\Deleted)").await;
    client.run("STORE 101:1024 +FLAGS.SILENT (\\Deleted)").await;
    let expunged = client.ask("UID EXPUNGE 1:*").await;
    assert!(last(&expunged).starts_with("t OK [MESSAGELIMIT 1000 25] "));
    assert_eq!(expunged.len(), 1_001);
    // EXPUNGE is never limited.
    let expunged = client.ask("EXPUNGE").await;
    assert_eq!(last(&expunged), "t OK Expunged.");
    assert_eq!(count(&mut client, "Archive").await, 0);
}

#[tokio::test]
async fn expunge_and_close_take_all() {
    let (_server, mut client) = full(&[LIMIT]).await;
    client.run("STORE 1:500 +FLAGS.SILENT (\\Deleted)").await;
    client.run("STORE 501:1024 +FLAGS.SILENT (\\Deleted)").await;
    let status = client.ask("STATUS INBOX (UNSEEN)").await;
    assert_eq!(status[0], "* STATUS INBOX (UNSEEN 1024)");
    client.run("CLOSE").await;
    assert_eq!(count(&mut client, "INBOX").await, 0);
}

#[tokio::test]
async fn a_limit_on_what_is_saved_is_on_copy_and_append_alone() {
    let (_server, mut client) = full(&["Imap:SaveLimit=1000"]).await;
    let capabilities = client.ask("CAPABILITY").await;
    assert!(capabilities[0].contains(" SAVELIMIT=1000 "));
    assert!(!capabilities[0].contains("MESSAGELIMIT"));
    let copied = client.ask("COPY 1:* Sent").await;
    assert!(copied[0].starts_with("t NO [MESSAGELIMIT 1000 25] "));
    assert_eq!(client.run("FETCH 1:* UID").await.len(), COUNT + 1);
    let message = " {5+}\r\na: b\n".repeat(1_001);
    let appended = client.ask(&format!("APPEND Sent{message}")).await;
    assert!(
        appended[0].starts_with("t NO [MESSAGELIMIT 1000] "),
        "{}",
        appended[0]
    );
    assert_eq!(count(&mut client, "Sent").await, 0);
    let message = " {5+}\r\na: b\n".repeat(1_000);
    client.run(&format!("APPEND Sent{message}")).await;
    assert_eq!(count(&mut client, "Sent").await, 1_000);
}

#[tokio::test]
async fn two_codes_are_told_in_two_responses() {
    let (server, mut client) = full(&[LIMIT]).await;
    let mut other = server.selected().await;
    other.run("UID STORE 1000 +FLAGS.SILENT (\\Deleted)").await;
    other.run("EXPUNGE").await;
    let fetched = client.ask("FETCH 1:* UID").await;
    let said = &fetched[fetched.len() - 2];
    assert!(said.starts_with("* NO [MESSAGELIMIT 1000 25] "), "{said}");
    assert!(last(&fetched).contains("[EXPUNGEISSUED]"));
}
