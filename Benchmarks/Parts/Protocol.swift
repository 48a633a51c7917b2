import Benchmark
import RESP
import Sharding

/// A request as clients send it.
func request(_ arguments: [String]) -> [UInt8] {
  var text = "*\(arguments.count)\r\n"
  for argument in arguments { text += "$\(argument.utf8.count)\r\n\(argument)\r\n" }
  return Array(text.utf8)
}

/// The slots of many keys, summed.
private func slotSum(_ count: Int, _ key: RawSpan) -> Int {
  var sum = 0
  for length in 0..<count {
    // A length that changes a little, so that nothing is worked out once for all.
    sum &+= HashSlot.of(key.extracting(0..<key.byteCount - length & 1)).index
  }
  return sum
}

/// Parses the same bytes until `count` requests were found; gives how many arguments they had.
private func parse(_ count: Int, _ bytes: RawSpan) -> Int {
  var parser = RequestParser()
  var batch = RequestBatch()
  let limits = ProtocolLimits()
  var arguments = 0
  var found = 0
  while found < count {
    var rest = bytes
    while rest.byteCount > 0 {
      do throws(ProtocolError) {
        let consumed = try parser.parse(rest, into: &batch, limits: limits)
        found += batch.count
        arguments += batch.arguments.count
        rest = rest.extracting(consumed..<rest.byteCount)
      } catch {
        preconditionFailure("requests that are well formed were refused")
      }
    }
  }
  return arguments
}

/// CRC16, requests and replies.
func protocolBenchmarks() {
  let short = Array("key:000000123456".utf8)
  Benchmark(spaceless("slot of a key of 16 bytes")) { _ in
    blackHole(slotSum(operationCount, short.span.bytes))
  }
  let long = [UInt8](repeating: UInt8(ascii: "k"), count: 128)
  Benchmark(spaceless("slot of a key of 128 bytes")) { _ in
    blackHole(slotSum(operationCount, long.span.bytes))
  }
  let tagged = Array("{user:123456}.following".utf8)
  Benchmark(spaceless("slot of a key with a hash tag")) { _ in
    blackHole(slotSum(operationCount, tagged.span.bytes))
  }

  let get = request(["GET", "key:000000123456"])
  let set = request(["SET", "key:000000123456", "0123456789abcdef"])
  let mset = request(["MSET"] + (0..<10).flatMap { ["key:{1}:\($0)", "0123456789abcdef"] })
  for (label, one) in [("GET", get), ("SET", set), ("MSET of 10", mset)] {
    let many = Array(repeatElement(one, count: 16).joined())
    Benchmark(spaceless("parse \(label), 16 in a piece")) { _ in
      blackHole(parse(operationCount, many.span.bytes))
    }
  }
  Benchmark(spaceless("parse SET, one in a piece")) { _ in
    blackHole(parse(operationCount, set.span.bytes))
  }

  replyBenchmark("reply OK") { $0.ok() }
  replyBenchmark("reply an integer") { $0.integer(1_234_567) }
  let value16 = [UInt8](repeating: 120, count: 16)
  replyBenchmark("reply a bulk of 16 bytes") { $0.bulk(value16.span.bytes) }
  let value128 = [UInt8](repeating: 120, count: 128)
  replyBenchmark("reply a bulk of 128 bytes") { $0.bulk(value128.span.bytes) }
  let value4096 = [UInt8](repeating: 120, count: 4096)
  replyBenchmark("reply a bulk of 4096 bytes") { $0.bulk(value4096.span.bytes) }
}

/// Writes the same reply again and again, into memory that is there.
@inline(__always)
private func replyBenchmark(
  _ name: String, _ write: @escaping @Sendable (inout ByteReplies) -> Void
) {
  Benchmark(spaceless(name)) { benchmark in
    var replies = ByteReplies()
    write(&replies)
    benchmark.startMeasurement()
    for _ in 0..<operationCount {
      replies.removeAll()
      write(&replies)
    }
    blackHole(replies.byteCount)
  }
}
