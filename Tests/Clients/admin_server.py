"""What the differential rig asks the servers about themselves: COMMAND DOCS and GETKEYSANDFLAGS, INFO, LOLWUT, SWAPDB, DEBUG.

`TABLE` is (weight, generator) as in commands.py, which takes it over. It must not import commands.py.
"""

import re

from compatibility import NEWER
from resp import value


def _pairs(flat):
    return {flat[i]: flat[i + 1] for i in range(0, len(flat or []), 2)}


def _argument(flat):
    fields = _pairs(flat)
    fields[b"flags"] = sorted(fields.get(b"flags", []))
    fields[b"arguments"] = [_argument(part) for part in fields.get(b"arguments", [])]
    return fields


def _documented(flat):
    """name → (what is documented, in its order, without prose; subcommands) of a reply or a `subcommands`."""
    found = {}
    for name, docs in _pairs(flat).items():
        fields = _pairs(docs)
        order = [field for field in fields if field != b"subcommands"]
        fields[b"summary"] = fields[b"complexity"] = None
        fields[b"history"] = [version for version, _ in fields.get(b"history", [])]
        fields[b"arguments"] = [_argument(argument) for argument in fields.get(b"arguments", [])]
        subcommands = _documented(fields.pop(b"subcommands", []))
        found[name] = (order, fields, subcommands)
    return found


def _differing(redis, tern):
    """The names of what Tern documents otherwise than redis."""
    wrong = []
    for name, (order, fields, subcommands) in tern.items():
        if name in NEWER:
            continue
        theirs = redis.get(name, ([], {}, {}))
        if theirs[:2] != (order, fields):
            wrong.append(name.decode())
        wrong += _differing(theirs[2], subcommands)
    return wrong


def undocumented(a, b):
    """The names that two replies to COMMAND DOCS document otherwise; Tern may lack commands."""
    return _differing(_documented(value(a)), _documented(value(b)))


def command_docs(a, b):
    """Fields, their order, arguments and versions exactly; summaries, complexities and what history tells are each server's own prose."""
    if a[:1] == b"-" or b[:1] == b"-" or a[:1] != b[:1]:
        return a == b
    return not undocumented(a, b)


def info_fields(a, b):
    """The same sections, and in each of them all fields of redis's, in its order; Tern may have more."""
    if a[:1] != b[:1] or a[:1] == b"-":
        return a == b

    def names(reply):
        return [line.split(b":")[0] for line in value(reply).split(b"\r\n") if line and not line.startswith((b"db0", b"errorstat_", b"txt:"))]

    ours = iter(names(b))
    return all(name in ours for name in names(a))


def picture(a, b):
    """The version's line ends it; the picture is each server's own, and each has its own version."""
    if a[:1] != b[:1] or a[:1] == b"-":
        return a == b
    return all(re.search(rb"Redis ver\. [\d.]+\n$", value(reply)) for reply in (a, b))


def low_level(a, b):
    """DEBUG OBJECT without addresses, clocks and counts of references (inside EXEC redis's queue holds the value too), and DEBUG SDSLEN without what the allocator adds."""
    cut = [re.sub(rb"0x\w+|refcount:\d+|lru:.*|_avail:\d+|_zmalloc: \d+", b"", reply) for reply in (a, b)]
    return cut[0] == cut[1]


def sizes(a, b):
    """DEBUG CLIENT-EVICTION: the classes; what clients take differs."""
    cut = [re.sub(rb"^=\d+|^\$\d+|tot-mem: +\d+, clients: \d+", b"", reply) for reply in (a, b)]
    return cut[0] == cut[1]


def _any_case(r, word):
    return r.choice([word, word.lower(), "".join(c.upper() if r.random() < 0.5 else c.lower() for c in word)])


