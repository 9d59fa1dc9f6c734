"""The attackers: one process, many connections, each a coroutine that does one hostile thing.

They come from 127.0.0.2 on, at most `PER_ADDRESS` from each, so that limits by address apply to
them as they would to strangers. An attacker that is thrown out comes again until it is stopped.
"""

import asyncio
import multiprocessing
import random
import ssl

PER_ADDRESS = 80
RETRY_SECONDS = 5
READY_SECONDS = 60


def address(number):
    """The source of the connection of this number."""
    host = number // PER_ADDRESS
    return "127.0.%d.%d" % (1 + host // 250, 2 + host % 250)


async def connect(target, number, tls=False):
    port = target["imaps_port"] if tls == "socket" else target["imap_port"]
    return await asyncio.open_connection(target["host"], port, local_addr=(address(number), 0), limit=1 << 16)


async def held(writer, reader, stop):
    """Stays until the server ends it or the attack is over."""
    while not stop.is_set():
        try:
            if not await asyncio.wait_for(reader.read(4096), 0.5):
                return
        except TimeoutError:
            continue


async def slow(target, number, stop, ready):
    """A byte now and then of a command that never ends; every second one of a handshake."""
    tls = "socket" if number % 2 else False
    reader, writer = await connect(target, number, tls)
    ready()
    line = b"a LOGIN " + b"x" * 4000
    for at in range(len(line)):
        if stop.is_set() or reader.at_eof():
            break
        writer.write(b"\x16\x03\x01\x02\x00\x01"[at:at + 1] if tls else line[at:at + 1])
        await asyncio.sleep(random.uniform(2, 6))
    writer.close()


def holder(payload, tls=False):
    """An attacker that sends this and then nothing more."""
    async def hold(target, number, stop, ready):
        reader, writer = await connect(target, number, tls)
        if not tls:
            await reader.readline()
        writer.write(payload)
        await writer.drain()
        ready()
        await held(writer, reader, stop)
        writer.close()
    return hold


half_literal = holder(b"a LOGIN {4096+}\r\n" + b"x" * 4095)
four_literals = holder(b"a LOGIN " + b"".join(b"{3900+}\r\n" + b"x" * 3900 + b" " for _ in range(3)) + b"{3900+}\r\n" + b"x" * 3899)
brackets = holder(b"a NOOP " + b"(" * 8100)
id_line = holder(b"a ID (" + b"x" * 65000)
sasl_line = holder(b"a AUTHENTICATE PLAIN\r\n" + b"A" * 12000)
half_handshake = holder(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 400, tls="socket")


async def guess(target, number, stop, ready):
    """Wrong passwords for real and invented users, as fast as this one is answered."""
    reader, writer = await connect(target, number)
    ready()
    while not stop.is_set():
        if not (line := await reader.readline()) or line.startswith(b"* BYE"):
            break
        user = target["user"] if number % 2 else "nobody%d@localhost" % number
        writer.write(b'a LOGIN "%s" guess%d\r\n' % (user.encode(), random.randrange(10**9)))
    writer.close()


async def log_in(target, number):
    reader, writer = await connect(target, number)
    await reader.readline()
    users = target["users"]
    password = target["password"].replace("\\", "\\\\").replace('"', '\\"')
    writer.write(b'a LOGIN "%s" "%s"\r\n' % (users[number % len(users)].encode(), password.encode()))
    if b"a OK" not in (line := await reader.readline()):
        raise ConnectionError(line)
    return reader, writer


def asks_and_never_reads(command):
    """After login."""
    async def ask(target, number, stop, ready):
        reader, writer = await log_in(target, number)
        writer.write(b"b SELECT INBOX\r\n")
        while not (await reader.readline()).startswith(b"b "):
            pass
        writer.transport.pause_reading()
        writer.write(b"c " + command + b"\r\n")
        ready()
        while not stop.is_set():
            await asyncio.sleep(0.5)
        writer.transport.abort()
    return ask


deaf = asks_and_never_reads(b"FETCH 1:* BODY.PEEK[]")
deaf_to_structures = asks_and_never_reads(b"FETCH 1:* (ENVELOPE BODYSTRUCTURE)")


def bomb(*payloads):
    """After login: each connection one of these, then nothing."""
    async def throw(target, number, stop, ready):
        reader, writer = await log_in(target, number)
        writer.write(b"b SELECT INBOX\r\n")
        while not (await reader.readline()).startswith(b"b "):
            pass
        writer.write(payloads[number % len(payloads)])
        await writer.drain()
        ready()
        await held(writer, reader, stop)
        writer.close()
    return throw


bombs = bomb(
    b"c SEARCH " + b"(" * 32 + b"x" * 65000,
    b"c SEARCH " + b"(" * 65000,
    b"c SEARCH" + b" SUBJECT {131072+}\r\n" + b"x" * 131071,
    b"c SEARCH" + (b" SUBJECT {131072+}\r\n" + b"x" * 131072) * 7 + b" SUBJECT {131072+}\r\n" + b"x" * 131000,
    b"c SEARCH" + b" SUBJECT {1+}\r\nx" * 990,
    b"c FETCH " + b"9:1," * 8000 + b"1 (" + b"BODY.PEEK[] " * 200,
    b"c STORE 1 FLAGS (" + b"k " * 32000,
    b'c LIST "" (' + b"*a*a*a* " * 63,
)


async def search(target, number, stop, ready):
    """One costly search after another, each for what is in no message."""
    reader, writer = await log_in(target, number)
    writer.write(b"b SELECT INBOX\r\n")
    while not (await reader.readline()).startswith(b"b "):
        pass
    ready()
    while not stop.is_set():
        writer.write(b"c SEARCH" + b"".join(b' NOT TEXT "no such %d"' % n for n in range(100)) + b" UNSEEN\r\n")
        line = b"-"
        while line and not line.startswith(b"c "):
            try:
                line = await asyncio.wait_for(reader.readline(), 0.5)
            except TimeoutError:
                # The answer comes whole, and the line is not begun before.
                if stop.is_set():
                    break
        if not line:
            break
    writer.close()


async def again_and_again(attacker, target, number, stop, ready):
    while not stop.is_set():
        try:
            await attacker(target, number, stop, ready)
        except (OSError, ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, ValueError):
            pass
        if not stop.is_set():
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS) if attacker is not guess else 1)


def swarm(attackers, target, stop, ready_count):
    """Runs the attackers, numbers 0 on, until they are stopped."""
    async def all_of_them():
        def ready():
            with ready_count.get_lock():
                ready_count.value += 1
        tasks = []
        for number, attacker in enumerate(attackers):
            tasks.append(asyncio.create_task(again_and_again(attacker, target, number, stop, ready)))
            # A ramp, so that the queue of the listener is not all that is tested.
            if number % 50 == 49:
                await asyncio.sleep(0.02)
        while not stop.is_set():
            await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    asyncio.run(all_of_them())


class Swarm:
    """The process of the attackers."""

    def __init__(self, attackers, server, users):
        self.stop, self.ready = multiprocessing.Event(), multiprocessing.Value("q", 0)
        target = {**server.describe(), "users": users}
        self.process = multiprocessing.Process(target=swarm, args=(attackers, target, self.stop, self.ready), daemon=True)
        self.process.start()

    def close(self):
        self.stop.set()
        self.process.join(READY_SECONDS)
        if self.process.is_alive():
            self.process.kill()
