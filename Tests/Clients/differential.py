#!/usr/bin/env python3
"""The differential rig: the same bytes to redis-server and to one Tern shard, and the replies must be equal.

Both run in cluster mode with all slots on one shard. rounds.py says how random commands are sent and a difference is
narrowed down. To repeat one round: --seed S --round N.

    Tests/Clients/differential.py --seconds 60
    Tests/Clients/differential.py --commands 1000000 --seed 7
"""

import os
import random
import tempfile
import time

import admin_config
import rig
from admin_server import undocumented
from commands import CHECKS, CHECKS_RAW, RAW, draw_raw, masked
from compatibility import NEWER, OTHER_VALUE, ROWS, untrue
from payloads import broken
from resp import Broken, request, value
from rounds import Pair, play_rounds
from through_router import CHECKS as ROUTER_CHECKS


def play_raw(pair, data):
    """Raw bytes on fresh connections that the client then closes for writing; everything that each server said."""
    found = []
    for server in pair.servers:
        with server.shard(patience=5) as c:
            try:
                c.send(data)
                c.half_close()
            except OSError:
                pass  # Closed before everything was sent: what it said is what counts.
            try:
                found.append(c.until_end())
            except Broken as error:
                found.append(f"({error})".encode())
    return found


@rig.test
def every_raw_case(options):
    """Protocol errors and inline commands: the listed cases, then mutations of valid requests."""
    with rig.Redis() as redis, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern:
        pair, r = Pair(redis, tern), random.Random(options.seed)
        cases = RAW + [draw_raw(r) for _ in range(options.raw)]
        wrong, excused = [], set()
        for data in cases:
            pair.start_round(2)
            left, right = play_raw(pair, data)
            if masked(left) == masked(right):
                continue
            if excuse := next((name for name, holds in CHECKS_RAW.items() if holds(data, left, right)), None):
                excused.add(excuse)
            else:
                wrong.append(f"{rig.short(data)}\n      redis: {rig.short(left)}\n      tern:  {rig.short(right)}")
        rig.expect(not wrong, f"{len(wrong)} of {len(cases)} cases differ (seed {options.seed}):\n    " + "\n    ".join(wrong[:10]))
        rig.expect(CHECKS_RAW.keys() <= {row.concerns for row in ROWS}, f"no row says what a check excuses: {[*CHECKS_RAW]}")
        rig.expect(options.stand_in or excused == CHECKS_RAW.keys(), f"no difference is left: {CHECKS_RAW.keys() - excused}")


