//! LMTP commands (RFC 2033, RFC 5321 §4.1): any line is a command or a reply, and an address that
//! was read is read again from how it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    limits::LMTP_LINE_BYTES_MAX,
    lmtp::{
        command::{Command, parse},
        frame::{Framer, Line},
        path::{Address, path},
        transaction::Transaction,
    },
};

fuzz_target!(|input: &[u8]| {
    let whole = lines(&[input]);
    for pieces in fuzz::splits(input) {
        assert_eq!(lines(&pieces), whole);
    }
    dialogue(&whole);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for address in [Address::parse(text), path(text).and_then(|(a, _)| a)] {
        address.as_ref().into_iter().for_each(reads_back);
    }
});

fn lines(pieces: &[&[u8]]) -> Vec<Line> {
    let mut framer = Framer::new(LMTP_LINE_BYTES_MAX);
    let mut found = Vec::new();
    for piece in pieces {
        framer.buffer().extend_from_slice(piece);
        found.extend(std::iter::from_fn(|| framer.line()));
    }
    found
}

fn dialogue(lines: &[Line]) {
    let mut transaction = Transaction::new();
    for line in lines {
        let Line::Command(line) = line else { continue };
        match parse(line) {
            Ok(command) => step(&mut transaction, command),
            Err(reply) => {
                let mut out = Vec::new();
                reply.encode(&mut out);
                assert!(
                    out.ends_with(b"\r\n") && out.starts_with(reply.code().to_string().as_bytes())
                );
            }
        }
    }
}

fn step(transaction: &mut Transaction, command: Command) {
    if transaction.check(&command).is_err() {
        return;
    }
    match command {
        Command::Lhlo(_) => transaction.hello(),
        Command::Mail(mail) => {
            mail.from.as_ref().into_iter().for_each(reads_back);
            transaction.sender(mail);
        }
        Command::Rcpt(address) => {
            reads_back(&address);
            transaction.recipient();
        }
        Command::Bdat(_) => transaction.chunk(),
        _ => transaction.reset(),
    }
}

fn reads_back(address: &Address) {
    let written = address.to_string();
    assert_eq!(
        Address::parse(&written).as_ref(),
        Some(address),
        "{written:?}"
    );
}
