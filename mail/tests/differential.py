#!/usr/bin/env python3
"""Compares the part trees that the structure indexer and Python's email package find.

    cargo build --release -p mail --example structure
    mail/tests/differential.py target/release/examples/structure FILE_OR_DIRECTORY...

For each message: kinds and types of all parts, and the bytes of the leaves. Prints the messages
that differ and one line of totals. Python reads some malformed messages in another way on
purpose (a line without a colon ends a header there, a boundary must fill its line), so files
named `bad-` only have to be read without failing.
"""

import email
import json
import pathlib
import subprocess
import sys


def flat(text):
    """Line ends do not count, nor do those at the end, which Python gives to the boundary."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n")


def python_tree(part):
    kind = part.get_content_type()
    if part.is_multipart():
        return [kind, [python_tree(child) for child in part.get_payload()]]
    # get_payload() would convert to Unicode by the charset of the part.
    return [kind, flat(part._payload or "")]


def our_tree(part, message):
    if part["kind"] == "leaf":
        start, end = part["body"]
        return [part["type"], flat(message[start:end])]
    return [part["type"], [our_tree(child, message) for child in part["parts"]]]


def files(paths):
    for path in map(pathlib.Path, paths):
        yield from sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".tsv") if path.is_dir() else [path]


def main(program, paths):
    same = different = malformed = 0
    for path in files(paths):
        message = path.read_bytes()
        out = subprocess.run([program], input=message, stdout=subprocess.PIPE, check=True).stdout
        ours = our_tree(json.loads(out), message)
        try:
            theirs = python_tree(email.message_from_bytes(message))
        except Exception as error:  # Python fails on some messages: that is no difference.
            print(f"{path}: Python fails: {error!r}")
            continue
        if "bad-" in path.name:
            malformed += 1
        elif ours == theirs:
            same += 1
        else:
            different += 1
            print(path, "\n  ours  ", str(ours)[:300], "\n  theirs", str(theirs)[:300])
    print(f"{same} the same, {different} different, {malformed} malformed read without failing")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
