#!/usr/bin/env python3
"""The clients rig: real cluster clients against four shards, what a topology must look like to them, and how the
server starts, refuses to start, ends, and comes back with the same map.

redis-py, valkey-glide, redis-cli and redis-benchmark are used as their users do; raw connections where bytes matter.
"""

import itertools
import re
import signal
import subprocess
import tempfile
import time

import glide_sync
import redis
import redis.cluster

import rig
from resp import ErrorReply, eventually, request
from rig import Tern, expect, expect_equal

SHARDS = 4


def run(*command, seconds=60, stdin=None):
    """A program's exit code and what it said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=seconds, input=stdin, text=True)
    return done.returncode, done.stdout + done.stderr


def redirect(c, *arguments):
    """The MOVED that a command is answered with: (slot, port)."""
    try:
        raise AssertionError(f"{arguments} was answered {c.ask(*arguments)!r} instead of MOVED")
    except ErrorReply as error:
        word, slot, address = str(error).split(" ")
        expect_equal(word, "MOVED", "the error of a wrong shard")
        return int(slot), int(address.rsplit(":", 1)[1])


def ranges(c):
    """CLUSTER SLOTS as (first, last, port, id)."""
    return [(first, last, node[1], node[2]) for first, last, node, *_ in c.ask("CLUSTER", "SLOTS")]


# Real clients


def use_redis_py(tern, protocol, start):
    client = redis.cluster.RedisCluster("127.0.0.1", start, protocol=protocol)
    try:
        for i in range(300):
            expect_equal(client.set(f"key:{i}", f"value {i}"), True, "SET")
        for i in range(300):
            expect_equal(client.get(f"key:{i}"), b"value %d" % i, "GET")
        expect_equal(client.mset({f"{{user:1}}{i}": i for i in range(20)}), True, "MSET")
        expect_equal(client.mget([f"{{user:1}}{i}" for i in range(20)]), [b"%d" % i for i in range(20)], "MGET")
        client.mset_nonatomic({f"many:{i}": i for i in range(100)})
        expect_equal(client.mget_nonatomic([f"many:{i}" for i in range(100)]), [b"%d" % i for i in range(100)], "MGET of many slots")
        pipeline = client.pipeline()
        for i in range(1000):
            pipeline.incr(f"count:{i % 100}")
        expect_equal(sorted(pipeline.execute()), sorted(list(range(1, 11)) * 100), "a pipeline's replies")
        expect_equal(client.set("short", "lived", px=1_000_000, nx=True), True, "SET PX NX")
        expect(999_000 < client.pttl("short") <= 1_000_000, "PTTL")
        expect_equal(client.delete("short"), 1, "DEL")
        expect_equal(client.get("short"), None, "GET of a deleted key")
        stored = sum(client.dbsize(target_nodes=[node]) for node in client.get_primaries())
        expect_equal(len(set(client.scan_iter(count=17))), stored, "keys that SCAN found on all shards")
        expect_equal(stored, 300 + 20 + 100 + 100, "keys of all shards")
        nodes = {node.port for node in client.get_primaries() if client.cluster_info(node)}
        if tern:
            expect_equal(nodes, {tern.port + i for i in range(1, SHARDS + 1)}, "the primaries it knows")
        client.flushall(target_nodes=redis.cluster.RedisCluster.PRIMARIES)
    finally:
        client.close()


@rig.test
def redis_py_in_both_protocols(options):
    with Tern(options, SHARDS) as tern:
        for protocol in (2, 3):
            use_redis_py(None if options.stand_in else tern, protocol, tern.port + 2)


@rig.test
def redis_py_by_the_configuration_endpoint(options):
    with Tern(options, SHARDS) as tern:
        use_redis_py(None if options.stand_in else tern, 2, tern.port)


@rig.test
def valkey_glide(options):
    with Tern(options, SHARDS) as tern:
        for protocol, port in itertools.product((glide_sync.ProtocolVersion.RESP2, glide_sync.ProtocolVersion.RESP3), (tern.port + 1, tern.port)):
            client = glide_sync.GlideClusterClient.create(glide_sync.GlideClusterClientConfiguration([glide_sync.NodeAddress("127.0.0.1", port)], request_timeout=5000, protocol=protocol))
            try:
                for i in range(200):
                    expect_equal(client.set(f"glide:{i}", f"value {i}"), "OK", "SET")
                for i in range(200):
                    expect_equal(client.get(f"glide:{i}"), b"value %d" % i, "GET")
                expect_equal(client.mset({f"glide:{i}": "new" for i in range(100)}), "OK", "MSET of many slots")
                expect_equal(client.mget([f"glide:{i}" for i in range(100)]), [b"new"] * 100, "MGET of many slots")
                expect_equal(client.incrby("glide:count", 5) - client.incrby("glide:count", -5), 5, "INCRBY")
                expect_equal(client.delete([f"glide:{i}" for i in range(200)]), 200, "DEL of many slots")
            finally:
                client.close()


@rig.test
def redis_cli_follows_redirects(options):
    with Tern(options, SHARDS) as tern:
        commands = "".join(f"set cli:{i} {i}\n" for i in range(50)) + "".join(f"get cli:{i}\n" for i in range(50))
        for port in (tern.port + 1, tern.port):
            code, said = run("redis-cli", "-c", "-p", port, stdin=commands)
            lines = [line for line in said.split("\n") if line and not line.startswith("->")]
            expect_equal((code, lines), (0, ["OK"] * 50 + [str(i) for i in range(50)]), "redis-cli -c")


@rig.test
def redis_cli_checks_the_cluster(options):
    with Tern(options, SHARDS) as tern:
        for number in range(1, SHARDS + 1):
            code, said = run("redis-cli", "--cluster", "check", f"127.0.0.1:{tern.port + number}")
            expect(code == 0 and "[OK] All 16384 slots covered." in said and "[OK] All nodes agree about slots configuration." in said, f"redis-cli --cluster check at shard {number}:\n{said}")
        code, said = run("redis-cli", "--cluster", "info", f"127.0.0.1:{tern.port + 1}")
        expect(code == 0 and "[OK] 0 keys in" in said, f"redis-cli --cluster info:\n{said}")
        code, said = run("redis-cli", "--cluster", "call", f"127.0.0.1:{tern.port + 1}", "set", "{x}", "1")
        expect(code == 0 and said.count("MOVED") >= SHARDS - 1, f"redis-cli --cluster call:\n{said}")


@rig.test
def redis_benchmark_runs_to_its_end(options):
    with Tern(options, SHARDS) as tern:
        for more in ([], ["-3"], ["-P", "16"]):
            code, said = run("redis-benchmark", "-p", tern.port + 1, "--cluster", "-q", "-n", 20000, "-r", 10000, "-t", "set,get,incr,mset", *more)
            lines = said.replace("\r", "\n").split("\n")
            expect(code == 0 and sum("requests per second" in line for line in lines) == 4, f"redis-benchmark --cluster {more}:\n{said[-2000:]}")
            expect(not any(re.search("error|fail", line, re.I) for line in lines), f"redis-benchmark --cluster {more}:\n{said[-2000:]}")


# Topology


@rig.test
def wrong_shards_name_the_right_port(options):
    with Tern(options, SHARDS) as tern:
        with tern.shard(1) as c:
            owner = {slot: port for first, last, port, _ in ranges(c) for slot in range(first, last + 1)}
        expect_equal(sorted(owner), list(range(16384)), "the slots that CLUSTER SLOTS names")
        shards = {tern.port + i: tern.shard(i) for i in range(1, SHARDS + 1)}
        for i in range(400):
            key = f"moved:{i}"
            slot = shards[tern.port + 1].ask("CLUSTER", "KEYSLOT", key)
            for port, c in shards.items():
                if port == owner[slot]:
                    expect_equal(c.ask("SET", key, i), b"OK", "SET at the owner")
                else:
                    expect_equal(redirect(c, "SET", key, i), (slot, owner[slot]), f"MOVED for {key}")
                    expect_equal(redirect(c, "GET", key), (slot, owner[slot]), f"MOVED for {key}")
        expect_equal(sum(c.ask("DBSIZE") for c in shards.values()), 400, "keys of all shards")


@rig.test
def keys_of_two_slots_are_refused(options):
    with Tern(options, SHARDS) as tern:
        for number in range(1, SHARDS + 1):
            with tern.shard(number) as c:
                for command in (["MGET", "a", "b"], ["MSET", "a", 1, "b", 2], ["DEL", "a", "b", "c"], ["EXISTS", "a", "b"], ["UNLINK", "b", "a"]):
                    try:
                        raise AssertionError(f"{command} was answered {c.ask(*command)!r}")
                    except ErrorReply as error:
                        expect_equal(str(error), "CROSSSLOT Keys in request don't hash to the same slot", f"{command} at shard {number}")


@rig.test
def a_tag_is_what_hashes(options):
    with Tern(options, SHARDS) as tern, tern.shard() as c:
        slots = {key: c.ask("CLUSTER", "KEYSLOT", key) for key in ("", "123456789", "foo{bar}baz", "bar", "foo{}bar", "foo{{bar}}zap", "{bar", "foo{bar}{zap}")}
        expect_equal(slots[""], 0, "the slot of the empty key")
        expect_equal(slots["123456789"], 0x31C3, "the slot of 123456789")
        expect(slots["foo{bar}baz"] == slots["bar"] == slots["foo{bar}{zap}"] != slots["{bar"], "tags")
        expect_equal(slots["foo{{bar}}zap"], c.ask("CLUSTER", "KEYSLOT", "{bar"), "the slot of foo{{bar}}zap")


@rig.test(tern_only=True)
def every_shard_says_the_same(options):
    """CLUSTER SLOTS, SHARDS and NODES are byte-equal at every shard, but for `myself`; in both protocols."""
    with Tern(options, SHARDS) as tern:
        for protocol in (2, 3):
            for word in ("SLOTS", "SHARDS", "NODES"):
                said = []
                for number in range(0, SHARDS + 1):
                    with tern.shard(number, protocol=protocol) as c:
                        c.send(request("CLUSTER", word))
                        reply = c.reply()
                    if word == "NODES":
                        lines = [line.split(b" ") for line in reply.split(b"\n")]
                        mine = [line[1] for line in lines if len(line) > 2 and b"myself" in line[2]]
                        expect(len(mine) == 1 and mine[0].startswith(b"127.0.0.1:%d@" % (tern.port + max(1, number))), f"endpoint {number} calls itself {mine}")
                        expect_equal(sum(b"myself" in line for line in reply.split(b"\n")), 1, "lines with myself")
                        reply = re.sub(rb"^[$=]\d+\r\n", b"", reply).replace(b"myself,", b"")
                    said.append(reply)
                for number, reply in enumerate(said):
                    expect_equal(reply, said[1], f"CLUSTER {word} in RESP{protocol} at endpoint {number}")


@rig.test(tern_only=True)
def topology_is_what_clients_can_read(options):
    """What DESIGN §10 collects from clients' parsers."""
    with Tern(options, SHARDS) as tern, tern.shard(2) as c:
        for first, last, port, node in ranges(c):
            expect(first <= last and tern.port < port <= tern.port + SHARDS, f"range {first}-{last} at {port}")
            expect(re.fullmatch(rb"[0-9a-f]{40}", node), f"node id {node!r}")
        lines = c.ask("CLUSTER", "NODES").decode().splitlines()
        expect_equal(len(lines), SHARDS, "lines of CLUSTER NODES")
        for line in lines:
            fields = line.split(" ")
            address = re.fullmatch(r"127\.0\.0\.1:(\d+)@(\d+)(,[\w.-]*)?", fields[1])
            expect(address and 0 < int(address[2]) <= 65535, f"address in {line!r}")
            expect(fields[2] in ("master", "myself,master") and fields[3] == "-" and fields[7] == "connected", f"flags in {line!r}")
        for shard in c.ask("CLUSTER", "SHARDS"):
            about = dict(zip(shard[::2], shard[1::2]))
            node = dict(zip(about[b"nodes"][0][::2], about[b"nodes"][0][1::2]))
            expect_equal((node[b"role"], node[b"health"], node[b"endpoint"], node[b"ip"]), (b"master", b"online", b"127.0.0.1", b"127.0.0.1"), "a node of CLUSTER SHARDS")
        expect_equal(c.ask("CLUSTER", "MYID"), next(line.split(" ")[0] for line in lines if "myself" in line).encode(), "CLUSTER MYID")
        info = dict(line.split(":", 1) for line in c.ask("CLUSTER", "INFO").decode().split("\r\n") if line)
        for name, wanted in (("cluster_state", "ok"), ("cluster_slots_assigned", "16384"), ("cluster_slots_ok", "16384"), ("cluster_known_nodes", str(SHARDS)), ("cluster_size", str(SHARDS))):
            expect_equal(info.get(name), wanted, name)


