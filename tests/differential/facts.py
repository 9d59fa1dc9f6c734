"""An answer as facts that can be compared: a dictionary of places and values.

What the protocol leaves to a server is a `Free` value: what was said, and what
it means; meanings are compared, and where only what was said differs, a rule of
`differences.tsv` is named. What is news about the selected mailbox goes into
the view instead (`view.py`).
"""

import datetime
import re

import reply
from free import Free
from reply import Text, numbers, pairs

# Items of FETCH and STATUS, and response codes, whose value is the server's own: the rules for them.
OWN = {b"UIDVALIDITY": "uidvalidity-value", b"HIGHESTMODSEQ": "mod-sequence-values", b"MODSEQ": "mod-sequence-values", b"SAVEDATE": "save-date-clock"}
# A time so close to now is that of the server's clock.
NOW_SECONDS = 3600


def facts(answer, view):
    """The facts of an answer; the news in it is told to the view."""
    found = {"answer": answer.status, "text": Free("human-text", human(answer.tagged or farewell(answer)))}
    if answer.continued:
        found["continued"] = answer.continued
    if answer.further:
        found["further answers"] = [line.split(b" ")[1].decode() for line in answer.further]
    found["order"] = Free("order-of-responses", [kind(pieces) for pieces in answer.untagged])
    found["strings"] = Free("form-of-strings", forms(answer.untagged))
    for pieces in answer.untagged:
        try:
            untagged(reply.read(pieces) if not is_status(pieces[0]) else [], pieces, found, view)
        except (reply.Odd, IndexError, ValueError, TypeError, AttributeError) as odd:
            found["odd %r" % pieces] = str(odd)
    if answer.tagged and answer.status == "OK":
        tell_code("code", answer.tagged, found, view)
    elif answer.tagged and (values := reply.code(answer.tagged)):
        found["answer"] += " " + values[0].decode().upper()
    return found


def human(line):
    """What a status line says to people."""
    return re.sub(rb"\[[^\]]*\] ?", b"", line.split(b" ", 2)[2]) if line and line.count(b" ") > 1 else line


def farewell(answer):
    """The BYE of an answer without end, if there is one."""
    return next((pieces[0] for pieces in answer.untagged if pieces[0].upper().startswith(b"* BYE ")), None)


def kind(pieces):
    return [word for word in pieces[0].split()[1:3] if not word.isdigit()][:1]