@rig.test(tern_only=True)
def the_page_of_differences_is_true(options):
    """Documentation/compatibility.md: what stands there differs as it says, at a shard's port and at the router's, and settings have the standards that it gives."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as standards, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern:
        with rig.Redis() as redis:
            wrong = untrue("shard", redis, tern, 1, CHECKS)
        with rig.Redis("--cluster-enabled", "no", slots=False) as redis, rig.Tern(options, 4, "--workers", "2") as router:
            wrong += untrue("router", redis, router, 0, CHECKS | ROUTER_CHECKS)
        with rig.Redis(config=standards.name, slots=False) as redis, redis.shard() as a, tern.shard() as b:
            for name, wanted in OTHER_VALUE.items():
                for c, server, standard in ((a, "redis-server", wanted[0]), (b, "Tern", wanted[1])):
                    found = c.ask("CONFIG", "GET", name)[1].decode()
                    if standard is not None and found != standard:
                        wrong.append(f"{server}'s {name.decode()} is {found!r}, on the page {standard!r}")
    rig.expect(not wrong, "\n    ".join(["Documentation/compatibility.md is wrong:", *wrong]))


@rig.test(tern_only=True)
def what_is_said_of_commands(options):
    """COMMAND INFO of every command that Tern has, byte for byte; a container's subcommands, whose order is nobody's business, one by one. COMMAND LIST and GETKEYS."""
    later = NEWER
    lists = [["ACLCAT", c] for c in ("keyspace", "read", "write", "string", "admin", "fast", "slow", "dangerous", "connection", "transaction", "set", "nosuch")] + [["MODULE", "json"]]
    lists += [["PATTERN", p] for p in ("*", "ge?", "C*", "object|*", "")]
    keys = [["object", "encoding", "k"], ["object", "help"], ["object", "bogus", "k"], ["object"], ["get"], ["get", "a", "b"], ["mset", "a", "b", "c"], ["mset", "a", "b", "c", "d"], ["get|x", "a"]]
    keys += [["object|encoding", "k"], ["config", "get", "x"], ["del", "a", "b", "c"], ["expire", "k", "1", "NX"], ["Cluster", "KeySlot", "k"], ["auth", "k"], ["keys", "*"], []]
    wrong = []

    def compare(left, right, what):
        if left != right:
            wrong.append(f"{what}\n      redis: {rig.short(left)}\n      tern:  {rig.short(right)}")

    with rig.Redis() as redis, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern:
        for protocol in (2, 3):
            with redis.shard(protocol=protocol) as a, tern.shard(protocol=protocol) as b:

                def both(*words):
                    a.send(request("COMMAND", *words))
                    b.send(request("COMMAND", *words))
                    return a.reply(), b.reply()

                left, right = both("LIST")
                compare(left[:1], right[:1], "LIST")
                names = value(right)
                rig.expect_equal(names, value(both("LIST", "FILTERBY", "PATTERN", "*")[1]), "COMMAND LIST and COMMAND LIST FILTERBY PATTERN *")
                for name in names:
                    left, right = both("INFO", name)
                    if any(n.startswith(name + b"|") for n in names):
                        compare(left[:1], right[:1], name)
                        compare(value(left)[0][:9], value(right)[0][:9], name)
                        compare([s[0] for s in value(right)[0][9]], [n for n in names if n.startswith(name + b"|")], name + b"'s subcommands")
                    elif name not in later:
                        compare(left, right, name)
                for words in lists:
                    left, right = both("LIST", "FILTERBY", *words)
                    compare(left[:1], right[:1], words)
                    compare(sorted(n for n in value(left) if n in names), sorted(n for n in value(right) if n not in later), words)
                for words in keys:
                    compare(*both("GETKEYS", *words), ["GETKEYS", *words])
                for words in (["LIST", "FILTERBY"], ["LIST", "BOGUS", "a", "b"], ["LIST", "FILTERBY", "ACLCAT", "string", "x"], ["INFO", "object|"], ["INFO", "nosuch", "get", "GET"], ["COUNT", "x"]):
                    compare(*both(*words), words)
    rig.expect(not wrong, "\n    ".join(["differences:", *map(str, wrong[:10])]))


@rig.test(tern_only=True)
def what_is_documented(options):
    """COMMAND DOCS as a whole: of every command and subcommand that Tern has the fields in their order, versions, arguments with all they are made of. Sentences are not compared."""
    with rig.Redis() as redis, rig.Tern(options) as tern:
        for protocol in (2, 3):
            with redis.shard(protocol=protocol) as a, tern.shard(protocol=protocol) as b:
                a.send(request("COMMAND", "DOCS"))
                b.send(request("COMMAND", "DOCS"))
                left, right = a.reply(), b.reply()
                wrong = undocumented(left, right)
                rig.expect(not wrong, f"documented otherwise in RESP{protocol}: {wrong}")
                for field in (b"flags", b"doc_flags", b"history"):
                    kinds = [{reply[i + len(field) + 2 : i + len(field) + 3] for i in positions(reply, b"\r\n" + field + b"\r\n")} for reply in (left, right)]
                    rig.expect_equal(kinds[1], kinds[0], f"the type of {field}")
                names = b.ask("COMMAND", "LIST")
                rig.expect_equal(sorted(n for n in names if b"|" not in n), sorted(value(right)[::2]), "the names in COMMAND LIST and COMMAND DOCS")


def positions(text, part):
    """Where a part begins in a text, after its line end."""
    found, at = [], text.find(part)
    while at >= 0:
        found.append(at + 2)
        at = text.find(part, at + 1)
    return found


@rig.test(seconds=3000)
def random_commands(options):
    with rig.Redis() as redis, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern:
        play_rounds(Pair(redis, tern), options, options.seconds, options.commands)


@rig.test(tern_only=True)
def configuration_files_are_rewritten_alike(options):
    """The same file and the same CONFIG SET to both, then CONFIG REWRITE: the same file, but for lines that are each server's own."""
    found = []
    for make in ("redis", "tern"):
        with tempfile.TemporaryDirectory(prefix="rewrite-") as directory:
            path = os.path.join(directory, "server.conf")
            with open(os.path.join(directory, "more1.conf"), "wb") as f:
                f.write(b"timeout 33\n")
            with open(path, "wb") as f:
                f.write(admin_config.FILE % directory.encode())
            with rig.Redis(config=path) if make == "redis" else rig.Tern(options, 1, path) as server, server.shard() as c:
                rig.expect_equal(c.ask("CONFIG", "SET", *admin_config.CHANGES), b"OK", f"{make}'s CONFIG SET")
                rig.expect_equal(c.ask("CONFIG", "REWRITE"), b"OK", f"{make}'s CONFIG REWRITE")
                with open(path, "rb") as f:
                    first = f.read()
                rig.expect_equal(c.ask("CONFIG", "REWRITE"), b"OK", f"{make}'s second CONFIG REWRITE")
                with open(path, "rb") as f:  # redis-server adds a blank line at the end each time.
                    rig.expect_equal(f.read().rstrip(b"\n"), first.rstrip(b"\n"), f"{make}'s file, rewritten again")
            found.append(admin_config.comparable(first.replace(directory.encode(), b"DIRECTORY")))
    rig.expect_equal(found[1], found[0], "the rewritten file")


