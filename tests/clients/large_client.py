#!/usr/bin/env python3
"""Much at once: a message of 1 GiB in and out, and 1,000 idle sessions, with the memory they take.

Starts a server of its own, since the size limit has to be raised for it.
"""

import hashlib
import imaplib
import os
import pathlib
import resource
import tempfile
import threading

import server as servers
from client import check, main

GIB = 1 << 30
EXTRA = 64 << 20
SESSIONS = 1000
ACCOUNTS = 30
CHUNK = 1 << 20
resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)


class Own:
    """A server of this script's own, and the most memory it has held meanwhile."""

    def __init__(self, kind, settings):
        self.place = tempfile.TemporaryDirectory(prefix="large-")
        os.chmod(self.place.name, 0o755)
        users = ["user%d@localhost" % n for n in range(ACCOUNTS)]
        self.server = servers.start(kind, pathlib.Path(self.place.name) / "server", users, settings)

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        self.server.stop()
        self.place.cleanup()


class Peak:
    """Watches a server's memory while a block runs."""

    def __init__(self, server):
        self.server, self.most, self.ended = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.ended.wait(0.02):
            self.most = max(self.most, self.server.memory())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def login(server, number=0):
    m = imaplib.IMAP4(server.host, server.imap_port)
    m.login(server.users[number % ACCOUNTS], server.password)
    return m


def chunks(size):
    """Lines of text that do not repeat, `size` bytes in all."""
    head = b"From: a@example.org\r\nSubject: large\r\n\r\n"
    yield head
    left = size - len(head)
    number = 0
    while left > 0:
        block = b"".join(hashlib.sha256(b"%d %d" % (number, i)).hexdigest().encode() + b" is a line of text that goes on and on and on\r\n" for i in range(64)) * 150
        yield block[:left]
        left -= len(block[:left])
        number += 1


def append(m, size):
    digest = hashlib.sha256()
    tag = m._new_tag()
    m.send(tag + b" APPEND INBOX {%d}\r\n" % size)
    answer = m.readline()
    assert answer.startswith(b"+"), answer
    for chunk in chunks(size):
        digest.update(chunk)
        m.send(chunk)
    m.send(b"\r\n")
    typ, data = m._command_complete("APPEND", tag)
    assert typ == "OK", data
    return digest.hexdigest()


def fetch(m, size):
    digest = hashlib.sha256()
    m.select()
    tag = m._new_tag()
    m.send(tag + b" FETCH 1 BODY.PEEK[]\r\n")
    line = m.readline()
    assert line.endswith(b"{%d}\r\n" % size), line
    left = size
    while left:
        chunk = m.read(min(CHUNK, left))
        digest.update(chunk)
        left -= len(chunk)
    assert m.readline() == b")\r\n"
    assert m.readline().startswith(tag + b" OK")
    return digest.hexdigest()


@check()
def one_gibibyte_in_and_out(server):
    with Own(server.kind, {"Limits": {"MessageBytes": "2 GiB"}}) as own:
        m = login(own)
        m.select()
        before = own.memory()
        with Peak(own) as in_:
            sent = append(m, GIB)
        with Peak(own) as out:
            got = fetch(m, GIB)
        print("note 1 GiB: APPEND takes %.1f MiB of extra memory, FETCH %.1f MiB" % ((in_.most - before) / CHUNK, (out.most - before) / CHUNK))
        assert got == sent, "the bytes differ"
        assert max(in_.most, out.most) - before < EXTRA, "more than 64 MiB of extra memory"


@check()
def a_thousand_idle_sessions(server):
    with Own(server.kind, {}) as own:
        # The first login of an account costs memory of another kind: its password hash.
        start = own.memory()
        for number in range(ACCOUNTS):
            m = login(own, number)
            m.select()
            m.logout()
        before = own.memory()
        sessions = [login(own, number) for number in range(SESSIONS)]
        for m in sessions:
            m.select()
            m.send(m._new_tag() + b" IDLE\r\n")
            assert m.readline().startswith(b"+")
        print("note %d idle sessions: %.1f KiB of memory each; %.1f MiB after the first logins of %d accounts"
              % (SESSIONS, (own.memory() - before) / SESSIONS / 1024, (before - start) / CHUNK, ACCOUNTS))
        for m in sessions:
            m.send(b"DONE\r\n")
        for m in sessions:
            assert b" OK" in m.readline()


if __name__ == "__main__":
    main()
