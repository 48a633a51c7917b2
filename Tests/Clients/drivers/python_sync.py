"""redis-py and valkey-py, as `resizes.py` drives them: python_sync.py CLIENT PORT PREFIX."""

import importlib
import json
import select
import sys
from importlib.metadata import version

KEYS = 400
NAMES = {"redis-py": ("redis", "RedisCluster"), "valkey-py": ("valkey", "ValkeyCluster")}

name, port, prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]
package, cluster = NAMES[name]
client = getattr(importlib.import_module(package + ".cluster"), cluster)("127.0.0.1", port, decode_responses=True)
expected = {}


class Count:
    def __init__(self):
        self.done = self.errors = self.wrong = 0
        self.said = ""

    def attempt(self, call, wanted):
        try:
            found = call()
            self.done += 1
            if found != wanted:
                self.wrong += 1
                self.said = f"{found!r} instead of {wanted!r}"
            return True
        except Exception as error:
            self.errors += 1
            self.said = f"{type(error).__name__}: {error}"
            return False


def write_and_read(count, i, turn):
    """A write that failed may have been done or not: its key is left out until the next."""
    expected[i] = str(turn)
    if count.attempt(lambda: client.set(f"{prefix}:{i}", expected[i]), True):
        count.attempt(lambda: client.get(f"{prefix}:{i}"), expected[i])
    else:
        del expected[i]


def tell(**what):
    print(json.dumps(what), flush=True)


for i in range(KEYS):
    expected[i] = "0"
    client.set(f"{prefix}:{i}", "0")
tell(version=version(package))
while (line := sys.stdin.readline().strip()):
    count = Count()
    if line == "look":
        for i in expected:
            count.attempt(lambda: client.get(f"{prefix}:{i}"), expected[i])
    else:
        turn = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            write_and_read(count, turn % KEYS, turn)
            turn += 1
        sys.stdin.readline()
    tell(done=count.done, errors=count.errors, wrong=count.wrong, said=count.said)
