#!/usr/bin/env python3
"""The rig of what clients are told without asking for it: announced addresses and names, and slots that move by `auto-rebalance`.

What redis-server sends is asked of a cluster of two real ones; Tern must send the same bytes but for ids, ports and the order of shards.
"""

import binascii
import re
import threading
import time

import rig
from resp import Connection, eventually, request, value
from rig import Redis, Tern, expect, expect_equal

TYPES = ["ip", "hostname", "unknown-endpoint"]
NAME = "shard.example.org"
QUESTIONS = [("CLUSTER", "SLOTS"), ("CLUSTER", "SHARDS"), ("CLUSTER", "NODES"), ("GET", "foo"), ("GET", "bar")]  # foo is the second shard's, bar the first one's


def raw(c, *words):
    c.send(request(*words))
    return c.reply()


def said(c, *words):
    """A reply's text, of errors too."""
    return str(value(raw(c, *words)))


def comparable(reply, ports, name):
    """A reply without ids and ports, and without what redis says of pings, roles in time and its order of shards."""
    for i, port in enumerate(ports):
        reply = reply.replace(b":%d@%d" % (port, port + 10000), b":PORT%d@BUS%d" % (i, i)).replace(b":%d" % port, b":PORT%d" % i)
    reply = re.sub(rb"[0-9a-f]{40}", b"ID", reply)
    if name == "NODES":
        body = reply.split(b"\r\n", 1)[1].removeprefix(b"txt:")
        lines = [re.sub(rb" \d+ \d+ \d+ connected", b" CONNECTED", line) for line in body.strip().split(b"\n")]
        return sorted(lines)
    if name == "SHARDS":
        head, *parts = re.split(rb"(?=(?:\*4|%2)\r\n\$5\r\nslots)", reply)
        return head, sorted(re.sub(rb"replication-offset\r\n:\d+", b"replication-offset\r\n:0", part) for part in parts)
    return reply


def answers(connections, ports, resp3):
    """What both shards say to everything, with ids and ports taken out."""
    found = []
    for c in connections:
        for question in QUESTIONS:
            reply = raw(c, *question)
            found.append(comparable(reply, ports, question[-1]))
    return found


def two_redises(a, b):
    """Two servers become a cluster as Tern's of two shards is."""
    for redis, first, last in ((a, 0, 8191), (b, 8192, 16383)):
        with redis.shard() as c:
            expect_equal(c.ask("CLUSTER", "ADDSLOTSRANGE", first, last), b"OK", "slots")
    with a.shard() as c:
        c.ask("CLUSTER", "MEET", "127.0.0.1", b.port)
    for redis in (a, b):
        with redis.shard() as c:
            eventually(lambda: b"cluster_state:ok" in c.ask("CLUSTER", "INFO") and c.ask("CLUSTER", "NODES").count(b"connected") == 2, 30, "a cluster of two")


