#!/usr/bin/env python3
"""Postfix delivers over LMTP, and Roundcube in headless Chromium reads, flags, moves and deletes.

Postfix and Roundcube are Debian's, each with a configuration of its own in a scratch directory; the
recipes are those of docs/installing.md. What the page did is looked up by imaplib afterwards.
"""

import email.message
import imaplib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import time

from checks import ROOT, check, main, scratch, until

import server as servers

SHOTS = ROOT / "target/install/shots"
DOMAIN = "mail.example"
ANNA, BEN = "anna@" + DOMAIN, "ben@" + DOMAIN

MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = {domain}
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
# The recipe:
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
"""

ROUNDCUBE = """<?php
$config['db_dsnw'] = 'sqlite:///{dir}/roundcube.db?mode=0600';
$config['imap_host'] = 'ssl://localhost:{imaps}';
$config['imap_conn_options'] = ['ssl' => ['cafile' => '{certificate}', 'verify_peer' => true]];
$config['smtp_host'] = '127.0.0.1:{smtp}';
$config['smtp_user'] = '';
$config['smtp_pass'] = '';
$config['des_key'] = 'twenty-four-characters-x';
$config['language'] = 'en_US';
$config['log_dir'] = '{dir}/logs/';
$config['temp_dir'] = '{dir}/temp/';
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['enable_spellcheck'] = false;
$config['archive_mbox'] = 'Archive';
"""


class Postfix:
    """An instance of its own: neither the system's configuration nor its queue is touched."""

    def __init__(self, directory, lmtp):
        self.directory, (self.smtp,) = directory, servers.free_ports(1)
        for name in ("spool", "data"):
            (directory / name).mkdir()
        shutil.chown(directory / "data", "postfix")
        (directory / "main.cf").write_text(MAIN.format(dir=directory, domain=DOMAIN, lmtp=lmtp))
        (directory / "master.cf").write_text(MASTER.format(smtp=self.smtp))
        self.command("start")

    def command(self, verb):
        done = subprocess.run(["postfix", "-c", str(self.directory), verb], capture_output=True, text=True, check=False)
        assert done.returncode == 0, "postfix %s: %s%s" % (verb, done.stderr, self.log())

    def log(self):
        file = self.directory / "log"
        return file.read_text(errors="replace")[-1500:] if file.exists() else ""

    def sendmail(self, to, subject, body, sender=BEN):
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        message.set_content(body)
        subprocess.run(["sendmail", "-C", str(self.directory), "-f", sender, to], input=message.as_bytes(), check=True,
                       env={**os.environ, "MAIL_CONFIG": str(self.directory)})


class Roundcube:
    def __init__(self, directory, server, smtp):
        self.directory = directory
        (self.port,) = servers.free_ports(1)
        self.url = "http://127.0.0.1:%d" % self.port
        for name in ("logs", "temp", "config"):
            (directory / name).mkdir(parents=True)
        for name in ("defaults.inc.php", "mimetypes.php"):
            shutil.copy("/etc/roundcube/" + name, directory / "config")
        (directory / "config/config.inc.php").write_text(
            ROUNDCUBE.format(dir=directory, imaps=server.imaps_port, certificate=server.directory / "cert.pem", smtp=smtp))
        schema = pathlib.Path("/usr/share/roundcube/SQL/sqlite.initial.sql").read_text()
        import sqlite3
        with sqlite3.connect(directory / "roundcube.db") as db:
            db.executescript(schema)
        self.process = subprocess.Popen(["php", "-S", "127.0.0.1:%d" % self.port, "-t", "/var/lib/roundcube/public_html"], cwd=directory,
                                        env={**os.environ, "ROUNDCUBE_CONFIG_DIR": str(directory / "config"), "PHP_CLI_SERVER_WORKERS": "4"},
                                        stdout=subprocess.DEVNULL, stderr=open(directory / "php.log", "w"), start_new_session=True)
        until(self.answers, "Roundcube answers")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def errors(self):
        file = self.directory / "logs/errors.log"
        return file.read_text() if file.exists() else ""

    def stop(self):
        os.killpg(self.process.pid, 15)
        self.process.wait()


