"""Latency by the tenth of a second while something happens to the server: an open loop whose every request is remembered.

As in `openloop` each request has its intended time and counts from it, whatever the replies before it do. Beside the
requests the same thread does what disturbs: one command at a given moment, or writes at a steady rate on a connection
of their own, in bytes that were made before."""
import collections, gc, os, select, socket, time

from .openloop import CONNECTIONS, count_replies, open_links, schedule

STEP = 0.1


class Disturber:
    """Requests on a connection of their own: (moment, bytes) in ascending order. Replies are read and not looked at, but for errors."""

    def __init__(self, port, plan):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.plan, self.next, self.rest = plan, 0, memoryview(b"")

    def advance(self, now):
        """Sends what is due, as far as the server takes it."""
        if not self.rest and self.next < len(self.plan) and self.plan[self.next][0] <= now:
            self.rest = memoryview(self.plan[self.next][1])
            self.next += 1
        if self.rest:
            try:
                self.rest = self.rest[self.socket.send(self.rest):]
            except BlockingIOError:
                pass

    def read(self):
        data = self.socket.recv(1 << 16)
        if data[:1] == b"-":
            raise RuntimeError(f"the server refused: {data[:200].decode()}")


def run(port, rate, seconds, seed, plan):
    """One run; (intended time, latency) of every request, and the generator's own lateness, in seconds."""
    requests = schedule(rate, seconds, seed)
    disturber = Disturber(port, plan)
    poll = select.epoll()
    poll.register(disturber.socket.fileno(), select.EPOLLIN)
    links, by_descriptor = open_links(port, poll)
    waiting, rest = [collections.deque() for _ in links], [b""] * len(links)
    found, lateness = [], []
    clock = time.perf_counter
    gc.disable()
    start, next_one = clock() + 0.05, 0
    deadline = start + seconds + 30
    while len(found) < len(requests):
        now = clock()
        while next_one < len(requests) and start + requests[next_one][0] <= now:
            at, request = requests[next_one]
            index = next_one % CONNECTIONS
            if links[index].send(request) != len(request):
                raise RuntimeError("a send buffer is full: the server does not keep up with this rate")
            lateness.append((at, clock() - start - at))
            waiting[index].append(at)
            next_one += 1
        disturber.advance(clock() - start)
        for descriptor, _ in poll.poll(0):
            index = by_descriptor.get(descriptor)
            if index is None:
                disturber.read()
                continue
            data = rest[index] + links[index].recv(65536)
            now = clock()
            count, used = count_replies(data)
            rest[index] = data[used:]
            for _ in range(count):
                at = waiting[index].popleft()
                found.append((at, now - start - at))
        if now > deadline:
            raise RuntimeError("replies are missing")
    gc.enable()
    for link in [*links, disturber.socket]:
        link.close()
    poll.close()
    return found, lateness


def steps(found, seconds):
    """p50, p99 and the largest of each tenth of a second of intended times, in ms."""
    groups = [[] for _ in range(round(seconds / STEP))]
    for at, latency in found:
        groups[min(int(at / STEP), len(groups) - 1)].append(latency * 1000)
    return [[round(value, 4) for value in percentiles(group)] for group in groups]


def percentiles(values):
    """p50, p99, the largest."""
    ordered = sorted(values) or [float("nan")]
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return at(0.5), at(0.99), ordered[-1]
