"""What the differential rig sends of CLIENT, SLOWLOG and LATENCY, and raw bytes about replies and passwords.

Times and ids are the servers' own: what is compared of a slow log are the arguments of its entries, of a list of
clients the fields that speak of what they did.
"""

from commands import Step, case, key, same_kind, some_value
from resp import value

# Refusals, and what can be said without harming the round's own connections.
WORDS = [
    "CLIENT LIST x", "CLIENT LIST TYPE", "CLIENT LIST TYPE x", "CLIENT LIST TYPE slave", "CLIENT LIST TYPE pubsub", "CLIENT LIST TYPE master", "CLIENT LIST TYPE normal x",
    "CLIENT LIST ID", "CLIENT LIST ID x", "CLIENT LIST ID 0", "CLIENT LIST ID -1 999999999",
    "CLIENT KILL", "CLIENT KILL x", "CLIENT KILL id", "CLIENT KILL id x", "CLIENT KILL ID 0", "CLIENT KILL ID -1", "CLIENT KILL id 999999999", "CLIENT KILL TYPE x", "CLIENT KILL TYPE pubsub",
    "CLIENT KILL USER x", "CLIENT KILL USER default SKIPME maybe", "CLIENT KILL ADDR 1:2", "CLIENT KILL ADDR 1:2 LADDR 3:4", "CLIENT KILL laddr", "CLIENT KILL 127.0.0.1:1",
    "CLIENT KILL ID 999999999 ID 999999998", "CLIENT KILL ID 99 x", "CLIENT KILL ID 999999999 TYPE normal USER default SKIPME no",
    "CLIENT NO-EVICT", "CLIENT NO-EVICT x", "CLIENT NO-EVICT on", "CLIENT NO-EVICT OFF", "CLIENT NO-EVICT on off",
    "CLIENT PAUSE", "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 0 x", "CLIENT PAUSE 0 ALL x", "CLIENT PAUSE 99999999999999999999",
    "CLIENT UNPAUSE", "CLIENT UNPAUSE x", "CLIENT UNBLOCK", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 0", "CLIENT UNBLOCK -1", "CLIENT UNBLOCK 999999999", "CLIENT UNBLOCK 99 x", "CLIENT UNBLOCK 999999999 timeout",
    "CLIENT UNBLOCK 999999999 ERROR", "CLIENT UNBLOCK 99 ERROR x", "CLIENT GETREDIR", "CLIENT GETREDIR x", "CLIENT TRACKINGINFO", "CLIENT TRACKINGINFO x",
    "SLOWLOG", "SLOWLOG x", "SLOWLOG GET x", "SLOWLOG get -2", "SLOWLOG GET 1 2", "SLOWLOG LEN x", "SLOWLOG RESET", "SLOWLOG reset x", "SLOWLOG HELP", "SLOWLOG HELP x", "SLOWLOG GET 0",
    "LATENCY", "LATENCY x", "LATENCY LATEST", "LATENCY LATEST x", "LATENCY HISTORY", "LATENCY HISTORY x", "LATENCY HISTORY command", "LATENCY GRAPH", "LATENCY GRAPH x", "LATENCY RESET", "LATENCY RESET a b",
    "LATENCY HISTOGRAM nosuch", "LATENCY HISTOGRAM monitor", "LATENCY HELP", "LATENCY DOCTOR x", "MONITOR x",
    "CONFIG GET requirepass", "CONFIG GET protected-mode", "CONFIG GET slowlog-max-len", "CONFIG GET latency-tracking", "CONFIG GET latency-monitor-threshold", "CONFIG GET latency-tracking-info-percentiles",
    "CONFIG SET slowlog-max-len -1", "CONFIG SET slowlog-log-slower-than x", "CONFIG SET latency-tracking maybe", "CONFIG SET latency-monitor-threshold -1", "CONFIG SET latency-tracking-info-percentiles x",
    "CONFIG SET latency-tracking-info-percentiles 101",
]  # fmt: skip


def refusal(r):
    words = r.choice(WORDS).split()
    names = 2 if words[0] in ("CLIENT", "SLOWLOG", "LATENCY", "CONFIG") else 1
    return Step([case(r, w) for w in words[:names]] + [w.encode() for w in words[names:]])


def clients(a, b):
    """CLIENT LIST: of each client what it did; ids, addresses, ages and memory are the server's own, and so is the order."""
    fields = (b"name", b"db", b"sub", b"psub", b"multi", b"user", b"redir", b"resp", b"cmd")

    def seen(reply):
        lines = [dict(field.partition(b"=")[::2] for field in line.split(b" ")) for line in value(reply).splitlines() if line]
        return sorted([line[f] for f in fields] for line in lines)

    return a == b if a[:1] in b"-+" or b[:1] in b"-+" else seen(a) == seen(b)


def listed(r):
    return Step([case(r, "CLIENT"), case(r, "LIST"), *r.choice([[], [], [b"TYPE", b"NORMAL"]])], clients, alone=True)


