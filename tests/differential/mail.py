"""The messages: those of tests/corpus that are not huge, in an order by seed.

Nor those with a CR or LF alone: Dovecot makes lines of them as it stores, so
that from there on each server answers for other bytes. `tests/clients` asks
whether ours come back.
"""

import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_BYTES = 20_000
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def traits(data):
    """What about its bytes two servers may treat differently."""
    head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    found = []
    if b"\0" in data:
        found.append("nul")
    if any(byte > 127 for byte in head):
        found.append("8bit-head")
    return found


class Mail:
    """Gives one message after another; each has a title: its file's name and its traits."""

    def __init__(self, seed):
        subprocess.run([sys.executable, str(ROOT / "tests/corpus/make.py")], check=True, stdout=subprocess.DEVNULL)
        files = sorted((ROOT / "target/corpus/generated").glob("*.eml"))
        read = [(file.stem, file.read_bytes()) for file in files]
        self.cases = [("%s [%s]" % (stem, " ".join(traits(data))), data) for stem, data in read if 0 < len(data) <= MOST_BYTES and not BARE.search(data)]
        random.Random(seed).shuffle(self.cases)
        self.at = 0

    def next(self, world):
        """The bytes of the next message; the world is told its title."""
        title, data = self.cases[self.at % len(self.cases)]
        self.at += 1
        world.sent.append(title)
        return data
