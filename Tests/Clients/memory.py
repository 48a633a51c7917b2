#!/usr/bin/env python3
"""The memory rig: a server at its limit of memory beside redis-server, and defragmentation while a load is served.

Both servers get the same Zipf trace of reads, each miss followed by a write, under every policy that evicts. Tern must
keep to its limit, refuse nothing, and hit about as often as redis-server (`MARGIN` below); what may not be evicted must
still be there.

    Tests/Clients/memory.py --tern .build/release/tern --only 'hit*'
"""

import bisect
import random
import time

import rig
from resp import ErrorReply, eventually, request, value
from rig import expect, expect_equal, test

KEYS = 40_000
ACCESSES = 120_000
BATCH = 100
VALUE = b"v" * 200
MARGIN = 0.03


def zipf(seed, count, accesses):
    """Numbers below `count`; the n-th most wanted with a probability in proportion to 1 / n."""
    r, sums, total = random.Random(seed), [], 0.0
    for n in range(1, count + 1):
        total += 1 / n
        sums.append(total)
    names = list(range(count))
    r.shuffle(names)
    return [names[bisect.bisect_left(sums, r.random() * total)] for _ in range(accesses)]


def field(connection, section, name):
    """A figure of INFO."""
    for line in connection.ask("INFO", section).decode().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1]
    raise AssertionError(f"INFO {section} has no {name}")


def play(connection, trace, expire=False):
    """The trace, as a cache is used: read, and write what was missing. The share of hits in its second half; no error is accepted."""
    hits = seen = 0
    for start in range(0, len(trace), BATCH):
        batch = trace[start : start + BATCH]
        found = connection.exchange([b"".join(request("GET", b"key:%d" % k) for k in batch)], len(batch))
        missing = dict.fromkeys(k for k, reply in zip(batch, found) if reply[:2] in (b"$-", b"_\r"))
        if start >= len(trace) // 2:
            seen += len(batch)
            hits += sum(reply[:2] not in (b"$-", b"_\r") for reply in found)
        if missing:
            more = ("PX", 10_000_000) if expire else ()
            made = connection.exchange([b"".join(request("SET", b"key:%d" % k, VALUE, *more) for k in missing)], len(missing))
            expect_equal(set(made), {b"+OK\r\n"}, "replies of SET")
    return hits / seen


def fill_to(connection, policy):
    """Sets the limit at what a fifth of the keys needs, whatever a key costs this server; the limit."""
    connection.ask("CONFIG", "SET", "maxmemory", 0)
    connection.ask("FLUSHALL")
    base = int(field(connection, "memory", "used_memory"))
    count = KEYS // 5
    keys = [b"fill:%d" % k for k in range(count)]
    connection.exchange([b"".join(request("SET", k, VALUE) for k in keys)], count)
    limit = int(field(connection, "memory", "used_memory"))
    connection.ask("FLUSHALL")
    expect(limit > base, "keys take memory")
    connection.ask("CONFIG", "SET", "maxmemory-policy", policy)
    connection.ask("CONFIG", "SET", "maxmemory", limit)
    return limit


def rates(options, policy):
    """Both servers' shares of hits under a policy."""
    trace = zipf(options.seed, KEYS, ACCESSES)
    found = []
    with rig.Redis() as redis, rig.Tern(options, 1, "--workers", 1) as tern:
        for server in (redis, tern):
            with server.shard() as c:
                limit = fill_to(c, policy)
                found.append(play(c, trace, expire=policy.startswith("volatile")))
                used = int(field(c, "memory", "used_memory"))
                expect(used <= limit * 1.05, f"{used} bytes used, {limit} allowed")
                expect(int(field(c, "stats", "evicted_keys")) > 0, "keys were evicted")
    print(f"  {policy}: redis {found[0]:.4f}, tern {found[1]:.4f}", flush=True)
    expect(found[1] >= found[0] - MARGIN, f"{policy}: {found[1]:.4f} of the reads hit, with redis-server {found[0]:.4f}")


@test
def hit_rate_allkeys_lru(options):
    rates(options, "allkeys-lru")


@test
def hit_rate_allkeys_lfu(options):
    rates(options, "allkeys-lfu")


@test
def hit_rate_allkeys_random(options):
    rates(options, "allkeys-random")


@test
def hit_rate_volatile_lru(options):
    rates(options, "volatile-lru")


