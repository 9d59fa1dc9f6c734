#!/usr/bin/env python3
"""Python's own imaplib against the server.

imaplib knows RFC 3501 commands; newer ones go through its generic command
facility (`any_command`), with imaplib's parser reading what comes back. So the
framing, the tagging and the literals are those of a client that is not ours.
"""

import base64
import imaplib
import os
import pathlib
import re
import ssl
import tempfile
import time

import server as servers
from client import check, lmtp, main, message

# imaplib refuses lines over 1 MB, which a long FETCH of odd mail may have.
imaplib._MAXLINE = 10_000_000


def connect(server, login=True):
    m = imaplib.IMAP4(server.host, server.imap_port, timeout=30)
    if login:
        m.login(server.user, server.password)
    return m


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def any_command(m, name, *arguments, literal=None):
    """A command that imaplib has no method for: (OK/NO, its text, untagged data by type)."""
    imaplib.Commands.setdefault(name, ("NONAUTH", "AUTH", "SELECTED"))
    m.untagged_responses = {}
    m.literal = literal
    typ, data = m._simple_command(name, *arguments)
    return typ, (data[0] or b"").decode("utf-8", "replace"), dict(m.untagged_responses)


def must(m, name, *arguments, literal=None):
    typ, text, untagged = any_command(m, name, *arguments, literal=literal)
    assert typ == "OK", "%s %s: %s %s" % (name, arguments, typ, text)
    return untagged


def sent_at_once(m, rest):
    """Sends a whole command, non-synchronising literals and all; waits for its tag."""
    tag = m._new_tag()
    m.untagged_responses = {}
    m.send(tag + b" " + rest)
    typ, data = m._command_complete(rest[:20], tag)
    return typ, (data[0] or b"").decode(), dict(m.untagged_responses)


def fresh(m, name, count=0, subject="message %d"):
    """An empty mailbox of that name, with `count` messages, selected."""
    m.delete(name)
    ok(m.create(name))
    for i in range(count):
        ok(m.append(name, None, None, message(subject % (i + 1) if "%d" in subject else subject)))
    ok(m.select(name))


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def capabilities(m):
    return set(ok(m.capability())[0].decode().upper().split())


@check("IMAP4rev1")
def login_and_logout(server):
    m = connect(server)
    ok(m.noop())
    assert m.logout()[0] == "BYE"


@check()
def wrong_password(server):
    m = connect(server, login=False)
    for user, password in ((server.user, "wrong"), ("nobody-here@localhost", "wrong")):
        try:
            m.login(user, password)
        except imaplib.IMAP4.error as error:
            assert "not selected" not in str(error)
        else:
            raise AssertionError("logged in")
    m.login(server.user, server.password)


@check("AUTH=PLAIN")
def authenticate_plain(server):
    m = connect(server, login=False)
    assert "AUTH=PLAIN" in capabilities(m)
    ok(m.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (server.user, server.password)).encode()))
    ok(m.select())


@check("SASL-IR")
def authenticate_with_initial_response(server):
    m = connect(server, login=False)
    assert "SASL-IR" in capabilities(m)
    secret = base64.b64encode(("\0%s\0%s" % (server.user, server.password)).encode()).decode()
    must(m, "AUTHENTICATE", "PLAIN", secret)
    m.state = "AUTH"
    ok(m.select())


@check("STARTTLS")
def starttls(server):
    m = connect(server, login=False)
    assert "STARTTLS" in capabilities(m)
    ok(m.starttls(trusting()))
    assert "STARTTLS" not in capabilities(m)
    m.login(server.user, server.password)
    ok(m.select())


@check("LOGINDISABLED", "STARTTLS")
def login_disabled_before_tls(server):
    with tempfile.TemporaryDirectory(prefix="imaplib-") as directory:
        os.chmod(directory, 0o755)
        other = servers.start(server.kind, pathlib.Path(directory) / "server", [server.user], {"Imap": {"AllowPlaintextAuth": "Never"}})
        try:
            m = connect(other, login=False)
            have = capabilities(m)
            assert "LOGINDISABLED" in have and "STARTTLS" in have and "AUTH=PLAIN" not in have, have
            secret = base64.b64encode(("\0%s\0%s" % (server.user, server.password)).encode()).decode()
            for line in (b'LOGIN someone "right or wrong"', b"AUTHENTICATE PLAIN " + secret.encode()):
                typ, text, _ = sent_at_once(m, line + b"\r\n")
                assert typ == "NO" and "PRIVACYREQUIRED" in text.upper(), (line, typ, text)
            ok(m.starttls(trusting()))
            assert "LOGINDISABLED" not in capabilities(m)
            m.login(server.user, server.password)
        finally:
            other.stop()


