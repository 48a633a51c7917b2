import Benchmark
import Engine
import Tern

/// A shard without a socket, a client of it, and the bytes of commands.
private final class Harness {
  private var shard: LocalShard
  private let client: ClientID
  private var draws = Draws(seed: 7)
  private var text = KeyText()
  private let keyCount: Int
  private var gets: [UInt8]
  private var sets: [UInt8]
  private let getOffsets: [Int]
  private let setOffsets: [Int]

  /// A shard with `keyCount` keys, sent to in pieces of `pipeline` requests.
  init?(keyCount: Int, pipeline: Int) {
    guard var shard = try? LocalShard(), let client = shard.connect() else { return nil }
    let get = request(["GET", "key:000000000000"])
    let set = request(["SET", "key:000000000000", "0123456789abcdef"])
    // Where the key's digits stand: behind "*2", "$3", "GET" and "$16", and "key:".
    let digits = "*2\r\n$3\r\nGET\r\n$16\r\nkey:".utf8.count
    gets = Array(repeatElement(get, count: pipeline).joined())
    sets = Array(repeatElement(set, count: pipeline).joined())
    getOffsets = (0..<pipeline).map { $0 * get.count + digits }
    setOffsets = (0..<pipeline).map { $0 * set.count + digits }
    self.keyCount = keyCount
    var text = KeyText()
    let value = Array("0123456789abcdef".utf8)
    for number in 0..<keyCount {
      text.write(number)
      shard.set(text.bytes.span.bytes, value.span.bytes)
    }
    self.shard = shard
    self.client = client
  }

  /// Sends so many GETs of random keys, and takes the replies.
  func get(_ count: Int) -> Int {
    Self.run(
      count, &gets, getOffsets, on: &shard, client: client, below: keyCount, text: &text,
      draws: &draws)
  }

  /// Sends so many SETs of random keys, and takes the replies.
  func set(_ count: Int) -> Int {
    Self.run(
      count, &sets, setOffsets, on: &shard, client: client, below: keyCount, text: &text,
      draws: &draws)
  }

  /// GET by the typed call, which needs no protocol.
  func typedGet(_ count: Int) -> Int {
    Self.typedGet(count, on: &shard, below: keyCount, text: &text, draws: &draws)
  }

  private static func run(
    _ count: Int, _ bytes: inout [UInt8], _ offsets: [Int], on shard: inout LocalShard,
    client: ClientID, below bound: Int, text: inout KeyText, draws: inout Draws
  ) -> Int {
    var replied = 0
    var sent = 0
    while sent < count {
      for offset in offsets {
        text.write(draws.next(below: bound))
        for index in 4..<16 { bytes[offset + index - 4] = text.bytes[index] }
      }
      sent += offsets.count
      shard.receive(bytes.span.bytes, from: client)
      while true {
        let byteCount = shard.reply(to: client).byteCount
        if byteCount == 0 { break }
        shard.replied(byteCount, to: client)
        replied += byteCount
      }
    }
    return replied
  }

  private static func typedGet(
    _ count: Int, on shard: inout LocalShard, below bound: Int, text: inout KeyText,
    draws: inout Draws
  ) -> Int {
    var sum = 0
    for _ in 0..<count {
      text.write(draws.next(below: bound))
      sum &+= shard.get(text.bytes.span.bytes) { $0?.byteCount ?? 0 }
    }
    return sum
  }
}

/// GET and SET as a whole, from a request's bytes to its reply's.
func localShardBenchmarks() {
  for (label, count) in [("1 k", 1000), ("1 M", 1_000_000)] {
    for pipeline in [1, 16, 64] {
      harnessBenchmark("LocalShard \(label): GET, \(pipeline) in a piece", count, pipeline) {
        $0.get(operationCount)
      }
      harnessBenchmark("LocalShard \(label): SET, \(pipeline) in a piece", count, pipeline) {
        $0.set(operationCount)
      }
    }
    harnessBenchmark("LocalShard \(label): GET by the typed call", count, 1) {
      $0.typedGet(operationCount)
    }
  }
}

private func harnessBenchmark(
  _ name: String, _ keyCount: Int, _ pipeline: Int, _ run: @escaping (Harness) -> Int
) {
  Benchmark(spaceless(name)) { (_: Benchmark, harness: Harness) in
    blackHole(run(harness))
  } setup: {
    guard let harness = Harness(keyCount: keyCount, pipeline: pipeline) else {
      preconditionFailure("no memory for \(keyCount) keys")
    }
    return harness
  }
}
