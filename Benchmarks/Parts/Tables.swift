import Benchmark
import RESP
import Storage

/// A keyspace with keys 0 … `keyCount` - 1, and the loops that are measured on it.
final class FilledKeyspace {
  private var keyspace: Keyspace
  private let keyCount: Int
  private var text = KeyText()
  private var draws = Draws(seed: 1)
  private let value = Array("0123456789abcdef".utf8)
  private var entries: [EntryRef] = []
  private var scanSlot = 0

  /// Values of 16 bytes.
  init(keyCount: Int) throws(OutOfMemory) {
    keyspace = try Keyspace(seed: Storage.HashSeed(1, 2))
    self.keyCount = keyCount
    for slot in 0..<Keyspace.slotCount { keyspace.own(slot, by: 0) }
    try Self.insert(
      0..<keyCount, into: &keyspace, text: &text, value: value)
  }

  /// Inserts keys behind the others.
  func insertFresh(_ count: Int) throws(OutOfMemory) {
    try Self.insert(
      keyCount..<keyCount + count, into: &keyspace, text: &text, value: value)
  }

  /// Deletes the keys that `insertFresh` has inserted.
  func deleteFresh(_ count: Int) {
    Self.delete(keyCount..<keyCount + count, from: &keyspace, text: &text)
  }

  /// Looks random keys up, one by one; gives a sum that depends on what was found.
  func lookUp(_ count: Int) -> Int {
    Self.lookUp(count, in: keyspace, below: keyCount, text: &text, draws: &draws)
  }

  /// Looks up keys that are not there.
  func miss(_ count: Int) -> Int {
    Self.lookUp(count, in: keyspace, from: keyCount, below: keyCount, text: &text, draws: &draws)
  }

  /// Looks random keys up, 16 at a time, with buckets and entries prefetched as a batch of commands has them.
  func lookUpBatched(_ count: Int) -> Int {
    Self.lookUpBatched(count, in: keyspace, below: keyCount, text: &text, draws: &draws)
  }

  /// Sets random keys again.
  func overwrite(_ count: Int) throws(OutOfMemory) {
    try Self.overwrite(
      count, in: &keyspace, below: keyCount, text: &text, draws: &draws, value: value)
  }

  /// Walks on in SCAN's order until `count` entries were seen.
  func scan(_ count: Int) -> Int {
    Self.scan(count, in: keyspace, slot: &scanSlot, into: &entries)
  }
}

extension FilledKeyspace {
  private static func insert(
    _ numbers: Range<Int>, into keyspace: inout Keyspace, text: inout KeyText, value: [UInt8]
  ) throws(OutOfMemory) {
    let seed = keyspace.seed
    for number in numbers {
      text.write(number)
      let key = text.bytes.span.bytes
      let place = Place(key, seed: seed)
      let old = keyspace.find(place.slot, place.hash, key)
      try keyspace.setBytes(
        place.slot, place.hash, key, value.span.bytes, over: old, expiry: .clear, clock: 0)
    }
  }

  private static func delete(
    _ numbers: Range<Int>, from keyspace: inout Keyspace, text: inout KeyText
  ) {
    let seed = keyspace.seed
    for number in numbers {
      text.write(number)
      let key = text.bytes.span.bytes
      let place = Place(key, seed: seed)
      guard let entry = keyspace.find(place.slot, place.hash, key) else {
        preconditionFailure("a key that was inserted is gone")
      }
      keyspace.remove(place.slot, entry)
    }
  }

  private static func lookUp(
    _ count: Int, in keyspace: borrowing Keyspace, from base: Int = 0, below bound: Int,
    text: inout KeyText, draws: inout Draws
  ) -> Int {
    let seed = keyspace.seed
    var sum = 0
    for _ in 0..<count {
      text.write(base + draws.next(below: bound))
      let key = text.bytes.span.bytes
      let place = Place(key, seed: seed)
      if let entry = keyspace.find(place.slot, place.hash, key) {
        sum &+= keyspace.bytes(of: entry).byteCount
      }
    }
    return sum
  }

