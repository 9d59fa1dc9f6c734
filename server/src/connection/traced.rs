//! The spans of a connection: one for each command and, within that, one for each login. There are
//! none for the parts of a command, however many messages it names.

use wire::imap::{
    code::Code,
    response::{Completion, Status},
};

use super::{Connection, counted::Running};
use crate::{
    auth::Known,
    observe::span::{Attribute, Span, began},
};

impl Connection {
    /// The span of a command that was answered so.
    pub(super) fn trace_command(&self, running: Running, status: Status) {
        let service = &self.context.service;
        let (Some(spans), Some(ids)) = (service.observe.spans.get(), running.ids) else {
            return;
        };
        let Some(room) = spans.room() else {
            return;
        };
        let name = running.command.name();
        let (id, state) = (self.context.place.id, running.state.name());
        let now = service.now_nanos();
        room.send(Span {
            name: span_name(name),
            ids: *ids,
            parent: None,
            start_nanos: began(now, running.begun),
            end_nanos: now,
            attributes: vec![
                ("imap.session_id", Attribute::Text(id.to_string())),
                ("imap.command", Attribute::Text(name.to_owned())),
                ("imap.state", Attribute::Text(state.to_owned())),
            ],
            error: match status {
                Status::Ok => None,
                Status::No => Some("NO".to_owned()),
                Status::Bad => Some("BAD".to_owned()),
            },
        });
    }

    /// The span of a login, within that of its command.
    pub(super) fn trace_login(&self, refused: Option<&Completion>) {
        let service = &self.context.service;
        let login = self.context.place.take_login();
        let running = self.running.as_ref();
        let ids = running.and_then(|it| Some((it.begun, it.ids.as_deref().copied()?)));
        let (Some(spans), Some((begun, parent))) = (service.observe.spans.get(), ids) else {
            return;
        };
        let (Some(room), Some(ids)) = (spans.room(), parent.child()) else {
            return;
        };
        let is_limited = refused.is_some_and(|it| it.code == Some(Code::Limit));
        let is_known = login
            .as_ref()
            .is_some_and(|it| it.known == Known::Remembered);
        let reason = refused.map(|completion| completion.text.to_string());
        let mut attributes = vec![
            ("imap.auth.cache_hit", Attribute::Flag(is_known)),
            ("imap.auth.success", Attribute::Flag(refused.is_none())),
            ("imap.auth.rate_limited", Attribute::Flag(is_limited)),
        ];
        let user = login.as_ref().map(|login| login.user.to_string());
        let key = login.and_then(|login| login.key);
        for (name, text) in [
            ("imap.auth.user", user),
            ("imap.auth.key_name", key.map(|key| key.to_string())),
            ("imap.auth.failure_reason", reason.clone()),
        ] {
            attributes.extend(text.map(|text| (name, Attribute::Text(text))));
        }
        let now = service.now_nanos();
        room.send(Span {
            name: "imap.auth".to_owned(),
            ids,
            parent: Some(parent.span),
            start_nanos: began(now, begun),
            end_nanos: now,
            attributes,
            error: reason,
        });
    }
}

/// `imap.command.uid_fetch` for UID FETCH.
fn span_name(command: &str) -> String {
    let name = command.to_ascii_lowercase().replace(' ', "_");
    format!("imap.command.{name}")
}
