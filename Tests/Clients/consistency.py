#!/usr/bin/env python3
"""The consistency rig: what real clients see while slots move by hand-over, and shards come and go (DESIGN §4, I1-I3, I5).

Counters and registers are kept as histories: increments equal acknowledgements, registers are linearizable key by key,
transactions under WATCH are all or nothing, and no client meets an error that Redis Cluster does not document.
"""

import random
import threading
import time

import glide_sync
import redis
import redis.cluster

import rig
from resp import Connection, ErrorReply
from rig import Tern, expect, expect_equal, free_ports

SHARDS, MOST_SHARDS = 4, 8
CRC = []


def slot_of(key):
    """The hash slot of a key, by its hash tag where it has one."""
    if not CRC:
        for byte in range(256):
            crc = byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
            CRC.append(crc)
    data, crc = key.encode(), 0
    if b"{" in data and b"}" in data:
        data = data[data.index(b"{") + 1 : data.index(b"}")]
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ CRC[crc >> 8 ^ byte]
    return crc % 16384


def contradiction(history):
    """Why no order of (value, is a write, start, end) explains what was read of a register that begins with "0"; None if one does.

    Every write has a value of its own. Operations on one value happen in one go: in a time common to all of them, or, where there is none,
    throughout from the first end to the last start. Two such spans must not overlap, and no other value fits into one.
    """
    zones = {"0": [(True, -1.0, -1.0)]}
    for value, is_write, start, end in history:
        zones.setdefault(value, []).append((is_write, start, end))
    spans, points = [], []
    for value, operations in zones.items():
        writes = [operation for operation in operations if operation[0]]
        if len(writes) != 1:
            return f"{value} was written {len(writes)} times and read"
        if min(operation[2] for operation in operations) < writes[0][1]:
            return f"{value} was read before it was written"
        first_end, last_start = min(o[2] for o in operations), max(o[1] for o in operations)
        (spans if first_end < last_start else points).append((first_end, last_start, value))
    spans.sort()
    for one, other in zip(spans, spans[1:]):
        if other[0] < one[1]:
            return f"{one[2]} and {other[2]} were both there at once"
    for end, start, value in points:
        for span in spans:
            if span[0] < start and end < span[1]:
                return f"{value} came while {span[2]} was there before and after"
    return None


