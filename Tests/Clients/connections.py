#!/usr/bin/env python3
"""The connections rig: what clients do to a server with sockets rather than with commands.

Limits (clients, idle time, sizes), readers that do not read, pipelines as deep as can be, strange cuts, ends in
the middle, very many connections. After each the server must be alive, hold no more memory than its limits
allow, and have given back what the clients held.
"""

import hashlib
import random
import time

import rig
from resp import Broken, ErrorReply, eventually, request, value
from rig import Tern, expect, expect_equal

MiB = 1 << 20
# What a client above maxclients is told: by a standalone redis-server, and by one in cluster mode.
REFUSALS = (b"-ERR max number of clients reached\r\n", b"-ERR max number of clients + cluster connections reached\r\n")


def connected(c):
    """How many clients the server says are connected."""
    for line in c.ask("INFO", "clients").split(b"\r\n"):
        if line.startswith(b"connected_clients:"):
            return int(line[18:])
    raise AssertionError("INFO clients names no connected_clients")


def configured(c, name, wanted):
    """CONFIG SET; the old value."""
    old = c.ask("CONFIG", "GET", name)[1]
    expect_equal(c.ask("CONFIG", "SET", name, wanted), b"OK", f"CONFIG SET {name} {wanted}")
    return old


def growth(tern, before, limit, what):
    grown = tern.resident - before
    expect(grown <= limit, f"{what}: resident memory grew by {grown / MiB:.1f} MiB, at most {limit / MiB:.0f} are allowed")


def alive(tern):
    with tern.shard() as c:
        expect_equal(c.ask("PING"), b"PONG", "PING")


@rig.test
def clients_above_maxclients_are_refused(options):
    with Tern(options) as tern, tern.shard() as first:
        configured(first, "maxclients", 20)
        inside, refused = [first], []
        for _ in range(30):
            c = tern.shard()
            c.send(request("PING"))
            try:
                answer = c.reply()
            except Broken:
                answer = b""
            (inside if answer == b"+PONG\r\n" else refused).append(c)
            if answer != b"+PONG\r\n":
                expect(answer in (*REFUSALS, b""), f"a refused client was told {answer!r}")
                refused[-1].until_end()
        if not options.stand_in:  # redis-server counts its bus connections too.
            expect_equal(len(inside), 20, "clients served with maxclients 20")
        for c in inside[10:]:
            c.close()
        eventually(lambda: connected(first) <= 10, what="the end of closed clients")
        with tern.shard() as again:
            expect_equal(again.ask("PING"), b"PONG", "PING after others left")


@rig.test
def a_refused_client_is_told_why(options):
    with Tern(options) as tern, tern.shard() as first:
        configured(first, "maxclients", 1)
        with tern.shard() as c:
            said = c.until_end()
            expect(said in REFUSALS, f"a refused client was told {said!r}")


@rig.test
def idle_clients_are_closed_after_timeout(options):
    with Tern(options) as tern, tern.shard() as active, tern.shard() as idle:
        expect_equal(idle.ask("PING"), b"PONG", "PING")
        configured(active, "timeout", 1)
        began = time.monotonic()

        def gone():
            active.ask("PING")
            idle.socket.settimeout(0.1)
            try:
                return idle.socket.recv(1) == b""
            except TimeoutError:
                return False

        eventually(gone, 6, "the end of an idle client")
        expect(time.monotonic() - began > 0.8, "the idle client was closed before its time")
        configured(active, "timeout", 0)


@rig.test(tern_only=True)
def a_reader_that_does_not_read_bounds_memory(options):
    """Requests for 400 MiB of replies from a client that reads nothing: the server must stop, and go on later where it stopped. (redis-server keeps it all.)"""
    with Tern(options) as tern, tern.shard() as control:
        big = [bytes([65 + i]) * MiB for i in range(8)]
        for i, v in enumerate(big):
            control.ask("SET", f"big{i}", v)
        before = tern.resident
        with tern.shard(patience=30) as slow:
            slow.send(b"".join(request("GET", f"big{i % 8}") + request("ECHO", i) for i in range(400)))
            most, end = 0, time.monotonic() + 1.5
            while time.monotonic() < end:  # Other clients are served meanwhile, and memory stays.
                expect_equal(control.ask("PING"), b"PONG", "PING beside a slow reader")
                most = max(most, tern.resident - before)
            expect(most < 48 * MiB, f"a client that does not read cost {most / MiB:.0f} MiB")
            for i in range(400):
                reply, echo = slow.replies(2)
                expect(reply == b"$%d\r\n%b\r\n" % (MiB, big[i % 8]), f"reply {i} is not big{i % 8}")
                expect_equal(echo, b"$%d\r\n%d\r\n" % (len(str(i)), i), "its echo")
        growth(tern, before, 48 * MiB, "afterwards")


