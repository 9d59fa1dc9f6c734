"""Both servers side by side: one account, several sessions, the same commands in lock-step."""

import difflib
import re

from command import Command, Pair
from facts import facts, shown, spread
from free import Free
from reply import Text
from talk import Talk
from view import View

SESSIONS = 3
# The session that never logs in, besides.
GUEST = SESSIONS
MESSAGES_FIRST = 10
# Commands after which both hold the same although one refused.
READING = ("SEARCH", "STATUS", "LIST", "LSUB", "NOOP", "CAPABILITY", "ID", "GETQUOTA", "GETQUOTAROOT", "LOGIN", "AUTHENTICATE", "SUBSCRIBE", "UNSUBSCRIBE")
# What is compared of an answer when one of the two refused.
REFUSED_PLACES = ("answer", "text", "further answers")
ABSENT = "-"
# Besides the sessions: one that nothing is compared of.
LEVELLER = GUEST + 1


class Difference:
    """Something that the two servers said differently; `rule` if it is known to be free, `traits` of the messages at hand."""

    def __init__(self, command, place, ours, theirs, rule=None, traits=frozenset(), lengths=(0, 0)):
        self.traits, self.lengths = traits, lengths
        self.command, self.place, self.ours, self.theirs, self.rule = command.text, place, ours, theirs, rule
        self.is_wrong = command.is_wrong

    def __str__(self):
        return "%s\n    %s\n      ours   %s\n      theirs %s" % (self.command[:300], self.place, self.ours[:400], self.theirs[:400])


class World:
    """What is known of the account."""

    def __init__(self):
        self.mailboxes = {b"INBOX", b"Sent", b"Drafts", b"Junk", b"Trash", b"Archive"}
        # Titles of the messages that the running APPEND sends, and of those that are kept, by UIDVALIDITY and UID of ours.
        self.sent = []
        self.titles = {}
        # By mailbox: pairs of UIDVALIDITY and HIGHESTMODSEQ, as SELECT told them.
        self.marks = {}
        self.validities = {}

    def traits(self, session):
        """Those of all messages of the mailbox that is open."""
        titles = (self.title(session.validity, uid) for uid in session.view.uids)
        found = {trait for title in titles for trait in title.partition("[")[2].rstrip("]").split()}
        return frozenset(found)

    def title(self, validity, uid):
        return self.titles.get((validity, uid), "message %s" % uid)


class Session:
    """One session on each of the two."""

    def __init__(self, pair, number):
        self.pair, self.number = pair, number
        self.is_guest = number == GUEST
        self.user, self.password = pair.account, pair.servers[0].password
        self.connect()

    def connect(self):
        self.talks = [Talk(server, mutant) for server, mutant in zip(self.pair.servers, (self.pair.mutant, None))]
        for talk in self.talks if not self.is_guest else ():
            talk.login(self.user, self.password)
        self.leave()
        if self.number in (0, 1):
            self.say(Command(b"ENABLE ", (b"QRESYNC", b"CONDSTORE")[self.number]))

    def leave(self):
        """No mailbox is selected."""
        # Whether another session may have changed something since this one was told.
        self.is_stale = False
        self.mailbox = self.validity = None
        self.has_recent_apart = False
        self.views = [View(), View()]

    @property
    def view(self):
        return self.views[0]

    def close(self):
        for talk in self.talks:
            talk.close()

    def say(self, command):
        runs = [talk.begin(command.sent(side)) for side, talk in enumerate(self.talks)]
        return [talk.finish(run) for talk, run in zip(self.talks, runs)]