@check("AUTH=PLAIN")
def implicit_tls(server):
    m = imaplib.IMAP4_SSL(server.host, server.imaps_port, ssl_context=trusting())
    assert "STARTTLS" not in capabilities(m)
    m.login(server.user, server.password)
    ok(m.select())
    m.logout()


@check()
def every_capability_is_the_promised_one(server):
    m = connect(server)
    have = capabilities(m)
    want = ("IMAP4REV2 IMAP4REV1 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE ESEARCH SEARCHRES BINARY LIST-EXTENDED "
            "LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE MULTIAPPEND UTF8=ACCEPT CONDSTORE QRESYNC REPLACE PARTIAL "
            "INPROGRESS UIDBATCHES UIDONLY OBJECTID SAVEDATE PREVIEW WITHIN QUOTA "
            "QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX XLIST").split()
    missing = [w for w in want if w not in have]
    assert not missing, "missing " + " ".join(missing)
    assert any(re.fullmatch(r"APPENDLIMIT=\d+", c) for c in have)


@check()
def append_and_fetch_bytes(server):
    m = connect(server)
    fresh(m, "bytes")
    odd = [b"\r\n", message(body="x" * 100_000 + "\r\n"), message(body="." * 3 + "\r\n"), b"\xff\xfe 8-bit\r\n\r\n\xe4\r\n", message(body="no end")]
    for data in odd:
        ok(append_raw(m, "bytes", data))
    ok(m.select("bytes"))
    for i, data in enumerate(odd, 1):
        got = ok(m.fetch(str(i), "(UID BODY.PEEK[] RFC822.SIZE)"))
        assert got[0][1] == data, "message %d differs" % i
        assert b"RFC822.SIZE %d" % len(data) in b" ".join(p if isinstance(p, bytes) else p[0] for p in got)


def append_raw(m, mailbox, data):
    """imaplib's append() rewrites line ends; this one sends the bytes as they are."""
    m.literal = data
    return m._simple_command("APPEND", mailbox)


@check()
def internal_date_and_flags(server):
    m = connect(server)
    fresh(m, "dates")
    ok(m.append("dates", "(\\Seen \\Flagged $Label1)", '"17-Jul-1996 02:44:25 -0700"', message()))
    ok(m.select("dates"))
    line = ok(m.fetch("1", "(FLAGS INTERNALDATE)"))[0]
    assert imaplib.Internaldate2tuple(line) is not None and time.mktime(imaplib.Internaldate2tuple(line)) == 837596665
    flags = set(f.lower() for f in imaplib.ParseFlags(line))
    assert {b"\\seen", b"\\flagged", b"$label1"} <= flags, flags


@check()
def store_search_and_expunge(server):
    m = connect(server)
    fresh(m, "store", 5)
    ok(m.store("2,4", "+FLAGS", "(\\Deleted)"))
    assert ok(m.search(None, "DELETED"))[0].split() == [b"2", b"4"]
    ok(m.store("2", "-FLAGS.SILENT", "(\\Deleted)"))
    assert ok(m.search(None, "DELETED"))[0] == b"4"
    ok(m.store("1", "FLAGS", "(\\Answered custom)"))
    assert ok(m.search(None, "KEYWORD", "custom"))[0] == b"1"
    assert ok(m.search(None, "OR", "ANSWERED", "DELETED"))[0].split() == [b"1", b"4"]
    assert ok(m.search(None, "SUBJECT", '"message 3"', "NOT", "DELETED", "SMALLER", "100000"))[0] == b"3"
    assert ok(m.expunge()) == [b"4"]
    assert ok(m.search(None, "ALL"))[0].split() == [b"1", b"2", b"3", b"4"]


@check()
def search_with_charset_literal(server):
    m = connect(server)
    fresh(m, "charset")
    ok(m.append("charset", None, None, message("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=")))
    ok(m.select("charset"))
    m.literal = "grüße".encode()
    assert ok(m.search("UTF-8", "SUBJECT"))[0] == b"1"
    typ, text, _ = any_command(m, "SEARCH", "CHARSET", "X-NOWHERE", "ALL")
    assert typ == "NO" and "BADCHARSET" in text.upper(), text


