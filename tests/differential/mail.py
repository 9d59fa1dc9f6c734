"""The messages: those of tests/corpus that are not huge, in an order by seed.

Nor those with a CR or LF alone: Dovecot makes lines of them as it stores, so
that from there on each server answers for other bytes. `tests/clients` asks
whether ours come back.
"""

import email
import email.policy
import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_BYTES = 20_000
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


DEEP = 40
ADDRESSES = ("from", "sender", "reply-to", "to", "cc", "bcc")
KINDS = {"date": "odd-date", **dict.fromkeys(ADDRESSES, "odd-address")}
POLICY = email.policy.default
DATE = re.compile(r"(?i)((mon|tue|wed|thu|fri|sat|sun), +)?\d{1,2} +(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) +\d{4} +\d\d:\d\d(:\d\d)? +[+-]\d{4}( +\(.*\))?")


def traits(name, data):
    """What about it the standards leave to whoever reads it; Python's parser is the judge of what is malformed, besides the corpus itself."""
    found = {"bad"} if "-bad-" in name else set()
    if b"\0" in data:
        found.add("nul")
    if any(byte > 127 for byte in re.split(rb"\r\n\r\n", data, maxsplit=1)[0]):
        found.add("8bit-head")
    if re.search(rb"(?i)charset=\"?(cp850|utf-7|hz-gb-2312|iso-2022-kr)\b", data):
        found.add("rare-charset")
    if re.search(rb"(?i)\w\*\d*\*?=", data):
        found.add("coded-parameter")
    if re.search(rb"(?i)content-type:\s*message/", data):
        found.add("encapsulated")
    if not re.search(rb"(?im)^date:", data.partition(b"\r\n\r\n")[0]):
        found.add("no-date")
    found |= oddities(email.message_from_bytes(data, policy=POLICY), 0)
    return sorted(found)


def oddities(part, depth):
    """Traits of a part and of the parts in it."""
    found = {"odd-mime"} if part.defects else set()
    names = [name.lower() for name, _ in part.raw_items()]
    found |= {"repeated-field" for name in (*ADDRESSES, "date", "subject", "content-type") if names.count(name) > 1}
    for name, value in part.raw_items():
        if is_odd(name, value) or name.lower() == "date" and not DATE.fullmatch(value.strip()) or name.lower() in ADDRESSES and "\\\r\n" in value:
            found.add(KINDS.get(name.lower(), "odd-mime" if name.lower().startswith("content-") else "odd-head"))
    if depth > DEEP:
        return found | {"deep"}
    parts = part.get_payload() if isinstance(part.get_payload(), list) else ()
    return found.union(*(oddities(each, depth + 1) for each in parts))


def is_odd(name, value):
    try:
        return bool(POLICY.header_fetch_parse(name, value).defects)
    except AttributeError:
        return False
    except Exception:  # Its parser has no one error for what it cannot read.
        return True


# The bytes of each by its title.
CASES = {}


def make():
    """Writes the messages, once for all seeds."""
    subprocess.run([sys.executable, str(ROOT / "tests/corpus/make.py")], check=True, stdout=subprocess.DEVNULL)


class Mail:
    """Gives one message after another; each has a title: its file's name and its traits."""

    def __init__(self, seed):
        files = sorted((ROOT / "target/corpus/generated").glob("*.eml"))
        read = [(file.stem, file.read_bytes()) for file in files]
        self.cases = [("%s [%s]" % (stem, " ".join(traits(stem, data))), data) for stem, data in read if 0 < len(data) <= MOST_BYTES and not BARE.search(data)]
        CASES.update(self.cases)
        random.Random(seed).shuffle(self.cases)
        self.at = 0

    def next(self, world):
        """The bytes of the next message; the world is told its title."""
        title, data = self.cases[self.at % len(self.cases)]
        self.at += 1
        world.sent.append(title)
        return data
