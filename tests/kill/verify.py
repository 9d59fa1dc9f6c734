"""What a server holds: every message of an account by IMAP, its counters by `relate-imap mailbox list`."""

import hashlib
import json
import re
import subprocess

from imap import Imap
from ledger import Wrong

MARK = b"X-Kill-Id: "
LIST = re.compile(rb'\* LIST \(([^)]*)\) "/" (?:"([^"]*)"|(\S+))')
FETCHED = re.compile(rb"\bUID (\d+)\b")
FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
CHECK_SECONDS = 300


class Row:
    """A message as it was found."""

    def __init__(self, message, digest, flags):
        self.message, self.digest, self.flags = message, digest, flags


class Found:
    """A mailbox as it was found."""

    def __init__(self, name, validity, uid_next, mod_seq):
        self.name, self.validity, self.uid_next, self.mod_seq = name, validity, uid_next, mod_seq
        self.rows = {}


def identified(data):
    """Number and digest of a message of ours; what delivery put above it is left out."""
    start = data.find(MARK)
    if start < 0:
        raise Wrong("a message that nobody sent: %r" % data[:200])
    number = int(data[start + len(MARK):data.index(b"\r\n", start)])
    return number, hashlib.sha256(data[start:]).digest()


def flags_of(text):
    return frozenset(FLAGS.search(text)[1].decode().split()) - {"\\Recent"}


def account(server, user):
    """Name to `Found`, for everything in the account."""
    session = Imap(server, user)
    listed = session.say('LIST "" "*"').items(b"LIST")
    names = [(m[2] or m[3]).decode() for m in (LIST.match(text) for text, _ in listed) if b"\\Non" not in m[1] and b"\\Noselect" not in m[1]]
    counters = {row["name"]: row for row in mailbox_list(server, user)}
    if set(counters) != set(names):
        raise Wrong("LIST names %s, `mailbox list` %s" % (sorted(names), sorted(counters)))
    found = {name: mailbox(session, name, counters[name]) for name in names}
    session.say("LOGOUT")
    session.close()
    return found


def mailbox(session, name, counters):
    selected = session.say('EXAMINE "%s"' % name)
    there = Found(name, int(selected.code(b"UIDVALIDITY")), int(selected.code(b"UIDNEXT")), counters["highest_modseq"])
    if (there.validity, there.uid_next) != (counters["uid_validity"], counters["uid_next"]):
        raise Wrong("%s: EXAMINE and `mailbox list` disagree" % name)
    for text, literals in session.say("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").items(b"FETCH"):
        uid = int(FETCHED.search(text)[1])
        if uid in there.rows:
            raise Wrong("%s: UID %d stands there twice" % (name, uid))
        message, digest = identified(literals[0])
        there.rows[uid] = Row(message, digest, flags_of(text))
    if len(there.rows) != counters["messages"]:
        raise Wrong("%s: FETCH returns %d messages, `mailbox list` counts %d" % (name, len(there.rows), counters["messages"]))
    return there


def mailbox_list(server, user):
    """The mailboxes as the administration shows them; None if it could not ask."""
    done = administer(server, "mailbox", "list", user, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def compact(server):
    """`relate-imap compact`: how many segments were rewritten; None if it could not ask."""
    done = administer(server, "compact", "--json")
    return json.loads(done.stdout)["segments"] if done.returncode == 0 else None


def check(server):
    """`relate-imap check`: it must find nothing."""
    done = administer(server, "check", "--json")
    if done.returncode != 0:
        raise Wrong("`relate-imap check` ended with %d: %s" % (done.returncode, (done.stdout + done.stderr).strip()[:3000]))


def administer(server, *arguments):
    return subprocess.run([server.program, *arguments, "--config", str(server.config)], capture_output=True, text=True,
                          timeout=CHECK_SECONDS, cwd=server.directory, check=False)
