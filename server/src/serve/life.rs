//! A server from when it serves to its end: it waits for orders, has another process take its place,
//! and goes on if that fails.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{net::UnixStream, task::JoinSet};

use super::{
    Failure, Next, Running, Site, open_left_store,
    signals::{Order, Signals},
    stop,
};
use crate::{
    admin,
    config::Loaded,
    problem::Problem,
    restart::{self, Program, Successor},
    sockets::Sockets,
    systemd::{self, Serving, State},
};

/// What follows a restart.
enum After {
    /// This process goes on.
    Serve(Running),
    /// It was told to stop meanwhile.
    Stop(Running),
    /// Another serves, or nobody any more.
    End,
}

/// `relate-imap serve`, from when it serves to its end.
pub(super) struct Server<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) program: Option<Program>,
    pub(super) signals: Signals,
    pub(super) site: Site,
    pub(super) serving: Serving,
}

impl Server<'_> {
    pub(super) async fn run(mut self, mut running: Running) -> Result<(), Failure> {
        let mut reports = JoinSet::new();
        reports.spawn(systemd::report(Arc::clone(&self.serving)));
        self.serves(&running);
        loop {
            let after = match self.order().await {
                Order::Stop => After::Stop(running),
                Order::Restart(asker) => self.restart(running, asker).await?,
            };
            match after {
                After::Serve(again) => running = again,
                After::Stop(running) => {
                    self.stop(running).await;
                    return Ok(());
                }
                After::End => return Ok(()),
            }
        }
    }

    pub(super) async fn stop(mut self, running: Running) {
        stop(running, self.site.sockets, &mut self.signals).await;
    }

    fn serves(&self, running: &Running) {
        *self.serving.lock() = Some(Arc::clone(&running.service));
        let status = systemd::status(&running.service);
        // The watchdog counts from what the server before said last.
        systemd::tell(&[State::Ready, State::Watchdog, State::Status(&status)]);
    }

    async fn order(&mut self) -> Order {
        tokio::select! {
            order = self.signals.order() => order,
            Some(asker) = self.site.asked.recv() => Order::Restart(Some(asker)),
        }
    }

    /// Has another process take the place of this one, and goes on if that fails.
    async fn restart(
        &mut self,
        running: Running,
        asker: Option<UnixStream>,
    ) -> Result<After, Failure> {
        tracing::info!("another process is to take the place of this one");
        let started = tokio::select! {
            started = successor(self.program.as_ref(), &self.site.sockets) => started,
            () = self.signals.stop() => {
                answer(asker, Err(stopped())).await;
                return Ok(After::Stop(running));
            }
        };
        let mut successor = match started {
            Ok(successor) => successor,
            Err(problem) => {
                not_restarted(problem, asker).await;
                return Ok(After::Serve(running));
            }
        };
        *self.serving.lock() = None;
        systemd::tell(&[State::Status("sessions end; another process serves soon")]);
        let is_stopping = {
            let limit = running.service.config.imap.shutdown_timeout;
            let draining = running.end(Next::Another, limit.min(restart::DRAIN_TIME_MAX));
            tokio::pin!(draining);
            tokio::select! {
                () = &mut draining => false,
                () = self.signals.stop() => { draining.await; true }
            }
        };
        if is_stopping {
            successor.end().await;
            self.site.sockets.unlink();
            answer(asker, Err(stopped())).await;
            return Ok(After::End);
        }
        let taken = tokio::select! {
            taken = successor.take_over() => taken,
            () = self.signals.stop() => {
                successor.stop(self.loaded.config.imap.shutdown_timeout).await;
                self.site.sockets.unlink();
                answer(asker, Err(stopped())).await;
                return Ok(After::End);
            }
        };
        if let Err(problem) = taken {
            successor.end().await;
            let store = open_left_store(&self.loaded.config).await?;
            let running = self.site.start(self.loaded, store).await?;
            self.serves(&running);
            not_restarted(problem, asker).await;
            self.answer_others().await;
            return Ok(After::Serve(running));
        }
        self.leave(successor, asker).await;
        Ok(After::End)
    }

    /// Another process serves.
    async fn leave(&mut self, successor: Successor, asker: Option<UnixStream>) {
        let process = successor.process();
        if let Some(process) = process {
            systemd::tell(&[State::MainPid(process), State::Watchdog]);
        }
        successor.release().await;
        tracing::info!(process, "another process has taken the place of this one");
        answer(asker, Ok(json!({ "process": process }))).await;
        self.answer_others().await;
        // Whoever told this process to stop meant the server, whoever that is by now.
        if let Some(process) = process
            && self.signals.have_said_stop().await
        {
            restart::tell_to_stop(process);
        }
    }

    /// Those who asked for the same meanwhile: it is not done again for them.
    async fn answer_others(&mut self) {
        while let Ok(asker) = self.site.asked.try_recv() {
            let what = "a restart was under way already";
            let next = "see in the log what became of it";
            let problem = Problem::new(what, "the running server", next);
            answer(Some(asker), Err(problem)).await;
        }
    }
}

async fn successor(program: Option<&Program>, sockets: &Sockets) -> Result<Successor, Problem> {
    let Some(program) = program else {
        return Err(Problem::new(
            "the system does not say where the program is",
            "/proc/self/exe",
            "mount /proc, or restart in the ordinary way",
        ));
    };
    Successor::start(program, sockets).await
}

/// What who asked for a restart is told when it came to nothing because the server is to stop.
fn stopped() -> Problem {
    let what = "the server was told to stop before another process could take its place";
    Problem::new(what, "the restart", "start the server")
}

async fn not_restarted(problem: Problem, asker: Option<UnixStream>) {
    tracing::error!(
        place = %problem.to_what, next = %problem.next,
        "this process serves on: {}", problem.what
    );
    let what = format!(
        "the server was not replaced and serves on: {}",
        problem.what
    );
    answer(asker, Err(Problem { what, ..problem })).await;
}

async fn answer(asker: Option<UnixStream>, done: Result<Value, Problem>) {
    if let Some(mut asker) = asker {
        // Who has asked may have left.
        let _ = admin::socket::write(&mut asker, done).await;
    }
}
