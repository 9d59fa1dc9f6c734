"""Who writes while the server is being killed: IMAP sessions, LMTP connections, and one who reads counters.

Each is a thread with a random generator of its own. A thread ends when the
connection does, which is right only when the server was just killed.
"""

import base64
import hashlib
import itertools
import re
import threading

import ops
import verify
from imap import Gone, Imap, Lmtp, uid_set

SHARED = ("INBOX", "Archive", "Trash")
FLAG_NAMES = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded", "work", "later")
OWN_MAILBOXES = 5
COPIES_MAX = 30
BATCH = 6
NUMBERS = itertools.count(1)
KILL_ID = re.compile(rb"X-Kill-Id: (\d+)", re.I)


def sizes(rng):
    """Mostly small; some that arrive in several reads; a few that the store keeps apart from their frame."""
    return rng.choices((rng.randrange(10, 8_000), rng.randrange(8_000, 200_000), rng.randrange(1 << 20, 3 << 20)), (85, 13, 2))[0]


def message(ledger, rng):
    """A new message: (number, bytes). Random text, so that compression does not make the log tiny."""
    number = next(NUMBERS)
    body = base64.encodebytes(rng.randbytes(sizes(rng) * 3 // 4)).replace(b"\n", b"\r\n")
    data = b"X-Kill-Id: %d\r\nFrom: a@example.org\r\nSubject: number %d\r\n\r\n.%s" % (number, number, body)
    with ledger.lock:
        ledger.digests[number] = hashlib.sha256(data).digest()
    return number, data


class Writer(threading.Thread):
    def __init__(self, run, rng):
        super().__init__(daemon=True)
        self.life, self.ledger, self.server, self.rng = run, run.ledger, run.server, rng

    def run(self):
        try:
            while not self.life.ending:
                self.step()
        except Gone:
            if not self.life.ending:
                self.life.failed("the server ended a connection of %s" % self)
        except Exception as error:
            self.life.failed("%s: %s: %s" % (self, type(error).__name__, error))

    def __str__(self):
        return type(self).__name__


class Deliverer(Writer):
    """Delivers to one account or two, into INBOX or by `user+folder`."""

    def __init__(self, run, rng):
        super().__init__(run, rng)
        self.lmtp = None

    def step(self):
        if self.lmtp is None or self.rng.random() < 0.05:
            self.lmtp = Lmtp(self.rng.choice(((self.server.host, self.server.lmtp_port), str(self.server.lmtp_socket))))
        users = self.rng.sample(self.server.users, self.rng.choice((1, 1, 2)))
        number, data = message(self.ledger, self.rng)
        waiting, recipients = [], []
        for user in users:
            folder = self.rng.choice(("INBOX", "INBOX", "Archive"))
            recipients.append(user if folder == "INBOX" else user.replace("@", "+%s@" % folder))
            waiting.append(ops.Deliver(user, self.ledger.of_name(user, folder), number))
            self.ledger.begin(waiting[-1])
        replies = self.lmtp.deliver(recipients, data, self.rng.random() < 0.3)
        for op, _ in zip(waiting, replies):
            self.ledger.done(op, None)


class Session(Writer):
    """An IMAP session that changes what it owns, and adopts what was delivered."""

    def __init__(self, run, rng, user, number):
        super().__init__(run, rng)
        self.user, self.number = user, number
        self.imap = self.selected = None

    def __str__(self):
        return "session %d of %s" % (self.number, self.user)

    def step(self):
        if self.imap is None or self.rng.random() < 0.01:
            self.connect()
        owned = self.ledger.owned(self.user, self.number)
        if len(owned) > COPIES_MAX:
            return self.expunge(owned)
        actions = {self.append: 22, self.append_many: 8, self.create: 4, self.rename: 4, self.delete: 2, self.adopt: 12, self.status: 6}
        if owned:
            actions.update({self.store: 22, self.copy: 10, self.move: 18, self.expunge: 10})
        action = self.rng.choices(list(actions), list(actions.values()))[0]
        return action(owned)

    def connect(self):
        """A connection that is lost expunges nothing, whatever it has marked as deleted."""
        if self.imap:
            self.imap.close()
        self.imap, self.selected = Imap(self.server, self.user), None

    def do(self, op, *command):
        self.ledger.begin(op)
        try:
            answer = self.imap.say(*command)
            self.ledger.done(op, answer)
        except Gone as gone:
            if isinstance(op, ops.Transfer) and (code := re.search(rb"\[COPYUID ([^\]]*)\]", gone.told)) and op.target.validity:
                self.ledger.told(op.target, [(uid, copy.message) for copy, uid in op.pairs(code[1])[1]])
            raise
        if any(b"[CLOSED]" in text for text in answer.texts()):
            self.selected = None  # RENAME to the name of a mailbox that was deleted gives a new UIDVALIDITY.

    def select(self, mailbox):
        if self.selected is not mailbox or self.rng.random() < 0.02:
            answer = self.imap.say('SELECT "%s"' % mailbox.name)
            self.selected = mailbox
            self.ledger.learn_validity(mailbox, int(answer.code(b"UIDVALIDITY")))
            return answer
        return None

    def mine(self):
        with self.ledger.lock:
            return [m for m in self.ledger.mailboxes[self.user] if m.owner == self.number]

    def target(self):
        with self.ledger.lock:
            shared = [m for m in self.ledger.mailboxes[self.user] if m.name in SHARED]
        return self.rng.choice(shared + self.mine())

    def some(self, owned):
        """Copies of one mailbox, which is selected then."""
        mailbox = self.rng.choice(owned).mailbox
        of_it = [c for c in owned if c.mailbox is mailbox]
        self.select(mailbox)
        return self.rng.sample(of_it, min(len(of_it), self.rng.randrange(1, BATCH)))

    def flags(self):
        return sorted(self.rng.sample(FLAG_NAMES, self.rng.randrange(0, 4)))

    # ---- the commands

    def append(self, _owned, count=1):
        mailbox, flags = self.target(), self.flags()
        made = [message(self.ledger, self.rng) for _ in range(count)]
        command = ['APPEND "%s"' % mailbox.name]
        for _, data in made:
            command += [" (%s) " % " ".join(flags), data]
        self.do(ops.Append(self.user, mailbox, [number for number, _ in made], flags, self.number), *command)

    def append_many(self, owned):
        self.append(owned, self.rng.randrange(2, 5))

    def store(self, owned):
        copies, flags = self.some(owned), self.flags()
        sign, after = self.rng.choice((("+", lambda old: old | set(flags)), ("-", lambda old: old - set(flags)), ("", lambda _: flags)))
        silent = self.rng.choice(("", ".SILENT"))
        self.store_as(copies, sign + "FLAGS" + silent, flags, after)

    def store_as(self, copies, item, flags, after):
        self.do(ops.Store(self.user, copies, after), "UID STORE %s %s (%s)" % (uid_set(c.uid for c in copies), item, " ".join(flags)))

    def copy(self, owned):
        copies, target = self.some(owned), self.target()
        self.do(ops.CopyTo(self.user, copies, target, self.number), 'UID COPY %s "%s"' % (uid_set(c.uid for c in copies), target.name))

    def move(self, owned):
        copies, target = self.some(owned), self.target()
        if target is not copies[0].mailbox:
            self.do(ops.MoveTo(self.user, copies, target, self.number), 'UID MOVE %s "%s"' % (uid_set(c.uid for c in copies), target.name))

    def expunge(self, owned):
        copies = self.some(owned)
        self.store_as(copies, "+FLAGS", ["\\Deleted"], lambda old: old | {"\\Deleted"})
        if self.selected.owner == self.number and self.rng.random() < 0.5:
            deleted = [c for c in self.selected.copies if "\\Deleted" in c.flags]
            self.do(ops.Expunge(self.user, deleted), "EXPUNGE")
        else:
            self.do(ops.Expunge(self.user, copies), "UID EXPUNGE %s" % uid_set(c.uid for c in copies))

    def free_name(self, mine):
        """A name of this session's that no mailbox has: names come back after DELETE and RENAME."""
        taken = {m.name for m in mine}
        names = ["w%d-%d" % (self.number, n) for n in range(OWN_MAILBOXES)]
        names += [m.name + "/below" for m in mine if "/" not in m.name]
        free = [n for n in names if n not in taken]
        return self.rng.choice(free) if free else None

    def create(self, _owned):
        if name := self.free_name(self.mine()):
            self.do(ops.Create(self.user, name, self.number), 'CREATE "%s"' % name)

    def rename(self, _owned):
        mine = self.mine()
        name = self.free_name([m for m in mine if "/" not in m.name])
        if mine and name and "/" not in name:
            path = self.rng.choice(mine).name
            self.do(ops.Rename(self.user, path, name), 'RENAME "%s" "%s"' % (path, name))

    def delete(self, _owned):
        """Deletes a mailbox nothing stands below, which is not selected then."""
        mine = self.mine()
        leaves = [m for m in mine if not any(o.name.startswith(m.name + "/") for o in mine)]
        if leaves:
            mailbox = self.rng.choice(leaves)
            if self.selected is mailbox:
                self.imap.say("UNSELECT")
                self.selected = None
            self.do(ops.Delete(self.user, mailbox.name), 'DELETE "%s"' % mailbox.name)

    def status(self, _owned):
        mailbox = self.target()
        answer = self.imap.say('STATUS "%s" (UIDNEXT UIDVALIDITY)' % mailbox.name)
        [(text, _)] = answer.items(b"STATUS")
        items = dict(re.findall(rb"(UID\w+) (\d+)", text))
        self.ledger.learn_validity(mailbox, int(items[b"UIDVALIDITY"]))
        self.ledger.saw(mailbox.validity, int(items[b"UIDNEXT"]))

    def adopt(self, _owned):
        """Looks for delivered messages: what a session has seen is durable, and may be changed from now on."""
        mailbox = self.ledger.of_name(self.user, self.rng.choice(("INBOX", "Archive")))
        self.select(mailbox)
        command = "UID FETCH %d:* (UID BODY.PEEK[HEADER.FIELDS (X-Kill-Id)])" % mailbox.adopted
        for text, literals in self.imap.say(command).items(b"FETCH"):
            if literals:  # Else only news of flags.
                uid, number = int(verify.FETCHED.search(text)[1]), int(KILL_ID.search(literals[0])[1])
                self.ledger.saw_message(mailbox, number, uid)


class Counters(Writer):
    """Reads uid_next and highest_modseq beside the writers: what was visible may not go back."""

    def step(self):
        user = self.rng.choice(self.server.users)
        for row in verify.mailbox_list(self.server, user) or ():
            self.ledger.saw(row["uid_validity"], row["uid_next"], row["highest_modseq"])
        self.life.pause(0.15)


class Compactor(Writer):
    """Has the space of deleted mail given back, so that kills come in the middle of that."""

    def step(self):
        self.life.rewritten += verify.compact(self.server) or 0
        self.life.pause(self.rng.uniform(0.1, 1))
