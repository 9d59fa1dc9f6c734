#!/usr/bin/env python3
"""A new user: a fresh Debian 12, the README and docs/installing.md, from nothing to neomutt showing mail.

Once by the package and once from source. The commands are those of the pages, taken from there; what a
person would answer or choose besides is in this file. Transcripts: target/install/newcomer-*.txt.

Stand-ins, since this is no machine of its own: apt reaches Debian as this machine does; systemctl is
tests/manual/systemctl; the Rust toolchain and the crates are this machine's, copied in, where a
newcomer has rustup and a network; and the build from source is not optimised, to save time.
"""

import os
import pathlib
import re
import subprocess
import sys

import rooms
from checks import ROOT, check, main, until

PROGRAM = os.environ.get("RELATE_IMAP", str(ROOT / "target/release/relate-imap"))
OUT = ROOT / "target/install"
PASSWORD = "correct horse battery"


def block(page, containing):
    """The one block of a page that holds this text."""
    found = [text for text in re.findall(r"^```sh[^\n]*\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S) if containing in text]
    assert len(found) == 1, "%d blocks of %s hold %r" % (len(found), page, containing)
    return found[0]


class Newcomer:
    def __init__(self, name):
        self.name, self.room = name, rooms.Room(rooms.base())
        self.file = OUT / ("newcomer-%s.txt" % name)
        self.file.write_text("# A new user, by %s, in a Debian 12 of debootstrap --variant=minbase\n" % name)
        self.room.network_of_this_machine()
        self.room.put(ROOT / "tests/manual/systemctl", "/usr/local/bin/systemctl")

    def note(self, text):
        with self.file.open("a") as file:
            file.write(text)

    def types(self, script, page=None, outside=False, timeout=600):
        """What is typed, and what is seen; a step that fails is a stumble."""
        self.note("\n%s%s\n" % ("[%s]\n" % page if page else "", "".join("$ %s\n" % line for line in script.strip().splitlines())))
        done = subprocess.run(self.room.command("set -e\n" + script, outside), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=timeout, check=False)
        # Where apt got it from is this machine's affair.
        lines = [line for line in done.stdout.splitlines() if not line.startswith(("Get:", "Hit:", "W: "))]
        shown = lines if len(lines) <= 40 else [*lines[:5], "[%d lines]" % (len(lines) - 15), *lines[-10:]]
        self.note("\n".join(shown) + "\n" + ("" if done.returncode == 0 else "=> %d\n" % done.returncode))
        assert done.returncode == 0, "%s: %s" % (script, done.stdout[-1500:])
        return done.stdout

    def neomutt(self, url, answers, expected):
        """Opens a mailbox in a terminal of 100 by 30; what is asked is answered as a person would."""
        socket = "newcomer-" + self.name
        tmux = ["tmux", "-L", socket]
        self.note("\n$ neomutt -f '%s'\n" % url)
        subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-s", "n",
                        *self.room.command("neomutt -n -f '%s'" % url)], check=True)
        screen = lambda: subprocess.run([*tmux, "capture-pane", "-p", "-t", "n"], capture_output=True, text=True, check=False).stdout  # noqa: E731
        try:
            for question, keys in answers:
                until(lambda: question in screen(), "neomutt asks %r" % question)
                subprocess.run([*tmux, "send-keys", "-t", "n", *keys], check=True)
            until(lambda: expected in screen(), "neomutt shows %r: %s" % (expected, screen()))
        finally:
            self.note("".join("  | %s\n" % line for line in screen().splitlines() if line.strip()))
            subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)

    def close(self):
        self.room.close()


# Questions of neomutt to who has no configuration yet.
NO_FOLDER = [("Create it", ["n"])]
ACCEPT = [("ccept", ["o"])]


