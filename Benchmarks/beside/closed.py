"""Closed loops: redis-benchmark against both servers in turn, CPU per request from the scheduler's own count."""
import csv, io, statistics, subprocess
from collections import namedtuple

# test: get, set, incr or mset; size: bytes of a value; keys: how many there are, all of them filled in beforehand
Cell = namedtuple("Cell", "test pipeline clients size keys")

SMALL, LARGE = 20_000, 2_000_000

QUICK = [
    Cell("get", 1, 50, 16, SMALL), Cell("set", 1, 50, 16, SMALL), Cell("get", 1, 500, 16, SMALL),
    Cell("get", 16, 50, 16, SMALL), Cell("set", 16, 50, 16, SMALL),
    Cell("get", 64, 50, 16, SMALL), Cell("set", 64, 50, 16, SMALL), Cell("incr", 64, 50, 16, SMALL), Cell("mset", 16, 50, 16, SMALL),
    Cell("get", 64, 50, 16, LARGE), Cell("set", 64, 50, 16, LARGE),
    Cell("get", 16, 50, 4096, SMALL), Cell("set", 16, 50, 4096, SMALL),
]


def full():
    """Every test at every pipeline, number of clients and size; the large key space at 16 bytes, where memory and not copying decides."""
    cells = [Cell(test, pipeline, clients, size, SMALL)
             for size in (16, 128, 4096) for test in ("get", "set", "incr", "mset") for pipeline in (1, 16, 64)
             for clients in (50, 500) if not (test == "incr" and size != 16)]
    cells += [Cell(test, pipeline, clients, 16, LARGE)
              for test in ("get", "set", "incr", "mset") for pipeline in (1, 16, 64) for clients in (50, 500)]
    # cells that share a filling stand together
    return sorted(cells, key=lambda cell: (cell.keys, cell.size, cell.test in ("incr", "mset"), cell.test == "mset"))


def shown(cells):
    """The cells for a plot or a short table: all of a few, of many those of the quick matrix."""
    if len(cells) <= 2 * len(QUICK):
        return cells
    return [cell for cell in cells if Cell(*(cell[name] for name in Cell._fields)) in QUICK]


def request_count(cell, scale):
    """So many that a run takes about two seconds on a machine of 2020."""
    count = {1: 150_000, 16: 800_000, 64: 1_600_000}[cell.pipeline]
    if cell.size >= 4096:
        count //= 5
    if cell.test == "mset":
        count //= 6
    return max(1000, int(count * scale))


def command(cell):
    """What redis-benchmark is told to send."""
    if cell.test != "mset":
        return ["-t", cell.test, "-d", str(cell.size)]
    # Its own MSET names ten keys of ten slots, which a node of a cluster must refuse: these share a hash tag.
    value = "x" * cell.size
    return ["MSET"] + [word for _ in range(10) for word in ("key:{t}:__rand_int__", value)]


def run_once(server, cell, scale):
    """One run: CPU µs per request, requests per second, p50 and p99 in ms as redis-benchmark saw them."""
    # With one request at a time a load on the other core would leave the server waiting between requests, and its
    # system calls would each carry a batch as small as chance makes it. On the server's own core the load runs when
    # the server has nothing left, so that it always finds a full batch, as one that is saturated does.
    core = 0 if cell.pipeline == 1 else 1
    count = request_count(cell, scale)
    words = ["taskset", "-c", str(core), "redis-benchmark", "-p", str(server.port), "--csv", "-c", str(cell.clients),
             "-n", str(count), "-r", str(cell.keys), "-P", str(cell.pipeline), "--precision", "3", *command(cell)]
    before = server.cpu_us()
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    used = server.cpu_us() - before
    rows = [row for row in csv.reader(io.StringIO(done.stdout)) if len(row) == 8 and row[0] != "test"]
    if done.returncode or not rows:
        raise RuntimeError(f"redis-benchmark failed against {server.name}: {(done.stderr or done.stdout)[-300:]}")
    row = rows[-1]
    return {"cpu_us": used / count, "rps": float(row[1]), "p50_ms": float(row[4]), "p99_ms": float(row[6])}


def refusal(server, cell):
    """What the server says against the command, if anything: redis-benchmark counts errors as replies."""
    words = {"get": ("GET", "key:000000000000"), "set": ("SET", "key:000000000000", "x" * cell.size),
             "incr": ("INCR", "counter:000000000000"), "mset": ("MSET", "key:{t}:0", "x", "key:{t}:1", "x")}[cell.test]
    link = server.link()
    try:
        link(*words)
        return None
    except Exception as error:
        return str(error)
    finally:
        link.close()


def measure(servers, cells, rounds, scale, say):
    """Every cell, both servers in turn in every round, who is first changing from round to round."""
    results, filled = [], None
    for cell in cells:
        # Keys of get and set stay for the next cell; those of incr and mset have other names, and values of their own.
        wanted = (cell.keys, cell.size, cell.test if cell.test in ("incr", "mset") else "")
        if filled != wanted:
            prefix, value = {"incr": (b"counter:", b"1000"), "mset": (b"key:{t}:", b"x" * cell.size)}.get(
                cell.test, (b"key:", b"x" * cell.size))
            for server in servers:
                link = server.link()
                link("FLUSHALL")
                link.fill(cell.keys, value, prefix)
                link.close()
            filled = wanted
        result = {**cell._asdict(), "requests": request_count(cell, scale), "load_core": 0 if cell.pipeline == 1 else 1}
        refused = {server.name: text for server in servers if (text := refusal(server, cell))}
        if refused:
            result["refused"] = refused
            say(f"{label(result)}: not served: {refused}")
        else:
            result["rounds"] = []
            for number in range(rounds):
                order = servers if number % 2 == 0 else servers[::-1]
                result["rounds"].append({server.name: run_once(server, cell, scale) for server in order})
            summarise(result)
            say(f"{label(result):34} CPU {result['median']['redis']['cpu_us']:7.3f} -> {result['median']['tern']['cpu_us']:7.3f} us, "
                f"ratio {result['ratio']['cpu_us']:.2f}; requests/s ratio {result['ratio']['rps']:.2f}")
        results.append(result)
    return results


def summarise(result):
    """Medians of the figures, and medians of the rounds' paired ratios (Tern's figure over redis-server's)."""
    names = ("cpu_us", "rps", "p50_ms", "p99_ms")
    rounds = result["rounds"]
    result["median"] = {server: {name: statistics.median(r[server][name] for r in rounds) for name in names}
                        for server in ("redis", "tern")}
    result["ratio"] = {name: statistics.median(r["tern"][name] / max(r["redis"][name], 1e-9) for r in rounds)
                       for name in names}


def label(cell):
    """How a cell is named in tables and plots."""
    size = "" if cell["test"] == "incr" else f" {cell['size']} B,"
    keys = f"{cell['keys'] // 1_000_000} M" if cell["keys"] >= 1_000_000 else f"{cell['keys'] // 1000} k"
    name = {"mset": "MSET×10"}.get(cell["test"], cell["test"].upper())
    return f"{name} P={cell['pipeline']}, {cell['clients']} clients,{size} {keys} keys"
