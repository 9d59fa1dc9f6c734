//! Known answers, and the grammar held for any index.

use mail::mime::index;

use super::*;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn message(lines: &[&str]) -> Index {
    index(lines.join("\r\n").as_bytes())
}

#[test]
fn envelopes() {
    let header = "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n\
        From: Fred Foobar <foobar@Blurdybloop.example>\r\n\
        Subject: afternoon \"meeting\"\r\nTo: mooch@owatagu.siam.edu.example, b@c\r\n\
        Message-Id: <B27397@x>\r\n\r\n";
    let from = "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\"))";
    assert_eq!(
        text(envelope(&Envelope::parse(header.as_bytes()))),
        format!(
            "(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" \"afternoon \\\"meeting\\\"\" {from} {from} \
             {from} ((NIL NIL \"mooch\" \"owatagu.siam.edu.example\")(NIL NIL \"b\" \"c\")) NIL \
             NIL NIL \"<B27397@x>\")"
        )
    );
    assert_eq!(
        text(envelope(&Envelope::default())),
        "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    );
}

#[test]
fn groups_and_eight_bit_text() {
    let parsed = Envelope::parse("Subject: ü\r\nTo: G: a@b;\r\n\r\n".as_bytes());
    assert_eq!(
        text(envelope(&parsed)),
        "(NIL {2}\r\nü NIL NIL NIL ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) \
         NIL NIL NIL NIL)"
    );
}

#[test]
fn single_parts() {
    let check = |lines: &[&str], short: &str, extended: &str| {
        let index = message(lines);
        assert_eq!(text(body(&index)), format!("({short})"));
        assert_eq!(text(body_structure(&index)), format!("({short}{extended})"));
    };
    check(
        &["Subject: x", "", "one", "two", ""],
        "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2",
        " NIL NIL NIL NIL",
    );
    check(
        &[
            "Content-Type: application/pdf; name=\"a \\\"b.pdf\"",
            "Content-Transfer-Encoding: base64",
            "Content-ID: <i@d>",
            "Content-Description: a file",
            "Content-MD5: Q2hlY2s=",
            "Content-Disposition: attachment; filename=\"ä.pdf\"",
            "Content-Language: de, en",
            "Content-Location: http://x/y",
            "",
            "YQ==",
        ],
        "\"application\" \"pdf\" (\"name\" \"a \\\"b.pdf\") \"<i@d>\" \"a file\" \"base64\" 4",
        " \"Q2hlY2s=\" (\"attachment\" (\"filename\" {6}\r\nä.pdf)) (\"de\" \"en\") \
         \"http://x/y\"",
    );
}

#[test]
fn multiparts_and_messages() {
    let index = message(&[
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/html",
        "",
        "<p>",
        "--b",
        "Content-Type: message/rfc822",
        "",
        "Subject: inner",
        "",
        "hello",
        "--b--",
        "",
    ]);
    let html = "\"text\" \"html\" NIL NIL NIL \"7bit\" 3 0";
    let plain = "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0";
    let outer = "\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 23 (NIL \"inner\" NIL NIL NIL NIL NIL \
        NIL NIL NIL)";
    assert_eq!(
        text(body(&index)),
        format!("(({html})({outer} ({plain}) 2) \"mixed\")")
    );
    let ext = "NIL NIL NIL NIL";
    assert_eq!(
        text(body_structure(&index)),
        format!(
            "(({html} {ext})({outer} ({plain} {ext}) 2 {ext}) \"mixed\" (\"boundary\" \"b\") NIL \
             NIL NIL)"
        )
    );
}

#[test]
fn whatever_the_index_says_the_grammar_is_kept() {
    let mut index = message(&[
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
    ]);
    index.parts.truncate(1);
    let opaque = "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 8)";
    for (kind, descendants) in [
        (PartKind::Multipart, 0),
        (PartKind::Multipart, 1),
        (PartKind::Message, 0),
        (PartKind::Leaf, 0),
    ] {
        index.parts[0].kind = kind;
        index.parts[0].descendants = descendants;
        assert_eq!(text(body(&index)), opaque);
    }
    index.parts.clear();
    assert_eq!(text(body(&index)).as_bytes(), NOTHING);
}

#[test]
fn depth_is_bounded() {
    let mut nested = String::new();
    for _ in 0..200 {
        nested.push_str("Content-Type: message/rfc822\r\n\r\n");
    }
    let value = text(body_structure(&index(nested.as_bytes())));
    assert!(value.matches("rfc822").count() <= MIME_DEPTH_MAX);
}

/// A message of very many parts that say very much: what is beyond the limit is written as briefly
/// as the grammar allows, and each part is there.
#[test]
fn threat_27_a_structure_has_a_limit() {
    let word = "x".repeat(200);
    let part = format!(
        "--b\r\nContent-Type: text/{word}; {word}={word}\r\nContent-ID: <{word}>\r\n\
         Content-Disposition: attachment; filename={word}\r\nContent-Language: {word}\r\n\r\nx\r\n"
    );
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let index = index((head.to_owned() + &part.repeat(9_000)).as_bytes());
    for (written, extended) in [(body(&index), false), (body_structure(&index), true)] {
        let (longest, shortest) = (2_000, 200);
        let full = STRUCTURE_BYTES_MAX + longest;
        assert!(written.len() < full + 9_000 * shortest, "{}", written.len());
        let written = text(written);
        assert_eq!(written.matches("(\"text\"").count(), 9_000);
        let brief = format!("(\"text\" \"{}\" NIL NIL NIL \"7bit\" 1 ", "x".repeat(16));
        assert!(written.contains(&brief), "{extended}");
        assert_eq!(written.contains("attachment"), extended);
    }
}