@rig.test(tern_only=True)
def names_as_redis_sends_them(options):
    """Every type of endpoint, with and without a name, in both protocols, byte for byte."""
    with Redis(slots=False) as a, Redis(slots=False) as b, Tern(options, 2) as tern:
        two_redises(a, b)
        ports = [(a.port, b.port), (tern.port + 1, tern.port + 2)]
        for name in ("", NAME, "a.b-c", ""):
            for redis in (a, b):
                with redis.shard() as c:
                    expect_equal(c.ask("CONFIG", "SET", "cluster-announce-hostname", name), b"OK", "redis's name")
            with tern.shard(2) as c:
                expect_equal(c.ask("CONFIG", "SET", "cluster-announce-hostname", name), b"OK", "the name")
            for redis in (a, b):
                with redis.shard() as c:
                    wanted = b"," + name.encode() + b" "
                    eventually(lambda: c.ask("CLUSTER", "NODES").count(wanted) == 2 if name else b"," not in c.ask("CLUSTER", "NODES").replace(b"myself,", b""), 30, "redis's gossip of names")
            for type in TYPES:
                for redis in (a, b):
                    with redis.shard() as c:
                        c.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", type)
                with tern.shard(1) as c:
                    expect_equal(c.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", type), b"OK", "the type")
                for resp3 in (False, True):
                    found = []
                    for (first, second), servers in zip(ports, ((a, b), (tern, tern))):
                        with Connection(first) as one, Connection(second) as two:
                            if resp3:
                                one.ask("HELLO", 3)
                                two.ask("HELLO", 3)
                            found.append(answers((one, two), (first, second), resp3))
                    for question, wanted, got in zip(QUESTIONS * 2, *found):
                        expect_equal(got, wanted, f"{' '.join(question)}, name {name!r}, type {type}, RESP3 {resp3}")


@rig.test(tern_only=True)
def addresses_change_while_it_runs(options):
    """A change is a new map at once, with a higher epoch, for new shards and after a restart too; what cannot be is refused."""
    with Tern(options, 2) as tern:
        epoch = lambda c: int(re.search(rb"cluster_current_epoch:(\d+)", c.ask("CLUSTER", "INFO"))[1])
        with tern.shard(1) as c, tern.shard(2) as other:
            before = epoch(c)
            expect_equal(c.ask("CONFIG", "SET", "cluster-announce-ip", "10.1.2.3", "cluster-announce-port", 9000, "cluster-announce-hostname", NAME), b"OK", "all three")
            for asked in (c, other):
                nodes = asked.ask("CLUSTER", "NODES").decode()
                for number in (1, 2):
                    expect(f" 10.1.2.3:{9000 + number}@{19000 + number},{NAME} " in nodes, f"shard {number} in {nodes}")
            expect_equal(said(c, "GET", "foo"), "MOVED 12182 10.1.2.3:9002", "a redirect")
            expect(epoch(c) == epoch(other) == before + 1, "one new map")
            c.ask("CONFIG", "SET", "cluster-announce-hostname", NAME, "hz", 20)
            expect_equal(epoch(c), before + 1, "nothing new, no new map")
            c.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
            expect_equal(said(c, "GET", "foo"), f"MOVED 12182 {NAME}:9002", "a redirect by name")
            eventually(lambda: f"10.1.2.3:9001@19001,{NAME}" in kept(tern), 10, "nodes.conf")
            for name, wrong, why in (("cluster-announce-ip", "a b", "IP address"), ("cluster-announce-ip", "a\r\nb", "IP address"), ("cluster-announce-port", 65534, "no port is left for shard 2"), ("cluster-announce-port", 65536, "between 0 and 65535"), ("cluster-announce-hostname", "a_b", "alphanumeric"), ("cluster-preferred-endpoint-type", "name", "one of the following")):
                reply = said(c, "CONFIG", "SET", name, wrong)
                expect("CONFIG SET failed" in reply and why in reply, f"{name} {wrong!r}: {reply}")
            c.ask("CLUSTER", "RESIZE", "SHARDS", 3)
            eventually(lambda: f" 10.1.2.3:9003@19003,{NAME} " in c.ask("CLUSTER", "NODES").decode(), 20, "a new shard's address")
            expect_equal(c.ask("CONFIG", "SET", "cluster-announce-ip", "", "cluster-announce-port", 0, "cluster-announce-hostname", "", "cluster-preferred-endpoint-type", "ip"), b"OK", "back")
            nodes = c.ask("CLUSTER", "NODES").decode()
            for number in (1, 2, 3):
                expect(f" 127.0.0.1:{tern.port + number}@{tern.port + number + 10000} " in nodes, f"shard {number} back in {nodes}")
    with Tern(options, 2, "--cluster-announce-hostname", NAME, "--cluster-preferred-endpoint-type", "hostname") as tern, tern.shard(1) as c:
        expect_equal(said(c, "GET", "foo"), f"MOVED 12182 {NAME}:{tern.port + 2}", "from the start")


def kept(tern):
    with open(tern.directory + "/nodes.conf") as f:
        return f.read()


class Load:
    """A client that keeps some slots busy with work of so much weight, following redirects; `errors` is what else it was told."""

    def __init__(self, tern, weights):
        self.tern, self.weights, self.errors, self._over = tern, weights, [], False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._work()
        except Exception as error:
            self.errors.append(error)

    def _work(self):
        owners, connections = {}, {}
        keys = {binascii.crc_hqx(b"k%d" % i, 0) % 16384: f"k{i}" for i in range(400_000)}
        with self.tern.shard(1) as c:
            for port, slots in slots_of(c).items():
                owners.update({slot: port for slot in slots})

        def ask(slot, *words):
            for _ in range(10):
                port = owners[slot]
                c = connections.get(port) or connections.setdefault(port, Connection(port))
                reply = raw(c, *words)
                if not reply.startswith(b"-MOVED "):
                    return reply
                owners[slot] = int(reply.rsplit(b":", 1)[1])

        for slot, weight in self.weights.items():
            ask(slot, "SET", keys[slot], "x" * weight)
        while not self._over:
            for slot, weight in self.weights.items():
                reply = ask(slot, "BITCOUNT", keys[slot])
                if reply != b":%d\r\n" % (4 * weight):
                    self.errors.append(reply)
            time.sleep(0.0005)
        for c in connections.values():
            c.close()

    def end(self):
        self._over = True
        self._thread.join(20)


def slots_of(c):
    """Shard's port → its slots."""
    found = {}
    for first, last, node, *_ in c.ask("CLUSTER", "SLOTS"):
        found.setdefault(node[1], set()).update(range(first, last + 1))
    return found


@rig.test(tern_only=True)
def a_hot_range_is_spread(options):
    """Sixteen hot slots of one shard end up four at each; nothing moves again, and nothing while it is off."""
    with Tern(options, 4, "--workers", 1, "--auto-rebalance-interval-ms", 300) as tern, tern.shard(1) as c:
        hot = {slot: 100_000 for slot in range(100, 116)}
        load = Load(tern, hot)
        time.sleep(2)
        expect_equal(len(slots_of(c)[tern.port + 1]), 4096, "slots while it is off")
        expect_equal(c.ask("CONFIG", "SET", "auto-rebalance", "load"), b"OK", "on")
        homes = lambda: sorted(len(slots & set(hot)) for slots in slots_of(c).values())
        eventually(lambda: homes()[-1] <= 6, 30, "the hot range's end")
        spread = homes()
        expect(spread[0] >= 2, f"hot slots by shard: {spread}")
        after = slots_of(c)
        # A stationary load: about two minutes of samples, at this speed.
        time.sleep(5)
        expect_equal(slots_of(c), after, "slots a while later")
        load.end()
        expect_equal(load.errors, [], "errors of clients that follow redirects")
        events = [dict(zip(e[::2], e[1::2])) for e in c.ask("CLUSTER", "EVENTS", "COUNT", 1000)]
        begun = [e for e in events if e[b"event"] == b"migration-started"]
        expect(len(begun) == 1 and begun[0][b"cause"] == b"auto-rebalance", f"events: {begun}")
        status = c.ask("CLUSTER", "REBALANCE", "STATUS")
        status = dict(zip(status[::2], status[1::2]))
        expect_equal(status[b"auto-rebalance"], b"load", "the mode in STATUS")


@rig.test(tern_only=True)
def one_slot_hotter_than_a_share(options):
    """It is said, and nothing is moved for nothing."""
    with Tern(options, 4, "--workers", 1, "--auto-rebalance-interval-ms", 200, "--auto-rebalance", "load") as tern, tern.shard(1) as c:
        load = Load(tern, {100: 2_000_000, 9000: 100})
        status = lambda: dict(zip(*[iter(c.ask("CLUSTER", "REBALANCE", "STATUS"))] * 2))
        eventually(lambda: b"slot 100 is hotter" in status()[b"auto-rebalance-state"], 20, "what STATUS says")
        trial = c.ask("CLUSTER", "REBALANCE", "BY", "LOAD", "DRYRUN")
        trial = dict(zip(trial[::2], trial[1::2]))
        expect_equal((trial[b"hot-slots"], trial[b"message"]), ([100], b"slot 100 is hotter than a shard's share: loads cannot be made equal"), "DRYRUN")
        expect_equal([len(s) for s in slots_of(c).values()], [4096] * 4, "slots")
        expect_equal(c.ask("CLUSTER", "REBALANCE", "BY", "LOAD"), b"OK", "by hand")
        eventually(lambda: status()[b"state"] == b"success" and b"slot 100 is hotter" in status()[b"message"], 20, "the job's message")
        load.end()


@rig.test(tern_only=True)
def shares_by_count(options):
    """With `count` shares become equal again, but not while a slot is open."""
    with Tern(options, 4, "--auto-rebalance-interval-ms", 100) as tern, tern.shard(1) as c:
        ids = [tern.shard(n).ask("CLUSTER", "MYID") for n in (1, 2, 3, 4)]
        counts = lambda: sorted(len(s) for s in slots_of(c).values())
        expect_equal(c.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, 999, "NODE", ids[1]), b"OK", "a move")
        eventually(lambda: counts() == [3096, 4096, 4096, 5096], 20, "the move")
        c.ask("CLUSTER", "SETSLOT", 2000, "MIGRATING", ids[2])
        c.ask("CONFIG", "SET", "auto-rebalance", "count")
        time.sleep(2)
        expect_equal(counts(), [3096, 4096, 4096, 5096], "shares while a slot is open")
        c.ask("CLUSTER", "SETSLOT", 2000, "STABLE")
        eventually(lambda: counts() == [4096] * 4, 20, "equal shares")


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
