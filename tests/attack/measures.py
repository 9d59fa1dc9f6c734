"""Attacks that are measured, not withstood: what the server keeps of names that clients ask for and of
logins that are cut short, what the time of a failed login tells, and whether anything of one user ever
reaches another.

Each is a function of a server's directory and of whether few tries are enough; it returns what was
found, in words, and what of it is wrong.
"""

import asyncio
import base64
import multiprocessing
import random
import socket
import ssl
import statistics
import struct
import subprocess
import time

import honest
import server as servers

MIB = 1 << 20
# Limits that would end the measurement, out of the way.
UNLIMITED = {"Limits": {name: 1_000_000 for name in ("NewConnectionsPerMinute", "ConnectionsPerAddress", "LoginFailures",
                                                      "LoginFailuresPerMinute", "LoginFailuresPerDay", "BadCommandsBeforeLogin")}}
HANDSHAKES_AT_A_TIME = 8
HONEST_LOGINS = 100
RSS_GROWTH_MAX = 4 * MIB


def started(directory, users, limits=None):
    return servers.start("relate", directory, users, {"Limits": {**UNLIMITED["Limits"], **(limits or {})}})


def trusting_anybody():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask_for_names(server, count, rng):
    """So many handshakes, each for a name that nobody asked for before."""
    async def ask():
        context, left = trusting_anybody(), count
        async def one_after_another():
            nonlocal left
            while left > 0:
                left -= 1
                name = "%032x.%032x.example" % (rng.getrandbits(128), rng.getrandbits(128))
                _, writer = await asyncio.open_connection(server.host, server.imaps_port, ssl=context, server_hostname=name)
                writer.transport.abort()
        await asyncio.gather(*(one_after_another() for _ in range(HANDSHAKES_AT_A_TIME)))
    asyncio.run(ask())


