internal import RESP
internal import Sharding

/// Which shard owns which slots, as `CLUSTER SLOTS` tells it.
struct SlotOwnership: Equatable {
  /// Ranges in ascending order, each with the id of its owner.
  var ranges: [(slots: SlotRange, owner: String)] = []

  /// Asks a server.
  static func ask(_ client: inout ClusterClient) throws(ClusterFailure) -> SlotOwnership {
    SlotOwnership(try client.ask(["CLUSTER", "SLOTS"]))
  }

  /// What a reply says.
  init(_ reply: Reply) {
    for entry in reply.elements ?? [] {
      guard let parts = entry.elements, parts.count >= 3, let first = parts[0].integer,
        let last = parts[1].integer, let node = parts[2].elements, node.count >= 3,
        let owner = node[2].text, 0 <= first, first <= last, last < HashSlot.count
      else { continue }
      ranges.append((SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(last))), owner))
    }
    ranges.sort { $0.slots.first < $1.slots.first }
  }

  /// Whether all is equal.
  static func == (left: SlotOwnership, right: SlotOwnership) -> Bool {
    left.ranges.elementsEqual(right.ranges) { $0 == $1 }
  }

  /// The owners of all slots; nil for those that nobody owns.
  var owners: [String?] {
    var owners = [String?](repeating: nil, count: HashSlot.count)
    for (slots, owner) in ranges {
      for slot in slots.indices { owners[slot] = owner }
    }
    return owners
  }
}
