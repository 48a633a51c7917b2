"""What all rigs share: starting servers, declaring tests, running them.

A rig is a Python file with functions marked `@test`; each is given the options of the command line, starts the
servers that it needs and raises where something is wrong. `main` runs them one after another and prints
`N passed, N failed` last.

    Tests/Clients/connections.py --tern .build/release/tern --io epoll --only 'slow*'

A server is started in a fresh directory on free ports. It is ready when it says so on its output, is asked to
end with SIGTERM, and must then exit with 0: a crash fails the test that it happened in and shows the log.
"""

import argparse
import ctypes
import fnmatch
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from resp import Broken, Connection, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = []


class Failed(Exception):
    """A server that did not do what every test expects of it: start, live, end."""


def test(function=None, *, tern_only=False, seconds=120):
    """Marks a test. `tern_only`: not for the stand-in (redis-as-tern). `seconds`: after which it has failed."""

    def mark(f):
        f.tern_only, f.seconds = tern_only, seconds
        TESTS.append(f)
        return f

    return mark(function) if function else mark


def free_ports(count):
    """The first of `count` ports in a row that nobody listens on, below the kernel's own choices and with room for Redis's bus ports above."""
    for _ in range(200):
        first = random.SystemRandom().randrange(20000, 22500 if count < 100 else 21500)
        try:
            for port in range(first, first + count):
                for probe in (port, port + 10000):
                    with socket.socket() as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind(("127.0.0.1", probe))
            return first
        except OSError:
            continue
    raise Failed("no free ports")


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def _end_with_parent():
    """In a child: no server outlives its rig, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A server process whose output is kept line by line."""

    def __init__(self, command, directory=None):
        self.command, self.lines, self._changed = command, [], threading.Condition()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory, preexec_fn=_end_with_parent)
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.decode(errors="replace").rstrip())
                self._changed.notify_all()
        with self._changed:
            self.lines.append(None)
            self._changed.notify_all()

    def wait_for(self, word, seconds=30):
        """Reads the output until a line contains `word`; raises if the output ends first or nothing comes."""
        found = lambda: any(line is None or word in line.split() for line in self.lines)
        with self._changed:
            if not self._changed.wait_for(found, seconds):
                raise Failed(f"{self.command[0]} did not say {word!r} within {seconds} s\n{self.log()}")
            if not any(line is not None and word in line.split() for line in self.lines):
                raise Failed(f"{self.command[0]} ended before it said {word!r}\n{self.log()}")

    def wait(self, seconds=20):
        """Waits for the process's own end; its exit code. Killed if it does not come."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            Process.kill(self)
            raise Failed(f"{self.command[0]} did not end within {seconds} s\n{self.log()}") from None
        self._reader.join(5)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self, last=30):
        lines = [line for line in self.lines if line is not None][-last:]
        return "".join(f"    | {line[:300]}\n" for line in lines)

    def status(self, name):
        """A figure of /proc/PID/status in bytes: VmRSS, VmHWM, VmSize."""
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name + ":"))

    @property
    def resident(self):
        return self.status("VmRSS")

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Tern(Process):
    """`tern serve` in a fresh directory (or the given one). Shard i listens on `port` + i."""

    def __init__(self, options, shards=1, *flags, directory=None, port=None, ready=True):
        self.port = port or free_ports(shards + 1)
        self._own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="tern-rig-")
        command = [options.tern, "serve", "--port", self.port, "--shards", shards, "--dir", self.directory, "--io", options.io, *flags]
        super().__init__([str(c) for c in command])
        if ready:
            try:
                self.wait_for("ready")
            except Failed:
                self.kill()
                raise

    def shard(self, number=1, **more):
        """A raw connection to a shard's port; shard 0 is the configuration endpoint."""
        return Connection(self.port + number, **more)

    def kill(self):
        super().kill()
        self._remove()

    def stop(self):
        """SIGTERM, then a prompt exit with 0."""
        crashed = self.process.poll()
        if crashed is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.wait(10)
        finally:
            self._remove()
        if crashed is not None:
            raise Failed(f"the server ended by itself with {crashed}\n{self.log()}")
        if code != 0:
            raise Failed(f"the server ended with {code} after SIGTERM\n{self.log()}")

    def _remove(self):
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            return self.stop()
        if isinstance(error, Exception):
            ended = self.process.poll()
            error.add_note((f"the server had ended with {ended}" if ended is not None else "the server was alive") + "; its last lines:\n" + self.log())
        self.kill()


class Redis(Process):
    """redis-server in cluster mode, alone with all slots (`slots=False`: with none), nothing written to disk."""

    def __init__(self, *flags, port=None, slots=True, config=None):
        self.port = port or free_ports(1)
        self.directory = tempfile.mkdtemp(prefix="redis-rig-")
        command = ["redis-server", *([config] if config else []), "--port", self.port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", *([] if config else ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]), "--dir", self.directory, *flags]
        super().__init__([str(c) for c in command])
        eventually(self._answers, 20, "redis-server's start")
        if slots:
            with self.shard() as c:
                c.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                eventually(lambda: b"cluster_state:ok" in c.ask("CLUSTER", "INFO"), 20, "redis-server's cluster state")

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"redis-server ended at its start\n{self.log()}")
        try:
            with Connection(self.port) as c:
                return c.ask("PING") == b"PONG"
        except OSError:
            return False

    def shard(self, number=1, **more):
        return Connection(self.port, **more)

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: expected {short(wanted)}, found {short(found)}")


def short(thing, limit=300):
    """A thing's repr, cut in the middle."""
    text = repr(thing)
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]} ({len(text)} characters)"


def arguments(description):
    """The options every rig takes; a rig adds its own to what this returns."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tern", default=".build/release/tern", help="the server's binary; redis-as-tern plays it with redis-server")
    parser.add_argument("--io", default="auto", choices=["auto", "uring", "epoll"], help="the server's I/O back-end")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="run tests whose name matches")
    parser.add_argument("--seed", type=int, default=None, help="of everything random; printed, so that a run can be repeated")
    return parser


def _run_one(function, options):
    def late(*_):
        raise Failed(f"not done after {function.seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(function.seconds)
    try:
        function(options)
    finally:
        signal.alarm(0)


def main(parser):
    """Runs the tests that were declared; exits with 1 if one failed."""
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    options.stand_in = os.path.basename(options.tern) == "redis-as-tern"
    options.tern = shutil.which(options.tern) or os.path.abspath(options.tern)
    if not os.access(options.tern, os.X_OK):
        raise SystemExit(f"no such program: {options.tern} (swift build -c release)")
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    print(f"{name}: --io {options.io} --seed {options.seed}", flush=True)
    passed = failed = 0
    for function in TESTS:
        if not fnmatch.fnmatch(function.__name__, options.only) or (function.tern_only and options.stand_in):
            continue
        began = time.monotonic()
        try:
            _run_one(function, options)
            passed += 1
            print(f"ok      {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except (Exception, SystemExit) as error:
            failed += 1
            print(f"FAILED  {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            text = "".join(traceback.format_exception(error, limit=-3))
            print("".join(f"    {line}\n" for line in text.splitlines()), flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
