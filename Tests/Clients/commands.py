"""What the differential rig sends: a table of commands, one generator each, and how their replies are compared.

A `Step` is one command with its comparison. Most replies must be equal byte for byte; the exceptions have a
comparison that says why (time, order, identity). Intended differences are compatibility.py's. Expiries are drawn so wide that the two
servers, milliseconds apart, cannot disagree about who is later; short ones appear only in `Step`s that wait.
"""

import re

import admin_server
import admin_config
from payloads import body, broken, footed
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
# The same over many slots.
SPREAD = [b"w%d" % i for i in range(600)]

VALUES = [
    b"", b"0", b"1", b"-1", b"10", b"100", b"9223372036854775806", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-0", b"+1", b"01", b" 1",
    b"1 ", b"1.5", b"abc", b"\r\n", b"\0", b"a" * 44, b"a" * 45, b"a" * 255, b"b" * 256, b"c" * 16383, b"d" * 16384, b"e" * 40000, b"123456789012345678901", b"nan",
]  # fmt: skip
INTEGERS = [b"0", b"1", b"-1", b"7", b"100", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"", b"abc", b"1.0", b" 1", b"01", b"-", b"--1", b"1e3", b"99999999999999999999999"]
PATTERNS = [b"*", b"k*", b"k?", b"k[0-3]", b"k[^0-3]", b"{tag}*", b"\\*", b"*[", b"[", b"?", b"", b"nothing*", b"k1", b"*\xff*", b"[a-", b"k[3-0]", b"**", b"*k*k*"]


class Step:
    """A command, how its two replies are compared, and whether it must be sent alone (`alone`), waits after its reply (`wait`, seconds), ends the connection (`ends`), or comes from a second client (`other`, alone).

    `instead` is what redis is sent in its place; `again` the requests that Tern is sent where it answers nil, and redis does not.
    """

    __slots__ = ("arguments", "compare", "alone", "wait", "ends", "whole", "other", "instead", "again")

    def __init__(self, arguments, compare=None, alone=False, wait=0.0, ends=False, whole=False, other=False, instead=None, again=None):
        self.arguments = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
        self.compare, self.alone, self.wait, self.ends, self.whole, self.other = compare or exact, alone or other, wait, ends, whole, other
        self.instead, self.again = instead, again

    def but(self, **changes):
        """The same step with changes."""
        return Step(**{name: getattr(self, name) for name in Step.__slots__} | changes)

    def request(self, is_redis):
        """The bytes that a side is sent."""
        return request(*(self.instead if is_redis and self.instead else self.arguments))

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


def payload(a, b):
    """DUMP: the same bytes, but that redis-server, whose table of places is not cleared, may compress in another way; then the string's length must be the same."""
    if a == b or not (a[:1] == b[:1] == b"$"):
        return a == b
    left, right = value(a), value(b)
    return left is not None and right is not None and left[:2] == right[:2] == b"\0\xc3"


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


# Generators: each is given a random source and draws one command, valid or not. The source's `wide` are the keys that the round began
# with, if it did with many; `tagged` says whether only keys of one slot are drawn, and `loose` how many transactions have keys of several.


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
        return r.choice(r.wide)
    pick = r.random()
    return r.choice(KEYS) if pick < 0.6 else r.choice(TAGGED) if pick < 0.8 else r.choice(ODD_KEYS)


def keys(r, most=6):
    """Several keys: of one slot, one key repeated, or of any slots."""
    count, pick = r.randint(1, most), r.random()
    if r.tagged:
        return [r.choice(TAGGED) for _ in range(count)]
    if r.wide and pick < 0.3:
        return r.sample(r.wide, count * 10)
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


KEY_NAMES = ["expireat", "pexpireat", "expiretime", "pexpiretime", "copy", "rename", "renamenx", "move", "touch", "keys", "dump", "restore", "restore-asking", "sort", "sort_ro", "wait"]
NAMES = ["get", "set", "mget", "mset", "incr", "decr", "incrby", "decrby", "append", "strlen", "del", "unlink", "exists", "type", "expire", "pexpire", "ttl", "pttl", "persist", "scan", "dbsize", "randomkey", "flushall", "flushdb", "ping", "echo", "hello", "select", "quit", "reset", "time", "setnx", "setex", "psetex", "getset", "getdel", "getex", "msetnx", "getrange", "setrange", "substr", "incrbyfloat", "lcs", "setbit", "getbit", "bitcount", "bitpos", "bitop", "bitfield", "bitfield_ro", *KEY_NAMES, "multi", "exec", "discard", "watch", "unwatch"]  # fmt: skip


