"""What the differential rig sends: a table of commands, one generator each, and how their replies are compared.

A `Step` is one command with its comparison. Most replies must be equal byte for byte; the exceptions have a
comparison that says why (time, order, identity, intended difference). Expiries are drawn so wide that the two
servers, milliseconds apart, cannot disagree about who is later; short ones appear only in `Step`s that wait.
"""

import re

from resp import items, request, value

# Keys: a small pool, so that commands meet each other's keys.
KEYS = [b"k%d" % i for i in range(12)]
TAGGED = [b"{tag}%d" % i for i in range(8)] + [b"x{tag}y", b"{tag}"]
ODD_KEYS = [
    b"", b" ", b"\0", b"\r\n", b"{}", b"{}a", b"{", b"}{a}", b"a{b}{c}", b"{{a}}", b"\xff\xfe\x00binary", b"key with space", b"K0", b"*", b"[a-c]", b"\\",
    b"255" + b"k" * 252, b"256" + b"k" * 253, b"257" + b"k" * 254, b"long" + b"k" * 69996,
]  # fmt: skip
ALL_KEYS = KEYS + TAGGED + ODD_KEYS
# What a wide round fills one slot with at its start, so that tables grow, split and shrink while they are used.
WIDE = [b"{tag}w%d" % i for i in range(600)]

VALUES = [
    b"", b"0", b"1", b"-1", b"10", b"100", b"9223372036854775806", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-0", b"+1", b"01", b" 1",
    b"1 ", b"1.5", b"abc", b"\r\n", b"\0", b"a" * 44, b"a" * 45, b"a" * 255, b"b" * 256, b"c" * 16383, b"d" * 16384, b"e" * 40000, b"123456789012345678901", b"nan",
]  # fmt: skip
INTEGERS = [b"0", b"1", b"-1", b"7", b"100", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"", b"abc", b"1.0", b" 1", b"01", b"-", b"--1", b"1e3", b"99999999999999999999999"]
PATTERNS = [b"*", b"k*", b"k?", b"k[0-3]", b"k[^0-3]", b"{tag}*", b"\\*", b"*[", b"[", b"?", b"", b"nothing*", b"k1", b"*\xff*", b"[a-", b"k[3-0]", b"**", b"*k*k*"]


class Step:
    """A command, how its two replies are compared, and whether it must be sent alone (`alone`), waits after its reply (`wait`, seconds), ends the connection (`ends`), or comes from a second client (`other`, alone)."""

    __slots__ = ("arguments", "compare", "alone", "wait", "ends", "whole", "other")

    def __init__(self, arguments, compare=None, alone=False, wait=0.0, ends=False, whole=False, other=False):
        self.arguments = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
        self.compare, self.alone, self.wait, self.ends, self.whole, self.other = compare or exact, alone or other, wait, ends, whole, other

    def __repr__(self):
        def show(a):
            return repr(a)[1:] if len(a) <= 60 else f"{a[:12]!r}[1:]…({len(a)} bytes)"

        return ("(other client) " if self.other else "") + " ".join(show(a) for a in self.arguments)


# Comparisons: (redis's reply, Tern's reply) → equal enough? A name is what a report shows.


def exact(a, b):
    return a == b


def same_kind(a, b):
    """The same type of reply, errors equal: ids, random keys, clocks."""
    if a[:1] == b"-" or b[:1] == b"-":
        return a == b
    return a[:1] == b[:1] and (value(a) is None) == (value(b) is None)


def near(tolerance):
    """Integers that may differ by `tolerance`, for figures of time; the special ones (-1, -2) must be equal."""

    def compare(a, b):
        if a[:1] != b":" or b[:1] != b":" or value(a) < 0 or value(b) < 0:
            return a == b
        return abs(value(a) - value(b)) <= tolerance

    compare.__name__ = f"near({tolerance})"
    return compare


def as_set(a, b):
    """Arrays whose order is nobody's business: the same items, each once."""
    if a[:1] != b[:1] or a[:1] == b"-":
        return a == b
    return sorted(value(a)) == sorted(value(b))


def same_count(a, b):
    """Arrays of which only some of many are asked for: which ones is nobody's business."""
    if a[:1] != b[:1] or a[:1] == b"-":
        return a == b
    return len(value(a)) == len(value(b))