NAMED = "get set getex getset sort sort_ro restore scan bitfield bitop lcs copy object object|freq config|get command command|docs client|setname hello info shutdown debug lolwut swapdb cluster cluster|slots nosuch OBJECT|HELP expire msetnx substr waitnothing".split()
COMMANDS = """SET a b|SET a b GET|SET a b EX 1 get|BITFIELD a|BITFIELD a GET u8 0|BITFIELD a GET u8|BITFIELD a OVERFLOW SAT GET u8 0|BITFIELD a SET u8 0 1|BITFIELD_RO a GET u8 0|SORT a|SORT a BY x STORE b
SORT a STORE b STORE c|SORT_RO a|MSET a 1 b 2|MSET a|DEL a b a|COPY a b|RENAME a b|BITOP AND d a b|LCS a b|OBJECT FREQ a|OBJECT FOO a|PING x|GET a b|nosuch a|WATCH a b|SCAN 0|TOUCH a b|RESTORE a 0 x|GETDEL a|MSETNX a 1 b 2|DUMP a|CONFIG GET a
GETEX a PERSIST|SETRANGE a 0 x|SUBSTR a 0 1|APPEND a x|SWAPDB 0 1|MGET a b c""".replace("\n", "|").split("|")
SECTIONS = "server clients memory persistence stats replication cpu modules errorstats cluster keyspace default nosuch".split()
DEBUG = """NOPE|HELP x|SLEEP|SLEEP 0|SLEEP x|SLEEP -1|sleep 0.001|SLEEP 0 x|OBJECT|OBJECT no such key|SET-ACTIVE-EXPIRE 1|SET-ACTIVE-EXPIRE|DIGEST x|DIGEST-VALUE|STRINGMATCH-LEN 5 a*|JMAP|REPLYBUFFER|REPLYBUFFER PEAK-RESET-TIME NEVER
REPLYBUFFER peak-reset-time reset|REPLYBUFFER PEAK-RESET-TIME 100|REPLYBUFFER PEAK-RESET-TIME x|REPLYBUFFER RESIZING 1|REPLYBUFFER NOPE 1|QUICKLIST-PACKED-THRESHOLD 100b|QUICKLIST-PACKED-THRESHOLD 0|QUICKLIST-PACKED-THRESHOLD 5gb
QUICKLIST-PACKED-THRESHOLD x|CHANGE-REPL-ID|CHANGE-REPL-ID x|ERROR|ERROR a b|LOG hi|LOG|PROTOCOL|PROTOCOL nope|PROTOCOL a b|RELOAD NOSAVE x|SET-DISABLE-DENY-SCRIPTS 1|HTSTATS|HTSTATS 99|HTSTATS x|HTSTATS-KEY nokey|SDSLEN nokey|LISTPACK nokey
POPULATE|POPULATE x|POPULATE -1|POPULATE 0|DROP-CLUSTER-PACKET-FILTER -1|DROP-CLUSTER-PACKET-FILTER x|AOF-FLUSH-SLEEP 0""".replace("\n", "|").split("|")
TYPES = "string integer double bignum null array set map verbatim true false".split()


def table(Step, key):
    """The generators; `key(r)` draws a key."""

    def docs(r):
        names = r.choices(NAMED, k=r.randint(1, 4)) if r.random() < 0.9 else []
        return Step([_any_case(r, "COMMAND"), _any_case(r, "DOCS"), *[_any_case(r, name) for name in names]], command_docs)

    def keys_and_flags(r):
        return Step(["COMMAND", _any_case(r, "GETKEYSANDFLAGS"), *r.choice(COMMANDS).split(" ")])

    def info(r):
        return Step([_any_case(r, "INFO"), *[_any_case(r, section) for section in r.choices(SECTIONS, k=r.randint(0, 3))]], info_fields)

    def lolwut(r):
        return Step(["LOLWUT", *r.choice([[], ["VERSION"], ["VERSION", "x"], ["VERSION", "5"], ["VERSION", "6", "10", "3"], ["VERSION", "5", "x"], ["VERSION", "9"], ["1", "2"], ["x"]])], picture)

    def looked_at(r, count, words, compare=None):
        """A command over keys that were looked at before: redis's DEBUG also sees those whose time has come, until they are removed."""
        keys = [key(r) for _ in range(count)]
        return [Step(["EXISTS", k]) for k in keys] + [Step([*words, *keys], compare)]

    def debug(r):
        kind = r.random()
        if kind < 0.1:
            return Step(["DEBUG", "DIGEST"], alone=True)
        if kind < 0.25:
            return looked_at(r, r.randint(1, 4), ["DEBUG", _any_case(r, "DIGEST-VALUE")])
        if kind < 0.27:
            return Step(["DEBUG", "CLIENT-EVICTION"], sizes)
        if kind < 0.4:
            return looked_at(r, 1, ["DEBUG", r.choice(["OBJECT", "SDSLEN"])], low_level)
        if kind < 0.5:
            return looked_at(r, 1, ["DEBUG", r.choice(["LISTPACK", "QUICKLIST", "HTSTATS-KEY"])])
        if kind < 0.6:
            return Step(["DEBUG", "PROTOCOL", _any_case(r, r.choice(TYPES))])
        if kind < 0.65:
            return Step(["DEBUG", "POPULATE", "%d" % r.randint(0, 9), "{tag}", *r.choice([[], ["3"], ["20"]])])
        if kind < 0.7:
            return Step(["DEBUG", "ERROR", r.choice([b"ERR x", b"", b"a\r\nb", b"nothing"])])
        return Step(["DEBUG", *r.choice(DEBUG).split(" ")])

    return [
        (1, docs),
        (1.5, keys_and_flags),
        (0.7, info),
        (0.4, lolwut),
        (0.3, lambda r: Step([_any_case(r, "SWAPDB"), *r.choice([["0", "1"], ["a", "b"], ["0"], [], ["0", "1", "2"]])])),
        (3, debug),
    ]
