"""Responses as values: words, strings, lists.

A quoted string and a literal of the same bytes are the same value, for which
of the two a server sends is free. Not a strict parser: what does not read as
IMAP becomes `Odd`, which is a difference unless both servers say it.
"""

import re

STOPS = b" ()\r\n\""


class Text(bytes):
    """A string, as a quoted string or a literal."""


class Odd(Exception):
    """A response that is not IMAP's syntax."""


class Reader:
    """Reads one response: text, literal, text, … as it came."""

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.at = 0

    @property
    def text(self):
        return self.pieces[0]

    def peek(self):
        return self.text[self.at:self.at + 1]

    def skip(self, what):
        if not self.text.startswith(what, self.at):
            raise Odd("%r at %d of %r" % (what, self.at, self.text[:200]))
        self.at += len(what)

    def is_done(self):
        return self.text[self.at:] in (b"\r\n", b"")

    def values(self):
        """Values to the end of the response or of the list."""
        found = []
        while True:
            while self.peek() == b" ":
                self.at += 1
            if self.is_done() or self.peek() == b")":
                return found
            found.append(self.value())

    def value(self):
        first = self.peek()
        if first == b"(":
            self.skip(b"(")
            inside = self.values()
            self.skip(b")")
            return inside
        if first == b'"':
            return self.quoted()
        if literal := re.compile(rb"~?\{(\d+)\}\r\n$").match(self.text, self.at):
            return self.literal(int(literal[1]))
        return self.word()

    def quoted(self):
        found = re.compile(rb'"((?:[^"\\\r\n]|\\.)*)"').match(self.text, self.at)
        if not found:
            raise Odd("a quoted string without end in %r" % self.text[:200])
        self.at = found.end()
        return Text(re.sub(rb"\\(.)", rb"\1", found[1]))

    def literal(self, size):
        data, self.pieces = self.pieces[1], self.pieces[2:]
        self.at = 0
        if len(data) != size:
            raise Odd("a literal of another size")
        return Text(data)

    def word(self):
        """An atom, or an item such as BODY[HEADER.FIELDS ("A" B)]<0>; NIL is None."""
        begin, made = self.at, b""
        while self.peek() and self.peek() not in STOPS:
            if self.peek() == b"[":
                made += self.text[begin:self.at] + self.section()
                begin = self.at
            else:
                self.at += 1
        made += self.text[begin:self.at]
        if not made:
            raise Odd("nothing at %d of %r" % (self.at, self.text[:200]))
        return None if made.upper() == b"NIL" else made

    def section(self):
        """A part in brackets, as it is written when no string in it is quoted."""
        self.skip(b"[")
        made = []
        while self.peek() != b"]":
            if self.is_done():
                raise Odd("a bracket without end in %r" % self.text[:200])
            if self.peek() == b'"':
                made.append(self.quoted())
            elif literal := re.compile(rb"\{(\d+)\}\r\n$").match(self.text, self.at):
                made.append(self.literal(int(literal[1])))
            else:
                made.append(self.peek())
                self.at += 1
        self.skip(b"]")
        return b"[" + b"".join(made).upper() + b"]"


def read(pieces):
    """All values of a response."""
    reader = Reader(pieces)
    found = reader.values()
    if not reader.is_done():
        raise Odd("more than a response in %r" % reader.text[:200])
    return found


def code(line):
    """The response code of a status line, as values: [] if there is none."""
    found = re.match(rb"\S+ \S+ \[([^\]]*)\]", line)
    return read([found[1].replace(b"\\*)", b"\\* )")]) if found else []


def numbers(text):
    """A set of numbers that a server wrote."""
    found = set()
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        found.update(range(low, high + 1))
    return found


def pairs(values):
    """A list of names and values in turn, as a dictionary."""
    return {name.upper() if isinstance(name, bytes) else name: value for name, value in zip(values[::2], values[1::2])}
