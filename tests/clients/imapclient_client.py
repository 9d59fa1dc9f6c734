#!/usr/bin/env python3
"""IMAPClient (PyPI) against the server: it uses LITERAL+, IDLE, MOVE, UIDPLUS and more by itself."""

import datetime
import ssl
import threading

import imapclient
from imapclient import imapclient as names
from client import check, lmtp, main, message


def connect(server, **kw):
    m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False, timeout=30, **kw)
    m.login(server.user, server.password)
    return m


def fresh(m, name, count=0):
    if m.folder_exists(name):
        m.delete_folder(name)
    m.create_folder(name)
    for i in range(count):
        m.append(name, message("message %d" % (i + 1)))
    return m.select_folder(name)


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@check("IMAP4rev1")
def login_over_tls(server):
    with imapclient.IMAPClient(server.host, server.imaps_port, ssl=True, ssl_context=trusting()) as m:
        m.login(server.user, server.password)
        assert m.select_folder("INBOX")[b"UIDVALIDITY"] > 0


@check("STARTTLS", "AUTH=PLAIN")
def starttls_and_plain(server):
    m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False)
    m.starttls(trusting())
    m.plain_login(server.user, server.password)
    assert m.select_folder("INBOX")[b"EXISTS"] >= 0


@check("ID")
def identify(server):
    m = connect(server)
    answer = m.id_({"name": "IMAPClient"})
    assert answer and answer[0], answer


@check("NAMESPACE")
def namespace(server):
    personal = connect(server).namespace().personal
    assert personal[0][0] == "" and personal[0][1] == "/", personal


@check("ENABLE")
def enable(server):
    assert connect(server).enable("NOTHING-OF-THAT-NAME") == []