def scan_shape(a, b):
    """One call of SCAN: what is in it is the server's choice, so only errors and the shape are compared."""
    if a[:1] == b"-" or b[:1] == b"-":
        return a == b
    return a[:1] == b[:1] == b"*" and isinstance(value(b), list) and len(value(b)) == 2 and value(b)[0].isdigit() and isinstance(value(b)[1], list)


def client_info(a, b):
    """CLIENT INFO: the fields that speak of what the client did; ids, addresses and memory are the server's own."""
    if a[:1] == b"-" or b[:1] == b"-":
        return a == b
    fields = lambda reply: dict(f.split(b"=", 1) for f in value(reply).split())
    left, right = fields(a), fields(b)
    return a[:1] == b[:1] and all(left[f] == right.get(f) for f in (b"name", b"flags", b"db", b"sub", b"psub", b"multi", b"user", b"resp", b"cmd"))


def command_info(a, b):
    """COMMAND INFO: arity, first and last key, step exactly; flags and categories as sets. Tips, key specifications and subcommands vary between versions and are not compared."""
    if a[:1] == b"-" or b[:1] == b"-":
        return a == b

    def facts(reply):
        return [c and (c[0], c[1], sorted(c[2]), c[3:6], sorted(c[6])) for c in value(reply)]

    return facts(a) == facts(b)


def replies_of(steps):
    """EXEC's array: each reply is compared as its command's would be outside. Where more was queued than the caller knows of, the kinds."""

    def compare(a, b):
        if a[:1] != b"*" or b[:1] != b"*":
            return False
        left, right = items(a), items(b)
        if len(left) != len(right):
            return False
        if len(left) != len(steps):
            return all(x[:1] == y[:1] for x, y in zip(left, right))
        return all(x == y or s.compare(x, y) or masked(x) == masked(y) for s, x, y in zip(steps, left, right))

    return compare


# Generators: each is given a random source (its `wide` says whether the round is) and draws one command, valid or not.


def case(r, word):
    """A command's or option's name in some case."""
    if isinstance(word, str):
        word = word.encode()
    pick = r.random()
    if pick < 0.6:
        return word
    if pick < 0.8:
        return word.lower()
    return bytes(c ^ 0x20 if chr(c).isalpha() and r.random() < 0.5 else c for c in word)


def key(r):
    if r.tagged:
        return r.choice(TAGGED)
    if r.wide and r.random() < 0.5:
        return r.choice(WIDE)
    pick = r.random()
    return r.choice(KEYS) if pick < 0.6 else r.choice(TAGGED) if pick < 0.8 else r.choice(ODD_KEYS)


def keys(r, most=6):
    """Several keys: of one slot, one key repeated, or of any slots."""
    count, pick = r.randint(1, most), r.random()
    if r.tagged:
        return [r.choice(TAGGED) for _ in range(count)]
    if r.wide and pick < 0.3:
        return r.sample(WIDE, count * 10)
    if pick < 0.7:
        return [r.choice(TAGGED) for _ in range(count)]
    if pick < 0.8:
        return [key(r)] * count
    return [key(r) for _ in range(count)]


def some_value(r):
    pick = r.random()
    if pick < 0.5:
        return r.choice(VALUES)
    if pick < 0.7:
        return b"%d" % r.randint(-1000000, 1000000)
    return bytes(r.getrandbits(8) for _ in range(r.randint(0, 40)))


def integer(r):
    return r.choice(INTEGERS) if r.random() < 0.7 else b"%d" % r.randint(-(1 << 62), 1 << 62)


def seconds(r):
    return b"%d" % r.randint(1000, 10**7)


def milliseconds(r):
    return b"%d" % (r.randint(1000, 10**7) * 1000 + r.randint(0, 999))


# A point of time that is the same for both servers whenever they read their clock: well past, or decades ahead.
def at_seconds(r):
    return r.choice([b"1", b"1000000000", b"%d" % r.randint(4 * 10**9, 9 * 10**9)])


def at_milliseconds(r):
    return r.choice([b"1", b"1000000000000", b"%d" % r.randint(4 * 10**12, 9 * 10**12)])


BAD_EXPIRY = [b"0", b"-1", b"abc", b"", b"1.5", b"9223372036854775807", b"9223372036854775", b"9223372036854776", b"-9223372036854775808", b"92233720368547758070"]


def expiry(r, good):
    return good(r) if r.random() < 0.75 else r.choice(BAD_EXPIRY)


