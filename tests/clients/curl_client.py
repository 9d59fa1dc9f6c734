#!/usr/bin/env python3
"""curl's imap:// and imaps://: listing, fetching, uploading, searching, any command."""

import re
import subprocess
import tempfile

from client import check, lmtp, main, message


def curl(server, path, *options, secure=False, expect=0):
    scheme, port = ("imaps", server.imaps_port) if secure else ("imap", server.imap_port)
    command = ["curl", "-sS", "-k", "--max-time", "30", "-u", "%s:%s" % (server.user, server.password), *options, "%s://localhost:%d/%s" % (scheme, port, path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == expect, "curl exits %d: %s" % (done.returncode, done.stderr.decode()[-300:])
    return done.stdout


def upload(server, mailbox, data, **kw):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        return curl(server, mailbox, "-T", f.name, **kw)


@check("IMAP4rev1", "SASL-IR")
def list_mailboxes(server):
    assert b"INBOX" in curl(server, "")


@check("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "OBJECTID")
def quota_and_ids_as_raw_commands(server):
    assert b"* QUOTAROOT INBOX " in curl(server, "", "-X", "GETQUOTAROOT INBOX")
    counted = curl(server, "", "-X", "STATUS Junk (DELETED DELETED-STORAGE MAILBOXID)")
    assert re.search(rb"DELETED 0 DELETED-STORAGE 0 MAILBOXID \(F\w+\)", counted), counted


@check("AUTH=PLAIN")
def login_plain_over_tls(server):
    assert b"INBOX" in curl(server, "", "--login-options", "AUTH=PLAIN", secure=True)


@check("STARTTLS")
def starttls_required(server):
    assert b"INBOX" in curl(server, "", "--ssl-reqd")


@check()
def wrong_password(server):
    done = subprocess.run(["curl", "-sS", "-u", server.user + ":wrong", "imap://localhost:%d/" % server.imap_port], capture_output=True, check=False)
    assert done.returncode == 67, done


@check()
def the_line_of_the_readme(server):
    assert lmtp(server, [server.user], message("for curl"))[0].startswith("250")
    got = curl(server, "INBOX;MAILINDEX=1", secure=True)
    assert got.endswith(b"Subject: for curl\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nbody\r\n"), got


@check()
def upload_and_fetch(server):
    curl(server, "", "-X", "CREATE upload")
    data = message("upload", "line\r\n" * 20000)
    upload(server, "upload", data)
    upload(server, "upload", data, secure=True)
    assert curl(server, "upload;MAILINDEX=1") == data
    assert curl(server, "upload;UID=2;SECTION=TEXT", secure=True) == b"line\r\n" * 20000
    assert curl(server, "upload;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)") == b"Subject: upload\r\n\r\n"


@check()
def search(server):
    assert re.search(rb"\* SEARCH 1 2\r\n", curl(server, "upload?SUBJECT%20upload"))
    assert re.search(rb"\* SEARCH\s*\r\n", curl(server, "upload?SUBJECT%20nothing"))


@check("LIST-STATUS", "STATUS=SIZE")
def list_status(server):
    got = curl(server, "", "-X", 'LIST "" "upload" RETURN (STATUS (MESSAGES SIZE))')
    assert b"MESSAGES 2" in got or b"LIST" in got, got


@check("ESEARCH", "SEARCHRES")
def esearch(server):
    got = curl(server, "upload", "-X", "SEARCH RETURN (COUNT SAVE) ALL")
    assert b"COUNT 2" in got, got


@check("NAMESPACE")
def namespace(server):
    assert b"NAMESPACE" in curl(server, "", "-X", "NAMESPACE")


@check("BINARY")
def binary(server):
    got = curl(server, "upload", "-X", "FETCH 1 BINARY.SIZE[1]")
    assert b"BINARY.SIZE[1] 120000" in got, got


@check()
def store_and_expunge(server):
    # One connection for both: relate-imap's LOGOUT expunges what its session marked.
    url = "imap://localhost:%d/upload" % server.imap_port
    secret = "%s:%s" % (server.user, server.password)
    assert b"1 EXPUNGE" in curl(server, "upload", "-X", r"STORE 1 +FLAGS (\Deleted)", url, "--next", "-sS", "-u", secret, "-X", "EXPUNGE")
    assert curl(server, "upload;MAILINDEX=2", expect=78) == b""


if __name__ == "__main__":
    main()