class Mover:
    """Has slots moved, one job after the other, by one connection to a shard that stays."""

    def __init__(self, port):
        self.port = port
        self.connections = {}

    def at(self, shard):
        if shard not in self.connections:
            self.connections[shard] = Connection(self.port + shard)
        return self.connections[shard]

    def fields(self, flat):
        return {name: value for name, value in zip(flat[::2], flat[1::2])}

    def change(self, *words):
        """RESIZE or REBALANCE, until it has ended."""
        expect_equal(self.at(1).ask("CLUSTER", *words), b"OK", words)
        end = time.monotonic() + 30
        while True:
            status = self.fields(self.at(1).ask("CLUSTER", "REBALANCE", "STATUS"))
            if status[b"state"] == b"success":
                return
            expect(status[b"state"] not in (b"failed", b"cancelled"), f"{words} has ended: {status}")
            expect(time.monotonic() < end, f"{words} takes long: {status}")
            time.sleep(0.001)

    def range_of(self, slot):
        """The shard that a slot belongs to, and the last slot of the range that it lies in."""
        for first, last, node, *_ in self.at(1).ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return node[1] - self.port, last
        raise AssertionError(f"slot {slot} belongs to nobody")

    def owner(self, slot):
        return self.range_of(slot)[0]

    def migrate(self, first, last, source, target):
        """MIGRATESLOTS, until it has ended."""
        node = self.at(target).ask("CLUSTER", "MYID")
        expect_equal(self.at(source).ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", node), b"OK", "MIGRATESLOTS")
        end = time.monotonic() + 30
        while True:
            job = self.fields(self.at(source).ask("CLUSTER", "GETSLOTMIGRATIONS")[0])
            if job[b"state"] == b"success":
                return
            expect(job[b"state"] not in (b"failed", b"cancelled"), f"a migration has ended: {job}")
            expect(time.monotonic() < end, f"a migration takes long: {job}")
            time.sleep(0.001)

    def there_and_back(self, slot):
        """A slot leaves its shard, and comes back."""
        home = self.owner(slot)
        away = home % SHARDS + 1
        self.migrate(slot, slot, home, away)
        self.migrate(slot, slot, away, home)

    def everything(self, rounds=1):
        """All ways of moving whole slots, so often."""
        for n in range(rounds):
            for count in (8, 4, 6, 3, 4):
                self.change("RESIZE", "SHARDS", count)
                time.sleep(0.1)
            nodes = [self.at(shard).ask("CLUSTER", "MYID") for shard in range(1, SHARDS + 1)]
            self.change("REBALANCE", "WEIGHT", nodes[n % SHARDS], 0, "WEIGHT", nodes[(n + 1) % SHARDS], 3)
            self.change("REBALANCE")
            for place in range(8):
                first = place * 2048 + 1000
                home, end = self.range_of(first)
                last = min(end, first + 63)
                self.migrate(first, last, home, home % SHARDS + 1)
                self.migrate(first, last, home % SHARDS + 1, home)


class Crew:
    """Threads that work until they are told to stop; what one of them raises is raised by `stop`."""

    def __init__(self):
        self.ending, self.errors, self.threads = threading.Event(), [], []

    def add(self, work, *arguments):
        def body():
            try:
                while not self.ending.is_set():
                    work(*arguments)
            except BaseException as error:
                self.errors.append(error)
                self.ending.set()

        self.threads.append(threading.Thread(target=body, daemon=True))
        self.threads[-1].start()

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        if self.errors:
            raise self.errors[0]
        expect(not any(thread.is_alive() for thread in self.threads), "a client hangs")


class Library:
    """A client library, with the same face for each: INCR, GET, SET."""

    def __init__(self, kind, port):
        self.kind = kind
        if kind == "glide":
            # At a node, as its users start it.
            self.client = glide_sync.GlideClusterClient.create(glide_sync.GlideClusterClientConfiguration([glide_sync.NodeAddress("127.0.0.1", port)], request_timeout=5000))
        elif kind == "router":
            # A plain client, which knows no cluster.
            self.client = redis.Redis("127.0.0.1", port)
        else:
            self.client = redis.cluster.RedisCluster("127.0.0.1", port, protocol=kind)

    def incr(self, key):
        return self.client.incr(key)

    def get(self, key):
        value = self.client.get(key)
        return None if value is None else value.decode()

    def set(self, key, value):
        answer = self.client.set(key, value)
        expect(answer in (True, "OK"), f"SET is answered {answer!r}")

    def close(self):
        self.client.close()


class Histories:
    """What all clients of a test have done."""

    def __init__(self, keys):
        self.keys, self.lock = keys, threading.Lock()
        self.counts = {}
        self.registers = {f"register:{n}": [] for n in range(12)}
        self.commands = 0


def use(library, number, histories, draw):
    """One turn of a client: increments of its own counters, exact one by one, and shared registers."""
    for _ in range(20):
        key = f"count:{number}:{draw.randrange(histories.keys)}"
        wanted = histories.counts.get(key, 0) + 1
        expect_equal(library.incr(key), wanted, f"INCR {key} by client {number}")
        histories.counts[key] = wanted
        name = draw.choice(list(histories.registers))
        write = draw.random() < 0.5
        value = f"{number}:{histories.commands}:{draw.random()}" if write else None
        start = time.monotonic()
        if write:
            library.set(name, value)
        else:
            value = library.get(name) or "0"
        with histories.lock:
            histories.registers[name].append((value, write, start, time.monotonic()))
            histories.commands += 2


@rig.test(tern_only=True)
def the_judge_of_registers(options):
    """Whoever judges is judged first."""
    expect_equal(contradiction([("1", True, 1, 4), ("0", False, 2, 3), ("1", False, 3, 5), ("2", True, 4, 6), ("2", False, 7, 8)]), None, "a good history")
    bad = {"a lost write": [("1", True, 1, 2), ("0", False, 3, 4)], "a read that goes back": [("1", True, 1, 9), ("1", False, 2, 3), ("0", False, 4, 5)],
           "a value from nowhere": [("7", False, 1, 2)], "a value too early": [("7", False, 1, 2), ("7", True, 3, 4)],
           "a value between": [("1", True, 1, 2), ("2", True, 3, 4), ("1", False, 5, 6)]}
    for what, history in bad.items():
        expect(contradiction(history) is not None, f"{what} passes")


@rig.test(tern_only=True, seconds=180)
def libraries_while_slots_move(options):
    with Tern(options, SHARDS, port=free_ports(MOST_SHARDS + 1)) as tern:
        histories, crew, libraries = Histories(150), Crew(), []
        # Through the shards' own ports and through the router at once.
        for number, kind in enumerate((2, 3, "router", "glide", "router")):
            libraries.append(Library(kind, tern.port if kind == "router" else tern.port + 1 + number % SHARDS))
            crew.add(use, libraries[-1], number, histories, random.Random(options.seed + number))
        mover = Mover(tern.port)
        try:
            mover.everything(2)
        finally:
            crew.stop()
        expect(histories.commands > 500, f"only {histories.commands} commands were tried")
        for key, count in histories.counts.items():
            library = libraries[int(key.split(":")[1])]
            expect_equal(library.get(key), str(count), f"{key}, read by its own client")
            expect_equal(libraries[0].get(key), str(count), f"{key}, read by another client")
        for name, history in histories.registers.items():
            expect_equal(contradiction(history), None, f"the history of {name}")
        for library in libraries:
            library.close()
        print(f"    {histories.commands} commands", flush=True)


class Strict:
    """A raw client of a cluster that follows one redirect of a command or transaction."""

    def __init__(self, port):
        self.port, self.connections, self.owners = port, {}, {}

    def at(self, shard):
        if shard not in self.connections:
            self.connections[shard] = Connection(self.port + shard)
        return self.connections[shard]

    def home(self, key):
        return self.at(self.owners.get(slot_of(key), 1))

    def follow(self, key, error):
        words = str(error).split()
        expect(len(words) == 3 and words[0] == "MOVED" and int(words[1]) == slot_of(key), f"{error} for {key} in slot {slot_of(key)}")
        self.owners[slot_of(key)] = int(words[2].rsplit(":", 1)[1]) - self.port


def try_to_add(client, key, done):
    """A counter that is read, and written by EXEC: by WATCH it goes up by one or not at all. Everything that can be redirected is, once in a while."""
    c = client.home(key)
    try:
        expect_equal(c.ask("WATCH", key), b"OK", "WATCH")
        seen = int(c.ask("GET", key) or 0)
    except ErrorReply as error:
        client.follow(key, error)
        c.ask("UNWATCH")
        return
    expect_equal(c.ask("MULTI"), b"OK", "MULTI")
    try:
        expect_equal(c.ask("SET", key, seen + 1), b"QUEUED", "SET")
    except ErrorReply as error:
        client.follow(key, error)
        try:
            raise AssertionError(f"EXEC of an aborted transaction is answered {c.ask('EXEC')!r}")
        except ErrorReply as aborted:
            expect(str(aborted).startswith("EXECABORT"), f"EXEC says {aborted}")
        done["aborted"] += 1
        return
    try:
        answer = c.ask("EXEC")
    except ErrorReply as error:
        client.follow(key, error)
        # The transaction has ended with it.
        expect_equal(c.ask("PING"), b"PONG", "PING after EXEC's redirect")
        done["moved"] += 1
        return
    if answer is None:
        done["conflicts"] += 1
    else:
        expect_equal(answer, [b"OK"], "EXEC")
        done[key] = done.get(key, 0) + 1


@rig.test(tern_only=True, seconds=180)
def transactions_while_slots_move(options):
    with Tern(options, SHARDS, port=free_ports(MOST_SHARDS + 1)) as tern:
        keys = [f"balance:{n}" for n in range(40)]
        crew, all_done = Crew(), []
        for number in range(3):
            done, client, draw = {"aborted": 0, "moved": 0, "conflicts": 0}, Strict(tern.port), random.Random(options.seed + number)
            all_done.append(done)
            crew.add(lambda client=client, done=done, draw=draw: try_to_add(client, draw.choice(keys), done))
        try:
            Mover(tern.port).everything(2)
        finally:
            crew.stop()
        reader = redis.cluster.RedisCluster("127.0.0.1", tern.port + 1)
        for key in keys:
            expect_equal(int(reader.get(key) or 0), sum(done.get(key, 0) for done in all_done), f"{key} beside its committed transactions")
        reader.close()
        print("    " + ", ".join(f"{sum(done[what] for done in all_done)} {what}" for what in ("aborted", "moved", "conflicts"))
              + f", {sum(done.get(key, 0) for done in all_done for key in keys)} committed", flush=True)


def refused(c, *words):
    """The error that a command is answered with."""
    try:
        return f"no error but {c.ask(*words)!r}"
    except ErrorReply as error:
        return str(error)


@rig.test(tern_only=True)
def transactions_at_a_flip(options):
    """What MULTI, WATCH and EXEC are answered, step by step."""
    with Tern(options, SHARDS) as tern:
        mover = Mover(tern.port)
        key = "account"
        slot = slot_of(key)
        home = mover.owner(slot)
        away = home % SHARDS + 1
        moved = f"MOVED {slot} 127.0.0.1:{tern.port + away}"
        with tern.shard(home) as c:
            # It has left when EXEC comes: nothing is run, MULTI has ended.
            c.ask("MULTI")
            c.ask("SET", key, "never")
            mover.migrate(slot, slot, home, away)
            expect_equal(refused(c, "EXEC"), moved, "EXEC after the slot has left")
            expect_equal(refused(c, "EXEC"), "ERR EXEC without MULTI", "EXEC once more")
            expect_equal(mover.at(away).ask("GET", key), None, "the key")
            # It leaves while commands are queued.
            mover.migrate(slot, slot, away, home)
            c.ask("MULTI")
            expect_equal(c.ask("SET", key, "never"), b"QUEUED", "SET")
            mover.migrate(slot, slot, home, away)
            expect_equal(refused(c, "SET", key, "never"), moved, "a command to be queued")
            expect(refused(c, "EXEC").startswith("EXECABORT"), "EXEC does not say EXECABORT")
            # It has left and is back: what was watched counts as changed.
            mover.migrate(slot, slot, away, home)
            c.ask("WATCH", key)
            mover.there_and_back(slot)
            c.ask("MULTI")
            c.ask("SET", key, "never")
            expect_equal(c.ask("EXEC"), None, "EXEC after there and back")
            expect_equal(c.ask("GET", key), None, "the key")
            # Another slot that moves is no business of this one.
            other = slot + 1 if mover.owner(slot + 1) == home else slot - 1
            c.ask("WATCH", key)
            mover.there_and_back(other)
            c.ask("MULTI")
            c.ask("SET", key, "now")
            expect_equal(c.ask("EXEC"), [b"OK"], "EXEC after another slot's move")


rig.main(rig.arguments(__doc__))