@rig.test
def the_configuration_endpoint(options):
    """It answers PING and INFO, knows the map, is in no map, and serves keys as one server."""
    with Tern(options, SHARDS) as tern, tern.shard(0) as c:
        expect_equal(c.ask("PING"), b"PONG", "PING")
        expect(b"cluster_enabled:0" in c.ask("INFO"), "INFO at the endpoint says that this is one server")
        owner = {slot: port for first, last, port, _ in ranges(c) for slot in range(first, last + 1)}
        expect(tern.port not in owner.values(), "the endpoint is in its own map")
        for i in range(100):
            expect_equal(c.ask("SET", f"key:{i}", i), b"OK", "SET at the endpoint")
        expect_equal(c.ask("MGET", *(f"key:{i}" for i in range(100))), [b"%d" % i for i in range(100)], "MGET of many slots")
        expect_equal(c.ask("DBSIZE"), 100, "DBSIZE")
        expect_equal(c.ask("CONFIG", "SET", "router-presents-as", "cluster"), b"OK", "CONFIG SET")
        expect(b"cluster_enabled:1" in c.ask("INFO"), "INFO of an endpoint that presents itself as a cluster")


@rig.test(tern_only=True)
def the_back_end_is_the_one_asked_for(options):
    with Tern(options, SHARDS) as tern, tern.shard() as c:
        said = "\n".join(line for line in tern.lines if line)
        for number in range(SHARDS + 1):
            expect(str(tern.port + number) in said, f"the endpoint {tern.port + number} is not in what the server says at its start:\n{said}")
        if options.io != "auto":
            expect(options.io in said, f"--io {options.io} is not in what the server says at its start:\n{said}")
            expect(options.io.encode() in c.ask("INFO", "server"), f"{options.io} is not in INFO server")
        expect(b"redis_version:7.2.4" in c.ask("INFO", "server"), "the version in INFO server")


