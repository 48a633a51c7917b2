// Dealing slots by count or weight.
//
// A shard's quota is its weight's part of all slots, rounded so that quotas add up. With the least
// moves a shard keeps the smaller of what it has and its quota; the rest is given to those that lack
// some. That may leave the map in crumbs, so what shards keep is limited to the longest *anchors*:
//
//     now        AAAAAAAAAAAAAAAA BBB A BB CCCCCCCCCCC dddd      d leaves
//     anchors    AAAAAAAAAAAA____ BBB _ BB CCCCCCCCC__ ____      longest first, each shard up to its quota
//     fill                    CCCC    A                          first what adjoins: left, then right
//                                                  …             then gap by gap, shard by shard
//
// Every piece that is filled in uses up its gap or its shard's lack. With at most one anchor a shard
// that gives at most 2 × shards ranges: if after filling from the sides G gaps are left, whose sides
// lack nothing, then at least G − 1 of the n shards lack nothing, at most n − G + 1 lack some, and
// the last pieces are at most G + (n − G + 1) − 1 = n, beside n anchors (pieces from the sides make
// these longer). So the longest anchor of each shard is kept, and of the others as many as leave few
// enough ranges, all if possible; and all means the least moves.

/// The deal of some slots to some shards by quotas. Slots and shards are indexes here, and there may
/// be any number of slots.
enum SlotLayout {
  /// A run of slots with one present owner, of which a part is kept.
  private struct Anchor {
    var first: Int
    var end: Int
    let owner: Int
    var count: Int { end - first }
  }

  /// A piece of the deal: whose, or nobody's yet.
  private struct Piece {
    var count: Int
    var owner: Int?
  }

  /// Who owns each slot afterwards. `present` names the owner of each slot, nil for one that is to be
  /// given out; `rangeLimit` is at least twice the number of weights.
  static func owners(present: [Int?], weights: [Double], rangeLimit: Int) -> [Int] {
    let quotas = quotas(present: present, weights: weights)
    let (longest, others) = anchors(present: present, quotas: quotas)
    let anchors = longest + others
    let all = fill(anchors[...], slotCount: present.count, quotas: quotas)
    if rangeCount(all) <= rangeLimit { return expanded(all, present.count) }
    // Not quite monotonic, so that this finds many anchors, and not always the most.
    var low = longest.count
    var high = anchors.count
    var best = fill(anchors[..<low], slotCount: present.count, quotas: quotas)
    precondition(rangeCount(best) <= rangeLimit, "one anchor a shard leaves few ranges")
    while high - low > 1 {
      let middle = (low + high) / 2
      let pieces = fill(anchors[..<middle], slotCount: present.count, quotas: quotas)
      if rangeCount(pieces) <= rangeLimit {
        low = middle
        best = pieces
      } else {
        high = middle
      }
    }
    return expanded(best, present.count)
  }

  /// How many slots each shard is to have: its part rounded down, and one more for those whose parts
  /// were cut the most, among equals for those that have the most now.
  static func quotas(present: [Int?], weights: [Double]) -> [Int] {
    let largest = weights.max() ?? 0
    precondition(largest > 0 && weights.allSatisfy { $0.isFinite && $0 >= 0 })
    // Relative to the largest, so that the sum is finite.
    let relative = weights.map { $0 / largest }
    let sum = relative.reduce(0, +)
    var held = [Int](repeating: 0, count: weights.count)
    for owner in present { if let owner { held[owner] += 1 } }
    let parts = relative.map { $0 / sum * Double(present.count) }
    var quotas = parts.map { Int($0) }
    var left = present.count - quotas.reduce(0, +)
    let order = weights.indices.filter { weights[$0] > 0 }.sorted {
      let (a, b) = (parts[$0] - Double(quotas[$0]), parts[$1] - Double(quotas[$1]))
      // Equal weights are cut by exactly as much.
      if a != b { return a > b }
      return (held[$0], $1) > (held[$1], $0)
    }
    // At most one each, but for rounding.
    while left > 0 {
      for shard in order.prefix(left) { quotas[shard] += 1 }
      left -= min(left, order.count)
    }
    while left < 0 {
      for shard in order.reversed() where left < 0 && quotas[shard] > 0 {
        quotas[shard] -= 1
        left += 1
      }
    }
    return quotas
  }