  private static func lookUpBatched(
    _ count: Int, in keyspace: borrowing Keyspace, below bound: Int, text: inout KeyText,
    draws: inout Draws
  ) -> Int {
    let seed = keyspace.seed
    var keys = [KeyText](repeating: text, count: 16)
    var places = [Place](repeating: Place(text.bytes.span.bytes, seed: seed), count: 16)
    var sum = 0
    for _ in 0..<count / 16 {
      for index in 0..<16 {
        keys[index].write(draws.next(below: bound))
        let bytes = keys[index].bytes
        places[index] = Place(bytes.span.bytes, seed: seed)
        keyspace.prefetchTable(places[index].slot)
      }
      for place in places { keyspace.prefetchDirectory(place.slot, place.hash) }
      for place in places { keyspace.prefetchBucket(place.slot, place.hash) }
      for place in places { keyspace.prefetchEntry(place.slot, place.hash) }
      for index in 0..<16 {
        let bytes = keys[index].bytes
        let key = bytes.span.bytes
        if let entry = keyspace.find(places[index].slot, places[index].hash, key) {
          sum &+= keyspace.bytes(of: entry).byteCount
        }
      }
    }
    return sum
  }

  private static func overwrite(
    _ count: Int, in keyspace: inout Keyspace, below bound: Int, text: inout KeyText,
    draws: inout Draws, value: [UInt8]
  ) throws(OutOfMemory) {
    let seed = keyspace.seed
    for _ in 0..<count {
      text.write(draws.next(below: bound))
      let key = text.bytes.span.bytes
      let place = Place(key, seed: seed)
      let old = keyspace.find(place.slot, place.hash, key)
      try keyspace.setBytes(
        place.slot, place.hash, key, value.span.bytes, over: old, expiry: .clear, clock: 0)
    }
  }

  private static func scan(
    _ count: Int, in keyspace: borrowing Keyspace, slot: inout Int, into entries: inout [EntryRef]
  ) -> Int {
    var seen = 0
    while seen < count {
      var prefix: UInt64? = 0
      while let next = prefix {
        prefix = keyspace.scan(slot, from: next, into: &entries)
        seen += entries.count
      }
      slot = (slot + 1) % Keyspace.slotCount
    }
    return seen
  }
}

/// Insert, look-up, delete and scan in tables of so many keys.
func tableBenchmarks(keyCounts: [(label: String, count: Int)]) {
  for (label, count) in keyCounts {
    // Filled at the first use, shared by the benchmarks of this size.
    let fill = Filling(keyCount: count)
    Benchmark(spaceless("table \(label): look-up")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      blackHole(keyspace.lookUp(operationCount))
    }
    Benchmark(spaceless("table \(label): look-up in batches of 16")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      blackHole(keyspace.lookUpBatched(operationCount))
    }
    Benchmark(spaceless("table \(label): look-up of absent keys")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      blackHole(keyspace.miss(operationCount))
    }
    Benchmark(spaceless("table \(label): overwrite")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      try keyspace.overwrite(operationCount)
    }
    Benchmark(spaceless("table \(label): insert")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      try keyspace.insertFresh(operationCount)
      benchmark.stopMeasurement()
      keyspace.deleteFresh(operationCount)
    }
    Benchmark(spaceless("table \(label): delete")) { benchmark in
      let keyspace = fill.keyspace
      try keyspace.insertFresh(operationCount)
      benchmark.startMeasurement()
      keyspace.deleteFresh(operationCount)
    }
    Benchmark(spaceless("table \(label): scan")) { benchmark in
      let keyspace = fill.keyspace
      benchmark.startMeasurement()
      blackHole(keyspace.scan(operationCount))
    }
  }
}

/// A keyspace that is made when it is first asked for. Benchmarks run one after the other, on one thread.
private final class Filling: @unchecked Sendable {
  private let keyCount: Int

  init(keyCount: Int) { self.keyCount = keyCount }

  lazy var keyspace: FilledKeyspace = {
    do throws(OutOfMemory) {
      return try FilledKeyspace(keyCount: keyCount)
    } catch {
      preconditionFailure("no memory for \(keyCount) keys")
    }
  }()
}
