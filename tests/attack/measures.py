"""Attacks that are measured, not withstood: what the server keeps of names that clients ask for, and
what the time of a failed login tells.

Each is a function of a server's directory and of whether few tries are enough; it returns what was
found, in words, and what of it is wrong.
"""

import asyncio
import random
import ssl
import statistics
import subprocess
import time

import honest
import server as servers

MIB = 1 << 20
# Limits that would end the measurement, out of the way.
UNLIMITED = {"Limits": {name: 1_000_000 for name in ("NewConnectionsPerMinute", "ConnectionsPerAddress", "LoginFailures",
                                                      "LoginFailuresPerMinute", "LoginFailuresPerDay", "BadCommandsBeforeLogin")}}
HANDSHAKES_AT_A_TIME = 8
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


MEASURES = (threat_06_names_that_are_all_different, threat_11_times_of_failed_logins)