@test
def what_may_not_go_stays(options):
    """Under a volatile policy keys without an expiry stay, and are at last all that is left; then writes are refused."""
    counts = []
    with rig.Redis() as redis, rig.Tern(options, 1, "--workers", 1) as tern:
        for server in (redis, tern):
            with server.shard() as c:
                fill_to(c, "volatile-ttl")
                kept = [b"kept:%d" % k for k in range(1000)]
                c.exchange([b"".join(request("SET", k, VALUE) for k in kept)], len(kept))
                many = [request("SET", b"gone:%d" % k, VALUE, "PX", 1_000_000 + k * 1000) for k in range(20_000)]
                expect_equal(set(c.exchange([b"".join(many)], len(many))), {b"+OK\r\n"}, "replies of SET with expiry")
                expect_equal(value(c.exchange([request("EXISTS", *kept[:1])], 1)[0]), 1, "a key without expiry")
                left = [value(reply) for reply in c.exchange([b"".join(request("EXISTS", k) for k in kept)], len(kept))]
                expect_equal(sum(left), len(kept), "keys without expiry that are left")
                # What expires soonest has gone, the latest is there.
                expect_equal(c.ask("EXISTS", "gone:19999"), 1, "the latest key")
                expect_equal(c.ask("EXISTS", "gone:0"), 0, "the first key")
                refused = 0
                plain = [request("SET", b"plain:%d" % k, VALUE) for k in range(20_000)]
                for reply in c.exchange([b"".join(plain)], len(plain)):
                    if reply.startswith(b"-"):
                        expect_equal(reply, b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "a refusal")
                        refused += 1
                counts.append(refused)
                expect(refused > 5000, f"{refused} writes were refused")
                expect_equal(c.ask("GET", "kept:7"), VALUE, "a read at the limit")
                expect_equal(c.ask("DEL", "kept:7"), 1, "a removal at the limit")


@test
def same_errors(options):
    """What OBJECT, RESTORE and CONFIG say under the policies, byte by byte."""
    with rig.Redis() as redis, rig.Tern(options, 1, "--workers", 1) as tern:
        with redis.shard() as a, tern.shard() as b:
            payload = None
            lines = [("SET", "k", "v"), ("GET", "k")]
            for policy in ["allkeys-lfu", "volatile-lfu", "allkeys-lru", "noeviction"]:
                # What an older policy has left in a key's clock says nothing under the new one.
                lines += [("CONFIG", "SET", "maxmemory-policy", policy), ("DEL", "k"), ("DEL", "r"), ("SET", "k", "v"), ("OBJECT", "FREQ", "k"), ("OBJECT", "FREQ", "none"), ("OBJECT", "IDLETIME", "none")]
                if policy.endswith("lfu"):
                    lines += [("OBJECT", "IDLETIME", "k"), ("SET", "new", "v"), ("OBJECT", "FREQ", "new"), ("GET", "new"), ("OBJECT", "FREQ", "new"), ("DEL", "new")]
                lines += [("RESTORE", "r", 0, None, "REPLACE", "FREQ", 77), ("OBJECT", "FREQ", "r"), ("RESTORE", "r", 0, None, "REPLACE", "IDLETIME", 100), ("OBJECT", "FREQ", "r")]
            for name, values in {
                "maxmemory-policy": ["bogus", "VOLATILE-LRU", "allkeys-random"],
                "maxmemory-samples": ["0", "65", "7", "x"],
                "lfu-log-factor": ["-1", "0", "10"],
                "lfu-decay-time": ["-1", "0", "1"],
                "activedefrag": ["maybe"],
                "active-defrag-cycle-min": ["0", "100", "2"],
                "maxmemory-clients": ["0", "1gb", "7%", "0"],
            }.items():
                for v in values:
                    lines += [("CONFIG", "SET", name, v), ("CONFIG", "GET", name)]
            lines += [("MEMORY", "USAGE", "none"), ("MEMORY", "USAGE", "k", "SAMPLES", "x"), ("MEMORY", "USAGE", "k", "SAMPLES"), ("MEMORY", "USAGE"), ("MEMORY", "HELP"), ("MEMORY", "NOPE"), ("MEMORY", "PURGE"), ("COMMAND", "INFO", "memory|usage")]
            for line in lines:
                if payload is None and line[0] == "RESTORE":
                    a.send(request("DUMP", "k"))
                    payload = value(a.reply())
                words = [payload if w is None else w for w in line]
                found = []
                for c in (a, b):
                    c.send(request(*words))
                    found.append(c.reply())
                if line[:2] == ("COMMAND", "INFO"):
                    continue
                expect_equal(found[1], found[0], f"the reply of {words}")