@check()
def fetch_every_item(server):
    m = connect(server)
    fresh(m, "items")
    body = ('--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--b--\r\n')
    ok(m.append("items", None, None, message(body=body, MIME_Version="1.0", Content_Type="multipart/mixed; boundary=b")))
    ok(m.select("items"))
    for item in ("ALL", "FAST", "FULL", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.SIZE", "(UID FLAGS INTERNALDATE)"):
        assert ok(m.fetch("1", item))[0], item
    for item, want in (("RFC822.TEXT", body), ("BODY.PEEK[TEXT]", body), ("BODY.PEEK[1]", "one"), ("BODY.PEEK[1.MIME]", "Content-Type: text/plain\r\n\r\n"),
                       ("BODY.PEEK[2.HEADER]", "Subject: in\r\n\r\n"), ("BODY.PEEK[2.1]", "inner"), ("BODY.PEEK[TEXT]<2.4>", body[2:6]),
                       ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "Subject: test\r\n\r\n")):
        got = ok(m.fetch("1", item))[0]
        assert got[1].decode() == want, (item, got)
    assert b"\\Seen" in ok(m.fetch("1", "FLAGS"))[0], "RFC822.TEXT sets \\Seen"
    assert b"Subject" not in ok(m.fetch("1", "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]"))[0][1]


@check()
def mailbox_names(server):
    m = connect(server)
    for name in ('"with space"', '"Entw&APw-rfe"', '"a/b/c"', '"quo\\"te"'):
        m.delete(name)
        ok(m.create(name))
        assert any(name.strip('"').replace('\\"', '"').encode() in (l if isinstance(l, bytes) else l[1]).replace(b'\\"', b'"') for l in ok(m.list())), name
    ok(m.rename('"a/b/c"', '"a/b/d"'))
    assert ok(m.list('""', '"a/b/d"'))[0]
    ok(m.delete('"a/b/d"'))
    ok(m.subscribe('"with space"'))
    assert any(b"with space" in l for l in ok(m.lsub()))
    ok(m.unsubscribe('"with space"'))
    assert m.create("INBOX")[0] == "NO" and m.delete("INBOX")[0] == "NO"
    assert m.select('"no such mailbox"')[0] == "NO"


@check("CHILDREN")
def children(server):
    m = connect(server)
    for name in ("kids/one",):
        m.delete(name)
        m.delete("kids")
        ok(m.create("kids"))
        ok(m.create(name))
    lines = b"\n".join(ok(m.list('""', '"kids*"'))).lower()
    assert b"\\haschildren" in lines and b"\\hasnochildren" in lines, lines


@check("NAMESPACE")
def namespace(server):
    m = connect(server)
    text = ok(m.namespace())[0]
    assert b'"/"' in text and text.upper().endswith(b"NIL NIL"), text


@check("UNSELECT")
def unselect(server):
    m = connect(server)
    fresh(m, "unselect", 1)
    ok(m.store("1", "+FLAGS", "(\\Deleted)"))
    must(m, "UNSELECT")
    m.state = "AUTH"
    assert ok(m.select("unselect")) == [b"1"]
    ok(m.close())
    assert ok(m.select("unselect")) == [b"0"]


@check("UIDPLUS")
def uidplus(server):
    m = connect(server)
    fresh(m, "plus")
    m.delete("plus2")
    ok(m.create("plus2"))
    uids = []
    for _ in range(4):
        text = ok(m.append("plus", None, None, message()))[0].decode()
        uids.append(re.search(r"\[APPENDUID (\d+) (\d+)\]", text).group(2))
    ok(m.select("plus"))
    typ, text, _ = any_command(m, "UID", "COPY", "%s,%s" % (uids[0], uids[2]), "plus2")
    assert re.search(r"\[COPYUID \d+ %s,%s \d+(:|,)\d+\]" % (uids[0], uids[2]), text), text
    ok(m.store("1:*", "+FLAGS", "(\\Deleted)"))
    ok(m.uid("EXPUNGE", uids[1]))
    assert ok(m.uid("SEARCH", None, "ALL"))[0].decode().split() == [uids[0], uids[2], uids[3]]


