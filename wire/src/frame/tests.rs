//! Framing under test: what a client sends in any pieces, well formed or not.

use proptest::prelude::*;

use super::*;

const BEFORE: Limits = Limits::BEFORE_LOGIN;
const AFTER: Limits = Limits::AFTER_LOGIN;

/// What a driver that grants everything sees: frames and message bytes, `Incomplete` left out.
fn drive(framer: &mut Framer, limits: &Limits, seen: &mut Vec<String>, message: &mut Vec<u8>) {
    loop {
        if framer.message_remaining() > 0 {
            let bytes = framer.message_bytes().to_vec();
            if bytes.is_empty() {
                return;
            }
            framer.consume(bytes.len());
            message.extend(bytes);
            continue;
        }
        let frame = framer.next(limits);
        match &frame {
            Frame::Incomplete => return,
            Frame::Literal(_) | Frame::Append(..) | Frame::Replace(..) | Frame::AppendNext(_) => {
                framer.grant();
            }
            Frame::Fatal(_) => {
                if seen.last().is_none_or(|last| !last.starts_with("Fatal")) {
                    seen.push(format!("{frame:?}"));
                }
                return;
            }
            _ => {}
        }
        seen.push(format!("{frame:?} {:?}", std::mem::take(message)));
    }
}

/// The frames of `input` given in these pieces.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Vec<String> {
    let (mut framer, mut seen, mut message) = (Framer::new(), Vec::new(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        drive(&mut framer, limits, &mut seen, &mut message);
    }
    seen
}

fn framer(input: &[u8]) -> Framer {
    let mut framer = Framer::new();
    framer.push(input);
    framer
}

