#!/usr/bin/env bash
# A redis-server that gives its last slot to another node becomes that node's replica at once, and copies its data.
# One would guess that it stays, as an empty primary: what counts commands or keys of all nodes then counts some twice, and
# slots are not given back to it by a later rebalance. redis-server 7.0.15 of Debian.
. "$(dirname "$0")/servers"

redis-server --version
redis_cluster 3
for i in $(seq 300); do redis-cli -c -p "$base" set "key:$i" "$i"; done >"$folder/set"
keys() { for n in 0 1 2; do redis-cli -p $((base + n)) dbsize; done | awk '{ sum += $1 } END { print sum }'; }
role() { redis-cli -p $((base + 2)) info replication | tr -d '\r' | sed -n 's/^role://p'; }
seen "role before" "$(role)" master
seen "keys of all nodes before" "$(keys)" 300
weight $((base + 2)) 0
for _ in $(seq 100); do [ "$(role)" = slave ] && redis-cli -p $((base + 2)) info replication | grep -q master_link_status:up && break; sleep 0.1; done
seen "role after" "$(role)" slave
seen "more keys of all nodes than there are" "$([ "$(keys)" -gt 300 ] && echo yes)" yes
