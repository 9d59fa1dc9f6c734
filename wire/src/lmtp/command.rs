//! Commands of LMTP (RFC 2033 §4, RFC 5321 §4.1.1, RFC 3030 §2).

use super::{
    path::{Address, path},
    reply::Reply,
};

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// LHLO: what the client calls itself.
    Lhlo(Box<str>),
    /// MAIL
    Mail(Mail),
    /// RCPT
    Rcpt(Address),
    /// DATA
    Data,
    /// BDAT
    Bdat(Bdat),
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// VRFY
    Vrfy,
    /// HELP
    Help,
    /// QUIT
    Quit,
}

/// MAIL's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Who gets reports; `None` is `<>`.
    pub from: Option<Address>,
    /// `SIZE=`: the announced size, bytes (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=`
    pub body: Body,
    /// `SMTPUTF8`
    pub charset: Charset,
}

/// What the body is declared to hold (RFC 6152 §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// `7BIT`, or nothing declared.
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
}

/// Whether addresses and headers may be UTF-8 (RFC 6531 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charset {
    /// They are ASCII.
    Ascii,
    /// `SMTPUTF8`
    Utf8,
}

/// BDAT's arguments: the chunk follows the command line at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bdat {
    /// Its size, bytes.
    pub size: u64,
    /// Whether it ends the message.
    pub position: Position,
}

/// Where a chunk stands in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// More follow.
    More,
    /// `LAST`
    Last,
}

/// Reads one command line, without its line end.
///
/// # Errors
/// The reply that says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Command, Reply> {
    let line = str::from_utf8(line).map_err(|_| Reply::NotUtf8)?;
    if line.chars().any(char::is_control) {
        return Err(Reply::UnknownCommand);
    }
    let line = line.trim_end_matches(' ');
    let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let alone = |command| match arguments {
        "" => Ok(command),
        _ => Err(Reply::Syntax("no argument")),
    };
    match verb.to_ascii_uppercase().as_str() {
        "LHLO" => lhlo(arguments),
        "MAIL" => mail(arguments),
        "RCPT" => rcpt(arguments),
        "DATA" => alone(Command::Data),
        "BDAT" => bdat(arguments),
        "RSET" => alone(Command::Rset),
        "QUIT" => alone(Command::Quit),
        // RFC 5321 §4.1.1.9: an argument of NOOP is ignored.
        "NOOP" => Ok(Command::Noop),
        "VRFY" if arguments.is_empty() => Err(Reply::Syntax("VRFY and a name")),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        // RFC 2033 §4.1: HELO and EHLO are no commands here.
        _ => Err(Reply::UnknownCommand),
    }
}

fn lhlo(arguments: &str) -> Result<Command, Reply> {
    if arguments.is_empty() || arguments.contains(' ') {
        return Err(Reply::Syntax("LHLO and the client's name"));
    }
    Ok(Command::Lhlo(arguments.into()))
}

/// `FROM:` or `TO:` in any case, then a path; blanks before the path are common and harmless.
fn after_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<(Option<Address>, &'a str)> {
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, rest) = path(rest.trim_start_matches(' '))?;
    (rest.is_empty() || rest.starts_with(' ')).then_some((address, rest))
}

fn mail(arguments: &str) -> Result<Command, Reply> {
    let (from, rest) =
        after_keyword(arguments, "FROM:").ok_or(Reply::Syntax("MAIL FROM:<address>"))?;
    let mut mail = Mail {
        from,
        size: None,
        body: Body::SevenBit,
        charset: Charset::Ascii,
    };
    let mut seen: Vec<String> = Vec::new();
    for parameter in rest.split(' ').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        let name = name.to_ascii_uppercase();
        if seen.contains(&name) {
            return Err(Reply::Syntax("each parameter once"));
        }
        mail_parameter(&mut mail, &name, value)?;
        seen.push(name);
    }
    if mail.charset == Charset::Ascii && mail.from.as_ref().is_some_and(Address::is_international) {
        return Err(Reply::NeedsSmtpUtf8);
    }
    Ok(Command::Mail(mail))
}

fn mail_parameter(mail: &mut Mail, name: &str, value: Option<&str>) -> Result<(), Reply> {
    match (name, value) {
        ("SIZE", Some(size)) => {
            mail.size = Some(number(size).ok_or(Reply::Syntax("SIZE=bytes"))?);
        }
        ("BODY", Some(body)) => {
            mail.body = match body.to_ascii_uppercase().as_str() {
                "7BIT" => Body::SevenBit,
                "8BITMIME" => Body::EightBitMime,
                // BINARYMIME (RFC 3030 §3) is not offered.
                _ => return Err(Reply::UnknownParameter),
            };
        }
        ("SMTPUTF8", None) => mail.charset = Charset::Utf8,
        ("SIZE" | "BODY" | "SMTPUTF8", _) => {
            return Err(Reply::Syntax(
                "SIZE and BODY with a value, SMTPUTF8 without",
            ));
        }
        _ => return Err(Reply::UnknownParameter),
    }
    Ok(())
}

fn rcpt(arguments: &str) -> Result<Command, Reply> {
    match after_keyword(arguments, "TO:") {
        Some((Some(address), "")) => Ok(Command::Rcpt(address)),
        Some((Some(_), _)) => Err(Reply::UnknownParameter),
        // The null path is nobody.
        Some((None, _)) | None => Err(Reply::Syntax("RCPT TO:<address>")),
    }
}

