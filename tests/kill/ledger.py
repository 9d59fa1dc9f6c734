"""What the server has acknowledged, and what it has been asked and not yet acknowledged.

The ledger lives in the harness, which nobody kills. A `Copy` is one message in
one mailbox; its UID is `None` until the server has told it. A mailbox is known
by its UIDVALIDITY, which no other mailbox of this store may ever have, so that
a rename does not lose it. Each copy and each mailbox but the shared ones has
one owner, a single writer, so what one writer was doing when the server was
killed is decided without looking at the others.

An operation (`ops.py`) is in `pending` from before it is sent until it is
answered. After a restart `compare` holds the ledger against what is found, and
settles each pending operation one way or the other: done, or not done.
"""

import collections
import threading


TRACE = 50_000


class Wrong(Exception):
    """The server broke a promise."""


class Mailbox:
    def __init__(self, account, name, owner):
        self.account, self.name, self.owner = account, name, owner
        self.validity = None
        self.copies = set()
        self.adopted = 1
        self.may_be_new = False

    def __repr__(self):
        return "%s of %s" % (self.name, self.account)


class Copy:
    def __init__(self, mailbox, message, uid, flags, owner):
        self.mailbox, self.message, self.uid, self.flags, self.owner = mailbox, message, uid, frozenset(flags), owner

    def __repr__(self):
        return "message %s (UID %s) in %r" % (self.message, self.uid, self.mailbox)


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.mailboxes = collections.defaultdict(set)
        self.digests = {}
        self.given = {}
        self.validities = {}
        self.names = {}
        self.expunged = set()
        self.pending = []
        self.counters = {}
        self.trace = collections.deque(maxlen=TRACE)
        self.acknowledged = collections.Counter()
        self.settled = collections.Counter()

    # ---- while the server runs

    def begin(self, op):
        with self.lock:
            self.pending.append(op)
            self.trace.append("sent %r" % op)

    def done(self, op, answer):
        """The operation was acknowledged."""
        with self.lock:
            self.pending.remove(op)
            op.apply(self, answer)
            self.trace.append("done %r %s" % (op, answer.tagged.decode().strip() if answer else ""))
            self.acknowledged[op.name] += 1

    def told(self, mailbox, pairs):
        """UIDs named by the server, acknowledged or not: none may come back for another message."""
        with self.lock:
            for uid, message in pairs:
                self.give(mailbox.validity, uid, message)

    def give(self, validity, uid, message):
        before = self.given.setdefault((validity, uid), message)
        if before != message:
            raise Wrong("UID %d of UIDVALIDITY %d was given to message %s and to message %s" % (uid, validity, before, message))
        self.saw(validity, uid + 1)

    def saw(self, validity, uid_next, mod_seq=0):
        """Counters that were visible: they may not be lower ever after."""
        with self.lock:
            low = self.counters.setdefault(validity, (0, 0))
            self.counters[validity] = max(low[0], uid_next), max(low[1], mod_seq)

    def not_lower(self, mailbox, uid_next, mod_seq):
        low = self.counters.get(mailbox.validity, (0, 0))
        if uid_next < low[0] or mod_seq < low[1]:
            raise Wrong("%r has uid_next %d and highest_modseq %d; it was seen with %d and %d" % (mailbox, uid_next, mod_seq, *low))
        self.saw(mailbox.validity, uid_next, mod_seq)

    def saw_message(self, mailbox, message, uid):
        """A session saw it, so it is durable, acknowledged or not."""
        with self.lock:
            self.give(mailbox.validity, uid, message)
            mailbox.adopted = max(mailbox.adopted, uid + 1)
            for copy in mailbox.copies:
                if copy.message == message and copy.uid is None:
                    copy.uid = uid
            for op in self.pending:
                op.saw(mailbox, message, uid)

    def add(self, mailbox, message, uid, flags, owner):
        copy = Copy(mailbox, message, uid, flags, owner)
        if uid is not None:
            self.give(mailbox.validity, uid, message)
        mailbox.copies.add(copy)
        return copy

    def drop(self, copy):
        copy.mailbox.copies.discard(copy)
        if copy.uid is not None:
            self.expunged.add((copy.mailbox.validity, copy.uid))

    def learn_validity(self, mailbox, validity):
        with self.lock:
            if self.validities.setdefault(validity, mailbox) is not mailbox:
                raise Wrong("UIDVALIDITY %d of %r was that of %r" % (validity, mailbox, self.validities[validity]))
            if mailbox.validity not in (None, validity) and not (mailbox.may_be_new and validity > mailbox.validity):
                raise Wrong("UIDVALIDITY of %r was %d and is %d" % (mailbox, mailbox.validity, validity))
            if validity < self.names.get((mailbox.account, mailbox.name), 0):
                raise Wrong("%r has UIDVALIDITY %d; under this name a greater one was seen" % (mailbox, validity))
            self.names[mailbox.account, mailbox.name] = validity
            mailbox.validity, mailbox.may_be_new = validity, False
            for copy in [c for c in mailbox.copies if c.uid is not None]:
                self.give(validity, copy.uid, copy.message)

    def owned(self, account, owner):
        """The copies that this writer may change; delivered ones become the first asker's."""
        with self.lock:
            copies = [c for m in self.mailboxes[account] for c in m.copies if c.owner in (None, owner) and c.uid is not None]
            for copy in copies:
                copy.owner = owner
            return copies

    def name(self, mailbox, name):
        """A name gets a mailbox. One that comes under a name used before may get a new UIDVALIDITY (RFC 9051 §6.3.6)."""
        mailbox.may_be_new |= (mailbox.account, name) in self.names
        mailbox.name = name
        self.names.setdefault((mailbox.account, name), 0)

    def of_name(self, account, name):
        with self.lock:
            return next((m for m in self.mailboxes[account] if m.name == name), None)

    # ---- after a restart

    def compare(self, account, found):
        """Holds the ledger of one account against `found` (name to `verify.Found`)."""
        view = View(found)
        mine = [op for op in self.pending if op.account == account]
        for op in [o for o in mine if o.of_mailbox]:
            self.settle(op, view)
        for mailbox in self.mailboxes[account]:
            self.match_mailbox(mailbox, view)
        for name in found:
            if self.of_name(account, name) is None:
                raise Wrong("mailbox %s of %s exists and should not" % (name, account))
        involved = {copy for op in mine for copy in op.copies}
        for mailbox in self.mailboxes[account]:
            for copy in [c for c in mailbox.copies if c.uid is not None and c not in involved]:
                view.claim(copy)
        for mailbox in self.mailboxes[account]:
            self.place_unknown(mailbox, view)
        for op in [o for o in mine if not o.of_mailbox]:
            self.settle(op, view)
        self.pending = [op for op in self.pending if op.account != account]
        self.nothing_left(view)

    def settle(self, op, view):
        outcome = op.settle(self, view)
        self.trace.append("killed, %s: %r" % ("done" if outcome else "not done", op))
        self.settled["%s %s" % (op.name, "done" if outcome else "not done")] += 1

    def match_mailbox(self, mailbox, view):
        there = view.found.get(mailbox.name)
        if there is None:
            raise Wrong("%r is not there any more" % mailbox)
        self.learn_validity(mailbox, there.validity)
        self.not_lower(mailbox, there.uid_next, there.mod_seq)
        for uid, row in there.rows.items():
            self.give(there.validity, uid, row.message)
            if uid >= there.uid_next:
                raise Wrong("%r holds UID %d and its uid_next is %d" % (mailbox, uid, there.uid_next))
            if self.digests.get(row.message) != row.digest:
                raise Wrong("the bytes of message %s, UID %d in %r, have changed" % (row.message, uid, mailbox))

    def place_unknown(self, mailbox, view):
        """Acknowledged messages whose UID nobody has told yet: there must be one of each."""
        for copy in [c for c in mailbox.copies if c.uid is None]:
            uids = view.unclaimed(mailbox, copy.message)
            if len(uids) != 1:
                raise Wrong("%r was acknowledged and is there %d times" % (copy, len(uids)))
            copy.uid = uids[0]
            view.claim(copy)

    def nothing_left(self, view):
        for there in view.found.values():
            for uid, row in there.rows.items():
                if (there.validity, uid) not in view.claimed:
                    undone = (there.validity, uid) in self.expunged
                    raise Wrong("message %s is at UID %d of %s, %s" % (
                        row.message, uid, there.name, "where it was expunged or moved away" if undone else "once more than acknowledged"))


class View:
    """What was found in an account, and which of it the ledger knows of."""

    def __init__(self, found):
        self.found = found
        self.claimed = set()

    def row(self, copy):
        """The row at the copy's UID, or None."""
        there = self.found.get(copy.mailbox.name)
        return there.rows.get(copy.uid) if there else None

    def claim(self, copy, flags=None):
        row = self.row(copy)
        if row is None:
            raise Wrong("%r was acknowledged and is not there" % copy)
        if row.message != copy.message:
            raise Wrong("%r: message %s is there instead" % (copy, row.message))
        if row.flags not in (flags or (copy.flags,)):
            raise Wrong("%r has flags %s; acknowledged: %s" % (copy, sorted(row.flags), sorted(copy.flags)))
        self.claimed.add((copy.mailbox.validity, copy.uid))

    def unclaimed(self, mailbox, message):
        there = self.found.get(mailbox.name)
        rows = there.rows.items() if there else ()
        return [uid for uid, row in rows if row.message == message and (there.validity, uid) not in self.claimed]