@check("MOVE")
def move(server):
    m = connect(server)
    fresh(m, "move", 3)
    m.delete("move2")
    ok(m.create("move2"))
    untagged = must(m, "MOVE", "1,3", "move2")
    assert untagged.get("EXPUNGE") in ([b"3", b"1"], [b"1", b"2"]), untagged
    assert b"COPYUID" in b" ".join(untagged.get("OK", [b""])) or "COPYUID" in untagged, untagged
    assert ok(m.select("move2")) == [b"2"]
    must(m, "UID", "MOVE", "1:*", "move")
    assert ok(m.select("move")) == [b"3"]
    assert any_command(m, "MOVE", "1", "nowhere-at-all")[1].upper().find("TRYCREATE") >= 0


@check("ESEARCH")
def esearch(server):
    m = connect(server)
    fresh(m, "esearch", 7)
    ok(m.store("3", "+FLAGS", "(\\Deleted)"))
    got = must(m, "SEARCH", "RETURN (MIN MAX COUNT ALL)", "UNDELETED")["ESEARCH"][0].decode()
    assert re.search(r"MIN 1\b", got) and re.search(r"MAX 7\b", got) and re.search(r"COUNT 6\b", got) and "ALL 1:2,4:7" in got, got
    got = must(m, "UID", "SEARCH RETURN (COUNT)", "DELETED")["ESEARCH"][0].decode()
    assert " UID " in got and "COUNT 1" in got, got
    got = must(m, "SEARCH", "RETURN ()", "SUBJECT nothing-of-that")["ESEARCH"][0].decode()
    assert "ALL" not in got and "TAG" in got, got


@check("SEARCHRES")
def searchres(server):
    m = connect(server)
    fresh(m, "searchres", 6)
    must(m, "SEARCH", "RETURN (SAVE)", "SUBJECT", '"message 2"')
    assert ok(m.fetch("$", "(UID)"))[0].startswith(b"2 ")
    must(m, "SEARCH", "RETURN (SAVE)", "2:4")
    ok(m.store("$", "+FLAGS", "(\\Flagged)"))
    assert ok(m.search(None, "FLAGGED"))[0].split() == [b"2", b"3", b"4"]
    ok(m.store("3", "+FLAGS", "(\\Deleted)"))
    ok(m.expunge())
    assert ok(m.search(None, "$"))[0].split() == [b"2", b"3"]
    m.delete("searchres2")
    ok(m.create("searchres2"))
    ok(m.uid("COPY", "$", "searchres2"))
    assert ok(m.select("searchres2")) == [b"2"]


@check("BINARY")
def binary(server):
    m = connect(server)
    fresh(m, "binary")
    raw = bytes(range(1, 256)) * 3
    body = base64.encodebytes(raw).decode().replace("\n", "\r\n")
    ok(m.append("binary", None, None, message(body=body, MIME_Version="1.0", Content_Type="application/octet-stream", Content_Transfer_Encoding="base64")))
    ok(m.select("binary"))
    got = ok(m.fetch("1", "BINARY.PEEK[1]"))[0]
    assert got[1] == raw, got
    assert b"BINARY.SIZE[1] %d" % len(raw) in ok(m.fetch("1", "BINARY.SIZE[1]"))[0]
    assert ok(m.fetch("1", "BINARY.PEEK[1]<10.20>"))[0][1] == raw[10:30]
    ok(m.append("binary", None, None, message(body="x", MIME_Version="1.0", Content_Transfer_Encoding="x-nobody-knows")))
    typ, text, _ = any_command(m, "FETCH", "2", "BINARY.PEEK[1]")
    assert typ == "NO" and "UNKNOWN-CTE" in text.upper(), (typ, text)


@check("BINARY")
def append_of_literal8(server):
    m = connect(server)
    fresh(m, "literal8")
    data = message(body="a\0b\r\n", MIME_Version="1.0", Content_Type="application/octet-stream", Content_Transfer_Encoding="binary")
    typ, text, _ = sent_at_once(m, b"APPEND literal8 ~{%d+}\r\n" % len(data) + data + b"\r\n")
    assert typ == "OK", text
    assert ok(m.select("literal8")) == [b"1"]
    ok(m.fetch("1", "BODY.PEEK[]"))


