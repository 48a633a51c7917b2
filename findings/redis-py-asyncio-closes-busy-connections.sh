#!/usr/bin/env bash
# redis-py's asyncio cluster client gets errors while slots move between healthy nodes: some MOVEDs make it read the map again, and
# for that it closes connections on which other coroutines wait. One would guess that redirects are never seen by the application.
# With reinitialize_steps=0 it keeps its connections, and there is none. redis-py 8.1.0, Debian's redis-server.
. "$(dirname "$0")/servers"

python_with redis==8.1.0
cat >"$folder/client.py" <<'PY'
import asyncio, sys
from redis.asyncio.cluster import RedisCluster

async def main(port, steps):
    client = RedisCluster("127.0.0.1", port, **steps)
    errors, is_over = [], asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))

    async def read(i):
        while not is_over.done():
            try:
                await client.get(f"key:{i % 400}")
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
            i += 16

    await asyncio.gather(*(read(i) for i in range(16)))
    await client.aclose()
    print(len(errors), *sorted(set(errors))[:3], sep="\n", file=sys.stderr)
    print("yes" if errors else "no")

asyncio.run(main(int(sys.argv[1]), {} if sys.argv[2] == "default" else {"reinitialize_steps": int(sys.argv[2])}))
PY
redis-server --version
redis_cluster 4 --cluster-allow-replica-migration no
# errors STEPS: whether reads fail while all slots of one node go to the others and come back, twice
errors() {
  (sleep 1; for weight in 0 1 0 1; do weight $((base + 3)) $weight; settled; done; echo over) | timeout 120 "$python" "$folder/client.py" "$base" "$1"
}
seen "errors with its defaults" "$(errors default)" yes
seen "errors with reinitialize_steps=0" "$(errors 0)" no