class Browser:
    def __init__(self, url):
        SHOTS.mkdir(parents=True, exist_ok=True)
        for old in SHOTS.glob("webmail-*"):
            old.unlink()
        self.process = subprocess.Popen(["node", str(pathlib.Path(__file__).with_suffix(".mjs"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "URL": url, "SHOTS": str(SHOTS)})

    def __call__(self, *step):
        self.process.stdin.write(json.dumps(step) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "done", "%s: %s" % (step[0], answer)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


class World:
    """Everything together, and a look at the mail from the side."""

    def __init__(self, directory):
        self.server = servers.start("relate", str(directory / "server"), [ANNA, BEN])
        self.postfix = Postfix(directory / "postfix", self.server.lmtp_port)
        self.roundcube = Roundcube(directory / "roundcube", self.server, self.postfix.smtp)
        self.browser = Browser(self.roundcube.url)

    def found(self, subject, mailbox, user=ANNA):
        """The flags of each message of that subject."""
        context = ssl.create_default_context(cafile=str(self.server.directory / "cert.pem"))
        with imaplib.IMAP4_SSL("localhost", self.server.imaps_port, ssl_context=context) as imap:
            imap.login(user, self.server.password)
            assert imap.select(mailbox, readonly=True)[0] == "OK"
            numbers = imap.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()
            return [imaplib.ParseFlags(imap.fetch(number, "(FLAGS)")[1][0]) for number in numbers]

    def stop(self):
        self.browser.stop()
        self.roundcube.stop()
        self.postfix.command("stop")
        self.server.stop()


@check
def postfix_delivers_over_lmtp(world):
    world.postfix.sendmail(ANNA, "Meeting on Thursday", "We meet at ten.\n")
    until(lambda: world.found("Meeting on Thursday", "INBOX"), "the message arrives; " + world.postfix.log())


@check
def a_detail_files_into_a_folder(world):
    world.postfix.sendmail("anna+Archive@" + DOMAIN, "Filed", "x\n")
    until(lambda: world.found("Filed", "Archive"), "it is in Archive; " + world.postfix.log())


@check
def an_unknown_recipient_bounces_to_the_sender(world):
    world.postfix.sendmail("nobody@" + DOMAIN, "lost", "x\n")
    until(lambda: world.found("Undelivered", "INBOX", BEN), "the bounce arrives; " + world.postfix.log())


@check
def mail_waits_in_the_queue_while_the_server_is_down(world):
    world.server.stop()
    world.postfix.sendmail(ANNA, "Patience", "x\n")
    until(lambda: "Patience" and "refused" in world.postfix.log(), "Postfix notices")
    world.server.start()
    world.postfix.command("flush")
    until(lambda: world.found("Patience", "INBOX"), "the message arrives after all; " + world.postfix.log())


@check
def roundcube_logs_in(world):
    world.browser("login", ANNA, world.server.password)
    world.browser("folders", "Inbox", "Drafts", "Sent", "Junk", "Trash", "Archive")


@check
def a_message_sent_with_sendmail_is_listed(world):
    world.postfix.sendmail(ANNA, "Budget 2027", "Figures are attached to nothing.\n")
    until(lambda: world.found("Budget 2027", "INBOX"), "the message arrives")
    world.browser("listed", "Budget 2027")
    assert b"\\Seen" not in world.found("Budget 2027", "INBOX")[0]


@check
def it_is_read(world):
    world.browser("read", "Budget 2027", "Figures are attached to nothing.")
    until(lambda: b"\\Seen" in world.found("Budget 2027", "INBOX")[0], "it is seen")


@check
def it_is_flagged(world):
    world.browser("flag", "Budget 2027")
    until(lambda: b"\\Flagged" in world.found("Budget 2027", "INBOX")[0], "it is flagged")


@check
def it_is_found_by_searching(world):
    world.browser("search", "Budget")


@check
def it_is_moved(world):
    world.browser("drag", "Budget 2027", "Archive")
    assert world.found("Budget 2027", "INBOX") == []
    flags = world.found("Budget 2027", "Archive")
    assert len(flags) == 1 and {b"\\Seen", b"\\Flagged"} <= set(flags[0]), flags


@check
def it_is_deleted_to_the_trash(world):
    world.browser("open", "Archive")
    world.browser("remove", "Budget 2027")
    assert world.found("Budget 2027", "Archive") == []
    assert len(world.found("Budget 2027", "Trash")) == 1


@check
def it_is_deleted_for_good(world):
    world.browser("open", "Trash")
    world.browser("remove", "Budget 2027")
    until(lambda: world.found("Budget 2027", "Trash") == [], "it is gone")


@check
def a_message_written_in_the_page_goes_out_and_is_kept(world):
    world.browser("compose", BEN, "Answer by webmail", "Thursday is fine.")
    until(lambda: world.found("Answer by webmail", "INBOX", BEN), "Ben has it; " + world.postfix.log())
    assert len(world.found("Answer by webmail", "Sent")) == 1


@check
def roundcube_complains_of_nothing(world):
    assert world.roundcube.errors() == "", world.roundcube.errors()[-800:]


if __name__ == "__main__":
    with scratch() as place:
        for part in ("server", "postfix", "roundcube"):
            (place / part).mkdir()
        world = World(place)
        try:
            failed = main(world)
        finally:
            world.stop()
    sys.exit(1 if failed else 0)