@rig.test(tern_only=True)
def many_slow_readers_and_a_reset(options):
    """Twenty of them, ended by a reset: what they held is given back."""
    with Tern(options) as tern, tern.shard() as control:
        control.ask("SET", "big", b"x" * MiB)
        before, slow = tern.resident, []
        for _ in range(20):
            c = tern.shard()
            c.send(request("GET", "big") * 100)
            slow.append(c)
        for _ in range(100):
            control.ask("PING")
        growth(tern, before, 160 * MiB, "twenty clients that do not read")
        for c in slow:
            c.reset()
        eventually(lambda: connected(control) == 1, what="the end of reset clients")
        alive(tern)


@rig.test
def replies_come_in_order_under_a_deep_pipeline(options):
    with Tern(options) as tern, tern.shard(patience=60) as c:
        count = 200_000
        replies = c.exchange([request("INCR", "n") * count], count)
        expect_equal(len(replies), count, "replies")
        for i, reply in enumerate(replies):
            expect(reply == b":%d\r\n" % (i + 1), f"reply {i} is {reply!r}")


@rig.test
def different_replies_keep_their_order(options):
    """Small, large, empty and error replies mixed, in RESP2 and RESP3."""
    for protocol in (2, 3):
        with Tern(options) as tern, tern.shard(protocol=protocol, patience=30) as c:
            r, sent, wanted = random.Random(options.seed), [], []
            null = b"_\r\n" if protocol == 3 else b"$-1\r\n"
            sizes = [0, 1, 44, 100, 16383, 16384, 32768, 100_000]
            for size in sizes:
                c.ask("SET", f"v{size}", b"v" * size)
            for i in range(4000):
                size = r.choice(sizes)
                step = r.choice(
                    [
                        (request("GET", f"v{size}"), b"$%d\r\n%b\r\n" % (size, b"v" * size)),
                        (request("GET", "absent"), null),
                        (request("ECHO", i), b"$%d\r\n%d\r\n" % (len(str(i)), i)),
                        (request("STRLEN", f"v{size}"), b":%d\r\n" % size),
                        (request("GET"), b"-ERR wrong number of arguments for 'get' command\r\n"),
                    ]
                )
                sent.append(step[0])
                wanted.append(step[1])
            found = c.exchange([b"".join(sent)], len(wanted))
            for i, (a, b) in enumerate(zip(found, wanted)):
                expect_equal(a, b, f"reply {i} (seed {options.seed})")
            expect_equal(len(found), len(wanted), "replies")


@rig.test
def ten_thousand_commands_in_odd_cuts(options):
    r = random.Random(options.seed)
    stream = [request(*r.choice([("SET", "k", "v" * r.randint(0, 200)), ("ECHO", i), ("INCR", "n"), ("PING",)])) for i in range(10_000)]
    data = b"".join(stream)
    with Tern(options) as tern:
        wanted = None
        for size in (len(data), 1, 2, 3, 7, 13, 61, 4095, 16383, 16385, 65537):
            part = data if size > 3 else b"".join(stream[: 1000 * size])
            with tern.shard(patience=30) as c:
                c.ask("FLUSHALL")
                count = 10_000 if size > 3 else 1000 * size
                found = c.exchange([part[i : i + size] for i in range(0, len(part), size)], count)
                wanted = wanted or found
                expect(found == wanted[:count], f"in pieces of {size} bytes the replies are others (seed {options.seed})")