  /// The runs that shards keep, the longest first until their quotas are full, the last one cut: the
  /// longest one of each shard, and the others.
  private static func anchors(
    present: [Int?], quotas: [Int]
  ) -> (longest: [Anchor], others: [Anchor]) {
    var runs: [Anchor] = []
    var lacks = quotas
    var first = 0
    for end in 1...present.count where end == present.count || present[end] != present[first] {
      if let owner = present[first] {
        runs.append(Anchor(first: first, end: end, owner: owner))
        lacks[owner] -= end - first
      }
      first = end
    }
    // Whose slots beside a cut run are welcome: those of shards that lack some.
    let isWelcome = { (slot: Int) in
      guard present.indices.contains(slot), let owner = present[slot] else { return false }
      return lacks[owner] > 0
    }
    runs.sort { ($0.count, $1.first) > ($1.count, $0.first) }
    var left = quotas
    var longest: [Anchor] = []
    var others: [Anchor] = []
    for var run in runs where left[run.owner] > 0 {
      let isLongest = left[run.owner] == quotas[run.owner]
      let surplus = run.count - left[run.owner]
      if surplus > 0 {
        if isWelcome(run.first - 1), !isWelcome(run.end) {
          run.first += surplus
        } else {
          run.end -= surplus
        }
      }
      left[run.owner] -= run.count
      if isLongest { longest.append(run) } else { others.append(run) }
    }
    others.sort { ($0.count, $1.first) > ($1.count, $0.first) }
    return (longest, others)
  }

  /// The deal in which these anchors stay where they are.
  private static func fill(
    _ anchors: ArraySlice<Anchor>, slotCount: Int, quotas: [Int]
  ) -> [Piece] {
    var lacks = quotas
    for anchor in anchors { lacks[anchor.owner] -= anchor.count }
    // Anchors and the gaps between them.
    var pieces: [Piece] = []
    pieces.reserveCapacity(2 * anchors.count + 1)
    var position = 0
    for anchor in anchors.sorted(by: { $0.first < $1.first }) {
      if anchor.first > position { pieces.append(Piece(count: anchor.first - position)) }
      pieces.append(Piece(count: anchor.count, owner: anchor.owner))
      position = anchor.end
    }
    if position < slotCount { pieces.append(Piece(count: slotCount - position)) }
    // From the sides.
    for index in pieces.indices where pieces[index].owner == nil {
      for side in [index - 1, index + 1] where pieces.indices.contains(side) {
        guard let owner = pieces[side].owner else { continue }
        let count = min(lacks[owner], pieces[index].count)
        lacks[owner] -= count
        pieces[index].count -= count
        pieces[side].count += count
      }
    }
    pieces.removeAll { $0.count == 0 }
    return give(lacks, to: pieces)
  }

  /// Deals what is left: to the shard that lacks exactly as much, else one after the other.
  private static func give(_ lacks: [Int], to pieces: [Piece]) -> [Piece] {
    var waiting = lacks.indices.filter { lacks[$0] > 0 }
    var lacks = lacks
    // The waiting shards by what they lack, the lowest last.
    var byLack: [Int: [Int]] = [:]
    for shard in waiting.reversed() { byLack[lacks[shard], default: []].append(shard) }
    for piece in pieces where piece.owner == nil {
      if let shard = byLack[piece.count]?.popLast() { lacks[shard] = -piece.count }
    }
    // Negative: reserved for a gap of exactly this size.
    var exact: [Int: [Int]] = [:]
    for shard in waiting.reversed() where lacks[shard] < 0 {
      exact[-lacks[shard], default: []].append(shard)
    }
    waiting = waiting.filter { lacks[$0] > 0 }
    var dealt: [Piece] = []
    dealt.reserveCapacity(pieces.count + waiting.count)
    var next = 0
    for var piece in pieces {
      if piece.owner != nil {
        dealt.append(piece)
      } else if let shard = exact[piece.count]?.popLast() {
        dealt.append(Piece(count: piece.count, owner: shard))
      } else {
        while piece.count > 0 {
          let shard = waiting[next]
          let count = min(lacks[shard], piece.count)
          dealt.append(Piece(count: count, owner: shard))
          piece.count -= count
          lacks[shard] -= count
          if lacks[shard] == 0 { next += 1 }
        }
      }
    }
    return dealt
  }

  private static func rangeCount(_ pieces: [Piece]) -> Int {
    var count = 0
    var last: Int?
    for piece in pieces where piece.owner != last {
      count += 1
      last = piece.owner
    }
    return count
  }

  private static func expanded(_ pieces: [Piece], _ slotCount: Int) -> [Int] {
    var owners: [Int] = []
    owners.reserveCapacity(slotCount)
    for piece in pieces {
      // Every gap was dealt, as quotas add up to the slots.
      guard let owner = piece.owner else { preconditionFailure("a slot was dealt to nobody") }
      owners.append(contentsOf: repeatElement(owner, count: piece.count))
    }
    return owners
  }
}
