"""What one session was told of its selected mailbox.

When a server tells news is mostly its own affair (RFC 9051 §5.2, §7); what it
tells must add up to the same. So views are compared, not the moments.
"""


from free import Free


class View:
    """Messages by sequence number: their UIDs, None where it was not told, and their flags by UID."""

    def __init__(self):
        self.uids = []
        self.flags = {}
        # What FLAGS and PERMANENTFLAGS told last.
        self.applicable, self.permanent = [], []
        self.unannounced = set()
        self.recent = 0

    def exists(self, count):
        self.uids += [None] * (count - len(self.uids))

    def expunge(self, number):
        self.forget(self.uids.pop(number - 1))

    def vanish(self, gone):
        self.uids = [uid for uid in self.uids if uid not in gone]
        for uid in gone:
            self.forget(uid)

    def forget(self, uid):
        self.recent -= "\\recent" in self.flags.pop(uid, ())

    def learn(self, number, items):
        """Notes UID and flags of a FETCH response; returns the UID."""
        if number > len(self.uids):
            raise IndexError("FETCH of message %d of %d" % (number, len(self.uids)))
        if b"UID" in items:
            self.uids[number - 1] = int(items[b"UID"])
        uid = self.uids[number - 1]
        if b"FLAGS" in items:
            flags = frozenset(flag.decode().lower() for flag in items[b"FLAGS"])
            self.unannounced |= flags - {*self.applicable, "\\recent"}
            if uid is not None:
                self.flags[uid] = flags
        return uid

    def first_unknown(self):
        """The first sequence number whose UID was not told, if there is one."""
        unknown = [n for n, uid in enumerate(self.uids, 1) if uid is None or uid not in self.flags]
        return unknown[0] if unknown else None

    def facts(self):
        """What is compared."""
        found = {"VIEW uids": list(self.uids), "VIEW recent": self.recent, "VIEW flags not announced": sorted(self.unannounced),
                 "VIEW applicable flags": system(self.applicable), "VIEW permanent flags": system(self.permanent)}
        for uid, flags in self.flags.items():
            found["VIEW flags of %s" % uid] = sorted(flags - {"\\recent"})
        return found


def system(flags):
    """A list of flags as what it means: which keywords a server lists before a message has them is its own affair."""
    return Free("keywords-listed", flags, [flag for flag in flags if flag.startswith("\\")])
