"""What happens next, by chance from a seed: commands that suit the state, most of them sensible.

A kind of command is a method of `Draw` and a row of `TABLE` with its weight.
Only what both servers offer is drawn.
"""

import base64
import random
import re

import words
from command import Command, Pair

GOAL_MESSAGES = 24


class Generator:
    """Draws commands for sessions; the same seed draws the same."""

    def __init__(self, seed, mail):
        self.random = random.Random(seed)
        self.mail = mail

    def session(self, count):
        return self.random.randrange(count)

    def command(self, session, world):
        draw = Draw(self.random, session, world, self.mail)
        if session.is_guest:
            table = GUEST
        elif session.mailbox is None:
            table = ANY if self.random.random() < 0.94 else SELECTED
        else:
            table = SELECTED if self.random.random() < 0.7 else ANY
        return draw.of(table)(draw)


class Draw:
    """One command."""

    def __init__(self, chance, session, world, mail):
        self.chance = chance
        self.session = session
        self.world = world
        self.mail = mail

    # --- choices ---

    def percent(self, percent):
        return self.chance.randrange(100) < percent

    def pick(self, choices):
        return choices[self.chance.randrange(len(choices))]

    def of(self, table):
        return self.chance.choices([each for _, each in table], [weight for weight, _ in table])[0]

    def some(self, choices, most):
        return self.chance.sample(choices, self.chance.randint(1, min(most, len(choices))))

    # --- parts ---

    def astring(self, text):
        """The same string as an atom, quoted or as a literal."""
        if self.percent(3):
            return Command().literal(text, False).parts
        quoted = b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        is_atom = text and not any(each in b' (){%*"\\]' or each < 32 or each > 126 for each in text)
        return [text if is_atom and self.percent(60) else quoted]

    def name(self):
        return self.pick(words.NAMES if self.percent(85) else words.ODD_NAMES)

    def mailbox(self):
        """A name that is mostly that of a mailbox."""
        if self.percent(45):
            return b"INBOX"
        return self.pick(sorted(self.world.mailboxes)) if self.percent(85) else self.name()

    def number(self, uid):
        """A sequence number or a UID, of a message mostly."""
        view = self.session.view
        if uid:
            known = [each for each in view.uids if each]
            return self.pick(known) if known and self.percent(93) else (known[-1] if known else 0) + self.chance.randint(1, 3)
        count = len(view.uids)
        return self.chance.randint(1, count) if count and not self.percent(2) else count + 1

    def set(self, uid):
        if self.percent(6):
            return b"$"
        if self.percent(4):
            return self.pick([b"*", b"1:*", b"*:1", b"*:*", b"1,1,1", b"1,*"])
        ranges = []
        for _ in range(self.pick([1, 1, 1, 2, 3])):
            first, last = self.number(uid), self.number(uid)
            ranges.append(self.pick([b"%d" % first, b"%d" % first, b"%d:%d" % (first, last), b"%d:%d" % (last, first), b"%d:*" % first if self.percent(30) else b"%d" % last]))
        return b",".join(ranges)

    def flags(self):
        """Some flags, none of them twice (of keywords in two spellings Dovecot's APPEND loses others)."""
        return b" ".join({each.lower(): each for each in self.some(words.FLAGS, 3)}.values())

    def uid(self):
        return self.percent(55)

    # --- any state ---

    def simple(self):
        return Command(self.pick([b"NOOP", b"NOOP", b"NOOP", b"CHECK", b"CAPABILITY", b"NAMESPACE", b"noop", b"GETQUOTAROOT INBOX", b"ID NIL",
                                  b'ID ("name" "tester" "version" "1")', b"GETQUOTA \"User quota\"", b"GETQUOTA nothing"]))

    def idle(self):
        command = Command(b"IDLE\r\n")
        command.go_on()
        return command.then(self.pick([b"DONE", b"done", b"DONE", b"NOOP"]))

    def enable(self):
        return Command(b"ENABLE ", self.pick([b"CONDSTORE", b"QRESYNC", b"CONDSTORE QRESYNC", b"X-NOTHING", b"X-NOTHING CONDSTORE"]))

    def select(self):
        command = Command(self.pick([b"SELECT ", b"SELECT ", b"SELECT ", b"EXAMINE "]))
        mailbox = self.mailbox()
        command.then(*self.astring(mailbox))
        marks = self.world.marks.get(mailbox)
        if self.percent(8):
            return command.then(b" (CONDSTORE)")
        if marks and self.percent(30):
            validity, mod_seq = self.pick(marks)
            known = self.pick([b"", b"", b" 1:*", b" 1:9", b" 1:9 (1,3,5 1,3,5)"])
            return command.then(b" (QRESYNC (", validity, b" ", mod_seq, known, b"))")
        return command

    def create(self):
        return Command(b"CREATE ").then(*self.astring(self.name() + (b"/" if self.percent(8) else b"")))

    def delete(self):
        return Command(b"DELETE ").then(*self.astring(self.name()))

    def rename(self):
        return Command(b"RENAME ").then(*self.astring(self.name()), b" ", *self.astring(self.name()))

    def subscribe(self):
        return Command(self.pick([b"SUBSCRIBE ", b"UNSUBSCRIBE "])).then(*self.astring(self.name()))

    def pattern(self):
        return self.pick(words.PATTERNS)

    def list(self):
        if self.percent(30):
            return Command(b"LIST ", self.pick([b'""', b'""', b'"A/"', b'"A"', b'"/"']), b" ").then(*self.list_string())
        select = self.pick([b"", b"", b"(SUBSCRIBED) ", b"(SUBSCRIBED) ", b"(SPECIAL-USE) ", b"(REMOTE) ", b"(SUBSCRIBED RECURSIVEMATCH) ", b"(RECURSIVEMATCH) ", b"() "])
        patterns = b" ".join(b'"%s"' % self.pattern() for _ in range(2))
        pattern = b"(" + patterns + b")" if self.percent(30) else b'"' + self.pattern() + b'"'
        options = [b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS (%s)" % b" ".join(self.some(words.LIST_STATUS, 4))]
        returns = b" RETURN (" + b" ".join(self.some(options, 3)) + b")" if self.percent(70) else b""
        return Command(b"LIST ", select, b'"" ', pattern, returns)

    def list_string(self):
        pattern = self.pattern()
        return [pattern if pattern and b" " not in pattern and self.percent(50) else b'"' + pattern + b'"']

    def lsub(self):
        return Command(b"LSUB ", self.pick([b'""', b'""', b'"A/"']), b" ").then(*self.list_string())

    def status(self):
        items = self.some(words.STATUS, 5)
        return Command(b"STATUS ").then(*self.astring(self.mailbox()), b" (", b" ".join(items), b")")

    def append(self):
        command = Command(b"APPEND ").then(*self.astring(self.mailbox()))
        for _ in range(self.pick([1, 1, 1, 1, 2, 3])):
            if self.percent(50):
                command.then(b" (", self.flags() if self.percent(90) else b"", b")")
            if self.percent(40):
                command.then(b' "', self.pick(words.DATE_TIMES), b'"')
            data = self.mail.next(self.world)
            command.then(b" ").literal(data, self.percent(40), binary=b"\0" in data or self.percent(5))
        return command

    def wrong(self):
        command = self.line(words.WRONG)
        command.is_wrong = True
        return command

    def line(self, lines):
        """One of these as it stands; behind a literal that waits comes one of its size."""
        line = self.pick(lines)
        waits = re.search(rb"\{(\d+)\}$", line)
        return Command(line[:waits.start()]).literal(b"x" * int(waits[1]), True) if waits else Command(line)

    # --- selected ---

    def close(self):
        return Command(self.pick([b"CLOSE", b"UNSELECT", b"UNSELECT"]))

    def expunge(self):
        return Command(b"EXPUNGE") if self.percent(60) else Command(b"UID EXPUNGE ", self.set(True))

    def fetch(self):
        uid = self.uid()
        items = self.some(words.ITEMS, 4)
        if self.percent(10):
            items = [self.pick([b"ALL", b"FAST", b"FULL"])]
        elif self.percent(60):
            items.append(self.section())
        what = items[0] if len(items) == 1 and (items[0] in (b"ALL", b"FAST", b"FULL") or self.percent(50)) else b"(" + b" ".join(items) + b")"
        command = Command(b"UID " if uid else b"", b"FETCH ", self.set(uid), b" ", what)
        mark = self.mark()
        if mark and self.percent(12):
            command.then(b" (CHANGEDSINCE ", mark, b" VANISHED)" if uid and self.percent(40) else b")")
        return command

    def mark(self):
        """A mod-sequence of the selected mailbox."""
        marks = self.world.marks.get(self.session.mailbox)
        return self.pick(marks)[1] if marks else None

    def section(self):
        part = self.pick([b"", b"", b"", b"1", b"1", b"2", b"1.1", b"1.2", b"2.1", b"3", b"1.1.1"])
        if self.percent(12) and part:
            return self.pick([b"BINARY.PEEK[%s]", b"BINARY[%s]", b"BINARY.SIZE[%s]", b"BINARY.PEEK[%s]<2.9>"]) % part
        texts = [b"", b"HEADER", b"TEXT", b"HEADER.FIELDS (Subject From)", b"HEADER.FIELDS.NOT (received to \"X-Long\")", b"HEADER.FIELDS (nothing)"]
        text = self.pick(texts + ([b"MIME", b"MIME", b""] if part else []))
        section = part + (b"." if part and text else b"") + text
        partial = self.pick([b"", b"", b"", b"<0.10>", b"<5.1000>", b"<100000000.1>", b"<3.1>"])
        return self.pick([b"BODY.PEEK[", b"BODY.PEEK[", b"BODY["]) + section + b"]" + partial

    def store(self):
        uid = self.uid()
        command = Command(b"UID " if uid else b"", b"STORE ", self.set(uid), b" ")
        mark = self.mark()
        if mark and self.percent(12):
            command.then(b"(UNCHANGEDSINCE ", mark if self.percent(80) else b"0", b") ")
        command.then(self.pick([b"+", b"+", b"-", b""]), b"FLAGS", self.pick([b"", b"", b".SILENT"]), b" ")
        flags = self.flags()
        return command.then(flags if self.percent(20) else b"(%s)" % flags if self.percent(95) else b"()")

    def delete_some(self):
        uid = self.uid()
        return Command(b"UID " if uid else b"", b"STORE ", self.set(uid), b" +FLAGS (\\Deleted)")

    def copy(self):
        uid = self.uid()
        return Command(b"UID " if uid else b"", self.pick([b"COPY ", b"COPY ", b"MOVE "]), self.set(uid), b" ").then(*self.astring(self.mailbox()))

    def search(self):
        command = Command(b"UID " if self.uid() else b"", b"SEARCH ")
        if self.percent(45):
            command.then(b"RETURN (", self.pick([b"", b"ALL", b"MIN MAX", b"COUNT", b"SAVE", b"MIN SAVE", b"ALL COUNT", b"SAVE COUNT", b"MIN MAX SAVE", b"MAX"]), b") ")
        if self.percent(20):
            command.then(b"CHARSET ", self.pick([b"UTF-8", b"utf-8", b"US-ASCII", b"ISO-8859-1", b"X-UNKNOWN"]), b" ")
        keys = [self.key(2) for _ in range(self.pick([1, 1, 1, 2, 3]))]
        command.then(b" ".join(keys))
        mark = self.mark()
        # What has the mark itself depends on how many changes one number stands for.
        return command.then(b" MODSEQ ", mark.next()) if mark and self.percent(6) else command

    def key(self, depth):
        if depth and self.percent(22):
            inner = self.key(depth - 1)
            return self.pick([b"NOT " + inner, b"OR " + inner + b" " + self.key(depth - 1), b"(" + inner + b" " + self.key(depth - 1) + b")"])
        return self.of(KEYS)(self)

    def flag_key(self):
        if self.percent(15) and not self.session.has_recent_apart:
            return self.pick([b"NEW", b"OLD", b"RECENT"])
        return self.pick([b"ANSWERED", b"UNANSWERED", b"DELETED", b"UNDELETED", b"DRAFT", b"UNDRAFT", b"FLAGGED", b"UNFLAGGED", b"SEEN", b"UNSEEN",
                          b"ALL", b"KEYWORD Work", b"UNKEYWORD work", b"KEYWORD $Forwarded", b"KEYWORD never"])

    def set_key(self):
        return self.pick([b"", b"UID "]) + self.set(self.percent(60))

    def date_key(self):
        key = self.pick([b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"])
        return key + b" " + self.pick(words.DATES)

    def save_date_key(self):
        key = self.pick([b"SAVEDBEFORE ", b"SAVEDON ", b"SAVEDSINCE ", b"SAVEDATESUPPORTED"])
        return key + self.pick(words.DATES) if key.endswith(b" ") else key

    def text_key(self):
        key = self.pick([b"BCC", b"CC", b"FROM", b"TO", b"SUBJECT", b"BODY", b"TEXT", b"HEADER Message-ID", b"HEADER X-Nothing", b"HEADER Content-Type", b"HEADER From"])
        return key + b" " + self.pick(words.SEARCHED)

    def size_key(self):
        return self.pick([b"LARGER", b"SMALLER"]) + b" %d" % self.pick([0, 100, 300, 400, 500, 1000, 5000, 4294967295])

    def within_key(self):
        return self.pick([b"OLDER", b"YOUNGER"]) + b" %d" % self.pick([86400, 31536000, 1000000000])

    # --- not logged in ---

    def guest(self):
        command = self.line(words.GUEST)
        command.is_wrong = True
        return command

    def login(self):
        """LOGIN or AUTHENTICATE PLAIN, the password mostly right."""
        password = self.session.password.encode() if self.percent(70) else self.pick([b"wrong", b"", b"Pass Word\"\\1"])
        user = self.session.user.encode() if self.percent(90) else b"nobody@localhost"
        if self.percent(50):
            return Command(b"LOGIN ").then(*self.astring(user), b" ", *self.astring(password))
        plain = base64.b64encode(self.pick([b"", b"", user]) + b"\0" + user + b"\0" + password)
        said = self.pick([plain] * 6 + [b"*", b"=", plain[:-1], b"AAA=BBB", b"!", b""])
        if self.percent(50) and said not in (b"", b"*"):
            return Command(b"AUTHENTICATE PLAIN ", said)
        command = Command(b"AUTHENTICATE PLAIN\r\n")
        command.go_on()
        return command.then(said)


ANY = [(8, Draw.simple), (3, Draw.idle), (2, Draw.enable), (30, Draw.select), (7, Draw.create), (5, Draw.delete), (4, Draw.rename), (5, Draw.subscribe),
       (14, Draw.list), (4, Draw.lsub), (9, Draw.status), (14, Draw.append), (6, Draw.wrong)]
SELECTED = [(2, Draw.close), (5, Draw.expunge), (34, Draw.fetch), (18, Draw.store), (4, Draw.delete_some), (9, Draw.copy), (26, Draw.search)]
GUEST = [(3, Draw.guest), (2, Draw.login)]
KEYS = [(10, Draw.flag_key), (7, Draw.set_key), (6, Draw.date_key), (1, Draw.save_date_key), (9, Draw.text_key), (3, Draw.size_key), (2, Draw.within_key)]
