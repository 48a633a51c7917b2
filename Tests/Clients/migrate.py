#!/usr/bin/env python3
"""The migration rig: slots moved key by key, as redis-cli moves them, between shards and to and from redis-server.

SETSLOT, MIGRATE, ASK and ASKING are driven by hand. Keys are of every kind that there is; what arrives must be what was
sent, with its expiry. Errors are provoked (a silent socket, a refused port, a wrong password, a busy key), with
redis-server given the same call, and clients write to the slot while it moves: what was acknowledged is counted.

    Tests/Clients/migrate.py --tern .build/release/tern --only 'held*'
"""

import random
import socket
import subprocess
import threading
import time

import rig
from resp import Broken, Connection, ErrorReply, eventually, request, value
from rig import expect, expect_equal, test

TAG = "{b}"
SLOT = 3300


def call(connection, *arguments):
    """A command's reply; an error as its text."""
    connection.send(request(*arguments))
    answer = value(connection.reply())
    return str(answer) if isinstance(answer, ErrorReply) else answer


def asking(connection, *arguments):
    connection.send(request("ASKING") + request(*arguments))
    expect_equal(connection.reply(), b"+OK\r\n", "ASKING")
    answer = value(connection.reply())
    return str(answer) if isinstance(answer, ErrorReply) else answer


def kinds(seed, count=60):
    """Keys with values of every kind: (key, value, expiry in milliseconds or 0)."""
    r = random.Random(seed)
    special = [b"", b"0", b"-1", b"12345678901", b"9223372036854775807", b"9223372036854775808", b"007", b"x" * 44, b"x" * 45, b"a" * 100_000, bytes(r.randrange(256) for _ in range(70_000)), b"\r\n$-1\r\n", b"1e5"]
    made = []
    for n in range(count):
        if n < len(special):
            content = special[n]
        else:
            content = r.choice([str(r.randint(-1 << 40, 1 << 40)).encode(), r.randbytes(r.randrange(300)), b"word " * r.randrange(60)])
        key = f"{TAG}{n}".encode() + r.choice([b"", b"\0\xff", b"k" * 300, b" \r\n"])
        made.append((key, content, r.choice([0, 0, r.randrange(100_000, 10_000_000)])))
    return made


def put(connection, keys):
    for key, content, expiry in keys:
        expect_equal(call(connection, "SET", key, content, *(["PX", expiry] if expiry else [])), b"OK", "SET")


def check(ask, keys, what):
    """That all keys are there, as they were; `ask` runs a command."""
    for key, content, expiry in keys:
        expect_equal(ask("GET", key), content, f"{what}: {key[:40]!r}")
        left = ask("PTTL", key)
        expect(expiry - 60_000 <= left <= expiry if expiry else left == -1, f"{what}: {key[:40]!r} expires in {left} of {expiry}")


def ids(*shards):
    return [shard.ask("CLUSTER", "MYID").decode() for shard in shards]


