"""An answer as facts that can be compared: a dictionary of places and values.

What the protocol leaves to a server is gone: tags, human text, how a string is
sent, the order of responses, of flags and of numbers, UIDVALIDITY, ids and
mod-sequences (of those, that they are there, and how they move). What is news
about the selected mailbox goes into the view instead (`view.py`).
"""

import reply
from reply import Text, numbers, pairs

# Response codes whose argument is the server's own: only that they come is compared.
OPAQUE = {b"UIDVALIDITY", b"HIGHESTMODSEQ", b"MAILBOXID"}
# Only one of the two servers has these, or they are free.
LEFT_OUT = {b"CAPABILITY", b"UIDNOTSTICKY"}
# Items of FETCH and STATUS whose value is the server's own.
OWN_ITEMS = {b"MODSEQ", b"EMAILID", b"THREADID", b"SAVEDATE", b"UIDVALIDITY", b"HIGHESTMODSEQ", b"MAILBOXID"}


def facts(answer, view):
    """The facts of an answer; the news in it is told to the view."""
    found = {"status": answer.status}
    if answer.continued:
        found["continued"] = answer.continued
    for pieces in answer.untagged:
        try:
            untagged(reply.read(pieces) if not is_status(pieces[0]) else [], pieces, found, view)
        except (reply.Odd, IndexError, ValueError, TypeError, AttributeError) as odd:
            found["odd %r" % pieces] = str(odd)
    if answer.tagged:
        tell_code("code", answer.tagged, found)
    return found


def is_status(text):
    return text.split(b" ", 2)[1].upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


def untagged(values, pieces, found, view):
    if not values:
        word = pieces[0].split(b" ", 2)[1].decode().upper()
        if not tell_code("untagged " + word, pieces[0], found) and word in ("NO", "BAD", "BYE"):
            found["untagged " + word] = True
        return
    _, name, *rest = values
    if name.isdigit():
        news(int(name), rest, found, view)
    else:
        RESPONSES[name.upper()](rest, found, view)


def tell_code(place, line, found):
    """Notes the response code of a line, if it has one."""
    values = reply.code(line)
    if not values or values[0].upper() in LEFT_OUT:
        return False
    name, *rest = values
    name = name.upper()
    if name == b"PERMANENTFLAGS":
        value = flags(rest[0])
    elif name == b"APPENDUID":
        value = sorted(numbers(rest[1]))
    elif name == b"COPYUID":
        value = [sorted(numbers(rest[1])), sorted(numbers(rest[2]))]
    elif name == b"MODIFIED":
        value = sorted(numbers(rest[0]))
    else:
        value = True if name in OPAQUE else shown(rest) or True
    if place.startswith("untagged OK"):
        place = "code"
    found["%s %s" % (place, name.decode())] = value
    return True


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
        name = name.decode()
        if name == "FLAGS" or name.encode() in OWN_ITEMS or name == "UID":
            value = True
        elif name in ("BODY", "BODYSTRUCTURE"):
            value = structure(value)
        place = "FETCH %s of %s" % (name, uid)
        found.setdefault(place, value)


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
        for attribute in flags(attributes):
            found["%s %s" % (place, attribute)] = True
        found[place] = [separator, shown(more)]
    return tell


def status(rest, found, _):
    for item, value in pairs(rest[1]).items():
        found["STATUS %s %s" % (named(rest[0]), item.decode())] = True if item in OWN_ITEMS else int(value)


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
        value = sorted(numbers(value)) if name == b"ALL" else True if name == b"MODSEQ" else int(value)
        found["ESEARCH " + name.decode()] = value


def told_flags(rest, _, view):
    view.applicable = set(flags(rest[0]))


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
             b"VANISHED": vanished, b"CAPABILITY": lambda *_: None, b"ENABLED": enabled, b"ID": lambda rest, found, _: found.update({"ID": True}),
             b"NAMESPACE": plain("NAMESPACE"), b"QUOTA": plain("QUOTA"), b"QUOTAROOT": plain("QUOTAROOT")}
