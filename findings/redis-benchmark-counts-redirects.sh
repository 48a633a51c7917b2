#!/usr/bin/env bash
# redis-benchmark --cluster counts a request that was answered MOVED or ASK as one that was done.
# One would guess that it sends it again, as cluster clients do, or says how many failed. So while slots move, requests/s is not what
# the servers have done. Debian's redis-tools and redis-server.
. "$(dirname "$0")/servers"

requests=400000
redis-benchmark --version
redis_cluster 3 --cluster-allow-replica-migration no
redis-benchmark -p "$base" --cluster -n $requests -r 100000 -c 20 -t set >"$folder/out" 2>&1 &
load=$!
sleep 1
weight $((base + 2)) 0
code=0
wait $load || code=$?
tr '\r' '\n' <"$folder/out" | grep -a "requests completed"
count() { for n in 0 1 2; do redis-cli -p $((base + n)) info commandstats; done | tr ',' '\n' | sed -n "s/.*$1=//p" | awk '{ sum += $1 } END { print sum + 0 }'; }
# Nothing else of commandstats but SET is redirected, so `rejected_calls` are the SETs that were.
done=$(for n in 0 1 2; do redis-cli -p $((base + n)) info commandstats; done | sed -n 's/cmdstat_set:calls=\([0-9]*\),.*/\1/p' | awk '{ sum += $1 } END { print sum }')
redirected=$(count rejected_calls)
echo "$done SETs were done, $redirected were redirected"
seen "exit code" $code 0
seen "done and redirected together" $((done + redirected)) $requests
seen "fewer were done than it counts" "$([ "$done" -lt $requests ] && echo yes)" yes
