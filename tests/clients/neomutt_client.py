#!/usr/bin/env python3
"""neomutt in a terminal (tmux): what a person would type, and what the screen then shows.

IMAPClient looks afterwards, from its own connection, at what neomutt did.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import time

import imapclient
from client import check, lmtp, main, message

SECONDS = 20

CONFIG = """
set imap_user = "{user}"
source "{work}/pass.rc"
set folder = "{url}"
set spoolfile = "+INBOX"
set ssl_starttls = {starttls}
set ssl_force_tls = no
set certificate_file = "{certificate}"
set ssl_verify_host = no
set header_cache = "{work}/cache"
set imap_idle = yes
set mail_check = 1
set timeout = 1
set sort = mailbox-order
set wait_key = no
set quit = yes
set delete = yes
set move = no
set beep = no
set confirmappend = no
set confirmcreate = no
set mark_old = no
set record = ""
set index_format = "%4C %Z %s"
set status_format = "-- %f %m messages --"
"""


class Screen:
    """neomutt in a tmux of its own."""

    def __init__(self, server, url, starttls="no", mailbox=None, work=None, more=""):
        self.work = work or pathlib.Path(tempfile.mkdtemp(prefix="neomutt-"))
        self.socket = "clients-%d" % os.getpid()
        quoted = server.password.replace("\\", "\\\\").replace('"', '\\"')
        (self.work / "pass.rc").write_text('set imap_pass = "%s"\n' % quoted)
        (self.work / "rc").write_text(CONFIG.format(user=server.user, work=self.work, url=url, starttls=starttls, certificate=server.certificate) + more)
        command = "neomutt -n -d 3 -l %s/log -F %s/rc -f %s" % (self.work, self.work, mailbox or url + "/INBOX")
        self.tmux("new-session", "-d", "-x", "120", "-y", "40", command)

    def tmux(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if k != "TMUX"}
        environment.update(TERM="xterm", HOME=str(self.work), LC_ALL="C.UTF-8")
        return subprocess.run(["tmux", "-L", self.socket, *arguments], capture_output=True, check=False, env=environment).stdout.decode()

    def type(self, *keys):
        for key in keys:
            self.tmux("send-keys", key)

    def shows(self, pattern):
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            text = self.tmux("capture-pane", "-p")
            if re.search(pattern, text):
                return text
            time.sleep(0.05)
        self.tmux("kill-server")
        raise AssertionError("no %r on the screen:\n%s" % (pattern, text))

    def quit(self):
        self.type("q")
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit and self.tmux("list-sessions"):
            time.sleep(0.05)
        ended = not self.tmux("list-sessions")
        self.tmux("kill-server")
        assert ended, "did not quit"


def client(server, folder="INBOX"):
    m = imapclient.IMAPClient(server.host, server.imap_port, ssl=False)
    m.login(server.user, server.password)
    m.select_folder(folder)
    return m


def plain(server):
    return "imap://localhost:%d" % server.imap_port


@check("IMAP4rev1", "SASL-IR")
def opens_the_inbox(server):
    for i in range(1, 6):
        assert lmtp(server, [server.user], message("letter %d" % i, "text of letter %d\r\n" % i))[0].startswith("250")
    screen = Screen(server, plain(server))
    screen.shows("letter 5")
    screen.type("1", "Enter")
    screen.shows("5 messages")
    screen.type("Enter")
    screen.shows("text of letter 1")
    screen.type("i")
    screen.shows("letter 2")
    screen.quit()
    assert len(client(server).search(["SEEN"])) == 1


@check()
def flags_deletes_and_searches(server):
    screen = Screen(server, plain(server))
    screen.shows("letter 5")
    screen.type("2", "Enter", "F")
    screen.type("l", "~s 'letter 4'", "Enter")
    screen.shows("-- .*letter 4|letter 4")
    screen.type("d", "l", "all", "Enter")
    screen.shows("letter 5")
    screen.type("$")
    screen.shows("4 messages")
    screen.quit()
    m = client(server)
    assert len(m.search()) == 4 and len(m.search(["SUBJECT", "letter 4"])) == 0 and len(m.search(["FLAGGED"])) == 1


@check("IDLE")
def sees_new_mail_arrive(server):
    screen = Screen(server, plain(server))
    screen.shows("4 messages")
    assert lmtp(server, [server.user], message("arrived meanwhile"))[0].startswith("250")
    screen.shows("arrived meanwhile")
    screen.quit()


@check("UIDPLUS")
def saves_to_another_folder(server):
    screen = Screen(server, plain(server))
    screen.shows("arrived meanwhile")
    screen.type("*", "s")
    screen.shows("Save to mailbox")
    screen.type("C-u", "=Archive", "Enter")
    screen.shows(r"arrived meanwhile")
    screen.type("$")
    screen.shows("4 messages")
    screen.quit()
    assert len(client(server, "Archive").search(["SUBJECT", "arrived meanwhile"])) == 1


@check("STARTTLS")
def over_starttls(server):
    screen = Screen(server, plain(server), starttls="yes")
    text = screen.shows(r"messages --|\(a\)ccept|\(r\)eject")
    if "messages --" not in text:
        screen.type("o")
        screen.shows("messages --")
    screen.quit()


@check()
def over_implicit_tls(server):
    screen = Screen(server, "imaps://localhost:%d" % server.imaps_port)
    text = screen.shows(r"messages --|\(a\)ccept|\(r\)eject")
    if "messages --" not in text:
        screen.type("o")
        screen.shows("messages --")
    screen.quit()


@check()
def browses_folders(server):
    screen = Screen(server, plain(server))
    screen.shows("messages --")
    screen.type("c")
    screen.shows("Open mailbox")
    screen.type("C-u", "=Drafts", "Enter")
    screen.shows("Drafts 0 messages")
    screen.type("c")
    screen.shows("Open mailbox")
    screen.type("C-u", "=Archive", "Enter")
    screen.shows("Archive 1 messages")
    screen.quit()


@check("CONDSTORE", "QRESYNC")
def comes_back_to_what_changed(server):
    more = "set imap_condstore = yes\nset imap_qresync = yes\n"
    screen = Screen(server, plain(server), more=more)
    screen.shows("4 messages")
    screen.quit()
    m = client(server)
    first, second = m.search()[:2]
    m.set_flags(first, [b"\\Flagged"])
    screen = Screen(server, plain(server), work=screen.work, more=more)
    text = screen.shows("4 messages")
    assert re.search(r"^ *1 .*! *letter 1", text, re.M), text
    screen.quit()
    said = (screen.work / "log0").read_text(errors="replace")
    assert re.search(r"UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)", said), said[-2000:]
    assert "QRESYNC failed" not in said and "BODY.PEEK[HEADER" not in said, said[-2000:]
    m.delete_messages(second)
    m.expunge()
    # It is told which is gone. This version then opens the mailbox once more, with Dovecot as well.
    screen = Screen(server, plain(server), work=screen.work, more=more)
    assert "letter 2" not in screen.shows("3 messages")
    screen.quit()
    assert "Handling VANISHED" in (screen.work / "log0").read_text(errors="replace")


if __name__ == "__main__":
    main()
