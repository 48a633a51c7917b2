// A benchmark harness in its smallest form: fills a shard and measures GETs in batches of 16, as RESP and as calls.
//
//     swift run -c release Example [KEYS]
import Tern

func harness(keyCount: Int, batchCount: Int = 100_000) throws {
  var shard = try LocalShard()
  for key in 0..<keyCount { shard.set("key:\(key)", "value of \(key), 24 bytes") }
  guard let client = shard.connect() else { return }

  // Batches of keys at random, made before the clock runs; so many that no cache holds what they touch.
  let drawn = (0..<50_000).map { _ in (0..<16).map { _ in "key:\(Int.random(in: 0..<keyCount))" } }
  let requests = drawn.map { keys in
    Array(keys.map { "*2\r\n$3\r\nGET\r\n$\($0.utf8.count)\r\n\($0)\r\n" }.joined().utf8)
  }
  let lists = drawn.map { keys in keys.reduce(into: KeyList()) { $0.append($1) } }

  func report(_ name: String, _ time: Duration) {
    print(name, Int(Double(16 * batchCount) / (time / .seconds(1))), "GET/s")
  }
  let clock = ContinuousClock()
  var begin = clock.now
  for batch in 0..<batchCount {
    let request = requests[batch % drawn.count]
    shard.receive(request.span.bytes, from: client)
    shard.dropReplies(to: client)
  }
  report("RESP, 16 a batch: ", clock.now - begin)
  begin = clock.now
  for batch in 0..<batchCount { shard.get(lists[batch % drawn.count]) { _, _ in } }
  report("typed, 16 a batch:", clock.now - begin)
  let counts = shard.statistics
  print("\(counts.keys) keys, \(counts.hits) hits, \(counts.misses) misses")
}

try harness(
  keyCount: max(16, CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000))
