#!/usr/bin/env python3
"""The whole corpus goes in by APPEND and by LMTP, and must come out byte for byte.

Messages with NUL go in as literal8 (imaplib sends the bytes as they are). What
comes out is compared with what went in; ENVELOPE, BODYSTRUCTURE and a search
are asked of every message, so that no message of the corpus breaks a session.
IMAPClient reads those, since it parses them.
"""

import imaplib
import pathlib
import subprocess
import sys

import imapclient
from client import check, lmtp, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
imaplib._MAXLINE = 100_000_000
MALFORMED_MIN = 300


def corpus():
    """(name, bytes) of the generated corpus, and of the collected one where it was collected."""
    generated = ROOT / "target/corpus/generated"
    subprocess.run([sys.executable, str(ROOT / "tests/corpus/make.py")], check=True, stdout=subprocess.DEVNULL)
    files = sorted(generated.glob("*.eml"))
    collected = ROOT / "target/corpus/collected"
    files += sorted(p for p in collected.rglob("*") if p.is_file() and p.name != "MANIFEST.tsv")
    for file in files:
        data = file.read_bytes()
        yield file.name, data


def appendable(server):
    # An empty literal is an error by RFC 9051 §6.3.12.
    return [(n, d) for n, d in corpus() if d]


def login(server):
    m = imaplib.IMAP4(server.host, server.imap_port)
    m.login(server.user, server.password)
    return m


@check("BINARY", "LITERAL+")
def append_everything(server):
    m = login(server)
    m.create("corpus")
    refused = []
    for name, data in appendable(server):
        tag = m._new_tag()
        m.send(b"%s APPEND corpus %s{%d+}\r\n" % (tag, b"~" if b"\0" in data else b"", len(data)) + data + b"\r\n")
        typ, text = m._command_complete("APPEND", tag)
        if typ != "OK":
            refused.append((name, text))
    assert not refused, "%d refused, such as %s" % (len(refused), refused[:3])


@check()
def every_byte_comes_back(server):
    m = login(server)
    m.select("corpus", readonly=True)
    messages = appendable(server)
    assert int(m.response("EXISTS")[1][0]) == len(messages)
    differ = []
    for i, (name, data) in enumerate(messages, 1):
        typ, got = m.fetch(str(i), "(RFC822.SIZE BODY.PEEK[])")
        part = next(p for p in got if isinstance(p, tuple))
        want = data.replace(b"\0", b"\x80")
        if part[1] != want:
            differ.append((name, len(part[1]), len(want)))
    assert not differ, "%d of %d differ, such as %s" % (len(differ), len(messages), differ[:5])


@check()
def structures_of_everything(server):
    m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False)
    m.login(server.user, server.password)
    m.select_folder("corpus", readonly=True)
    odd = []
    for uid in m.search():
        try:
            m.fetch([uid], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"])
            m.fetch([uid], ["BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-LONG)]"])
        except OverflowError:
            # IMAPClient's own limit: a date whose zone or year does not fit its datetime.
            continue
        except Exception as error:
            odd.append((uid, repr(error)[:120]))
            m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False)
            m.login(server.user, server.password)
            m.select_folder("corpus", readonly=True)
    assert not odd, "%d messages, such as %s" % (len(odd), odd[:6])


@check()
def header_and_text_make_the_whole(server):
    m = login(server)
    m.select("corpus", readonly=True)
    bad = []
    for i, (name, data) in enumerate(appendable(server), 1):
        parts = [p[1] for p in m.fetch(str(i), "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])")[1] if isinstance(p, tuple)]
        # An empty part may come as a quoted string, which imaplib does not separate.
        if len(parts) == 2 and b"".join(parts) != data.replace(b"\0", b"\x80"):
            bad.append(name)
    assert not bad, "%d, such as %s" % (len(bad), bad[:5])


@check()
def searches_over_everything(server):
    m = login(server)
    m.select("corpus", readonly=True)
    for criterion in (("TEXT", "grüße"), ("SUBJECT", "grüße"), ("BODY", "日本語"), ("FROM", "example"), ("HEADER", "X-Long", "zzz")):
        m.literal = criterion[-1].encode()
        typ, got = m.search("UTF-8", *criterion[:-1])
        assert typ == "OK" and got[0] is not None, criterion
    assert m.search(None, "SENTSINCE", "1-Jan-1990")[0] == "OK"


def odd_ones():
    """Malformed messages as LMTP can carry them: ended by CRLF, with no way to say otherwise."""
    odd = [(n, d) for n, d in corpus() if "bad-" in n or "nul" in n]
    assert len(odd) >= MALFORMED_MIN
    return [(n, d if d.endswith(b"\r\n") else d + b"\r\n") for n, d in odd]


@check()
def threat_30_deliver_odd_ones_by_lmtp(server):
    m = login(server)
    before = int(m.select()[1][0])
    refused = []
    for name, data in odd_ones():
        answer = lmtp(server, [server.user], data)
        if not answer[0].startswith("250"):
            refused.append((name, answer))
    assert not refused, "%d refused, such as %s" % (len(refused), refused[:3])
    count = len(odd_ones())
    assert int(m.select()[1][0]) == before + count
    for i in range(before + 1, before + count + 1):
        assert m.fetch(str(i), "(ENVELOPE BODYSTRUCTURE BODY.PEEK[])")[0] == "OK"


@check()
def threat_30_delivered_bytes_are_kept(server):
    m = login(server)
    odd = odd_ones()
    first = int(m.select()[1][0]) - len(odd) + 1
    bad = []
    for i, (name, data) in enumerate(odd, first):
        part = next(p for p in m.fetch(str(i), "BODY.PEEK[]")[1] if isinstance(p, tuple))
        if not part[1].endswith(data.replace(b"\0", b"\x80")):
            bad.append(name)
    assert not bad, "%d, such as %s" % (len(bad), bad[:5])


if __name__ == "__main__":
    main()
