#!/usr/bin/env python3
"""The administration rig: every subcommand of `tern cluster` against a running server, its exit codes, what it prints, what it did."""

import json
import os
import pty
import resource
import select
import socket
import subprocess
import time

import rig
from resp import Broken, ErrorReply, eventually
from rig import Redis, Tern, expect, expect_equal

SECRET = "correct-horse-battery"
COMMANDS = ["status", "resize", "rebalance", "slots", "hot", "move", "events", "cancel", "pause", "resume", "speed"]


def cluster(options, port, *words, code=0, environment=None):
    """What `tern cluster` prints, and what on standard error; it must end with `code`."""
    command = [options.tern, "cluster", *map(str, words), *(["--port", str(port)] if port else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **(environment or {})})
    expect_equal(done.returncode, code, f"exit code of {' '.join(command[1:])}, which said {done.stdout + done.stderr!r}")
    if code == 0:
        expect_equal(done.stderr, "", f"standard error of {words}")
    return done.stdout, done.stderr


def parsed(options, port, *words, **more):
    return json.loads(cluster(options, port, *words, "--json", **more)[0])


def shares(options, port):
    return [shard["slots"] for shard in parsed(options, port, "status")["shards"] if shard["status"] != "deleting"]


def fill(tern, count=300):
    """So many keys, each written where it belongs."""
    with tern.shard(1) as c:
        ranges = [(first, last, node[1] - tern.port) for first, last, node, *_ in c.ask("CLUSTER", "SLOTS")]
        places = {}
        for key in (f"key:{i}" for i in range(count)):
            slot = c.ask("CLUSTER", "KEYSLOT", key)
            places.setdefault(next(n for first, last, n in ranges if first <= slot <= last), []).append(key)
    for number, keys in places.items():
        with tern.shard(number) as owner:
            for key in keys:
                owner.ask("SET", key, "x" * 64)


def work(tern):
    """Some tens of milliseconds of a worker's time, all of it for one slot."""
    with tern.shard(1) as c:
        owner = next(node[1] - tern.port for first, last, node, *_ in c.ask("CLUSTER", "SLOTS") if first <= c.ask("CLUSTER", "KEYSLOT", "key:0") <= last)
    with tern.shard(owner) as c:
        c.ask("SETRANGE", "key:0", 30_000_000, "x")
        for _ in range(20):
            c.ask("BITCOUNT", "key:0")


@rig.test(tern_only=True)
def help_teaches(options):
    """Each help has examples, and says what is wrong usage with exit code 2."""
    for words in ([], *([c] for c in COMMANDS)):
        text, _ = cluster(options, None, *words, "--help")
        expect("EXAMPLES" in text and "tern cluster" in text, f"help of {words}: {text}")
    for words in (["resize"], ["resize", "--shards", "x"], ["move", "--slots", "9-1", "--to", "1"], ["move", "--slots", "0-16384", "--to", "1"],
                  ["rebalance", "--weight", "1"], ["rebalance", "--by", "load", "--weight", "1=2"], ["hot", "--count", "0"], ["speed"], ["speed", "-1"], ["nosuch"], ["status", "--port", "70000"]):  # fmt: skip
        cluster(options, None, *words, code=2)


@rig.test(tern_only=True)
def status_shows_the_shards(options):
    with Tern(options, 3) as tern:
        fill(tern)
        with tern.shard(1) as c:
            nodes = c.ask("CLUSTER", "NODES").decode()
        status = parsed(options, tern.port, "status")
        expect_equal([s["shard"] for s in status["shards"]], [1, 2, 3], "numbers")
        expect_equal(sum(s["slots"] for s in status["shards"]), 16384, "slots")
        expect(sum(s["keys"] for s in status["shards"]) == 300 and all(s["memory_bytes"] > 0 for s in status["shards"]), f"holdings: {status}")
        for shard in status["shards"]:
            expect(f"{shard['id']} {shard['address']}@" in nodes, f"{shard} in {nodes}")
        expect_equal(status["job"], None, "no job yet")
        for port in (tern.port, tern.port + 2):
            text, _ = cluster(options, port, "status")
            for word in ("shard", "id", "address", "keys", "memory", "ops/s", "all", f"127.0.0.1:{tern.port + 3}", "no job yet", "5,461"):
                expect(word in text, f"{word!r} in {text}")


