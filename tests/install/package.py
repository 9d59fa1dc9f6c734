#!/usr/bin/env python3
"""The Debian package: built, judged by lintian, installed in a fresh Debian 12, used, upgraded and purged.

systemd does not run there: the server is started by hand as the unit starts it, as its user with the
one capability, by tests/manual/systemctl.
"""

import json
import os
import re
import subprocess
import sys

import rooms
from checks import ROOT, check, main, until

PROGRAM = os.environ.get("RELATE_IMAP", str(ROOT / "target/release/relate-imap"))


def build():
    done = subprocess.run([str(ROOT / "deploy/debian/build"), PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ROOT / done.stdout.split()[-1]


class World:
    def __init__(self):
        self.deb = build()
        self.room = rooms.Room(rooms.base())
        self.room.put(self.deb, "/srv/relate-imap.deb")
        self.room.put(ROOT / "tests/manual/systemctl", "/usr/local/bin/systemctl")


@check
def lintian_finds_nothing(world):
    # The tag asks for a bug in Debian's own tracker, which a package from elsewhere has none of.
    done = subprocess.run(["lintian", "--allow-root", "--suppress-tags", "initial-upload-closes-no-bugs", "--fail-on", "error,warning", "--tag-display-limit", "0", str(world.deb)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@check
def it_installs_with_its_user_and_directories(world):
    world.room.run("dpkg -i /srv/relate-imap.deb")
    shown = world.room.run("stat -c '%U:%G %a %n' /var/lib/relate-imap /etc/relate-imap/appsettings.json /etc/relate-imap/tls; getent passwd relate-imap")
    assert shown.splitlines()[:3] == ["relate-imap:relate-imap 700 /var/lib/relate-imap", "root:relate-imap 640 /etc/relate-imap/appsettings.json",
                                      "root:relate-imap 750 /etc/relate-imap/tls"], shown
    assert shown.splitlines()[3].endswith(":/var/lib/relate-imap:/usr/sbin/nologin")


@check
def manual_pages_completions_and_documents_are_there(world):
    listed = world.room.run("dpkg -L relate-imap").splitlines()
    for path in ("/usr/share/man/man1/relate-imap.1.gz", "/usr/share/man/man1/relate-imap-account-add.1.gz", "/usr/share/doc/relate-imap/README.md",
                 "/usr/share/bash-completion/completions/relate-imap", "/usr/lib/systemd/system/relate-imap.service",
                 "/usr/share/relate-imap/certificate-hook"):
        assert path in listed, path


@check
def the_server_starts_as_its_user_on_the_real_ports(world):
    world.room.run("relate-imap config check && systemctl start relate-imap")
    pid = world.room.run("systemctl show -p MainPID --value relate-imap").strip()
    status = world.room.run("cat /proc/%s/status" % pid)
    uid = world.room.run("id -u relate-imap").strip()
    assert re.search(r"^Uid:\t%s\t%s\t" % (uid, uid), status, re.M), status
    capabilities = re.search(r"^CapEff:\t([0-9a-f]+)", status, re.M).group(1)
    assert int(capabilities, 16) == 1 << 10, "more than CAP_NET_BIND_SERVICE: " + capabilities
    world.room.run("relate-imap healthcheck")


@check
def an_account_gets_mail(world):
    world.room.run("echo secret-of-anna | relate-imap account add anna@example.org --password-stdin")
    world.room.run("printf 'Subject: hello\\r\\n\\r\\nhi\\r\\n' | relate-imap deliver anna@example.org")
    assert "INBOX" in world.room.run("relate-imap mailbox list anna@example.org")
    said = world.room.run("exec 3<>/dev/tcp/127.0.0.1/143; printf 'a LOGIN anna@example.org secret-of-anna\\r\\nb SELECT INBOX\\r\\nc LOGOUT\\r\\n' >&3; cat <&3")
    assert "a OK" in said and "* 1 EXISTS" in said, said


@check
def roots_commands_leave_no_file_of_roots_in_the_store(world):
    world.room.run("relate-imap check && relate-imap compact")
    assert world.room.run("find /var/lib/relate-imap ! -user relate-imap") == ""


@check
def doctor_finds_nothing_wrong_but_what_is(world):
    report = json.loads(world.room.run("relate-imap doctor --json"))
    wrong = [finding for finding in report["findings"] if finding["level"] == "wrong"]
    assert report["well"] and not wrong, wrong
    warned = {finding["check"] for finding in report["findings"] if finding["level"] == "warning"}
    # There is no certificate and no name yet, and a room is an overlay.
    assert warned <= {"configuration", "certificate", "names", "disk", "limits", "clock"}, warned


@check
def a_changed_configuration_survives_an_upgrade(world):
    world.room.run("sed -i 's/\"MaxConnectionsPerUser\": 20/\"MaxConnectionsPerUser\": 30/' /etc/relate-imap/appsettings.json && dpkg -i /srv/relate-imap.deb")
    assert "30" in world.room.run("relate-imap config show | grep -i MaxConnectionsPerUser")
    assert "root:relate-imap 640" in world.room.run("stat -c '%U:%G %a' /etc/relate-imap/appsettings.json")


@check
def purging_keeps_the_mail_and_says_so(world):
    world.room.run("systemctl stop relate-imap")
    assert "is kept" in world.room.run("dpkg --purge relate-imap")
    assert "log" in world.room.run("ls /var/lib/relate-imap")
    assert world.room.run("ls /etc/relate-imap 2>&1 || true").startswith("ls: cannot access")


if __name__ == "__main__":
    world = World()
    try:
        failed = main(world)
    finally:
        world.room.close()
    sys.exit(1 if failed else 0)
