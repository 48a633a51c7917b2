import Testing

@testable import Sharding

private func log(_ count: Int) -> EventLog {
  var log = EventLog()
  for number in 0..<count {
    let kinds = ClusterEvent.Kind.allCases
    _ = log.append(
      kinds[number % kinds.count],
      [
        .init("slots", number), .init("text", "a b=c%\n\u{0}ü\u{7F}"), .init("", ""),
        .init("negative", -number),
      ], milliseconds: 1_700_000_000_000 + Int64(number))
  }
  return log
}

@Suite struct ClusterEventTests {
  @Test func theOldestIsDropped() {
    for count in [255, 256, 257, 1000] {
      let log = log(count)
      #expect(log.events.count == min(count, EventLog.capacity))
      #expect(log.events.last?.id == UInt64(count))
      #expect(log.nextID == UInt64(count) + 1)
    }
  }

  @Test func thoseAfterAnID() {
    let log = log(300)
    #expect(log.events(after: 0).count == 256)
    #expect(log.events(after: 298).map(\.id) == [299, 300])
    #expect(log.events(after: 200, count: 3).map(\.id) == [298, 299, 300])
    #expect(log.events(after: 300).isEmpty)
    #expect(log.events(after: .max, count: -1).isEmpty)
    #expect(EventLog().events().isEmpty)
  }

  @Test func textsAreCut() {
    let long = String(repeating: "ü", count: 600)
    let field = ClusterEvent.Field(long, "x")
    #expect(field.name.utf8.count == 1024)
    #expect(ClusterEvent.Field(String(repeating: "x", count: 1025), "").name.utf8.count == 1024)
    let many = (0..<40).map { ClusterEvent.Field("n", $0) }
    var log = EventLog()
    #expect(log.append(.shardCreated, many, milliseconds: 0).fields.count == 32)
  }

  @Test func roundTrips() {
    for count in [0, 1, 7, 256, 300] {
      let log = log(count)
      let bytes = EventsFile.encode(log)
      #expect(EventsFile.decode(bytes) == log)
    }
    // The largest event there can be, as often as there is room for.
    var log = EventLog()
    let empty = EventsFile.encode(log).count
    let field = ClusterEvent.Field(
      String(repeating: "\u{1}", count: 1024), String(repeating: "%", count: 1024))
    _ = log.append(.configurationChanged, Array(repeating: field, count: 32), milliseconds: .min)
    let full = EventsFile.encode(log).count - empty + 19
    #expect(empty + 19 + EventLog.capacity * full <= EventsFile.maxByteCount)
  }

  @Test func everyCutAndEveryChangedByteIsRefused() {
    let whole = EventsFile.encode(log(2))
    for count in 0..<whole.count { #expect(EventsFile.decode(Array(whole.prefix(count))) == nil) }
    for position in whole.indices {
      for change: UInt8 in [1, 0x20, 0xFF] {
        var bytes = whole
        bytes[position] ^= change
        #expect(EventsFile.decode(bytes) == nil)
      }
    }
    #expect(EventsFile.decode(whole + [10]) == nil)
    #expect(EventsFile.decode(Array(repeating: 10, count: EventsFile.maxByteCount + 1)) == nil)
  }

  /// Mangled at random, with the checksum put right: refused, or the same when written again.
  @Test(arguments: [21, 22] as [UInt64]) func mutations(seed: UInt64) {
    var numbers = Numbers(seed: seed)
    let whole = EventsFile.encode(log(3))
    let body = Array(whole.prefix(whole.count - 26))
    let words = ["%", "%0", "%zz", "=", " ", "\n", "next 0", "18446744073709551615", "-0", "+1"]
    var decodedCount = 0
    for _ in 0..<500 {
      var bytes = body
      for _ in 0...Int.random(in: 0..<2, using: &numbers) {
        let place = Int.random(in: 0..<bytes.count, using: &numbers)
        switch Int.random(in: 0..<3, using: &numbers) {
        case 0: bytes.remove(at: place)
        case 1: bytes.insert(contentsOf: words.randomElement(using: &numbers)!.utf8, at: place)
        default: bytes[place] = UInt8.random(in: 0...255, using: &numbers)
        }
      }
      let sum = NodesFile.checksum(bytes[...])
      bytes += Array("checksum ".utf8)
      bytes.append(hexadecimal: sum)
      bytes.append(10)
      if let log = EventsFile.decode(bytes) {
        decodedCount += 1
        #expect(EventsFile.encode(log) == bytes, "seed \(seed)")
      }
    }
    #expect((15..<400).contains(decodedCount), "\(decodedCount) decoded, seed \(seed)")
  }
}
