"""The figures as Markdown."""
from .closed import label


def noise(cell):
    """By how much two equal servers differ on a machine that others use too."""
    return 0.05 if cell["pipeline"] == 1 else 0.08


def verdict(cell):
    """Where Tern loses, in words; p99 only where the difference is more than the noise of a tail."""
    loses = []
    ratio, least = cell["ratio"], noise(cell)
    if ratio["cpu_us"] > 1 + least:
        loses.append(f"CPU +{100 * (ratio['cpu_us'] - 1):.0f} %")
    if ratio["rps"] < 1 - least:
        loses.append(f"requests/s −{100 * (1 - ratio['rps']):.0f} %")
    for name, text in (("p50_ms", "p50"), ("p99_ms", "p99")):
        if ratio[name] > 1 + 2 * least:
            loses.append(f"{text} +{100 * (ratio[name] - 1):.0f} %")
    return "**" + ", ".join(loses) + "**" if loses else ""


def closed_table(cells):
    """A row a cell, those that Tern does not serve included."""
    lines = ["| load | redis-server, µs CPU a request | Tern | ratio | requests/s, redis-server | Tern | ratio | p50 ms | p99 ms | Tern loses |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for cell in cells:
        if "refused" in cell:
            who = ", ".join(f"{name}: `{text}`" for name, text in cell["refused"].items())
            lines.append(f"| {label(cell)} | | | | | | | | | **not served** ({who}) |")
            continue
        r, t, ratio = cell["median"]["redis"], cell["median"]["tern"], cell["ratio"]
        lines.append(
            f"| {label(cell)} | {r['cpu_us']:.2f} | {t['cpu_us']:.2f} | {ratio['cpu_us']:.2f} | {r['rps']:,.0f} | {t['rps']:,.0f} "
            f"| {ratio['rps']:.2f} | {r['p50_ms']:.2f} → {t['p50_ms']:.2f} | {r['p99_ms']:.2f} → {t['p99_ms']:.2f} | {verdict(cell)} |")
    return "\n".join(lines)


def open_table(rows):
    """A row a rate."""
    lines = ["| requests/s, intended | p50 ms, redis-server | Tern | p99 ms, redis-server | Tern | p99.9 ms, redis-server | Tern | generator late, p99 ms |",
             "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        r, t = row["median"]["redis"], row["median"]["tern"]
        def mark(name):
            ratio = row["ratio"][name]
            text = f"{t[name]:.3f} (×{ratio:.2f}"
            return f"**{text}, loses)**" if ratio > 1.1 else text + ")"
        late = max(r["late_p99_ms"], t["late_p99_ms"])
        # Such a row is one about the generator, or about what else the machine did.
        too_late = ", **too much to say anything**" if late > min(r["p99_ms"], t["p99_ms"]) / 4 else ""
        lines.append(f"| {row['rate']:,} | {r['p50_ms']:.3f} | {mark('p50_ms')} | {r['p99_ms']:.3f} | {mark('p99_ms')} "
                     f"| {r['p999_ms']:.3f} | {mark('p999_ms')} | {late:.3f}{too_late} |")
    return "\n".join(lines)


def caption(data):
    """When, on what, against what, and how quiet it was."""
    m = data["machine"]
    rounds = data["rounds"]
    quiet = max(data["load_average"]["before"], data["load_average"]["after"])
    # One load generator and one server keep two cores busy at most.
    busy = (" **Other work ran on the machine at the same time** (load average "
            f"{data['load_average']['before']:.1f} before, {data['load_average']['after']:.1f} after): the ratios are paired, "
            "the absolute figures are not to be trusted.") if data["load_average"]["before"] > 0.7 or quiet > 3.0 else ""
    return (f"{data['taken'][:10]}, Tern {data['versions']['tern']} ({data['tern_io']}) beside redis-server {data['versions']['redis']}, "
            f"{m['processor']}, {m['cores']} cores, Linux {m['kernel']}; medians of {rounds} interleaved rounds, ratios are medians of paired ones "
            f"(Tern over redis-server).{busy}")


def method():
    """What a reader needs to know to read the figures."""
    return ("One Tern shard and one `redis-server`, without persistence, each pinned to core 0; `redis-benchmark` on core 1, but at P=1 on core 0 as well, "
            "so that the server always finds a full batch, as one that is saturated does; there requests/s are those of server and load together. "
            "CPU is the scheduler's count of the server's threads (`/proc/PID/task/*/schedstat`). Every key is there before the first request, its value as large as those "
            "that are set. MSET×10 sets ten keys under one hash tag; it counts as one request. p50 and p99 of these closed loops are those of a saturated server. "
            "Differences below 5 % at P=1 and 8 % with pipelining are noise, and not called a loss.")


def document(data):
    """The whole result as a page; plots lie beside it."""
    parts = [f"# Tern beside redis-server: the {data['matrix']} matrix", caption(data), method(),
             "![CPU per request](cpu.svg)", "![Requests per second](rps.svg)", closed_table(data["closed"])]
    if data["open"]:
        parts += ["## Latency under an open loop", open_method(), "![Latency by rate](latency.svg)", open_table(data["open"])]
    return "\n\n".join(parts) + "\n"


def open_method():
    """How the open loop differs."""
    return ("Nine GETs to one SET of 16 bytes over 50 connections, sent at times drawn beforehand (a Poisson process), whatever the replies do. Latency counts from the "
            "intended time, so a stall is seen by every request that should have come in it. The generator is one Python thread that never sleeps; its own lateness is part of "
            "the latencies and stands in the last column. In brackets the median of the rounds' paired ratios.")
