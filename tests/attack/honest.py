"""The honest client: logs in, selects, fetches and leaves, over and over, and takes the time.

It runs as a process of its own, so that only the server can make it wait for the attackers.
"""

import multiprocessing
import socket
import time

SECONDS = 30
PAUSE = 0.02
MESSAGES = 50


class Session:
    """One IMAP connection, a command at a time."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=SECONDS)
        self.file = self.socket.makefile("rb")
        self.file.readline()

    def run(self, command):
        self.socket.sendall(b"h " + command + b"\r\n")
        while not (line := self.file.readline()).startswith(b"h "):
            if not line:
                raise EOFError("the server ended the connection")
        if not line.startswith(b"h OK"):
            raise RuntimeError(line.decode(errors="replace").strip())

    def close(self):
        self.file.close()
        self.socket.close()


def quoted(text):
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def fill(server, user):
    """Gives a user the mail that is fetched."""
    session = Session(server.host, server.imap_port)
    session.run(b"LOGIN " + quoted(user) + b" " + quoted(server.password))
    body = b"From: a@example.org\r\nSubject: hello\r\n\r\n" + b"a line of text\r\n" * 200
    session.run(b"APPEND INBOX" + (b" {%d+}\r\n" % len(body) + body) * MESSAGES)
    session.close()


def fill_many(server, user, count):
    """A mailbox of at least so many messages."""
    fill(server, user)
    session = Session(server.host, server.imap_port)
    session.run(b"LOGIN " + quoted(user) + b" " + quoted(server.password))
    session.run(b"SELECT INBOX")
    there = MESSAGES
    while there < count:
        session.run(b"COPY 1:* INBOX")
        there *= 2
    session.close()


def once(server, user):
    """Seconds of a login and of a fetch."""
    began = time.monotonic()
    session = Session(server["host"], server["imap_port"])
    session.run(b"LOGIN " + quoted(user) + b" " + quoted(server["password"]))
    login = time.monotonic() - began
    session.run(b"SELECT INBOX")
    began = time.monotonic()
    session.run(b"FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])")
    fetch = time.monotonic() - began
    session.run(b"LOGOUT")
    session.close()
    return login, fetch


def live(server, user, stop, told):
    while not stop.is_set():
        try:
            told.put((time.monotonic(), *once(server, user)))
        except (OSError, EOFError, RuntimeError) as error:
            # Not served counts as served after the longest time there is.
            told.put((time.monotonic(), float(SECONDS), float(SECONDS)))
            print("the honest client was not served: %s: %s" % (type(error).__name__, error), flush=True)
        time.sleep(PAUSE)


class Honest:
    """The process, and what it told."""

    def __init__(self, server, user):
        self.stop, self.told, self.seen = multiprocessing.Event(), multiprocessing.Queue(), []
        self.process = multiprocessing.Process(target=live, args=(server.describe(), user, self.stop, self.told), daemon=True)
        self.process.start()

    def p99(self, since, until):
        """The 99th percentiles of login and fetch between two moments, and how many there were."""
        while not self.told.empty():
            self.seen.append(self.told.get())
        taken = [(login, fetch) for at, login, fetch in self.seen if since <= at <= until]
        if not taken:
            return float(SECONDS), float(SECONDS), 0
        at = min(len(taken) - 1, int(len(taken) * 0.99))
        return sorted(login for login, _ in taken)[at], sorted(fetch for _, fetch in taken)[at], len(taken)

    def close(self):
        self.stop.set()
        self.process.join(SECONDS)
