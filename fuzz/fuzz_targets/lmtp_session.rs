//! A whole LMTP dialogue (RFC 2033): the first byte says how far it has come, the rest is what the
//! client sends. Every answer is a reply, the server does not panic, and the store is sound.
#![no_main]

use libfuzzer_sys::fuzz_target;

const BEGINNINGS: [&str; 4] = [
    "",
    "LHLO x\r\n",
    "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<USER>\r\n",
    "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<USER>\r\nDATA\r\n",
];

fuzz_target!(|input: &[u8]| {
    let Some((first, said)) = input.split_first() else {
        return;
    };
    fuzz::place::with(|place| {
        let begin = BEGINNINGS[usize::from(*first) % BEGINNINGS.len()].replace("USER", place.user());
        let answers = place.lmtp(&[begin.as_bytes(), said].concat());
        let answers = String::from_utf8(answers).expect("replies are text");
        for line in answers.split_terminator("\r\n") {
            let (code, rest) = line.split_at_checked(3).expect("a reply has a code");
            assert!(code.bytes().all(|b| b.is_ascii_digit()), "{line:?}");
            assert!(rest.is_empty() || rest.starts_with([' ', '-']), "{line:?}");
        }
    });
});
