//! CAPABILITY, NOOP, LOGOUT (RFC 9051 §6.1) and ID (RFC 2971).

use std::io;

use store::Expunge;
use wire::imap::{basic::Id, command::AnyState, response::Untagged, select::Access};

use super::{Context, Reply, Selected, Session, answer::ok, reply, sink::Sink};
use crate::quirks::Quirk;

/// Characters that are kept of each field of ID.
const CLIENT_CHARS_MAX: usize = 64;

impl Session {
    pub(super) async fn any(
        self,
        command: AnyState,
        context: &Context,
        sink: &mut Sink,
    ) -> (Self, Reply) {
        let outcome = match command {
            AnyState::Capability => self.capability(context, sink).await,
            AnyState::Noop => Ok(ok("Nothing to do, and it is done.")),
            AnyState::Id(id) => {
                note_client(&id, context);
                let mine = vec![
                    ("name", "relate-imap".to_owned()),
                    ("version", env!("CARGO_PKG_VERSION").to_owned()),
                    ("vendor", "Relate Mail".to_owned()),
                ];
                sink.send(&Untagged::Id(mine))
                    .await
                    .map(|()| ok("Pleased to meet you."))
            }
            AnyState::Logout => return self.logout(context, sink).await,
        };
        (self, reply(outcome.map_err(Into::into)))
    }

    async fn capability(
        &self,
        context: &Context,
        sink: &mut Sink,
    ) -> io::Result<wire::imap::response::Completion> {
        sink.send(&Untagged::Capability(self.capabilities(context)))
            .await?;
        Ok(ok("That is what this server can do."))
    }

    /// LOGOUT; commits this session's deletions if configured so.
    async fn logout(mut self, context: &Context, sink: &mut Sink) -> (Self, Reply) {
        let mut farewell = "Goodbye.";
        if let Self::Selected(selected) = &mut self
            && context.service.config.imap.commit_deletions_on_logout
            && !context.works_around(Quirk::KeepMarked)
            && !selected.commit_deletions().await
        {
            farewell = "Goodbye. Your deletions could not be committed; they are still marked.";
        }
        match sink.send(&Untagged::Bye(None, farewell.into())).await {
            Ok(()) => (self, Reply::Logout(ok("Logged out."))),
            Err(error) => (self, Reply::Gone(error)),
        }
    }
}

impl Selected {
    /// Whether this session's own deletions are committed, or there were none.
    async fn commit_deletions(&mut self) -> bool {
        if self.access == Access::ReadOnly {
            return true;
        }
        self.own_deleted.forget_changed(&self.mailbox.state());
        let marked = self.own_deleted.take();
        if marked.is_empty() {
            return true;
        }
        match self
            .mailbox
            .expunge(Expunge::DeletedUnchanged(marked))
            .await
        {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "deletions could not be committed at logout");
                false
            }
        }
    }
}

/// Remembers what a client calls itself, once and in short: what a stranger says may not fill the
/// log.
fn note_client(id: &Id, context: &Context) {
    let field = |name: &str| {
        let named = |(field, _): &&(Box<str>, Option<Box<str>>)| field.eq_ignore_ascii_case(name);
        let (_, value) = id.0.iter().find(named)?;
        let value = value.as_deref()?.chars().take(CLIENT_CHARS_MAX);
        Some(value.collect::<String>())
    };
    let words: Vec<_> = ["name", "version"].into_iter().filter_map(field).collect();
    if !words.is_empty()
        && context
            .place
            .named(&words.join(" "), context.service.now_secs())
    {
        let client = context.place.client();
        tracing::info!(origin = %context.origin, client, "client named itself");
        for quirk in context.service.config.imap.quirks.of(client) {
            let (name, because, link) = (quirk.name, quirk.because, quirk.link);
            tracing::info!(
                origin = %context.origin, client, workaround = name, what = quirk.what, because, link,
                "client gets a workaround"
            );
        }
    }
}
