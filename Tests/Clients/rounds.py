"""Rounds of drawn commands: the same bytes to redis-server and to Tern, and the replies must be equal.

A *round* starts with empty keyspaces and fresh connections, alternately in RESP2 and RESP3 (two of eight with many
keys), and draws its commands from its own seed (the run's seed and the round's number): they are pipelined in
batches of random size, and the byte stream is cut at random places, sometimes with a wait in between until the
servers have seen the first part. commands.py holds the commands and says how replies are compared, and
Documentation/compatibility.md where Tern differs on purpose. In the end both have the same keys, with the same values, encodings and expiries.

On a difference the round is played again with fewer and fewer commands, until none can be left out, and what
remains is printed with both replies.
"""

import random
import time

import rig
from commands import ALL_KEYS, CHECKS, WIDE, Step, as_set, draw, fill_wide, masked, near, payload
from compatibility import excuse
from resp import Broken, request, value

ROUND = 400  # commands a round


class Difference(Exception):
    """Two replies that should be equal: of which step of the round, and what was said."""

    def __init__(self, index, step, redis, tern):
        super().__init__(f"{step}\n  redis: {rig.short(redis)}\n  tern:  {rig.short(tern)}\n  compared: {step.compare.__name__}")
        self.index, self.step, self.redis, self.tern = index, step, redis, tern


class Pair:
    """The two servers and connections to each: to Tern's first shard, or whatever `place` says."""

    place = 1
    # What wide rounds are filled with, by turns, and how many transactions have keys of several slots.
    pools, loose = (WIDE, WIDE), 0.15

    def __init__(self, redis, tern):
        self.servers = [redis, tern]
        self.sides, self.barriers, self.others = [], [], []

    def begin(self, number):
        """Called before the round of that number is drawn."""

    def fit(self, steps):
        """The steps as they are sent, one for each."""
        return steps

    def connect(self, protocol):
        self.close()
        self.sides = [s.shard(self.place, protocol=protocol) for s in self.servers]
        self.barriers = [s.shard(self.place) for s in self.servers]
        self.others = [s.shard(self.place, protocol=protocol) for s in self.servers]

    def close(self):
        for c in self.sides + self.barriers + self.others:
            c.close()
        self.sides, self.barriers, self.others = [], [], []

    def start_round(self, protocol):
        self.connect(protocol)
        for c in self.sides:
            c.ask("FLUSHALL")

    def both(self, step):
        """One step alone; the replies' bytes. A whole SCAN is made one reply of all its keys, each once."""
        found = []
        for c in self.others if step.other else self.sides:
            if step.whole and not step.instead:
                found.append(whole_scan(c, step))
            else:
                c.send(step.request(is_redis=not found))
                found.append(c.reply())
                if step.ends:
                    c.until_end()
        return found

    def batch(self, steps, r):
        """Many steps in one stream of bytes, cut in pieces; the replies of each side."""
        streams = [b"".join(s.request(is_redis) for s in steps) for is_redis in (True, False)]
        chunks = cut(r, streams[1])
        barrier = len(chunks) > 1 and r.random() < 0.3
        found = []
        for c, other, pieces in zip(self.sides, self.barriers, (chunks if streams[0] == streams[1] else streams[:1], chunks)):
            if barrier:  # The server sees the first part by itself: it has had a turn when it answers someone else.
                c.send(pieces[0])
                other.ask("PING")
                pieces = pieces[1:]
            found.append(c.exchange(pieces, len(steps)))
        return found

    def keyspaces(self, count):
        """What both have in the end, as (index, step, redis's reply, Tern's): the keys, then what there is of each."""
        looks = [Step([b"EXISTS", *keys]) for keys in (*([k] for k in ALL_KEYS), *self.pools)] + [Step([b"KEYS", b"*"], as_set), Step([b"DBSIZE"])]
        for keys in (None, sorted(value(self.barriers[0].exchange([request("KEYS", "*")], 1)[0]))):
            if keys is not None:
                looks = [look for k in keys for look in (Step([b"OBJECT", b"ENCODING", k]), Step([b"DUMP", k], payload), Step([b"GET", k]), Step([b"PTTL", k], near(5000)), Step([b"TYPE", k]))]
            replies = [c.exchange([b"".join(request(*s.arguments) for s in looks)], len(looks)) for c in self.barriers]
            yield from zip(range(count, count + len(looks)), looks, *replies)
            count += len(looks)


def whole_scan(connection, step):
    """SCAN to its end as one array reply of distinct keys."""
    seen, cursor, words = set(), b"0", step.arguments
    for _ in range(200_000):
        connection.send(request(words[0], cursor, *words[2:]))
        reply = connection.reply()
        if reply[:1] in (b"-", b"+"):  # Refused, or queued.
            return reply
        cursor, keys = value(reply)
        seen.update(keys)
        if cursor == b"0":
            return request(*sorted(seen))
    raise Broken("SCAN found no end in 200 000 calls")