@check("LITERAL+")
def append_uses_literal_plus(server):
    m = connect(server)
    assert m.has_capability("LITERAL+")
    fresh(m, "append")
    when = datetime.datetime(2020, 2, 29, 12, 30, 15, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    answer = m.append("append", message("literal", "é\r\n" * 5000), flags=(imapclient.SEEN,), msg_time=when)
    assert b"APPENDUID" in answer, answer
    m.select_folder("append")
    m.normalise_times = False
    (row,) = m.fetch(m.search(), ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]"]).values()
    assert row[b"BODY[]"] == message("literal", "é\r\n" * 5000)
    assert row[b"INTERNALDATE"] == when, row[b"INTERNALDATE"]
    assert row[b"RFC822.SIZE"] == len(row[b"BODY[]"]) and b"\\Seen" in row[b"FLAGS"]


@check("MULTIAPPEND", "LITERAL+")
def multiappend(server):
    m = connect(server)
    fresh(m, "multiappend")
    m.multiappend("multiappend", [message("one"), {"msg": message("two"), "flags": [imapclient.FLAGGED], "date": datetime.datetime(2021, 1, 1)}])
    m.select_folder("multiappend")
    assert len(m.search()) == 2 and len(m.search(["FLAGGED"])) == 1


@check("SPECIAL-USE")
def find_special_folders(server):
    m = connect(server)
    for use, name in ((names.DRAFTS, "Drafts"), (names.SENT, "Sent"), (names.TRASH, "Trash"), (names.JUNK, "Junk"), (names.ARCHIVE, "Archive")):
        assert m.find_special_folder(use) == name, (use, m.find_special_folder(use))


@check("CHILDREN")
def folders(server):
    m = connect(server)
    for name in ("Ordner/für Grüße", "Ordner"):
        if m.folder_exists(name):
            m.delete_folder(name)
    m.create_folder("Ordner/für Grüße")
    rows = {name: flags for flags, _, name in m.list_folders("", "Ordner*")}
    assert b"\\HasNoChildren" in rows["Ordner/für Grüße"], rows
    m.subscribe_folder("Ordner/für Grüße")
    assert "Ordner/für Grüße" in [n for _, _, n in m.list_sub_folders()]
    m.rename_folder("Ordner/für Grüße", "Ordner/東京")
    assert m.folder_exists("Ordner/東京") and not m.folder_exists("Ordner/für Grüße")


@check("STATUS=SIZE")
def folder_status(server):
    m = connect(server)
    fresh(m, "status", 3)
    got = m.folder_status("status", ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY", "SIZE"])
    assert got[b"MESSAGES"] == 3 and got[b"UNSEEN"] == 3 and got[b"SIZE"] >= 3 * len(message("message 1")), got


@check("QUOTA", "QUOTA=RES-MAILBOX")
def quota_of_the_account(server):
    m = connect(server)
    roots, quotas = m.get_quota_root("INBOX")
    assert roots.mailbox == "INBOX" and len(roots.quota_roots) == 1, roots
    boxes = [q for q in quotas if q.resource == "MAILBOX"]
    assert len(boxes) == 1 and boxes[0].usage == len(m.list_folders()), quotas
    assert m.get_quota("INBOX") == quotas
    try:
        m.set_quota([names.Quota(roots.quota_roots[0], "STORAGE", 0, 500)])
        raise AssertionError("SETQUOTA is taken")
    except imapclient.exceptions.IMAPClientError as error:
        assert "administrator" in str(error), error


@check("OBJECTID", "SAVEDATE", "PREVIEW", "WITHIN")
def ids_dates_and_previews(server):
    m = connect(server)
    fresh(m, "attributes", 1)
    got = m.fetch([1], ["EMAILID", "THREADID", "SAVEDATE", "PREVIEW"])[1]
    assert got[b"EMAILID"][0].startswith(b"M") and got[b"THREADID"][0].startswith(b"T"), got
    assert got[b"PREVIEW"] == b"body" and b"-20" in got[b"SAVEDATE"], got
    assert m.search(["EMAILID", got[b"EMAILID"][0].decode()]) == [1]
    assert m.search(["THREADID", got[b"THREADID"][0].decode()]) == [1]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert m.search(["SAVEDSINCE", today - datetime.timedelta(days=1)]) == [1]
    assert m.search(["YOUNGER", "86400"]) == [1] and m.search(["OLDER", "86400"]) == []


@check("XLIST")
def special_folders_by_xlist(server):
    m = connect(server)
    found = {name: flags for flags, _, name in m.xlist_folders()}
    assert b"\\Inbox" in found["INBOX"] and b"\\Spam" in found["Junk"], found


@check("UIDPLUS")
def flags_and_uid_expunge(server):
    m = connect(server)
    fresh(m, "flags", 4)
    uids = m.search()
    m.add_flags(uids, [imapclient.DELETED, b"custom"])
    m.remove_flags(uids[:1], [b"custom"])
    assert m.search(["KEYWORD", "custom"]) == uids[1:]
    m.uid_expunge([uids[1]])
    assert m.search() == [uids[0], uids[2], uids[3]]
    m.set_flags(uids[0], [imapclient.ANSWERED])
    assert set(m.get_flags(uids[0])[uids[0]]) - {b"\\Recent"} == {b"\\Answered"}
    m.expunge()
    assert m.search() == [uids[0]]


@check("MOVE")
def copy_and_move(server):
    m = connect(server)
    fresh(m, "to")
    fresh(m, "from", 3)
    uids = m.search()
    m.copy(uids[:1], "to")
    m.move(uids[1:], "to")
    assert m.search() == uids[:1]
    assert m.select_folder("to")[b"EXISTS"] == 3


@check("UNSELECT")
def unselect(server):
    m = connect(server)
    fresh(m, "unsel", 1)
    m.delete_messages(m.search())
    m.unselect_folder()
    assert m.select_folder("unsel", readonly=True)[b"EXISTS"] == 1


@check()
def search_criteria(server):
    m = connect(server)
    fresh(m, "search", 3)
    m.append("search", message("=?utf-8?B?5p2x5Lqs?=", "needle in a haystack\r\n"))
    assert len(m.search(["SUBJECT", "東京"], "UTF-8")) == 1
    assert len(m.search(["BODY", "needle"])) == 1 and len(m.search(["TEXT", "a@example.org"])) == 4
    assert len(m.search(["NOT", "SUBJECT", "message"])) == 1
    assert len(m.search(["SENTSINCE", datetime.date(1994, 2, 7), "SENTBEFORE", datetime.date(1994, 2, 8)])) == 4
    assert len(m.search(["OR", ["SUBJECT", "message 1"], ["SUBJECT", "message 2"]])) == 2


@check()
def envelope_and_structure(server):
    m = connect(server)
    fresh(m, "envelope")
    m.append("envelope", message("structure", "--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>\r\n--b--\r\n",
                                 Cc="Group: g@example.org;", MIME_Version="1.0", Content_Type="multipart/alternative; boundary=b", Message_ID="<id@example.org>"))
    (row,) = m.fetch(m.search(), ["ENVELOPE", "BODYSTRUCTURE"]).values()
    envelope = row[b"ENVELOPE"]
    assert envelope.message_id == b"<id@example.org>" and envelope.from_[0].mailbox == b"a" and len(envelope.cc) == 3, envelope
    body = row[b"BODYSTRUCTURE"]
    assert body.is_multipart and body[1].lower() == b"alternative" and len(body[0]) == 2, body


@check("IDLE")
def idle(server):
    m = connect(server)
    before = m.select_folder("INBOX")[b"EXISTS"]
    m.idle()
    timer = threading.Timer(0.2, lambda: lmtp(server, [server.user], message("while idle")))
    timer.start()
    seen = []
    for _ in range(20):
        seen += m.idle_check(timeout=1)
        if (before + 1, b"EXISTS") in seen:
            break
    m.idle_done()
    timer.join()
    assert (before + 1, b"EXISTS") in seen, seen
    assert m.search()[-1] > 0


@check()
def two_clients_converge(server):
    a, b = connect(server), connect(server)
    fresh(a, "both", 4)
    b.select_folder("both")
    uids = a.search()
    a.add_flags(uids[:2], [imapclient.FLAGGED])
    b.delete_messages(uids[3:])
    b.expunge()
    a.noop()
    b.noop()
    assert a.search() == b.search() == uids[:3]
    seen = [{uid: set(flags) - {b"\\Recent"} for uid, flags in m.get_flags(uids[:3]).items()} for m in (a, b)]
    assert seen[0] == seen[1], seen


if __name__ == "__main__":
    main()