# Start and end


def refused(options, *flags, directory, port, shards=1):
    """Starts a server that must not come up; its exit code and what it said."""
    tern = Tern(options, shards, *flags, directory=directory, port=port, ready=False)
    code = tern.wait()
    return code, "\n".join(line for line in tern.lines if line)


@rig.test(tern_only=True)
def a_restart_keeps_ids_and_map(options):
    with tempfile.TemporaryDirectory(prefix="tern-rig-") as directory:
        port, said = rig.free_ports(SHARDS + 1), []
        for shards in (SHARDS, SHARDS, 2):  # nodes.conf decides over --shards.
            with Tern(options, shards, directory=directory, port=port) as tern, tern.shard() as c:
                said.append((c.ask("CLUSTER", "SLOTS"), sorted(re.sub(rb"myself,|\S+ \S+ \S+ connected", b"", line) for line in c.ask("CLUSTER", "NODES").splitlines())))
        expect_equal(said[1], said[0], "the map after a restart")
        expect_equal(said[2], said[0], "the map after a restart with another --shards")


@rig.test(tern_only=True)
def new_directories_have_new_ids(options):
    with Tern(options, 1) as one, Tern(options, 1) as two, one.shard() as a, two.shard() as b:
        expect(a.ask("CLUSTER", "MYID") != b.ask("CLUSTER", "MYID"), "two clusters have the same node id")


