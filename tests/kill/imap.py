"""The two protocols as the harness speaks them: one command at a time, over a plain socket.

Every command ends with its tagged answer (`Answer`), or with `Gone` when the
connection ended first: then nobody was told how it went. Not a general client:
it knows the responses that the harness asks for.
"""

import re
import socket

SECONDS = 60
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class Gone(Exception):
    """The connection ended before the answer; `told` is what was heard of it."""

    def __init__(self, told=b""):
        super().__init__("the connection ended")
        self.told = told


class Refused(Exception):
    """NO, BAD or 4xx/5xx to a command that should succeed."""


class Wire:
    """A socket read by lines and by counts."""

    def __init__(self, address):
        try:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            self.socket = socket.socket(family)
            self.socket.settimeout(SECONDS)
            self.socket.connect(address)
        except OSError as error:
            raise Gone from error
        self.file = self.socket.makefile("rb", 1 << 16)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(self.left()) from error

    def left(self):
        """What was said before the end: it can be read although nothing can be sent any more."""
        heard = b""
        try:
            while data := self.file.read1(1 << 16):
                heard += data
        except OSError:
            pass
        return heard

    def line(self):
        return self.whole(lambda: self.file.readline(), lambda line: line.endswith(b"\r\n"))

    def read(self, count):
        return self.whole(lambda: self.file.read(count), lambda data: len(data) == count)

    @staticmethod
    def whole(read, is_whole):
        try:
            data = read()
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error
        if not is_whole(data):
            raise Gone
        return data

    def close(self):
        self.file.close()
        self.socket.close()


class Answer:
    """A tagged answer and the untagged responses before it, each a list of text, literal, text, …"""

    def __init__(self, tagged, untagged):
        self.tagged, self.untagged = tagged, untagged

    def texts(self):
        return [b"".join(response[::2]) for response in self.untagged] + [self.tagged]

    def code(self, name):
        """The arguments of a response code such as UIDNEXT, wherever it stood."""
        for text in self.texts():
            found = re.search(rb"\[%s ([^\]]*)\]" % name, text)
            if found:
                return found[1]
        return None

    def items(self, name):
        """The responses of this name, as (text, literals)."""
        for response in self.untagged:
            if re.match(rb"\* (?:\d+ )?%s\b" % name, response[0]):
                yield b"".join(response[::2]), response[1::2]


class Imap:
    """A logged-in session."""

    def __init__(self, server, user):
        self.wire = Wire((server.host, server.imap_port))
        self.count = 0
        self.wire.line()
        quoted = server.password.replace("\\", "\\\\").replace('"', '\\"')
        self.say('LOGIN "%s" "%s"' % (user, quoted))

    def say(self, *parts):
        """Sends a command: text and literals (bytes) in turn. Returns the answer if it is OK."""
        self.count += 1
        tag = b"t%d" % self.count
        self.wire.send(tag + b" " + self.joined(parts) + b"\r\n")
        untagged = []
        try:
            while True:
                response = self.response()
                if response[0].startswith(tag + b" "):
                    break
                untagged.append(response)
        except Gone as gone:
            raise Gone(b"".join(b"".join(r[::2]) for r in untagged)) from gone
        if not response[0].startswith(tag + b" OK"):
            raise Refused("%s: %s" % (parts[0][:80], response[0].decode(errors="replace").strip()))
        return Answer(response[0], untagged)

    @staticmethod
    def joined(parts):
        """Literals go unasked (RFC 7888): the server takes them or closes."""
        made = b""
        for part in parts:
            made += b"{%d+}\r\n" % len(part) + part if isinstance(part, bytes) else part.encode()
        return made

    def response(self):
        pieces = [self.wire.line()]
        while found := LITERAL.search(pieces[-1]):
            pieces.append(self.wire.read(int(found[1])))
            pieces.append(self.wire.line())
        return pieces

    def close(self):
        self.wire.close()


class Lmtp:
    """An LMTP connection (RFC 2033)."""

    def __init__(self, address):
        self.wire = Wire(address)
        self.reply()
        self.say("LHLO localhost")

    def reply(self):
        while True:
            line = self.wire.line()
            if line[3:4] != b"-":
                return line.decode(errors="replace").strip()

    def say(self, line):
        self.wire.send(line.encode() + b"\r\n")
        reply = self.reply()
        if reply[0] not in "23":
            raise Refused("%s: %s" % (line, reply))

    def deliver(self, recipients, data, chunked):
        """Yields the reply for each recipient as it comes."""
        self.say("MAIL FROM:<a@example.org>")
        for recipient in recipients:
            self.say("RCPT TO:<%s>" % recipient)
        if chunked:
            self.wire.send(b"BDAT %d LAST\r\n" % len(data) + data)
        else:
            self.say("DATA")
            self.wire.send((b"." if data.startswith(b".") else b"") + data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        for recipient in recipients:
            reply = self.reply()
            if reply[0] != "2":
                raise Refused("delivery to %s: %s" % (recipient, reply))
            yield recipient

    def close(self):
        self.wire.close()


def uids(text):
    """`3:5,9` as a list, in the order written."""
    result = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        result.extend(range(int(first), int(last or first) + 1))
    return result


def uid_set(numbers):
    return ",".join(map(str, sorted(numbers)))
