#!/usr/bin/env bash
# valkey-py's asyncio cluster client never recovers from a node that has left, if several requests were under way: for each connection
# that ends it forgets one node, those that are well too, until it knows none, and says "Please provide at least one reachable node".
# One would guess that it asks the nodes that are left, or its seed. valkey-py 6.2.0, Debian's redis-server.
. "$(dirname "$0")/servers"

python_with valkey==6.2.0
cat >"$folder/client.py" <<'PY'
import asyncio, sys
from valkey.asyncio.cluster import ValkeyCluster

async def main(port):
    client = ValkeyCluster("127.0.0.1", port)
    is_over = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))

    async def read(i):
        while not is_over.done():
            try:
                await client.get(f"key:{i % 400}")
            except Exception:
                await asyncio.sleep(0.001)
            i += 16

    await asyncio.gather(*(read(i) for i in range(16)))
    failed, error = 0, None
    for i in range(400):
        try:
            await client.get(f"key:{i}")
        except Exception as e:
            failed, error = failed + 1, e
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    fresh = ValkeyCluster("127.0.0.1", port)
    for i in range(400):
        await fresh.get(f"key:{i}")
    print(f"{failed} of 400 reads fail, none of a new client")
    await fresh.aclose()

asyncio.run(main(int(sys.argv[1])))
PY
redis-server --version
redis_cluster 4 --cluster-allow-replica-migration no
found=$( (
  sleep 1
  weight $((base + 3)) 0
  settled
  id=$(redis-cli -p $((base + 3)) cluster myid)
  kill "${pids[3]}"
  for n in 0 1 2; do redis-cli -p $((base + n)) cluster forget "$id" >"$folder/forget"; done
  sleep 3
  echo over
) | timeout 60 "$python" -W ignore "$folder/client.py" "$base" 2>"$folder/error")
grep Exception "$folder/error"
seen "three seconds after a node has left in good order" "$found" "400 of 400 reads fail, none of a new client"