def slow_arguments(a, b):
    """SLOWLOG GET: the arguments of the entries, without the PINGs by which the rig finds out where a server is."""
    if a[:1] != b"*" or b[:1] != b"*":
        return a == b
    whole = [[entry[3] for entry in value(reply)] for reply in (a, b)]
    left, right = ([words for words in entries if words != [b"PING"]] for entries in whole)
    # Where only some entries are shown, or kept, a PING stands in the place of another one.
    count = min(len(left), len(right)) if [b"PING"] in whole[0] + whole[1] else None
    return left[:count] == right[:count]


def slow_log(r):
    """Everything is slow for a while; what is shown of it afterwards."""
    some = [
        lambda: Step([case(r, "SET"), key(r), some_value(r)]),
        lambda: Step([case(r, "GET"), key(r)]),
        lambda: Step([b"ECHO", b"e" * r.choice([0, 1, 127, 128, 129, 1000])]),
        lambda: Step([b"EXISTS", *[b"{tag}%d" % i for i in range(r.choice([1, 30, 31, 32, 33, 60]))]]),
        lambda: Step([b"AUTH", b"default", b"secret"]),
        lambda: Step([b"AUTH", b"secret"]),
        lambda: Step([b"CLIENT", b"SETNAME", r.choice([b"slow", b""])]),
        lambda: Step([b"GET"]),
        lambda: Step([b"NOSUCH", b"secret"]),
        lambda: Step([b"INCR", b"{tag}w0"]),
        # Not with a version that is refused: Redis shows the password that follows, Tern does not.
        lambda: Step([b"HELLO", *r.choice([[], [b"2", b"AUTH", b"nobody", b"x"]])], same_kind),
    ]
    steps = [Step([b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"]), Step([b"SLOWLOG", b"RESET"])]
    steps += [r.choice(some)() for _ in range(r.choice([1, 3, 8, 20]))]
    steps += [Step([b"SLOWLOG", b"GET", *r.choice([[], [b"-1"], [b"3"], [b"1000"]])], slow_arguments), Step([b"CONFIG", b"SET", b"slowlog-log-slower-than", b"10000"])]
    return steps + [Step([b"SLOWLOG", b"RESET"])]


TABLE = [
    (5, refusal),
    (0.5, listed),
    (0.5, slow_log),
]

# Connections of their own: who wants no replies, and passwords where there is none.
RAW = [
    b"CLIENT REPLY\r\nCLIENT REPLY x\r\nCLIENT REPLY on\r\nCLIENT REPLY ON x\r\n", b"CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", b"CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nGET\r\nCLIENT REPLY ON\r\nPING\r\n", b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nECHO a\r\nECHO b\r\n",
    b"CLIENT REPLY OFF\r\nRESET\r\nECHO c\r\n", b"CLIENT REPLY SKIP\r\nNOSUCH\r\nECHO d\r\n", b"CLIENT REPLY SKIP\r\nMULTI\r\nECHO e\r\nEXEC\r\n", b"CLIENT REPLY SKIP\r\nGET\r\nECHO d\r\n",
    b"MULTI\r\nCLIENT REPLY SKIP\r\nPING\r\nEXEC\r\nECHO 1\r\nECHO 2\r\n", b"MULTI\r\nCLIENT REPLY OFF\r\nPING\r\nEXEC\r\nECHO 1\r\nCLIENT REPLY ON\r\n", b"CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n",
    b"CLIENT REPLY OFF\r\nCLIENT REPLY x\r\nQUIT\r\n", b"CLIENT REPLY OFF\r\n*1\r\n$x\r\n", b"CLIENT REPLY SKIP\r\nCONFIG RESETSTAT\r\nECHO f\r\n", b"CLIENT REPLY SKIP\r\nWAIT 0 0\r\nECHO g\r\n",
    b"MULTI\r\nMONITOR\r\nECHO x\r\nEXEC\r\nECHO y\r\n", b"MULTI\r\nCLIENT UNPAUSE\r\nSLOWLOG RESET\r\nLATENCY RESET\r\nEXEC\r\n", b"AUTH a b c\r\nAUTH x\r\nAUTH default x\r\nHELLO 2 AUTH default\r\n",
    b"CLIENT PAUSE 30 WRITE\r\nGET ik\r\nSET ik v\r\nGET ik\r\n", b"CLIENT PAUSE 30\r\nGET ik\r\n", b"CLIENT PAUSE 30 WRITE\r\nMULTI\r\nECHO a\r\nEXEC\r\nMULTI\r\nSET ik 2\r\nEXEC\r\n",
    b"CLIENT REPLY SKIP\r\nCLIENT PAUSE 20 ALL\r\nECHO a\r\nCLIENT REPLY SKIP\r\nECHO b\r\nECHO c\r\n",
]  # fmt: skip
