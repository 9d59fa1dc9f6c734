//! Playing steps against the server and the reference at once.

use std::{future::Future, time::Duration};

use bytes::BytesMut;
use tokio::time::timeout;
use wire::imap::client::Response;

use crate::{
    check::{Answer, Seen, unsolicited},
    command::{Act, Command, Literal, Step},
    expected::{Data, Expected, Next},
    mutant::{Asked, Mutant},
    place::{ACCOUNTS, Heard, Line, PASSWORD, Place, parsed},
    told::{Broken, Check, View, broken},
    words::{TIMES, quoted},
    world::World,
};

/// Longer than any answer takes: only a hang does, …
const PATIENCE: Duration = Duration::from_secs(20);
/// … or a mutant that keeps something back.
const PATIENCE_WITH_MUTANT: Duration = Duration::from_secs(2);
/// How many clients there are.
pub(crate) const CLIENTS: usize = 16;

/// A server, the reference, and the clients' connections.
pub(crate) struct Run {
    pub(crate) world: World,
    place: Place,
    lines: Vec<Option<Line>>,
    /// One more client of each account, which only asks what the reference must learn.
    asking: Vec<Option<Line>>,
    /// The tag of each client's IDLE.
    idle_tags: Vec<String>,
    tags: u32,
    mutant: Option<Mutant>,
    /// What was said and heard, as in a transcript.
    pub(crate) said: Vec<String>,
    /// How many commands were answered.
    pub(crate) commands: u32,
}

impl Run {
    /// A fresh server. A mutant stands between it and the checker.
    pub(crate) async fn new(mutant: Option<Mutant>) -> Self {
        Self {
            world: World::new(CLIENTS),
            place: Place::new().await,
            lines: (0..CLIENTS).map(|_| None).collect(),
            asking: ACCOUNTS.iter().map(|_| None).collect(),
            idle_tags: vec![String::new(); CLIENTS],
            tags: 0,
            mutant,
            said: Vec::new(),
            commands: 0,
        }
    }

    /// The server is sound at the end.
    pub(crate) async fn end(mut self) -> Check {
        self.lines.clear();
        self.asking.clear();
        let problems = self.place.problems().await;
        self.place.close().await;
        match problems.is_empty() {
            true => Ok(()),
            false => broken(0, format!("the store's check: {}", problems.join("; "))),
        }
    }

    /// Plays one step. One that makes no sense now is left out, so that any part of a list of steps
    /// can be played.
    pub(crate) async fn step(&mut self, step: &Step) -> Check {
        let (is_connected, is_idle) = {
            let client = &self.world.clients[step.who];
            (client.is_connected, client.is_idle)
        };
        match &step.act {
            Act::Connect if !is_connected => self.connect(step.who).await?,
            Act::Leave if is_connected => self.leave(step.who),
            Act::Say(command)
                if is_connected
                    && is_idle == matches!(command, Command::Done(_))
                    && self.world.clients[step.who].may_say(command) =>
            {
                self.say(step.who, command).await?;
                self.commands += 1;
            }
            Act::Restart(power_cut) => self.restart(*power_cut).await,
            Act::Clock(at) => {
                self.place.set_clock(TIMES[*at].0);
                self.world.now = TIMES[*at].1;
            }
            Act::Connect | Act::Leave | Act::Say(_) => {}
        }
        Ok(())
    }

    async fn connect(&mut self, who: usize) -> Check {
        let mut line = self.place.connect();
        self.note(format!("S[c{who}]: * OK <?>"));
        within(line.hear()).await?;
        self.lines[who] = Some(line);
        self.log_in_again(who).await?;
        self.world.clients[who].is_connected = true;
        Ok(())
    }

    async fn log_in_again(&mut self, who: usize) -> Check {
        let name = ACCOUNTS[self.world.clients[who].account];
        self.note(format!("C[c{who}]: x LOGIN {name} {PASSWORD}"));
        self.note(format!("S[c{who}]: x OK <?>"));
        log_in(self.line(who), name).await
    }

    fn leave(&mut self, who: usize) {
        self.note(format!("K[c{who}]:"));
        self.lines[who] = None;
        self.world.clients[who].leave();
    }

    async fn restart(&mut self, power_cut: Option<u64>) {
        self.note("R:".to_owned());
        self.lines.iter_mut().for_each(|line| *line = None);
        self.asking.iter_mut().for_each(|line| *line = None);
        self.place.restart(power_cut).await;
        self.world.restarted();
    }

    fn note(&mut self, line: String) {
        self.said.push(line);
    }