@rig.test(tern_only=True)
def resize_up_and_down(options):
    with Tern(options, 2) as tern:
        fill(tern)
        end = parsed(options, tern.port, "resize", "--shards", 4)
        expect_equal((end["operation"], end["outcome"], end["slots"]), ("resize", "success", 8192), "the end of 2 to 4")
        expect_equal(shares(options, tern.port), [4096] * 4, "shares of 4")
        text, _ = cluster(options, tern.port + 1, "resize", "--shards", 3)
        expect("resize done in" in text and "longest pause" in text and text.count("\n") == 1, f"summary: {text!r}")
        expect_equal(sorted(shares(options, tern.port)), [5461, 5461, 5462], "shares of 3")
        text, _ = cluster(options, tern.port, "resize", "--shards", 3)
        expect("no slot had to move" in text, f"nothing to do: {text!r}")
        cluster(options, tern.port, "resize", "--shards", 1)
        expect_equal(shares(options, tern.port), [16384], "shares of 1")
        status = parsed(options, tern.port, "status")
        expect_equal(sum(s["keys"] for s in status["shards"]), 300, "keys")
        expect_equal((status["job"]["operation"], status["job"]["state"], status["job"]["mode"]), ("resize", "success", "handover"), "the last job")
        expect("last job: resize (handover), success" in cluster(options, tern.port, "status")[0], "the last job in words")
        text, _ = cluster(options, tern.port, "resize", "--shards", 2, "--no-wait")
        expect("begun" in text, f"without waiting: {text!r}")
        eventually(lambda: shares(options, tern.port) == [8192] * 2, 20, "the end of a resize that nobody waited for")


@rig.test(tern_only=True)
def the_port_of_a_removed_shard(options):
    """It answers MOVED, to old connections and to new ones, as long as anybody is connected or descriptors are plenty; then it closes."""
    with Tern(options, 2, "--cluster-drain-timeout", 0) as tern, tern.shard(2) as old:
        old.ask("PING")
        cluster(options, tern.port, "resize", "--shards", 1)

        def moved(c):
            try:
                c.ask("GET", "k")
            except ErrorReply as error:
                return str(error).startswith("MOVED") and str(error).endswith(f":{tern.port + 1}")

        def closed():
            try:
                with tern.shard(2) as c:
                    c.ask("PING")
            except (OSError, Broken):
                return True

        # Two questions whether it may be closed, a second apart.
        time.sleep(2.5)
        expect(moved(old), "an old connection is told where its keys are")
        with tern.shard(2) as new:
            expect(moved(new), "a new one too")
        eventually(lambda: len(parsed(options, tern.port, "status")["shards"]) == 1, 10, "a status without it")
        few = (tern.descriptors + 4, resource.prlimit(tern.pid, resource.RLIMIT_NOFILE)[1])
        resource.prlimit(tern.pid, resource.RLIMIT_NOFILE, few)
        time.sleep(1.5)
        expect(moved(old), "scarce descriptors do not close a connection")
        old.close()
        eventually(closed, 10, "the end of the port")
        expect_equal(parsed(options, tern.port, "resize", "--shards", 2)["outcome"], "success", "its number is used again")
        with tern.shard(2) as new:
            expect_equal(new.ask("PING"), b"PONG", "at its port")


@rig.test(tern_only=True)
def rebalance_by_count_weight_and_load(options):
    with Tern(options, 3) as tern:
        fill(tern)
        ids = [s["id"] for s in parsed(options, tern.port, "status")["shards"]]
        trial = parsed(options, tern.port, "rebalance", "--weight", "1=2", "--weight", f"{ids[2]}=0", "--dry-run")
        expect(trial["slots"] > 0 and sum(m["slots"] for m in trial["moves"]) == trial["slots"], f"trial: {trial}")
        expect("would move" in cluster(options, tern.port, "rebalance", "--weight", "1=2", "--dry-run")[0], "a trial in words")
        expect(max(shares(options, tern.port)) <= 5462, "a trial moves nothing")
        end = parsed(options, tern.port, "rebalance", "--weight", "1=2", "--weight", f"{ids[2][:8]}=0")
        expect_equal((end["outcome"], end["slots"]), ("success", trial["slots"]), "the end")
        found = shares(options, tern.port)
        expect(abs(found[0] - 10923) <= 1 and abs(found[1] - 5461) <= 1 and found[2] == 0, f"shares by weight: {found}")
        text, _ = cluster(options, tern.port, "rebalance")
        expect("rebalance done in" in text, f"summary: {text!r}")
        expect_equal(sorted(shares(options, tern.port)), [5461, 5461, 5462], "shares by count")
        expect("no slot would have to move" in cluster(options, tern.port, "rebalance", "--dry-run")[0], "an empty trial")
        trial = parsed(options, tern.port, "rebalance", "--by", "load", "--dry-run")
        expect_equal(trial["slots"], 0, f"an idle cluster has no load: {trial}")
        work(tern)
        trial = parsed(options, tern.port, "rebalance", "--by", "load", "--dry-run")
        expect(trial["load_spread_before_percent"] is not None, f"trial by load: {trial}")
        expect_equal(parsed(options, tern.port, "rebalance", "--by", "load")["outcome"], "success", "by load")
        parsed(options, tern.port, "rebalance")


