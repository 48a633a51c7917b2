#!/usr/bin/env python3
"""The security rig: passwords, strangers, and what must not be seen, on servers with sockets and several shards.

What is said is compared with redis-server's own words where it can be asked the same.
"""

import os
import socket
import subprocess
import tempfile
import time

import rig
from resp import ErrorReply, eventually, request
from rig import Redis, Tern, expect, expect_equal

SECRET = "correct-horse-battery"


def configured(options, *lines, shards=2):
    """A server with a configuration file of these lines."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as f:
        f.write("".join(line + "\n" for line in lines))
    try:
        # Its own flags say where it listens; those of the test stand in the file.
        return Tern(options, shards, f.name)
    finally:
        os.unlink(f.name)


@rig.test(tern_only=True)
def every_port_asks_for_the_password(options):
    """Also the configuration endpoint's; before it nothing runs, after it everything does."""
    with configured(options, f"requirepass {SECRET}") as tern:
        for number in (0, 1, 2):
            with tern.shard(number) as c:
                for words in (("PING",), ("GET", "k"), ("CLUSTER", "SLOTS"), ("CONFIG", "GET", "requirepass"), ("CLIENT", "LIST"), ("SHUTDOWN",), ("MONITOR",), ("DBSIZE",), ("INFO",)):
                    c.send(request(*words))
                    expect_equal(c.reply(), b"-NOAUTH Authentication required.\r\n", f"{words} at shard {number}")
                c.send(request("AUTH", SECRET[:-1]))
                expect_equal(c.reply()[:10], b"-WRONGPASS", "a wrong password")
                expect_equal(c.ask("AUTH", SECRET), b"OK", "the right one")
                expect_equal(c.ask("PING"), b"PONG", "PING")
                expect_equal(c.ask("CONFIG", "GET", "requirepass"), [b"requirepass", SECRET.encode()], "CONFIG GET")


@rig.test(tern_only=True)
def words_are_those_of_redis(options):
    """Byte for byte, whatever is sent before, with and after a password."""
    cases = [
        b"PING\r\nGET k\r\nCLIENT ID\r\nNOSUCH\r\nGET\r\nQUIT\r\n",
        b"HELLO\r\nHELLO 3\r\nHELLO 4\r\nHELLO 3 AUTH default x\r\nHELLO 3 AUTH nobody %s\r\nAUTH x\r\nAUTH nobody x\r\nAUTH default x\r\nAUTH a b c\r\nRESET\r\nMULTI\r\nEXEC\r\nDISCARD\r\nHELLO 3 SETNAME a\r\nAUTH %s\r\nPING\r\nRESET\r\nPING\r\n" % ((SECRET.encode(),) * 2),
        b"*11\r\n", b"*10\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$16385\r\n", b"*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n",
        b"AUTH %s\r\nMULTI\r\nECHO a\r\nAUTH x\r\nEXEC\r\n" % SECRET.encode(), b"AUTH default %s\r\nSET k v\r\nGET k\r\nRESET\r\nGET k\r\n" % SECRET.encode(),
        b"NOSUCH\r\nCLIENT REPLY OFF\r\nPING\r\n", b"ASKING\r\nREADONLY\r\nCLUSTER SLOTS\r\n", b"AUTH\r\nAUTH ''\r\nAUTH default ''\r\n",
    ]  # fmt: skip
    with Redis() as redis, configured(options, f"requirepass {SECRET}", shards=1) as tern:
        with redis.shard() as c:
            expect_equal(c.ask("CONFIG", "SET", "requirepass", SECRET), b"OK", "CONFIG SET")
        for data in cases:
            found = []
            for server in (redis, tern):
                with server.shard(patience=5) as c:
                    c.send(data)
                    c.half_close()
                    found.append(c.until_end())
            expect_equal(found[1], found[0], f"{data!r}")


@rig.test(tern_only=True)
def a_password_set_later(options):
    """In force at every shard when CONFIG SET is answered; those who are there stay."""
    with Tern(options, 3) as tern, tern.shard(1) as old, tern.shard(2) as other:
        expect_equal(other.ask("PING"), b"PONG", "who is there")
        expect_equal(old.ask("CONFIG", "SET", "requirepass", SECRET), b"OK", "CONFIG SET")
        for number in (0, 1, 2, 3):
            with tern.shard(number) as c:
                c.send(request("PING") + request("AUTH", SECRET) + request("PING"))
                expect_equal([c.reply() for _ in range(3)], [b"-NOAUTH Authentication required.\r\n", b"+OK\r\n", b"+PONG\r\n"], f"shard {number}")
        expect_equal(old.ask("PING"), b"PONG", "who set it")
        expect_equal(other.ask("PING"), b"PONG", "who was there")
        expect_equal(old.ask("CONFIG", "SET", "requirepass", ""), b"OK", "CONFIG SET")
        with tern.shard(3) as c:
            expect_equal(c.ask("PING"), b"PONG", "without a password")


