//! What of a connection is counted, timed and, where somebody listens, told (`observe`).

use std::sync::Arc;

use tokio::time::Instant;
use wire::{
    frame::Frame,
    imap::{
        code::Code,
        command::Tag,
        response::{Completion, Status},
        table::{Group, Property},
    },
};

use super::Connection;
use crate::{
    observe::{
        label::{Answer, CommandLabel, Spoken},
        live::{Opening, Place, State},
        meter::{Meter, Wire},
        span::{Ids, Spans},
        trace::Side,
    },
    refused::Reason,
    service::Service,
    session::{Context, answer::no},
};

/// A command that is being answered.
pub(super) struct Running {
    pub(super) command: CommandLabel,
    pub(super) begun: Instant,
    /// In which state.
    pub(super) state: State,
    /// Those of its span, if there is to be one.
    pub(super) ids: Option<Box<Ids>>,
}

/// A place among those who are connected, and what counts the bytes sent.
pub(super) fn enter(service: &Service, opening: Opening<'_>) -> (Place, Meter) {
    let place = service.observe.enter(opening);
    let meter = Meter::new(Arc::clone(&place));
    (place, meter)
}

/// What is spoken to a peer that is greeted now.
pub(super) fn spoken(peer: &crate::listen::Peer) -> Spoken {
    match peer.protection {
        crate::listen::Protection::Tls => Spoken::Imaps,
        _ => Spoken::Imap,
    }
}

impl Context {
    /// Bytes came from the client; where they are compressed, the layer that inflates them counts.
    pub(super) fn received(&self, bytes: usize) {
        if self.inflow.is_none() {
            Wire::new(Arc::clone(&self.place)).received(bytes as u64);
        }
    }
}

impl Connection {
    /// A command begins to be answered.
    pub(super) fn begin(&mut self, tag: &Tag, property: &'static Property) {
        self.sink.begin(tag);
        let (command, begun) = (CommandLabel::of(property), Instant::now());
        self.note(command, begun);
        let is_client = !self.context.place.is_probe;
        let spans = self.context.service.observe.spans.get();
        let spans = spans.filter(|_| is_client);
        self.running = Some(Running {
            command,
            begun,
            state: self.session.state(),
            ids: spans.and_then(Spans::begin).map(Box::new),
        });
    }

    /// A command came.
    pub(super) fn note(&self, command: CommandLabel, now: Instant) {
        self.context.place.command(command, now);
        if !self.context.place.is_probe {
            let metrics = &self.context.service.observe.metrics;
            metrics.commands.count(command);
        }
    }

    /// A command was answered.
    pub(super) fn ended(&mut self, status: Status, now: Instant) {
        if self.context.place.is_probe {
            return;
        }
        let metrics = &self.context.service.observe.metrics;
        metrics.answers.count(match status {
            Status::Ok => Answer::Ok,
            Status::No => Answer::No,
            Status::Bad => Answer::Bad,
        });
        if let Some(running) = self.running.take() {
            let took = now.saturating_duration_since(running.begun);
            metrics.command_duration.record_time(running.command, took);
            self.trace_command(running, status);
        }
        self.context.place.is_in(self.session.state());
    }

    /// A login was answered so.
    pub(super) fn judged(&self, completion: &Completion) {
        let metrics = &self.context.service.observe.metrics;
        metrics.auth_attempts.count(());
        let failed = completion.status != Status::Ok;
        if failed {
            metrics.auth_failures.count(());
        }
        self.trace_login(failed.then_some(completion));
    }

    /// A login of an address that failed too often was not even looked at.
    pub(super) fn turned_away(&self) {
        let metrics = &self.context.service.observe.metrics;
        metrics.auth_attempts.count(());
        metrics.auth_failures.count(());
        self.trace_login(Some(&no(Code::Limit, Reason::Banned.bye().1)));
    }

    /// The next frame, told to whoever listens.
    pub(super) fn next_frame(&mut self) -> Frame {
        if !self.context.place.trace.is_on() {
            return self.framer.next(&self.limits);
        }
        let (frame, text) = self.framer.next_heard(&self.limits);
        if let Some(told) = told(&frame, text) {
            self.context.place.say(Side::Client, told);
        }
        frame
    }

    /// Tells whoever listens of a line that is no command.
    pub(super) fn tell_line(&self, line: &'static str) {
        if self.context.place.trace.is_on() {
            let line = format!("{line}\r\n");
            self.context.place.say(Side::Client, line.into_bytes());
        }
    }
}

/// What of a frame may be told: of what logs in its name, of what is not understood, and may
/// be a login all the same, only that.
fn told(frame: &Frame, text: Vec<u8>) -> Option<Vec<u8>> {
    let line = |tag: &str, rest: &str| Some(format!("{tag} {rest}\r\n").into_bytes());
    match frame {
        Frame::Command(tagged) => match tagged.command.property() {
            Property {
                group: Group::NotAuthenticated,
                name,
                ..
            } => line(&tagged.tag.0, &format!("{name} [not told]")),
            _ => Some([&text, b"\r\n".as_slice()].concat()),
        },
        Frame::Append(..) | Frame::Replace(..) => Some(text),
        Frame::Literal(literal) => {
            let size = literal.size;
            line(
                &literal.tag.0,
                &format!("{} [asks to send {size} bytes]", literal.property.name),
            )
        }
        Frame::Bad(tag, fault) => {
            let tag = tag.as_ref().map_or("*", |tag| &*tag.0);
            line(tag, &format!("[not understood: {fault}]"))
        }
        Frame::Refused(tag, property, _) => line(&tag.0, &format!("{} [refused]", property.name)),
        Frame::AppendNext(message) => line(
            "*",
            &format!("[a message of {} bytes follows]", message.size),
        ),
        Frame::Incomplete | Frame::AppendEnd | Frame::Fatal(_) => None,
    }
}
