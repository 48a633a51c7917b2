"""CONFIG for the differential rig: random CONFIG GET, SET and their mistakes.

What is set is taken back by the round's own later commands only where it matters: settings that change how the
rest of a round is answered (limits, memory, clients) are set to refused values alone. The order of CONFIG GET is
redis's hash order; replies are compared as sets of pairs.
"""

from compatibility import ONLY_TERN, OTHER_VALUE
from resp import value

# Settings that may be given any value without a change in what is asked beside.
FLAGS = b"activerehashing aof-load-truncated aof-rewrite-incremental-fsync aof-use-rdb-preamble cluster-allow-reads-when-down crash-log-enabled dynamic-hz lazyfree-lazy-eviction lazyfree-lazy-expire no-appendfsync-on-rewrite rdb-del-sync-files rdbcompression repl-disable-tcp-nodelay replica-lazy-flush slave-lazy-flush stop-writes-on-bgsave-error".split()
# Without latency-monitor-threshold: a small one makes LATENCY tell of every stall of the machine.
NUMBERS = b"active-defrag-cycle-max auto-aof-rewrite-percentage cluster-migration-barrier cluster-node-timeout lfu-decay-time lfu-log-factor list-compress-depth list-max-ziplist-size list-max-listpack-size maxmemory-eviction-tenacity maxmemory-samples repl-backlog-ttl repl-diskless-sync-delay repl-timeout replica-priority slave-priority set-max-intset-entries shutdown-timeout slowlog-max-len tracking-table-max-keys cluster-replica-validity-factor cluster-slave-validity-factor busy-reply-threshold lua-time-limit key-load-delay".split()
MEMORY = b"active-defrag-ignore-bytes auto-aof-rewrite-min-size hash-max-listpack-value hash-max-ziplist-value hll-sparse-max-bytes stream-node-max-bytes zset-max-listpack-value cluster-link-sendbuf-limit".split()
CHOICES = {
    b"appendfsync": [b"everysec", b"ALWAYS", b"no", b"yes"],
    b"maxmemory-policy": [b"allkeys-lru", b"Volatile-TTL", b"noeviction", b"lru"],
    b"loglevel": [b"notice", b"warning", b"nothing"],
    b"oom-score-adj": [b"no", b"maybe"],
    b"sanitize-dump-payload": [b"no", b"clients", b"yes", b"1"],
    b"propagation-error-behavior": [b"ignore", b"panic", b"x"],
    b"repl-diskless-load": [b"disabled", b"swapdb", b"on"],
    b"cluster-preferred-endpoint-type": [b"ip", b"hostname", b"Unknown-Endpoint", b"IPv4"],
    b"shutdown-on-sigint": [b"save", b"now force", b"save nosave", b"default", b"default save", b"", b"save  now"],
    b"shutdown-on-sigterm": [b"nosave", b"force now", b"x", b"default"],
    b"save": [b"", b"3600 1", b"3600 1 300", b"a b", b"0 1", b"1 -1", b"3600 1 300 100", b" 1 1", b"01 1"],
    b"client-output-buffer-limit": [b"normal 0 0 0", b"Replica 1mb 2kb 3", b"slave 4 5 6", b"foo 1 2 3", b"pubsub a 2 3", b"pubsub 1 2 -3", b"normal 1", b"", b"pubsub 1 2 3 slave 4 5 6"],
    b"notify-keyspace-events": [b"", b"x", b"KEA", b"Kx", b"KEn", b"AKEmn", b"g$lshzxe", b"K t", b"q", b"td", b"g$lshzxetdKE"],
    b"latency-tracking-info-percentiles": [b"", b"50", b"50 99 99.9", b"101", b"-1", b"50 zz", b"1e1", b"50.123456789", b"0", b"100"],
    b"oom-score-adj-values": [b"0 200 800", b"1 2", b"a b c", b"0 0 2001", b"-2000 0 5"],
    b"proc-title-template": [b"{title} {listen-addr} {server-mode}", b"", b"{bad}", b"{title", b"plain", b"{}", b"{port}{tls-port}"],
    b"cluster-announce-hostname": [b"a.b-c", b"a_b", b"x" * 256, b""],
    b"maxmemory-clients": [b"0", b"4GB", b"100%", b"101%", b"-5%", b"%", b"5.5%", b"1 kb"],  # Less, and redis ends clients with long requests.
    b"masterauth": [b"", b"secret"],
    b"acl-pubsub-default": [b"allchannels", b"resetchannels", b"x"],
}
# Changing these would change the round (redis with a low `hz` keeps expired keys so long that its WATCH overlooks
# them): they are only asked for what is refused.
WRONG_ONLY = b"hz active-expire-effort maxmemory maxclients timeout proto-max-bulk-len client-query-buffer-limit appendonly rdb-save-incremental-fsync slowlog-log-slower-than tcp-keepalive latency-tracking tls-port".split()
FIXED = b"databases cluster-enabled tcp-backlog logfile daemonize aclfile io-threads syslog-ident unixsocket dbfilename protected-mode dir enable-debug-command".split()
NONSENSE = [b"x", b"", b" 1", b"01", b"+1", b"-", b"1.5", b"9223372036854775808", b"yes please", b"1\r\n2"]
AMOUNTS = [b"0", b"1", b"2", b"10", b"99", b"100", b"101", b"500", b"-1", b"2147483647", b"2147483648", b"-2147483649", b"9223372036854775807", b"-9223372036854775808"]
BYTES = [b"0", b"1", b"1b", b"1K", b"1kb", b"2mb", b"1GB", b"1tb", b"1 kb", b"-1", b"5%", b"100%", b"101%", b"-5%", b"%", b"1.5mb", b"kb"]
ALL = sorted({*FLAGS, *NUMBERS, *MEMORY, *CHOICES, *WRONG_ONLY, *FIXED})


