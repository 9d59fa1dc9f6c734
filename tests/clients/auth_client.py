#!/usr/bin/env python3
"""Who gets in by what: app passwords, and each backend of docs/authentication.md.

The examples of that page are run here as they stand there: a file with a hash
of `openssl passwd`, a checkpassword program, and Debian's slapd, asked over
StartTLS with a search and a bind. imaplib and curl log in.
"""

import contextlib
import imaplib
import json
import pathlib
import subprocess
import tempfile
import time

import server as servers
from client import check, main

SECONDS = 30
USER = "tim@example.org"
SECRET = "tanstaaf"

CHECKPASSWORD = """#!/bin/sh
# user NUL password NUL time NUL on descriptor 3; exit 1 if they are wrong.
input=$(tr '\\0' '\\n' <&3)
user=$(printf '%s\\n' "$input" | sed -n 1p)
password=$(printf '%s\\n' "$input" | sed -n 2p)
[ "$user:$password" = "tim@example.org:tanstaaf" ] || exit 1
USER=$user exec "$@"
"""

SLAPD = """
modulepath /usr/lib/ldap
moduleload back_mdb
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {dir}/slapd.pid
TLSCertificateFile {dir}/cert.pem
TLSCertificateKeyFile {dir}/key.pem
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
directory {dir}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn="cn=reader,dc=example,dc=org" read by * none
"""

LDIF = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reads

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=tim,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: tim
cn: Tim
sn: T
mail: tim@example.org
userPassword: tanstaaf
"""


def command(server, *arguments):
    done = subprocess.run([server.program, *arguments, "--config", str(server.config)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, "%s: %s" % (arguments, done.stderr)
    return done.stdout


@contextlib.contextmanager
def serving(settings=None):
    with tempfile.TemporaryDirectory() as directory:
        server = servers.Relate(directory, [USER], {"Limits": {"LoginFailureDelays": "0s"}, **(settings or {})})
        server.start()
        try:
            yield server
        finally:
            server.stop()


def login(server, user, password):
    m = imaplib.IMAP4(server.host, server.imap_port, timeout=SECONDS)
    m.login(user, password)
    m.select()
    return m


def refused(server, user, password):
    try:
        login(server, user, password)
    except imaplib.IMAP4.error as error:
        return "AUTHENTICATIONFAILED" in str(error)
    return False


@check()
def app_password_from_its_making_to_its_end(_):
    with serving() as server:
        made = json.loads(command(server, "app-password", "add", USER, "phone", "--expires", "90d", "--json"))
        kept = json.loads(command(server, "app-password", "add", USER, "tablet", "--json"))
        m = login(server, USER, made["password"])
        url = "imap://%s:%d/INBOX" % (server.host, server.imap_port)
        credentials = "%s:%s" % (made["scram_user"], made["password"])
        curl = subprocess.run(["curl", "-s", "--url", url, "--login-options", "AUTH=PLAIN", "-u", credentials, "-X", "NOOP"], capture_output=True, timeout=SECONDS, check=False)
        assert curl.returncode == 0, curl
        listed = json.loads(command(server, "app-password", "list", USER, "--json"))
        assert listed[0]["last_place"] == "127.0.0.1" and listed[1]["last_place"] is None, listed
        command(server, "app-password", "revoke", USER, "phone")
        # The session is told without having asked.
        line = m.readline()
        assert line.startswith(b"* BYE") and b"withdrawn" in line, line
        assert refused(server, USER, made["password"])
        server.kill()
        server.start()
        login(server, USER, kept["password"]).logout()
        assert refused(server, USER, made["password"])


@check()
def a_changed_password_ends_sessions(_):
    with serving() as server:
        m = login(server, USER, server.password)
        secret = server.directory / "new"
        secret.write_text("another")
        command(server, "account", "passwd", USER, "--password-file", str(secret))
        line = m.readline()
        assert line.startswith(b"* BYE"), line
        assert refused(server, USER, server.password)
        login(server, USER, "another").logout()


@check()
def passwd_file(_):
    with tempfile.TemporaryDirectory() as directory:
        users = pathlib.Path(directory) / "users"

        def write(password):
            done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True)
            new = users.with_suffix(".new")
            new.write_text("%s:{SHA512-CRYPT}%s::::::\n" % (USER, done.stdout.strip()))
            new.rename(users)

        write(SECRET)
        with serving({"Auth": {"Backend": "PasswdFile", "PasswdFilePath": str(users)}}) as server:
            login(server, USER, SECRET).logout()
            assert refused(server, USER, server.password)
            write("another")
            assert refused(server, USER, SECRET)
            login(server, USER, "another").logout()


@check()
def checkpassword(_):
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory) / "check"
        program.write_text(CHECKPASSWORD)
        program.chmod(0o755)
        with serving({"Auth": {"Backend": "Command", "CommandPath": str(program)}}) as server:
            login(server, USER, SECRET).logout()
            assert refused(server, USER, "wrong") and refused(server, "other@example.org", SECRET)


@contextlib.contextmanager
def slapd():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        # Not a certificate authority: such a one is no server's certificate to rustls.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
                        "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")], check=True, stderr=subprocess.DEVNULL)
        (directory / "db").mkdir()
        (directory / "slapd.conf").write_text(SLAPD.format(dir=directory))
        (directory / "people.ldif").write_text(LDIF)
        configured = ["-f", str(directory / "slapd.conf")]
        subprocess.run(["/usr/sbin/slapadd", *configured, "-l", str(directory / "people.ldif")], check=True, capture_output=True)
        (port,) = servers.free_ports(1)
        process = subprocess.Popen(["/usr/sbin/slapd", *configured, "-h", "ldap://127.0.0.1:%d" % port, "-d", "0"], stderr=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + SECONDS
            while not (directory / "slapd.pid").exists():
                assert process.poll() is None and time.monotonic() < limit, "slapd does not start"
                time.sleep(0.05)
            yield directory, port
        finally:
            process.terminate()
            process.wait(SECONDS)


def directory_at(directory, port):
    """The settings that every use of `slapd` has in common."""
    return {"Backend": "Ldap", "LdapUrl": "ldap://localhost:%d" % port, "LdapCaPath": str(directory / "cert.pem")}


@check()
def ldap_search_and_bind_over_starttls(_):
    with slapd() as (directory, port):
        search = directory_at(directory, port) | {
            "LdapBase": "ou=people,dc=example,dc=org",
            "LdapFilter": "(&(objectClass=inetOrgPerson)(mail={user}))",
            "LdapBindDn": "cn=reader,dc=example,dc=org",
            "LdapBindPassword": "reads",
        }
        with serving({"Auth": search}) as server:
            login(server, USER, SECRET).logout()
            for user, password in ((USER, "wrong"), ('"*"', SECRET), ("other@example.org", SECRET), (USER, "")):
                assert refused(server, user, password), (user, password)


@check()
def ldap_bind_by_name(_):
    with slapd() as (directory, port):
        named = directory_at(directory, port) | {
            "LdapUserDn": "uid={name},ou=people,dc=example,dc=org",
            "LdapDomain": "example.org",
        }
        with serving({"Auth": named}) as server:
            login(server, USER, SECRET).logout()
            assert refused(server, USER, "wrong") and refused(server, "tim,ou=people@example.org", SECRET)


if __name__ == "__main__":
    main()
