"""The rounds of drawn commands through the router's port, beside a redis-server that is not in cluster mode.

A client of that port sees one server, but not all of what one server does can be done over many shards. What differs
on purpose stands in Documentation/compatibility.md: replies that differ and change nothing; a command that the router refuses,
and redis does not, is nonsense to redis too (`Step.instead`), so that both have done nothing, in a transaction too.

Where it depends on the map of the moment whether keys of several slots are on one shard, and so whether the router can
do a command (with `router-atomic no`: MSETNX, transactions, WATCH), no such command is sent.
"""

import binascii
import re
from collections import Counter

from admin_config import OTHER_VALUE
from commands import SPREAD, WIDE, Step, replies_of
from compatibility import NOT_QUEUED, excuse
from resp import request, value
from rounds import Pair

DISABLED = b"-ERR This instance has cluster support disabled\r\n"
CROSSED = b"-CROSSSLOT Keys in request don't hash to the same slot; give them a common hash tag"
NOT_IN_MULTI = b"-ERR Command not allowed inside a transaction at this port"
WRONG = re.compile(rb"-ERR (wrong number of arguments|unknown subcommand|unknown command|syntax error)")
NILS = (b"*-1\r\n", b"_\r\n")

# Settings that are each server's own here.
OWN = set(OTHER_VALUE)
# Split by key, each part to its shard.
SPLIT = {b"MGET", b"MSET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"}


def slot(key):
    """The hash slot of a key, by its hash tag where it has one."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1) if start >= 0 else -1
    return binascii.crc_hqx(key[start + 1 : end] if end > start + 1 else key, 0) % 16384


def keys_of(arguments):
    """The keys of a command that can have several; of one that takes one key, its first argument if it has one."""
    name = arguments[0].upper()
    if name in SPLIT - {b"MSET"} or name == b"WATCH":
        return arguments[1:]
    if name in (b"MSET", b"MSETNX"):
        return arguments[1::2]
    if name in (b"RENAME", b"RENAMENX", b"COPY", b"LCS"):
        return arguments[1:3] if len(arguments) > 2 else []
    if name == b"BITOP":
        return arguments[2:] if len(arguments) > 3 else []
    if name == b"SORT":
        return arguments[1:2] + stored(arguments)
    if name == b"OBJECT":
        return arguments[2:3]
    return arguments[1:2] if name in WITH_KEY else []


WITH_KEY = set(
    b"GET SET INCR DECR INCRBY DECRBY APPEND STRLEN TYPE EXPIRE PEXPIRE TTL PTTL PERSIST SETNX SETEX PSETEX GETSET GETDEL GETEX GETRANGE SUBSTR SETRANGE INCRBYFLOAT SETBIT GETBIT BITCOUNT BITPOS BITFIELD BITFIELD_RO EXPIREAT PEXPIREAT EXPIRETIME PEXPIRETIME DUMP RESTORE RESTORE-ASKING SORT_RO MOVE".split()
)


def stored(arguments):
    """The key that SORT stores to, in a list; of several the last."""
    found, i = [], 2
    while i < len(arguments):
        word = arguments[i].upper()
        if word == b"STORE" and i + 1 < len(arguments):
            found = [arguments[i + 1]]
        # As servers look for it: what follows STORE may be STORE.
        i += {b"LIMIT": 3, b"BY": 2, b"GET": 2}.get(word, 1)
    return found


def settings(reply):
    """CONFIG GET's pairs, without those that are each server's own."""
    flat = value(reply)
    return {name: text for name, text in zip(flat[::2], flat[1::2]) if name.lower() not in OWN}


def listed(reply):
    """What CLIENT LIST says that each client did."""
    fields = (b"name", b"db", b"multi", b"user", b"resp", b"cmd")
    lines = [dict(field.partition(b"=")[::2] for field in line.split(b" ")) for line in value(reply).splitlines() if line]
    return [tuple(line[f] for f in fields) for line in lines]


def among(some, others):
    """Whether each of some is there as often among others."""
    return not Counter(some) - Counter(others)


def slow(reply):
    """The commands of SLOWLOG GET, without those of resizes."""
    commands = [tuple(entry[3]) for entry in value(reply)]
    return [words for words in commands if words[0].upper() not in (b"PING", b"CLUSTER")]


# Differences that no pattern can tell: their cell on the page → do these upper-case arguments and replies show it?
CHECKS = {
    "`CONFIG GET *`": lambda words, redis, tern: redis[:1] == tern[:1] != b"-" and settings(redis).items() <= settings(tern).items(),
    "`CLIENT LIST*`": lambda words, redis, tern: redis[:1] == tern[:1] != b"-" and among(listed(redis), listed(tern)),
    # Entries of one second have no order among each other, so that only all of them can be compared.
    "`SLOWLOG GET*`": lambda words, redis, tern: redis[:1] == tern[:1] == b"*" and (words[2:] not in ([b"-1"], [b"1000"]) or among(slow(redis), slow(tern))),
}


def by_design(step):
    """The step, whose replies may differ as the table says."""

    def compare(redis, tern):
        return step.compare(redis, tern) or excuse("router", step.arguments, redis, tern, CHECKS) is not None

    compare.__name__ = step.compare.__name__
    return step.but(compare=compare)


def refused(step, *texts):
    """The step, which Tern must refuse; redis is sent nonsense."""

    def is_refused(redis, tern):
        return tern.startswith(texts) or bool(WRONG.match(tern))

    return step.but(compare=is_refused, instead=[b"REFUSED", *step.arguments])


def is_elsewhere(words):
    """Whether a command is done by one server and refused by the other: SORT that stores what a pattern finds, and COPY with two databases, of which redis looks at the first one too."""
    return words[0] == b"SORT" and bool(stored(words)) and not {b"BY", b"GET"}.isdisjoint(words) or words[0] == b"COPY" and words.count(b"DB") > 1


def nothing(step):
    """A step in the place of one that cannot be compared."""
    return Step([b"PING"], other=step.other)


class Progress:
    """How far a client's transaction is."""

    def __init__(self):
        self.end()

    def end(self):
        self.is_open, self.queued, self.slot, self.is_watching = False, [], None, False

    def keeps_to(self, slots):
        """Whether keys in those slots leave the transaction in one slot, which it then has."""
        if self.slot is None and len(slots) == 1:
            (self.slot,) = slots
        return slots <= {self.slot}


