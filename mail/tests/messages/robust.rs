//! Bytes of any kind: nothing panics, any split gives the same, costs grow with the size.

use std::time::{Duration, Instant};

use mail::{
    charset, date,
    envelope::{Envelope, addresses},
    limits,
    mime::{Encoding, fields, index, params, words},
    structure::{self, Parts},
    text,
};
use proptest::prelude::*;

use crate::generated::{check_sections, index_split, made};

/// Bytes of which messages are made, so that random ones come near to being some.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        " ",
        "\t",
        ":",
        ";",
        "=",
        "\"",
        "\\",
        "<",
        ">",
        "(",
        ")",
        "@",
        ",",
        "--",
        "--b",
        "--b--",
        "--bb",
        "\n--b\n",
        "b",
        "bb",
        "Content-Type: ",
        "multipart/mixed; boundary=b",
        "multipart/digest; boundary=bb",
        "message/rfc822",
        "text/html; charset=utf-7",
        "Content-Transfer-Encoding: ",
        "base64",
        "quoted-printable",
        "From: ",
        "To: g: a@b;",
        "Date: 7 Nov 2026 ",
        "=?utf-8?q?",
        "=?utf-8?b?",
        "?=",
        "=E9",
        "name*0*=",
        "name*1=",
        "utf-8''",
        "+AGk-",
        "<p>",
        "</script",
        "&amp;",
        "<style>",
        "é",
        "\u{0}",
    ]);
    let piece = prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Runs everything that takes bytes of a message.
fn run_all(bytes: &[u8]) {
    let found = index(bytes);
    assert_eq!(found.size, bytes.len() as u64);
    check_sections(&found);
    let parts = Parts::from(&found);
    for part in &parts.parts {
        let body = &bytes[part.body.start as usize..part.body.end as usize];
        if let Some(decoded) = part.encoding.decode(body) {
            assert_eq!(part.decoded_size, Some(decoded.len() as u64));
        }
        let _ = text::preview(&text::casemap(&text::part_text(part, body)));
    }
    let _ = text::preview_parts(&found).count() + text::searchable(&parts).count();
    let _ = (
        Envelope::parse(bytes),
        addresses(bytes, 10),
        text::header_text(bytes),
    );
    let _ = (
        words::decode(bytes),
        date::parse_rfc5322(bytes),
        structure::decode(bytes),
    );
    let parsed = params::parse(bytes, limits::PARAMS_MAX);
    assert!(
        params::decoded(&parsed.params, "name").is_none_or(|name| name.len() <= 3 * bytes.len())
    );
    let _ = (
        charset::decode(b"utf-7", bytes),
        charset::decode(b"iso-2022-jp", bytes),
        text::html_to_text(&String::from_utf8_lossy(bytes)),
    );
    let all = fields::header_fields::<&[u8]>(bytes, &[], fields::Keep::Others);
    assert!(all.len() <= bytes.len() + 4);
}

proptest! {
    #[test]
    fn nothing_panics_and_any_split_is_the_same(
        bytes in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        run_all(&bytes);
        prop_assert_eq!(index_split(&bytes, &cuts), index(&bytes));
    }

    #[test]
    fn mutated_messages_do_not_panic(
        tree in made(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), pieces(), 0..20_usize), 1..4),
    ) {
        let mut message = tree.message("\r\n").into_bytes();
        for (place, with, removed) in changes {
            let start = place.index(message.len() + 1);
            let end = (start + removed).min(message.len());
            message.splice(start..end, with.into_iter().take(40));
        }
        run_all(&message);
    }

    #[test]
    fn decoders_do_not_care_how_input_is_split(
        bytes in prop::collection::vec(prop::sample::select(b"=Aa4 \t\r\n+/Fz\xe9".to_vec()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut decoder = encoding.decoder().unwrap();
            let mut out = Vec::new();
            decoder.push(first, &mut out);
            decoder.push(second, &mut out);
            decoder.finish(&mut out);
            prop_assert_eq!(Some(out), encoding.decode(&bytes));
        }
    }

    #[test]
    fn texts_do_not_care_how_input_is_split(bytes in pieces(), cut in any::<prop::sample::Index>()) {
        for label in ["utf-8", "utf-7", "us-ascii", "iso-2022-jp", "utf-16"] {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut decoder = charset::Charset::from_label(label.as_bytes()).unwrap().decoder();
            let mut out = String::new();
            decoder.push(first, &mut out);
            decoder.push(second, &mut out);
            decoder.finish(&mut out);
            prop_assert_eq!(out, charset::decode(label.as_bytes(), &bytes));
        }
    }
}

/// The shortest of a few runs.
fn best_time(run: impl Fn()) -> Duration {
    (0..3)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap()
}