@rig.test
def a_claimed_bulk_allocates_nothing(options):
    """Forty clients claim 512 MiB each and send a little of it."""
    with Tern(options) as tern, tern.shard() as control:
        before, claims = tern.resident, []
        for i in range(40):
            c = tern.shard()
            c.send(b"*3\r\n$3\r\nSET\r\n$5\r\nhuge%d\r\n$536870912\r\n" % (i % 10) + b"x" * (i * 1000))
            claims.append(c)
        for _ in range(200):
            control.ask("PING")
        growth(tern, before, 16 * MiB, "forty claims of 512 MiB")
        for c in claims:
            c.close()
        eventually(lambda: connected(control) == 1, what="the end of closed clients")
        expect_equal(control.ask("DBSIZE"), 0, "keys after unfinished commands")


@rig.test(seconds=180)
def a_hundred_mebibytes_there_and_back(options):
    with Tern(options) as tern, tern.shard(patience=60) as c:
        data = random.Random(options.seed).randbytes(100 * MiB)
        digest = hashlib.sha256(data).digest()
        before = tern.resident
        for name in ("one", "two", "one"):
            expect_equal(c.ask("SET", name, data), b"OK", "SET of 100 MiB")
        expect_equal(c.ask("STRLEN", "one"), len(data), "STRLEN")
        for name in ("one", "two"):
            expect(hashlib.sha256(c.ask("GET", name)).digest() == digest, f"{name} came back changed")
        if not options.stand_in:
            growth(tern, before, 480 * MiB, "two values of 100 MiB")
            expect_equal(c.ask("FLUSHALL"), b"OK", "FLUSHALL")
            eventually(lambda: tern.resident - before < 150 * MiB, what="the memory's return after FLUSHALL")


