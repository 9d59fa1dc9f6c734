#!/usr/bin/env python3
"""Every SASL mechanism, each over STARTTLS and over TLS from the first byte.

The clients are curl, mbsync with Cyrus SASL, IMAPClient, imapflow, and, with
channel binding, GNU SASL over GnuTLS (tls-exporter) and imaplib with scramp
(tls-server-end-point). The authority of client certificates
and the issuer of tokens are made here with openssl; keys and questions about
opaque tokens are served on this machine.
"""

import base64
import contextlib
import http.server
import imaplib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import imapclient
import scramp

import server as servers
from client import check, main

SECONDS = 60
USER = "tim@example.org"
AUDIENCE = "imap"
IMAPFLOW = """
const { ImapFlow } = require('imapflow');
const [port, secure, user, accessToken] = process.argv.slice(1);
const c = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: secure === 'true', doSTARTTLS: secure === 'true' ? undefined : true,
    tls: { rejectUnauthorized: false }, logger: false, auth: { user, accessToken } });
c.on('error', () => {});
c.connect().then(() => c.logout()).then(() => process.exit(0), error => { console.error(error.responseText || error.message); process.exit(1); });
"""


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Whoever issues tokens: keys at one address, questions at another."""

    def __init__(self, directory):
        self.key = directory / "issuer.key"
        openssl("genrsa", "-out", self.key, "2048")
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        keys = {"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "n": encoded(bytes.fromhex(modulus)), "e": "AQAB"}]}
        issuer = self
        issuer.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(keys)

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                issuer.asked.append(self.headers["Authorization"])
                good = form["token"] == ["opaque-token"]
                self.answer({"active": True, "username": USER, "aud": AUDIENCE} if good else {"active": False})

            def answer(self, value):
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def settings(self):
        return {
            "Issuers": {"ours": {"Issuer": self.url, "Audience": AUDIENCE, "JwksUrl": self.url + "/keys"}},
            "IntrospectionUrl": self.url + "/introspect",
            "IntrospectionClientId": "imap",
            "IntrospectionClientSecret": "client secret",
            "IntrospectionAudience": AUDIENCE,
        }

    def token(self, **claims):
        head = encoded(json.dumps({"alg": "RS256", "kid": "one"}).encode())
        now = int(time.time())
        body = encoded(json.dumps({"iss": self.url, "aud": AUDIENCE, "email": USER, "email_verified": True, "exp": now + 300, **claims}).encode())
        signed = "%s.%s" % (head, body)
        return "%s.%s" % (signed, encoded(openssl("dgst", "-sha256", "-sign", self.key, stdin=signed.encode())))


def people(directory):
    """An authority for client certificates, and tim's certificate by it."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=people", "-keyout", directory / "ca.key", "-out", directory / "ca.pem")
    openssl("req", *curve, "-subj", "/CN=Tim", "-keyout", directory / "tim.key", "-out", directory / "tim.csr")
    (directory / "tim.ext").write_text("subjectAltName=email:%s\n" % USER)
    openssl("x509", "-req", "-in", directory / "tim.csr", "-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", directory / "tim.ext", "-out", directory / "tim.pem")
    return {"ClientCaPath": str(directory / "ca.pem"), "CheckCertificateRevocation": False}


@contextlib.contextmanager
def serving(**auth):
    """A server that knows every mechanism, and further settings of `Auth`."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        issuer = Issuer(directory)
        settings = {"Limits": {"LoginFailureDelays": "0s", "LoginFailuresPerMinute": 1000}, "Imap": people(directory),
                    "Auth": {"AnonymousAccount": USER, **auth}, "OAuth": issuer.settings()}
        server = servers.Relate(name, [USER], settings)
        server.issuer = issuer
        server.start()
        try:
            yield server
            log = server.log.read_text()
            for secret in (server.password, "opaque-token", "client secret"):
                assert secret not in log, "a secret is in the log"
        finally:
            server.stop()
            issuer.http.shutdown()


def curl(server, mechanism, *options, user=USER + ":"):
    """Over STARTTLS and over TLS from the first byte."""
    for scheme, port in (("imap", server.imap_port), ("imaps", server.imaps_port)):
        url = "%s://localhost:%d/" % (scheme, port)
        command = ["curl", "-sS", "-k", "--ssl-reqd", "--max-time", "30", "--login-options", "AUTH=" + mechanism, "-u", user, *map(str, options), url]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0 and b"INBOX" in done.stdout, "%s: %s" % (scheme, done.stderr.decode()[-300:])


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imaplibs(server):
    """A connection over STARTTLS, and one over TLS from the first byte."""
    plain = imaplib.IMAP4(server.host, server.imap_port, timeout=SECONDS)
    plain.starttls(unverified())
    yield plain
    yield imaplib.IMAP4_SSL(server.host, server.imaps_port, ssl_context=unverified(), timeout=SECONDS)


def imapclients(server):
    plain = imapclient.IMAPClient(server.host, server.imap_port, ssl=False, timeout=SECONDS)
    plain.starttls(unverified())
    yield plain
    yield imapclient.IMAPClient(server.host, server.imaps_port, ssl_context=unverified(), timeout=SECONDS)


@check("AUTH=PLAIN", "AUTH=LOGIN")
def passwords_by_curl_and_imapclient(_):
    with serving() as server:
        for mechanism in ("PLAIN", "LOGIN"):
            curl(server, mechanism, user="%s:%s" % (USER, server.password))
        for client in imapclients(server):
            client.plain_login(USER, server.password)
            assert client.folder_exists("INBOX")
            client.logout()


@check("AUTH=SCRAM-SHA-256")
def scram_by_mbsync(_):
    with serving() as server:
        for kind, port in (("STARTTLS", server.imap_port), ("IMAPS", server.imaps_port)):
            mail = server.directory / ("mail-" + kind)
            mail.mkdir()
            rc = server.directory / ("mbsyncrc-" + kind)
            secret = server.password.replace("\\", "\\\\").replace('"', '\\"')
            rc.write_text("""