@check("LIST-EXTENDED")
def list_extended(server):
    m = connect(server)
    for name in ("le", "le/sub"):
        m.create(name)
    ok(m.subscribe("le/sub"))
    lines = must(m, "LIST", "(SUBSCRIBED)", '""', '"le*"', "RETURN (CHILDREN)")["LIST"]
    assert len(lines) == 1 and b"le/sub" in lines[0] and b"\\subscribed" in lines[0].lower(), lines
    lines = must(m, "LIST", "(SUBSCRIBED RECURSIVEMATCH)", '""', '"le"')["LIST"]
    assert b"CHILDINFO" in lines[0].upper(), lines
    lines = must(m, "LIST", '""', '("le" "INBOX")', "RETURN (SUBSCRIBED)")["LIST"]
    assert len(lines) == 2, lines
    try:
        typ = any_command(m, "LIST", "(RECURSIVEMATCH)", '""', '"le"')[0]
    except imaplib.IMAP4.error:
        typ = "BAD"
    assert typ == "BAD", typ


@check("LIST-STATUS")
def list_status(server):
    m = connect(server)
    fresh(m, "ls", 2)
    untagged = must(m, "LIST", '""', '"ls"', "RETURN (STATUS (MESSAGES UIDNEXT))")
    assert b"MESSAGES 2" in untagged["STATUS"][0], untagged


@check("SPECIAL-USE")
def special_use(server):
    m = connect(server)
    lines = must(m, "LIST", "(SPECIAL-USE)", '""', '"*"')["LIST"]
    uses = b" ".join(lines).lower()
    for use in (b"\\drafts", b"\\sent", b"\\junk", b"\\trash", b"\\archive"):
        assert use in uses, (use, lines)
    lines = must(m, "LIST", '""', '"Drafts"', "RETURN (SPECIAL-USE)")["LIST"]
    assert b"\\drafts" in lines[0].lower(), lines


@check("CREATE-SPECIAL-USE")
def create_special_use(server):
    m = connect(server)
    assert "CREATE-SPECIAL-USE" in capabilities(m)
    m.delete("my-flagged")
    # A new account has a mailbox for every use it may have, so one is taken away first.
    ok(m.rename("Junk", "Junk-away"))
    ok(m.delete("Junk-away"))
    must(m, "CREATE", "Spam", "(USE (\\Junk))")
    lines = must(m, "LIST", "(SPECIAL-USE)", '""', '"Spam"')["LIST"]
    assert b"\\junk" in lines[0].lower(), lines
    typ, text, _ = any_command(m, "CREATE", "never", "(USE (\\Nonsense))")
    assert typ == "NO" and "USEATTR" in text.upper(), (typ, text)
    ok(m.delete("Spam"))


@check("STATUS=SIZE")
def status_size(server):
    m = connect(server)
    fresh(m, "size", 3)
    text = ok(m.status("size", "(MESSAGES SIZE UNSEEN UIDVALIDITY RECENT)"))[0].decode()
    sizes = sum(int(re.search(rb"RFC822.SIZE (\d+)", l).group(1)) for l in ok(m.fetch("1:*", "RFC822.SIZE")))
    assert int(re.search(r"SIZE (\d+)", text).group(1)) >= sizes and "MESSAGES 3" in text, text


@check("MULTIAPPEND", "LITERAL+")
def multiappend(server):
    m = connect(server)
    fresh(m, "multi")
    one, two, three = message("one"), message("two"), message("three")
    command = b"APPEND multi (\\Seen) {%d+}\r\n" % len(one) + one + b' "17-Jul-1996 02:44:25 -0700" {%d+}\r\n' % len(two) + two + b" {%d+}\r\n" % len(three) + three + b"\r\n"
    typ, text, _ = sent_at_once(m, command)
    assert typ == "OK", text
    assert re.search(r"APPENDUID \d+ \d+:\d+\]", text), text
    assert ok(m.select("multi")) == [b"3"]
    assert ok(m.search(None, "SEEN"))[0] == b"1"


@check("REPLACE")
def replace(server):
    m = connect(server)
    fresh(m, "replaced")
    ok(m.append("replaced", "\\Draft", None, message("draft")))
    ok(m.select("replaced"))
    text = message("better")
    typ, _, untagged = sent_at_once(m, b"UID REPLACE 1 replaced (\\Draft) {%d+}\r\n" % len(text) + text + b"\r\n")
    assert typ == "OK" and untagged["EXPUNGE"] == [b"1"] and b"2" in untagged["EXISTS"], untagged
    assert ok(m.uid("SEARCH", "ALL"))[0] == b"2"
    assert ok(m.search(None, "SUBJECT", "better"))[0] == b"1"


