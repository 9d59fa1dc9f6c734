#!/usr/bin/env python3
"""The hook that gives a renewed certificate to the server, as certbot and lego run it, beside a server that serves."""

import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys

from checks import ROOT, check, main, scratch, until

import server as servers

HOOK = ROOT / "deploy/certificates/hook"


class World:
    def __init__(self, directory):
        self.directory, self.tls = directory, directory / "tls"
        self.first = self.issue("first")
        self.hook(RENEWED_LINEAGE=str(self.first))
        settings = {"Imap": {"CertificatePath": str(self.tls / "cert.pem"), "CertificateKeyPath": str(self.tls / "key.pem")}}
        self.server = servers.start("relate", str(directory / "server"), ["anna@localhost"], settings)

    def issue(self, name):
        """A certificate as certbot's `live` directory has it."""
        lineage = self.directory / name
        lineage.mkdir()
        cert, key = servers.certificate(lineage)
        shutil.copy(cert, lineage / "fullchain.pem")
        shutil.copy(key, lineage / "privkey.pem")
        return lineage

    def hook(self, *arguments, expect=0, **environment):
        group = __import__("grp").getgrgid(os.getgid()).gr_name
        done = subprocess.run([str(HOOK), *arguments], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "RELATE_IMAP_TLS": str(self.tls), "RELATE_IMAP_GROUP": group, **environment})
        assert done.returncode == expect, done.stderr
        return done.stderr

    def shown(self):
        return ssl.get_server_certificate(("127.0.0.1", self.server.imaps_port))


def pem(lineage):
    return (lineage / "fullchain.pem").read_text()


@check
def certbots_certificate_is_served(world):
    assert world.shown() == pem(world.first)


@check
def copies_are_for_the_servers_group_alone(world):
    for name in ("cert.pem", "key.pem"):
        assert stat.S_IMODE((world.tls / name).stat().st_mode) == 0o640
    assert sorted(os.listdir(world.tls)) == ["cert.pem", "key.pem"]


@check
def a_renewed_certificate_is_served_and_sessions_go_on(world):
    with socket.create_connection(("127.0.0.1", world.server.imap_port)) as session:
        file = session.makefile("rwb")
        file.readline()
        second = world.issue("second")
        world.hook(RENEWED_LINEAGE=str(second))
        until(lambda: world.shown() == pem(second), "the new certificate is shown")
        file.write(b"a NOOP\r\n")
        file.flush()
        assert file.readline().startswith(b"a OK")


@check
def legos_names_are_understood(world):
    third = world.issue("third")
    world.hook(LEGO_CERT_PATH=str(third / "fullchain.pem"), LEGO_CERT_KEY_PATH=str(third / "privkey.pem"))
    until(lambda: world.shown() == pem(third), "the new certificate is shown")


@check
def files_can_be_named(world):
    fourth = world.issue("fourth")
    world.hook(str(fourth / "fullchain.pem"), str(fourth / "privkey.pem"))
    until(lambda: world.shown() == pem(fourth), "the new certificate is shown")


@check
def without_a_certificate_it_says_how_it_is_run(world):
    assert "certbot" in world.hook(expect=2)


@check
def a_file_that_is_missing_changes_nothing(world):
    before = world.shown()
    world.hook("/nonexistent", "/nonexistent", expect=1)
    assert world.shown() == before and sorted(os.listdir(world.tls)) == ["cert.pem", "key.pem"]


if __name__ == "__main__":
    with scratch() as place:
        world = World(place)
        try:
            failed = main(world)
        finally:
            world.server.stop()
    sys.exit(1 if failed else 0)