def command_step(r):
    return r.choice([
        lambda: Step([case(r, "COMMAND"), case(r, "COUNT")], same_kind),
        lambda: Step([case(r, "COMMAND"), case(r, "INFO"), *r.choices(NAMES + KEY_NAMES + ["nosuchcommand", "GET", ""], k=r.randint(1, 4))], command_info),
        lambda: Step([case(r, "COMMAND"), case(r, "GETKEYS"), *r.choice([["GET", "a"], ["MSET", "a", "1", "b", "2"], ["MSET", "a"], ["DEL", "a", "b", "a"], ["PING"], ["nosuch", "a"], ["GET"], ["SET", "k", "v", "EX", "1"], ["mget", "x", "y"], ["SCAN", "0"], ["COPY", "a", "b", "REPLACE"], ["SORT", "a", "BY", "x", "STORE", "b"], ["SORT", "a", "LIMIT", "0", "1", "STORE", "b", "STORE", "c"], ["SORT_RO", "a", "STORE", "b"], ["RESTORE", "a", "0", "x"], ["OBJECT", "FREQ", "a"], ["TOUCH", "a", "b"], ["WATCH", "a", "b"]])]),
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
    name = r.choice(["GET", "SET", "MGET", "MSET", "INCR", "DECR", "INCRBY", "DECRBY", "APPEND", "STRLEN", "DEL", "UNLINK", "EXISTS", "TYPE", "EXPIRE", "PEXPIRE", "TTL", "PTTL", "PERSIST", "SCAN", "DBSIZE", "RANDOMKEY", "PING", "ECHO", "SELECT", "TIME", "OBJECT", "CLUSTER", "CONFIG", "KEYS", "CLIENT", "SETNX", "SETEX", "GETSET", "GETDEL", "GETEX", "MSETNX", "GETRANGE", "SETRANGE", "INCRBYFLOAT", "LCS", "SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", *KEY_NAMES])  # fmt: skip
    count = r.choice([0, 0, 1, 3, 4])
    # Counts that happen to be right: EXPIRE's third, SCAN's and the like, would be valid commands with odd arguments; that is fine too.
    compare = same_kind if name.upper() in ("DBSIZE", "RANDOMKEY", "TIME", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "CLIENT", "CLUSTER") else scan_shape if name == "SCAN" else exact
    return Step([case(r, name), *[b"{tag}%d" % i for i in range(count)]], compare)


def expires_now(r):
    """A key that is gone a moment later; the rig waits for it before it goes on."""
    k, ms = key(r), r.randint(1, 15)
    return r.choice([
        lambda: Step([b"SET", k, b"v", b"PX", b"%d" % ms], alone=True, wait=ms / 1000 + 0.003),
        lambda: Step([b"PEXPIRE", k, b"%d" % ms], alone=True, wait=ms / 1000 + 0.003),
    ])()  # fmt: skip


# Numbers as clients write them, and as they should not.
FLOATS = [b"0", b"1", b"-1", b"0.1", b"-0.1", b"1.5", b".5", b"5.", b"1e3", b"1E-3", b"3.0e3", b"+1.5", b"-0", b"0.0", b"1e17", b"1e18", b"1e-17", b"5e-18", b"1e-18", b"123456789.123456789", b"0x10", b"0x1.8p1", b"0x.1p-4", b"0x", b"1e", b"1e+", b"e1", b".", b"", b" 1", b"1 ", b"1x", b"--1", b"inf", b"-inf", b"Infinity", b"nan", b"nan(1)", b"1e4932", b"-1.18973149535723176502e+4932", b"1.2e4932", b"1e5000", b"1e-4950", b"1e-4951", b"1e-5000", b"9223372036854775807", b"18446744073709551616", b"0.1\0", b"1_0", b"0.30000000000000000001", b"99999999999999999999999999.9", b"0." + b"3" * 200, b"7" * 300, b"0x" + b"f" * 40, b"1" + b"0" * 5100, b"1" + b"0" * 5118, b"." + b"0" * 5000 + b"1"]  # fmt: skip


def float_text(r):
    pick = r.random()
    if pick < 0.5:
        return r.choice(FLOATS)
    if pick < 0.8:
        return b"%.*f" % (r.randint(0, 19), r.uniform(-1, 1) * 10 ** r.randint(-3, 12))
    digits = b"".join(b"%d" % r.randint(0, 9) for _ in range(r.randint(1, 40)))
    at = r.randint(0, len(digits))
    return (b"-" if r.random() < 0.5 else b"") + digits[:at] + r.choice([b".", b""]) + digits[at:] + (b"e%d" % r.choice([r.randint(-30, 30), r.randint(-4990, 4990)]) if r.random() < 0.5 else b"")


def place(r):
    """An index into a string of some tens of bytes, from either end, or none."""
    pick = r.random()
    return b"%d" % r.randint(-45, 45) if pick < 0.8 else b"%d" % r.randint(-400, 400) if pick < 0.9 else integer(r)


def bit_place(r):
    pick = r.random()
    if pick < 0.7:
        return b"%d" % r.randint(0, 400)
    if pick < 0.8:
        return b"%d" % r.randint(0, 140000)
    return r.choice([b"-1", b"abc", b"", b"4294967296", b"9223372036854775807", b"01", b"#1", b"1.5"])


def unit(r):
    return [case(r, r.choice(["BYTE", "BIT", "BIT", "BIT", "BITS", ""]))] if r.random() < 0.5 else []


def field_type(r):
    if r.random() < 0.9:
        return b"%s%d" % (r.choice([b"i", b"u"]), r.choice([1, 2, 5, 7, 8, 9, 16, 31, 32, 33, 62, 63, 64, r.randint(1, 64)]))
    return r.choice([b"u64", b"i65", b"u0", b"i0", b"i", b"u", b"", b"I8", b"x8", b"u08", b"i-1", b"i8 ", b"8"])


def field_number(r):
    return r.choice([b"%d" % r.randint(-300, 300), b"%d" % r.randint(-(1 << 63), (1 << 63) - 1), r.choice([b"9223372036854775807", b"-9223372036854775808"]), integer(r)])


def bitfield(r):
    words = []
    for _ in range(r.choice([0, 1, 1, 2, 3, 6])):
        if r.random() < 0.3:
            words += [case(r, "OVERFLOW"), case(r, r.choice(["WRAP", "SAT", "FAIL", "SAT", "FAIL", "BAD"] if r.random() < 0.3 else ["WRAP", "SAT", "FAIL"]))]
        at = r.choice([bit_place(r), b"%d" % r.randint(0, 200), b"#%d" % r.randint(0, 20), b"#%d" % r.randint(0, 20)])
        words += r.choice([
            lambda: [case(r, "GET"), field_type(r), at],
            lambda: [case(r, "SET"), field_type(r), at, field_number(r)],
            lambda: [case(r, "INCRBY"), field_type(r), at, field_number(r)],
            lambda: [case(r, "INCRBY"), field_type(r), at, field_number(r)],
        ])()  # fmt: skip
    if r.random() < 0.05:
        words = words[: r.randint(0, len(words))] + r.choice([[], [b"BOGUS"], [b"GET"], [b"SET", b"u8", b"0"]])
    return words


def lcs_step(r):
    words = []
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        words += r.choice([[case(r, "LEN")], [case(r, "IDX")], [case(r, "IDX")], [case(r, "WITHMATCHLEN")], [case(r, "MINMATCHLEN"), r.choice([b"0", b"2", b"4", b"-3", b"abc"])], [b"BOGUS"], [b"MINMATCHLEN"]])
    return Step([case(r, "LCS"), key(r), key(r), *words] if r.random() < 0.3 else [case(r, "LCS"), *r.choices(TAGGED, k=2), *words])


def letters(r):
    """A string that has something in common with others."""
    return bytes(r.choice(b"abc") for _ in range(r.choice([3, 30, 130])))


def getex_options(r):
    words = []
    for _ in range(r.choice([0, 1, 1, 1, 1, 2])):
        word = r.choice(["EX", "PX", "EXAT", "PXAT", "PERSIST", "PERSIST", "bogus", "KEEPTTL"])
        words.append(case(r, word))
        good = {"EX": seconds, "PX": milliseconds, "EXAT": at_seconds, "PXAT": at_milliseconds}.get(word)
        if good and r.random() < 0.95:
            words.append(expiry(r, good))
    return words


def named(r, options):
    return case(r, r.choice(options))


def two_keys(r):
    """Mostly of one slot, sometimes the same, sometimes of two."""
    pick = r.random()
    if pick < 0.75:
        pool = WIDE if r.wide is WIDE and r.random() < 0.5 else TAGGED
        return [r.choice(pool), r.choice(pool)]
    return [key(r)] * 2 if pick < 0.9 else [key(r), key(r)]


def copy_step(r):
    words = []
    for _ in range(r.choice([0, 0, 0, 1, 1, 2, 3])):
        words += r.choice([[case(r, "REPLACE")], [case(r, "REPLACE")], [case(r, "DB"), b"0"], [b"DB", r.choice([b"1", b"15", b"16", b"-1", b"abc", b"", b"2147483648", b"-9223372036854775808", b"9223372036854775808"])], [b"DB"], [b"BOGUS"], [b""]])
    return Step([case(r, "COPY"), *two_keys(r), *words])


def expire_at(r):
    name = r.choice(["EXPIREAT", "PEXPIREAT"])
    good = at_seconds if name == "EXPIREAT" else at_milliseconds
    amount = good(r) if r.random() < 0.8 else r.choice([b"-1", b"0", b"abc", b"", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775", b"9223372036854776", b"1.5"])
    options = [case(r, r.choice(["NX", "XX", "GT", "LT", "BAD"])) for _ in range(r.choice([0, 0, 1, 1, 1, 2, 3]))]
    return Step([case(r, name), key(r), amount, *options])


def restore_step(r):
    """RESTORE; what gives a key an age is followed by a look at it, and a TOUCH that takes it away."""
    k = key(r)
    words = [b"REPLACE"] * (r.random() < 0.7)
    ttl = r.choice([b"0", b"0", milliseconds(r), r.choice([b"abc", b"-1", b"", b"9223372036854775808"])])
    if r.random() < 0.3:
        words.append(case(r, "ABSTTL"))
        ttl = at_milliseconds(r)
    if r.random() < 0.25:
        words += r.choice([[b"IDLETIME", b"-1"], [b"IDLETIME", b"abc"], [b"IDLETIME"], [b"FREQ", b"256"], [b"FREQ", b"-1"], [b"FREQ", b"x"], [b"FREQ", b"1", b"IDLETIME", b"1"], [b"IDLETIME", b"0", b"FREQ", b"1"], [b"FREQ", b"255"], [b"FREQ", b"0", b"FREQ", b"7"], [b"BOGUS"], [b"freq"]])
    value_ = some_value(r)
    data = footed(body(r, value_), r.choice([10, 10, 10, 9, 1, 0, 12, 65535])) if r.random() < 0.75 else broken(r, value_)
    name = r.choice(["RESTORE", "RESTORE", "RESTORE-ASKING"])
    if r.random() < 0.3:
        idle = r.choice([b"0", b"5", b"1000", b"1000000", b"16777215", b"16777216", b"100000000000"])
        return [Step([case(r, name), k, ttl, data, *words, case(r, "IDLETIME"), idle]), Step([b"OBJECT", b"IDLETIME", k], near(2)), Step([b"EXISTS", k]), Step([b"TTL", k], near(2)), Step([b"OBJECT", b"IDLETIME", k], near(2)), Step([b"TOUCH", k]), Step([b"OBJECT", b"IDLETIME", k], near(2))]
    r.shuffle(words) if r.random() < 0.1 else None
    return Step([case(r, name), k, ttl, data, *words])


def sort_step(r):
    words = []
    for _ in range(r.choice([0, 1, 1, 2, 3, 4])):
        words += r.choice([
            [case(r, "ASC")], [case(r, "DESC")], [case(r, "ALPHA")], [case(r, "LIMIT"), b"0", r.choice([b"1", b"-1", b"x", b""])], [b"LIMIT", b"abc", b"1"], [b"LIMIT", b"1"], [case(r, "BY"), b"nosort"],
            [b"BY", r.choice([b"w*", b"*", b"a\0*", b"", b"{tag}*"])], [b"BY"], [case(r, "GET"), r.choice([b"#", b"x", b"y*"])], [case(r, "STORE"), key(r)], [b"STORE", r.choice(TAGGED)], [b"STORE", r.choice(TAGGED)], [b"STORE"], [b"BOGUS"], [b"GET"],
        ])  # fmt: skip
    return Step([case(r, r.choice(["SORT", "SORT", "SORT_RO"])), r.choice(TAGGED) if r.random() < 0.6 else key(r), *words])


def wait_step(r):
    return Step([case(r, "WAIT"), *r.choice([[b"0", b"0"], [b"0", b"100"], [b"-1", b"0"], [b"1", b"1"], [b"2", b"5"], [b"x", b"1"], [b"1", b"x"], [b"0", b"-1"], [b"1", b"-5"], [b"0", b"9223372036854775808"], [b"", b""]])])


def inner(r):
    """A command that may stand anywhere, also in a transaction."""
    while True:
        step = r.choices(GENERATORS, WEIGHTS)[0](r)
        # RESTORE REPLACE over a key that was past its time when it was watched: redis's EXEC runs, because the old key goes without a
        # word and the watch is still marked as expired. In Tern a watched key that another client writes is a conflict, always.
        if not isinstance(step, list) and not step.alone and not bytes(str(step.arguments[0]), "utf8").upper().startswith((b"RESTORE", b"B'RESTORE")):
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
    r.tagged = r.random() >= r.loose
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
    # One that is left open takes in whatever comes next.
    if r.random() < 0.95 or not r.loose:
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


import admin_clients  # noqa: E402  It needs what stands above.

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
    (2, admin_config.step(Step, case)),
    (0.3, lambda r: Step([case(r, "TIME")], same_kind)),
    (1.5, cluster_step),
    (1.5, unknown),
    (2, wrong_arity),
    (0.3, expires_now),
    (3, lambda r: Step([case(r, "SETNX"), key(r), some_value(r)])),
    (3, lambda r: Step([case(r, "SETEX"), key(r), expiry(r, seconds), some_value(r)])),
    (3, lambda r: Step([case(r, "PSETEX"), key(r), expiry(r, milliseconds), some_value(r)])),
    (3, lambda r: Step([case(r, "GETSET"), key(r), some_value(r)])),
    (2, lambda r: Step([case(r, "GETDEL"), key(r)])),
    (4, lambda r: Step([case(r, "GETEX"), key(r), *getex_options(r)])),
    (3, lambda r: Step([case(r, "MSETNX"), *pairs(r), *([b"{tag}odd"] if r.random() < 0.1 else [])])),
    (5, lambda r: Step([named(r, ["GETRANGE", "SUBSTR"]), key(r), place(r), place(r)])),
    (5, lambda r: Step([case(r, "SETRANGE"), key(r), r.choice([place(r), b"%d" % r.randint(0, 60), b"%d" % r.randint(0, 20000), b"536870912"]), some_value(r)])),
    (8, lambda r: Step([case(r, "INCRBYFLOAT"), key(r), float_text(r)])),
    (3, lambda r: Step([case(r, "SET"), key(r), float_text(r)])),
    (3, lambda r: Step([case(r, "SET"), r.choice(TAGGED), letters(r)])),
    (4, lcs_step),
    (5, lambda r: Step([case(r, "SETBIT"), key(r), bit_place(r), r.choice([b"0", b"1", b"1", b"0", b"2", b"", b"-1"])])),
    (4, lambda r: Step([case(r, "GETBIT"), key(r), bit_place(r)])),
    (5, lambda r: Step([case(r, "BITCOUNT"), key(r), *([place(r), place(r), *unit(r)] if r.random() < 0.85 else r.choice([[], [b"0"], [b"0", b"1", b"BIT", b"x"]]))])),
    (7, lambda r: Step([case(r, "BITPOS"), key(r), r.choice([b"0", b"1", b"0", b"1", b"0", b"1", b"2", b"abc"]), *r.choice([[], [place(r)], [place(r), place(r), *unit(r)], [place(r), place(r), *unit(r)], [b"0", b"1", b"BIT", b"x"]])])),
    (5, lambda r: Step([case(r, "BITOP"), named(r, ["AND", "OR", "XOR", "NOT", "AND", "OR", "XOR", "NAND"]), *keys(r)])),
    (2, lambda r: Step([case(r, "BITOP"), case(r, "NOT"), *r.choices(TAGGED, k=2)])),
    (7, lambda r: Step([case(r, "BITFIELD"), key(r), *bitfield(r)])),
    (3, lambda r: Step([case(r, "BITFIELD_RO"), key(r), *bitfield(r)])),
    (2, lambda r: Step([case(r, "BITFIELD_RO"), key(r), *[w for _ in range(r.randint(0, 4)) for w in (b"GET", field_type(r), bit_place(r))]])),
    (5, lambda r: Step([case(r, r.choice(["RENAME", "RENAMENX"])), *two_keys(r)])),
    (4, copy_step),
    (0.5, lambda r: Step([case(r, "MOVE"), key(r), r.choice([b"0", b"1", b"99", b"-1", b"abc"])])),
    (5, expire_at),
    (4, lambda r: Step([case(r, r.choice(["EXPIRETIME", "PEXPIRETIME"])), key(r)], near(3000))),
    (3, lambda r: Step([case(r, "TOUCH"), *keys(r)])),
    (6, lambda r: Step([case(r, "DUMP"), key(r)], payload)),
    (8, restore_step),
    (4, sort_step),
    (0.5, wait_step),
    (5, transaction),
    (0.02, expires_watched),
    *admin_server.table(Step, key),
    (0.7, lambda r: Step([case(r, r.choice(["EXEC", "DISCARD", "UNWATCH", "EXEC"])), *r.choice([[], [], [], [b"x"]])], replies_of([]))),
    *admin_clients.TABLE,
]
WEIGHTS = [weight for weight, _ in TABLE]
GENERATORS = [generator for _, generator in TABLE]


def fill_wide(r):
    """The commands that a wide round begins with."""
    return [Step([b"MSET", *[x for k in r.wide[i : i + 50] for x in (k, some_value(r))]]) for i in range(0, len(r.wide), 50)]


def draw(r):
    """The next command, and before one that counts keys a look at every key."""
    step = r.choices(GENERATORS, WEIGHTS)[0](r)
    if isinstance(step, list):
        return step
    if step.alone and not step.ends and not step.wait:
        return [Step([b"EXISTS", k]) for k in ALL_KEYS] + [Step([b"EXISTS", *r.wide])] * bool(r.wide) + [step]
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

RAW += admin_clients.RAW


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


# Versions and ids, which are each server's own, are taken out of both replies before anything is compared. Outside of bulk strings
# that a client chose they occur in HELLO alone.
MASKS = [
    (re.compile(rb"\$7\r\nversion\r\n\$\d+\r\n[\d.]+\r\n"), b"$7\r\nversion\r\n(a version)"),
    (re.compile(rb"\$2\r\nid\r\n:\d+\r\n"), b"$2\r\nid\r\n(an id)"),
]


def masked(reply):
    for pattern, stand_in in MASKS:
        reply = pattern.sub(stand_in, reply)
    return reply


# Differences of Documentation/compatibility.md that no pattern can tell: their cell → do these upper-case arguments and replies show it?
CHECKS = {
    "`HELLO*`": lambda words, redis, tern: masked(redis) == masked(tern),
    "`OBJECT IDLETIME *`": lambda words, redis, tern: redis[:1] == tern[:1] == b":" and value(redis) > value(tern),
}
# The same of raw bytes that a client then closes behind.
CHECKS_RAW = {
    "`CLIENT REPLY*` within MULTI": lambda data, redis, tern: data.startswith(b"MULTI") and b"CLIENT REPLY" in data and b"-ERR Command not allowed inside a transaction" in tern,
    "a NUL byte in a line": lambda data, redis, tern: b"\0" in data and tern.startswith(redis),
}