IMAPAccount a
Host localhost
Port {port}
User {user}
Pass "{secret}"
SSLType {kind}
CertificateFile {cert}
AuthMechs SCRAM-SHA-256

IMAPStore far
Account a

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX

Channel c
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
""".format(port=port, user=USER, secret=secret, kind=kind, cert=server.directory / "cert.pem", mail=mail))
            done = subprocess.run(["mbsync", "-c", rc, "c"], capture_output=True, timeout=SECONDS, check=False)
            assert done.returncode == 0, "%s: %s" % (kind, done.stderr.decode()[-300:])
            assert (mail / "INBOX/cur").is_dir()


def scram(connection, mechanism, user, password, binding=None):
    """imaplib has no SCRAM of its own; scramp computes what is said."""
    client = scramp.ScramClient([mechanism], user, password, channel_binding=binding)
    messages = [client.get_client_first]

    def say(challenge):
        if not challenge:
            return client.get_client_first().encode() if len(messages) == 1 else b""
        if len(messages) == 1:
            messages.append(client.get_client_final)
            client.set_server_first(challenge.decode())
            return client.get_client_final().encode()
        client.set_server_final(challenge.decode())
        return b""

    return connection.authenticate(mechanism, say)


@check("AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-256-PLUS")
def scram_plus_by_scramp(_):
    with serving() as server:
        made = json.loads(subprocess.run([server.program, "app-password", "add", USER, "phone", "--json", "--config", str(server.config)],
                                         capture_output=True, check=True).stdout)
        for user, password in ((USER, server.password), (made["scram_user"], made["password"])):
            for connection in imaplibs(server):
                assert scram(connection, "SCRAM-SHA-256", user, password)[0] == "OK"
                connection.logout()
            for connection in imaplibs(server):
                binding = scramp.make_channel_binding("tls-server-end-point", connection.sock)
                assert scram(connection, "SCRAM-SHA-256-PLUS", user, password, binding)[0] == "OK"
                connection.logout()
        for connection in imaplibs(server):
            for wrong in ("wrong", made["password"]):
                try:
                    scram(connection, "SCRAM-SHA-256", USER, wrong)
                    raise AssertionError("let in")
                except imaplib.IMAP4.error as error:
                    assert "AUTHENTICATIONFAILED" in str(error), error


def gsasl(server, mechanism, password, *options):
    """GNU SASL's own client, over STARTTLS: what was said, and whether it was let in."""
    command = ["gsasl", "--imap", "--connect=localhost:%d" % server.imap_port, "--starttls", "--mechanism=" + mechanism,
               "--authentication-id=" + USER, "--password=" + password, "--x509-ca-file=%s" % (server.directory / "cert.pem"), *options]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False)
    return done.stdout.decode(), done.returncode == 0


@check("AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-256-PLUS")
def scram_plus_by_gsasl(_):
    bound = base64.b64encode(b"p=tls-exporter,,").decode()[:20]
    with serving() as server:
        said, let_in = gsasl(server, "SCRAM-SHA-256-PLUS", server.password)
        assert let_in and bound in said, said[-300:]
        said, let_in = gsasl(server, "SCRAM-SHA-256", server.password, "--no-cb")
        assert let_in and bound not in said, said[-300:]
        for wrong in (("wrong",), ("wrong", "--no-cb"),
                      # In TLS 1.2 it knows tls-unique alone, which is not offered: nothing else is taken for it.
                      (server.password, "--priority=NORMAL:-VERS-TLS1.3")):
            mechanism = "SCRAM-SHA-256" if "--no-cb" in wrong else "SCRAM-SHA-256-PLUS"
            said, let_in = gsasl(server, mechanism, *wrong)
            assert not let_in and "AUTHENTICATIONFAILED" in said, said[-300:]