def forms(untagged):
    """How many strings came quoted and how many as literals."""
    text = b"".join(piece for pieces in untagged for piece in pieces[::2])
    return [text.count(b'"') // 2, sum(len(pieces) // 2 for pieces in untagged)]


def is_status(text):
    return text.split(b" ", 2)[1].upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


def untagged(values, pieces, found, view):
    if not values:
        word = pieces[0].split(b" ", 2)[1].decode().upper()
        if not tell_code("untagged " + word, pieces[0], found, view) and word in ("NO", "BAD"):
            found["untagged " + word] = True
        return
    _, name, *rest = values
    if name.isdigit():
        news(int(name), rest, found, view)
    else:
        RESPONSES[name.upper()](rest, found, view)


def tell_code(place, line, found, view):
    """Notes the response code of a line, if it has one."""
    values = reply.code(line)
    if not values:
        return False
    name, *rest = values
    name = name.upper()
    if name == b"MAILBOXID":
        # Of an extension that only ours has (RFC 8474); the capabilities say so.
        return True
    if name == b"PERMANENTFLAGS":
        view.permanent = flags(rest[0])
        return True
    if name == b"CAPABILITY":
        value = Free("capabilities", rest)
    elif name in OWN:
        value = Free(OWN[name], rest)
    elif name == b"APPENDUID":
        value = Free("uidvalidity-value", rest[0], spread(rest[1]))
    elif name == b"COPYUID":
        value = Free("uidvalidity-value", rest[0], sorted(zip(spread(rest[1]), spread(rest[2]))))
    elif name == b"MODIFIED":
        value = sorted(numbers(rest[0]))
    else:
        value = shown(rest) or True
    if place.startswith("untagged OK"):
        place = "code"
    found["%s %s" % (place, name.decode())] = value
    return True


def spread(text_of_set):
    """A set of a server as a list, in its order."""
    found = []
    for part in text_of_set.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


def news(number, rest, found, view):
    """EXISTS, RECENT, EXPUNGE and FETCH."""
    name = rest[0].upper()
    if name == b"EXISTS":
        view.exists(number)
    elif name == b"RECENT":
        view.recent = number
    elif name == b"EXPUNGE":
        view.expunge(number)
    elif name == b"FETCH":
        fetched(view.learn(number, pairs(rest[1])), pairs(rest[1]), found)
    else:
        found["odd %r" % name] = number


def fetched(uid, items, found):
    for name, value in items.items():
        if name in (b"FLAGS", b"UID"):
            value = True
        elif name in OWN:
            value = Free(OWN[name], value)
        elif name in (b"BODY", b"BODYSTRUCTURE"):
            value = Free("case-of-media-types", value, structure(value))
        elif name == b"INTERNALDATE":
            value = date_time(value)
        elif name == b"PREVIEW":
            value = Free("preview-text", value)
        found.setdefault("FETCH %s of %s" % (name.decode(), uid), value)


def date_time(value):
    """INTERNALDATE: the server's own clock, unless APPEND gave another."""
    time = datetime.datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    ago = abs(datetime.datetime.now(datetime.timezone.utc) - time).total_seconds()
    return Free("internal-date-clock", value) if ago < NOW_SECONDS else Free("form-of-dates", value, time)


def structure(value):
    """BODYSTRUCTURE with the words that have no case in capitals (RFC 9051 §7.5.2)."""
    if not isinstance(value, list) or not value:
        return value
    if isinstance(value[0], list):
        parts = [structure(each) for each in value if isinstance(each, list) and each and isinstance(each[0], (list, Text)) and value.index(each) < subtype_at(value)]
        rest = value[subtype_at(value):]
        return [*parts, upper(rest[0]), *extensions(rest[1:])]
    kind, subtype, parameters, name, description, encoding, *rest = value
    made = [upper(kind), upper(subtype), parameter_list(parameters), name, description, upper(encoding)]
    if made[:2] == [b"MESSAGE", b"RFC822"] and len(rest) >= 4:
        made += [rest[0], rest[1], structure(rest[2]), rest[3]]
        return made + [rest[4] if len(rest) > 4 else None, *extensions(rest[5:])]
    plain = 2 if made[0] == b"TEXT" else 1
    made += rest[:plain]
    return made + [*rest[plain:plain + 1], *extensions(rest[plain + 1:])]


def subtype_at(value):
    return next(at for at, each in enumerate(value) if not isinstance(each, list))


def extensions(rest):
    """What stands behind the MD5 of a part or the subtype of a multipart: case of names only."""
    return [[parameter_list(part) if isinstance(part, list) else upper(part) for part in each] if isinstance(each, list) else each for each in rest]


def parameter_list(value):
    if not isinstance(value, list):
        return value
    return [upper(each) if at % 2 == 0 else each for at, each in enumerate(value)]


def upper(value):
    return Text(value.upper()) if isinstance(value, bytes) else value


def flags(values):
    return sorted(each.decode("utf-8", "replace").lower() for each in values)


def named(value):
    """A mailbox's name; INBOX in any case is one."""
    text = value.decode("utf-8", "replace") if value is not None else "NIL"
    return "INBOX" if text.upper() == "INBOX" else text


def listed(word):
    def tell(rest, found, _):
        attributes, separator, name, *more = rest
        place = "%s %s" % (word, named(name))
        told = set(flags(attributes))
        # \NonExistent says it already (RFC 9051 §7.3.1).
        meant = told - {"\\noselect"} if "\\nonexistent" in told else told
        found["attributes of " + place] = Free("order-of-attributes" if meant == told else "noselect-implied", attributes)
        for attribute in meant:
            found["%s %s" % (place, attribute)] = True
        found[place] = [separator, shown(more)]
    return tell


def status(rest, found, _):
    for item, value in pairs(rest[1]).items():
        found["STATUS %s %s" % (named(rest[0]), item.decode())] = Free(OWN[item], value) if item in OWN else int(value)


def search(rest, found, view):
    hits = [each for each in rest if not isinstance(each, list)]
    found["SEARCH"] = sorted(map(int, hits))
    if len(hits) < len(rest):
        found["SEARCH MODSEQ"] = True


def esearch(rest, found, view):
    if rest and isinstance(rest[0], list):
        found["ESEARCH TAG"] = rest.pop(0)[0].upper()
    if rest and rest[0].upper() == b"UID":
        found["ESEARCH UID"] = rest.pop(0).upper()
    found["ESEARCH"] = True
    for name, value in pairs(rest).items():
        value = sorted(numbers(value)) if name == b"ALL" else Free(OWN[name], value) if name in OWN else int(value)
        found["ESEARCH " + name.decode()] = value


def told_flags(rest, _, view):
    view.applicable = flags(rest[0])


def vanished(rest, found, view):
    earlier = isinstance(rest[0], list)
    gone = numbers(rest[-1])
    if earlier:
        found.setdefault("VANISHED EARLIER", set()).update(gone)
    else:
        view.vanish(gone)


def plain(word):
    def tell(rest, found, _):
        found[word] = shown(rest)
    return tell


def free(word, rule):
    def tell(rest, found, _):
        found[word] = Free(rule, rest)
    return tell


def enabled(rest, found, _):
    found["ENABLED"] = sorted(each.upper().decode() for each in rest)


def shown(values):
    """Values as text, for people and for the patterns of a rule."""
    if isinstance(values, list):
        return "(" + " ".join(map(shown, values)) + ")" if values else ""
    if isinstance(values, Text):
        return '"%s"' % values.decode("utf-8", "backslashreplace")
    return "NIL" if values is None else values.decode("utf-8", "backslashreplace") if isinstance(values, bytes) else str(values)


RESPONSES = {b"LIST": listed("LIST"), b"LSUB": listed("LSUB"), b"STATUS": status, b"SEARCH": search, b"ESEARCH": esearch, b"FLAGS": told_flags,
             b"VANISHED": vanished, b"CAPABILITY": free("CAPABILITY", "capabilities"), b"ENABLED": enabled, b"ID": free("ID", "identity"),
             b"NAMESPACE": plain("NAMESPACE"), b"QUOTA": free("QUOTA", "quota-roots"), b"QUOTAROOT": free("QUOTAROOT", "quota-roots")}