def set_options(r):
    words = []
    for _ in range(r.choice([0, 0, 0, 1, 1, 1, 2, 2, 3, 4])):
        word = r.choice(["NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "EX", "PX", "bogus", ""] if r.random() < 0.9 else ["EX", "NXX", "GE"])
        words.append(case(r, word))
        good = {"EX": seconds, "PX": milliseconds, "EXAT": at_seconds, "PXAT": at_milliseconds}.get(word)
        if good and r.random() < 0.95:
            words.append(expiry(r, good))
    return words


def expire(r, name):
    good = seconds if name == "EXPIRE" else milliseconds
    amount = good(r) if r.random() < 0.8 else r.choice([b"-1", b"0", b"abc", b"", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775", b"1.5"])
    options = [case(r, r.choice(["NX", "XX", "GT", "LT", "BAD"])) for _ in range(r.choice([0, 0, 1, 1, 1, 2, 3]))]
    return Step([case(r, name), key(r), amount, *options])


def pairs(r, most=5):
    return [x for k in keys(r, most) for x in (k, some_value(r))]


def hello_step(r):
    words = [case(r, "HELLO")]
    if r.random() < 0.9:
        words.append(r.choice([b"2", b"3", b"3", b"2", b"4", b"1", b"0", b"-1", b"abc", b"", b"3.0", b"99999999999999999999"]))
    for _ in range(r.choice([0, 0, 0, 1, 1, 2])):
        words += r.choice([[b"AUTH", b"default", b"anything"], [b"AUTH", b"nobody", b"x"], [b"AUTH", b"default"], [b"SETNAME", b"name"], [b"setname", b"bad name"], [b"SETNAME", b""], [b"SETNAME"], [b"BOGUS"], [b"auth"]])
    return Step(words)


def scan_options(r):
    words = []
    for _ in range(r.choice([0, 1, 1, 2, 3])):
        words += r.choice([[b"MATCH", r.choice(PATTERNS)], [case(r, "COUNT"), r.choice([b"1", b"3", b"10", b"1000"])], [b"TYPE", r.choice([b"string", b"STRING", b"list", b"hash", b"nothing"])]])
    return words


def scan_step(r):
    if r.random() < 0.5:
        return Step([case(r, "SCAN"), b"0", *scan_options(r)], as_set, alone=True, whole=True)
    bad = r.choice([[b"abc"], [b"-1"], [b""], [b"1.5"], [b"0", b"COUNT"], [b"0", b"COUNT", b"0"], [b"0", b"COUNT", b"-1"], [b"0", b"COUNT", b"abc"], [b"0", b"MATCH"], [b"0", b"BOGUS", b"1"], [b"0", b"TYPE"], [b"99999999999999999999999"], [b" 0"]])
    return Step([case(r, "SCAN"), *bad], scan_shape)


def counted(r):
    """Commands that count or list keys: the caller touches every key before, because a key past its time may be counted until someone looks."""
    name = r.choice(["DBSIZE", "KEYS", "RANDOMKEY", "COUNTKEYSINSLOT", "GETKEYSINSLOT"])
    slots = [b"0", b"8338", b"16383", b"16384", b"-1", b"abc", b""]  # 8338 is {tag}'s
    if name == "DBSIZE":
        return Step([case(r, name)], alone=True)
    if name == "KEYS":
        return Step([case(r, name), r.choice(PATTERNS)], as_set, alone=True)
    if name == "RANDOMKEY":
        return Step([case(r, name)], same_kind, alone=True)
    if name == "COUNTKEYSINSLOT":
        return Step([case(r, "CLUSTER"), case(r, name), r.choice(slots)], alone=True)
    count = r.choice([b"0", b"1", b"3", b"100000", b"-1", b"abc", b"2147483648"])
    return Step([case(r, "CLUSTER"), case(r, name), r.choice(slots), count], same_count if count in (b"1", b"3") else as_set, alone=True)


def object_step(r):
    word = r.choice(["ENCODING", "ENCODING", "ENCODING", "HELP", "REFCOUNT", "FREQ", "IDLETIME", "BOGUS", ""])
    extra = [] if word == "HELP" else [key(r)] * r.choice([1, 1, 1, 1, 0, 2])
    compare = {"REFCOUNT": same_kind, "IDLETIME": near(2)}.get(word)
    return Step([case(r, "OBJECT"), case(r, word), *extra], compare)


def client_step(r):
    return r.choice([
        lambda: Step([case(r, "CLIENT"), case(r, "ID")], same_kind),
        lambda: Step([case(r, "CLIENT"), case(r, "GETNAME")]),
        lambda: Step([case(r, "CLIENT"), case(r, "SETNAME"), r.choice([b"me", b"you", b"", b"with space", b"new\nline", b"\xff", b"n" * 300])]),
        lambda: Step([case(r, "CLIENT"), case(r, "INFO")], client_info),
        lambda: Step([b"CLIENT", r.choice([b"BOGUS", b"", b"GETNAME", b"SETNAME", b"ID"]), *[b"x"] * r.randint(0, 3)], same_kind),
    ])()  # fmt: skip


NAMES = ["get", "set", "mget", "mset", "incr", "decr", "incrby", "decrby", "append", "strlen", "del", "unlink", "exists", "type", "expire", "pexpire", "ttl", "pttl", "persist", "scan", "dbsize", "randomkey", "flushall", "flushdb", "ping", "echo", "hello", "select", "quit", "reset", "time", "multi", "exec", "discard", "watch", "unwatch"]  # fmt: skip


def command_step(r):
    return r.choice([
        lambda: Step([case(r, "COMMAND"), case(r, "COUNT")], same_kind),
        lambda: Step([case(r, "COMMAND"), case(r, "INFO"), *r.choices(NAMES + ["nosuchcommand", "GET", ""], k=r.randint(1, 4))], command_info),
        lambda: Step([case(r, "COMMAND"), case(r, "GETKEYS"), *r.choice([["GET", "a"], ["MSET", "a", "1", "b", "2"], ["MSET", "a"], ["DEL", "a", "b", "a"], ["PING"], ["nosuch", "a"], ["GET"], ["SET", "k", "v", "EX", "1"], ["mget", "x", "y"], ["SCAN", "0"], ["WATCH", "a", "b"]])]),
        lambda: Step([b"COMMAND", r.choice([b"BOGUS", b"COUNT", b"GETKEYS"]), *[b"x"] * r.randint(0, 2)], same_kind),
    ])()  # fmt: skip


def flush(r):
    extra = r.choice([[], [], [case(r, "ASYNC")], [case(r, "SYNC")], [b"BOGUS"], [b"ASYNC", b"SYNC"], [b""]])
    return Step([case(r, r.choice(["FLUSHALL", "FLUSHDB"])), *extra])


def cluster_step(r):
    return r.choice([
        lambda: Step([case(r, "CLUSTER"), case(r, "KEYSLOT"), key(r)]),
        lambda: Step([case(r, "CLUSTER"), case(r, "MYID")], same_kind),
        lambda: Step([case(r, "CLUSTER"), r.choice([b"BOGUS", b"KEYSLOT", b"COUNTKEYSINSLOT", b"GETKEYSINSLOT", b"MYID", b""]), *[b"x"] * r.choice([0, 3, 4])], same_kind),
    ])()  # fmt: skip


def unknown(r):
    name = r.choice([b"NOSUCH", b"nosuch", b"", b"GETT", b"\xff\x00", b"get\r\n", b"n" * 200, b"'quoted'", b"SET "])
    return Step([name, *[r.choice([b"a", b"b c", b"", b"\r\n", b"\x01", b"y" * 200, b"z" * 120]) for _ in range(r.randint(0, 5))]])


def wrong_arity(r):
    name = r.choice(["GET", "SET", "MGET", "MSET", "INCR", "DECR", "INCRBY", "DECRBY", "APPEND", "STRLEN", "DEL", "UNLINK", "EXISTS", "TYPE", "EXPIRE", "PEXPIRE", "TTL", "PTTL", "PERSIST", "SCAN", "DBSIZE", "RANDOMKEY", "PING", "ECHO", "SELECT", "TIME", "OBJECT", "CLUSTER", "CONFIG", "KEYS", "CLIENT"])  # fmt: skip
    count = r.choice([0, 0, 1, 3, 4])
    # Counts that happen to be right: EXPIRE's third, SCAN's and the like, would be valid commands with odd arguments; that is fine too.
    compare = same_kind if name in ("DBSIZE", "RANDOMKEY", "TIME", "TTL", "PTTL", "CLIENT", "CLUSTER") else scan_shape if name == "SCAN" else exact
    return Step([case(r, name), *[b"{tag}%d" % i for i in range(count)]], compare)


def expires_now(r):
    """A key that is gone a moment later; the rig waits for it before it goes on."""
    k, ms = key(r), r.randint(1, 15)
    return r.choice([
        lambda: Step([b"SET", k, b"v", b"PX", b"%d" % ms], alone=True, wait=ms / 1000 + 0.003),
        lambda: Step([b"PEXPIRE", k, b"%d" % ms], alone=True, wait=ms / 1000 + 0.003),
    ])()  # fmt: skip


def inner(r):
    """A command that may stand anywhere, also in a transaction."""
    while True:
        step = r.choices(GENERATORS, WEIGHTS)[0](r)
        if not isinstance(step, list) and not step.alone:
            return step


def from_other(r):
    """A command, as a rule one that writes, from a second client; sometimes a transaction of its own."""
    if r.random() < 0.8:
        k = key(r)
        words = r.choice([["SET", k, some_value(r)], ["SET", k, b"v", "PXAT", 1], ["DEL", *keys(r)], ["MSET", *pairs(r)], ["GET", k], ["INCR", k], ["APPEND", k, b""], ["EXPIRE", k, 1000], ["PEXPIRE", k, -1], ["PERSIST", k], ["FLUSHALL"], ["SET", k, b"v", "NX"], ["SET", k, b"v", "XX"], ["EXPIRE", k, 1, "XX"], ["UNLINK", k, k]])  # fmt: skip
        return [Step(words, other=True)]
    steps = [inner(r) for _ in range(r.randint(1, 4))]
    others = [Step(s.arguments, s.compare, other=True) for s in steps]
    return [Step([b"MULTI"], other=True), *others, Step([b"EXEC"], replies_of(steps), other=True)]


def transaction(r):
    """WATCH, changes by this client and a second one, MULTI, commands, an end; as a rule all keys in one slot."""
    r.tagged = r.random() < 0.85
    steps, queued = [], []
    if r.random() < 0.2:
        steps.append(Step([b"SET", key(r), b"past", b"PXAT", b"1"]))
    for _ in range(r.choice([0, 0, 1, 1, 2])):
        steps.append(Step([case(r, "WATCH"), *keys(r)]))
        for _ in range(r.choice([0, 0, 1, 2])):
            steps += from_other(r) if r.random() < 0.7 else [inner(r)]
    if r.random() < 0.07:
        steps.append(Step([case(r, "UNWATCH")]))
    steps.append(Step([case(r, "MULTI")]))
    for _ in range(r.choice([0, 1, 1, 2, 3, 5, 8, 20])):
        pick = r.random()
        if pick < 0.03:
            steps.append(Step([case(r, r.choice(["MULTI", "WATCH"])), *r.choice([[], [key(r)]])]))
        elif pick < 0.06:
            steps += from_other(r)
        else:
            step = inner(r) if pick < 0.95 else Step([case(r, "UNWATCH")])
            steps.append(step)
            queued.append(step)
    if r.random() < 0.95:
        end = r.choices([["EXEC"], ["DISCARD"], ["RESET"], ["EXEC", "x"], ["DISCARD", "x"], ["SHUTDOWN", "BOGUS"]], [85, 7, 2, 2, 2, 2])[0]
        steps.append(Step([case(r, end[0]), *end[1:]], replies_of(queued) if end == ["EXEC"] else None))
        if end != ["EXEC"]:
            steps.append(Step([b"EXEC"], replies_of(queued)))
    r.tagged = False
    return steps


def expires_watched(r):
    """A watched key that is past its time at EXEC; far enough ahead that both servers see it alive at WATCH."""
    k = key(r)
    return [Step([b"SET", k, b"v", b"PX", b"150"], alone=True), Step([b"WATCH", k], alone=True, wait=0.155), *[Step([b"GET", k])] * r.randint(0, 1), Step([b"MULTI"]), Step([b"PING"]), Step([b"EXEC"])]


# Weight and generator of every command.
TABLE = [
    (14, lambda r: Step([case(r, "GET"), key(r)])),
    (18, lambda r: Step([case(r, "SET"), key(r), some_value(r), *set_options(r)])),
    (8, lambda r: Step([case(r, "SET"), key(r), r.choice([b"1", b"41", b"-7", b"9223372036854775800", some_value(r)])])),
    (5, lambda r: Step([case(r, "MGET"), *keys(r)])),
    (5, lambda r: Step([case(r, "MSET"), *pairs(r), *([b"{tag}odd"] if r.random() < 0.1 else [])])),
    (4, lambda r: Step([case(r, r.choice(["INCR", "DECR"])), key(r)])),
    (5, lambda r: Step([case(r, r.choice(["INCRBY", "DECRBY"])), key(r), integer(r)])),
    (5, lambda r: Step([case(r, "APPEND"), key(r), some_value(r)])),
    (4, lambda r: Step([case(r, "STRLEN"), key(r)])),
    (5, lambda r: Step([case(r, r.choice(["DEL", "UNLINK"])), *keys(r)])),
    (4, lambda r: Step([case(r, "EXISTS"), *keys(r)])),
    (2, lambda r: Step([case(r, "TYPE"), key(r)])),
    (6, lambda r: expire(r, "EXPIRE")),
    (6, lambda r: expire(r, "PEXPIRE")),
    (4, lambda r: Step([case(r, "TTL"), key(r)], near(2))),
    (4, lambda r: Step([case(r, "PTTL"), key(r)], near(3000))),
    (3, lambda r: Step([case(r, "PERSIST"), key(r)])),
    (1, scan_step),
    (1, counted),
    (0.2, flush),
    (4, object_step),
    (1, lambda r: Step([case(r, "PING"), *r.choice([[], [], [b"hi"], [b""], [b"a", b"b"], [some_value(r)]])])),
    (1, lambda r: Step([case(r, "ECHO"), some_value(r)])),
    (1, hello_step),
    (0.5, lambda r: Step([case(r, "SELECT"), r.choice([b"0", b"0", b"1", b"15", b"16", b"-1", b"abc", b"", b"99999999999"])])),
    (0.1, lambda r: Step([case(r, "QUIT")], alone=True, ends=True)),
    (0.4, lambda r: Step([case(r, "RESET")])),
    (0.5, lambda r: Step([case(r, "ASKING")])),
    (0.5, lambda r: Step([case(r, r.choice(["READONLY", "READWRITE"]))])),
    (0.5, lambda r: Step([case(r, "AUTH"), *r.choice([[b"x"], [b"default", b"x"], [b"nobody", b"x"], [b"a", b"b", b"c"]])])),
    (1.5, client_step),
    (1, command_step),
    (0.5, lambda r: Step([case(r, "CONFIG"), case(r, "GET"), r.choice([b"save", b"appendonly", b"APPENDONLY", b"nosuchparameter", b"timeout", b"maxmemory"])], as_set)),
    (0.3, lambda r: Step([case(r, "TIME")], same_kind)),
    (1.5, cluster_step),
    (1.5, unknown),
    (2, wrong_arity),
    (0.3, expires_now),
    (5, transaction),
    (0.02, expires_watched),
    (0.7, lambda r: Step([case(r, r.choice(["EXEC", "DISCARD", "UNWATCH", "EXEC"])), *r.choice([[], [], [], [b"x"]])], replies_of([]))),
]
WEIGHTS = [weight for weight, _ in TABLE]
GENERATORS = [generator for _, generator in TABLE]


def fill_wide(r):
    """The commands that a wide round begins with."""
    return [Step([b"MSET", *[x for k in WIDE[i : i + 50] for x in (k, some_value(r))]]) for i in range(0, len(WIDE), 50)]


def draw(r):
    """The next command, and before one that counts keys a look at every key."""
    step = r.choices(GENERATORS, WEIGHTS)[0](r)
    if isinstance(step, list):
        return step
    if step.alone and not step.ends and not step.wait:
        return [Step([b"EXISTS", k]) for k in ALL_KEYS] + [Step([b"EXISTS", *WIDE])] * r.wide + [step]
    return [step]


# Raw bytes on a connection of their own, ended by the client: both servers must answer the same and close.
RAW = [
    b"\r\n", b"\r\n\r\nPING\r\n", b"PING\r\n", b"ping hello\r\n", b"PING\n", b"  PING  \r\n", b"SET ik \"a\\x41\\n b\"\r\nGET ik\r\n", b"SET ik 'a\\'b'\r\nGET ik\r\n", b"SET ik \"abc\r\n",
    b"SET ik 'abc\r\n", b"SET ik \"a\"b\r\n", b"GET ik extra words\r\n", b"\0\r\n", b"nosuch\r\n", b"*0\r\nPING\r\n", b"*-1\r\nPING\r\n", b"*-5\r\nPING\r\n", b"*abc\r\n", b"*\r\nPING\r\n",
    b"*1048577\r\n", b"*2147483648\r\n", b"*9223372036854775808\r\n", b"*1\r\nPING\r\n", b"*1\r\n+PING\r\n", b"*1\r\n:1\r\n", b"*1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$abc\r\n",
    b"*1\r\n$\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$9223372036854775808\r\n", b"*1\r\n$4 \r\nPING\r\n", b"*1\r\n$+4\r\nPING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*01\r\n$4\r\nPING\r\n", b"*+1\r\n$4\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\n", b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", b"*1\r\n$4\r\nPINGxx", b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", b"*1\r\n$4\r\nPI", b"*2\r\n$3\r\nGET\r\n", b"*", b"*1", b"*1\r", b"*1\r\n$4\r\nPING\r",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"*1\r\n$5\r\nHost:\r\n", b"PING\r\n*1\r\n$4\r\nPING\r\nPING x\r\n",
    b"x" * 70000, b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"x" * 65535 + b"\r\n", b"%1\r\n$4\r\nPING\r\n", b"_\r\n", b"#t\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*3\r\n$3\r\nSET\r\n$2\r\nik\r\n$-1\r\n",
    b"*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET\r\n$2\r\nik\r\n", b"HELLO 3\r\nGET nokey\r\nRESET\r\nGET nokey\r\n", b"HELLO 3 SETNAME n\r\nCLIENT GETNAME\r\nRESET\r\nCLIENT GETNAME\r\n", b"QUIT now please\r\nPING\r\n",
]  # fmt: skip


def draw_raw(r):
    """Raw bytes: a case of the list, or several valid requests with a few bytes changed."""
    if r.random() < 0.3:
        return r.choice(RAW)
    data = bytearray(b"".join(request(*r.choice([(b"PING",), (b"GET", b"rk"), (b"SET", b"rk", b"v"), (b"ECHO", b"hello"), (b"STRLEN", b"rk"), (b"MGET", b"rk", b"rk")])) for _ in range(r.randint(1, 4))))
    for _ in range(r.randint(1, 3)):
        at = r.randrange(len(data))
        change = r.random()
        if change < 0.4:
            data[at] = r.choice([*b"*$:+-0123456789\r\n abc\"'", r.getrandbits(8)])
        elif change < 0.7:
            del data[at : at + r.randint(1, 4)]
        else:
            data[at:at] = r.choice([b"\r\n", b"*", b"$", b"0", b"9", b" ", b"\n", b"-1", b"*1\r\n", b"$1\r\n"])
        if not data:
            break
    return bytes(data)


# Where Tern differs on purpose. `MASKS` are taken out of both replies before anything is compared (outside of
# bulk strings that a client chose they occur in HELLO alone); `INTENDED` are single replies. Each has its reason,
# and users may read about it.
MASKS = [
    (re.compile(rb"\$7\r\nversion\r\n\$\d+\r\n[\d.]+\r\n"), b"$7\r\nversion\r\n(a version)", "Tern says 7.2.4, the highest version whose dialect it speaks"),
    (re.compile(rb"\$2\r\nid\r\n:\d+\r\n"), b"$2\r\nid\r\n(an id)", "client ids are the server's own"),
]

# (reason, does it hold for these upper-case arguments and replies?)
INTENDED = []

# The same for raw bytes that a client then closes behind.
INTENDED_RAW = [
    ("a NUL byte in a line is a byte like others; redis does not find the line's end behind it, and waits for ever", lambda data, redis, tern: b"\0" in data and tern.startswith(redis)),
]


def masked(reply):
    for pattern, stand_in, _ in MASKS:
        reply = pattern.sub(stand_in, reply)
    return reply


def intended(step, redis, tern):
    """The reason why Tern's reply to this step may be another than redis's, or None."""
    words = [a.upper() for a in step.arguments]
    return next((reason for reason, holds in INTENDED if holds(words, redis, tern)), None)


def intended_raw(data, redis, tern):
    """The reason why Tern's answer to raw bytes may be another than redis's, or None."""
    return next((reason for reason, holds in INTENDED_RAW if holds(data, redis, tern)), None)
