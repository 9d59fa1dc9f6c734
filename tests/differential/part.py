"""Which parts a message has, as Python's parser sees it (RFC 9051 §6.4.5.1)."""

import email
import re

from mail import CASES, POLICY


def lacks(place):
    """Whether the message that a place is about has no such part, or none that has a header and a text of its own."""
    path, text = re.match(r"FETCH B\w+(?:\.SIZE)?\[([\d.]+?)\.?([A-Z].*)?\]", place).groups()
    kind = find(place, path)
    return kind == "absent" or kind != "message" and (text or "MIME") != "MIME"


def is_composite(place):
    """Whether it is about a part made of parts."""
    return find(place, re.match(r"FETCH B\w+(?:\.SIZE)?\[([\d.]+)", place)[1]) in ("message", "multipart")


def find(place, path):
    """`absent`, or what the part is: `leaf`, `multipart` or `message`."""
    data = CASES.get(place.rpartition(" of ")[2])
    if data is None:
        return "unknown"
    part, is_message = email.message_from_bytes(data, policy=POLICY), True
    for number in map(int, path.split(".")):
        if not is_message and kind(part) == "message":
            part, is_message = part.get_payload(0), True
        if kind(part) == "multipart":
            children = part.get_payload()
            if number > len(children):
                return "absent"
            part = children[number - 1]
        elif not is_message or number != 1:
            return "absent"
        is_message = False
    return kind(part)


def kind(part):
    if not isinstance(part.get_payload(), list):
        return "leaf"
    return "message" if part.get_content_type() in ("message/rfc822", "message/global") else "multipart" if part.get_content_maintype() == "multipart" else "leaf"


def holds(place, word):
    """Whether the message that a place is about has these bytes, in any case."""
    return word in CASES.get(place.rpartition(" of ")[2], b"").lower()
