#!/usr/bin/env python3
"""The resizes rig: real clients, each in its own language, while shards come and go: 4 → 8 → 4, three times.

`drivers/` has a program for each: it writes 400 keys, says its client's version, then obeys lines. `look` reads all keys and
tells how many reads failed or were wrong; `load` writes and reads them until the next line. All clients of a test have one
server. The table of Documentation/clients.md says how much may go wrong for each, and is read here: a client that has no row,
or is of another version, fails the test too.
"""

import json
import os
import re
import select
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import rig
from resp import Connection
from rig import HERE, Tern, expect, expect_equal

SHARDS, MOST_SHARDS, CYCLES = 4, 8, 3
DRAIN = 1  # seconds for which a removed shard's port is kept at least
BEFORE_DRAIN = "before the drain"
TABLE = os.path.join(HERE, "..", "..", "Documentation", "clients.md")
DRIVERS = {
    "redis-py": "python_sync.py", "redis-py asyncio": "python_async.py", "valkey-py": "python_sync.py", "valkey-py asyncio": "python_async.py",
    "coredis": "python_async.py", "valkey-glide": "python_async.py", "node-redis": "node_redis.js", "ruby-redis": "ruby_redis.rb", "predis": "php.php",
    "php-redis at the router": "php.php",
}  # fmt: skip
INTERPRETERS = {".py": sys.executable, ".js": "node", ".rb": "ruby", ".php": "php"}


def rows():
    """The table of clients: name → (version, most errors while idle, most errors under load)."""
    with open(TABLE) as f:
        cells = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in f if line.startswith("| ")]
    return {row[0]: (row[1], int(row[2]), int(row[3])) for row in cells if len(row) > 3 and re.fullmatch(r"\d+", row[2]) and re.fullmatch(r"\d+", row[3])}


class Driver:
    """A client's program and what it says."""

    def __init__(self, name, port):
        program = os.path.join(HERE, "drivers", DRIVERS[name])
        command = [INTERPRETERS[os.path.splitext(program)[1]], program, name, str(port), name.replace(" ", "-")]
        # Debian's modules, whoever made `node`.
        environment = os.environ | {"NODE_PATH": "/usr/share/nodejs"}
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=rig._end_with_parent)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, seconds=30):
        """What it says next; a client that says nothing is a failure."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else None
        if not line:
            self.process.kill()
            raise rig.Failed(f"{self.name} {'said nothing for %d s' % seconds if line is None else 'ended'}: {self.process.stderr.read()[-1500:]}")
        if not line.startswith("{"):
            raise rig.Failed(f"{self.name} said {line!r}")
        return json.loads(line)

    def end(self):
        self.process.kill()
        self.process.communicate()


class Drivers:
    """All clients at one server."""

    def __init__(self, tern):
        self.all = [Driver(name, tern.port) for name in DRIVERS]
        self.versions = self.answers()
        self.found = {name: dict(done=0, errors=0, wrong=0, said=[]) for name in DRIVERS}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for driver in self.all:
            driver.end()

    def tell(self, line):
        for driver in self.all:
            driver.tell(line)

    def answers(self):
        return {driver.name: driver.answer() for driver in self.all}

    def add(self, when):
        for name, found in self.answers().items():
            for figure in ("done", "errors", "wrong"):
                self.found[name][figure] += found[figure]
            if found["errors"] or found["wrong"]:
                self.found[name]["said"].append(f"{when}: {found['errors']} errors, {found['wrong']} wrong: {found['said'][:300]}")

    def judge(self, column):
        """Prints what every client met; fails where that is more than the table says."""
        wrong, table = [], rows()
        for name, found in self.found.items():
            version, *most = table.get(name, ("without a row", 0, 0))
            print(f"        {name} {self.versions[name]['version']}: {found['done']} answers, {found['errors']} errors, {found['wrong']} wrong", flush=True)
            if found["errors"] > most[column] or found["wrong"]:
                wrong.append(f"{name}: {found['errors']} errors, {most[column]} at most; {found['wrong']} wrong values\n        " + "\n        ".join(found["said"]))
            if self.versions[name]["version"] != version:
                wrong.append(f"{name} is {self.versions[name]['version']}, in the table {version}")
        expect(not wrong, "\n    ".join(["clients and Documentation/clients.md differ:", *wrong]))


def resize(options, tern, shards):
    done = subprocess.run([options.tern, "cluster", "resize", "--shards", str(shards), "--port", str(tern.port)], capture_output=True, text=True, timeout=60)
    expect_equal(done.returncode, 0, f"resize to {shards}: {done.stderr}")


def drained(tern):
    """Waits until the ports of removed shards are as they stay: closed, or open although their time is over."""
    end = time.monotonic() + DRAIN + 1
    while time.monotonic() < end:
        try:
            for number in range(SHARDS + 1, MOST_SHARDS + 1):
                Connection(tern.port + number).close()
        except OSError:
            return
        time.sleep(0.05)


def cycles(options, tern, after):
    for _ in range(CYCLES):
        resize(options, tern, MOST_SHARDS)
        after(f"at {MOST_SHARDS} shards")
        resize(options, tern, SHARDS)
        after(BEFORE_DRAIN)
        drained(tern)
        after("after the drain")


@rig.test(tern_only=True)
def idle_clients(options):
    """Each reads its keys after a growth, and again when the ports of removed shards are as they stay: while they drained it asked for nothing."""
    with Tern(options, SHARDS, "--cluster-drain-timeout", DRAIN) as tern, Drivers(tern) as drivers:

        def look(when):
            if when != BEFORE_DRAIN:
                drivers.tell("look")
                drivers.add(when)

        cycles(options, tern, look)
        drivers.judge(0)


@rig.test(tern_only=True)
def clients_under_load(options):
    """Each writes and reads all the time."""
    with Tern(options, SHARDS, "--cluster-drain-timeout", DRAIN) as tern, Drivers(tern) as drivers:
        drivers.tell("load")
        cycles(options, tern, lambda _: time.sleep(0.3))
        drivers.tell("stop")
        drivers.add("under load")
        drivers.judge(1)


@rig.test(tern_only=True)
def every_client_has_a_row(options):
    expect_equal(sorted(rows()), sorted(DRIVERS), "the clients of Documentation/clients.md")


if __name__ == "__main__":
    rig.main(rig.arguments(__doc__))