def cut(r, data):
    """The stream in pieces: whole, in a few, or in tiny ones."""
    kind = r.random()
    if kind < 0.5 or len(data) < 2:
        return [data]
    if kind < 0.6 and len(data) < 2000:
        size = r.randint(1, 7)
        return [data[i : i + size] for i in range(0, len(data), size)]
    places = sorted({r.randrange(1, len(data)) for _ in range(r.randint(1, 6))})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


def judge(index, step, redis, tern):
    """Raises Difference unless the replies agree or differ on purpose."""
    if redis == tern or step.compare(redis, tern) or masked(redis) == masked(tern):
        return
    if excuse("shard", step.arguments, redis, tern, CHECKS) is None:
        raise Difference(index, step, redis, tern)


def play(pair, steps, r, protocol):
    """One round. `r` chooses batches and cuts; None sends every step alone."""
    pair.start_round(protocol)
    steps = pair.fit(steps)
    i = 0
    while i < len(steps):
        step = steps[i]
        if step.alone or r is None:
            try:
                redis, tern = pair.both(step)
            except Broken as error:
                raise Difference(i, step, "?", f"{error}") from None
            judge(i, step, redis, tern)
            if step.wait:
                time.sleep(step.wait)  # Until the key that was given milliseconds to live is past its time on both sides.
            if step.ends:
                pair.connect(protocol)
            i += 1
            continue
        size = r.choice([1, 2, 5, 16, 17, 40, 100])
        many = []
        for s in steps[i : i + size]:
            if s.alone:
                break
            many.append(s)
        try:
            redis, tern = pair.batch(many, r)
        except Broken as error:
            raise Difference(i + len(many) - 1, many[-1], "?", f"{error}") from None
        for j, s in enumerate(many):
            judge(i + j, s, redis[j] if j < len(redis) else b"(connection ended)", tern[j] if j < len(tern) else b"(connection ended)")
        i += len(many)
    try:
        for one in pair.keyspaces(len(steps)):
            judge(*one)
    except Broken as error:
        raise Difference(len(steps), Step([b"KEYS", b"*"]), "?", f"{error}") from None


def fails(pair, steps, r, protocol):
    """The difference that playing the steps shows, or None."""
    try:
        play(pair, steps, r, protocol)
    except Difference as difference:
        return difference
    return None


def shrink(pair, steps, difference, seed, protocol, seconds=20):
    """The shortest list of steps found within `seconds` that still differs; also whether cuts and batches are needed for it."""
    steps = steps[: difference.index + 1] if difference.index < len(steps) else steps
    end = time.monotonic() + seconds
    alone = fails(pair, steps, None, protocol)
    source = (lambda: None) if alone else (lambda: random.Random(seed))
    found = alone or difference
    size = max(1, len(steps) // 2)
    while time.monotonic() < end:
        i = len(steps) - size - 1
        shorter = False
        while i > -size and time.monotonic() < end:
            fewer = steps[: max(0, i)] + steps[i + size :]
            again = fails(pair, fewer, source(), protocol) if len(fewer) < len(steps) and fewer else None
            if again:
                steps, found, shorter = fewer, again, True
            i -= size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return steps, found, alone is None


def report(pair, steps, difference, seed, number, protocol):
    try:
        shortest, found, batched = shrink(pair, steps, difference, f"{seed} {number} cuts", protocol)
    except OSError:  # A server has died of it: what is known is what was sent.
        shortest, found, batched = steps[: difference.index + 1], difference, True
    lines = [f"replies differ in RESP{protocol}; repeat with --seed {seed} --round {number}", f"the shortest way there ({len(shortest)} commands{', in batches with cuts' if batched else ', one by one'}):"]
    lines += [f"    {s}" for s in pair.fit(shortest)[-40:]]
    lines.append(f"differs at: {found}")
    return "\n".join(lines)


def steps_of_round(pair, seed, number):
    r = random.Random(f"{seed} {number}")
    r.wide, r.tagged, r.loose = pair.pools[number // 8 % 2] if number % 8 >= 6 else [], False, pair.loose
    steps = fill_wide(r) if r.wide else []
    while len(steps) < ROUND:
        steps += draw(r)
    return steps


def play_rounds(pair, options, seconds, commands=None):
    """Round after round until `seconds` are over, or so many commands were sent; of --round that one alone."""
    number, done, end = options.round or 0, 0, time.monotonic() + seconds
    while done < commands if commands else time.monotonic() < end:
        protocol = 2 + number % 2
        pair.begin(number)
        steps = steps_of_round(pair, options.seed, number)
        try:
            difference = fails(pair, steps, random.Random(f"{options.seed} {number} cuts"), protocol)
        except OSError as error:
            error.add_note(f"a server has died or closed; repeat with --seed {options.seed} --round {number}")
            raise
        if difference:
            raise AssertionError(report(pair, steps, difference, options.seed, number, protocol))
        number, done = number + 1, done + len(steps)
        if options.round is not None:
            break
    print(f"        {done} commands in {number - (options.round or 0)} rounds, replies equal", flush=True)
