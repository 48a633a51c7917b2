#!/usr/bin/env python3
"""The fuzz rig: garbage, near-requests and hostile ends over sockets. The server must stay alive, answer others, and hold little.

A *burst* is one connection's life, drawn from the run's seed and the burst's number: what it sends, in which
pieces, whether it reads, how it ends. After every fifty bursts another client is answered. Where the server has
died the numbers of the last bursts are printed: --seed S --from N --bursts 50 plays them again.
"""

import random
import time

import rig
from commands import ALL_KEYS, BAD_EXPIRY, INTEGERS, PATTERNS, RAW, VALUES
from resp import Broken, eventually, request
from rig import Tern, expect, expect_equal

MiB = 1 << 20

# Words for near-commands. What ends or reconfigures a server on purpose is left out: SHUTDOWN, DEBUG, CONFIG SET.
WORDS = b"""GET SET MGET MSET INCR DECR INCRBY DECRBY APPEND STRLEN DEL UNLINK EXISTS TYPE EXPIRE PEXPIRE EXPIREAT
TTL PTTL PERSIST SCAN KEYS DBSIZE RANDOMKEY FLUSHALL FLUSHDB OBJECT ENCODING PING ECHO HELLO SELECT QUIT RESET CLIENT ID
GETNAME SETNAME INFO LIST KILL COMMAND COUNT DOCS GETKEYS TIME CLUSTER KEYSLOT COUNTKEYSINSLOT GETKEYSINSLOT MYID SLOTS
SHARDS NODES LINKS SETSLOT IMPORTING MIGRATING STABLE NODE ASKING READONLY READWRITE AUTH default NX XX GT LT EX PX EXAT
PXAT KEEPTTL MATCH TYPE string WAIT MULTI EXEC DISCARD WATCH SUBSCRIBE PUBLISH EVAL DUMP RESTORE COPY RENAME SORT LPUSH
HSET SADD ZADD XADD GETRANGE SETRANGE SETEX GETEX GETDEL MEMORY USAGE LATENCY SLOWLOG MIGRATE MIGRATESLOTS SLOT-STATS HELP""".split()


def some_request(r):
    """A request whose words are known, whose sense is chance."""
    words = [r.choice(WORDS)]
    for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4, 8])):
        words.append(r.choice(r.choice([WORDS, ALL_KEYS, VALUES, INTEGERS, PATTERNS, BAD_EXPIRY])))
    return request(*words)


def mutated(r, data):
    """A few bytes changed, lost, doubled, or put in."""
    data = bytearray(data)
    for _ in range(r.randint(1, 6)):
        at, kind = r.randrange(len(data) + 1), r.randrange(6)
        if kind == 0 and at < len(data):
            data[at] = r.getrandbits(8)
        elif kind == 1:
            del data[at : at + r.randint(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + r.randint(1, 50)]
        elif kind == 3:
            data[at:at] = r.choice([b"\r\n", b"*", b"$", b"$-1\r\n", b"*0\r\n", b"*1000000\r\n", b"$536870912\r\n", b"\0" * 5, b'"', b"'", b"-", b"9" * 30])
        elif kind == 4 and at < len(data):
            data[at] ^= 1 << r.randrange(8)
        else:
            del data[at:]
    return bytes(data)


def payload(r):
    kind = r.random()
    if kind < 0.15:
        return r.randbytes(r.choice([1, 10, 100, 5000, 70_000]))
    if kind < 0.25:
        return r.choice(RAW)
    if kind < 0.3:
        return bytes(r.choices(b"*$:+-_,#%~>|=!()0123456789\r\n \"'", k=r.randint(1, 300)))
    if kind < 0.35:
        return b"*%d\r\n" % r.choice([1, 2, 1000, 1048576]) + b"$%d\r\n" % r.choice([0, 1, 100000, 536870912]) + r.randbytes(r.choice([0, 10, 100_000]))
    requests = b"".join(some_request(r) for _ in range(r.choice([1, 1, 5, 20, 100])))
    return requests if kind < 0.55 else mutated(r, requests)


def burst(tern, r):
    """One connection, from its first byte to its end."""
    c = tern.shard(r.randint(0, 2), patience=5)
    try:
        data = payload(r)
        if r.random() < 0.5:
            size = r.choice([1, 3, 10, 100, 1000, 16384]) if len(data) < 3000 else r.choice([1000, 16384])
            pieces = [data[i : i + size] for i in range(0, len(data), size)]
        else:
            pieces = [data]
        reads = r.random() < 0.7
        for piece in pieces:
            c.socket.settimeout(0.5)  # A server that waits for us to read may stop reading.
            c.send(piece)
            if reads and r.random() < 0.2:
                c.socket.settimeout(0.001)
                c.socket.recv(1 << 16)
    except OSError:
        pass
    ending = r.random()
    try:
        if ending < 0.3:
            c.reset()
        elif ending < 0.6 and reads:
            c.half_close()
            c.socket.settimeout(5)
            c.until_end()
    except OSError:
        pass
    finally:
        c.close()


@rig.test(seconds=3000)
def a_server_under_fire(options):
    with Tern(options, 2) as tern:
        before, worst, number, end = tern.resident, 0, options.first, time.monotonic() + options.seconds
        while number < options.first + options.bursts if options.bursts else time.monotonic() < end:
            try:
                burst(tern, random.Random(f"{options.seed} {number}"))
                number += 1
                if number % 50 == 0:
                    with tern.shard(1 + number // 50 % 2) as other:
                        expect_equal(other.ask("PING"), b"PONG", "PING of a new client")
                    worst = max(worst, tern.resident - before)
                    expect(worst < 256 * MiB, f"resident memory grew by {worst / MiB:.0f} MiB")
            except (Broken, OSError, AssertionError) as error:
                error.add_note(f"at burst {number}: repeat with --seed {options.seed} --from {max(0, number - 50)} --bursts 51")
                raise
        print(f"        {number - options.first} bursts, at most {worst / MiB:.0f} MiB more", flush=True)

        def alone():
            with tern.shard(1) as c:
                line = next(line for line in c.ask("INFO", "clients").split(b"\r\n") if line.startswith(b"connected_clients:"))
            return int(line[18:]) <= 2

        eventually(alone, what="the end of all others' connections")


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long to fire")
    parser.add_argument("--bursts", type=int, help="how many bursts instead")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first burst's number")
    rig.main(parser)
