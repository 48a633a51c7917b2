"""Documentation/compatibility.md, read: where Tern differs from redis-server on purpose. The rigs know no other excuses.

A row's cells with code spans are patterns, in which `*` stands for anything. Where the servers' cells are prose, a rig has a
check under the text of the row's second cell: (upper-case arguments, redis's reply, Tern's) → is this the difference meant?
"""

import os
import re

import rig
from resp import request, value

PAGE = os.path.join(rig.HERE, "..", "..", "Documentation", "compatibility.md")


def spans(text):
    """The code spans of a cell or a paragraph."""
    return re.findall(r"`([^`]+)`", text)


def matches(pattern, text, flags=0):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL | flags) is not None


def standard(cell):
    """A setting's value in a cell, None where the cell is prose."""
    found = re.fullmatch(r"`([^`]*)`", cell)
    return found and found[1].replace('""', "")


def shown(reply):
    """A reply as the page writes it."""

    def text(thing):
        if isinstance(thing, (list, tuple, set)):
            return "[" + ", ".join(map(text, thing)) + "]"
        return "nil" if thing is None else '"' + thing.decode("latin1") + '"' if isinstance(thing, bytes) else str(thing)

    return reply.rstrip(b"\r\n").decode("latin1") if reply[:1] in b"-+:" else text(value(reply))


def words(line):
    """The arguments of a request as redis-cli reads them: "…" may hold escapes."""
    quoted = lambda word: word[1:-1].encode("latin1").decode("unicode_escape").encode("latin1")
    return [quoted(w) if w.startswith('"') else w.encode() for w in re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)]


class Row:
    """One intended difference."""

    def __init__(self, where, concerns, redis, tern, tries, why):
        self.where, self.concerns, self.redis, self.tern, self.why = where, concerns, spans(redis), spans(tern), why
        self.patterns, self.tries = spans(concerns), [words(t) for t in spans(tries)]

    @property
    def is_pattern(self):
        return bool(self.redis and self.tern)

    def holds(self, arguments, redis, tern, checks):
        """Whether these replies to these upper-case arguments are the difference that the row means."""
        if self.patterns and not any(matches(p, b" ".join(arguments).decode("latin1"), re.IGNORECASE) for p in self.patterns):
            return False
        if not self.is_pattern:
            return self.concerns in checks and checks[self.concerns](arguments, redis, tern)
        return all(any(matches(p, shown(reply)) for p in cell) for cell, reply in ((self.redis, redis), (self.tern, tern)))


def _sections():
    """Heading → its text."""
    with open(PAGE) as f:
        parts = re.split(r"^## (.*)\n", f.read(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def _table(text):
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


_PAGE = _sections()
ROWS = [Row(*cells) for cells in _table(_PAGE["Replies"])]
# Settings that have another standard: name → (redis's value, Tern's), None where it is each server's own.
OTHER_VALUE = {cells[0].encode(): (standard(cells[1]), standard(cells[2])) for cells in _table(_PAGE["Settings with another standard"])}
ONLY_TERN = {name.encode() for name in spans(_PAGE["Settings with another standard"].split("Settings of Tern's own:")[1])} - {b"lazyfree-lazy-*"}
# Commands, and subcommands as `container|name`.
NEWER = {name.lower().replace(" ", "|").encode() for name in spans(_PAGE["Commands that 7.0.15 does not have"])}
# What the router does not take within MULTI: a command, or a command and its subcommand.
NOT_QUEUED = {name.encode() for cells in _table(_PAGE["Within MULTI at the router"]) for name in spans(cells[0])}


def excuse(where, arguments, redis, tern, checks):
    """Why Tern's reply at a `shard` or the `router` may be another than redis's, or None."""
    upper = [a.upper() for a in arguments]
    return next((row.why or row.concerns for row in ROWS if row.where in (where, "both") and row.holds(upper, redis, tern, checks)), None)


def untrue(where, redis, tern, place, checks):
    """What is wrong in the rows of a place: those whose trial finds another difference, or none, and checks without a row."""
    wrong = [f"no row says what a check excuses: {name}" for name in checks if name not in [row.concerns for row in ROWS]]
    for row in ROWS:
        if row.where not in (where, "both") or not row.tries:
            continue
        with redis.shard(place) as a, tern.shard(place) as b:
            for c in (a, b):
                c.ask("FLUSHALL")
            found = []
            for arguments in row.tries:
                for c in (a, b):
                    c.send(request(*arguments))
                found.append((arguments, a.reply(), b.reply()))
        differing = next((one for one in found if one[1] != one[2]), None)
        if differing is None:
            wrong.append(f"no difference is left at the {where}: {row.concerns}, tried with {row.tries}")
            continue
        arguments, left, right = differing
        if (row.is_pattern or row.concerns in checks) and not row.holds([a.upper() for a in arguments], left, right, checks):
            wrong.append(f"another difference at the {where}: {row.concerns}\n      redis: {rig.short(left)}\n      tern:  {rig.short(right)}")
    return wrong