def opened(tern):
    """Two shards, of which the first gives a slot to the second: their connections and node ids."""
    a, b = tern.shard(1), tern.shard(2)
    expect_equal(a.ask("CLUSTER", "KEYSLOT", TAG), SLOT, "the slot")
    one, two = ids(a, b)
    expect_equal(call(b, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", one), b"OK", "IMPORTING")
    expect_equal(call(a, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", two), b"OK", "MIGRATING")
    return a, b, one, two


def move_all(source, port, *options, batch=10, timeout=5000):
    """All keys of the slot, as redis-cli moves them; how many."""
    moved = 0
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", SLOT, batch):
        answer = call(source, "MIGRATE", "127.0.0.1", port, "", 0, timeout, *options, "KEYS", *keys)
        expect(answer in (b"OK", b"NOKEY"), f"MIGRATE: {answer}")
        moved += len(keys)
    return moved


def finish(a, b, two):
    """Gives the slot to its new owner, as redis-cli does: first at the target."""
    expect_equal(call(b, "CLUSTER", "SETSLOT", SLOT, "NODE", two), b"OK", "SETSLOT NODE at the target")
    expect_equal(call(a, "CLUSTER", "SETSLOT", SLOT, "NODE", two), b"OK", "SETSLOT NODE at the source")


@test(tern_only=True)
def between_shards(options):
    """A whole move by presence, on one worker and between two, with what each side says on the way."""
    for workers in (1, 2):
        with rig.Tern(options, 2, "--workers", workers) as tern:
            keys = kinds(options.seed)
            with tern.shard(1) as c:
                put(c, keys)
            a, b, one, two = opened(tern)
            port = tern.port + 2
            expect(f"[{SLOT}->-{two}]" in a.ask("CLUSTER", "NODES").decode(), "the source shows the slot as migrating")
            expect(f"[{SLOT}-<-{one}]" in b.ask("CLUSTER", "NODES").decode(), "the target shows the slot as importing")
            expect_equal(call(a, "GET", TAG + "none"), f"ASK {SLOT} 127.0.0.1:{port}", "an absent key at the source")
            expect_equal(call(b, "GET", keys[0][0]), f"MOVED {SLOT} 127.0.0.1:{port - 1}", "the target without ASKING")
            expect_equal(asking(b, "SET", TAG + "new", "v"), b"OK", "a new key at the target")
            half = [key for key, _, _ in keys[::2]]
            expect_equal(call(a, "MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *half), b"OK", "half of the keys")
            check(lambda *c: asking(b, *c), keys[::2], "moved")
            check(lambda *c: call(a, *c), keys[1::2], "not moved yet")
            expect(call(a, "MGET", keys[0][0], keys[1][0]).startswith("TRYAGAIN"), "keys on both sides, at the source")
            expect(asking(b, "MGET", keys[0][0], keys[1][0]).startswith("TRYAGAIN"), "keys on both sides, at the target")
            expect_equal(b.ask("DBSIZE"), 0, "DBSIZE of the importing shard")
            expect(call(a, "CLUSTER", "SETSLOT", SLOT, "NODE", two).startswith(f"ERR Can't assign hashslot {SLOT}"), "keys are left")
            move_all(a, port)
            expect_equal(b.ask("CLUSTER", "COUNTKEYSINSLOT", SLOT), len(keys) + 1, "keys at the target")
            expect_equal(a.ask("CLUSTER", "COUNTKEYSINSLOT", SLOT), 0, "keys at the source")
            check(lambda *c: asking(b, *c), keys, "all moved")
            finish(a, b, two)
            check(lambda *c: call(b, *c), keys, "after the move")
            expect_equal(call(a, "GET", keys[0][0]), f"MOVED {SLOT} 127.0.0.1:{port}", "the source after the move")
            expect_equal(b.ask("DBSIZE"), len(keys) + 1, "DBSIZE of the new owner")
            expect("[" not in a.ask("CLUSTER", "NODES").decode() + b.ask("CLUSTER", "NODES").decode(), "nothing is open")
            expect_equal(a.ask("CLUSTER", "SLOTS"), b.ask("CLUSTER", "SLOTS"), "the map")


@test(tern_only=True)
def transactions(options):
    """ASKING is for a whole MULTI; a redirection while queueing fails EXEC; EXEC of a slot that is leaving is redirected whole."""
    with rig.Tern(options, 2) as tern:
        a, b, _, _ = opened(tern)
        port = tern.port + 2
        expect_equal(asking(b, "MULTI"), b"OK", "MULTI")
        for _ in range(3):
            expect_equal(call(b, "INCR", TAG + "n"), b"QUEUED", "INCR")
        expect_equal(call(b, "EXEC"), [1, 2, 3], "EXEC at the target")
        expect_equal(call(a, "MULTI"), b"OK", "MULTI")
        expect_equal(call(a, "GET", TAG + "n"), f"ASK {SLOT} 127.0.0.1:{port}", "queueing at the source")
        expect(call(a, "EXEC").startswith("EXECABORT"), "EXEC after a redirection")
        expect_equal(call(a, "CLUSTER", "SETSLOT", SLOT, "STABLE"), b"OK", "STABLE")
        expect_equal(call(a, "SET", TAG + "m", 1), b"OK", "SET")
        with tern.shard(1) as c:
            expect_equal(call(c, "MULTI"), b"OK", "MULTI")
            expect_equal(call(c, "INCR", TAG + "m"), b"QUEUED", "INCR")
            expect_equal(call(a, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids(b)[0]), b"OK", "MIGRATING")
            expect_equal(call(a, "MIGRATE", "127.0.0.1", port, TAG + "m", 0, 5000), b"OK", "MIGRATE")
            expect_equal(call(c, "EXEC"), f"ASK {SLOT} 127.0.0.1:{port}", "EXEC of a slot that is leaving")
            expect(call(c, "EXEC").startswith("ERR EXEC without MULTI"), "the transaction has ended")
        expect_equal(asking(b, "GET", TAG + "m"), b"1", "the key at the target")


@test
def to_redis_and_back(options):
    """To a redis-server that is no cluster, into another database, and back; COPY, REPLACE, AUTH, AUTH2."""
    with rig.Tern(options) as tern, rig.Redis("--cluster-enabled", "no", slots=False) as redis:
        keys = kinds(options.seed + 1)
        a, r = tern.shard(), redis.shard()
        call(r, "CONFIG", "SET", "requirepass", "secret")
        call(r, "SELECT", 3)
        put(a, keys)
        names = [key for key, _, _ in keys]
        there = ["127.0.0.1", redis.port, "", 3, 5000]
        expect_equal(call(a, "MIGRATE", *there, "COPY", "AUTH", "secret", "KEYS", *names), b"OK", "COPY")
        check(lambda *c: call(a, *c), keys, "copied")
        check(lambda *c: call(r, *c), keys, "the copy")
        expect_equal(call(a, "MIGRATE", *there, "AUTH", "secret", "KEYS", *names), "ERR Target instance replied with error: BUSYKEY Target key name already exists.", "busy keys")
        check(lambda *c: call(a, *c), keys, "refused")
        expect_equal(call(r, "DEL", *names[1::2]), len(names[1::2]), "DEL")
        expect_equal(call(a, "MIGRATE", *there, "AUTH2", "default", "secret", "KEYS", *names), "ERR Target instance replied with error: BUSYKEY Target key name already exists.", "half of them busy")
        expect_equal(call(a, "EXISTS", *names), len(names[::2]), "those that were not busy have left")
        expect_equal(call(a, "MIGRATE", *there, "REPLACE", "AUTH", "secret", "KEYS", *names), b"OK", "REPLACE")
        expect_equal(call(a, "EXISTS", *names), 0, "keys that have left")
        check(lambda *c: call(r, *c), keys, "arrived")
        port = tern.port + 1
        expect_equal(call(r, "MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *names), b"OK", "from redis-server")
        check(lambda *c: call(a, *c), keys, "back")
        expect_equal(call(r, "DBSIZE"), 0, "redis-server is empty")


@test
def errors(options):
    """The errors of MIGRATE, each the same as redis-server's for the same call. Nothing is lost by any."""
    with rig.Tern(options) as tern, rig.Redis() as redis, rig.Redis("--cluster-enabled", "no", slots=False) as locked, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        mute = silent.getsockname()[1]
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            closed = s.getsockname()[1]
        with Connection(locked.port) as c:
            c.ask("CONFIG", "SET", "requirepass", "secret")
            c.ask("SET", TAG + "busy", "theirs")
        key = TAG + "k"
        calls = [
            ["127.0.0.1", closed, key, 0, 500],
            ["127.0.0.1", mute, key, 0, 200],
            ["127.0.0.1", mute, key, 0, 200, "COPY", "REPLACE", "AUTH", "x"],
            ["nowhere.invalid", 1, key, 0, 200],
            ["127.0.0.1", locked.port, key, 0, 500],
            ["127.0.0.1", locked.port, key, 0, 500, "AUTH", "wrong"],
            ["127.0.0.1", locked.port, key, 0, 500, "AUTH2", "nobody", "secret"],
            ["127.0.0.1", locked.port, key, 99, 500, "AUTH", "secret"],
            ["127.0.0.1", locked.port, TAG + "busy", 0, 500, "AUTH", "secret"],
            ["127.0.0.1", locked.port, TAG + "none", 0, 500],
            ["127.0.0.1", locked.port, "", 0, 500, "KEYS", key, "{x}k"],
            ["127.0.0.1", locked.port, key, 0, 500, "KEYS", key],
            ["127.0.0.1", locked.port, key, 0, 500, "AUTH"],
            ["127.0.0.1", locked.port, key, 0, 500, "AUTH2", "x"],
            ["127.0.0.1", locked.port, key, 0, 500, "FOO"],
            ["127.0.0.1", locked.port, key, "x", 500],
            ["127.0.0.1", locked.port, key, 0, "x"],
            ["127.0.0.1", locked.port, key, 0],
            ["127.0.0.1", "port", key, 0, 200],
        ]
        a, r = tern.shard(), redis.shard()
        for c in (a, r):
            call(c, "SET", key, "v")
            call(c, "SET", TAG + "busy", "ours")
        for arguments in calls:
            expect_equal(call(a, "MIGRATE", *arguments), call(r, "MIGRATE", *arguments), f"MIGRATE {arguments}")
        expect_equal(call(a, "MGET", key, TAG + "busy"), [b"v", b"ours"], "the keys afterwards")
        # The connection that was refused something is good for the next call.
        expect_equal(call(a, "MIGRATE", "127.0.0.1", locked.port, key, 0, 500, "REPLACE", "AUTH", "secret"), b"OK", "at last")


@test(tern_only=True)
def held_while_away(options):
    """A client that waits for a silent target holds up nobody, but for those who want the same key."""
    with rig.Tern(options) as tern, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        a, b, c = tern.shard(), tern.shard(), tern.shard()
        call(a, "MSET", TAG + "1", "v", TAG + "2", "w")
        began = time.monotonic()
        a.send(request("MIGRATE", "127.0.0.1", silent.getsockname()[1], TAG + "1", 0, 1000) + request("GET", TAG + "2"))
        eventually(lambda: "cmd=migrate" in c.ask("CLIENT", "LIST").decode(), 5, "MIGRATE")
        b.send(request("APPEND", TAG + "1", "x") + request("GET", TAG + "2"))
        for n in range(200):
            expect_equal(call(c, "GET", TAG + "2"), b"w", "another key")
            expect_equal(call(c, "SET", f"other{n}", n), b"OK", "other slots")
        expect(time.monotonic() - began < 0.8, "others were served at once")
        expect_equal(b.reply(), b":2\r\n", "the one that waited")
        expect(time.monotonic() - began > 0.9, "it has waited")
        expect_equal(b.reply(), b"$1\r\nw\r\n", "its next request")
        expect_equal(a.replies(2), [b"-IOERR error or timeout reading to target instance\r\n", b"$1\r\nw\r\n"], "the one that migrates")
        # A client that gives up takes its request with it, not the key.
        a.send(request("MIGRATE", "127.0.0.1", silent.getsockname()[1], TAG + "2", 0, 300))
        b.send(request("SET", TAG + "2", "lost"))
        a.reset()
        expect_equal(call(c, "GET", TAG + "1"), b"vx", "the key")


@test(tern_only=True)
def into_a_redis_cluster(options):
    """Into a slot that a node of a Redis cluster imports: the target takes RESTORE-ASKING, and nothing else would do."""
    with rig.Tern(options) as tern, rig.Redis(slots=False) as one, rig.Redis(slots=False) as two:
        a, x, y = tern.shard(), one.shard(), two.shard()
        x.ask("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        y.ask("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        x.ask("CLUSTER", "SET-CONFIG-EPOCH", 1)
        y.ask("CLUSTER", "SET-CONFIG-EPOCH", 2)
        x.ask("CLUSTER", "MEET", "127.0.0.1", two.port)
        for c in (x, y):
            eventually(lambda: b"cluster_state:ok" in c.ask("CLUSTER", "INFO"), 30, "the Redis cluster")
        keys = kinds(options.seed + 2, 30)
        put(a, keys)
        names = [key for key, _, _ in keys]
        call_there = ["127.0.0.1", two.port, "", 0, 5000, "KEYS", *names]
        answer = call(a, "MIGRATE", *call_there)
        expect(answer.startswith(f"ERR Target instance replied with error: MOVED {SLOT}"), f"a slot that is elsewhere: {answer}")
        check(lambda *c: call(a, *c), keys, "refused")
        expect_equal(call(y, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids(x)[0]), b"OK", "IMPORTING")
        expect_equal(call(a, "MIGRATE", *call_there), b"OK", "an importing slot")
        check(lambda *c: asking(y, *c), keys, "imported")
        # And from there into a slot that a shard imports.
        expect_equal(call(y, "MIGRATE", "127.0.0.1", tern.port + 1, "", 0, 5000, "KEYS", *names), b"OK", "from a Redis cluster")
        check(lambda *c: call(a, *c), keys, "back")


@test(tern_only=True)
def redis_cli_fixes(options):
    """redis-cli --cluster fix: a slot that is half moved is brought together, one that nobody has is covered."""
    with rig.Tern(options, 3) as tern:
        keys = kinds(options.seed + 3, 20)
        with tern.shard(1) as c:
            put(c, keys)
        a, b, one, two = opened(tern)
        entry = f"127.0.0.1:{tern.port + 3}"

        def cli(*arguments, well=True):
            done = subprocess.run(["redis-cli", "--cluster", *arguments], input="yes\n" * 9, capture_output=True, text=True, timeout=60)
            expect_equal(done.returncode == 0, well, f"redis-cli {arguments}: {done.stdout[-500:]}")

        expect_equal(call(a, "MIGRATE", "127.0.0.1", tern.port + 2, "", 0, 5000, "KEYS", *[key for key, _, _ in keys[:15]]), b"OK", "MIGRATE")
        cli("fix", entry)
        cli("check", entry)
        check(lambda *c: call(b, *c), keys, "fixed")
        expect_equal([c.ask("CLUSTER", "COUNTKEYSINSLOT", SLOT) for c in (a, b)], [0, len(keys)], "keys in the slot")
        empty = b.ask("CLUSTER", "KEYSLOT", "{nothing}")
        for n in (1, 2, 3):
            with tern.shard(n) as c:
                call(c, "CLUSTER", "DELSLOTS", empty)
        cli("check", entry, well=False)
        cli("fix", entry)
        cli("check", entry)
        cli("reshard", entry, "--cluster-from", two, "--cluster-to", one, "--cluster-slots", "300", "--cluster-yes")
        cli("rebalance", entry, "--cluster-threshold", "1")
        cli("check", entry)


@test(tern_only=True)
def under_load(options):
    """Clients count in the slot while its keys move there and back: every acknowledged increment is there."""
    with rig.Tern(options, 2, "--workers", 2) as tern:
        names = [f"{TAG}{n}" for n in range(40)]
        with tern.shard() as c:
            for name in names:
                c.ask("SET", name, 0)
        a, b, one, two = opened(tern)
        acknowledged, stop, failures = [0] * len(names), threading.Event(), []
        lock = threading.Lock()

        def count(seed):
            r = random.Random(seed)
            shards = {tern.port + n: tern.shard(n) for n in (1, 2)}
            try:
                while not stop.is_set():
                    n = r.randrange(len(names))
                    port, ask = tern.port + 1, False
                    for _ in range(20):
                        answer = (asking if ask else call)(shards[port], "INCR", names[n])
                        if isinstance(answer, int):
                            with lock:
                                acknowledged[n] += 1
                            break
                        word, _, address = answer.split(" ")
                        ask, port = word == "ASK", int(address.rsplit(":", 1)[1])
                    else:
                        raise AssertionError("twenty redirections")
            except Exception as error:  # told by the test, not by the thread
                failures.append(error)
            finally:
                for c in shards.values():
                    c.close()

        threads = [threading.Thread(target=count, args=(options.seed + n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        moved = 0
        try:
            eventually(lambda: sum(acknowledged) > 200, 20, "the first increments")
            # New keys are created at the target, so that the source is empty when all have left.
            while a.ask("CLUSTER", "COUNTKEYSINSLOT", SLOT):
                moved += move_all(a, tern.port + 2, batch=3)
            before = sum(acknowledged)
            eventually(lambda: sum(acknowledged) > before + 200 or failures, 20, "increments at the target")
            finish(a, b, two)
            before = sum(acknowledged)
            eventually(lambda: sum(acknowledged) > before + 200 or failures, 20, "increments after the move")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        expect(moved > 0, "no key has moved")
        found = [int(asking(b, "GET", name) or 0) for name in names]
        expect_equal(found, acknowledged, "increments")
        print(f"        {sum(acknowledged)} increments while {moved} keys moved")


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