class Episode:
    """An account from its first login on."""

    def __init__(self, servers, account, mail, log, mutant=None):
        self.mutant = mutant
        self.servers, self.account, self.mail, self.log = servers, account, mail, log
        self.world = World()
        self.sessions = [Session(self, number) for number in range(SESSIONS + 1)]
        self.leveller = Session(self, LEVELLER)
        # Whether what both hold is no longer the same.
        self.is_over = False

    def begin(self):
        """Some mail to work with; yields differences."""
        for _ in range(MESSAGES_FIRST):
            data = self.mail.next(self.world)
            yield from self.run(self.sessions[0], Command(b"APPEND INBOX ").literal(data, False, binary=b"\0" in data))
        for name in sorted(self.world.mailboxes - {b"INBOX"}):
            # Only ours makes these of itself.
            for verb in (b"CREATE ", b"SUBSCRIBE "):
                self.leveller.say(Command(verb, name))
        for line in (b"CREATE A", b"CREATE A/B", b"CREATE Work", b"SUBSCRIBE INBOX"):
            yield from self.run(self.sessions[0], Command(line))

    def close(self):
        for session in [*self.sessions, self.leveller]:
            session.close()

    def run(self, session, command):
        """Says a command to both; yields differences."""
        if session.is_stale and session.mailbox is not None and not command.counts_messages:
            # What is untold may be new to one only: its `*`, its sets of UIDs and its SEARCH then mean other messages.
            if self.catch_up(session):
                yield from self.settle(session, Command(b"NOOP"))
            else:
                yield from self.gone(session)
        if not command.name.endswith(READING):
            for each in self.sessions:
                each.is_stale = each.is_stale or each is not session
        if command.name in ("SELECT", "EXAMINE"):
            session.views = [View(), View()]
            session.has_recent_apart = False
        answers = session.say(command)
        found = [facts(answer, view) for answer, view in zip(answers, session.views)]
        self.log(session.number, command, answers)
        differences = list(self.compare(session, command, found))
        logged_in = command.name in ("LOGIN", "AUTHENTICATE") and any(answer.status == "OK" for answer in answers)
        if command.name == "LOGOUT" or logged_in or not all(talk.is_open for talk in session.talks):
            session.close()
            session.connect()
        self.note(session, command, answers)
        if command.name.endswith("STORE") and ".SILENT" in command.text.upper():
            # A client knows what it stored; this one asks.
            for view in session.views:
                view.flags.clear()
        self.level(command, answers)
        self.world.sent.clear()
        yield from differences
        if session.mailbox is not None and not self.is_over:
            yield from self.settle(session, command)

    # --- comparing ---

    def compare(self, session, command, found):
        ours, theirs = found
        if refused(ours) != refused(theirs):
            # What one of the two alone did is not compared: that it did is the difference.
            ours, theirs = ({place: value for place, value in each.items() if place in REFUSED_PLACES} for each in found)
            self.is_over = self.is_over or not command.name.endswith(READING)
        unasked = [unasked_places(each, command, view) for each, view in zip((ours, theirs), session.views)]
        if unasked[0] != unasked[1]:
            yield Difference(command, "FETCH unasked", *map(str, unasked), rule="moment-of-news")
        ours, theirs = ({place: value for place, value in each.items() if place not in left} for each, left in zip((ours, theirs), unasked))
        for name in unheld_names(ours, theirs):
            yield Difference(command, name, *(str(name in names(each)) for each in (ours, theirs)), rule="list-of-no-mailbox")
            for each in (ours, theirs):
                for place in [place for place in each if re.fullmatch(r"(attributes of )?%s( \\\S+)?" % re.escape(name), place)]:
                    del each[place]
        for place in sorted(set(ours) | set(theirs)):
            a, b = ours.get(place, ABSENT), theirs.get(place, ABSENT)
            if a == b:
                if isinstance(a, Free) and a.said != b.said:
                    yield Difference(command, place, str(a.said), str(b.said), a.rule)
                continue
            if place == "answer":
                a, b = (said(each) for each in (ours, theirs))
            yield from self.differ(session, command, place, meant(a), meant(b))
            # From there on UIDs, flags, or what `$` stands for, are not the same.
            self.is_over = self.is_over or place in ("code COPYUID", "code APPENDUID", "code MODIFIED") or "SAVE" in command.words

    def differ(self, session, command, place, a, b):
        titled = self.titled(session, command, place, a, b)
        if isinstance(a, list) and isinstance(b, list) and ("BODY" in place or "ENVELOPE" in place):
            for path, x, y in leaves(a, b, ""):
                yield Difference(command, titled.replace(" of ", " at %s of " % path, 1), *cut(x, y))
        else:
            a, b = text(a), text(b)
            yield Difference(command, titled, *cut(a, b), traits=self.world.traits(session), lengths=(len(a), len(b)))

    def titled(self, session, command, place, a, b):
        """The place with the titles of the messages it is about."""
        uids = []
        if re.match(r"(FETCH|VIEW) .* of \d+$", place):
            place, _, uid = place.rpartition(" ")
            uids = [int(uid)]
        elif place in ("SEARCH", "ESEARCH ALL", "code MODIFIED"):
            numbers = set(a if isinstance(a, list) else ()) ^ set(b if isinstance(b, list) else ())
            uids = numbers if command.name.startswith("UID") else [session.view.uids[n - 1] for n in numbers if n <= len(session.view.uids)]
            place += " of"
        elif command.name == "APPEND" and place != "answer":
            return "%s of %s" % (place, ", ".join(self.world.sent))
        return " ".join([place, ", ".join(self.world.title(session.validity, uid) for uid in sorted(u for u in uids if u))]).strip()

    # --- following ---

    def note(self, session, command, answers):
        """Keeps track of what the commands changed."""
        if answers[0].status != "OK" or answers[1].status != "OK":
            if command.name in ("SELECT", "EXAMINE"):
                # A wrong line need not close what is open.
                if session.mailbox is not None:
                    session.say(Command(b"UNSELECT"))
                session.leave()
            return
        name = command.name
        if name in ("SELECT", "EXAMINE"):
            self.note_select(session, command, answers)
        elif name in ("CLOSE", "UNSELECT"):
            session.leave()
        elif name == "CREATE":
            self.world.mailboxes.add(argument(command, 0).rstrip(b"/"))
        elif name == "DELETE":
            self.world.mailboxes.discard(argument(command, 0))
        elif name == "RENAME":
            # What INBOX counts from there on is up to the server.
            self.is_over = self.is_over or argument(command, 0).rstrip(b"/").upper() == b"INBOX"
            self.world.mailboxes.add(argument(command, 1))
            self.world.mailboxes.discard(argument(command, 0)) if argument(command, 0).upper() != b"INBOX" else None
        elif name == "APPEND":
            self.note_titles(answers[0], b"APPENDUID", lambda at, _: self.world.sent[at])
        elif name.endswith(("COPY", "MOVE")):
            self.note_titles(answers[0], b"COPYUID", lambda _, uid: self.world.title(session.validity, uid))

    def level(self, command, answers):
        """Where a rule lets the two keep different things, both are brought to the same."""
        name, ok = command.name, [answer.status == "OK" for answer in answers]
        if name in ("CREATE", "RENAME") and all(ok):
            # Names above a new one may be mailboxes or only names.
            above = argument(command, 0 if name == "CREATE" else 1).split(b"/")[:-1]
            lines = [b"CREATE " + quoted(b"/".join(above[:at + 1])) for at in range(len(above)) if above[at]]
        elif name == "SUBSCRIBE" and ok[0] != ok[1]:
            lines = [b"UNSUBSCRIBE " + quoted(argument(command, 0))]
        else:
            return
        for line in lines:
            self.leveller.say(Command(line))

    def note_select(self, session, command, answers):
        session.mailbox = argument(command, 0)
        if session.mailbox.upper() == b"INBOX":
            session.mailbox = b"INBOX"
        codes = [{name: code_argument(answer, name) for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ")} for answer in answers]
        session.validity = int(codes[0][b"UIDVALIDITY"] or 0)
        if all(each[b"HIGHESTMODSEQ"] for each in codes):
            marks = self.world.marks.setdefault(session.mailbox, [])
            marks.append((Pair(*(each[b"UIDVALIDITY"] for each in codes)), Pair(*(each[b"HIGHESTMODSEQ"] for each in codes))))
            del marks[:-4]

    def note_titles(self, answer, name, title):
        found = code_argument(answer, name)
        if not found:
            return
        validity, *sets = found.split(b" ")
        sources = spread(sets[0])
        for at, (source, uid) in enumerate(zip(sources, spread(sets[-1]))):
            self.world.titles[int(validity), uid] = title(at, source)

    def catch_up(self, session):
        """Both tell what they still have to."""
        noop = Command(b"NOOP")
        answers = session.say(noop)
        self.log(session.number, noop, answers)
        for answer, view in zip(answers, session.views):
            facts(answer, view)
        session.is_stale = False
        return all(talk.is_open for talk in session.talks)

    def gone(self, session):
        """One of the two said BYE when it was to tell its news; both begin anew."""
        if any(talk.is_open for talk in session.talks):
            yield Difference(Command(b"NOOP"), "BYE", *(str(not talk.is_open) for talk in session.talks))
        session.close()
        session.connect()

    def settle(self, session, command):
        """Both tell what they still have to; then both views must be the same."""
        self.learn(session)
        if session.views[0].facts() != session.views[1].facts():
            yield Difference(command, "VIEW", "", "", rule="moment-of-news")
            if not self.catch_up(session):
                yield from self.gone(session)
                return
            self.learn(session)
        ours, theirs = (view.facts() for view in session.views)
        for place in sorted(set(ours) | set(theirs)):
            a, b = ours.get(place, ABSENT), theirs.get(place, ABSENT)
            if a != b:
                yield Difference(command, self.titled(session, command, place, a, b), *cut(text(meant(a)), text(meant(b))), traits=self.world.traits(session))
            elif isinstance(a, Free) and a.said != b.said:
                yield Difference(command, place, str(a.said), str(b.said), a.rule)
                self.is_over = self.is_over or place == "VIEW uids"
        # Said once is enough.
        session.has_recent_apart = session.has_recent_apart or session.views[0].recent != session.views[1].recent
        session.views[1].flags = dict(session.views[0].flags)
        session.views[1].recent = session.views[0].recent
        for view in session.views:
            view.unannounced = set()

    def learn(self, session):
        """Asks for UIDs and flags that were not told yet."""
        first = [view.first_unknown() for view in session.views]
        if not any(first):
            return
        command = Command(b"FETCH %d:* (UID FLAGS)" % min(n for n in first if n))
        answers = session.say(command)
        self.log(session.number, command, answers)
        for answer, view in zip(answers, session.views):
            facts(answer, view)


def argument(command, at):
    """An argument of a command on mailboxes, as the bytes it stands for."""
    line = b"".join(data for data, _ in command.sent(0)).replace(b"\r\n", b" ")
    found = [quoted if quoted or not atom else atom for quoted, atom in re.findall(rb'"((?:[^"\\]|\\.)*)"|([^\s"()]+)', line)]
    words = [re.sub(rb"\\(.)", rb"\1", word) for word in found if not re.fullmatch(rb"\{\d+\+?\}", word)]
    return words[at + 1] if at + 1 < len(words) else b""


def quoted(name):
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def code_argument(answer, name):
    for line in [pieces[0] for pieces in answer.untagged] + [answer.tagged]:
        found = re.search(rb"\[%s ([^\]]*)\]" % name, line)
        if found:
            return found[1]
    return None


def unasked_places(found, command, view):
    """Places of FETCH responses that are news: of messages that the command does not name, or items that it does not ask for."""
    named = command.named_uids(view)
    places = [(place, place.split(" ")[1], place.rpartition(" ")[2]) for place in found if place.startswith("FETCH ")]
    return {place for place, item, uid in places if not command.asks_for(item) or named is not None and uid not in named}


def names(found):
    """Those LIST or LSUB told, with that word before them."""
    return {place for place, value in found.items() if place.startswith(("LIST ", "LSUB ")) and isinstance(value, list)}


def unheld_names(ours, theirs):
    """Names that only one server lists, and says of that there is no mailbox."""
    return [name for name in sorted(names(ours) ^ names(theirs))
            if any("%s %s" % (name, attribute) in each for each in (ours, theirs) for attribute in ("\\noselect", "\\nonexistent"))]


def said(found):
    """Status and code of an answer, and what it says to people: how it was refused, or why there is none."""
    return "%s | %s" % (found["answer"], (found["text"].said or b"").decode("utf-8", "replace").strip())


def refused(found):
    return found["answer"] != "OK"


def meant(value):
    return value.meant if isinstance(value, Free) else value


def leaves(a, b, path):
    """Where two nested lists differ, as (path, ours, theirs)."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for at, (x, y) in enumerate(zip(a, b)):
            yield from leaves(x, y, "%s.%d" % (path, at) if path else str(at))
    elif a != b:
        yield path, text(a), text(b)


def text(value):
    if value is None:
        return "NIL"
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, list) and all(isinstance(each, (int, str)) for each in value):
        return "[%s]" % " ".join(map(str, value))
    return shown(value) if isinstance(value, (bytes, list)) else str(value)


def cut(a, b):
    """Long values shortened to where they begin to differ."""
    if max(len(a), len(b)) < 400:
        return a, b
    at = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    begin = max(0, at - 40)
    return tuple(each if len(each) < 100 else "%d…%s" % (len(each), each[begin:at + 200]) for each in (a, b))
