"""A session with one server: a command is sent, its whole answer is read."""

import re

from imap import LITERAL, Gone, Wire


class Answer:
    """What came for a command."""

    def __init__(self):
        self.untagged = []
        # The tagged line; None where the connection ended first.
        self.tagged = None
        # How often the server asked for more.
        self.continued = 0

    @property
    def status(self):
        return self.tagged.split(b" ")[1].decode().upper() if self.tagged else "CLOSED"


class Talk:
    """One connection."""

    def __init__(self, server):
        self.wire = Wire((server.host, server.imap_port))
        self.count = 0
        self.greeting = self.response()
        self.is_open = True

    def login(self, user, password):
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        answer = self.say([(b'LOGIN "%s" "%s"\r\n' % (user.encode(), quoted.encode()), False)])
        if answer.status != "OK":
            raise RuntimeError("login of %s: %r" % (user, answer.tagged))

    def say(self, pieces):
        """Sends pieces, each (bytes, whether the client waits for `+` after it); the first gets a tag."""
        self.count += 1
        tag = b"t%d" % self.count
        answer = Answer()
        try:
            for at, (data, waits) in enumerate(pieces):
                self.wire.send((tag + b" " if at == 0 else b"") + data)
                if waits and not self.may_go_on(tag, answer):
                    break
            while answer.tagged is None:
                self.take(tag, answer)
        except Gone:
            self.is_open = False
        return answer

    def may_go_on(self, tag, answer):
        before = answer.continued
        while answer.continued == before and answer.tagged is None:
            self.take(tag, answer)
        return answer.tagged is None

    def take(self, tag, answer):
        pieces = self.response()
        if pieces[0].startswith(b"+"):
            answer.continued += 1
        elif pieces[0].startswith(b"* "):
            answer.untagged.append(pieces)
        elif re.match(rb"\S+ (OK|NO|BAD)\b", pieces[0]):
            # Also one with another tag: where the command had none that could be read.
            answer.tagged = pieces[0]
        else:
            raise AssertionError("neither tagged nor untagged after %r: %r" % (tag, pieces))

    def response(self):
        pieces = [self.wire.line()]
        while found := LITERAL.search(pieces[-1]):
            pieces.append(self.wire.read(int(found[1])))
            pieces.append(self.wire.line())
        return pieces

    def close(self):
        self.is_open = False
        self.wire.close()
