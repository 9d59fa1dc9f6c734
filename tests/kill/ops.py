"""The operations a writer can have in flight: what they change when acknowledged, and how to tell
after a restart whether one that was not acknowledged happened. It happened whole, or not at all.

`apply` takes the server's answer; `settle` looks at what was found (`ledger.View`), says whether it
happened and brings the ledger in line.
"""

from imap import uids
from ledger import Mailbox, Wrong


class Op:
    of_mailbox = False
    copies = ()
    seen = None

    def __init__(self, account):
        self.account = account

    def saw(self, mailbox, message, uid):
        """A session was shown this message meanwhile."""

    @property
    def name(self):
        return type(self).__name__.lower()

    def __repr__(self):
        shown = ", ".join("%s %s" % item for item in vars(self).items() if item[0] not in ("account", "after"))
        return "%s for %s: %s" % (self.name, self.account, shown)


def whole(op, yes, no):
    """Whether all of it happened; anything between all and nothing is wrong, and so is nothing if it was seen."""
    if all(yes):
        return True
    if all(no) and not op.seen:
        return False
    if op.seen:
        raise Wrong("what %r did was seen, and is gone" % op)
    raise Wrong("%r happened in part, or twice: done %s, not done %s" % (op, yes, no))


def placed(ledger, view, mailbox, message, flags, owner):
    """Enters a copy that was found of a message nobody had been told the UID of, the lowest UID first."""
    uid = min(view.unclaimed(mailbox, message))
    copy = ledger.add(mailbox, message, uid, flags, owner)
    view.claim(copy)


class Append(Op):
    """One message or several (RFC 3502): all or none."""

    def __init__(self, account, mailbox, messages, flags, owner):
        super().__init__(account)
        self.mailbox, self.messages, self.flags, self.owner = mailbox, messages, flags, owner

    def saw(self, mailbox, message, uid):
        if mailbox is self.mailbox and message in self.messages:
            self.seen = uid

    def apply(self, ledger, answer):
        validity, numbers = answer.code(b"APPENDUID").split()
        ledger.learn_validity(self.mailbox, int(validity))
        for message, uid in zip(self.messages, uids(numbers), strict=True):
            ledger.add(self.mailbox, message, uid, self.flags, self.owner)

    def settle(self, ledger, view):
        counts = [len(view.unclaimed(self.mailbox, m)) for m in self.messages]
        happened = whole(self, [n == 1 for n in counts], [n == 0 for n in counts])
        for message in self.messages if happened else ():
            placed(ledger, view, self.mailbox, message, self.flags, self.owner)
        return happened


class Deliver(Op):
    """One recipient of a delivery by LMTP."""

    def __init__(self, account, mailbox, message):
        super().__init__(account)
        self.mailbox, self.message = mailbox, message

    def saw(self, mailbox, message, uid):
        if mailbox is self.mailbox and message == self.message:
            self.seen = uid

    def apply(self, ledger, _answer):
        ledger.add(self.mailbox, self.message, self.seen, (), None)

    def settle(self, ledger, view):
        count = len(view.unclaimed(self.mailbox, self.message))
        happened = whole(self, [count == 1], [count == 0])
        if happened:
            placed(ledger, view, self.mailbox, self.message, (), None)
        return happened


class Store(Op):
    """STORE: `after` gives the flags that follow from those before."""

    def __init__(self, account, copies, after):
        super().__init__(account)
        self.copies = copies
        self.after = {copy: frozenset(after(copy.flags)) for copy in copies}

    def apply(self, _ledger, _answer):
        for copy in self.copies:
            copy.flags = self.after[copy]

    def settle(self, _ledger, view):
        for copy in self.copies:
            view.claim(copy, (copy.flags, self.after[copy]))
        now = [view.row(copy).flags for copy in self.copies]
        happened = whole(self, [f == self.after[c] for f, c in zip(now, self.copies)], [f == c.flags for f, c in zip(now, self.copies)])
        if happened:
            self.apply(None, None)
        return happened


