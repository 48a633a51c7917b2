"""Latency under an open loop: requests are sent at times that were drawn beforehand, whatever the replies do.

A closed loop sends its next request when a reply has come, so a server that stalls is asked less while it stalls, and
the stall is seen by one request a client instead of by all that would have come: coordinated omission. Here every
request has its intended time, from a Poisson process of the given rate and a fixed seed, and its latency counts from
that time, not from the time at which it was sent. A request whose connection still waits for replies is sent all the
same. How late the generator itself was is recorded beside the latencies: where that is large, the generator was the
bottleneck and the figures are no statement about the server."""
import collections, os, random, select, socket, statistics, time

from .servers import encode

CONNECTIONS, KEYS = 50, 20_000


def schedule(rate, seconds, seed):
    """Intended times, ascending, in seconds from the start; nine of ten requests are GETs."""
    draws, at, times = random.Random(seed), 0.0, []
    while True:
        at += draws.expovariate(rate)
        if at >= seconds:
            break
        key = b"key:%012d" % draws.randrange(KEYS)
        times.append((at, encode(("SET", key, b"x" * 16) if draws.random() < 0.1 else ("GET", key))))
    return times


def count_replies(data):
    """How many whole replies `data` begins with (simple ones and bulks), and their bytes."""
    count = at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return count, at
        if data[at:at + 1] == b"$" and data[at:at + 3] != b"$-1":
            end += 2 + int(data[at + 1:end])
            if end + 2 > len(data):
                return count, at
        elif data[at:at + 1] == b"-":
            raise RuntimeError(f"the server refused: {data[at:end].decode()}")
        count, at = count + 1, end + 2


def open_links(port, poll):
    """The connections of a load, known to `poll`, and the place of each by its descriptor."""
    links, by_descriptor = [], {}
    for index in range(CONNECTIONS):
        link = socket.create_connection(("127.0.0.1", port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setblocking(False)
        poll.register(link.fileno(), select.EPOLLIN)
        by_descriptor[link.fileno()] = index
        links.append(link)
    return links, by_descriptor


def run(port, rate, seconds, seed):
    """One run; the percentiles of latency and of the generator's own lateness, in ms."""
    plan = schedule(rate, seconds, seed)
    poll = select.epoll()
    links, by_descriptor = open_links(port, poll)
    waiting, rest = [collections.deque() for _ in links], [b""] * len(links)
    latencies, lateness = [], []
    clock = time.perf_counter
    start, next_one, done = clock() + 0.05, 0, 0
    deadline = start + seconds + 10
    while done < len(plan):
        # No sleep: epoll's time-out is in whole milliseconds, which is longer than what is measured.
        now = clock()
        while next_one < len(plan) and start + plan[next_one][0] <= now:
            at, request = plan[next_one]
            index = next_one % CONNECTIONS
            if links[index].send(request) != len(request):
                raise RuntimeError("a send buffer is full: the server does not keep up with this rate")
            lateness.append(clock() - start - at)
            waiting[index].append(start + at)
            next_one += 1
        for descriptor, _ in poll.poll(0):
            index = by_descriptor[descriptor]
            data = links[index].recv(65536)
            now = clock()
            if not data:
                raise RuntimeError("the server closed a connection")
            data = rest[index] + data
            count, used = count_replies(data)
            rest[index] = data[used:]
            for _ in range(count):
                latencies.append(now - waiting[index].popleft())
            done += count
        if now > deadline:
            raise RuntimeError("replies are missing")
    for link in links:
        link.close()
    poll.close()
    return {"requests": len(plan), **percentiles(latencies, ""), **percentiles(lateness, "late_")}


def percentiles(seconds, prefix):
    """p50, p99, p99.9 and the largest, in ms."""
    ordered = sorted(seconds)
    at = lambda share: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 4)
    return {f"{prefix}p50_ms": at(0.5), f"{prefix}p99_ms": at(0.99), f"{prefix}p999_ms": at(0.999),
            f"{prefix}max_ms": round(ordered[-1] * 1000, 4)}


def measure(servers, rates, rounds, seconds, say):
    """Every rate, both servers in turn in every round, with the same schedule; medians over the rounds."""
    for server in servers:
        link = server.link()
        link("FLUSHALL")
        link.fill(KEYS, b"x" * 16)
        link.close()
    os.sched_setaffinity(0, {1})  # the servers are on core 0
    results = []
    for rate in rates:
        result = {"rate": rate, "seconds": seconds, "connections": CONNECTIONS, "rounds": []}
        for number in range(rounds):
            order = servers if number % 2 == 0 else servers[::-1]
            result["rounds"].append({server.name: run(server.port, rate, seconds, number) for server in order})
        names = [name for name in result["rounds"][0]["tern"] if name.endswith("_ms")]
        result["median"] = {server: {name: statistics.median(r[server][name] for r in result["rounds"]) for name in names}
                            for server in ("redis", "tern")}
        result["ratio"] = {name: statistics.median(r["tern"][name] / max(r["redis"][name], 1e-6) for r in result["rounds"])
                           for name in names}
        results.append(result)
        m = result["median"]
        say(f"{rate}/s: p50 {m['redis']['p50_ms']:.3f} -> {m['tern']['p50_ms']:.3f}, p99 {m['redis']['p99_ms']:.3f} -> "
            f"{m['tern']['p99_ms']:.3f} ms (generator late by p99 {m['tern']['late_p99_ms']:.3f})")
    return results
