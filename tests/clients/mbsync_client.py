#!/usr/bin/env python3
"""mbsync (isync) keeps two Maildirs and the server the same.

1,000 messages in 5 folders go up from Maildir A and down into Maildir B; then,
twice over, flags are turned, messages deleted and added in A, in B and on the
server, and after syncing all three must be identical, bodies byte for byte.
"""

import imaplib
import os
import pathlib
import random
import subprocess
import tempfile

import maildirs
import server as servers
from client import check, main, message

FOLDERS = ["INBOX", "Work", "Work/Projects", "Gr&APwA3w-e", "Lists"]
MESSAGES = 1000
imaplib._MAXLINE = 10_000_000

CONFIG = """
IMAPAccount account
Host localhost
Port {port}
User {user}
PassCmd "cat {secret}"
SSLType {ssl}
AuthMechs {auth}
CertificateFile {certificate}
SystemCertificates no
PipelineDepth {depth}

IMAPStore far
Account account
"""
CHANNEL = """
MaildirStore near
Path {root}/
Inbox {root}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {patterns}
Create Both
Expunge {expunge}
SyncState *
"""
TUNNEL = """
IMAPStore far
Tunnel "{tunnel}"
"""


def patterns():
    return " ".join('"%s"' % folder for folder in FOLDERS)


def run_mbsync(config):
    done = subprocess.run(["mbsync", "-c", str(config), "all"], capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, "mbsync exits %d: %s" % (done.returncode, done.stderr.decode()[-600:])


def sync(server, root, ssl="None", auth="LOGIN", depth=50, expunge="Both"):
    work = pathlib.Path(root).parent
    secret = work / "secret"
    secret.write_text(server.password)
    config = work / (pathlib.Path(root).name + ".rc")
    account = CONFIG.format(port=server.imaps_port if ssl == "IMAPS" else server.imap_port, user=server.user, secret=secret, ssl=ssl, auth=auth,
                            certificate=server.certificate, depth=depth)
    config.write_text(account + CHANNEL.format(root=root, expunge=expunge, patterns=patterns()))
    pathlib.Path(root).mkdir(exist_ok=True)
    run_mbsync(config)


def login(server):
    m = imaplib.IMAP4(server.host, server.imap_port)
    m.login(server.user, server.password)
    return m


class State:
    """The Maildirs, which the checks hand from one to the next."""

    work = None


def same_everywhere():
    a, b = (maildirs.contents(State.work / each, FOLDERS) for each in "ab")
    c = maildirs.on_server(login(State.server), FOLDERS)
    for one, name in ((b, "A and B"), (c, "A and the server")):
        assert not maildirs.difference(a, one), "%s: %s" % (name, maildirs.difference(a, one))
    return a


@check("UIDPLUS", "LITERAL+", "NAMESPACE", "CHILDREN")
def up(server):
    State.work = pathlib.Path(tempfile.mkdtemp(prefix="mbsync-"))
    State.server = server
    maildirs.make(State.work / "a", FOLDERS, MESSAGES, seed=1)
    State.made = maildirs.contents(State.work / "a", FOLDERS)
    sync(server, State.work / "a")
    difference = maildirs.difference(State.made, maildirs.on_server(login(server), FOLDERS))
    assert len(State.made) == MESSAGES and not difference, difference


@check("STARTTLS", "AUTH=PLAIN")
def down(server):
    sync(server, State.work / "b", ssl="STARTTLS", auth="PLAIN")
    assert same_everywhere() == State.made


def both_ways(server, turn):
    rng = random.Random(100 + turn)
    maildirs.change(State.work / "a", FOLDERS, rng, flags=150, deletions=20, additions=15, first=10_000 + turn * 100)
    maildirs.change(State.work / "b", FOLDERS, rng, flags=150, deletions=20, additions=15, first=20_000 + turn * 100)
    m = login(server)
    for folder in FOLDERS:
        m.select('"%s"' % folder)
        m.store("1:10", "+FLAGS", "(\\Flagged)")
        m.store("11:20", "-FLAGS", "(\\Seen)")
        m.store("21:23", "+FLAGS", "(\\Deleted)")
        m.expunge()
        m.append('"%s"' % folder, "(\\Answered)", None, message("from elsewhere", Message_ID="<elsewhere-%d-%s@example.org>" % (turn, folder)))
    for each in ("a", "b", "a", "b"):
        sync(server, State.work / each, ssl="IMAPS" if turn else "None")
    return same_everywhere()


@check("IMAP4rev1")
def both_ways_once(server):
    assert len(both_ways(server, 0)) > MESSAGES * 0.8


@check()
def both_ways_twice(server):
    assert len(both_ways(server, 1)) > MESSAGES * 0.8


@check()
def nothing_left_to_do(server):
    before = maildirs.on_server(login(server), FOLDERS)
    sync(server, State.work / "a")
    sync(server, State.work / "b", depth=1)
    after = same_everywhere()
    assert not maildirs.difference(before, after), maildirs.difference(before, after)


@check()
def through_a_tunnel(server):
    """Without a port or a password: `relate-imap session`, with the server running."""
    work = State.work
    program = "%s session --account %s --config %s" % (os.environ.get("RELATE_IMAP", servers.ROOT / "target/release/relate-imap"),
                                                      server.user, pathlib.Path(server.directory) / "appsettings.json")
    root, config = work / "tunnel", work / "tunnel.rc"
    config.write_text(TUNNEL.format(tunnel=program) + CHANNEL.format(root=root, expunge="Both", patterns=patterns()))
    root.mkdir()
    run_mbsync(config)
    there = maildirs.on_server(login(server), FOLDERS)
    assert not maildirs.difference(maildirs.contents(root, FOLDERS), there) and len(there) > MESSAGES * 0.8
    maildirs.change(root, FOLDERS, random.Random(7), flags=20, deletions=10, additions=5, first=70_000)
    run_mbsync(config)
    changed = maildirs.on_server(login(server), FOLDERS)
    assert maildirs.difference(there, changed) and not maildirs.difference(maildirs.contents(root, FOLDERS), changed)


@check()
def expunge_none_keeps_deleted_mail(server):
    """With Imap:CommitDeletionsOnLogout off, LOGOUT must leave what mbsync only marked."""
    with tempfile.TemporaryDirectory(prefix="mbsync-") as directory:
        os.chmod(directory, 0o755)
        other = servers.start(server.kind, pathlib.Path(directory) / "server", [server.user], {"Imap": {"CommitDeletionsOnLogout": False}})
        try:
            target = type("Target", (), other.describe())
            root = pathlib.Path(directory) / "m"
            maildirs.make(root, FOLDERS, 50, seed=3)
            sync(target, root, expunge="None")
            maildirs.change(root, FOLDERS, random.Random(3), flags=0, deletions=10, additions=0, first=0)
            sync(target, root, expunge="None")
            m = login(target)
            kept = deleted = 0
            for folder in FOLDERS:
                kept += int(m.select('"%s"' % folder, readonly=True)[1][0])
                deleted += len(m.search(None, "DELETED")[1][0].split())
            assert (kept, deleted) == (50, 10), (kept, deleted)
        finally:
            other.stop()


if __name__ == "__main__":
    main()
