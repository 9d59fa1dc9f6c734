"""A session with one server: a command is sent, its whole answer is read."""

import re

from imap import LITERAL, Gone, Wire

# So long an answer may take.
SECONDS = 60


class Answer:
    """What came for a command."""

    def __init__(self):
        self.untagged = []
        # The tagged line; None where the connection ended first.
        self.tagged = None
        # Tagged lines beyond it, for what a server took for further commands.
        self.further = []
        # How often the server asked for more.
        self.continued = 0
        # Nothing came any more although the command was sent.
        self.is_silent = False

    @property
    def status(self):
        if self.tagged:
            return self.tagged.split(b" ")[1].decode().upper()
        return "SILENT" if self.is_silent else "CLOSED"


class Run:
    """A command under way."""

    def __init__(self, tag, pieces):
        self.tag, self.pieces = tag, pieces
        self.answer = Answer()
        # Whether `+` must come before the next piece.
        self.waits = False
        # More than one piece: after them both are asked whether they are where we are.
        self.is_odd = len(pieces) > 1


class Talk:
    """One connection."""

    def __init__(self, server, mutant=None):
        """`mutant` changes what the server says (see `mutants.py`)."""
        self.mutant = mutant
        self.wire = Wire((server.host, server.imap_port))
        self.wire.socket.settimeout(SECONDS)
        self.count = 0
        self.greeting = self.response()
        self.is_open = True

    def login(self, user, password):
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        answer = self.say([(b'LOGIN "%s" "%s"\r\n' % (user.encode(), quoted.encode()), False)])
        if answer.status != "OK":
            raise RuntimeError("login of %s: %r" % (user, answer.tagged))

    def say(self, pieces):
        """Sends pieces, each (bytes, whether the client waits for `+` after it); the first gets a tag. Returns the answer."""
        return self.finish(self.begin(pieces))

    def begin(self, pieces):
        """Sends what may be sent without waiting, so that two servers can be at work at the same time."""
        self.count += 1
        run = Run(b"t%d" % self.count, list(pieces))
        self.attempt(run, lambda: self.send_on(run, run.tag + b" "))
        return run

    def send_on(self, run, before=b""):
        data, run.waits = run.pieces.pop(0)
        self.wire.send(before + data)

    def finish(self, run):
        """The rest of what `begin` began."""
        def rest():
            while run.pieces and self.may_go_on(run):
                self.send_on(run)
            while run.answer.tagged is None:
                self.take(run)
            if run.answer.status == "BAD" or run.is_odd:
                self.come_together(run)
        if self.is_open:
            self.attempt(run, rest)
        return run.answer

    def attempt(self, run, work):
        try:
            work()
        except Gone:
            self.is_open = False
        except TimeoutError:
            self.is_open, run.answer.is_silent = False, True

    def come_together(self, run):
        """After a wrong line: what was left of it may have been taken for further commands, whose answers belong to it."""
        tag, first = run.tag + b"s", run.answer.tagged
        try:
            self.wire.send(tag + b" NOOP\r\n")
            while True:
                run.answer.tagged = None
                while run.answer.tagged is None:
                    self.take(run)
                if run.answer.tagged.startswith(tag + b" "):
                    return
                run.answer.further.append(run.answer.tagged)
        finally:
            run.answer.tagged = first

    def may_go_on(self, run):
        if not run.waits:
            return True
        before = run.answer.continued
        while run.answer.continued == before and run.answer.tagged is None:
            self.take(run)
        return run.answer.tagged is None

    def take(self, run):
        answer, pieces = run.answer, self.response()
        if self.mutant:
            pieces = self.mutant(pieces)
        if pieces is None:
            return
        if pieces[0].startswith(b"+"):
            answer.continued += 1
        elif pieces[0].startswith(b"* "):
            answer.untagged.append(pieces)
        elif re.match(rb"\S+ (OK|NO|BAD)\b", pieces[0]):
            # Also one with another tag: where the command had none that could be read.
            answer.tagged = pieces[0]
        else:
            raise AssertionError("neither tagged nor untagged after %r: %r" % (run.tag, pieces))

    def response(self):
        pieces = [self.wire.line()]
        while found := LITERAL.search(pieces[-1]):
            pieces.append(self.wire.read(int(found[1])))
            pieces.append(self.wire.line())
        return pieces

    def close(self):
        self.is_open = False
        self.wire.close()