@rig.test(tern_only=True)
def a_bad_file_ends_the_start(options):
    """The message names file and line; the exit code is 1."""
    with tempfile.TemporaryDirectory(prefix="bad-") as directory:
        path = os.path.join(directory, "bad.conf")
        for text, wanted in (("# a\nhz ten\n", "line 2: 'hz'"), ("nosuch 1\n", "line 1: 'nosuch'"), ("\n\nlogfile \"x\n", "line 3: unbalanced"), ("include /no/such\n", "line 1: 'include'")):
            with open(path, "w") as f:
                f.write(text)
            server = rig.Tern(options, 1, path, ready=False)
            rig.expect_equal(server.wait(), 1, f"exit code for {text!r}")
            rig.expect(f"{path}, {wanted}" in server.log(), f"{text!r}: {server.log()}")


@rig.test
def payloads_cross(options):
    """What one server dumps the other restores, whatever it is; nearly always both dump the same bytes."""
    r, same, compressed, count = random.Random(options.seed), 0, 0, 1500
    with rig.Redis() as redis, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern, redis.shard() as a, tern.shard() as b:
        for i in range(count):
            wanted = any_string(r)
            tail = any_string(r)[:50] if r.random() < 0.2 else b""
            dumps = []
            for c in (a, b):
                c.ask("SET", "k", wanted)
                if tail:
                    c.ask("APPEND", "k", tail)
                dumps.append(c.ask("DUMP", "k"))
            wanted += tail
            same, compressed = same + (dumps[0] == dumps[1]), compressed + (dumps[0][1] == 0xC3)
            for c, dump in ((a, dumps[1]), (b, dumps[0])):
                rig.expect_equal(c.ask("RESTORE", "restored", 0, dump, "REPLACE"), b"OK", f"RESTORE of string {i} (seed {options.seed})")
                rig.expect_equal(c.ask("GET", "restored"), wanted, f"the restored string {i} (seed {options.seed})")
            rig.expect_equal(b.ask("OBJECT", "ENCODING", "restored"), a.ask("OBJECT", "ENCODING", "restored"), f"the encoding of string {i} (seed {options.seed})")
    rig.expect(same >= 0.99 * count, f"only {same} of {count} payloads are the same bytes")
    print(f"        {count} strings both ways, {same} payloads the same bytes, {compressed} of them compressed", flush=True)


