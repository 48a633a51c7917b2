// A benchmark harness in its smallest form: fills a shard and measures GETs in batches of 16, as RESP and as calls.
//
//     swift run -c release Example [KEYS]
import Tern

let keyCount = max(16, CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000)
let batchCount = 100_000
var shard = try LocalShard()
for key in 0..<keyCount { shard.set("key:\(key)", "value of \(key), 24 bytes") }

/// Runs 100 000 batches and says how many GETs a second that were.
func measure(_ name: String, _ run: (Int) -> Void) {
  let time = ContinuousClock().measure { for batch in 0..<batchCount { run(batch % 1000) } }
  print(name, Int(Double(16 * batchCount) / (time / .seconds(1))), "GET/s")
}

// A thousand batches of keys at random, made before the clock runs.
let drawn = (0..<1000).map { _ in (0..<16).map { _ in "key:\(Int.random(in: 0..<keyCount))" } }
let requests = drawn.map { keys in
  Array(keys.map { "*2\r\n$3\r\nGET\r\n$\($0.utf8.count)\r\n\($0)\r\n" }.joined().utf8)
}
let lists = drawn.map { keys in keys.reduce(into: KeyList()) { $0.append($1) } }

guard let client = shard.connect() else { fatalError("no memory for a client") }
measure("RESP, 16 a batch: ") { batch in
  shard.receive(requests[batch].span.bytes, from: client)
  while case let count = shard.reply(to: client).byteCount, count > 0 {
    shard.replied(count, to: client)
  }
}
measure("typed, 16 a batch:") { batch in shard.get(lists[batch]) { _, _ in } }
print(
  "\(shard.statistics.keys) keys, \(shard.statistics.hits) hits, \(shard.statistics.misses) misses")