    /// A client says a command; everybody who must hear of it does.
    async fn say(&mut self, who: usize, command: &Command) -> Check {
        self.between(who).await?;
        self.tags += 1;
        let tag = match command {
            Command::Done(_) => self.idle_tags[who].clone(),
            _ => format!("t{}", self.tags),
        };
        let command = &self.world.worked_out(who, command);
        let pieces = command.pieces(&tag, self.world.clients[who].is_utf8);
        self.world.contest(who);
        let names = self.world.names(who);
        let mut expected = self.world.predict(who, command);
        self.world.watch(who, command, &names);
        let mut seen = Seen::default();
        for (bytes, literal) in pieces {
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\\r\\n");
            self.note(format!("c[c{who}]: {text}"));
            self.line(who).send(&bytes).await;
            let waits = literal == Literal::Waits || expected.next == Next::Idle;
            if waits
                && !self
                    .until_invited(who, command, (&tag, &mut expected, &mut seen))
                    .await?
            {
                return self.others(who).await;
            }
        }
        if expected.next == Next::Idle {
            self.idle_tags[who] = tag;
            self.begin_idle(who, &expected)?;
        } else {
            self.until_tagged(who, command, (&tag, &mut expected, &mut seen))
                .await?;
            if expected.next == Next::Fresh {
                self.log_in_again(who).await?;
            }
        }
        self.others(who).await
    }

    const fn patience(&self) -> Duration {
        match self.mutant {
            Some(_) => PATIENCE_WITH_MUTANT,
            None => PATIENCE,
        }
    }

    fn line(&mut self, who: usize) -> &mut Line {
        self.lines[who].as_mut().unwrap()
    }

    /// What came while no command ran (rule 1), or only IDLE.
    async fn between(&mut self, who: usize) -> Check {
        while let Some(heard) = self.line(who).heard().await {
            self.take_unsolicited(who, heard)?;
        }
        Ok(())
    }

    fn take_unsolicited(&mut self, who: usize, heard: Heard) -> Check {
        let Heard::Response(response) = heard else {
            return broken(31, format!("client {who} lost its connection"));
        };
        for response in self.filtered(who, response, Asked::No) {
            let client = &mut self.world.clients[who];
            let account = &mut self.world.accounts[client.account];
            unsolicited(client, account, parsed(&response))?;
        }
        Ok(())
    }

    /// Writes down what was heard, as the mutant lets it through.
    fn filtered(&mut self, who: usize, response: BytesMut, asked: Asked) -> Vec<BytesMut> {
        let responses = match &mut self.mutant {
            Some(mutant) => mutant.filter(response, asked),
            None => vec![response],
        };
        for response in &responses {
            let text = String::from_utf8_lossy(response).replace("\r\n", "\\r\\n");
            self.said.push(format!("S[c{who}]: {text}"));
        }
        responses
    }

    /// Reads up to `+`; false if the command was refused instead.
    async fn until_invited(
        &mut self,
        who: usize,
        command: &Command,
        (tag, expected, seen): (&str, &mut Expected, &mut Seen),
    ) -> Check<bool> {
        loop {
            for response in self.hear(who).await? {
                match response {
                    Response::Continuation(_) => return Ok(true),
                    other => {
                        if self.take(who, command, other, (tag, expected, seen))? {
                            return Ok(false);
                        }
                    }
                }
            }
        }
    }

    async fn until_tagged(
        &mut self,
        who: usize,
        command: &Command,
        (tag, expected, seen): (&str, &mut Expected, &mut Seen),
    ) -> Check {
        loop {
            for response in self.hear(who).await? {
                if self.take(who, command, response, (tag, expected, seen))? {
                    return Ok(());
                }
            }
        }
    }

    async fn hear(&mut self, who: usize) -> Check<Vec<Response>> {
        match timeout(self.patience(), self.line(who).hear()).await {
            Ok(Heard::Response(response)) => {
                let responses = self.filtered(who, response, Asked::Yes);
                Ok(responses.iter().map(|r| parsed(r)).collect())
            }
            Ok(Heard::End) => broken(31, "the connection is closed instead of an answer"),
            Err(_) => broken(31, "there is no answer"),
        }
    }

    /// Whether it was the tagged answer.
    fn take(
        &mut self,
        who: usize,
        command: &Command,
        response: Response,
        (tag, expected, seen): (&str, &mut Expected, &mut Seen),
    ) -> Check<bool> {
        let client = &mut self.world.clients[who];
        let mut answer = Answer {
            account: &mut self.world.accounts[client.account],
            client,
            expected,
            tag,
            seen,
        };
        match response {
            Response::Tagged(tag, condition) => {
                answer.tagged(command, &tag, &condition)?;
                if matches!(command, Command::Logout) {
                    self.lines[who] = None;
                }
                Ok(true)
            }
            other => answer.untagged(other).map(|()| false),
        }
    }

    /// `+` came: from here on IDLE tells everything at once.
    fn begin_idle(&mut self, who: usize, expected: &Expected) -> Check {
        let client = &mut self.world.clients[who];
        client.is_idle = true;
        match &client.view {
            Some(view) => {
                let account = &self.world.accounts[client.account];
                view.is_current(&account.mailboxes[view.mailbox], expected.expunge)
            }
            None => Ok(()),
        }
    }

