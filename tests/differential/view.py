"""What one session was told of its selected mailbox.

When a server tells news is mostly its own affair (RFC 9051 §5.2, §7); what it
tells must add up to the same. So views are compared, not the moments.
"""


class View:
    """Messages by sequence number: their UIDs, None where it was not told, and their flags by UID."""

    def __init__(self):
        self.uids = []
        self.flags = {}
        self.applicable = set()
        self.recent = 0

    def exists(self, count):
        self.uids += [None] * (count - len(self.uids))

    def expunge(self, number):
        self.flags.pop(self.uids.pop(number - 1), None)

    def vanish(self, gone):
        self.uids = [uid for uid in self.uids if uid not in gone]
        for uid in gone:
            self.flags.pop(uid, None)

    def learn(self, number, items):
        """Notes UID and flags of a FETCH response; returns the UID."""
        if number > len(self.uids):
            raise IndexError("FETCH of message %d of %d" % (number, len(self.uids)))
        if b"UID" in items:
            self.uids[number - 1] = int(items[b"UID"])
        uid = self.uids[number - 1]
        if b"FLAGS" in items and uid is not None:
            self.flags[uid] = frozenset(flag.decode().lower() for flag in items[b"FLAGS"])
        return uid

    def first_unknown(self):
        """The first sequence number whose UID was not told, if there is one."""
        unknown = [n for n, uid in enumerate(self.uids, 1) if uid is None or uid not in self.flags]
        return unknown[0] if unknown else None

    def facts(self):
        """What is compared."""
        found = {"VIEW uids": list(self.uids), "VIEW recent": self.recent}
        for uid, flags in self.flags.items():
            found["VIEW flags of %s" % uid] = sorted(flags)
        found["VIEW applicable flags"] = sorted(self.applicable - {"\\recent"})
        return found
