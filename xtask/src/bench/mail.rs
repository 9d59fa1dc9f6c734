//! The messages of the benchmark: about 4.7 KB each, the same for every server and every run.
//!
//! Number `i` always gives the same bytes. Threads of five, several senders, one message in three
//! with two parts, subjects of common words; one word stands in a single message.

use std::fmt::Write as _;

/// Stands in the subject of one message in fifty.
pub(super) const SUBJECT_WORD: &str = "quarterly";
/// Stands in the text of one message of all.
pub(super) const RARE_WORD: &str = "zyzzyva";

const BODY_BYTES: usize = 3_900;
const LINE_BYTES: usize = 72;
const SYLLABLES: [&str; 16] = [
    "ka", "to", "mi", "re", "lon", "sar", "ven", "dol", "pe", "un", "gra", "is", "em", "bor", "ti",
    "ash",
];

/// A small generator of numbers (xorshift), enough to vary text.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }

    fn word(&mut self, text: &mut String) {
        for _ in 0..=self.below(3) {
            text.push_str(SYLLABLES[self.below(SYLLABLES.len())]);
        }
    }
}

/// Message `number` of `total`.
pub(super) fn message(number: usize, total: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(number as u64 + 1);
    let mut text = header(number, &mut numbers);
    let prose = prose(number == total / 3, &mut numbers);
    if number.is_multiple_of(3) {
        two_parts(&mut text, &prose);
    } else {
        text.push_str(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        );
        text.push_str(&prose);
    }
    text.into_bytes()
}

fn header(number: usize, numbers: &mut Numbers) -> String {
    let mut text = String::with_capacity(BODY_BYTES + 1_200);
    for hop in 0..3 {
        let _ = write!(
            text,
            "Received: from relay{hop}.example.net (relay{hop}.example.net [192.0.2.{hop}])\r\n\tby mx.example.org with ESMTPS id {number:08X}{hop};\r\n\tMon, 7 Feb 2022 21:52:2{hop} +0000\r\n"
        );
    }
    let sender = numbers.below(500);
    let _ = write!(
        text,
        "From: Sender {sender} <sender{sender}@example.net>\r\nTo: Bench <bench@example.org>\r\nSubject: "
    );
    subject(&mut text, number, numbers);
    let (day, hour) = (number % 28 + 1, number % 24);
    let _ = write!(
        text,
        "\r\nDate: {day} Mar 2022 {hour:02}:{:02}:{:02} +0000\r\nMessage-ID: <{number}@bench.example>\r\n",
        number / 60 % 60,
        number % 60
    );
    references(&mut text, number);
    text.push_str("MIME-Version: 1.0\r\n");
    text
}

fn subject(text: &mut String, number: usize, numbers: &mut Numbers) {
    if !number.is_multiple_of(5) {
        text.push_str("Re: ");
    }
    if number.is_multiple_of(50) {
        text.push_str(SUBJECT_WORD);
        text.push(' ');
    }
    let _ = write!(text, "{} ", number / 5);
    for _ in 0..4 {
        numbers.word(text);
        text.push(' ');
    }
    text.push_str("end");
}

fn references(text: &mut String, number: usize) {
    let root = number - number % 5;
    if number > root {
        let _ = write!(
            text,
            "In-Reply-To: <{}@bench.example>\r\nReferences:",
            number - 1
        );
        for earlier in root..number {
            let _ = write!(text, " <{earlier}@bench.example>");
        }
        text.push_str("\r\n");
    }
}

fn prose(with_rare_word: bool, numbers: &mut Numbers) -> String {
    let mut text = String::with_capacity(BODY_BYTES + LINE_BYTES);
    let mut line_start = 0;
    while text.len() < BODY_BYTES {
        numbers.word(&mut text);
        if text.len() - line_start > LINE_BYTES - 12 {
            text.push_str("\r\n");
            line_start = text.len();
        } else {
            text.push(' ');
        }
    }
    if with_rare_word {
        text.push_str(RARE_WORD);
    }
    text.push_str("\r\n");
    text
}

fn two_parts(text: &mut String, prose: &str) {
    let half = prose[..prose.len() / 2]
        .rfind("\r\n")
        .map_or(0, |at| at + 2);
    let (first, second) = prose.split_at(half);
    let _ = write!(
        text,
        "Content-Type: multipart/alternative; boundary=\"part-of-bench\"\r\n\r\n--part-of-bench\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{first}\r\n--part-of-bench\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n{second}</body></html>\r\n--part-of-bench--\r\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_gives_the_same_bytes_of_the_promised_size() {
        let sizes: Vec<usize> = (0..300).map(|i| message(i, 300).len()).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((4_500..4_900).contains(&mean), "mean {mean}");
        assert_eq!(message(7, 300), message(7, 300));
        assert_ne!(message(7, 300), message(8, 300));
    }

    #[test]
    fn one_message_has_the_rare_word() {
        let with = |word: &str| {
            (0..300)
                .filter(|i| String::from_utf8_lossy(&message(*i, 300)).contains(word))
                .count()
        };
        assert_eq!(with(RARE_WORD), 1);
        assert_eq!(with(SUBJECT_WORD), 6);
    }
}
