#!/usr/bin/env python3
"""`relate-imap up` as a person meets it: the three printed lines are pasted, and work.

Then kill -9 and `up` again: the mail is still there under the same UID and
UIDVALIDITY. The ports come from the environment, so that nothing on the
machine is in the way; all else is as with no configuration at all.
"""

import imaplib
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import time

import server as servers
from client import check, main

SECONDS = 60
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Up:
    """One run of `up` in a directory, and what it printed."""

    def __init__(self, directory, ports):
        self.directory = directory
        imap, imaps, lmtp, health = ports
        environment = {**os.environ, "Imap__Port": str(imap), "Imap__SecurePort": str(imaps), "Lmtp__Port": str(lmtp), "HealthCheck__Url": "http://localhost:%d" % health}
        program = os.environ.get("RELATE_IMAP", str(servers.ROOT / "target/release/relate-imap"))
        self.output = directory / "output"
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen([program, "up"], cwd=directory, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        limit = time.monotonic() + SECONDS
        while "ready" not in self.text().lower():
            assert self.process.poll() is None and time.monotonic() < limit, "no `ready`: " + self.text()[-900:]
            time.sleep(0.05)

    def text(self):
        return ANSI.sub("", self.output.read_text(errors="replace"))

    def line(self, program):
        found = re.search(r"^\s*(?:\$ )?(%s .*)$" % program, self.text(), re.M)
        assert found, "no line for %s in: %s" % (program, self.text())
        return found.group(1).strip()

    def paste(self, program):
        done = subprocess.run(["bash", "-c", self.line(program)], cwd=self.directory, capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, "%s exits %d: %s" % (program, done.returncode, (done.stdout + done.stderr).decode()[-600:])
        return done.stdout.decode()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait()


class State:
    up = None
    seen = None


def password():
    words = shlex.split(State.first)
    return words[words.index("-u") + 1].partition(":")[2]


def inbox():
    """(UIDVALIDITY, {UID: bytes}) of INBOX, over the plain port."""
    m = imaplib.IMAP4("127.0.0.1", State.ports[0])
    m.login("you@localhost", password())
    m.select(readonly=True)
    validity = m.response("UIDVALIDITY")[1][0]
    rows = m.uid("FETCH", "1:*", "(UID BODY.PEEK[])")[1]
    return validity, {re.search(rb"UID (\d+)", r[0]).group(1): r[1] for r in rows if isinstance(r, tuple)}


@check()
def starts_with_nothing_and_says_ready(server):
    State.directory = pathlib.Path(tempfile.mkdtemp(prefix="up-"))
    State.ports = servers.free_ports(4)
    began = time.monotonic()
    State.up = Up(State.directory, State.ports)
    print("note up: ready after %.1f s" % (time.monotonic() - began))
    State.first = State.up.line("curl")
    assert "you@localhost" in State.up.text() and password() in State.up.text()


@check()
def the_curl_line_works(server):
    assert re.search(r"(?im)^Subject: .*welcome", State.up.paste("curl"))


@check()
def the_swaks_line_works(server):
    State.up.paste("swaks")
    assert len(inbox()[1]) == 2


@check()
def the_mutt_line_works(server):
    socket = "up-%d" % os.getpid()
    home = tempfile.mkdtemp(prefix="mutt-")
    environment = {k: v for k, v in os.environ.items() if k != "TMUX"}
    environment.update(TERM="xterm", HOME=home, LC_ALL="C.UTF-8")

    def tmux(*arguments):
        return subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, check=False, env=environment, cwd=State.directory).stdout.decode()

    try:
        tmux("new-session", "-d", "-x", "120", "-y", "30", State.up.line("mutt"))
        limit = time.monotonic() + SECONDS
        screen = ""
        answered = set()
        while "Msgs:2" not in screen and time.monotonic() < limit:
            screen = tmux("capture-pane", "-p")
            # The certificate is its own, the password was shown once: a person answers both questions.
            if re.search(r"\(o\)nce|accept \(o", screen):
                tmux("send-keys", "o")
            elif "Password for" in screen and "password" not in answered:
                answered.add("password")
                tmux("send-keys", "-l", password())
                tmux("send-keys", "Enter")
            elif re.search(r"\[yes|\(\[no\]|yes/\[no\]|\[no\]/yes", screen):
                tmux("send-keys", "n")
            time.sleep(0.1)
        assert "Msgs:2" in screen, screen
    finally:
        tmux("kill-server")


@check()
def health_is_told(server):
    done = subprocess.run(["curl", "-sS", "-f", "http://localhost:%d/healthz" % State.ports[3]], capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout, done


@check()
def mail_survives_kill_9(server):
    before = inbox()
    State.up.kill()
    State.up = Up(State.directory, State.ports)
    assert inbox() == before and len(before[1]) == 2
    State.up.paste("swaks")
    assert len(inbox()[1]) == 3


@check()
def ctrl_c_ends_it_well(server):
    m = imaplib.IMAP4("127.0.0.1", State.ports[0])
    m.login("you@localhost", password())
    assert State.up.interrupt() == 0
    assert b"BYE" in m.readline()


if __name__ == "__main__":
    main()
