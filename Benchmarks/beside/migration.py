"""What clients see while slots move: latency over time as SVG, and all figures of `resharding` as Markdown."""
import math

from .plots import Drawing

COLOURS = {"p50_us": ("p50", "#1668b8"), "p99_us": ("p99", "#188038"), "p999_us": ("p99.9", "#e37400"), "max_us": ("max", "#c5221f")}
SHADE = "#fde8c8"


def panel(drawing, run, name, left, right, top, bottom, low, high):
    """One cluster's latencies, on a logarithmic axis, the migrations shaded."""
    width = run["bucket_ms"] / 1000
    last = max(bucket["at_ms"] for bucket in run["buckets"]) / 1000 + width
    x = lambda seconds: left + min(max(seconds, 0), last) / last * (right - left)
    y = lambda us: bottom - (math.log10(max(us, 10 ** low)) - low) / (high - low) * (bottom - top)
    for start, end in run["windows"]:
        # What takes milliseconds must still be seen.
        drawing.bar(x(start), top, max(x(end) - x(start), 3), bottom - top, SHADE)
    for power in range(low, high + 1):
        drawing.line(left, y(10 ** power), right, y(10 ** power))
        us = 10 ** power
        drawing.text(left - 8, y(us) + 4, f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} µs", anchor="end", size=11)
    step = max(1, round(last / 12))
    for second in range(0, int(last) + 1, step):
        drawing.line(x(second), bottom, x(second), bottom + 4)
        drawing.text(x(second), bottom + 18, f"{second} s", anchor="middle", size=11)
    for figure, (_, colour) in COLOURS.items():
        points = [(x(bucket["at_ms"] / 1000 + width / 2), y(bucket[figure])) for bucket in run["buckets"] if bucket["count"]]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        drawing.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    drawing.text(left, top - 8, name, weight="bold")


def drawing(data):
    """Tern above, the Redis Cluster below, both on the same axis."""
    runs = [(data[key], name) for key, name in (("timeline_tern", "Tern: 4 → 8 → 4 shards, 8192 slots each time"), ("timeline_redis", "redis-server × 4: redis-cli --cluster rebalance")) if key in data]
    if "timeline_redis" in data:
        runs[-1] = (runs[-1][0], runs[-1][1] + f", {data['timeline_redis']['moved']['slots']} slots")
    sheet = Drawing(900, 70 + 260 * len(runs), "Latency of clients while slots move, from the intended time")
    largest = max(bucket["max_us"] for run, _ in runs for bucket in run["buckets"])
    low, high = 1, max(3, math.ceil(math.log10(max(largest, 1000))))
    for place, (run, name) in enumerate(runs):
        panel(sheet, run, name, 80, 780, 70 + 260 * place, 270 + 260 * place, low, high)
    for place, (name, colour) in enumerate(COLOURS.values()):
        sheet.line(800, 80 + 22 * place, 826, 80 + 22 * place, colour, 2)
        sheet.text(832, 84 + 22 * place, name)
    sheet.bar(800, 160, 26, 12, SHADE)
    sheet.text(832, 171, "slots move")
    return sheet.svg()


def document(data):
    """The figures as a page."""
    parts = ["# Slots that move under load"]
    quiet = max(data["load_average"].values())
    parts.append(f"{data['taken'][:10]}, Tern {data['versions']['tern']} on {data['workers']} workers, redis-server {data['versions']['redis']}, {data['machine']['cores']} cores, Linux {data['machine']['kernel']}, "
                 f"load average {data['load_average']['before']:.1f} before, {data['load_average'].get('after', 0):.1f} after. Load: {data['clients']} clients that follow redirects, nine GETs to one SET of 64 bytes; "
                 f"paced: {data['rate']:,} commands/s, latencies from the intended time; closed loop: as many as go, on the same cores as the servers.")
    if "timeline_tern" in data or "timeline_redis" in data:
        parts.append("![Latency over time](resharding.svg)")
    if "resize" in data:
        lines = ["## 4 → 8 → 4 shards", "| load | keys | to | ms, all of it | slots | longest pause µs | server p99.9 GET µs, second before → from it on | SET | failed | most redirects of a command | clients' p99.9 ms |",
                 "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
        for run in data["resize"]:
            for resize in run["resizes"]:
                b, d, c = resize["server_before"], resize["server_during"], run["clients"]
                server = [f"{b.get(f'{n}_p99.9', 0):.1f} → {d.get(f'{n}_p99.9', 0):.1f}" for n in ("get", "set")] if c else ["", ""]
                lines.append(f"| {run['load']} | {run['keys']:,} | {resize['to']} | {resize['ms']:.1f} | {resize['slots']} | {resize['longest_pause_us']} | {server[0]} | {server[1]} "
                             + (f"| {c['failed']} of {c['done']:,} | {c['most_redirects']} | {c['all']['p999_us'] / 1000:.2f} |" if c else "| | | |"))
        parts += [lines[0], "\n".join(lines[1:])]
        parts.append("All of it: from the command received until every shard answers from the final map and `nodes.conf` is synced. Longest pause: how long a slot was held by nobody.")
    if "slot" in data:
        parts += ["## One slot with many keys", "| load | keys | held by nobody, µs: median, max | not served to a client in a closed loop, µs: median, max | 1000 GETs before → after, p50 µs | p99 µs |\n| --- | ---: | ---: | ---: | ---: | ---: |\n" + "\n".join(
            f"| {s['load']} | {s['keys']:,} | {s['pause_median_us']:.0f}, {s['pause_max_us']} | {s['gap_median_us']:.0f}, {s['gap_max_us']:.0f} | {s['p50_before_us']:.1f} → {s['p50_after_us']:.1f} | {s['p99_before_us']:.1f} → {s['p99_after_us']:.1f} |" for s in data["slot"])]
    if "times" in data:
        rows = [f"| {name} | " + (f"not possible: {t['refused']} |" if "refused" in t else f"{t['per_1000_slots_s']:.4f} |") for name, t in data["times"].items() if isinstance(t, dict)]
        parts += ["## Seconds for 1000 slots", f"{data['times']['keys']:,} keys of 64 bytes on four shards, no load.", "| way | s |\n| --- | ---: |\n" + "\n".join(rows)]
    if "timeline_redis" in data:
        t = data["timeline_redis"]
        c = t["clients"]
        parts.append(f"Redis Cluster under the paced load: {t['moved']['slots']} slots in {t['moved']['seconds']:.1f} s, {c['failed']} of {c['done']:,} commands failed, {c['asks']:,} ASK, p99.9 {c['all']['p999_us'] / 1000:.2f} ms.")
    return "\n\n".join(parts) + "\n"