/// Too short to be compared: other work of the machine counts for more.
const NOISE: Duration = Duration::from_millis(50);

/// Twice the input takes about twice the time. The machine may be busy, so one good try out of
/// many is enough; what grows with the square never has one, nor is it done in no time.
fn check_linear(name: &str, make: impl Fn(usize) -> Vec<u8>, run: impl Fn(&[u8])) {
    let (small, large) = (make(1), make(2));
    let mut ratio = 0.0;
    for _ in 0..10 {
        let (short, long) = (best_time(|| run(&small)), best_time(|| run(&large)));
        ratio = long.as_secs_f64() / short.as_secs_f64();
        if ratio < 2.2 || long < NOISE {
            return;
        }
    }
    panic!("{name}: twice the input takes {ratio:.1} times as long");
}

#[test]
fn threat_28_costs_grow_with_the_size() {
    let repeat = |text: &'static str| move |times: usize| text.repeat(60_000 * times).into_bytes();
    let run_index = |bytes: &[u8]| drop(index(bytes));
    check_linear("header lines", repeat("X-A: b\r\n"), run_index);
    check_linear("folded lines", repeat(" x\r\n"), run_index);
    check_linear("address lines", repeat("To: a@b, c@d\r\n"), run_index);
    check_linear(
        "one address list",
        |n| [b"To: ".to_vec(), repeat("a,")(n)].concat(),
        run_index,
    );
    check_linear(
        "comments",
        |n| [b"To: ".to_vec(), repeat("(")(n)].concat(),
        run_index,
    );
    check_linear(
        "parameters",
        |n| [b"Content-Type: a/b".to_vec(), repeat(";n*1*=x")(n)].concat(),
        run_index,
    );
    check_linear(
        "quotes",
        |n| [b"Content-Type: a/b".to_vec(), repeat(";\"=\"(")(n)].concat(),
        run_index,
    );
    check_linear(
        "delimiters",
        |n| {
            [
                b"Content-Type: multipart/x; boundary=b\n\n".to_vec(),
                repeat("--b\n")(n),
            ]
            .concat()
        },
        run_index,
    );
    check_linear(
        "dashes",
        |n| {
            [
                b"Content-Type: multipart/x; boundary=-\n\n".to_vec(),
                repeat("--\n")(n),
            ]
            .concat()
        },
        run_index,
    );
    check_linear(
        "nested",
        repeat("Content-Type: multipart/x; boundary=b\n\n--b\n"),
        run_index,
    );
    check_linear(
        "messages",
        repeat("Content-Type: message/rfc822\n\n"),
        run_index,
    );
}

#[test]
fn threat_28_and_29_what_is_kept_of_a_message_has_a_limit() {
    let list = "a=b;".repeat(200);
    let part = format!(
        "--b\nContent-Type: message/rfc822;{list}\n\nTo: {}\nContent-Type: a/b;{list}\n\n",
        "a,".repeat(50)
    );
    let message = format!(
        "Content-Type: multipart/x; boundary=b\n\n{}",
        part.repeat(1_000)
    );
    let found = index(message.as_bytes());
    assert_eq!(found.parts.len(), 2_001);
    let params: usize = found.parts.iter().map(|part| part.media.params.len()).sum();
    assert_eq!(params, limits::PARAMS_TOTAL_MAX);
    let envelopes = found.parts.iter().filter_map(|part| part.envelope.as_ref());
    let addresses: usize = envelopes.map(|envelope| envelope.to.len()).sum();
    assert_eq!(addresses, limits::ENVELOPE_ADDRESSES_MAX);
}

#[test]
fn threat_29_and_30_costs_of_text_grow_with_the_size() {
    let repeat = |text: &'static str| move |times: usize| text.repeat(60_000 * times).into_bytes();
    let run_words = |bytes: &[u8]| drop(words::decode(bytes));
    check_linear("openings", repeat("=?"), run_words);
    check_linear("half words", repeat("=?a?b?"), run_words);
    check_linear("words", repeat("=?a?b?YQ==?= "), run_words);
    let run_html = |bytes: &[u8]| drop(text::html_to_text(std::str::from_utf8(bytes).unwrap()));
    check_linear("tags", repeat("<a b=c><"), run_html);
    check_linear("comments in pages", repeat("<!--"), run_html);
    check_linear(
        "attributes",
        |n| [b"<a ".to_vec(), repeat("b ")(n)].concat(),
        run_html,
    );
    check_linear("scripts", repeat("<script><!--</s"), run_html);
    check_linear("entities", repeat("&a&#1"), run_html);
    check_linear("marks", repeat("e\u{301}\u{316}"), |bytes| {
        drop(text::casemap(std::str::from_utf8(bytes).unwrap()))
    });
}