@check("UNAUTHENTICATE")
def unauthenticate(server):
    m = connect(server)
    must(m, "UNAUTHENTICATE")
    m.state = "NONAUTH"
    ok(m.login(server.user, server.password))
    ok(m.select("INBOX"))


@check("PARTIAL", "UIDBATCHES")
def pages(server):
    m = connect(server)
    fresh(m, "pages")
    for i in range(1, 8):
        ok(m.append("pages", None, None, message("page %d" % i)))
    ok(m.select("pages"))
    found = must(m, "UID", "SEARCH RETURN (PARTIAL -1:-3) ALL")["ESEARCH"][0]
    assert found.endswith(b"UID PARTIAL (-1:-3 5:7)"), found
    fetched = must(m, "UID", "FETCH 1:* UID (PARTIAL 1:2)")["FETCH"]
    assert fetched == [b"1 (UID 1)", b"2 (UID 2)"], fetched
    batches = must(m, "UIDBATCHES", "500")["UIDBATCHES"][0]
    assert batches.endswith(b" 7:1"), batches


@check("UIDONLY")
def only_uids(server):
    m = connect(server)
    ok(m.enable("UIDONLY"))
    fresh(m, "only-uids", 3)
    try:
        m.search(None, "ALL")
        raise AssertionError("SEARCH was taken")
    except imaplib.IMAP4.error as error:
        assert "[UIDREQUIRED]" in str(error), error
    assert must(m, "UID", "FETCH 2 (RFC822.SIZE UID)")["UIDFETCH"][0].startswith(b"2 (RFC822.SIZE "), "no UIDFETCH"
    must(m, "UID", "STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert must(m, "EXPUNGE")["VANISHED"] == [b"2"]


@check("LITERAL+")
def literal_plus(server):
    m = connect(server, login=False)
    user, password = server.user.encode(), server.password.encode()
    typ, text, _ = sent_at_once(m, b"LOGIN {%d+}\r\n" % len(user) + user + b" {%d+}\r\n" % len(password) + password + b"\r\n")
    assert typ == "OK", text
    m.state = "AUTH"
    m.delete("lit")
    typ, text, _ = sent_at_once(m, b"CREATE {3+}\r\nlit\r\n")
    assert typ == "OK", text
    ok(m.select("lit"))


@check("UTF8=ACCEPT")
def utf8_accept(server):
    m = connect(server)
    assert "UTF8=ACCEPT" in capabilities(m)
    ok(m.enable("UTF8=ACCEPT"))
    name = '"Entwürfe-東京"'
    m.delete(name)
    ok(m.create(name))
    lines = ok(m.list('""', '"Entw*"'))
    assert any("Entwürfe-東京".encode() in l for l in lines), lines
    data = "From: ä@exämple.org\r\nSubject: grüße\r\n\r\nx\r\n".encode()
    # imaplib's append() would put the words `UTF8 (` of RFC 6855 §4 inside the literal.
    tag = m._new_tag()
    m.send(tag + b" APPEND " + name.encode() + b" UTF8 (~{%d+}\r\n" % len(data) + data + b")\r\n")
    ok(m._command_complete("APPEND", tag))
    ok(append_raw(m, name, data))
    ok(m.select(name))
    assert all(ok(m.fetch(number, "BODY.PEEK[]"))[0][1] == data for number in ("1", "2"))
    assert "grüße".encode() in b"".join(x for p in ok(m.fetch("1", "ENVELOPE")) for x in (p if isinstance(p, tuple) else (p,)))
    m2 = connect(server)
    assert any(b"Entw&APw-rfe-" in l for l in ok(m2.list('""', '"Entw*"')))


@check("APPENDLIMIT")
def appendlimit(server):
    m = connect(server)
    limits = [int(c.split("=")[1]) for c in capabilities(m) if c.startswith("APPENDLIMIT=")]
    assert limits, "not advertised"
    text = ok(m.status("INBOX", "(APPENDLIMIT)"))[0].decode()
    assert "APPENDLIMIT" in text
    tag = m._new_tag()
    m.send(tag + b" APPEND INBOX {%d}\r\n" % (limits[0] + 1))
    typ, data = m._command_complete("APPEND", tag)
    assert typ == "NO" and b"TOOBIG" in data[0], (typ, data)


@check("ENABLE", "IMAP4rev2")
def enable_rev2(server):
    m = connect(server)
    fresh(m, "rev2", 2)
    ok(m.close())
    untagged = must(m, "ENABLE", "IMAP4rev2", "X-UNKNOWN")
    assert b"IMAP4REV2" in untagged["ENABLED"][0].upper() and b"X-UNKNOWN" not in untagged["ENABLED"][0].upper(), untagged
    untagged = must(m, "SELECT", "rev2")
    m.state = "SELECTED"
    assert "LIST" in untagged and "RECENT" not in untagged, untagged
    untagged = must(m, "SEARCH", "ALL")
    assert "ESEARCH" in untagged and "SEARCH" not in untagged and b"ALL 1:2" in untagged["ESEARCH"][0], untagged
    untagged = must(m, "SEARCH", "SUBJECT", "nothing-of-that")
    assert "ESEARCH" in untagged, untagged
    untagged = must(m, "STATUS", "rev2", "(MESSAGES SIZE DELETED)")
    assert b"DELETED 0" in untagged["STATUS"][0], untagged
    must(m, "CREATE", '"Grüße rev2"'.encode())
    assert "Grüße rev2".encode() in b"".join(must(m, "LIST", '""', '"Gr*"')["LIST"])


@check("IMAP4rev1")
def what_rev1_clients_still_use(server):
    m = connect(server)
    fresh(m, "rev1", 2)
    ok(m.check())
    assert m.response("RECENT")[1][0] is not None
    text = ok(m.status("rev1", "(RECENT UNSEEN)"))[0]
    assert b"RECENT" in text
    assert ok(m.search(None, "NEW"))[0] is not None and ok(m.search(None, "OLD", "RECENT")) is not None
    assert ok(m.fetch("1", "RFC822.HEADER"))[0][1].endswith(b"\r\n\r\n")
    assert ok(m.fetch("1", "RFC822"))[0][1] == message("message 1")
    assert ok(m.search(None, "UNSEEN"))[0].split() == [b"2"]


@check("ID")
def identify(server):
    m = connect(server, login=False)
    untagged = must(m, "ID", '("name" "imaplib" "version" NIL)')
    assert b'"name"' in untagged["ID"][0].lower(), untagged
    must(m, "ID", "NIL")


@check()
def two_sessions_see_each_other(server):
    a, b = connect(server), connect(server)
    fresh(a, "shared", 3)
    ok(b.select("shared"))
    ok(a.store("2", "+FLAGS", "(\\Deleted)"))
    b.untagged_responses = {}
    ok(b.noop())
    assert any(b"\\Deleted" in (l or b"") for l in b.untagged_responses.get("FETCH", [])), b.untagged_responses
    ok(a.expunge())
    b.untagged_responses = {}
    ok(b.fetch("1", "FLAGS"))
    assert "EXPUNGE" not in b.untagged_responses, "EXPUNGE during FETCH"
    ok(b.noop())
    assert b.untagged_responses.get("EXPUNGE") == [b"2"], b.untagged_responses
    ok(a.append("shared", None, None, message()))
    b.untagged_responses = {}
    ok(b.noop())
    assert b.untagged_responses.get("EXISTS") == [b"3"], b.untagged_responses


@check()
def delivered_mail_arrives(server):
    m = connect(server)
    ok(m.select())
    before = int(ok(m.select())[0])
    answers = lmtp(server, [server.user, "nobody-here@localhost"], message("delivered"))
    assert answers[0].startswith("250"), answers
    assert int(ok(m.select())[0]) == before + 1
    got = ok(m.fetch(str(before + 1), "BODY.PEEK[]"))[0][1].decode()
    assert got.startswith("Return-Path: <a@example.org>") and "\r\nSubject: delivered\r\n" in got and "Received:" in got, got
    assert got.endswith("\r\n\r\nbody\r\n")


@check()
def errors_do_not_end_the_session(server):
    m = connect(server)
    for line in (b"NONSENSE", b"SELECT", b"FETCH 1 FLAGS", b'LIST "" "unclosed', b"SEARCH (", b"APPEND INBOX {5+}\r\nhello extra"):
        try:
            typ = sent_at_once(m, line + b"\r\n")[0]
        except imaplib.IMAP4.error as error:
            typ = "BAD"
            assert "BAD" in str(error), error
        assert typ in ("BAD", "NO"), (line, typ)
    ok(m.select())


if __name__ == "__main__":
    main()
