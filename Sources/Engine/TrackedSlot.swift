internal import RESP
internal import Storage

// What was read of one hash slot by sessions that want to be told of changes (`Tracking.swift`).

/// A session that has read a key: its id, and its place as long as it has that id.
struct TrackedReader {
  let id: UInt64
  let index: Int32
}

/// Who has read a key: nearly always one.
struct TrackedReaders {
  private let first: TrackedReader
  private var isFirstGone = false
  private var others: [UInt64: Int32] = [:]

  init(_ first: TrackedReader) { self.first = first }

  /// How many they are.
  var count: Int { others.count + (isFirstGone ? 0 : 1) }

  /// All of them, in no order.
  var all: [TrackedReader] {
    (isFirstGone ? [] : [first]) + others.map { TrackedReader(id: $0.key, index: $0.value) }
  }

  /// One more. False if it was there.
  mutating func insert(_ reader: TrackedReader) -> Bool {
    if reader.id == first.id {
      defer { isFirstGone = false }
      return isFirstGone
    }
    return others.updateValue(reader.index, forKey: reader.id) == nil
  }

  /// Without those that are gone.
  mutating func remove(_ isGone: (TrackedReader) -> Bool) {
    if isGone(first) { isFirstGone = true }
    others = others.filter { !isGone(TrackedReader(id: $0.key, index: $0.value)) }
  }
}

/// What of a table of read keys is counted.
struct TrackedFigures {
  var keys = 0
  /// Readers of keys.
  var items = 0
  var byteCount = 0

  /// What a key takes beside its name, and a reader: places in dictionaries, headers of allocations. Measured, rounded up.
  static let bytesPerKey = 176
  static let bytesPerReader = 32

  var negative: TrackedFigures {
    TrackedFigures(keys: -keys, items: -items, byteCount: -byteCount)
  }

  static func += (sum: inout TrackedFigures, other: TrackedFigures) {
    sum.keys += other.keys
    sum.items += other.items
    sum.byteCount += other.byteCount
  }
}

/// A key that was read, at which shard first, and who has read it.
struct TrackedKey {
  let name: [UInt8]
  let shard: Int32
  var readers: TrackedReaders

  /// What it counts for.
  var figures: TrackedFigures {
    TrackedFigures(
      keys: 1, items: readers.count,
      byteCount: name.count + TrackedFigures.bytesPerKey
        + readers.count * TrackedFigures.bytesPerReader)
  }
}

/// The keys of a slot that were read. Keys of equal hashes stand together.
struct TrackedSlot {
  private var places: [UInt64: [TrackedKey]] = [:]
  /// How far its memory has been given back.
  private var nextBuried: [UInt64: [TrackedKey]].Index?
  /// What it counts for, by the shards that its keys were read at; nearly always one.
  private(set) var figures: [Int32: TrackedFigures] = [:]

  typealias Change = (change: TrackedFigures, shard: Int32, readerCount: Int)

  var isEmpty: Bool { places.isEmpty }
  var keyCount: Int { figures.values.reduce(0) { $0 + $1.keys } }
  var keys: [TrackedKey] { places.values.flatMap { $0 } }

  private func index(_ hash: KeyHash, _ key: RawSpan) -> Int? {
    places[hash.bits]?.firstIndex { $0.name.rawBytes.equals(key) }
  }

  /// One more reader of a key, and what changes by it.
  mutating func remember(
    _ hash: KeyHash, _ key: RawSpan, by reader: TrackedReader, shard: Int32
  ) -> Change {
    guard let i = index(hash, key) else {
      let tracked = TrackedKey(
        name: Engine.bytes(of: key), shard: shard, readers: TrackedReaders(reader))
      places[hash.bits, default: []].append(tracked)
      figures[shard, default: TrackedFigures()] += tracked.figures
      return (tracked.figures, shard, 1)
    }
    var change = TrackedFigures()
    let isNew = places[hash.bits]?[i].readers.insert(reader) ?? false
    if isNew { change = TrackedFigures(items: 1, byteCount: TrackedFigures.bytesPerReader) }
    let first = places[hash.bits]?[i].shard ?? shard
    figures[first, default: TrackedFigures()] += change
    return (change, first, places[hash.bits]?[i].readers.count ?? 0)
  }

  /// Gives the memory of some keys back, of a slot that nobody looks into any more. How many keys they were.
  mutating func bury(limit: Int) -> Int {
    var next = nextBuried ?? places.startIndex
    var count = 0
    while count < limit, next != places.endIndex {
      count += places.values[next].count
      places.values[next] = []
      places.formIndex(after: &next)
    }
    nextBuried = next
    return count
  }

  /// Whether there is more to be given back.
  var hasUnburied: Bool { nextBuried.map { $0 != places.endIndex } ?? !isEmpty }

  /// Takes a key out.
  mutating func take(_ hash: KeyHash, _ key: RawSpan) -> TrackedKey? {
    guard let i = index(hash, key), let tracked = places[hash.bits]?.remove(at: i) else {
      return nil
    }
    if places[hash.bits]?.isEmpty == true { places[hash.bits] = nil }
    figures[tracked.shard, default: TrackedFigures()] += tracked.figures.negative
    if figures[tracked.shard]?.keys == 0 { figures[tracked.shard] = nil }
    return tracked
  }

  /// Who has read a key.
  func readers(_ hash: KeyHash, _ key: RawSpan) -> [TrackedReader] {
    guard let i = index(hash, key) else { return [] }
    return places[hash.bits]?[i].readers.all ?? []
  }

  /// Drops readers of a key, and says what changes by it.
  mutating func purge(
    _ hash: KeyHash, _ key: RawSpan, _ isGone: (TrackedReader) -> Bool
  ) -> Change? {
    guard let i = index(hash, key), let before = places[hash.bits]?[i].figures else { return nil }
    places[hash.bits]?[i].readers.remove(isGone)
    guard let tracked = places[hash.bits]?[i] else { return nil }
    var change = tracked.figures
    change += before.negative
    figures[tracked.shard, default: TrackedFigures()] += change
    return (change, tracked.shard, tracked.readers.count)
  }
}
