//! Replies with their enhanced status codes (RFC 5321 §4.2, RFC 2034 §3, RFC 3463), and their
//! encoder.

use std::fmt::Write as _;

/// A reply. After the final dot, or BDAT LAST, each accepted recipient gets one (RFC 2033 §4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// 220: the server's name.
    Ready(Box<str>),
    /// 221: good bye.
    Closing,
    /// 250 to LHLO, with the extensions.
    Hello(Extensions),
    /// 250: nothing more to say.
    Done,
    /// 250 to MAIL.
    SenderAccepted,
    /// 250 to RCPT.
    RecipientAccepted,
    /// 250 to a chunk that is not the last.
    ChunkAccepted,
    /// 250: the message is stored durably for this recipient.
    Delivered,
    /// 252 to VRFY: nobody is told who has an account.
    NotVerified,
    /// 214 to HELP.
    Help,
    /// 354: send the message.
    StartData,
    /// 421: the connection ends, for this reason.
    Unavailable(&'static str),
    /// 451: a fault of ours, for which the client tries again.
    TemporaryFault,
    /// 452: no room on the disk.
    DiskFull,
    /// 452: no room for this recipient now.
    OverQuota,
    /// 452: no more recipients in this transaction.
    TooManyRecipients,
    /// 500: no such command.
    UnknownCommand,
    /// 500: the line is over the limit.
    LineTooLong,
    /// 500: the line is not UTF-8.
    NotUtf8,
    /// 501: what was expected instead.
    Syntax(&'static str),
    /// 501: a chunk whose end is unknown; the connection ends, since its bytes would be commands.
    UncountableChunk,
    /// 503: not now; what has to come first.
    BadSequence(&'static str),
    /// 550: nobody has this address.
    UnknownRecipient,
    /// 550: its account is disabled.
    DisabledRecipient,
    /// 552: larger than any message may be.
    TooLarge,
    /// 552: larger than this recipient's whole quota.
    NeverFits,
    /// 553: an address in UTF-8 without SMTPUTF8.
    NeedsSmtpUtf8,
    /// 554: the message has been delivered here before.
    Loop,
    /// 555: a parameter that is not offered.
    UnknownParameter,
}

/// What LHLO's reply offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extensions {
    /// The server's name.
    pub server: Box<str>,
    /// The largest message, bytes (RFC 1870 §3).
    pub size_max: u64,
}

/// An enhanced status code (RFC 3463); its class is the reply code's first digit.
type Enhanced = (u16, u16);

impl Reply {
    /// The three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.parts().0
    }

    /// Whether the connection ends after it.
    #[must_use]
    pub const fn closes(&self) -> bool {
        matches!(
            self,
            Self::Closing | Self::Unavailable(_) | Self::UncountableChunk
        )
    }

    /// Code, subject and detail of the enhanced code where there is one (RFC 2034 §4: not in
    /// greetings, nor in replies of class 3), and the text.
    const fn parts(&self) -> (u16, Option<Enhanced>, &'static str) {
        match self {
            Self::Ready(_) => (220, None, "LMTP ready"),
            Self::Closing => (221, Some((0, 0)), "closing"),
            Self::Hello(_) => (250, None, ""),
            Self::Done => (250, Some((0, 0)), "done"),
            Self::SenderAccepted => (250, Some((1, 0)), "sender accepted"),
            Self::RecipientAccepted => (250, Some((1, 5)), "recipient accepted"),
            Self::ChunkAccepted => (250, Some((0, 0)), "chunk received"),
            Self::Delivered => (250, Some((0, 0)), "delivered"),
            Self::NotVerified => (252, Some((5, 0)), "not verified; send mail and see"),
            Self::Help => (
                214,
                Some((0, 0)),
                "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT",
            ),
            Self::StartData => (354, None, "end with a dot on a line of its own"),
            Self::Unavailable(reason) => (421, Some((3, 2)), *reason),
            Self::TemporaryFault => (451, Some((3, 0)), "temporary fault, try again later"),
            Self::DiskFull => (452, Some((3, 1)), "the mail store is full"),
            Self::OverQuota => (452, Some((2, 2)), "mailbox full"),
            Self::TooManyRecipients => (452, Some((5, 3)), "too many recipients"),
            Self::UnknownCommand => (500, Some((5, 1)), "unknown command"),
            Self::LineTooLong => (500, Some((5, 2)), "line too long"),
            Self::NotUtf8 => (500, Some((5, 2)), "the line is not UTF-8"),
            Self::Syntax(expected) => (501, Some((5, 4)), *expected),
            Self::UncountableChunk => (501, Some((5, 4)), "BDAT size [LAST]"),
            Self::BadSequence(first) => (503, Some((5, 1)), *first),
            Self::UnknownRecipient => (550, Some((1, 1)), "no such recipient"),
            Self::DisabledRecipient => (550, Some((2, 1)), "recipient disabled"),
            Self::TooLarge => (552, Some((3, 4)), "message too large"),
            Self::NeverFits => (552, Some((2, 2)), "message larger than the mailbox may be"),
            Self::NeedsSmtpUtf8 => (553, Some((6, 7)), "this address needs SMTPUTF8"),
            Self::Loop => (554, Some((4, 6)), "delivered here before: mail loop"),
            Self::UnknownParameter => (555, Some((5, 4)), "parameter not supported"),
        }
    }

    /// Writes the reply with its line ends.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(extensions) => hello(out, extensions),
            Self::Ready(server) => {
                let (code, _, text) = self.parts();
                line(
                    out,
                    code,
                    Follows::Nothing,
                    &format!("{} {text}", host(server)),
                );
            }
            _ => self.encode_single(out),
        }
    }

    fn encode_single(&self, out: &mut Vec<u8>) {
        let (code, enhanced, text) = self.parts();
        let mut words = String::new();
        if let Some((subject, detail)) = enhanced {
            // Writing to a String does not fail.
            let _ = write!(words, "{}.{subject}.{detail} ", code / 100);
        }
        if matches!(self, Self::Syntax(_) | Self::UncountableChunk) {
            words.push_str("expected ");
        }
        words.push_str(text);
        line(out, code, Follows::Nothing, &words);
    }
}