@rig.test(tern_only=True)
def mode_incremental(options):
    """Key by key; a server that cannot do that yet says so, and the tool with it."""
    with Tern(options, 2) as tern:
        fill(tern)
        command = [options.tern, "cluster", "resize", "--shards", "3", "--mode", "incremental", "--port", str(tern.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if "MODE incremental is not there yet" in done.stderr:
            expect_equal(done.returncode, 1, "exit code of a mode that is not there")
            return
        expect_equal((done.returncode, done.stderr), (0, ""), "exit code and errors")
        expect_equal(sorted(shares(options, tern.port)), [5461, 5461, 5462], "shares")
        expect_equal(parsed(options, tern.port, "status")["job"]["mode"], "incremental", "the mode")


@rig.test(tern_only=True)
def move_slots(options):
    with Tern(options, 3) as tern:
        ids = [s["id"] for s in parsed(options, tern.port, "status")["shards"]]
        end = parsed(options, tern.port, "move", "--slots", "0-9,100", "--to", 2)
        expect_equal((end["operation"], end["outcome"], end["slots"]), ("move", "success", 11), "the end")
        ranges = {s["shard"]: s["ranges"] for s in parsed(options, tern.port, "slots")}
        expect([0, 9] in ranges[2] and [100, 100] in ranges[2], f"ranges: {ranges}")
        # From two shards to the third, one of the slots being there already.
        ends = parsed(options, tern.port, "move", "--slots", "0-19,16000-16001", "--to", ids[2])
        expect_equal(sorted(e["slots"] for e in ends), [10, 10], "two ends")
        expect("0-19" in cluster(options, tern.port, "slots")[0], "slots in words")
        expect("already" in cluster(options, tern.port, "move", "--slots", "0-19", "--to", 3)[0], "nothing to do")
        text, _ = cluster(options, tern.port, "move", "--slots", "0-19", "--to", 1)
        expect("20 slots" in text, f"summary: {text!r}")


@rig.test(tern_only=True)
def hot_slots(options):
    with Tern(options, 2) as tern:
        with tern.shard(1) as c:
            slot = c.ask("CLUSTER", "KEYSLOT", "{hot}")
            owner = next(e[2][1] - tern.port for e in c.ask("CLUSTER", "SLOTS") if e[0] <= slot <= e[1])
        with tern.shard(owner) as c:
            for _ in range(2000):
                c.ask("SET", "{hot}", "x" * 100)
        hot = parsed(options, tern.port, "hot", "--count", 3)
        expect_equal((hot[0]["slot"], hot[0]["shard"], hot[0]["keys"]), (slot, owner, 1), "the hottest")
        expect(len(hot) == 3 and hot[0]["cpu_usec"] >= hot[1]["cpu_usec"], f"order: {hot}")
        expect_equal(parsed(options, tern.port, "hot", "--count", 1, "--by", "key-count")[0]["slot"], slot, "by keys")
        expect(str(slot) in cluster(options, tern.port, "hot")[0], "in words")


@rig.test(tern_only=True)
def events_and_following_them(options):
    with Tern(options, 2) as tern:
        cluster(options, tern.port, "resize", "--shards", 3)
        events = parsed(options, tern.port, "events")
        kinds = [e["event"] for e in events]
        expect(kinds[-1] == "migration-finished" and "migration-started" in kinds and "shard-created" in kinds, f"events: {kinds}")
        expect_equal([e["id"] for e in parsed(options, tern.port, "events", "--count", 1)], [events[-1]["id"]], "the last one")
        text, _ = cluster(options, tern.port, "events", "--count", 2)
        expect(text.count("\n") == 2 and "operation=resize" in text, f"events in words: {text!r}")
        command = [options.tern, "cluster", "events", "--follow", "--json", "--count", "0", "--port", str(tern.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as follower:
            try:
                # It has begun when the server has one client more than this one.
                with tern.shard(0) as c:
                    eventually(lambda: c.ask("CLIENT", "LIST").count(b"\n") >= 2, 20, "the follower's connection")
                time.sleep(0.5)
                cluster(options, tern.port, "resize", "--shards", 2)
                seen = b""
                while b"migration-finished" not in seen or not seen.endswith(b"\n"):
                    expect(select.select([follower.stdout], [], [], 10)[0], f"an event within 10 s; so far {seen}")
                    seen += os.read(follower.stdout.fileno(), 65536)
                found = [json.loads(line) for line in seen.splitlines()]
                expect(all(e["id"] > events[-1]["id"] for e in found), f"only new ones: {found}")
            finally:
                follower.terminate()
            expect_equal(follower.wait(10), -15, "a follower ends at SIGTERM")


@rig.test(tern_only=True)
def pause_speed_cancel(options):
    with Tern(options, 2) as tern:
        expect("jobs wait" in cluster(options, tern.port, "pause")[0], "pause")
        cluster(options, tern.port, "resize", "--shards", 4, "--no-wait")
        expect_equal(parsed(options, tern.port, "status")["job"]["state"], "paused", "the state")
        expect("paused" in cluster(options, tern.port, "status")[0], "the state in words")
        refused = cluster(options, tern.port, "rebalance", code=1)[1]
        expect("already in progress" in refused, f"a second job: {refused!r}")
        parsed(options, tern.port, "resume")
        eventually(lambda: parsed(options, tern.port, "status")["job"]["state"] == "success", 20, "the end after resume")
        expect("at most 50 slots a second" in cluster(options, tern.port, "speed", 50)[0], "speed")
        waiting = subprocess.Popen([options.tern, "cluster", "resize", "--shards", "2", "--port", str(tern.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually(lambda: parsed(options, tern.port, "status")["job"]["state"] == "moving", 20, "the slow job")
        cluster(options, tern.port, "cancel")
        out, err = waiting.communicate(timeout=30)
        expect_equal((waiting.returncode, out), (1, ""), f"who waited for a cancelled job; it said {err!r}")
        expect("resize cancelled after" in err, f"why: {err!r}")
        expect_equal(parsed(options, tern.port, "speed", 0), {"outcome": "set"}, "speed 0")
        cluster(options, tern.port, "rebalance")
        expect_equal(sum(shares(options, tern.port)), 16384, "slots")


@rig.test(tern_only=True)
def a_progress_bar_on_a_terminal(options):
    """Where standard error is a terminal: a bar while the job runs, gone in the end; standard output has the summary alone."""
    with Tern(options, 1) as tern:
        cluster(options, tern.port, "speed", 8000)
        ours, theirs = pty.openpty()
        command = [options.tern, "cluster", "resize", "--shards", "2", "--port", str(tern.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as tool:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    data = os.read(ours, 4096)
                except OSError:
                    break
                if not data:
                    break
                seen += data
            out = tool.stdout.read()
            expect_equal(tool.wait(10), 0, f"exit code; it said {seen!r}")
        os.close(ours)
        expect(b"[#" in seen and b"/8192 slots" in seen and b" %" in seen, f"a bar: {seen!r}")
        expect(seen.endswith(b"\r\x1b[K"), f"nothing stays: {seen[-40:]!r}")
        expect(out.startswith("resize done in") and out.count("\n") == 1, f"summary: {out!r}")


@rig.test(tern_only=True)
def what_is_refused(options):
    with Tern(options, 2) as tern:
        for words, why in (
            (["move", "--slots", "0", "--to", "9"], "no shard 9"), (["move", "--slots", "0", "--to", "ab" * 20], "no shard abab"),
            (["rebalance", "--weight", f"{'cd' * 20}=2"], "no shard cdcd"), (["rebalance", "--weight", "1=0", "--weight", "2=0"], "above 0"),
        ):  # fmt: skip
            out, err = cluster(options, tern.port, *words, code=1)
            expect(out == "" and err.startswith("tern: ") and why in err, f"{words}: {err!r}")
        for number in (0, 501):
            out, err = cluster(options, tern.port, "resize", "--shards", number, code=2)
            expect(out == "" and "a number from 1 to 500" in err, f"{number} shards: {err!r}")
        expect_equal(shares(options, tern.port), [8192, 8192], "nothing has changed")


@rig.test(tern_only=True)
def who_cannot_be_reached(options):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        err = cluster(options, s.getsockname()[1], "status", code=3)[1]
        expect("cannot connect to 127.0.0.1" in err and "refused" in err, f"nobody listens: {err!r}")
        # One who takes connections and says nothing.
        s.listen()
        began = time.monotonic()
        err = cluster(options, s.getsockname()[1], "status", "--timeout", 1, code=3)[1]
        expect("does not answer" in err and time.monotonic() - began < 20, f"silence: {err!r}")
    err = cluster(options, 1, "status", "--host", "no.such.host.invalid", code=3)[1]
    expect("finding no.such.host.invalid" in err, f"an unknown host: {err!r}")
    with Redis() as redis:
        err = cluster(options, redis.port, "status", code=1)[1]
        expect("nknown subcommand" in err, f"another kind of server: {err!r}")


@rig.test(tern_only=True)
def passwords(options):
    with Tern(options, 2, "--requirepass", SECRET) as tern:
        expect("TERN_PASSWORD" in cluster(options, tern.port, "status", code=3)[1], "without")
        expect("refuses the password" in cluster(options, tern.port, "status", "--password", "x", code=3)[1], "a wrong one")
        for words in (["status"], ["hot"], ["move", "--slots", "0-9", "--to", "2"], ["resize", "--shards", "3"], ["events"]):
            cluster(options, tern.port, *words, "--password", SECRET)
        cluster(options, tern.port, "status", environment={"TERN_PASSWORD": SECRET})


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