def own_address():
    """An address of this machine that is not loopback; None if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


@rig.test(tern_only=True)
def strangers_are_denied(options):
    """From another address than loopback there is one line and the end, until there is a password or nobody minds."""
    address = own_address()
    if address is None:
        return print("        this machine has no address but loopback")

    def ask_from_afar(port):
        with socket.create_connection((address, port), timeout=5) as s:
            try:
                s.sendall(b"PING\r\nQUIT\r\n")
            except OSError:
                pass
            data = b""
            try:
                while more := s.recv(65536):
                    data += more
            except ConnectionResetError:
                pass
            return data

    with Redis("--bind", "127.0.0.1", address) as redis, configured(options, f"bind 127.0.0.1 {address}") as tern:
        wanted = ask_from_afar(redis.port)
        expect(wanted.startswith(b"-DENIED "), "redis-server denies nobody here")
        with tern.shard(1) as near:
            for number in (0, 1, 2):
                expect_equal(ask_from_afar(tern.port + number), wanted, f"port {number}")
            rejected = [line for line in near.ask("INFO", "stats").split(b"\r\n") if line.startswith(b"rejected_connections")]
            expect(rejected and rejected[0] != b"rejected_connections:0", f"{rejected}")
            near.ask("CONFIG", "SET", "protected-mode", "no")
            expect_equal(ask_from_afar(tern.port + 2), b"+PONG\r\n+OK\r\n", "without protection")
            near.ask("CONFIG", "SET", "protected-mode", "yes", "requirepass", SECRET)
            expect_equal(ask_from_afar(tern.port + 2), b"-NOAUTH Authentication required.\r\n+OK\r\n", "with a password")


@rig.test(tern_only=True)
def secrets_are_seen_nowhere(options):
    """Not by MONITOR, in no slow log, in no error, in nothing that the server prints."""
    with Tern(options, 1) as tern, tern.shard(1) as c, tern.shard(1) as monitor:
        expect_equal(monitor.ask("MONITOR"), b"OK", "MONITOR")
        c.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
        lines = [
            ("CONFIG", "SET", "requirepass", SECRET), ("AUTH", SECRET), ("AUTH", "default", SECRET), ("AUTH", "other", SECRET), ("AUTH", "a", SECRET, "c"), ("HELLO", "3", "AUTH", "default", SECRET),
            ("HELLO", "9", "AUTH", "default", SECRET), ("HELLO", "2", "SETNAME", "n", "AUTH", "x", SECRET), ("CONFIG", "SET", "hz", "x", "requirepass", SECRET), ("CONFIG", "SET", "requirepass", SECRET, "hz", "x"),
            ("MULTI",), ("AUTH", SECRET), ("CONFIG", "SET", "requirepass", SECRET), ("EXEC",), ("CLIENT", "LIST"), ("INFO", "everything"), ("LATENCY", "HISTOGRAM"),
        ]  # fmt: skip
        for words in lines:
            c.send(request(*words))
            reply = c.reply()
            expect(SECRET.encode() not in reply, f"{words}: {reply!r}")
        c.send(request("SLOWLOG", "GET", "-1"))
        slow = c.reply()
        expect(SECRET.encode() not in slow and b"(redacted)" in slow, "the slow log")
        c.ask("ECHO", "the end")
        told = b""
        while b"the end" not in told:
            told += monitor.reply()
        expect(SECRET.encode() not in told and b"(redacted)" in told, "MONITOR")
        expect(SECRET not in "\n".join(line or "" for line in tern.lines), "the output")


@rig.test(tern_only=True)
def clients_of_one_shard_only(options):
    """LIST, KILL, PAUSE, MONITOR and SLOWLOG at a shard's port concern that shard, though shards share workers."""
    with Tern(options, 4) as tern, tern.shard(1) as one, tern.shard(3) as three, tern.shard(3) as other:
        expect_equal(len(one.ask("CLIENT", "LIST").splitlines()), 1, "clients of shard 1")
        expect_equal(len(three.ask("CLIENT", "LIST").splitlines()), 2, "clients of shard 3")
        number = other.ask("CLIENT", "ID")
        expect_equal(one.ask("CLIENT", "KILL", "ID", number), 0, "killing from another shard")
        expect_equal(one.ask("CLIENT", "PAUSE", 300), b"OK", "CLIENT PAUSE")
        began = time.monotonic()
        expect_equal(three.ask("PING"), b"PONG", "another shard's client")
        expect(time.monotonic() - began < 0.2, "it waited")
        expect_equal(one.ask("PING"), b"PONG", "a paused client")
        expect(time.monotonic() - began > 0.2, "it did not wait")
        with tern.shard(1) as monitor:
            expect_equal(monitor.ask("MONITOR"), b"OK", "MONITOR")
            three.ask("ECHO", "there")
            one.ask("ECHO", "here")
            expect(b'"ECHO" "here"' in monitor.reply(), "the first that a monitor hears")
        one.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
        one.ask("SLOWLOG", "RESET")
        three.ask("SLOWLOG", "RESET")
        three.ask("ECHO", "there")
        expect(b"there" not in repr(one.ask("SLOWLOG", "GET", "-1")).encode(), "shard 1's slow log")
        expect(b"there" in repr(three.ask("SLOWLOG", "GET", "-1")).encode(), "shard 3's slow log")
        expect_equal(three.ask("CLIENT", "KILL", "ID", number), 1, "CLIENT KILL")
        expect_equal(other.until_end(), b"", "the killed one hears nothing more")


