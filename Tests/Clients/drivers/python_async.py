"""Clients for asyncio, as `resizes.py` drives them: python_async.py CLIENT PORT PREFIX. Sixteen requests are under way at a time."""

import asyncio
import json
import sys
from importlib.metadata import version

KEYS, TOGETHER = 400, 16
# What Documentation/clients.md advises: a MOVED mends its own slot, without new connections, and the seed stays known.
ADVISED = {"reinitialize_steps": 0, "dynamic_startup_nodes": False}
name, port, prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]


async def redis_py():
    from redis.asyncio.cluster import RedisCluster

    return RedisCluster("127.0.0.1", port, **ADVISED), "redis"


async def valkey_py():
    from valkey.asyncio.cluster import ValkeyCluster

    return ValkeyCluster("127.0.0.1", port, **ADVISED), "valkey"


async def coredis():
    import coredis

    client = coredis.RedisCluster("127.0.0.1", port)
    await client.__aenter__()
    return client, "coredis"


async def glide():
    import glide

    glide.Logger.set_logger_config(glide.LogLevel.OFF)  # It tells of each MOVED on standard output.
    addresses = [glide.NodeAddress("127.0.0.1", port)]
    return await glide.GlideClusterClient.create(glide.GlideClusterClientConfiguration(addresses, request_timeout=1000)), "valkey-glide"


MAKERS = {"redis-py asyncio": redis_py, "valkey-py asyncio": valkey_py, "coredis": coredis, "valkey-glide": glide}


class Count:
    def __init__(self):
        self.done = self.errors = self.wrong = 0
        self.said = ""

    async def attempt(self, call, wanted):
        try:
            found = await asyncio.wait_for(call, 5)
            self.done += 1
            if wanted is not None and found != wanted:
                self.wrong += 1
                self.said = f"{found!r} instead of {wanted!r}"
            return True
        except Exception as error:
            self.errors += 1
            self.said = f"{type(error).__name__}: {error}"
            return False


def tell(**what):
    print(json.dumps(what), flush=True)


async def main():
    client, package = await MAKERS[name]()
    expected = {i: b"0" for i in range(KEYS)}
    for i in range(KEYS):
        await client.set(f"{prefix}:{i}", "0")
    tell(version=version(package))
    loop = asyncio.get_running_loop()
    line = lambda: loop.run_in_executor(None, sys.stdin.readline)
    while command := (await line()).strip():
        count = Count()
        if command == "look":
            for first in range(0, KEYS, TOGETHER):
                await asyncio.gather(*(count.attempt(client.get(f"{prefix}:{i}"), expected[i]) for i in range(first, min(first + TOGETHER, KEYS))))
        else:
            stop = asyncio.ensure_future(line())

            async def write_and_read(start):
                i = turn = start
                while not stop.done():
                    expected[i] = b"%d" % turn
                    # A write that failed may have been done or not: its key is left out until the next.
                    if await count.attempt(client.set(f"{prefix}:{i}", expected[i]), None):
                        await count.attempt(client.get(f"{prefix}:{i}"), expected[i])
                    else:
                        expected[i] = None
                    i, turn = (i + TOGETHER) % KEYS, turn + TOGETHER

            await asyncio.gather(*(write_and_read(n) for n in range(TOGETHER)))
        tell(done=count.done, errors=count.errors, wrong=count.wrong, said=count.said)


asyncio.run(main())