class RouterPair(Pair):
    """redis-server and Tern's router, by turns with each value of `router-atomic`."""

    place = 0
    pools = (WIDE, SPREAD)

    def __init__(self, redis, tern):
        super().__init__(redis, tern)
        self.is_atomic, self.repeats = False, 0

    @property
    def loose(self):
        return 0.4 if self.is_atomic else 0

    def begin(self, number):
        value = ["no", "auto", "yes"][number // 2 % 3]
        self.is_atomic = value != "no"
        with self.servers[1].shard(0) as c:
            c.ask("CONFIG", "SET", "router-atomic", value)

    def fit(self, steps):
        progress, fitting = [Progress(), Progress()], []
        for step in steps:
            fitting.append(self.fitting(by_design(step), progress[step.other]))
            if step.ends:
                progress = [Progress(), Progress()]
        return fitting

    def fitting(self, step, progress):
        words = [a.upper() for a in step.arguments]
        slots = {slot(k) for k in keys_of(step.arguments)}
        # An EXEC that is refused ends the transaction.
        if words[0] == b"RESET" and len(words) == 1 or progress.is_open and (words == [b"DISCARD"] or words[0] == b"EXEC" and len(words) > 1):
            progress.end()
            return step
        if progress.is_open:
            return self.queued(step, words, slots, progress)
        if words == [b"MULTI"]:
            progress.is_open = True
        elif words == [b"UNWATCH"]:
            progress.end()
        elif words[0] == b"WATCH" and slots and (self.is_atomic or len(slots) == 1):
            if not self.is_atomic and not progress.keeps_to(slots):
                return nothing(step)
            progress.is_watching = True
        elif words[0] == b"DEBUG":
            # What it says of keys is a shard's to say.
            return nothing(step)
        elif is_elsewhere(words):
            return nothing(step)
        elif len(slots) > 1 and words[0] == b"MSETNX":
            return step if self.is_atomic else step.but(arguments=[b"MSET", *step.arguments[1:]])
        elif len(slots) > 1 and words[0] not in SPLIT:
            return refused(step, CROSSED)
        return step

    def queued(self, step, words, slots, progress):
        """A step within MULTI."""
        if words == [b"EXEC"]:
            queued, is_watching = progress.queued, progress.is_watching
            progress.end()
            again = [request("MULTI"), *(s.request(is_redis=False) for s in queued), request("EXEC")] if is_watching else None
            return step.but(compare=replies_of(queued), alone=step.alone or is_watching, again=again)
        if words[0] in NOT_QUEUED or b" ".join(words[:2]) in NOT_QUEUED:
            return refused(step, NOT_IN_MULTI)
        if len(slots) > 1:
            return refused(step, CROSSED)
        if step.wait or is_elsewhere(words) or not self.is_atomic and not progress.keeps_to(slots):
            step, words = nothing(step), [b"PING"]
        if words[0] not in (b"MULTI", b"WATCH", b"EXEC", b"DISCARD", b"RESET"):
            progress.queued.append(step)
        return step

    def both(self, step):
        """A watched key whose slot has moved counts as changed: then the transaction is done again, as its client would."""
        redis, tern = super().both(step)
        c = (self.others if step.other else self.sides)[1]
        for _ in range(100):
            if not step.again or tern not in NILS or redis in NILS:
                break
            self.repeats += 1
            tern = c.exchange([b"".join(step.again)], len(step.again))[-1]
        return [redis, tern]
