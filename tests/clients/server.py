"""A mail server under test: relate-imap, or Dovecot as referee.

`start(kind, directory, users)` makes a fresh data directory, a self-signed
certificate and a configuration, starts the server on free loopback ports and
waits until it greets. The result says how to reach it; `describe()` is the
same as plain data, which is what the client scripts read from the environment
variable `MAIL_SERVER` (see `client.py`).

    python3 server.py KIND DIRECTORY USER...

does the same for a program in another language (the benchmark): it prints
`name=value` lines and `ready`, then obeys the lines `kill` (as kill -9),
`start`, `stop` and `settings` on its input, answering each with a last line
`done`, and stops the server when the input ends.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "pass word\"\\1"
START_SECONDS = 30
STOP_SECONDS = 15


def free_ports(count):
    """Ports nobody listens on now; held together so that they differ."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def certificate(directory):
    """A self-signed certificate for localhost: (certificate, key)."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(cert)], check=True, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    """What both servers have in common."""

    kind = ""

    def __init__(self, directory, users):
        self.directory = pathlib.Path(directory)
        self.users = list(users)
        self.password = PASSWORD
        self.host = "127.0.0.1"
        self.imap_port, self.imaps_port, self.lmtp_port, self.health_port = free_ports(4)
        self.lmtp_socket = self.directory / "lmtp.sock"
        self.process = None
        self.panics = 0
        self.log = self.directory / "server.log"

    def describe(self, user=None):
        return {"kind": self.kind, "host": self.host, "imap_port": self.imap_port, "imaps_port": self.imaps_port,
                "lmtp_port": self.lmtp_port, "lmtp_socket": str(self.lmtp_socket), "certificate": str(self.directory / "cert.pem"),
                "user": user or self.users[0], "password": self.password, "directory": str(self.directory),
                "pid": self.process.pid if self.process else None}

    def start(self):
        self.launch()
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                break
            if self.greets(self.imap_port, b"* ") and self.greets(self.lmtp_port, b"220"):
                return self
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
        self.stop()
        raise RuntimeError("%s did not start:\n%s" % (self.kind, tail))

    def greets(self, port, how):
        try:
            with socket.create_connection((self.host, port), timeout=2) as s:
                s.settimeout(2)
                return s.recv(100).startswith(how)
        except OSError:
            return False

    def spawn(self, command, environment=None):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                        env={**os.environ, **(environment or {})})
        log.close()

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def status(self, name):
        """A line of what the system says of the server's memory, such as RssAnon, bytes."""
        text = pathlib.Path("/proc/%d/status" % self.process.pid).read_text()
        return 1024 * int(text.split(name + ":")[1].split()[0])

    def kill(self):
        """kill -9 of the server and of whatever it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


class Relate(Server):
    kind = "relate"

    def __init__(self, directory, users, settings=None):
        super().__init__(directory, users)
        self.program = os.environ.get("RELATE_IMAP", str(ROOT / "target/release/relate-imap"))
        self.config = self.directory / "appsettings.json"
        self.settings = settings or {}
        cert, key = certificate(self.directory)
        sections = {
            "Imap": {"Addresses": "127.0.0.1", "Port": self.imap_port, "SecurePort": self.imaps_port,
                     "CertificatePath": str(cert), "CertificateKeyPath": str(key), "MaxConnectionsPerUser": 40},
            "Lmtp": {"Port": self.lmtp_port, "SocketPath": str(self.lmtp_socket)},
            "Store": {"Path": str(self.directory / "store")},
            "HealthCheck": {"Url": "http://127.0.0.1:%d" % self.health_port},
        }
        for section, values in self.settings.items():
            sections.setdefault(section, {}).update(values)
        self.config.write_text(json.dumps(sections, indent=2))
        secret = self.directory / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        for user in self.users:
            subprocess.run([self.program, "account", "add", user, "--password-file", str(secret), "--config", str(self.config)],
                           check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def durability(self):
        """What this server says of its own settings, one to a line."""
        shown = subprocess.run([self.program, "config", "show", "--config", str(self.config)], capture_output=True, text=True, check=False)
        version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        lines = [" ".join(line.split()) for line in shown.stdout.splitlines() if line.lower().lstrip().startswith("store") and "path" not in line.lower()]
        return [version, "every APPEND, STORE and delivery is on the device before it is answered",
                "Limits:CommandsPerMinute = 1000000, all else as by default", *lines]

    def launch(self):
        self.spawn([self.program, "serve", "--config", str(self.config)])


class Dovecot(Server):
    kind = "dovecot"

    CONFIG = """
protocols = imap lmtp
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = {name}
log_path = {dir}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
mail_location = {format}:~/mail
first_valid_uid = 1
mail_max_userip_connections = 5000
login_trusted_networks = 
auth_mechanisms = plain
default_process_limit = 5000
default_client_limit = 6000
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener {dir}/lmtp.sock {{
    mode = 0666
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home={dir}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Archive {{
    special_use = \\Archive
    auto = subscribe
  }}
}}
recipient_delimiter = +
protocol lmtp {{
  lmtp_save_to_detail_mailbox = yes
  postmaster_address = postmaster@localhost
}}
"""

    def __init__(self, directory, users, settings=None):
        super().__init__(directory, users)
        # No stand-in for relate-imap's settings: what they change is not asked of the referee.
        self.settings = settings or {}
        certificate(self.directory)
        for parent in [self.directory, *self.directory.parents]:
            if parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
        home = self.directory / "home"
        home.mkdir()
        os.chown(home, 8, 8)
        (self.directory / "users").write_text("".join("%s:{PLAIN}%s\n" % (u, self.password) for u in self.users))
        self.config = self.directory / "dovecot.conf"
        self.config.write_text(self.CONFIG.format(dir=self.directory, name="test-%d" % os.getpid(), imap=self.imap_port, imaps=self.imaps_port,
                                                  lmtp=self.lmtp_port, format=self.settings.get("format", "mdbox")))
        self.log = self.directory / "dovecot.log"

    def durability(self):
        """What this server says of its own settings, one to a line."""
        shown = subprocess.run(["doveconf", "-c", str(self.config), "mail_fsync", "mail_plugins", "mail_location"], capture_output=True, text=True, check=False)
        version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=False).stdout.strip()
        return ["Dovecot " + version, *(" ".join(line.split()) for line in shown.stdout.splitlines()),
                "mdbox without the zlib plugin: mail is stored uncompressed",
                "numbers of processes and connections raised, all else as by default"]

    def launch(self):
        self.spawn([shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", str(self.config)])


def start(kind, directory, users, settings=None):
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    return {"relate": Relate, "dovecot": Dovecot}[kind](directory, users, settings).start()


def obey(server):
    """The loop of `python3 server.py`."""
    print("\n".join("%s=%s" % item for item in server.describe().items()))
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "settings":
            print("\n".join(server.durability()))
        elif word == "kill":
            server.kill()
        elif word == "start":
            server.start()
            print("pid=%d" % server.process.pid)
        elif word == "stop":
            server.stop()
        print("done", flush=True)
    server.stop()


if __name__ == "__main__":
    # A benchmark is one client that asks as fast as it can, which the default limit would slow down.
    obey(start(sys.argv[1], sys.argv[2], sys.argv[3:], {"Limits": {"CommandsPerMinute": 1_000_000}}))
