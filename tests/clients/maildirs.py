"""Maildirs as the syncing clients keep them: made, changed by a seed, compared."""

import pathlib
import random
import re
import time

FLAGS = {"S": b"\\Seen", "R": b"\\Answered", "F": b"\\Flagged", "D": b"\\Draft"}
# mbsync marks what it uploads, so that it can find it again; the mark is no part of the message.
MARK = re.compile(rb"^X-(TUID|OfflineIMAP)[^\n]*\n", re.M)


def make(root, folders, count, seed):
    """`count` messages spread evenly over the folders, of every size and several charsets."""
    rng = random.Random(seed)
    for number in range(count):
        folder = pathlib.Path(root) / folders[number % len(folders)]
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "cur" / name(number, rng)).write_bytes(message(number, rng))


def name(number, rng):
    flags = "".join(sorted(f for f in FLAGS if rng.random() < 0.3))
    return "%d.M%dP1.localhost:2,%s" % (1_000_000_000 + number, number, flags)


def message(number, rng):
    body = "".join("%s\n" % " ".join(rng.choice(("mail", "grüße", "東京", ".", "From x", "data", "=20")) for _ in range(rng.randint(1, 15)))
                   for _ in range(rng.choice((0, 1, 10, 100, 400))))
    return ("From: u%d@example.org\nTo: me@example.org\nSubject: number %d\nMessage-ID: <%d@maildir.example>\nDate: Mon, 7 Feb 1994 21:52:25 -0800\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s" % (number, number, number, body)).encode()


def files(root, folder):
    for part in ("cur", "new"):
        yield from (pathlib.Path(root) / folder / part).glob("*")


def contents(root, folders):
    """{(folder, Message-ID): (flags, bytes)} of a Maildir."""
    out = {}
    for folder in folders:
        for file in files(root, folder):
            data = MARK.sub(b"", file.read_bytes().replace(b"\r\n", b"\n"))
            flags = "".join(sorted(set(file.name.partition(":2,")[2]) & set(FLAGS)))
            key = (folder, re.search(rb"^Message-ID: (\S+)", data, re.M).group(1))
            assert key not in out, "twice in %s: %s" % (root, key)
            out[key] = (flags, data)
    return out


def on_server(m, folders):
    """The same of an imaplib connection."""
    out = {}
    letters = {v.lower(): k for k, v in FLAGS.items()}
    for folder in folders:
        typ, exists = m.select('"%s"' % folder, readonly=True)
        assert typ == "OK", (folder, exists)
        if exists == [b"0"]:
            continue
        for part in m.fetch("1:*", "(FLAGS BODY.PEEK[])")[1]:
            if not isinstance(part, tuple):
                continue
            flags = re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).lower().split()
            data = MARK.sub(b"", part[1].replace(b"\r\n", b"\n"))
            key = (folder, re.search(rb"^Message-ID: (\S+)", data, re.M).group(1))
            assert key not in out, "twice on the server: %s" % (key,)
            out[key] = ("".join(sorted(letters[f] for f in flags if f in letters)), data)
    return out


def change(root, folders, rng, flags, deletions, additions, first):
    """Turns flags of some messages, deletes some, adds some, as a mail program would."""
    everything = sorted(f for folder in folders for f in files(root, folder))
    for file in rng.sample(everything, flags):
        base, _, now = file.name.partition(":2,")
        turned = "".join(sorted(set(now) ^ {rng.choice("SRF")}))
        file.rename(file.parent.parent / "cur" / (base + ":2," + turned))
    everything = sorted(f for folder in folders for f in files(root, folder))
    for file in rng.sample(everything, deletions):
        base, _, now = file.name.partition(":2,")
        file.rename(file.parent.parent / "cur" / (base + ":2," + "".join(sorted(set(now) | {"T"}))))
    for number in range(first, first + additions):
        folder = pathlib.Path(root) / rng.choice(folders)
        (folder / "new" / ("%d.M%dP2.localhost" % (time.time_ns() // 1000, number))).write_bytes(message(number, rng))


def difference(one, other):
    """A short account of how two contents differ; empty if they do not."""
    missing, extra = one.keys() - other.keys(), other.keys() - one.keys()
    flags = [k for k in one.keys() & other.keys() if one[k][0] != other[k][0]]
    bytes_ = [k for k in one.keys() & other.keys() if one[k][1] != other[k][1]]
    if not (missing or extra or flags or bytes_):
        return ""
    return "%d missing, %d extra, %d other flags, %d other bytes, such as %s" % (
        len(missing), len(extra), len(flags), len(bytes_), ([*missing, *extra, *bytes_] or [(k, one[k][0], other[k][0]) for k in flags])[:3])