def any_string(r):
    """A string that is long or short, an integer, noise, words or one thing again and again."""
    pick = r.random()
    if pick < 0.15:
        return b"%d" % r.choice([0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, -32769, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63), r.randint(-(10**12), 10**12)])
    if pick < 0.3:
        return r.randbytes(r.choice([0, 1, 20, 21, 22, 44, 45, 63, 64, 1000, 16383, 16384, 40000]))
    if pick < 0.5:
        return bytes(r.choices(b"ab", k=r.choice([20, 21, 22, 23, 24, 30, 45, 64, 100, 1000, 16384])))
    if pick < 0.65:
        return (b"x" * r.randint(1, 300) + r.randbytes(r.randint(0, 20))) * r.randint(1, 20)
    if pick < 0.8:
        words = [bytes(r.choices(b"abcdefgh", k=r.randint(2, 9))) for _ in range(20)]
        return b" ".join(r.choices(words, k=r.randint(1, 400)))
    return r.choice([b"a", b"ab", b"abc", b"\0"]) * r.randint(1, r.choice([30, 600, 20000, 100000]))


@rig.test
def broken_payloads(options):
    """RESTORE of broken payloads with good and bad checksums: the same refusal, or the same value."""
    r, count = random.Random(options.seed), 3000
    with rig.Redis() as redis, rig.Tern(options, 1, "--enable-debug-command", "yes") as tern, redis.shard() as a, tern.shard() as b:
        for i in range(count):
            data = broken(r, any_string(r)[:2000])
            left, right = (c.exchange([request("RESTORE", "k", 0, data, "REPLACE") + request("GET", "k")], 2) for c in (a, b))
            rig.expect_equal(right, left, f"payload {i} (seed {options.seed}): {data[:300]!r}")


@rig.test(tern_only=True)
def waits(options):
    """WAIT and WAITAOF for replicas that are not there: in time, and what is pipelined behind them comes after."""
    with rig.Tern(options, 1, "--enable-debug-command", "yes") as tern, tern.shard() as c, tern.shard() as other:
        began = time.monotonic()
        c.send(request("WAIT", 1, 60) + request("PING") + request("WAITAOF", 0, 1, 40) + request("PING"))
        rig.expect_equal(other.ask("PING"), b"PONG", "another client meanwhile")
        rig.expect_equal([c.reply() for _ in range(4)], [b":0\r\n", b"+PONG\r\n", b"*2\r\n:0\r\n:0\r\n", b"+PONG\r\n"], "the replies")
        took = time.monotonic() - began
        rig.expect(0.095 <= took < 2, f"WAITs of 60 and 40 ms took {took:.3f} s")
        for words, wanted in (((0, 0, 0), b"*2\r\n:0\r\n:0\r\n"), ((1, 0, 0), b"-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n"), ((2, 0, 0), b"-ERR value is out of range, value must between 0 and 1\r\n"), ((0, -1, 0), b"-ERR value is out of range, must be positive\r\n"), ((0, 0, -1), b"-ERR timeout is negative\r\n")):
            c.send(request("WAITAOF", *words))
            rig.expect_equal(c.reply(), wanted, f"WAITAOF {words}")
        c.send(request("WAIT", 1, 0))  # For ever: the client goes, and nobody minds.

if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=45, help="how long random commands are sent")
    parser.add_argument("--commands", type=int, help="how many instead")
    parser.add_argument("--raw", type=int, default=1000, help="how many mutated byte sequences")
    parser.add_argument("--round", type=int, help="play this one round only")
    rig.main(parser)
