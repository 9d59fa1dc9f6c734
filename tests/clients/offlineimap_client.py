#!/usr/bin/env python3
"""offlineimap3 syncs a Maildir both ways: a second syncing program, built on imaplib2."""

import imaplib
import pathlib
import random
import subprocess
import tempfile

import maildirs
from client import check, lmtp, main, message

FOLDERS = ["INBOX", "Work", "Lists"]
MESSAGES = 60

CONFIG = """
[general]
metadata = {work}/meta
accounts = one
maxsyncaccounts = 1
ui = quiet
[Account one]
localrepository = local
remoterepository = remote
[Repository local]
type = Maildir
localfolders = {work}/mail
sep = /
[Repository remote]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepassfile = {work}/secret
auth_mechanisms = PLAIN
ssl = no
starttls = no
maxconnections = 2
folderfilter = lambda name: name in {folders!r}
"""


class State:
    work = None


def sync(server):
    (State.work / "secret").write_text(server.password)
    (State.work / "rc").write_text(CONFIG.format(work=State.work, port=server.imap_port, user=server.user, folders=FOLDERS))
    done = subprocess.run(["offlineimap", "-c", str(State.work / "rc"), "-o"], capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, "offlineimap exits %d: %s" % (done.returncode, (done.stderr + done.stdout).decode()[-600:])


def login(server):
    m = imaplib.IMAP4(server.host, server.imap_port)
    m.login(server.user, server.password)
    return m


def compare(server):
    local, remote = maildirs.contents(State.work / "mail", FOLDERS), maildirs.on_server(login(server), FOLDERS)
    assert not maildirs.difference(local, remote), maildirs.difference(local, remote)
    return local


@check("UIDPLUS", "AUTH=PLAIN")
def up(server):
    State.work = pathlib.Path(tempfile.mkdtemp(prefix="offlineimap-"))
    m = login(server)
    for folder in FOLDERS[1:]:
        m.create(folder)
    maildirs.make(State.work / "mail", FOLDERS, MESSAGES, seed=5)
    sync(server)
    assert len(compare(server)) == MESSAGES


@check("IMAP4rev1")
def both_ways(server):
    maildirs.change(State.work / "mail", FOLDERS, random.Random(6), flags=20, deletions=0, additions=3, first=900)
    m = login(server)
    m.select("Work")
    m.store("1:3", "+FLAGS", "(\\Flagged)")
    m.store("4", "+FLAGS", "(\\Deleted)")
    m.expunge()
    assert lmtp(server, [server.user], message("new", Message_ID="<delivered@example.org>"))[0].startswith("250")
    sync(server)
    sync(server)
    assert len(compare(server)) == MESSAGES + 3


if __name__ == "__main__":
    main()