@check("AUTH=SCRAM-SHA-1", "AUTH=SCRAM-SHA-1-PLUS")
def scram_sha_1_by_scramp_and_gsasl(_):
    with serving(ScramSha1=True) as server:
        # What it needs is made when the password is shown.
        curl(server, "PLAIN", user="%s:%s" % (USER, server.password))
        for connection in imaplibs(server):
            assert scram(connection, "SCRAM-SHA-1", USER, server.password)[0] == "OK"
            connection.logout()
        for connection in imaplibs(server):
            binding = scramp.make_channel_binding("tls-server-end-point", connection.sock)
            assert scram(connection, "SCRAM-SHA-1-PLUS", USER, server.password, binding)[0] == "OK"
            connection.logout()
        bound = base64.b64encode(b"p=tls-exporter,,").decode()[:20]
        for mechanism, options, is_bound in (("SCRAM-SHA-1-PLUS", (), True), ("SCRAM-SHA-1", ("--no-cb",), False)):
            said, let_in = gsasl(server, mechanism, server.password, *options)
            assert let_in and (bound in said) == is_bound, said[-300:]
            said, let_in = gsasl(server, mechanism, "wrong", *options)
            assert not let_in and "AUTHENTICATIONFAILED" in said, said[-300:]


@contextlib.contextmanager
def relay(server):
    """Somebody in between who ends TLS with a certificate of his own; yields his port."""
    with tempfile.TemporaryDirectory() as name:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*servers.certificate(pathlib.Path(name)))
        listener = socket.create_server(("127.0.0.1", 0))

        def pump(source, target):
            with contextlib.suppress(OSError):
                while data := source.recv(4096):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    victim = context.wrap_socket(listener.accept()[0], server_side=True)
                    behind = unverified().wrap_socket(socket.create_connection((server.host, server.imaps_port)))
                    for ends in ((victim, behind), (behind, victim)):
                        threading.Thread(target=pump, args=ends, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.close()


@check("AUTH=SCRAM-SHA-256-PLUS")
def threat_08_scram_plus_through_a_relay_fails(_):
    with serving() as server, relay(server) as port:
        def meet():
            return imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=unverified(), timeout=SECONDS)

        connection = meet()
        binding = scramp.make_channel_binding("tls-server-end-point", connection.sock)
        try:
            scram(connection, "SCRAM-SHA-256-PLUS", USER, server.password, binding)
            raise AssertionError("let in")
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error), error
        # The relay carries everything else: without a binding nobody notices it.
        assert scram(meet(), "SCRAM-SHA-256", USER, server.password)[0] == "OK"


@check("AUTH=EXTERNAL")
def external_by_curl(_):
    with serving() as server:
        certificate = ("--cert", server.directory / "tim.pem", "--key", server.directory / "tim.key")
        curl(server, "EXTERNAL", *certificate)
        # Who types somebody else's name is not that one.
        url = "imaps://localhost:%d/" % server.imaps_port
        done = subprocess.run(["curl", "-sS", "-k", "--login-options", "AUTH=EXTERNAL", "-u", "boss@example.org:", *map(str, certificate), url],
                              capture_output=True, check=False)
        assert done.returncode == 67, done


@check("AUTH=ANONYMOUS")
def anonymous_by_imaplib(_):
    with serving() as server:
        for connection in imaplibs(server):
            assert connection.authenticate("ANONYMOUS", lambda _: b"trace")[0] == "OK"
            assert connection.select(readonly=True)[0] == "OK"
            assert connection.create("mine")[0] == "NO"
            connection.logout()


@check("AUTH=OAUTHBEARER", "AUTH=XOAUTH2")
def tokens_by_imapclient(_):
    with serving() as server:
        for token in (server.issuer.token(), "opaque-token"):
            for method in ("oauthbearer_login", "oauth2_login"):
                for client in imapclients(server):
                    getattr(client, method)(USER, token)
                    assert client.folder_exists("INBOX")
                    client.logout()
        assert set(server.issuer.asked) == {"Basic " + base64.b64encode(b"imap:client+secret").decode()}
        for bad in (server.issuer.token(aud="other"), server.issuer.token(exp=1), "another", server.issuer.token()[:-8] + "AAAAAAAA"):
            for method in ("oauthbearer_login", "oauth2_login"):
                for client in imapclients(server):
                    try:
                        getattr(client, method)(USER, bad)
                        raise AssertionError("let in")
                    except imapclient.exceptions.LoginError as error:
                        assert "AUTHENTICATIONFAILED" in str(error), error


@check("AUTH=OAUTHBEARER", "AUTH=XOAUTH2")
def tokens_by_curl(_):
    with serving() as server:
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            curl(server, mechanism, "--oauth2-bearer", server.issuer.token())


@check("AUTH=OAUTHBEARER")
def tokens_by_imapflow(_):
    with serving() as server:
        for port, secure in ((server.imap_port, "false"), (server.imaps_port, "true")):
            for token, code in ((server.issuer.token(), 0), (server.issuer.token(iss="https://evil.example"), 1)):
                command = ["node", "-e", IMAPFLOW, str(port), secure, USER, token]
                done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, env=os.environ)
                assert done.returncode == code, done.stderr.decode()[-300:]


if __name__ == "__main__":
    main()
