#!/usr/bin/env python3
"""The router: one port for all shards, while shards come and go all the time.

Every test resizes the cluster without a pause on another connection. Its clients must see what those of one server
see: the replies of redis-server, in their order, with no MOVED, ASK, TRYAGAIN or error, and every write kept.

    Tests/Clients/router.py --seconds 60
    Tests/Clients/router.py --only differential --seed 7 [--round 3]
"""

import contextlib
import random
import subprocess
import threading
import time

import rig
from resp import request, value
from rig import Redis, Tern, expect, expect_equal
from rounds import play_rounds
from through_router import RouterPair

SHARDS = 4
BOTH = ("handover", "incremental")


class Resizes:
    """Resizes the cluster, by turns whole tables and key by key, until the end of the block; it must have succeeded several times."""

    def __init__(self, options, tern, modes=("handover",), least=3):
        # Key by key it takes seconds.
        self.options, self.tern, self.modes, self.least = options, tern, modes, least if len(modes) == 1 else 1
        self.done, self.failures, self.isOver = 0, [], False

    def run(self):
        step = 0
        while not self.isOver:
            step += 1
            command = [self.options.tern, "cluster", "resize", "--shards", "8" if step % 2 else "3", "--mode", self.modes[step // 2 % len(self.modes)], "--port", str(self.tern.port)]
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                self.failures.append(ended.stderr or ended.stdout)
                return
            self.done += 1

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.isOver = True
        self.thread.join(60)
        if kind is None:
            expect_equal(self.failures, [], "resizes that failed")
            expect(self.done >= self.least, f"only {self.done} resizes")


class MovesByHand(Resizes):
    """Moves slots from shard to shard key by key, as redis-cli does, one after the other and a few keys at a time."""

    def __init__(self, options, tern, slots):
        super().__init__(options, tern)
        self.slots = slots

    def run(self):
        try:
            with contextlib.ExitStack() as stack:
                shards = [stack.enter_context(self.tern.shard(i + 1)) for i in range(SHARDS)]
                ids = [c.ask("CLUSTER", "MYID") for c in shards]
                homes = {slot: slot * SHARDS // 16384 for slot in self.slots}
                while not self.isOver:
                    slot = self.slots[self.done % len(self.slots)]
                    target = (homes[slot] + 1 + self.done % (SHARDS - 1)) % SHARDS
                    self.move(shards, ids, slot, homes[slot], target)
                    homes[slot] = target
                    self.done += 1
        except Exception as error:
            self.failures.append(repr(error))

    def move(self, shards, ids, slot, source, target):
        expect_equal(shards[target].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]), b"OK", "IMPORTING")
        expect_equal(shards[source].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target]), b"OK", "MIGRATING")
        while keys := shards[source].ask("CLUSTER", "GETKEYSINSLOT", slot, 5):
            answer = shards[source].ask("MIGRATE", "127.0.0.1", self.tern.port + 1 + target, "", 0, 5000, "KEYS", *keys)
            expect(answer in (b"OK", b"NOKEY"), f"MIGRATE: {answer}")
        for shard in (target, source):
            expect_equal(shards[shard].ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target]), b"OK", "NODE")


def until(options):
    """Rounds until the time of a test is over."""
    end, number = time.monotonic() + options.seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1