def pairs_as_set(redis, tern):
    """the order of CONFIG GET is that of redis's hash table"""
    if redis[:1] not in b"*%" or tern[:1] != redis[:1]:
        return redis == tern
    found = []
    for reply in (redis, tern):
        decoded = value(reply)
        found.append(decoded if isinstance(decoded, dict) else dict(zip(decoded[::2], decoded[1::2])))
    left, right = found
    different = {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
    return all(name.lower() in OTHER_VALUE or (name.lower() in ONLY_TERN and name not in left) for name in different)


def spelled(r, name):
    """A name in some spelling."""
    return r.choice([name, name, name, name.upper(), name.title()])


def some_pair(r):
    """A setting and a value for it, right or wrong, that changes nothing for the others of a round."""
    kind = r.random()
    if kind < 0.2:
        return r.choice(FLAGS), r.choice([b"yes", b"no", b"YES", b"No", b"1", b"", b"maybe"])
    if kind < 0.4:
        return r.choice(NUMBERS), r.choice(AMOUNTS + NONSENSE)
    if kind < 0.55:
        return r.choice(MEMORY), r.choice(BYTES)
    if kind < 0.85:
        name = r.choice(sorted(CHOICES))
        return name, r.choice(CHOICES[name])
    if kind < 0.93:
        return r.choice(WRONG_ONLY), r.choice([b"x", b"-5%", b"1.5", b"maybe"])
    if kind < 0.98:
        return r.choice(FIXED), r.choice([b"1", b"yes", b"x"])
    return r.choice([b"nosuch", b"", b"max memory", b"a\r\nb", b"save\0"]), b"1"


def words(r, case):
    """The words of a random CONFIG, and whether its reply is a map."""
    kind = r.random()
    if kind < 0.55:
        count = r.choice([1, 1, 1, 1, 2, 3])
        found = [case(r, "CONFIG"), case(r, "SET")]
        for _ in range(count):
            name, wanted = some_pair(r)
            found += [spelled(r, name), wanted]
        return found + ([b"odd"] if r.random() < 0.03 else []), False
    if kind < 0.95:
        asked = [r.choice([spelled(r, r.choice(ALL)), r.choice([b"*", b"lazy*", b"*max*", b"[ab]*", b"s?ve", b"SLAVE-*", b"time\\out", b"", b"nosuch", b"key-load*", b"tls-*", b"*-slave-*"])]) for _ in range(r.choice([1, 1, 2, 3]))]
        return [case(r, "CONFIG"), case(r, "GET"), *asked], True
    return [case(r, "CONFIG"), *r.choice([[b"HELP"], [b"REWRITE"], [b"REWRITE", b"x"], [b"RESETSTAT"], [b"nosuch"], [b"HELP", b"x"]])], False


def step(Step, case):
    """A generator of steps for the rig's table."""

    def make(r):
        found, is_map = words(r, case)
        return Step(found, pairs_as_set) if is_map else Step(found)

    return make


# What CONFIG REWRITE is tried on, and what is set before. Lines with these names are each server's own.
FILE = b"""# a file

save 900 1
save 300 10



maxmemory 100mb
# in between
maxmemory 200mb
   hz 20
rename-command WAIT ""
include %s/more*.conf
slave-priority 50
client-output-buffer-limit normal 1mb 0 0
notify-keyspace-events Kx
# the end
"""
CHANGES = [b"maxmemory", b"300mb", b"hz", b"10", b"appendfsync", b"no", b"save", b"1 2", b"latency-tracking-info-percentiles", b"50 1", b"maxmemory-clients", b"5%", b"cluster-announce-hostname", b"ab", b"shutdown-on-sigint", b"save now", b"list-max-ziplist-size", b"-1", b"slowlog-max-len", b"7", b"proto-max-bulk-len", b"1048577"]
OWN_LINES = (b"dir ", b"user ", b"port ", b"bind ", b"shards ", b"io ", b"cluster-enabled ", b"cluster-require-full-coverage ")


def comparable(text):
    """A rewritten file without what is each server's own: its lines up to the appended ones, and those as a set."""
    lines = [line for line in text.split(b"\n") if not line.startswith(OWN_LINES)]
    at = lines.index(b"# Generated by CONFIG REWRITE")
    while lines[at - 1] == b"":
        del lines[at - 1]
        at -= 1
    return lines[:at], sorted(filter(None, lines[at:]))