@rig.test(tern_only=True)
def a_monitor_that_does_not_read(options):
    """Is ended before it takes the memory of all."""
    with Tern(options, 1) as tern, tern.shard(1) as c:
        monitor = tern.shard(1, receive_buffer=4096)
        expect_equal(monitor.ask("MONITOR"), b"OK", "MONITOR")
        before = tern.resident
        text = "x" * 20000
        for _ in range(40):
            c.exchange([request("ECHO", text) * 100], 100)
        eventually(lambda: len(c.ask("CLIENT", "LIST").splitlines()) == 1, 10, "the monitor's end")
        expect(tern.resident - before < 160 << 20, f"resident memory grew by {(tern.resident - before) >> 20} MiB")
        monitor.close()


@rig.test(tern_only=True)
def renamed_commands_are_known_as_redis_knows_them(options):
    """Who asks for a command names it as clients call it; what is told of it has its own name."""
    flags = ("--rename-command", "get", "fetch", "--rename-command", "config", "", "--rename-command", "object", "thing")
    asked = ["get", "fetch", "config", "object", "thing", "object|encoding", "thing|encoding", "thing|nosuch", "config|get", "fetch|get"]

    def answers(server):
        """What does not depend on other commands and on the words of documentation."""
        def ask(*words):
            try:
                return c.ask(*words)
            except ErrorReply as error:
                return str(error)

        with server.shard() as c:
            found = {word: [info and info[:3] for info in ask("COMMAND", "INFO", word)] for word in asked}
            found |= {("docs", word): ask("COMMAND", "DOCS", word)[:1] for word in asked}
            for pattern in ("get", "fetch", "thing*", "object*", "config*"):
                found["list", pattern] = sorted(ask("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern))
            for words in (["COMMAND", "GETKEYS", "get", "a"], ["COMMAND", "GETKEYS", "fetch", "a"], ["get", "a"], ["fetch"], ["fetch", "a"], ["thing", "foo", "a"], ["thing", "encoding"],
                          ["thing", "help"], ["object", "help"], ["config", "get", "*"]):
                found[tuple(words)] = ask(*words)
            everything, named, docs = ask("COMMAND"), ask("COMMAND", "LIST"), ask("COMMAND", "DOCS")
            expect_equal(len(everything), ask("COMMAND", "COUNT"), "commands that are counted and shown")
            expect_equal(len(docs), 2 * len(everything), "commands that are documented")
            for name in (b"get", b"fetch", b"config", b"object", b"thing"):
                found[name] = [name in [info[0] for info in everything], name in named, name in docs[::2]]
        return found

    with rig.Redis(*flags) as redis, Tern(options, 1, *flags) as tern:
        theirs, ours = answers(redis), answers(tern)
        for what, wanted in theirs.items():
            expect_equal(ours[what], wanted, what)


@rig.test(tern_only=True)
def no_password_of_the_command_line_is_repeated(options):
    for words in (["--requirepas", "hush"], ["--requirepass", "one", "hush"], ["--masterauth=a", "hush"], ["--rename-command", "nosuch", "hush"], ["--requirepass", "a", "--tls-key-file-pas=hush"]):
        done = subprocess.run([options.tern, "serve", *words], capture_output=True, text=True, timeout=20)
        expect_equal(done.returncode, 1, f"the exit code with {words}")
        expect("hush" not in done.stdout + done.stderr, f"{words}: {done.stderr}")
    with Tern(options, 1, "--masterauth", "hush", "--requirepass", "hush2") as tern:
        expect("hush" not in tern.log(), tern.log())


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
