#!/usr/bin/env python3
"""swaks delivers over LMTP, by socket and by port; IMAPClient reads what arrived."""

import subprocess

import imapclient
from client import check, main


def swaks(server, *options, socket=True, expect=0, to=None):
    where = ["--socket", server.lmtp_socket] if socket else ["--server", "127.0.0.1", "--port", str(server.lmtp_port)]
    done = subprocess.run(["swaks", "--protocol", "LMTP", *where, "--from", "a@example.org", "--to", to or server.user, *options],
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == expect, "swaks exits %d: %s" % (done.returncode, done.stdout.decode()[-600:])
    return done.stdout.decode()


def inbox(server, folder="INBOX"):
    m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False)
    m.login(server.user, server.password)
    m.select_folder(folder)
    return m


@check()
def the_line_of_the_readme(server):
    before = len(inbox(server).search())
    swaks(server)
    m = inbox(server)
    assert len(m.search()) == before + 1
    assert b"This is a test mailing" in m.fetch(m.search()[-1:], ["BODY[TEXT]"]).popitem()[1][b"BODY[TEXT]"]


@check()
def by_port(server):
    out = swaks(server, "--header", "Subject: by port", socket=False)
    assert "LHLO" in out
    assert len(inbox(server).search(["SUBJECT", "by port"])) == 1


@check()
def announces_extensions(server):
    out = swaks(server, "--quit-after", "LHLO")
    for word in ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"):
        assert word in out, out


@check()
def announces_all_promised_extensions(server):
    out = swaks(server, "--quit-after", "LHLO")
    for word in ("SMTPUTF8", "SIZE", "CHUNKING"):
        assert word in out, word


@check()
def several_recipients(server):
    out = swaks(server, "--header", "Subject: both", to=server.user + ",second@localhost")
    assert out.count("<-  250 ") >= 4, out
    assert len(inbox(server).search(["SUBJECT", "both"])) == 1


@check()
def unknown_recipient(server):
    out = swaks(server, expect=24, to="nobody-here@localhost")
    assert "550 5.1.1" in out, out


@check()
def dots_and_eight_bits(server):
    body = "Subject: dots\n\n.\n..\n.a\nGrüße\n"
    swaks(server, "--data", body)
    m = inbox(server)
    uid = m.search(["SUBJECT", "dots"])
    text = m.fetch(uid, ["BODY[TEXT]"])[uid[0]][b"BODY[TEXT]"]
    assert text.startswith(".\r\n..\r\n.a\r\nGrüße\r\n".encode()), text


@check()
def attachments(server):
    swaks(server, "--header", "Subject: attached", "--attach-type", "application/pdf", "--attach-name", "a.pdf", "--attach", "x" * 5000)
    m = inbox(server)
    uid = m.search(["SUBJECT", "attached"])
    structure = m.fetch(uid, ["BODYSTRUCTURE"])[uid[0]][b"BODYSTRUCTURE"]
    assert structure.is_multipart and structure[0][1][1].lower() == b"pdf", structure


@check()
def folder_in_the_address(server):
    name, _, domain = server.user.partition("@")
    swaks(server, "--header", "Subject: detail", to="%s+Archive@%s" % (name, domain))
    assert len(inbox(server, "Archive").search(["SUBJECT", "detail"])) == 1


if __name__ == "__main__":
    main()
