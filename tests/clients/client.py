"""What every client script shares: where the server is, and how checks report.

A script defines functions decorated with `@check(...)`, naming the
capabilities each one exercises, and ends with `main()`. Each check prints
`ok SCRIPT.name` or `FAILED SCRIPT.name: reason`; the script exits 1 if any
failed. Which check drives which capability, `cargo xtask duties` writes into docs/rfc.md.
"""

import json
import os
import pathlib
import socket
import sys
import traceback

CHECKS = []
SCRIPT = pathlib.Path(sys.argv[0]).stem


class Server:
    """The description that `run` puts into the environment."""

    def __init__(self):
        self.__dict__.update(json.loads(os.environ["MAIL_SERVER"]))


def check(*_capabilities):
    def register(function):
        CHECKS.append(function)
        return function
    return register


def message(subject="test", body="body\r\n", **fields):
    """A small message as bytes."""
    head = {"From": "a@example.org", "To": "b@example.org", "Subject": subject, "Date": "Mon, 7 Feb 1994 21:52:25 -0800", **fields}
    return ("".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in head.items()) + "\r\n" + body).encode()


def lmtp(server, recipients, data, sender="a@example.org"):
    """Delivers over LMTP; the replies after DATA, one per accepted recipient."""
    with socket.create_connection((server.host, server.lmtp_port), timeout=30) as s:
        f = s.makefile("rwb")

        def reply():
            while True:
                line = f.readline()
                if line[3:4] != b"-":
                    return line.decode().strip()

        def say(line):
            f.write(line.encode() + b"\r\n")
            f.flush()
            return reply()

        reply()
        say("LHLO localhost")
        say("MAIL FROM:<%s>" % sender)
        answers = [say("RCPT TO:<%s>" % r) for r in recipients]
        accepted = [a for a in answers if a.startswith("2")]
        if not accepted:
            return answers
        say("DATA")
        # Only a dot after CRLF is stuffed: nothing else begins a line of SMTP.
        f.write((b"." if data.startswith(b".") else b"") + data.replace(b"\r\n.", b"\r\n.."))
        f.write(b".\r\n")
        f.flush()
        replies = [reply() for _ in accepted]
        say("QUIT")
        return replies


def main():
    only = sys.argv[1:]
    failed = 0
    server = Server()
    for function in CHECKS:
        name = "%s.%s" % (SCRIPT, function.__name__)
        if only and function.__name__ not in only:
            continue
        try:
            function(server)
            print("ok %s" % name, flush=True)
        except Exception as error:
            failed += 1
            trace = traceback.extract_tb(error.__traceback__)
            own = [f for f in trace if f.filename == sys.argv[0]] or trace
            reason = " ".join(("%s: %s (line %d)" % (type(error).__name__, error, own[-1].lineno)).split())
            print("FAILED %s: %s" % (name, reason[:900]), flush=True)
    sys.exit(1 if failed else 0)