@rig.test(tern_only=True)
def a_directory_has_one_server(options):
    with tempfile.TemporaryDirectory(prefix="tern-rig-") as directory:
        with Tern(options, 1, directory=directory) as tern:
            code, said = refused(options, directory=directory, port=rig.free_ports(2))
            expect_equal(code, 1, "the exit code of a second server in one --dir")
            expect(directory in said and re.search("lock|use|another|other", said), f"a second server in one --dir said {said!r}")
            with tern.shard() as c:
                expect_equal(c.ask("PING"), b"PONG", "PING at the first")
        with Tern(options, 1, directory=directory):  # Free again after its end.
            pass


@rig.test(tern_only=True)
def a_directory_is_free_after_a_crash(options):
    with tempfile.TemporaryDirectory(prefix="tern-rig-") as directory:
        tern = Tern(options, 1, directory=directory)
        tern.kill()
        with Tern(options, 1, directory=directory, port=tern.port) as again, again.shard() as c:
            expect_equal(c.ask("SET", "k", "v"), b"OK", "SET after a crash")


@rig.test(tern_only=True)
def a_port_in_use_is_an_error(options):
    with Tern(options, 2) as tern:
        for port in (tern.port, tern.port - 1):  # Of the endpoint, and of a shard.
            with tempfile.TemporaryDirectory(prefix="tern-rig-") as directory:
                code, said = refused(options, directory=directory, port=port, shards=1)
                expect_equal(code, 1, "the exit code where a port is in use")
                expect(str(tern.port) in said and "use" in said, f"where port {tern.port} is in use the server said {said!r}")
                expect(len(said.splitlines()) < 10, f"the error is long: {said!r}")