@check
def by_package(_):
    done = subprocess.run([str(ROOT / "deploy/debian/build"), PROGRAM], capture_output=True, text=True, check=True)
    deb = ROOT / done.stdout.split()[-1]
    newcomer = Newcomer("package")
    try:
        newcomer.room.put(deb, "/srv/" + deb.name)
        install, account = block("README.md", "apt install ./").strip().splitlines()
        newcomer.types("apt-get update -q", outside=True)
        newcomer.types("cd /srv\n" + install.replace("apt install", "apt-get install -y -q --no-install-recommends"), "README.md", outside=True)
        # README asks for the password; the page gives it on standard input.
        newcomer.types(block("docs/installing.md", "relate-imap account list\n"), "docs/installing.md")
        newcomer.types(block("docs/installing.md", "hello"), "docs/installing.md")
        newcomer.types(block("docs/installing.md", "config show"), "docs/installing.md")
        newcomer.types("apt-get install -y -q --no-install-recommends openssl curl neomutt", outside=True)
        newcomer.types(block("docs/installing.md", "openssl req"), "docs/installing.md")
        newcomer.types("relate-imap doctor", "README.md")
        newcomer.neomutt("imaps://anna%40example.org@localhost/INBOX", [*NO_FOLDER, *ACCEPT, ("assword", [PASSWORD, "Enter"])], "hello")
        assert account.startswith("relate-imap account add")
    finally:
        newcomer.close()


def tries_out(newcomer):
    """The second of README's two commands, on a machine with nothing else."""
    log = OUT / "newcomer-up.txt"
    log.unlink(missing_ok=True)
    newcomer.note("\n[README.md]\n$ relate-imap up\n")
    newcomer.room.spawn("mkdir -p try && cd try && { relate-imap up & echo $! > /run/up.pid; wait; }", log)
    until(lambda: "Ctrl-C ends it" in log.read_text(), "up is ready")
    newcomer.note(log.read_text())
    password = re.search(r"password  (\S+)", log.read_text()).group(1)
    newcomer.neomutt("imaps://you%40localhost@localhost/INBOX", [*NO_FOLDER, *ACCEPT, ("assword", [password, "Enter"])], "relate-imap")
    newcomer.types("kill -INT $(cat /run/up.pid); while kill -0 $(cat /run/up.pid) 2>/dev/null; do sleep 0.1; done  # Ctrl-C")


@check
def from_source(_):
    newcomer = Newcomer("source")
    try:
        toolchain = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
        cargo_home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
        newcomer.note("\n(the Rust toolchain and the crates are copied in; a newcomer installs rustup)\n")
        for name in ("bin/rustc", "bin/cargo", "lib"):
            newcomer.room.put("%s/%s" % (toolchain, name), "/opt/rust/" + name)
        newcomer.room.run("ln -s /opt/rust/bin/rustc /opt/rust/bin/cargo /usr/local/bin/")
        for name in ("cache", "index"):
            newcomer.room.put(cargo_home / "registry" / name, "/srv/cargo/registry/" + name)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        (newcomer.room.root / "srv/relate-imap").mkdir()
        subprocess.run(["tar", "-x", "-C", str(newcomer.room.root / "srv/relate-imap")], input=archive, check=True)
        newcomer.types("apt-get update -q", outside=True)
        build = block("docs/installing.md", "apt install build-essential").strip().splitlines()
        newcomer.types(build[0].replace("apt install", "apt-get install -y -q --no-install-recommends"), "docs/installing.md", outside=True)
        unoptimised = "export CARGO_HOME=/srv/cargo CARGO_NET_OFFLINE=true CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64\n"
        newcomer.types("cd /srv/relate-imap\n" + unoptimised + build[1], "docs/installing.md", timeout=2400)
        newcomer.types("apt-get install -y -q --no-install-recommends openssl curl neomutt", outside=True)
        tries_out(newcomer)
        newcomer.types("cd /srv/relate-imap\n" + block("docs/installing.md", "relate-imap.sysusers"), "docs/installing.md")
        newcomer.types("sed -i s,^unit=.*,unit=/etc/systemd/system/relate-imap.service, /usr/local/bin/systemctl  # the stand-in's")
        newcomer.types(block("docs/installing.md", "relate-imap account list\n"), "docs/installing.md")
        newcomer.types(block("docs/installing.md", "hello"), "docs/installing.md")
        newcomer.types(block("docs/installing.md", "openssl req"), "docs/installing.md")
        newcomer.types("relate-imap doctor", "README.md")
        newcomer.neomutt("imaps://anna%40example.org@localhost/INBOX", [*NO_FOLDER, *ACCEPT, ("assword", [PASSWORD, "Enter"])], "hello")
    finally:
        newcomer.close()


if __name__ == "__main__":
    sys.exit(1 if main(None) else 0)
