"""A command as it is sent to both servers, and what it asks for."""

import re


class Pair:
    """What each server calls the same thing: a UIDVALIDITY, a mod-sequence."""

    def __init__(self, ours, theirs):
        self.each = (ours, theirs)

    def next(self):
        """The numbers after them."""
        return Pair(*(b"%d" % (int(each) + 1) for each in self.each))


class Command:
    """Pieces, each parts (bytes and pairs) and whether the client waits for `+` after them."""

    def __init__(self, *parts):
        self.pieces = []
        self.parts = list(parts)
        # Whether the grammar does not have it, on purpose.
        self.is_wrong = False

    def literal(self, data, waits, binary=False):
        """Goes on with a literal."""
        self.parts.append(b"%s{%d%s}\r\n" % (b"~" if binary else b"", len(data), b"" if waits else b"+"))
        if waits:
            self.go_on()
        self.parts.append(data)
        return self

    def go_on(self):
        """What follows is sent when the server asks for it."""
        self.pieces.append((self.parts, True))
        self.parts = []

    def then(self, *parts):
        self.parts += parts
        return self

    def sent(self, side):
        """Its pieces as bytes for one of the two servers."""
        pieces = [*self.pieces, ([*self.parts, b"\r\n"], False)]
        return [(b"".join(part.each[side] if isinstance(part, Pair) else part for part in parts), waits) for parts, waits in pieces]

    @property
    def text(self):
        """For people and patterns: long literals are cut."""
        whole = b"".join(data for data, _ in self.sent(0)).decode("utf-8", "backslashreplace")
        whole = re.sub(r"\{(\d{3,})(\+?)\}\r\n.*", r"{\1\2}…", whole, flags=re.S)
        return whole.removesuffix("\r\n").replace("\r\n", "␍")

    @property
    def words(self):
        return self.text.upper().split()

    @property
    def name(self):
        """The command's name, UID included."""
        words = self.words or [""]
        return " ".join(words[:2]) if words[0] == "UID" else words[0]

    @property
    def counts_messages(self):
        """Whether it names messages by sequence numbers only, none of them `*`."""
        return self.name in ("FETCH", "STORE") and bool(re.fullmatch(r"[\d:,]+", "".join(self.words[1:2]))) and "CHANGEDSINCE" not in self.text.upper()

    def asks_for(self, item):
        """Whether FETCH responses with this item are its answer, not news."""
        name, text = self.name, self.text.upper()
        if name.endswith("STORE"):
            return item == "FLAGS" and ".SILENT" not in text or item == "UID" and name == "UID STORE" and ".SILENT" not in text
        if not name.endswith("FETCH"):
            return False
        if item == "FLAGS":
            return bool(re.search(r"\b(FLAGS|ALL|FAST|FULL)\b", text))
        if item == "UID":
            return name == "UID FETCH" or " UID" in text or "(UID" in text
        return item != "MODSEQ" or "MODSEQ" in text or "CHANGEDSINCE" in text

    def named_uids(self, view):
        """UIDs, as text, of the messages that a FETCH or STORE names; None if that cannot be told."""
        words = self.words
        is_uid = words[:1] == ["UID"]
        text = "".join(words[2:3] if is_uid else words[1:2])
        if not re.fullmatch(r"(\d+|\*)(:(\d+|\*))?(,(\d+|\*)(:(\d+|\*))?)*", text):
            return None
        last = (view.uids[-1] or 0 if is_uid else len(view.uids)) if view.uids else 0
        ranges = [sorted(last if end == "*" else int(end) for end in part.split(":")) for part in text.split(",")]
        return {str(uid) for number, uid in enumerate(view.uids, 1) for low, *high in ranges if uid and low <= (uid if is_uid else number) <= (high or [low])[0]}