@test(tern_only=True)
def clients_at_their_limit(options):
    """The largest clients are closed, the others are served."""
    with rig.Tern(options, 1, "--workers", 1) as tern:
        with tern.shard() as c:
            held = [tern.shard() for _ in range(6)]
            for i, other in enumerate(held):
                # A bulk that does not end.
                other.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n" + b"x" * ((i + 1) << 19))
            # Who is the largest is known when all of it has come.
            eventually(lambda: int(field(c, "memory", "mem_clients_normal")) >= 10 << 20, 10, "all bytes of all clients")
            c.ask("CONFIG", "SET", "maxmemory-clients", 4 << 20)
            eventually(lambda: int(field(c, "stats", "evicted_clients")) > 0, 10, "a client's end")
            eventually(lambda: int(field(c, "memory", "mem_clients_normal")) <= 5 << 20, 10, "less memory of clients")
            expect_equal(c.ask("PING"), b"PONG", "the small client")
            held[-1].until_end()
            for other in held:
                other.close()


@test(tern_only=True)
def the_limit_is_the_process(options):
    """Several workers share one limit; all can write, and none has to refuse."""
    shards = 4
    with rig.Tern(options, shards, "--workers", 2) as tern:
        connections = [tern.shard(i + 1) for i in range(shards)]
        connections[0].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        limit = 8 << 20
        connections[0].ask("CONFIG", "SET", "maxmemory", limit)
        refused, moved = 0, 0
        for start in range(0, 60_000, BATCH):
            # The first shard alone at first, then all of them.
            for c in connections[:1] if start < 30_000 else connections:
                batch = [request("SET", b"key:%d" % k, VALUE) for k in range(start, start + BATCH)]
                for reply in c.exchange([b"".join(batch)], BATCH):
                    refused += reply.startswith(b"-OOM")
                    moved += reply.startswith(b"-MOVED")
        used = sum(int(field(c, "memory", "used_memory")) for c in connections)
        expect(used <= limit * 1.1, f"{used} bytes used, {limit} allowed")
        expect_equal(refused, 0, "refusals")
        expect(moved > 0, "keys of other shards were among them")
        for c in connections:
            c.close()


@test(tern_only=True)
def defragmentation_under_load(options):
    """Pages that were left three quarters empty are given back, while every reply is right; no slice is long."""
    count = 300_000
    with rig.Tern(options, 1, "--workers", 1) as tern:
        with tern.shard() as c:
            for name, v in {"active-defrag-ignore-bytes": 1 << 20, "active-defrag-threshold-lower": 10}.items():
                c.ask("CONFIG", "SET", name, v)
            r = random.Random(options.seed)
            for start in range(0, count, 10_000):
                c.exchange([b"".join(request("SET", b"key:%d" % k, b"%064d" % k) for k in range(start, start + 10_000))], 10_000)
            kept = [k for k in range(count) if r.random() < 0.25]
            gone = sorted(set(range(count)) - set(kept))
            for start in range(0, len(gone), 10_000):
                part = gone[start : start + 10_000]
                c.exchange([b"".join(request("DEL", b"key:%d" % k) for k in part)], len(part))
            before = [int(field(c, "memory", n)) for n in ("allocator_active", "allocator_allocated")]
            c.ask("CONFIG", "SET", "activedefrag", "yes")
            end = time.monotonic() + 15
            active, allocated = before
            while active > allocated * 1.3 and time.monotonic() < end:
                part = r.sample(kept, 200)
                found = c.exchange([b"".join(request("GET", b"key:%d" % k) for k in part)], len(part))
                expect_equal([value(x) for x in found], [b"%064d" % k for k in part], "values while pages are emptied")
                c.ask("SET", "key:%d" % part[0], b"%064d" % part[0])
                active, allocated = (int(field(c, "memory", n)) for n in ("allocator_active", "allocator_allocated"))
            print(f"  pages of {before[0] >> 20} MiB for {before[1] >> 20} MiB, then {active >> 20} for {allocated >> 20}; {field(c, 'housekeeping', 'tern_slices_defragmentation')}", flush=True)
            expect(before[0] > before[1] * 1.7, f"there was something to do: {before}")
            expect(active <= allocated * 1.3, f"pages of {active} bytes for {allocated}")
            for start in range(0, len(kept), 10_000):
                part = kept[start : start + 10_000]
                found = c.exchange([b"".join(request("GET", b"key:%d" % k) for k in part)], len(part))
                expect_equal([value(x) for x in found], [b"%064d" % k for k in part], "values afterwards")
            expect_equal(c.ask("DBSIZE"), len(kept), "keys")


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