class Transfer(Op):
    """What COPY and MOVE have in common."""

    moves = False

    def __init__(self, account, copies, target, owner):
        super().__init__(account)
        self.copies, self.target, self.owner = sorted(copies, key=lambda c: c.uid), target, owner

    def pairs(self, code):
        """(copy, its new UID) as COPYUID tells them (RFC 4315 §3)."""
        validity, sources, targets = code.split()
        by_uid = {copy.uid: copy for copy in self.copies}
        return int(validity), [(by_uid[s], t) for s, t in zip(uids(sources), uids(targets), strict=True)]

    def apply(self, ledger, answer):
        validity, pairs = self.pairs(answer.code(b"COPYUID"))
        if len(pairs) != len(self.copies):
            raise Wrong("%r: COPYUID names %d of %d messages" % (self, len(pairs), len(self.copies)))
        ledger.learn_validity(self.target, validity)
        for copy, uid in pairs:
            ledger.add(self.target, copy.message, uid, copy.flags, self.owner)
            if self.moves:
                ledger.drop(copy)

    def settle(self, ledger, view):
        there = [view.row(copy) is not None for copy in self.copies]
        for copy, still in zip(self.copies, there):
            if still:
                view.claim(copy)
        counts = [len(view.unclaimed(self.target, copy.message)) for copy in self.copies]
        wanted = [sum(c.message == copy.message for c in self.copies) for copy in self.copies]  # Several of one message, maybe.
        left = [not still if self.moves else still for still in there]
        happened = whole(self, [n == w and ok for n, w, ok in zip(counts, wanted, left)], [n == 0 and still for n, still in zip(counts, there)])
        for copy in self.copies if happened else ():
            placed(ledger, view, self.target, copy.message, copy.flags, self.owner)
            if self.moves:
                ledger.drop(copy)
        return happened


class CopyTo(Transfer):
    pass


class MoveTo(Transfer):
    moves = True


class Expunge(Op):
    def __init__(self, account, copies):
        super().__init__(account)
        self.copies = copies

    def apply(self, ledger, _answer):
        for copy in self.copies:
            ledger.drop(copy)

    def settle(self, ledger, view):
        there = [view.row(copy) is not None for copy in self.copies]
        happened = whole(self, [not t for t in there], there)
        for copy in self.copies:
            if happened:
                ledger.drop(copy)
            else:
                view.claim(copy)
        return happened


class MailboxOp(Op):
    of_mailbox = True

    def __init__(self, account, path):
        super().__init__(account)
        self.path = path


class Create(MailboxOp):
    def __init__(self, account, path, owner):
        super().__init__(account, path)
        self.owner = owner

    def apply(self, ledger, _answer):
        mailbox = Mailbox(self.account, self.path, self.owner)
        ledger.name(mailbox, self.path)
        ledger.mailboxes[self.account].add(mailbox)

    def settle(self, ledger, view):
        happened = self.path in view.found
        if happened:
            self.apply(ledger, None)
        return happened


class Delete(MailboxOp):
    def apply(self, ledger, _answer):
        mailbox = ledger.of_name(self.account, self.path)
        for copy in list(mailbox.copies):
            ledger.drop(copy)
        ledger.mailboxes[self.account].discard(mailbox)

    def settle(self, ledger, view):
        happened = self.path not in view.found
        if happened:
            self.apply(ledger, None)
        return happened


class Rename(MailboxOp):
    """RENAME of a mailbox and everything below it."""

    def __init__(self, account, path, to):
        super().__init__(account, path)
        self.to = to

    def renamed(self, ledger):
        below = [m for m in ledger.mailboxes[self.account] if m.name == self.path or m.name.startswith(self.path + "/")]
        return {mailbox: self.to + mailbox.name[len(self.path):] for mailbox in below}

    def apply(self, ledger, _answer):
        for mailbox, name in self.renamed(ledger).items():
            ledger.name(mailbox, name)

    def settle(self, ledger, view):
        names = [(mailbox.name in view.found, name in view.found) for mailbox, name in self.renamed(ledger).items()]
        happened = whole(self, [new and not old for old, new in names], [old and not new for old, new in names])
        if happened:
            self.apply(ledger, None)
        return happened