fn bdat(arguments: &str) -> Result<Command, Reply> {
    let (size, last) = match arguments.split_once(' ') {
        Some((size, last)) => (size, Some(last)),
        None => (arguments, None),
    };
    let position = match last {
        None => Position::More,
        Some(word) if word.eq_ignore_ascii_case("LAST") => Position::Last,
        Some(_) => return Err(Reply::UncountableChunk),
    };
    let size = number(size).ok_or(Reply::UncountableChunk)?;
    Ok(Command::Bdat(Bdat { size, position }))
}

/// `1*20DIGIT`
fn number(digits: &str) -> Option<u64> {
    let is_number = digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(mailbox: &str) -> Address {
        Address::parse(mailbox).unwrap()
    }

    fn mail_of(from: Option<&str>) -> Mail {
        Mail {
            from: from.map(address),
            size: None,
            body: Body::SevenBit,
            charset: Charset::Ascii,
        }
    }

    #[test]
    fn accepts() {
        let check = |line: &str, want| assert_eq!(parse(line.as_bytes()), Ok(want), "{line}");
        check(
            "LHLO client.example",
            Command::Lhlo("client.example".into()),
        );
        check("lhlo [127.0.0.1]", Command::Lhlo("[127.0.0.1]".into()));
        check("MAIL FROM:<>", Command::Mail(mail_of(None)));
        check("mail from: <a@b> ", Command::Mail(mail_of(Some("a@b"))));
        check(
            "MAIL FROM:<a@b> SIZE=12 body=8bitmime SMTPUTF8",
            Command::Mail(Mail {
                size: Some(12),
                body: Body::EightBitMime,
                charset: Charset::Utf8,
                ..mail_of(Some("a@b"))
            }),
        );
        check(
            "MAIL FROM:<ä@b> SMTPUTF8",
            Command::Mail(Mail {
                charset: Charset::Utf8,
                ..mail_of(Some("ä@b"))
            }),
        );
        check("RCPT TO:<a@b>", Command::Rcpt(address("a@b")));
        check("rcpt to:<a>", Command::Rcpt(address("a")));
        check("DATA", Command::Data);
        check("data ", Command::Data);
        check("RSET", Command::Rset);
        check("NOOP anything at all", Command::Noop);
        check("VRFY someone", Command::Vrfy);
        check("HELP MAIL", Command::Help);
        check("QUIT", Command::Quit);
        let chunk = |size, position| Command::Bdat(Bdat { size, position });
        check("BDAT 0 LAST", chunk(0, Position::Last));
        check("bdat 1000", chunk(1000, Position::More));
        check(
            "BDAT 18446744073709551615 last",
            chunk(u64::MAX, Position::Last),
        );
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_answered(
            verb in "LHLO |MAIL FROM:|RCPT TO:|BDAT |NOOP |",
            rest in "[<>@\"\\\\a1 .=:ä-]{0,20}|\\PC{0,20}",
        ) {
            if let Err(reply) = parse(format!("{verb}{rest}").as_bytes()) {
                proptest::prop_assert!((500..=555).contains(&reply.code()));
            }
        }
    }

    #[test]
    fn refuses() {
        let check = |line: &[u8], code: u16| {
            let reply = parse(line).unwrap_err();
            assert_eq!(reply.code(), code, "{}", String::from_utf8_lossy(line));
        };
        for unknown in [
            "",
            " ",
            "EHLO x",
            "HELO x",
            "XCLIENT a=b",
            "STARTTLS",
            "GET / HTTP/1.1",
        ] {
            check(unknown.as_bytes(), 500);
        }
        check(b"NOOP \0", 500);
        check(b"DATA\r", 500);
        check(b"\xff", 500);
        for syntax in [
            "LHLO",
            "LHLO a b",
            "MAIL",
            "MAIL FROM:",
            "MAIL FROM:a@b",
            "MAIL TO:<a@b>",
            "MAIL FROM:<a@b>SIZE=1",
            "MAIL FROM:<a@b> SIZE",
            "MAIL FROM:<a@b> SIZE=-1",
            "MAIL FROM:<a@b> SIZE=+1",
            "MAIL FROM:<a@b> SIZE=",
            "MAIL FROM:<a@b> SIZE=99999999999999999999",
            "MAIL FROM:<a@b> SIZE=1 size=1",
            "MAIL FROM:<a@b> SMTPUTF8=1",
            "RCPT TO:<>",
            "RCPT TO:a@b",
            "RCPT FROM:<a@b>",
            "DATA now",
            "BDAT",
            "BDAT x",
            "BDAT 1 FIRST",
            "BDAT -1",
            "BDAT 18446744073709551616",
            "VRFY",
            "RSET x",
            "QUIT x",
        ] {
            check(syntax.as_bytes(), 501);
        }
        check(b"MAIL FROM:<a@b> RET=FULL", 555);
        check(b"MAIL FROM:<a@b> BODY=BINARYMIME", 555);
        check(b"RCPT TO:<a@b> NOTIFY=NEVER", 555);
        check("MAIL FROM:<ä@b>".as_bytes(), 553);
    }
}