@rig.test(tern_only=True)
def wrong_flags_are_errors(options):
    for flags in (["--nosuchflag"], ["--io", "kqueue"], ["--port", "99999"], ["--port", "abc"], ["--shards", "0"], ["--workers", "-1"]):
        code, said = run(options.tern, "serve", *flags)
        expect(code != 0, f"{flags} was accepted")
        expect(any(word in said for word in flags) and len(said.splitlines()) < 15, f"{flags} was answered with {said!r}")
        expect("Fatal" not in said and "Stack dump" not in said, f"{flags} crashed: {said[:500]}")
    code, said = run(options.tern, "serve", "--dir", "/proc/nowhere", "--port", rig.free_ports(2))
    expect(code == 1 and "/proc/nowhere" in said, f"a directory that cannot be made: {code}, {said!r}")


@rig.test(tern_only=True)
def sigterm_ends_it_promptly(options):
    """With idle clients, with one in the middle of a request, and with one that does not read."""
    for number in (signal.SIGTERM, signal.SIGINT):
        tern = Tern(options, SHARDS)
        try:
            clients = [tern.shard(1 + i % SHARDS) for i in range(40)]
            clients[0].send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf")
            with tern.shard() as c:
                slot = next(f"big{i}" for i in itertools.count() if c.ask("CLUSTER", "KEYSLOT", f"big{i}") < 4096)
                c.ask("SET", slot, "x" * 1_000_000)
            clients[4].send(request("GET", slot) * 200)
            began = time.monotonic()
            tern.process.send_signal(number)
            expect_equal(tern.wait(10), 0, f"the exit code after {number.name}")
            expect(time.monotonic() - began < 3, f"{number.name} took {time.monotonic() - began:.1f} s")
            for c in clients[:4]:
                expect_equal(c.until_end(), b"", "what an idle client reads at the end")
        finally:
            tern.kill()


@rig.test
def twelve_shards(options):
    """More shards than workers."""
    with Tern(options, 12) as tern:
        client = redis.cluster.RedisCluster("127.0.0.1", tern.port + 7)
        for i in range(500):
            client.set(f"k{i}", i)
        expect_equal([client.get(f"k{i}") for i in range(500)], [b"%d" % i for i in range(500)], "values")
        client.close()


@rig.test(tern_only=True)
def one_worker_carries_many_shards(options):
    with Tern(options, 50, "--workers", 1) as tern:
        shards = [tern.shard(i) for i in range(1, 51)]
        for first, last, port, _ in ranges(shards[0]):
            expect_equal(shards[port - tern.port - 1].ask("CLUSTER", "COUNTKEYSINSLOT", first), 0, f"keys of slot {first}")
        for c in shards:
            expect_equal(c.ask("PING"), b"PONG", "PING")


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