def together(bodies):
    """Runs each body, with its number, on a thread of its own; the first failure is the test's."""
    failures = []

    def run(number):
        try:
            bodies[number](number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@rig.test(tern_only=True, seconds=4000)
def differential(options):
    """All that commands.py draws, as the differential rig sends it to one shard: equal replies, and in the end equal keys. Twice as long as other tests."""
    with Redis("--cluster-enabled", "no", "--databases", 1, slots=False) as redis, Tern(options, SHARDS, "--workers", options.workers, "--enable-debug-command", "yes") as tern:
        pair = RouterPair(redis, tern)
        # About as long by hand-over as key by key.
        with Resizes(options, tern, ("handover",) * 15 + ("incremental",)) as resizes:
            play_rounds(pair, options, 2 * options.seconds)
        print(f"        {resizes.done} resizes; {pair.repeats} transactions done again because what they watched had moved", flush=True)


@rig.test(tern_only=True, seconds=4000)
def nothing_overtakes(options):
    """Pipelines of increments: every connection counts its own keys up without a hole, several at a time, and none is lost."""
    with Tern(options, SHARDS, "--workers", options.workers) as tern, Resizes(options, tern):
        counted = [0] * 4

        def count(number):
            source = random.Random(options.seed + number)
            with tern.shard(0) as c:
                counts = dict.fromkeys(range(10), 0)
                for _ in until(options):
                    keys = [source.randrange(10) for _ in range(source.choice([1, 16, 50, 400]))]
                    c.send(b"".join(request("INCR", f"count:{number}:{k}") for k in keys))
                    for key in keys:
                        counts[key] += 1
                        expect_equal(c.reply(), b":%d\r\n" % counts[key], f"count:{number}:{key}")
                    counted[number] += len(keys)
                for key, wanted in counts.items():
                    expect_equal(c.ask("GET", f"count:{number}:{key}"), b"%d" % wanted if wanted else None, "in the end")

        together([count] * 4)
        print(f"        {sum(counted)} increments", flush=True)


@rig.test(tern_only=True, seconds=4000)
def scans_find_what_stays(options):
    """A SCAN over all shards finds every key that is there all the time, whatever moves."""
    with Tern(options, SHARDS, "--workers", options.workers) as tern, tern.shard(0) as c:
        there = {b"stay:%d" % i for i in range(5000)}
        for key in there:
            c.send(request("SET", key, 1))
        c.replies(len(there))
        with Resizes(options, tern, BOTH):
            for number in until(options):
                expect_equal(there - scan(c, 100), set(), f"keys that SCAN number {number} has not found")
                expect_equal(c.ask("DBSIZE"), len(there), "DBSIZE")
                expect(c.ask("RANDOMKEY") in there, "RANDOMKEY")
                expect_equal(len(c.ask("KEYS", "stay:1*")), 1111, "KEYS of a pattern")


def scan(connection, count):
    """The keys that a whole SCAN finds."""
    found, cursor = set(), b"0"
    while True:
        cursor, keys = connection.ask("SCAN", cursor, "COUNT", count)
        found.update(keys)
        if cursor == b"0":
            return found


@rig.test(tern_only=True, seconds=4000)
def scans_find_what_is_moved_by_hand(options):
    """The same of slots with many keys that are moved key by key from outside, back and forth."""
    with Tern(options, SHARDS, "--workers", options.workers) as tern, tern.shard(0) as c:
        tags = ["t%d" % i for i in range(6)]
        slots = [c.ask("CLUSTER", "KEYSLOT", tag) for tag in tags]
        there = {b"{%s}%d" % (tag.encode(), i) for tag in tags for i in range(300)}
        for key in there:
            c.send(request("SET", key, 1))
        c.replies(len(there))
        with MovesByHand(options, tern, slots) as moves:
            for number in until(options):
                expect_equal(there - scan(c, 20), set(), f"keys that SCAN number {number} has not found")
                expect_equal(set(c.ask("KEYS", "*")), there, "KEYS")
                # Those that MIGRATE has on the way are on both sides.
                expect(0 <= c.ask("DBSIZE") - len(there) <= 5, "DBSIZE")
        print(f"        {moves.done} moves, {number + 1} walks", flush=True)


@rig.test(tern_only=True, seconds=4000)
def transactions(options):
    """WATCH, MULTI and EXEC on one slot: two clients count the same key up, and nothing is lost."""
    with Tern(options, SHARDS, "--workers", options.workers) as tern, Resizes(options, tern):
        done = [0, 0]

        def count(number):
            source = random.Random(options.seed + number)
            with tern.shard(0) as c:
                for _ in until(options):
                    key = "{t%d}" % source.randrange(20)
                    expect_equal(c.ask("WATCH", key), b"OK", "WATCH")
                    now = int(c.ask("GET", key) or 0)
                    c.send(request("MULTI") + request("SET", key, now + 1) + request("INCR", key + "copy") + request("EXEC"))
                    replies = [value(c.reply()) for _ in range(4)]
                    expect_equal(replies[:3], [b"OK", b"QUEUED", b"QUEUED"], "what comes before EXEC")
                    if replies[3] is not None:
                        expect_equal(replies[3], [b"OK", now + 1], "EXEC")
                        done[number] += 1

        together([count] * 2)
        with tern.shard(0) as c:
            expect_equal(sum(int(c.ask("GET", "{t%d}" % i) or 0) for i in range(20)), sum(done), "transactions that were done")
            c.send(request("MULTI") + request("GET", "a") + request("GET", "b") + request("GET", "c") + request("EXEC"))
            reply = c.replies(5)[4]
            expect(reply.startswith(b"*3") or reply.startswith(b"-CROSSSLOT") and b"hash tag" in reply, f"EXEC over several slots: {reply}")


@rig.test(tern_only=True, seconds=4000)
def bank(options):
    """With router-atomic: money goes from account to account on different shards, and whoever looks finds all of it."""
    with Tern(options, SHARDS, "--workers", options.workers, "--router-atomic", "yes") as tern, Resizes(options, tern, BOTH):
        accounts, done = ["account:%d" % i for i in range(12)], [0] * 5
        with tern.shard(0) as c:
            expect_equal(c.ask("MSET", *sum(([a, 100] for a in accounts), [])), b"OK", "MSET")

        def transfer(number):
            source = random.Random(options.seed + number)
            with tern.shard(0) as c:
                for _ in until(options):
                    a, b, sum_ = source.choice(accounts), source.choice(accounts), source.randrange(50)
                    c.send(request("MULTI") + request("DECRBY", a, sum_) + request("INCRBY", b, sum_) + request("EXEC"))
                    replies = [value(c.reply()) for _ in range(4)]
                    expect_equal(replies[:3], [b"OK", b"QUEUED", b"QUEUED"], "what comes before EXEC")
                    expect(isinstance(replies[3], list) and len(replies[3]) == 2 and all(isinstance(r, int) for r in replies[3]), f"EXEC: {replies[3]}")
                    done[number] += 1

        def look(number):
            source = random.Random(options.seed + number)
            with tern.shard(0) as c:
                for _ in until(options):
                    if source.random() < 0.5:
                        c.send(request("MULTI") + b"".join(request("GET", a) for a in accounts) + request("EXEC"))
                        values = [value(c.reply()) for _ in range(len(accounts) + 2)][-1]
                    else:
                        values = c.ask("MGET", *accounts)
                    expect_equal(sum(map(int, values)), 100 * len(accounts), "the money that there is")
                    done[number] += 1

        together([transfer] * 3 + [look] * 2)
        print(f"        {sum(done[:3])} transfers, {sum(done[3:])} looks", flush=True)


@rig.test(tern_only=True)
def a_worker_that_has_stopped_runs_nobody(options):
    """MSETNX over two workers, while at one of them somebody waits for CONFIG SET with a SET behind it: it says 1 only where its keys are absent."""
    # Keys of shard 1, which is the first worker's, and of shard 2.
    keys = ["b", "c"]
    with Tern(options, SHARDS, "--workers", 2, "--router-atomic", "yes") as tern, contextlib.ExitStack() as stack:
        routers = [stack.enter_context(tern.shard(0)) for _ in range(2)]
        shards = [stack.enter_context(tern.shard(number)) for number in (1, 2)]
        expect_equal([routers[0].ask("CLUSTER", "KEYSLOT", key) * SHARDS // 16384 for key in keys], [0, 1], "the shards of the keys")
        laid, end, step = 0, time.monotonic() + 2, 0
        while time.monotonic() < end:
            step += 1
            other, key = keys if step % 2 else keys[::-1]
            c, shard = routers[step // 2 % 2], shards[keys.index(key)]
            c.ask("DEL", *keys)
            shard.send(request("CONFIG", "SET", "slowlog-max-len", 100 + step % 100) + request("SET", key, "theirs"))
            isLaid = c.ask("MSETNX", other, "ours", key, "ours")
            expect_equal([value(shard.reply()) for _ in range(2)], [b"OK", b"OK"], "CONFIG SET and SET")
            # SET was before it, and it has done nothing, or SET came behind it.
            found = c.ask("MGET", key, other)
            expect_equal(found, [b"theirs", b"ours" if isLaid else None], f"{key} and {other} after MSETNX said {isLaid}")
            laid += isLaid
        print(f"        {step} MSETNX, {laid} done", flush=True)


@rig.test(tern_only=True, seconds=4000)
def pipelines_of_an_application(options):
    """What redis-py sends for a pipeline if nobody tells it otherwise: MULTI and EXEC, here over keys of all shards, with WATCH as its transaction() has it."""
    import redis

    with Tern(options, SHARDS, "--workers", options.workers) as tern, Resizes(options, tern, BOTH, least=1):
        client = redis.Redis(port=tern.port)
        keys = [f"key:{i}" for i in range(100)]
        turns = 0
        for _ in until(options):
            pipeline = client.pipeline()
            for key in keys:
                pipeline.incr(key)
            turns += 1
            expect_equal(pipeline.execute(), [turns] * len(keys), "every counter, in one transaction")

            def double(pipeline):
                # Values of several shards, read and written as one.
                found = [int(value) for value in pipeline.mget(keys[:10])]
                expect_equal(len(set(found)), 1, f"one instant: {found}")
                pipeline.multi()
                for key in keys[:10]:
                    pipeline.incrby(key, 0)

            client.transaction(double, *keys[:10])
        expect(turns > 20, f"only {turns} transactions")
        expect_equal([int(value) for value in client.mget(keys)], [turns] * len(keys), "the sums in the end")


@rig.test(tern_only=True)
def as_the_readme_says(options):
    """The README's examples: redis-cli, a plain client, a cluster client, a connection string."""
    import redis
    import redis.cluster

    with Tern(options, SHARDS, "--workers", options.workers) as tern:
        cli = lambda *words: subprocess.run(["redis-cli", *map(str, words)], capture_output=True, text=True, check=True).stdout.split()
        expect_equal(cli("-p", tern.port, "MSET", "a", 1, "b", 2, "c", 3), ["OK"], "redis-cli")
        expect_equal(cli("-u", f"redis://127.0.0.1:{tern.port}/0", "MGET", "a", "b", "c"), ["1", "2", "3"], "redis-cli -u")
        expect_equal(cli("-c", "-p", tern.port, "GET", "b"), ["2"], "redis-cli -c")
        plain = redis.Redis(port=tern.port, decode_responses=True)
        expect_equal(plain.mget("a", "b", "c"), ["1", "2", "3"], "a plain client")
        expect_equal(plain.info("cluster")["cluster_enabled"], 0, "what it is told")
        with plain.pipeline(transaction=True) as pipeline:
            expect_equal(pipeline.incr("{n}a").incr("{n}b").execute(), [1, 1], "a transaction")
        expect_equal(redis.Redis.from_url(f"redis://127.0.0.1:{tern.port}/0").dbsize(), 5, "a connection string")
        cluster = redis.cluster.RedisCluster("127.0.0.1", tern.port, decode_responses=True)
        ports = {node.port for node in cluster.get_nodes()}
        expect_equal(ports, {tern.port + i for i in range(1, SHARDS + 1)}, "the nodes of a cluster client")
        expect_equal([cluster.get(key) for key in "abc"], ["1", "2", "3"], "a cluster client")
        plain.config_set("router-presents-as", "cluster")
        expect_equal(plain.info("cluster")["cluster_enabled"], 1, "what is told as a cluster")


@rig.test(tern_only=True, seconds=4000)
def a_slow_shard_delays_its_own(options):
    """One worker does nothing for a second; clients that ask only the other one are answered meanwhile, and memory stays bounded."""
    with Tern(options, 2, "--workers", 2, "--enable-debug-command", "yes") as tern, tern.shard(0) as a:
        tags = {}
        for i in range(1000):
            tags.setdefault(a.ask("CLUSTER", "KEYSLOT", f"t{i}") // 8192, f"{{t{i}}}")
        clients = [tern.shard(0) for _ in range(4)]
        here = [c for c in clients if c.ask("CLIENT", "ID") % 2 == 0][0]
        a.ask("SET", tags[1], "v" * 1000)
        before = tern.resident
        with tern.shard(2) as busy, tern.shard(0) as greedy:
            busy.send(request("DEBUG", "SLEEP", "1"))
            for _ in range(200):
                greedy.send(b"".join(request("GET", tags[1]) for _ in range(100)))
            end, worst = time.monotonic() + 1.5, 0
            while time.monotonic() < end:
                begin = time.monotonic()
                expect_equal(here.ask("INCR", tags[0]) > 0, True, "INCR")
                worst = max(worst, time.monotonic() - begin)
            expect(worst < 0.5, f"a client of the other shard waited {worst:.3f} s")
            expect(tern.resident - before < 64 << 20, f"{(tern.resident - before) >> 20} MiB more")
            replies = greedy.replies(20_000)
            expect_equal(len(replies), 20_000, "replies to the client that did not read")
        for c in clients:
            c.close()


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="that each test takes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--round", type=int, help="play this one round of differential only")
    rig.main(parser)
