#!/usr/bin/env python3
"""Camel, the mail library of Evolution: one connection that is told of every folder by NOTIFY.

Runs with the system's Python, for its `gi`. Camel's IMAP provider is in the package of evolution-data-server, which
`run` unpacks in `target/clients/camel` and does not install. Camel asks for everything once it is connected:

    NOTIFY SET (selected (MessageNew (UID RFC822.SIZE RFC822.HEADER FLAGS BODYSTRUCTURE) MessageExpunge FlagChange))
               (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))

and idles on INBOX. It says of itself what it sends and hears (`CAMEL_DEBUG`), which goes to a file here.
"""

import ctypes
import imaplib
import os
import pathlib
import re
import sys
import tempfile
import time

from client import check, main, message

UNPACKED = pathlib.Path(__file__).resolve().parents[2] / "target/clients/camel/usr"
SECONDS = 60


class Evolution:
    """An account of Camel with its INBOX open, and another session of the same user that changes things."""

    one = None

    @classmethod
    def of(cls, server):
        """The only one: Camel is started once for all checks."""
        cls.one = cls.one or cls(server)
        return cls.one

    def __init__(self, server):
        self.directory = tempfile.TemporaryDirectory(prefix="camel-")
        self.said = pathlib.Path(self.directory.name, "said")
        # Camel prints to the standard output of the process: what is ours goes on to where it always went.
        sys.stdout = os.fdopen(os.dup(1), "w")
        os.dup2(os.open(self.said, os.O_WRONLY | os.O_CREAT), 1)
        os.environ.update(CAMEL_DEBUG="imapx:io", EDS_CAMEL_PROVIDER_DIR=str(UNPACKED / "lib/evolution-data-server/camel-providers"),
                          GSETTINGS_SCHEMA_DIR=str(UNPACKED / "share/glib-2.0/schemas"), GSETTINGS_BACKEND="memory")
        self.open(server)
        self.other = imaplib.IMAP4(server.host, server.imap_port)
        self.other.login(server.user, server.password)

    def open(self, server):
        import gi
        gi.require_version("Camel", "1.2")
        from gi.repository import Camel, GLib

        class Session(Camel.Session):
            def do_authenticate_sync(self, service, mechanism, cancellable):
                service.set_password(server.password)
                return service.authenticate_sync(mechanism, cancellable) == Camel.AuthenticationResult.ACCEPTED

        Camel.init(self.directory.name, False)
        Camel.provider_init()
        self.session = Session(user_data_dir=self.directory.name + "/data", user_cache_dir=self.directory.name + "/cache")
        self.session.set_online(True)
        self.store = self.session.add_service("one", "imapx", Camel.ProviderType.STORE)
        settings = self.store.ref_settings()
        for name, value in {"host": server.host, "port": server.imap_port, "user": server.user,
                            "security-method": Camel.NetworkSecurityMethod.NONE, "filter-inbox": False, "filter-junk": False}.items():
            settings.set_property(name, value)
        self.flags = Camel.MessageFlags
        self.context = GLib.MainContext.default()
        self.store.set_online_sync(True, None)
        self.inbox = self.store.get_folder_sync("INBOX", 0, None)
        self.inbox.refresh_info_sync(None)

    def conversation(self):
        """What Camel said and heard so far."""
        ctypes.CDLL(None).fflush(None)
        return self.said.read_text(errors="replace")

    def wait(self, what, is_so):
        """Lets Camel work until something is so."""
        until = time.monotonic() + SECONDS
        while not is_so():
            assert time.monotonic() < until, "%s: not in %d s, and the last was %r" % (what, SECONDS, self.conversation()[-500:])
            self.context.iteration(False)
            time.sleep(0.01)

    def idles(self):
        """Waits until Camel waits for news itself."""
        def is_so():
            _, idle, after = self.conversation().rpartition(" IDLE'")
            return idle and re.search(r"^(\[imapx:A\] I/O: ')?\+ ", after, re.MULTILINE) and "'DONE'" not in after

        self.wait("IDLE", is_so)

    def hears(self, since, text):
        """Waits for a response that Camel did not ask for."""
        self.wait(text, lambda: text in self.conversation()[since:])

    def subjects(self):
        infos = [self.inbox.get_message_info(uid) for uid in self.inbox.get_uids()]
        return [info.get_subject() for info in infos if info]

    @staticmethod
    def did(answer):
        """What the other session did is done."""
        assert answer[0] == "OK", answer


@check("NOTIFY")
def asks_for_everything(server):
    camel = Evolution.of(server)
    said = camel.conversation()
    assert "NOTIFY SET (selected (MessageNew (UID RFC822.SIZE RFC822.HEADER FLAGS BODYSTRUCTURE) MessageExpunge FlagChange)) (personal (" in said, said
    tag = said.split(" NOTIFY SET")[0].rsplit("'", 1)[-1]
    assert tag + " OK" in said, said


@check("NOTIFY", "IDLE")
def new_mail_comes_described(server):
    camel = Evolution.of(server)
    camel.idles()
    since = len(camel.conversation())
    camel.did(camel.other.append("INBOX", "", "", message("pushed to Camel", Message_ID="<one@example.org>")))
    camel.wait("new mail", lambda: "pushed to Camel" in camel.subjects())
    said = camel.conversation()[since:]
    described = said.index("RFC822.HEADER {")
    assert "UID FETCH" not in said[:described], said


@check("NOTIFY")
def flags_and_expunges_come(server):
    camel = Evolution.of(server)
    uid = camel.inbox.get_uids()[0]
    camel.idles()
    camel.other.select("INBOX")
    camel.did(camel.other.store("1", "+FLAGS", r"(\Flagged)"))
    camel.wait("a flag", lambda: camel.inbox.get_message_flags(uid) & camel.flags.FLAGGED)
    camel.idles()
    camel.did(camel.other.store("1", "+FLAGS", r"(\Deleted)"))
    camel.did(camel.other.expunge())
    camel.wait("that it is gone", lambda: not camel.inbox.get_uids())
    camel.other.close()


@check("NOTIFY")
def mail_in_another_folder_is_told(server):
    camel = Evolution.of(server)
    camel.idles()
    since = len(camel.conversation())
    camel.did(camel.other.append("Sent", "", "", message("elsewhere")))
    camel.hears(since, "* STATUS Sent (MESSAGES 1 ")


@check("NOTIFY")
def names_and_subscriptions_are_told(server):
    camel = Evolution.of(server)
    for act, heard in (
        (lambda: camel.other.create("Fresh"), '"/" Fresh'),
        (lambda: camel.other.subscribe("Fresh"), r"\Subscribed"),
        (lambda: camel.other.rename("Fresh", "Renamed"), "OLDNAME"),
        (lambda: camel.other.delete("Renamed"), r"\NonExistent"),
    ):
        camel.idles()
        since = len(camel.conversation())
        camel.did(act())
        camel.hears(since, heard)


if __name__ == "__main__":
    main()
