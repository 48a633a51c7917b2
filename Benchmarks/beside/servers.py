"""Tern and redis-server, started, watched and ended; a client that is just enough to fill and to ask them."""
import os, random, re, shutil, socket, subprocess, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Refused(Exception):
    """An error reply."""


class Link:
    """A connection: one command at a time, RESP2."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    def __call__(self, *arguments):
        self.socket.sendall(encode(arguments))
        return self.reply()

    def reply(self):
        line = self.stream.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else self.stream.read(int(text) + 2)[:-2]
        if kind == b"*":
            items = []
            for _ in range(max(int(text), 0)):  # what is behind an error inside must still be read
                try:
                    items.append(self.reply())
                except Refused as error:
                    items.append(error)
            return items
        return text

    def fill(self, keys, value, prefix=b"key:"):
        """Sets keys 0 to `keys` - 1, named as redis-benchmark names them, each once."""
        batch = 1000 if len(value) < 1024 else 100
        for first in range(0, keys, batch):
            last = min(first + batch, keys)
            self.socket.sendall(b"".join(
                b"*3\r\n$3\r\nSET\r\n$%d\r\n%s%012d\r\n$%d\r\n%s\r\n" % (len(prefix) + 12, prefix, n, len(value), value)
                for n in range(first, last)))
            for _ in range(first, last):
                self.reply()


def encode(arguments):
    """A request's bytes."""
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def free_ports(count=2):
    """The first of `count` free ports in a row, below those that the kernel gives to whoever connects. A Redis Cluster's bus is 10 000 further."""
    while True:
        first = random.randrange(10_000, 22_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Server:
    """A running server: its process, the port of its keys, and its directory, which goes with it."""

    def __init__(self, name, process, port, directory):
        self.name, self.process, self.port, self.directory = name, process, port, directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def link(self):
        return Link(self.port)

    def cpu_us(self):
        """CPU time of all threads so far, in microseconds, as the scheduler counts it."""
        total = 0
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
        return total / 1000


def launch(name, command, port, ready):
    """Starts `command` in a directory of its own and waits until it answers."""
    directory = tempfile.mkdtemp(prefix="tern-beside-")
    log = open(Path(directory, "log"), "wb")
    process = subprocess.Popen([part.replace("DIRECTORY", directory) for part in command], stdout=log, stderr=log)
    server = Server(name, process, port, directory)
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            link = Link(port)
            if ready(link, Path(directory, "log")):
                link.close()
                return server
            link.close()
        except (OSError, Refused):
            pass
        time.sleep(0.05)
    text = Path(directory, "log").read_text(errors="replace")
    server.__exit__()
    raise SystemExit(f"{name} did not start: {text[-400:]}")


def start_redis(cpu=None, flags=()):
    """redis-server without persistence."""
    port = free_ports()
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    command = pin + ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "DIRECTORY", *flags]
    return launch("redis", command, port, lambda link, log: link("PING") == b"PONG")


def start_tern(cpu=None, flags=()):
    """One shard on one worker."""
    port = free_ports()
    binary = os.environ.get("TERN_BIN", str(ROOT / ".build/release/tern"))
    if not os.access(binary, os.X_OK):
        raise SystemExit(f"no {binary}: swift build -c release --product tern, or name it in TERN_BIN")
    pin = ["--cpus", str(cpu)] if cpu is not None else []
    command = [binary, "serve", "--port", str(port), "--shards", "1", "--workers", "1", "--dir", "DIRECTORY/data", *pin, *flags]
    return launch("tern", command, port + 1, lambda link, log: "ready" in log.read_text())


def redis_version():
    """Of redis-server, as it says."""
    text = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout
    return re.search(r"v=(\S+)", text).group(1)


def tern_version():
    """The commit that is checked out, with a plus where it was changed."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "Sources", "Package.swift") else "")
