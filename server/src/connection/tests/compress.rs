//! COMPRESS over whole connections (RFC 4978), and its end by UNAUTHENTICATE (RFC 8437).

use super::*;
use crate::connection::deflate::tests::Codec;

/// A client whose streams are compressed once it has asked for that.
struct Deflating {
    client: Client,
    codec: Codec,
    /// Received so far, bytes.
    received: usize,
}

impl Deflating {
    async fn on(server: &Server) -> Self {
        let mut client = server.selected().await;
        client.run("COMPRESS DEFLATE").await;
        assert!(client.input.is_empty(), "nothing follows the answer");
        Self {
            client,
            codec: Codec::new(),
            received: 0,
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let sent = self.codec.deflate(bytes);
        self.client.stream.write_all(&sent).await.unwrap();
    }

    /// Everything up to this text; as far as it goes if the connection ends.
    async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let read = async {
            while !text.windows(end.len()).any(|it| it == end.as_bytes()) {
                let mut bytes = Vec::with_capacity(64 * 1024);
                if self.client.stream.read_buf(&mut bytes).await.unwrap() == 0 {
                    break;
                }
                self.received += bytes.len();
                text.extend(self.codec.inflate(&bytes));
            }
        };
        timeout(PATIENCE, read).await.expect("an answer in time");
        String::from_utf8(text).unwrap()
    }
}

#[tokio::test]
async fn everything_goes_on_compressed() {
    let server = Server::start(&[]).await;
    let mut client = Deflating::on(&server).await;
    let message = format!(
        "Subject: long\r\n\r\n{}",
        "the same again\r\n".repeat(20_000)
    );
    client
        .send(format!("a1 APPEND INBOX {{{}}}\r\n", message.len()).as_bytes())
        .await;
    assert!(client.until("\r\n").await.starts_with("+ "));
    client.send(format!("{message}\r\n").as_bytes()).await;
    let appended = client.until("a1 OK").await;
    assert!(appended.contains("* 1 EXISTS"), "{appended}");
    client.send(b"a2 FETCH 1 BODY[]\r\n").await;
    let before = client.received;
    let fetched = client.until("a2 OK").await;
    assert!(fetched.contains(&message));
    let received = client.received - before;
    assert!(received < message.len() / 20, "{received}");
    // Literals of commands, in one piece with the next command.
    client
        .send(b"a3 SEARCH SUBJECT {4+}\r\nlong\r\na4 NOOP\r\n")
        .await;
    let answered = client.until("a4 OK").await;
    assert!(answered.contains("* SEARCH 1\r\n"), "{answered}");
}

#[tokio::test]
async fn rule_51_a_second_time_is_refused_and_changes_nothing() {
    let server = Server::start(&[]).await;
    let mut client = Deflating::on(&server).await;
    client.send(b"a1 COMPRESS DEFLATE\r\n").await;
    let refused = client.until("\r\n").await;
    assert!(
        refused.starts_with("a1 NO [COMPRESSIONACTIVE] ") && refused.contains("by COMPRESS"),
        "{refused}"
    );
    client.send(b"a2 NOOP\r\n").await;
    assert!(client.until("\r\n").await.starts_with("a2 OK"));
}

#[tokio::test]
async fn idle_is_told_at_once_and_the_end_is_orderly() {
    let server = Server::start(&[]).await;
    let mut client = Deflating::on(&server).await;
    client.send(b"i IDLE\r\n").await;
    assert!(client.until("\r\n").await.starts_with("+ "));
    let mut other = server.selected().await;
    other.append("Subject: x\r\n\r\nx\r\n").await;
    assert!(client.until("\r\n").await.starts_with("* 1 EXISTS"));
    client.send(b"DONE\r\n").await;
    assert!(client.until("i OK").await.contains("i OK"));
    server.service.shutdown.begin();
    let bye = client.until("never").await;
    assert!(
        bye.starts_with("* BYE The server is shutting down"),
        "{bye}"
    );
}