@rig.test
def values_around_the_large_bulk_sizes(options):
    """16 KiB (values that lie apart) and 32 KiB (bulks received in place), each a byte less and more, sent whole and in two parts."""
    with Tern(options) as tern, tern.shard(patience=30) as c, tern.shard() as other:
        for size in [s + d for s in (16384, 32768, 65536, 1 << 20) for d in (-2, -1, 0, 1, 2)]:
            data = random.Random(size).randbytes(size)
            whole = request("SET", "k", data) + request("GET", "k") + request("STRLEN", "k")
            for cut in (None, 10, 40, size // 2, size, len(request("SET", "k", data)) - 1, len(request("SET", "k", data)) + 3):
                c.send(whole[:cut])
                if cut:
                    other.ask("PING")
                    c.send(whole[cut:])
                expect_equal(c.replies(3), [b"+OK\r\n", b"$%d\r\n%b\r\n" % (size, data), b":%d\r\n" % size], f"replies for {size} bytes, cut at {cut}")


@rig.test
def bulks_above_proto_max_bulk_len_are_refused(options):
    with Tern(options) as tern, tern.shard(patience=30) as control:
        configured(control, "proto-max-bulk-len", MiB)
        for size, good in ((MiB - 1, True), (MiB, True), (MiB + 1, False)):
            with tern.shard(patience=30) as c:
                c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
                if good:
                    c.send(b"x" * size + b"\r\n")
                    expect_equal(c.reply(), b"+OK\r\n", f"SET of {size} bytes")
                else:
                    expect_equal(c.until_end(), b"-ERR Protocol error: invalid bulk length\r\n", f"SET of {size} bytes")
        expect_equal(control.ask("STRLEN", "k"), MiB, "STRLEN")
        try:
            control.ask("APPEND", "k", "x")
            raise AssertionError("APPEND made a string longer than proto-max-bulk-len")
        except ErrorReply as error:
            expect_equal(str(error), "ERR string exceeds maximum allowed size (proto-max-bulk-len)", "APPEND beyond the limit")


@rig.test
def requests_above_the_query_buffer_limit_end_the_connection(options):
    with Tern(options) as tern, tern.shard(patience=30) as control:
        configured(control, "client-query-buffer-limit", MiB)
        one_bulk = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n" + b"x" * 2_900_000
        many = b"*1000\r\n$4\r\nMGET\r\n" + b"".join(b"$20000\r\n%b\r\n" % (b"k" * 20000) for _ in range(300))
        for unfinished in [one_bulk] + [many] * (not options.stand_in):  # redis-server does not count what it has split into arguments.
            with tern.shard(patience=5) as c:
                try:
                    c.send(unfinished)
                except (ConnectionResetError, BrokenPipeError):
                    continue
                said = c.until_end()
                expect(said == b"" or said.startswith(b"-"), f"above the limit the client was told {said!r}")
        alive(tern)
        with tern.shard(patience=30) as c:  # A request within the limit, in many small arguments.
            c.send(request("MGET", *["{t}" + "k" * 990] * 1000))
            expect_equal(len(value(c.reply())), 1000, "items")


@rig.test
def unfinished_lines_are_bounded(options):
    """An inline command, a count and a bulk's length without an end: told so after 64 KiB, then closed."""
    with Tern(options) as tern:
        for start, wanted in ((b"", b"too big inline request"), (b"*", b"too big mbulk count string"), (b"*1\r\n$", b"too big bulk count string")):
            with tern.shard() as c:
                c.send(start + b"1" * 65636)
                expect_equal(c.until_end(), b"-ERR Protocol error: " + wanted + b"\r\n", "what the client is told")
        with tern.shard() as c:
            c.send(b"ECHO " + b"x" * 60000 + b"\r\n")
            expect_equal(len(value(c.reply())), 60000, "an inline command of 60 000 bytes")


@rig.test
def inline_commands(options):
    with Tern(options) as tern, tern.shard() as c:
        c.send(b'\r\n\r\nset k "a b\\x41"\r\nget k\n' + request("STRLEN", "k") + b"  PING  \r\necho ''\r\n")
        expect_equal(c.replies(5), [b"+OK\r\n", b"$4\r\na bA\r\n", b":4\r\n", b"+PONG\r\n", b"$0\r\n\r\n"], "replies")


@rig.test
def a_half_closed_client_gets_all_its_replies(options):
    with Tern(options) as tern:
        # redis-server drops what the socket did not take at once; Tern, whose readers may be slow, must not.
        for count, size in [(1, 10), (1000, 10)] + [(50, 100_000)] * (not options.stand_in):
            with tern.shard(patience=30) as c:
                c.ask("SET", "k", b"v" * size)
                c.send(request("GET", "k") * count + b"*2\r\n$3\r\nGE")  # The last one is never finished.
                c.half_close()
                expect_equal(c.until_end(), b"$%d\r\n%b\r\n" % (size, b"v" * size) * count, f"{count} replies after FIN")


@rig.test
def nothing_after_quit_is_executed(options):
    with Tern(options) as tern, tern.shard() as c:
        c.send(request("SET", "k", 1) + request("QUIT") + request("SET", "k", 2) + request("PING"))
        expect_equal(c.until_end(), b"+OK\r\n+OK\r\n", "replies around QUIT")
        with tern.shard() as other:
            expect_equal(other.ask("GET", "k"), b"1", "the value")


@rig.test
def a_protocol_error_is_the_last_reply(options):
    with Tern(options) as tern, tern.shard() as c:
        c.send(request("SET", "k", 1) + b"*1\r\n!\r\n" + request("SET", "k", 2))
        expect_equal(c.until_end(), b"+OK\r\n-ERR Protocol error: expected '$', got '!'\r\n", "replies around a protocol error")
        with tern.shard() as other:
            expect_equal(other.ask("GET", "k"), b"1", "the value")


@rig.test
def resets_in_the_middle(options):
    """In the middle of a request, of a big bulk, of a big reply, of a pipeline; nothing stays behind."""
    with Tern(options) as tern, tern.shard(patience=30) as control:
        control.ask("SET", "big", b"x" * (4 * MiB))
        for _ in range(20):
            control.ask("PING")
        before = tern.resident
        for i in range(200):
            c = tern.shard()
            data = [b"*2\r\n$3\r\nGE", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10000000\r\n" + b"x" * 300_000, request("GET", "big") * 5, request("INCR", "n") * 500][i % 4]
            c.send(data)
            if i % 8 < 4:
                control.ask("PING")
            c.reset()
        eventually(lambda: connected(control) == 1, what="the end of reset clients")
        expect_equal(control.ask("EXISTS", "k"), 0, "an unfinished SET's key")
        growth(tern, before, 64 * MiB, "after 200 resets")


@rig.test
def many_connections_come_and_go(options):
    with Tern(options) as tern, tern.shard() as control:
        control.ask("PING")  # Only then is its own descriptor surely there to be counted.
        files = tern.descriptors
        for _ in range(20):
            many = [tern.shard() for _ in range(200)]
            for c in many:
                c.send(request("INCR", "n"))
            for c in many:
                c.reply()
            for i, c in enumerate(many):
                c.reset() if i % 2 else c.close()
        eventually(lambda: connected(control) == 1, what="the end of closed clients")
        expect_equal(control.ask("GET", "n"), b"4000", "what 4000 clients counted")
        if not options.stand_in:
            eventually(lambda: tern.descriptors <= files, what="the return of their descriptors")


@rig.test
def connections_that_send_nothing(options):
    """A thousand that only connect: they cost little and disturb nobody."""
    with Tern(options) as tern, tern.shard() as control:
        silent = [tern.shard() for _ in range(500)]
        expect_equal(control.ask("PING"), b"PONG", "PING")
        eventually(lambda: connected(control) == 501, what="the count of silent clients")
        for c in silent:
            c.close()
        eventually(lambda: connected(control) == 1, what="their end")


@rig.test
def one_client_does_not_starve_others(options):
    """While one pipelines without end, another's PING is answered soon."""
    with Tern(options) as tern, tern.shard() as busy, tern.shard() as other:
        busy.socket.setblocking(False)
        data, worst = request("INCR", "n") * 1000, 0.0
        for _ in range(300):
            try:
                busy.socket.send(data)
            except BlockingIOError:
                pass
            try:
                busy.socket.recv(1 << 20)
            except BlockingIOError:
                pass
            began = time.monotonic()
            other.ask("PING")
            worst = max(worst, time.monotonic() - began)
        expect(worst < 1.0, f"a PING beside a busy client took {worst:.2f} s")


@rig.test(tern_only=True)
def figures_of_shards_add_up(options):
    """What INFO tells at the ports of the shards is what was sent to each, and adds up to what the configuration endpoint tells of the process."""
    names = ["total_commands_processed", "total_connections_received", "keyspace_hits", "keyspace_misses", "total_net_input_bytes", "total_error_replies", "total_reads_processed"]

    def figures(connection, *sections):
        text = connection.ask("INFO", *sections).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    with Tern(options, 5, "--workers", 2) as tern:
        shards = [tern.shard(n) for n in range(1, 6)]
        endpoint = tern.shard(0)
        for n, c in enumerate(shards):
            for _ in range(10 * (n + 1)):
                c.ask("PING")
            for _ in range(n):
                c.exchange([request("GET")], 1)
        told = [figures(c, "stats", "commandstats", "errorstats") for c in shards]
        for n, one in enumerate(told):
            expect_equal(int(one["total_commands_processed"]), 10 * (n + 1), f"commands of shard {n + 1}")
            expect_equal(int(one["total_error_replies"]), n, f"errors of shard {n + 1}")
            expect(one["cmdstat_ping"].startswith(f"calls={10 * (n + 1)},"), f"PINGs of shard {n + 1}: {one['cmdstat_ping']}")
            expect_equal(one.get("errorstat_ERR"), f"count={n}" if n else None, f"errors of shard {n + 1} by code")

        def adds_up():
            # INFO counts itself: each shard's first one is counted when the endpoint tells of it.
            own = figures(endpoint, "stats", "commandstats")
            parts = {name: sum(int(one[name]) for one in told) for name in names}
            difference = {name: int(own[name]) - parts[name] for name in names}
            # Beside them: the 5 INFOs of the shards, and what the endpoint's own client did.
            return difference["total_connections_received"] == 1 and difference["total_error_replies"] == 0 and own["cmdstat_ping"].startswith("calls=150,") and difference["total_commands_processed"] >= 5

        eventually(adds_up, 10, "the sum at the configuration endpoint")
        expect_equal(sum(int(figures(c, "clients")["connected_clients"]) for c in [*shards]) + 1, int(figures(endpoint, "clients")["connected_clients"]), "connections")
        for c in [*shards, endpoint]:
            c.close()


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