#[track_caller]
fn assert_command(framer: &mut Framer, tag: &str) {
    match framer.next(&AFTER) {
        Frame::Command(tagged) => assert_eq!(&*tagged.tag.0, tag),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_bad(framer: &mut Framer, limits: &Limits, tag: Option<&str>, fault: Fault) {
    let tag = tag.map(|tag| Tag(tag.into()));
    assert_eq!(framer.next(limits), Frame::Bad(tag, fault));
}

fn syntax(at: usize, expected: &'static str) -> Fault {
    Fault::Syntax(SyntaxError { at, expected })
}

#[test]
fn lines_end_with_lf_and_an_optional_cr() {
    let mut framer =
        framer(b"a NOOP\nb NOOP\r\nc NOOP\rd NOOP\r\ne NO\0OP\r\nf NOOP\r\r\ng NOOP\n");
    assert_command(&mut framer, "a");
    assert_command(&mut framer, "b");
    assert_bad(
        &mut framer,
        &AFTER,
        Some("c"),
        syntax(6, "the end of the command"),
    );
    assert_bad(&mut framer, &AFTER, Some("e"), Fault::UnknownCommand);
    assert_bad(
        &mut framer,
        &AFTER,
        Some("f"),
        syntax(6, "the end of the command"),
    );
    assert_command(&mut framer, "g");
    assert_eq!(framer.next(&AFTER), Frame::Incomplete);
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn tags() {
    let mut framer =
        framer(b"\r\n+ NOOP\r\n* NOOP\r\na+ NOOP\r\nonlytag\r\nx \r\ny  NOOP\r\nz] NOOP\r\n");
    for at in [0, 0, 0, 1, 7] {
        match framer.next(&AFTER) {
            Frame::Bad(None, Fault::Syntax(error)) => assert_eq!(error.at, at),
            other => panic!("{other:?}"),
        }
    }
    assert_bad(&mut framer, &AFTER, Some("x"), syntax(2, "a command"));
    assert_bad(&mut framer, &AFTER, Some("y"), syntax(2, "a command"));
    assert_command(&mut framer, "z]");
}

#[test]
fn rule_02_a_command_waits_for_its_last_literal() {
    let mut framer = framer(b"a LOGIN {3}\r\n");
    let Frame::Literal(literal) = framer.next(&BEFORE) else {
        panic!()
    };
    assert_eq!(
        (&*literal.tag.0, literal.property.name, literal.size),
        ("a", "LOGIN", 3)
    );
    assert_eq!(framer.next(&BEFORE), Frame::Incomplete);
    framer.grant();
    framer.push(b"tim {1");
    assert_eq!(framer.next(&BEFORE), Frame::Incomplete);
    framer.push(b"}\r\n");
    assert!(matches!(framer.next(&BEFORE), Frame::Literal(_)));
    framer.grant();
    assert_eq!(framer.next(&BEFORE), Frame::Incomplete);
    framer.push(b"x\r\n");
    assert_command(&mut framer, "a");
}

#[test]
fn a_refused_literal_is_not_awaited() {
    let mut framer = framer(b"a LOGIN {3}\r\n");
    assert!(matches!(framer.next(&BEFORE), Frame::Literal(_)));
    framer.refuse();
    framer.push(b"b NOOP\r\n");
    assert_command(&mut framer, "b");
}

#[test]
fn rule_32_after_a_bad_line_the_next_command_is_found() {
    // A client that waits gets no `+`, and sends no literal.
    let mut waiting = framer(b"a STATUS x [ {10}\r\nb NOOP\r\n");
    assert_bad(
        &mut waiting,
        &AFTER,
        Some("a"),
        syntax(11, "an opening parenthesis"),
    );
    assert_command(&mut waiting, "b");
    // One that does not wait has sent it, and whatever follows it.
    let mut sent = framer(b"a STATUS x [ {8+}\r\nb NOOP\r\n {9+}\r\nc LOGOUT \r\nd NOOP\r\n");
    assert_bad(
        &mut sent,
        &AFTER,
        Some("a"),
        syntax(11, "an opening parenthesis"),
    );
    assert_command(&mut sent, "d");
    // In a line that is wrong as a whole too, and in quotes that do not end.
    for line in [
        "garbage {8+}",
        "a FOO {8+}",
        "a SELECT \"x {8+}",
        "* {8+}",
        "{8+}",
        "a NOOP{8+}",
    ] {
        let mut framer = framer(format!("{line}\r\nb NOOP\r\n\r\nc NOOP\r\n").as_bytes());
        assert!(matches!(framer.next(&AFTER), Frame::Bad(..)), "{line}");
        assert_command(&mut framer, "c");
    }
}

#[test]
fn rule_34_a_literal_of_no_bytes_is_granted_too() {
    let mut framer = framer(b"a LOGIN {0}\r\n");
    let Frame::Literal(literal) = framer.next(&BEFORE) else {
        panic!()
    };
    assert_eq!(literal.size, 0);
    framer.grant();
    assert_eq!(framer.next(&BEFORE), Frame::Incomplete);
    framer.push(b" {0+}\r\n\r\n");
    assert_command(&mut framer, "a");
}

#[test]
fn threat_02_malformed_announcements_are_bad_and_announce_nothing() {
    for size in [
        "",
        "-1",
        "-1+",
        "+",
        "9223372036854775808",
        "9223372036854775808+",
        "18446744073709551616+",
        "1 ",
        "0x10",
        "1++",
    ] {
        let mut framer = framer(format!("a LOGIN {{{size}}}\r\nb NOOP\r\n").as_bytes());
        match framer.next(&BEFORE) {
            Frame::Bad(Some(tag), Fault::Syntax(error)) => {
                assert!(&*tag.0 == "a" && error.at >= 9, "{size}: {error}");
            }
            other => panic!("{size}: {other:?}"),
        }
        assert_command(&mut framer, "b");
    }
    let mut zeros = framer(b"a LOGIN {00000000000000000000000003+}\r\ntim x\r\n");
    assert_command(&mut zeros, "a");
}

#[test]
fn threat_02_sizes_are_not_believed() {
    for size in [4_097u64, 400_000_000, 1 << 32, i64::MAX as u64] {
        let mut waiting = framer(format!("a LOGIN {{{size}}}\r\nb NOOP\r\n").as_bytes());
        assert_bad(&mut waiting, &BEFORE, Some("a"), Fault::TooBig);
        assert_command(&mut waiting, "b");
        let mut sent = framer(format!("a LOGIN {{{size}+}}\r\n").as_bytes());
        assert_eq!(sent.next(&BEFORE), Frame::Fatal(Fault::TooBig));
        sent.push(b"b NOOP\r\n");
        assert_eq!(sent.next(&BEFORE), Frame::Fatal(Fault::TooBig));
    }
    let mut largest = framer(b"a LOGIN {4096}\r\n");
    assert!(matches!(largest.next(&BEFORE), Frame::Literal(_)));
    largest.grant();
    assert_eq!(largest.next(&BEFORE), Frame::Incomplete);
    assert!(largest.buffer_mut().capacity() < 1_024);
}

#[test]
fn threat_02_count_and_sum_of_literals_are_bounded() {
    let send = |count: usize, size: usize, limits: &Limits| {
        let literal = format!("{{{size}+}}\r\n{} ", "x".repeat(size));
        let mut framer =
            framer(format!("a LOGIN {}\r\nb NOOP\r\n", literal.repeat(count)).as_bytes());
        (framer.next(limits), framer)
    };
    for (count, size, limits) in [(4, 1, &BEFORE), (8, 128 * 1024, &AFTER), (1_000, 1, &AFTER)] {
        let (frame, mut framer) = send(count, size, limits);
        assert!(
            matches!(frame, Frame::Bad(_, Fault::Syntax(_))),
            "{frame:?}"
        );
        assert_command(&mut framer, "b");
    }
    for (count, size, limits) in [(5, 1, &BEFORE), (9, 128 * 1024, &AFTER), (1_001, 1, &AFTER)] {
        let (frame, mut framer) = send(count, size, limits);
        assert_eq!(frame, Frame::Bad(Some(Tag("a".into())), Fault::TooBig));
        assert_command(&mut framer, "b");
    }
}

#[test]
fn a_literal_over_its_limit_is_skipped_as_far_as_allowed() {
    let max = usize::try_from(AFTER.skip_bytes_max).unwrap();
    let over = AFTER.literal_bytes_max + 1;
    for size in [over, max - 1, max] {
        let mut framer = framer(format!("a SELECT {{{size}+}}\r\n").as_bytes());
        for _ in 0..size {
            framer.push(b"\n");
            assert_eq!(framer.next(&AFTER), Frame::Incomplete);
        }
        assert_eq!(framer.buffered(), 0);
        framer.push(b" x\r\nb NOOP\r\n");
        assert_bad(&mut framer, &AFTER, Some("a"), Fault::TooBig);
        assert_command(&mut framer, "b");
    }
    let mut framer = framer(format!("a SELECT {{{}+}}\r\n", max + 1).as_bytes());
    assert_eq!(framer.next(&AFTER), Frame::Fatal(Fault::TooBig));
}

#[test]
fn lines_are_bounded_by_command_and_stage() {
    let check = |head: &str, limits: &Limits, max: usize| {
        for (len, fits) in [(max - 1, true), (max, true), (max + 1, false)] {
            let line = format!("{head}{}", "x".repeat(len - head.len()));
            for pieces in [format!("{line}\r\n"), format!("{line}\n")] {
                let mut framer = framer(format!("{pieces}z NOOP\r\n").as_bytes());
                let frame = framer.next(limits);
                let too_long = matches!(frame, Frame::Bad(Some(_), Fault::LineTooLong));
                assert_eq!(!too_long, fits, "{head} {len}: {frame:?}");
                assert_command(&mut framer, "z");
            }
        }
    };
    check("a LOGIN tim ", &BEFORE, 8 * 1024);
    check("a LOGIN tim ", &AFTER, 64 * 1024);
    check("a AUTHENTICATE PLAIN ", &BEFORE, 12 * 1024);
    check("a authenticate plain ", &AFTER, 64 * 1024);
    check("a ID (", &BEFORE, 64 * 1024);
    check("a IDLE (", &BEFORE, 8 * 1024);
}

#[test]
fn an_overlong_line_is_dropped_and_then_bye() {
    let mut framer = framer(b"a NOOP ");
    // The longest line that is looked at, and what may be skipped besides.
    for _ in 0..64 + 3 {
        framer.push(&[b'('; 1024]);
        assert_eq!(framer.next(&BEFORE), Frame::Incomplete);
    }
    assert!(framer.buffered() <= 1);
    framer.push(b"{3+}\r\n\r\n\n\r\nb NOOP\r\n");
    assert_bad(&mut framer, &BEFORE, Some("a"), Fault::LineTooLong);
    assert_command(&mut framer, "b");
    framer.push(b"a NOOP ");
    framer.push(&[b'('; 69 * 1024]);
    assert_eq!(framer.next(&BEFORE), Frame::Fatal(Fault::LineTooLong));
}

#[test]
fn threat_03_open_parentheses_hold_only_their_bytes() {
    for count in [31usize, 32, 33, 4_000, 60_000] {
        let mut framer = framer(b"a NOOP ");
        for _ in 0..count {
            framer.push(b"(");
            assert_eq!(framer.next(&AFTER), Frame::Incomplete);
        }
        assert!(framer.buffer_mut().capacity() <= 4 * (count + 7) + 64);
        framer.push(b"\r\n");
        assert_bad(
            &mut framer,
            &AFTER,
            Some("a"),
            syntax(6, "the end of the command"),
        );
        assert!(framer.buffer_mut().capacity() <= IDLE_BUFFER_BYTES_MAX);
    }
    let mut id = framer(b"a ID ((((\r\n");
    assert_bad(
        &mut id,
        &BEFORE,
        Some("a"),
        syntax(6, "a field name in quotes"),
    );
}

#[test]
fn threat_01_reset_drops_what_came_before_the_handshake() {
    for rest in [
        "b NOOP\r\n",
        "b LOGIN {5}\r\n",
        "b LOGIN {0+}\r\n",
        "b AUTHENT",
        "\n",
        "b A {9+}\r\nx",
    ] {
        for cut in 0..=rest.len() {
            let mut framer = framer(b"a STARTTLS\r\n");
            framer.push(&rest.as_bytes()[..cut]);
            assert_command(&mut framer, "a");
            if cut % 2 == 0 {
                framer.next(&BEFORE);
            }
            framer.reset();
            assert_eq!(
                (framer.buffered(), framer.next(&BEFORE)),
                (0, Frame::Incomplete)
            );
            framer.push(b"c NOOP\r\n");
            assert_command(&mut framer, "c");
        }
    }
}

#[test]
fn rule_36_done_and_sasl_lines_in_any_pieces() {
    let mut framer = framer(b"AHQA\r\ndone\nb NOOP\r\n");
    assert_eq!(framer.line(8, &AFTER), Line::Line(b"AHQA".to_vec()));
    assert_eq!(framer.line(8, &AFTER), Line::Line(b"done".to_vec()));
    assert_command(&mut framer, "b");
    assert_eq!(framer.line(8, &AFTER), Line::Incomplete);
    framer.push(b"DONE\r");
    assert_eq!(framer.line(4, &AFTER), Line::Incomplete);
    framer.push(b"\nc NOOP\r\n12345{3+}");
    assert_eq!(framer.line(4, &AFTER), Line::Line(b"DONE".to_vec()));
    assert_command(&mut framer, "c");
    assert_eq!(framer.line(4, &AFTER), Line::TooLong);
    framer.push(b"}\r\nd NOOP\r\n");
    assert_command(&mut framer, "d");
    framer.push(b"12345\r\ne\r\n");
    assert_eq!(framer.line(4, &AFTER), Line::TooLong);
    assert_eq!(framer.line(4, &AFTER), Line::Line(b"e".to_vec()));
}

#[test]
fn appends_one_message() {
    let mut framer = framer(b"a APPEND {5}\r\n");
    assert!(matches!(framer.next(&AFTER), Frame::Literal(_)));
    framer.grant();
    framer.push(b"INBOX (\\Seen) {10}\r\n");
    let Frame::Append(tag, append) = framer.next(&AFTER) else {
        panic!()
    };
    assert_eq!((&*tag.0, append.first.size), ("a", 10));
    assert_eq!(
        (framer.message_remaining(), framer.message_bytes()),
        (0, &b""[..])
    );
    framer.grant();
    framer.push(b"a NOOP\r\n");
    assert_eq!(framer.next(&AFTER), Frame::Incomplete);
    assert_eq!(
        (framer.message_remaining(), framer.message_bytes()),
        (10, &b"a NOOP\r\n"[..])
    );
    framer.consume(100);
    framer.push(b"xy\r");
    assert_eq!(framer.message_bytes(), b"xy");
    framer.consume(2);
    assert_eq!(framer.next(&AFTER), Frame::Incomplete);
    framer.push(b"\nb NOOP\r\n");
    assert_eq!(framer.next(&AFTER), Frame::AppendEnd);
    assert_command(&mut framer, "b");
}

#[test]
fn rule_17_several_messages_of_one_append() {
    let input = b"a APPEND x {1+}\r\n1 (\\Seen) ~{2+}\r\n\0\n UTF8 (~{3+}\r\n333) \"01-Jan-2026 00:00:00 +0000\" {0+}\r\n\r\nb NOOP\r\n";
    let seen = frames([&input[..]], &AFTER);
    let starts: Vec<&str> = seen.iter().map(|frame| &frame[..9]).collect();
    assert_eq!(
        starts,
        [
            "Append(Ta",
            "AppendNex",
            "AppendNex",
            "AppendNex",
            "AppendEnd",
            "Command(T"
        ]
    );
    assert!(
        seen[1].contains("Binary") && seen[1].ends_with("[49]"),
        "{}",
        seen[1]
    );
    assert!(
        seen[2].contains("Utf8") && seen[2].ends_with("[0, 10]"),
        "{}",
        seen[2]
    );
    assert!(seen[3].contains("size: 0"));
}

#[test]
fn what_follows_a_message_may_be_bad() {
    for after in [
        "x",
        ")",
        " ",
        " {",
        " (\\Recent) {8+}\r\nb NOOP\r\n",
        " {8+}\r\nb NOOP\r\nx",
        " NIL {3}",
        " UTF8 (~{1+}\r\nx",
        " \"x\" {8+}\r\nb NOOP\r\n {2+}\r\n\n\n",
        &" ".repeat(70_000),
    ] {
        let input = format!("a APPEND x {{1+}}\r\n1{after}\r\nc NOOP\r\n");
        let seen = frames([input.as_bytes()], &AFTER);
        let [.., bad, next] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert!(
            bad.starts_with("Bad(Some(Tag(\"a\"))"),
            "{after:?}: {seen:?}"
        );
        assert!(
            next.starts_with("Command(Tagged { tag: Tag(\"c\")"),
            "{after:?}: {seen:?}"
        );
    }
    let seen = frames([&b"a APPEND x UTF8 (~{1+}\r\n1\r\nc NOOP\r\n"[..]], &AFTER);
    assert!(seen[1].contains("closes UTF8"), "{seen:?}");
}

#[test]
fn a_refused_append_is_dropped() {
    // One that waits sends nothing more.
    let mut waiting = framer(b"a APPEND x {5}\r\n");
    assert!(matches!(waiting.next(&AFTER), Frame::Append(..)));
    waiting.refuse();
    waiting.push(b"b NOOP\r\n");
    assert_command(&mut waiting, "b");
    // One that does not wait is read to its end, the next message too; so is one refused half way.
    for consumed in [0, 4] {
        let mut sent = framer(b"a APPEND x {8+}\r\nb NOOP\r\n {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n");
        assert!(matches!(sent.next(&AFTER), Frame::Append(..)));
        if consumed > 0 {
            sent.grant();
            sent.consume(consumed);
        }
        sent.refuse();
        assert_command(&mut sent, "c");
    }
    // Of the second message it is asked again.
    let mut second = framer(b"a APPEND x {1+}\r\n1 {1}\r\n");
    assert!(matches!(second.next(&AFTER), Frame::Append(..)));
    second.grant();
    second.consume(1);
    assert!(matches!(second.next(&AFTER), Frame::AppendNext(_)));
    second.refuse();
    second.push(b"c NOOP\r\n");
    assert_command(&mut second, "c");
}

#[test]
fn a_message_over_its_limit_ends_the_connection_only_if_it_is_on_its_way() {
    let announce = |size: u64, plus: &str, limits: &Limits| {
        framer(format!("a APPEND x {{{size}{plus}}}\r\n").as_bytes()).next(limits)
    };
    let max = AFTER.message_bytes_max;
    assert!(matches!(announce(max, "+", &AFTER), Frame::Append(..)));
    assert_eq!(announce(max + 1, "+", &AFTER), Frame::Fatal(Fault::TooBig));
    assert!(matches!(
        announce(i64::MAX as u64, "", &AFTER),
        Frame::Append(..)
    ));
    assert!(matches!(announce(4_096, "+", &BEFORE), Frame::Append(..)));
    assert_eq!(announce(4_097, "+", &BEFORE), Frame::Fatal(Fault::TooBig));
    let mut bad = framer(format!("a APPEND x ( {{{max}+}}\r\n").as_bytes());
    assert_eq!(bad.next(&AFTER), Frame::Incomplete);
}

#[test]
fn threat_14_hostile_commands_take_linear_time() {
    let repeat = |head: &str, unit: &str| format!("{head}{}\r\n", unit.repeat(60_000 / unit.len()));
    let waiting = format!(
        "a SEARCH {}\r\n",
        "SUBJECT {1000}\r\n".to_owned() + &"x".repeat(1000) + " "
    );
    let started = std::time::Instant::now();
    for input in [
        repeat("a SEARCH ", "OR "),
        repeat("a SEARCH ", "NOT "),
        repeat("a SEARCH ", "("),
        repeat("a FETCH 1 (", "BODY[HEADER.FIELDS (a b)] "),
        repeat("a FETCH 1 (", "UID "),
        repeat("a FETCH 1 BODY[1", ".1"),
        repeat("a FETCH ", "*:1,"),
        repeat("a STORE 1 FLAGS ", "k1 "),
        repeat("a CREATE x (USE (", "\\a "),
        repeat("a LIST \"\" (", "* "),
        repeat("a ENABLE ", "x "),
        repeat("a LOGIN \"", "\\\\"),
        repeat("a LOGIN ", "{"),
        repeat("", "a"),
        waiting.repeat(8),
    ] {
        let mut framer = Framer::new();
        for piece in input.as_bytes().chunks(100) {
            framer.push(piece);
            while framer.next(&AFTER) != Frame::Incomplete {
                framer.grant();
            }
        }
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn the_buffer_shrinks_back() {
    let mut framer =
        framer(format!("a SELECT {{100000+}}\r\n{}\r\nb NO", "x".repeat(100_000)).as_bytes());
    assert_command(&mut framer, "a");
    assert!(framer.buffer_mut().capacity() <= IDLE_BUFFER_BYTES_MAX);
    framer.push(b"OP\r\n");
    assert_command(&mut framer, "b");
}

/// Commands, good and bad, for the property tests; the last of each ends with a line end.
const INPUTS: &[&str] = &[
    "a NOOP\r\n",
    "a LOGIN {3+}\r\ntim {5+}\r\nz\r\nxy\r\n",
    "a LOGIN tim \"tan st\\\"aaf\"\r\n",
    "a SELECT {5}\r\nINBOX\r\n",
    "a SEARCH CHARSET UTF-8 OR FROM {2+}\r\n\r\n (NOT SUBJECT {3+}\r\nabc)\r\n",
    "a FETCH 1:*,3 (FLAGS BODY.PEEK[HEADER.FIELDS (DATE {4+}\r\nFrom)]<0.5>)\r\n",
    "a APPEND x (\\Seen) {8+}\r\nz NOOP\r\n (a) ~{3+}\r\n\0\r\n\r\n",
    "a APPEND {1+}\r\nx UTF8 (~{4+}\r\n\r\n\r\n)\r\n",
    "a STORE 1 FLAGS ({8+}\r\nz NOOP\r\n)\r\n",
    "a FOO {3+}\r\n\r\n\n {0+}\r\n x\r\n",
    "a LIST (SUBSCRIBED) \"\" (a b%) RETURN (STATUS (SIZE))\r\n",
    "a ID (\"name\" {3+}\r\nx)\r)\r\n",
    "a SEARCH CHARSET X {2+}\r\n\r\n\r\n",
    "a {1+}\n\n\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_gives_the_same_frames(
        picks in prop::collection::vec(0..INPUTS.len(), 1..5),
        cuts in prop::collection::vec(0usize..400, 0..12),
    ) {
        let input: String = picks.iter().map(|&pick| INPUTS[pick]).collect();
        let whole = frames([input.as_bytes()], &AFTER);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&input.as_bytes()[from..cut]);
            from = cut;
        }
        pieces.push(&input.as_bytes()[from..]);
        prop_assert_eq!(&frames(pieces, &AFTER), &whole);
        prop_assert_eq!(&frames(input.as_bytes().chunks(1), &AFTER), &whole);
    }

    /// The bytes of literals are commands that must not be seen; one real command follows.
    #[test]
    fn no_literal_byte_is_read_as_a_command(
        before in "[ -z|~]{0,20}",
        literals in prop::collection::vec(
            (prop::sample::select(vec!["evil NOOP\r\n", "\r\nevil NOOP\r\n", "evil NOOP", ""]), "[ -z|~]{0,9}"),
            1..6,
        ),
    ) {
        let mut input = before;
        for (literal, after) in &literals {
            input.push_str(&format!("{{{}+}}\r\n{literal}{after}", literal.len()));
        }
        input.push_str("\r\nz NOOP\r\n");
        let seen = frames([input.as_bytes()], &AFTER);
        prop_assert!(seen.iter().all(|frame| !frame.contains("evil")), "{:?}", seen);
        prop_assert!(seen.last().unwrap().starts_with("Command(Tagged { tag: Tag(\"z\")"), "{:?}", seen);
    }

    /// After a mutated command a valid one is still answered, unless the mutation announced a
    /// literal that takes it in.
    #[test]
    fn after_every_mutated_prefix_a_valid_command_is_answered(
        pick in 0..INPUTS.len(),
        cut in 0usize..80,
        at in 0usize..80,
        byte in any::<u8>(),
    ) {
        let mut input = INPUTS[pick].as_bytes().to_vec();
        input.truncate(cut.max(1));
        let at = at.checked_rem(input.len()).unwrap_or(0);
        input[at] = byte;
        // Long enough for any literal that the mutation may have announced or lengthened.
        input.extend(b"\r\n\r\n");
        let commands: usize = 400;
        for _ in 0..commands {
            input.extend(b"z NOOP\r\n");
        }
        let seen = frames([&input[..]], &AFTER);
        if seen.iter().any(|frame| frame.starts_with("Fatal")) {
            return Ok(());
        }
        let answered = seen.iter().filter(|frame| frame.starts_with("Command(Tagged { tag: Tag(\"z\")"));
        prop_assert!(answered.count() > 200, "{:?}", String::from_utf8_lossy(&input[..80]));
    }

    #[test]
    fn never_panics(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::sample::select(INPUTS).prop_map(|input| input.as_bytes().to_vec()),
                prop::sample::select(vec![
                    "a ", "UID ", "FETCH ", "SEARCH ", "(", ")", "[", "]", "{5+}\r\n", "{5}\r\n", "\r\n", "\"",
                    "1:*", "$", "NOT ", "OR ", "BODY[", "APPEND x ", "LIST ", "STORE 1 FLAGS ", " ", "\\Seen",
                    "18446744073709551615", "<1.2>", "RETURN ", "UTF8 (~{2+}\r\n",
                ]).prop_map(|word| word.as_bytes().to_vec()),
            ],
            0..30,
        ),
    ) {
        frames(pieces.iter().map(Vec::as_slice), &AFTER);
        frames(pieces.iter().map(Vec::as_slice), &BEFORE);
    }
}
