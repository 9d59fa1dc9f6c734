//! How the tests of the families state what a grammar accepts, awaits and rejects.

use super::command::Command;
use crate::{
    frame::{Fault, Frame, Framer},
    limits::Limits,
};

/// What the framer makes of `a ` and `rest`; the command after it must be found, whatever it was.
pub(crate) fn frame(rest: &[u8]) -> Frame {
    let mut framer = Framer::new();
    framer.push(b"a ");
    framer.push(rest);
    framer.push(b"\r\nz NOOP\r\n");
    let mut frame = framer.next(&Limits::AFTER_LOGIN);
    while let Frame::Literal(_) = frame {
        framer.grant();
        frame = framer.next(&Limits::AFTER_LOGIN);
    }
    if !matches!(frame, Frame::Append(..) | Frame::Replace(..)) {
        let next = framer.next(&Limits::AFTER_LOGIN);
        let Frame::Command(next) = next else {
            panic!("after {:?}: {next:?}", String::from_utf8_lossy(rest));
        };
        assert_eq!(&*next.tag.0, "z");
    }
    frame
}

/// The command that this is.
#[track_caller]
pub(crate) fn accept(rest: &str) -> Command {
    match frame(rest.as_bytes()) {
        Frame::Command(tagged) => tagged.command,
        Frame::Append(_, append) => {
            Command::Authenticated(super::command::Authenticated::Append(append))
        }
        Frame::Replace(_, replace) => Command::Selected(super::command::Selected::Replace(replace)),
        other => panic!("{rest:?}: {other:?}"),
    }
}

/// It is BAD, at the place of the `^`, which is taken out first.
#[track_caller]
pub(crate) fn reject(marked: &str) {
    let (before, after) = marked.split_once('^').unwrap();
    let at = before.len().saturating_add(2);
    match frame(format!("{before}{after}").as_bytes()) {
        Frame::Bad(Some(tag), Fault::Syntax(error)) => {
            assert_eq!((&*tag.0, error.at), ("a", at), "{marked:?}: {error}");
        }
        other => panic!("{marked:?}: {other:?}"),
    }
}

/// No part of it, cut before its end, is a command or an error.
#[track_caller]
pub(crate) fn incomplete(rest: &str) {
    let line = format!("a {rest}\r\n");
    for cut in 0..line.len() {
        let mut framer = Framer::new();
        framer.push(&line.as_bytes()[..cut]);
        let mut frame = framer.next(&Limits::AFTER_LOGIN);
        while let Frame::Literal(_) = frame {
            framer.grant();
            frame = framer.next(&Limits::AFTER_LOGIN);
        }
        assert_eq!(frame, Frame::Incomplete, "{:?}", &line[..cut]);
    }
}