#[tokio::test]
async fn threat_21_a_bomb_ends_the_connection_and_a_message_is_none() {
    let server = Server::start(&["Limits:DiscardBytes=1GiB"]).await;
    // A message may consist of anything.
    let mut honest = Deflating::on(&server).await;
    let zeros = vec![b' '; 8 << 20];
    honest
        .send(format!("a1 APPEND INBOX {{{}+}}\r\nA: b\r\n\r\n", zeros.len() + 8).as_bytes())
        .await;
    honest.send(&zeros).await;
    honest.send(b"\r\na2 NOOP\r\n").await;
    let answered = honest.until("a2 OK").await;
    assert!(answered.contains("a1 OK"), "{answered}");
    // The same in a literal that is only skipped.
    let mut attacker = Deflating::on(&server).await;
    attacker
        .send(format!("b1 LOGIN {{{}+}}\r\n", zeros.len()).as_bytes())
        .await;
    attacker.send(&zeros).await;
    let bye = attacker.until("never").await;
    assert!(bye.contains("* BYE [LIMIT] What was compressed"), "{bye}");
}

#[tokio::test]
async fn threat_21_what_was_sent_in_clear_ends_the_connection() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client
        .send("a1 COMPRESS DEFLATE\r\na2 DELETE Sent\r\na3 NOOP\r\n")
        .await;
    assert!(client.line().await.starts_with("a1 OK"));
    let mut rest = Vec::new();
    timeout(PATIENCE, client.stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let rest = [client.input, rest].concat();
    let bye = String::from_utf8(Codec::new().inflate(&rest)).unwrap();
    assert!(
        bye.starts_with("* BYE [LIMIT] What was compressed"),
        "{bye}"
    );
    let tim = server.service.store.open_account(
        server.tim().id,
        Actor {
            account: server.tim().id,
            origin: "test".into(),
            client: Arc::default(),
            access: Access::ReadOnly,
        },
    );
    let names = tim.await.unwrap().tree();
    assert!(
        names
            .mailboxes
            .values()
            .any(|it| it.name.as_str() == "Sent")
    );
}

/// The text of a compressed stream that ends, and what follows it in clear.
async fn to_end_of_stream(stream: &mut DuplexStream) -> (String, Vec<u8>) {
    let mut received = Vec::new();
    loop {
        stream.read_buf(&mut received).await.unwrap();
        let mut inflater = flate2::Decompress::new_with_window_bits(false, 15);
        let mut text = Vec::with_capacity(1_000);
        let flush = flate2::FlushDecompress::Sync;
        let status = inflater.decompress_vec(&received, &mut text, flush);
        if status.unwrap() == flate2::Status::StreamEnd {
            let taken = usize::try_from(inflater.total_in()).unwrap();
            return (String::from_utf8(text).unwrap(), received[taken..].to_vec());
        }
    }
}

/// RFC 8437 §4.1: both sides end their streams, and the next login is in clear, also if it is there
/// already.
#[tokio::test]
async fn unauthenticate_ends_compression() {
    let server = Server::start(&[]).await;
    for is_pipelined in [false, true] {
        let mut client = Deflating::on(&server).await;
        let mut sent = client.codec.deflate(b"u1 UNAUTHENTICATE\r\n");
        let login: &[u8] = b"u2 LOGIN tim secret-enough\r\nu3 COMPRESS DEFLATE\r\n";
        if is_pipelined {
            sent.extend_from_slice(login);
        }
        client.client.stream.write_all(&sent).await.unwrap();
        let (text, clear) = to_end_of_stream(&mut client.client.stream).await;
        assert!(
            text.starts_with("u1 OK ") && text.ends_with("\r\n"),
            "{text}"
        );
        client.client.input = clear;
        if !is_pipelined {
            client.client.stream.write_all(login).await.unwrap();
        }
        let welcome = client.client.line().await;
        assert!(welcome.starts_with("u2 OK [CAPABILITY "), "{welcome}");
        assert!(client.client.line().await.starts_with("u3 OK "));
        client.codec = Codec::new();
        client.send(b"u4 STATUS INBOX (MESSAGES)\r\n").await;
        assert!(client.until("u4 OK").await.starts_with("* STATUS "));
    }
}
