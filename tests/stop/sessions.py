"""Clients of a server that stops or is replaced: each must be told, and none may be reset.

`Writer`s are those of tests/kill, which may be told to leave at any moment; a `Resting` is a
connection that waits somewhere in the protocol; a `Caller` connects again and again and notes how
long the greeting took.
"""

import pathlib
import socket
import ssl
import sys
import threading
import time
import traceback

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "kill")]
import writers  # noqa: E402
from imap import Gone, Refused  # noqa: E402

SECONDS = 60
BYE = b"* BYE "


def is_connecting(gone):
    """Whether it was not yet open: a queue that nobody takes from any more is reset when its socket closes."""
    names = [frame.name for frame in traceback.extract_tb(gone.__traceback__)]
    return "__init__" in names


def way(gone):
    """How a connection ended: by an error of the system, or by the server's closing it."""
    error = gone
    while error is not None:
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)) or isinstance(error, OSError) and is_connecting(gone):
            return "refused"
        if isinstance(error, OSError):
            # Who sends more than a second after it was told finds nobody there.
            return "told" if BYE in gone.told else "reset"
        error = error.__cause__
    return "told" if BYE in gone.told else "closed without a word"


class Leaving:
    """A writer that may be told to leave, and notes how it was told."""

    def run(self):
        self.how = "not ended"
        try:
            while not self.life.ending:
                self.step()
        except Gone as gone:
            self.how = way(gone)
        except Refused as refused:
            self.how = "told" if ": 421 " in str(refused) else str(refused)
        except Exception as error:
            self.how = "%s: %s" % (type(error).__name__, error)


class Session(Leaving, writers.Session):
    pass


class Deliverer(Leaving, writers.Deliverer):
    """Between two deliveries nothing is read, so that a 421 is seen with the next command."""


def secure(server, raw):
    """TLS to the server's own certificate."""
    context = ssl.create_default_context(cafile=str(server.directory / "cert.pem"))
    return context.wrap_socket(raw, server_hostname="localhost")


class Resting:
    """A connection that says something and then waits."""

    def __init__(self, server, name, port, lines, is_tls=False):
        self.name = name
        raw = socket.create_connection((server.host, port), timeout=SECONDS)
        self.socket = secure(server, raw) if is_tls else raw
        self.heard = b""
        self.hear(lambda heard: b"\r\n" in heard)
        for line, expected in lines:
            self.socket.sendall(line)
            if expected:
                self.hear(lambda heard, wanted=expected: wanted in heard)

    def hear(self, is_enough):
        while not is_enough(self.heard):
            data = self.socket.recv(1 << 16)
            if not data:
                raise AssertionError("%s: the server ended it: %r" % (self.name, self.heard[-300:]))
            self.heard += data

    def last(self):
        """How the server ended it."""
        try:
            while data := self.socket.recv(1 << 16):
                self.heard += data
        except TimeoutError:
            return "not ended"
        except OSError as error:
            return "reset: %s" % error
        finally:
            self.socket.close()
        last = self.heard.rstrip(b"\r\n").rsplit(b"\r\n", 1)[-1]
        return "told" if last.startswith((BYE, b"421 ")) else "closed after %r" % last[-100:]


def login(server, user):
    quoted = server.password.replace("\\", "\\\\").replace('"', '\\"')
    return ('l LOGIN "%s" "%s"\r\n' % (user, quoted)).encode(), b"l OK"


KINDS = {
    "before login": lambda s, u: (s.imap_port, []),
    "with a literal half sent": lambda s, u: (s.imap_port, [(b"a LOGIN {10}\r\n", b"+ "), (b"half", None)]),
    "within AUTHENTICATE": lambda s, u: (s.imap_port, [(b"a AUTHENTICATE PLAIN\r\n", b"+")]),
    "logged in": lambda s, u: (s.imap_port, [login(s, u)]),
    "with a mailbox selected": lambda s, u: (s.imap_port, [login(s, u), (b"b SELECT INBOX\r\n", b"b OK")]),
    "in IDLE": lambda s, u: (s.imap_port, [login(s, u), (b"b SELECT INBOX\r\n", b"b OK"), (b"c IDLE\r\n", b"+ ")]),
    "with half a command": lambda s, u: (s.imap_port, [login(s, u), (b"b SELE", None)]),
    "LMTP before MAIL": lambda s, u: (s.lmtp_port, [(b"LHLO localhost\r\n", b"250 ")]),
    "over TLS": lambda s, u: (s.imaps_port, [login(s, u), (b"b SELECT INBOX\r\n", b"b OK")]),
}


def rest(server, count):
    """Resting connections of every kind in turn."""
    made = []
    for number in range(count):
        name = list(KINDS)[number % len(KINDS)]
        port, lines = KINDS[name](server, server.users[number % len(server.users)])
        made.append(Resting(server, name, port, lines, name == "over TLS"))
    return made


class Uploader(threading.Thread):
    """Sends a message slowly: that is a command, which may be finished when the server stops."""

    def __init__(self, server, user, seconds):
        super().__init__(daemon=True)
        self.connection = Resting(server, "uploading", server.imap_port, [login(server, user)])
        self.seconds, self.how = seconds, None

    def run(self):
        body = b"Subject: slow\r\n\r\n" + b"x" * 1000
        self.connection.socket.sendall(b"u APPEND Drafts {%d+}\r\n" % len(body))
        try:
            for at in range(0, len(body), 100):
                self.connection.socket.sendall(body[at:at + 100])
                time.sleep(self.seconds * 100 / len(body))
            self.connection.socket.sendall(b"\r\n")
        except OSError as error:
            self.how = str(error)
            return
        last = self.connection.last()
        self.how = "stored and " + last if b"u OK" in self.connection.heard else last


class Caller(threading.Thread):
    """Connects and leaves, over and over."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.over, self.waits, self.failures = threading.Event(), [], []

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                self.call()
            except OSError as error:
                self.failures.append("%s: %s" % (type(error).__name__, error))
            self.waits.append(time.monotonic() - began)
            self.over.wait(0.02)

    def call(self):
        """Until the greeting is there; what follows may be a BYE."""
        server = self.server
        if self.number % 4 == 3:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(SECONDS)
            connection.connect(str(server.lmtp_socket))
        else:
            port = (server.imap_port, server.imaps_port, server.lmtp_port)[self.number % 4]
            connection = socket.create_connection((server.host, port), timeout=SECONDS)
        if self.number % 4 == 1:
            connection = secure(server, connection)
        with connection:
            greeting = connection.recv(1000)
            if not greeting.startswith((b"* OK ", b"220 ")):
                self.failures.append("greeted with %r" % greeting[:100])
                return
            connection.sendall(b"a LOGOUT\r\n" if greeting.startswith(b"*") else b"QUIT\r\n")
            while connection.recv(1000):
                pass

    def end(self):
        self.over.set()
        self.join(SECONDS)
        return max(self.waits, default=0.0)