def threat_06_names_that_are_all_different(directory, small):
    """The memory after a tenth of the names, and after all of them."""
    server = started(directory, ["user@localhost"])
    count, rng = 2_000 if small else 100_000, random.Random(6)
    try:
        ask_for_names(server, count // 10, rng)
        before = server.status("RssAnon")
        ask_for_names(server, count - count // 10, rng)
        time.sleep(1)
        grown = server.status("RssAnon") - before
    finally:
        server.stop()
    found = "%d names, memory grows by %.1f MiB from %.1f MiB" % (count, grown / MIB, before / MIB)
    return found, ["the names are kept"] if grown > RSS_GROWTH_MAX else []


def encoded(text):
    return base64.b64encode(text)


# What is sent of an exchange before the connection is reset, and how many lines are waited for first: the greeting, a
# challenge. Without either the connection is gone before the server has looked at it.
CUT = (
    (b"", 0),
    (b"", 1),
    (b"a AUTHENTICATE PLAIN\r\n", 1),
    (b"a AUTHENTICATE PLAIN\r\n", 2),
    (b"a AUTHENTICATE PLAIN\r\nAHRp", 2),
    (b"a AUTHENTICATE PLAIN\r\n!!!\r\n", 3),
    (b"a AUTHENTICATE PLAIN\r\n*\r\n", 1),
    (b"a AUTHENTICATE LOGIN\r\n" + encoded(b"known@localhost") + b"\r\n", 3),
    (b"a AUTHENTICATE SCRAM-SHA-256 " + encoded(b"n,,n=known@localhost,r=abc") + b"\r\n", 2),
    (b"a LOGIN {5}\r\n", 2),
    (b"a LOGIN {4000+}\r\n" + b"x" * 3000, 1),
)
RESET = struct.pack("ii", 1, 0)


def cut_short(target, count, seed):
    """So many exchanges that end in the middle, with a reset."""
    rng = random.Random(seed)
    for _ in range(count):
        sent, lines = rng.choice(CUT)
        with socket.create_connection(target, timeout=honest.SECONDS) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sendall(sent)
            got = b""
            while got.count(b"\r\n") < lines and (more := connection.recv(4096)):
                got += more


def threat_05_exchanges_that_are_cut_short(directory, small):
    """The memory after a tenth of the exchanges and after all of them; a hundred logins beside them must all succeed."""
    user = "known@localhost"
    server = started(directory, [user])
    count, wrong = 6_000 if small else 1_000_000, []
    target = (server.host, server.imap_port)
    try:
        honest.fill(server, user)
        cut_short(target, count // 10, 5)
        before = server.status("RssAnon")
        others = [multiprocessing.Process(target=cut_short, args=(target, count * 9 // 20, seed)) for seed in (50, 51)]
        for each in others:
            each.start()
        seconds = []
        # Spread over the attack; the last ones may come after it.
        for _ in range(HONEST_LOGINS):
            seconds.append(honest.once(server.describe(), user)[0])
            time.sleep(0.01 if small else 1)
        for each in others:
            each.join()
            if each.exitcode:
                wrong.append("the attack broke off")
        time.sleep(1)
        grown = server.status("RssAnon") - before
    finally:
        server.stop()
    if grown > RSS_GROWTH_MAX:
        wrong.append("they are kept")
    found = "%d exchanges, memory grows by %.1f MiB from %.1f MiB; %d logins beside them, the slowest in %.0f ms" % (
        count, grown / MIB, before / MIB, len(seconds), 1000 * max(seconds))
    return found, wrong


# Stands in everything that is the other user's, and in nothing of the one who asks.
MARKER = b"marker7f3a"
OWN_MESSAGES = 12_800


def marked_mail(server, user):
    """The other user's mail, and his session in it."""
    session = honest.Session(server.host, server.imap_port)
    session.run(b"LOGIN %s %s" % (honest.quoted(user), honest.quoted(server.password)))
    session.run(b"CREATE " + MARKER)
    body = b"From: %s@example.org\r\nSubject: %s\r\n\r\n" % (MARKER, MARKER) + (MARKER + b"\r\n") * 500
    session.run(b"APPEND " + MARKER + (b" {%d+}\r\n" % len(body) + body) * 20)
    session.run(b"SELECT " + MARKER)
    session.run(b"STORE 1:* +FLAGS (%s)" % MARKER)
    return session


def read_marked(server, user, stop):
    """The other user reads all his mail, over and over: what he is sent lies in the server's memory."""
    session = marked_mail(server, user)
    while not stop.is_set():
        session.run(b"UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        session.run(b"SEARCH TEXT " + MARKER)
        session.run(b"LIST \"\" * RETURN (STATUS (MESSAGES))")
    session.close()


ASKED = (b"FETCH 1:* FLAGS", b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)", b"FETCH 1:* ENVELOPE", b"FETCH 1:* BODYSTRUCTURE",
         b"FETCH 1:500 BODY.PEEK[]", b"FETCH 1:2000 BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", b"SEARCH TEXT hello",
         b"LIST \"\" *", b"STATUS INBOX (MESSAGES UIDNEXT SIZE)", b"FETCH 1:1000 BODY.PEEK[TEXT]<10.100>", b"NAMESPACE", b"FETCH 0 (",
         b"SEARCH (", b"SELECT nowhere", b"COPY 1 nowhere", b"LIST \"\" %", b"LSUB \"\" *")


def threat_26_nothing_of_one_user_reaches_another(directory, small):
    """Counts responses to one user, and looks for the other's mark in each, while the other reads."""
    asks, reads = "asks@localhost", "reads@localhost"
    server = started(directory, [asks, reads], {"CommandsPerMinute": 1_000_000, "BadCommands": 1_000_000})
    wanted, responses, leaks, tail = 200_000 if small else 10_000_000, 0, 0, b""
    stop = multiprocessing.Event()
    other = multiprocessing.Process(target=read_marked, args=(server, reads, stop), daemon=True)
    other.start()
    try:
        honest.fill_many(server, asks, OWN_MESSAGES)
        session = honest.Session(server.host, server.imap_port)
        session.run(b"LOGIN %s %s" % (honest.quoted(asks), honest.quoted(server.password)))
        session.run(b"SELECT INBOX")
        rng = random.Random(26)
        while responses < wanted and not leaks:
            session.socket.sendall(b"t " + rng.choice(ASKED) + b"\r\n")
            tail = b"\r\n"
            while b"\r\nt " not in tail or not tail.endswith(b"\r\n"):
                got = session.socket.recv(1 << 20)
                if not got:
                    raise EOFError("the server ended the connection")
                responses += got.count(b"\n* ")
                tail = tail[-200:] + got
                leaks += tail.count(MARKER)
            responses += 1
        session.close()
        if other.exitcode is not None:
            return "%d responses" % responses, ["the other user was not served"]
    finally:
        stop.set()
        other.join(honest.SECONDS)
        server.stop()
    return "%d responses, the other's mark in none" % responses, ["the other's mark is in %d" % leaks] if leaks else []


def seconds_to_no(session, user):
    began = time.perf_counter()
    session.socket.sendall(b"t LOGIN %s wrong%d\r\n" % (honest.quoted(user), random.randrange(10**6)))
    line = session.file.readline()
    assert line.startswith(b"t NO [AUTHENTICATIONFAILED]"), line
    return time.perf_counter() - began


def area_under_curve(some, others):
    """How often one of `some` is above one of `others`: 0.5 if they cannot be told apart."""
    ranked = sorted([(each, 1) for each in some] + [(each, 0) for each in others])
    above = sum(rank for rank, (_, is_some) in enumerate(ranked, 1) if is_some) - len(some) * (len(some) + 1) / 2
    return above / (len(some) * len(others))


def threat_11_times_of_failed_logins(directory, small):
    """Wrong passwords for an account, for nobody, and for an account that is disabled, in random order."""
    known, disabled = "known@localhost", "disabled@localhost"
    server = started(directory, [known, disabled], {"LoginFailureDelays": "0s", "PreLoginTime": "1h"})
    # Of few tries the medians say nothing: what else the machine does moves them further than a hash takes.
    tries, medians_max, auc_max = (60, float("inf"), 0.7) if small else (1_000, 0.05, 0.55)
    try:
        subprocess.run([server.program, "account", "set", disabled, "--disable", "--config", str(server.config)], check=True,
                       stdout=subprocess.DEVNULL)
        session = honest.Session(server.host, server.imap_port)
        for _ in range(20):
            seconds_to_no(session, known)
        times = {known: [], "nobody@localhost": [], disabled: []}
        order = [user for user in times for _ in range(tries)]
        random.Random(11).shuffle(order)
        for user in order:
            times[user].append(seconds_to_no(session, user))
        session.close()
    finally:
        server.stop()
    wrong, told = [], []
    for user in list(times)[1:]:
        apart = abs(statistics.median(times[user]) / statistics.median(times[known]) - 1)
        auc = area_under_curve(times[user], times[known])
        told.append("%s: medians %.1f %% apart, AUC %.3f" % (user.split("@")[0], 100 * apart, auc))
        if apart > medians_max or abs(auc - 0.5) > auc_max - 0.5:
            wrong.append("the time tells %s from known" % user.split("@")[0])
    return "%d tries each; %s" % (tries, "; ".join(told)), wrong


MEASURES = (threat_05_exchanges_that_are_cut_short, threat_06_names_that_are_all_different, threat_11_times_of_failed_logins,
            threat_26_nothing_of_one_user_reaches_another)
