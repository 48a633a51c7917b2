// node-redis, as `resizes.py` drives it: node_redis.js CLIENT PORT PREFIX. Under load sixteen requests are under way at a time.
const redis = require("redis");
const readline = require("readline");
const KEYS = 400, TOGETHER = 16, PATIENCE = 2000;
const [, , , port, prefix] = process.argv;
const expected = new Array(KEYS).fill("0");
const tell = (what) => console.log(JSON.stringify(what));

class Count {
  done = 0; errors = 0; wrong = 0; said = "";
  // An answer that has not come after two seconds is an error: this client may wait for ever.
  async attempt(call, wanted) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("no answer")), PATIENCE); });
    try {
      const found = await Promise.race([call, late]);
      this.done++;
      if (wanted !== null && found !== wanted) { this.wrong++; this.said = `${found} instead of ${wanted}`; }
      return true;
    } catch (error) {
      this.errors++; this.said = String(error);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function main() {
  const client = redis.createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] });
  client.on("error", () => {});
  await client.connect();
  for (let i = 0; i < KEYS; i++) await client.set(`${prefix}:${i}`, "0");
  let stopped = false, busy = false;
  const work = async (command) => {
    const count = new Count();
    if (command === "look") {
      // One after the other, and not for minutes where none is answered.
      for (let i = 0; i < KEYS && count.errors < 5; i++) await count.attempt(client.get(`${prefix}:${i}`), expected[i]);
    } else {
      stopped = false;
      await Promise.all([...Array(TOGETHER).keys()].map(async (start) => {
        for (let i = start, turn = start; !stopped; i = (i + TOGETHER) % KEYS, turn += TOGETHER) {
          expected[i] = String(turn);
          // A write that failed may have been done or not: its key is left out until the next.
          if (await count.attempt(client.set(`${prefix}:${i}`, expected[i]), "OK")) {
            await count.attempt(client.get(`${prefix}:${i}`), expected[i]);
          } else {
            expected[i] = null;
          }
        }
      }));
    }
    busy = false;
    tell({ done: count.done, errors: count.errors, wrong: count.wrong, said: count.said });
  };
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => { if (busy) stopped = true; else { busy = true; work(line); } });
  lines.on("close", () => process.exit(0));
  tell({ version: require("redis/package.json").version });
}
main();