/// Whether a line of a reply is its last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    More,
}

fn line(out: &mut Vec<u8>, code: u16, follows: Follows, text: &str) {
    crate::encode::number(out, u64::from(code));
    out.push(match follows {
        Follows::Nothing => b' ',
        Follows::More => b'-',
    });
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The extensions, each on its line (RFC 5321 §4.1.1.1).
fn hello(out: &mut Vec<u8>, extensions: &Extensions) {
    line(out, 250, Follows::More, &host(&extensions.server));
    for keyword in [
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
    ] {
        line(out, 250, Follows::More, keyword);
    }
    let size = format!("SIZE {}", extensions.size_max);
    line(out, 250, Follows::Nothing, &size);
}

/// A configured name, of which nothing can break the line.
fn host(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_answers() {
        let check = |reply: Reply, want: &str| {
            assert_eq!(encoded(&reply), format!("{want}\r\n"));
            assert_eq!(reply.code().to_string(), want.split(' ').next().unwrap());
        };
        check(
            Reply::Ready("mail.example".into()),
            "220 mail.example LMTP ready",
        );
        check(Reply::Ready("a\r\n250 b".into()), "220 a??250?b LMTP ready");
        check(Reply::Closing, "221 2.0.0 closing");
        check(Reply::Done, "250 2.0.0 done");
        check(Reply::SenderAccepted, "250 2.1.0 sender accepted");
        check(Reply::RecipientAccepted, "250 2.1.5 recipient accepted");
        check(Reply::ChunkAccepted, "250 2.0.0 chunk received");
        check(Reply::Delivered, "250 2.0.0 delivered");
        check(
            Reply::NotVerified,
            "252 2.5.0 not verified; send mail and see",
        );
        check(
            Reply::Help,
            "214 2.0.0 LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT",
        );
        check(Reply::StartData, "354 end with a dot on a line of its own");
        check(
            Reply::Unavailable("shutting down"),
            "421 4.3.2 shutting down",
        );
        check(
            Reply::TemporaryFault,
            "451 4.3.0 temporary fault, try again later",
        );
        check(Reply::DiskFull, "452 4.3.1 the mail store is full");
        check(Reply::OverQuota, "452 4.2.2 mailbox full");
        check(Reply::TooManyRecipients, "452 4.5.3 too many recipients");
        check(Reply::UnknownCommand, "500 5.5.1 unknown command");
        check(Reply::LineTooLong, "500 5.5.2 line too long");
        check(Reply::NotUtf8, "500 5.5.2 the line is not UTF-8");
        check(
            Reply::Syntax("no argument"),
            "501 5.5.4 expected no argument",
        );
        check(
            Reply::UncountableChunk,
            "501 5.5.4 expected BDAT size [LAST]",
        );
        check(Reply::BadSequence("MAIL first"), "503 5.5.1 MAIL first");
        check(Reply::UnknownRecipient, "550 5.1.1 no such recipient");
        check(Reply::DisabledRecipient, "550 5.2.1 recipient disabled");
        check(Reply::TooLarge, "552 5.3.4 message too large");
        check(
            Reply::NeverFits,
            "552 5.2.2 message larger than the mailbox may be",
        );
        check(
            Reply::NeedsSmtpUtf8,
            "553 5.6.7 this address needs SMTPUTF8",
        );
        check(Reply::Loop, "554 5.4.6 delivered here before: mail loop");
        check(Reply::UnknownParameter, "555 5.5.4 parameter not supported");
    }

    #[test]
    fn extensions_stand_on_lines_of_their_own() {
        let reply = Reply::Hello(Extensions {
            server: "mail.example".into(),
            size_max: 52_428_800,
        });
        assert_eq!(
            encoded(&reply),
            "250-mail.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n\
             250-SMTPUTF8\r\n250-CHUNKING\r\n250 SIZE 52428800\r\n"
        );
    }
}
