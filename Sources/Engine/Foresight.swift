internal import RESP
internal import Sharding
internal import Storage

// Prefetching across connections (DESIGN §2). With one request per connection there is no batch to hide cache misses in, but a turn
// brings requests of many connections: their keys are looked for in groups of up to 16, in three stages (slot table, bucket, entry),
// and only then are the requests run. Slot and hash are kept, so nothing is computed twice.

/// What is foreseen of the first request in some bytes: as a rule the slot and hash of its key.
struct Foresight {
  /// The client whose bytes they are; −1 = nothing was foreseen.
  var client: Int32 = -1
  /// The slot of the request's second argument.
  var slot: Int32 = 0
  /// How long that is, to be sure that it is what the parser finds.
  var keyByteCount: Int32 = 0
  /// Its hash.
  var hash = KeyHash.none

  static let none = Foresight()
}

extension Engine {
  /// Most bytes that are foreseen together.
  public static var foresightLimit: Int { 16 }

  /// Looks at bytes that will be received as number `place` of a group. First stage.
  public mutating func foresee(_ bytes: RawSpan, from client: ClientID, at place: Int) {
    var item = Foresight()
    if let range = bytes.foreseenKey() {
      let key = bytes.extracting(range)
      item.client = client.index
      item.keyByteCount = Int32(truncatingIfNeeded: range.count)
      item.slot = Int32(HashSlot.of(key).index)
      item.hash = KeyHash(key, seed: hashSeed)
      keyspace.prefetchTable(Int(item.slot))
    }
    foresights[place] = item
  }

  /// Second and third stage, for the whole group.
  public mutating func prefetchForeseen(_ count: Int) {
    for i in 0..<count where foresights[i].client >= 0 {
      keyspace.prefetchDirectory(Int(foresights[i].slot), foresights[i].hash)
    }
    for i in 0..<count where foresights[i].client >= 0 {
      keyspace.prefetchBucket(Int(foresights[i].slot), foresights[i].hash)
    }
    for i in 0..<count where foresights[i].client >= 0 {
      keyspace.prefetchEntry(Int(foresights[i].slot), foresights[i].hash)
    }
  }

  /// What was foreseen at a place of the group, once: the next group begins with nothing.
  @inline(__always)
  mutating func takeForesight(_ place: Int, of client: Int32) -> Foresight {
    if place < 0 { return .none }
    let item = foresights[place]
    foresights[place].client = -1
    return item.client == client ? item : .none
  }
}