    /// What must be heard at once: of a mailbox that is gone, in IDLE, and after NOTIFY.
    async fn others(&mut self, actor: usize) -> Check {
        for who in 0..CLIENTS {
            let client = &self.world.clients[who];
            let account = &self.world.accounts[client.account];
            let is_lost = |view: &View| who != actor && !account.is_same(view.mailbox);
            if client.view.as_ref().is_some_and(is_lost) {
                self.bye(who).await?;
            } else if client.watch.is_some() || (client.is_idle && who != actor) {
                self.news(who).await?;
            }
        }
        self.world.settle();
        self.learn().await
    }

    /// The mailbox of a session was deleted by another: it is told BYE.
    async fn bye(&mut self, who: usize) -> Check {
        loop {
            let heard = timeout(self.patience(), self.line(who).hear()).await;
            let Ok(heard) = heard else {
                return broken(
                    31,
                    format!("client {who} has a mailbox that is gone, and no BYE"),
                );
            };
            match heard {
                Heard::End => return broken(31, "the end came without BYE"),
                Heard::Response(response) => match parsed(&response) {
                    Response::Untagged(condition) if condition.status == "BYE" => {
                        self.note(format!("S[c{who}]: * BYE <?>"));
                        self.leave(who);
                        return Ok(());
                    }
                    _ => self.take_unsolicited(who, Heard::Response(response))?,
                },
            }
        }
    }

    /// A session in IDLE or with NOTIFY is told at once (rules 36, 49 and 52).
    async fn news(&mut self, who: usize) -> Check {
        loop {
            // All of what was written at once, so that nothing is judged by a later state.
            self.between(who).await?;
            let Err(why) = self.world.is_told(who) else {
                return Ok(());
            };
            match timeout(self.patience(), self.line(who).hear()).await {
                Ok(heard) => self.take_unsolicited(who, heard)?,
                Err(_) => return broken(why.rule, format!("client {who}: {}", why.what)),
            }
        }
    }

    /// Asks the UIDVALIDITY of mailboxes that are new.
    async fn learn(&mut self) -> Check {
        for account in 0..ACCOUNTS.len() {
            let known = &self.world.accounts[account];
            let unknown = known
                .tree
                .iter()
                .filter(|(_, id)| known.mailboxes[**id].uid_validity.is_none());
            let unknown: Vec<_> = unknown.map(|(name, id)| (name.clone(), *id)).collect();
            for (name, id) in unknown {
                let told = self.ask_validity(account, &name).await?;
                self.world.accounts[account].is_valid(id, told)?;
            }
        }
        Ok(())
    }

    async fn ask_validity(&mut self, account: usize, name: &str) -> Check<u32> {
        if self.asking[account].is_none() {
            let mut line = self.place.connect();
            within(line.hear()).await?;
            log_in(&mut line, ACCOUNTS[account]).await?;
            self.asking[account] = Some(line);
        }
        let line = self.asking[account].as_mut().unwrap();
        let command = format!("x STATUS {} (UIDVALIDITY)\r\n", quoted(name, false));
        line.send(command.as_bytes()).await;
        let data = asked(line)
            .await?
            .into_iter()
            .find_map(|response| match response {
                Response::Data(data) => data.values.get(1)?.value_of("UIDVALIDITY")?.number(),
                _ => None,
            });
        let told = data.and_then(|n| u32::try_from(n).ok());
        told.ok_or_else(|| Broken::new(30, format!("STATUS tells no UIDVALIDITY of {name}")))
    }
}

/// The untagged answers of a command with the tag `x`, which must be OK.
async fn asked(line: &mut Line) -> Check<Vec<Response>> {
    let mut all = Vec::new();
    loop {
        let heard = within(line.hear()).await?;
        let Heard::Response(response) = heard else {
            return broken(31, "the connection is closed instead of an answer");
        };
        match parsed(&response) {
            Response::Tagged(_, condition) if condition.status == "OK" => return Ok(all),
            Response::Tagged(_, condition) => return broken(31, format!("{condition:?}")),
            other => all.push(other),
        }
    }
}

async fn within<T>(work: impl Future<Output = T>) -> Check<T> {
    let done = timeout(PATIENCE, work).await;
    done.map_err(|_| Broken::new(31, "there is no answer"))
}

async fn log_in(line: &mut Line, user: &str) -> Check {
    line.send(format!("x LOGIN {user} {PASSWORD}\r\n").as_bytes())
        .await;
    asked(line).await.map(|_| ())
}

impl Expected {
    /// Whether it opens a mailbox.
    pub(crate) const fn opens(&self) -> bool {
        matches!(self.data, Data::Opening(_))
    }
}
