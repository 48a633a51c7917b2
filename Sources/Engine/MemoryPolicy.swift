internal import Storage

/// What goes when memory is short: the setting `maxmemory-policy`, in the order in which Redis lists its values.
public enum MaxMemoryPolicy: String, CaseIterable, Sendable {
  /// Among keys with an expiry: the longest unused, the most seldom used, any, the next to expire.
  case volatileLRU = "volatile-lru"
  case volatileLFU = "volatile-lfu"
  case volatileRandom = "volatile-random"
  case volatileTTL = "volatile-ttl"
  /// Among all keys.
  case allKeysLRU = "allkeys-lru"
  case allKeysLFU = "allkeys-lfu"
  case allKeysRandom = "allkeys-random"
  /// Nothing: writes are refused.
  case noEviction = "noeviction"

  /// Whether uses are counted; else their times are kept.
  var countsUses: Bool { self == .volatileLFU || self == .allKeysLFU }

  /// Whether what goes depends on when or how often keys were used.
  var needsClocks: Bool {
    switch self {
    case .volatileLRU, .volatileLFU, .allKeysLRU, .allKeysLFU: true
    case .volatileRandom, .volatileTTL, .allKeysRandom, .noEviction: false
    }
  }

  /// More samples than this change nothing that could be measured.
  static let sampleLimit = 64

  /// How victims are chosen; nil: there are none.
  func rule(samples: Int) -> EvictionRule? {
    func rule(_ order: EvictionOrder, onlyExpiring: Bool) -> EvictionRule {
      EvictionRule(
        order: order, onlyExpiring: onlyExpiring,
        samples: min(samples, Self.sampleLimit))
    }
    return switch self {
    case .volatileLRU: rule(.leastRecent, onlyExpiring: true)
    case .volatileLFU: rule(.leastFrequent, onlyExpiring: true)
    case .volatileRandom: rule(.random, onlyExpiring: true)
    case .volatileTTL: rule(.soonestExpiry, onlyExpiring: true)
    case .allKeysLRU: rule(.leastRecent, onlyExpiring: false)
    case .allKeysLFU: rule(.leastFrequent, onlyExpiring: false)
    case .allKeysRandom: rule(.random, onlyExpiring: false)
    case .noEviction: nil
    }
  }
}

/// How a limit of the process is dealt out to its workers, ten times a second (DESIGN §3).
struct MemoryShares {
  /// What the worker uses, and what the others do.
  var own: Int
  var others: Int
  /// The limit of the process.
  var limit: Int
  var workers: Int
  /// Whether this worker had to evict or refuse since the last deal.
  var isPressed = false
  /// How many workers below an equal part had to.
  var hungryWorkers = 0

  /// An equal part of the limit.
  var equalPart: Int { limit / max(1, workers) }

  /// The worker is pressed although it has less than an equal part.
  var isHungry: Bool { isPressed && workers > 1 && own < equalPart }

  /// What this worker may use until the next deal. Free memory is dealt out equally, what is over the limit is taken from each in
  /// proportion; and where one is pressed that has less than an equal part, those that have more give up a little at a time.
  var share: Int {
    let total = own + others
    var share =
      total > limit
      ? Int(Double(own) * (Double(limit) / Double(total))) : own + (limit - total) / max(1, workers)
    if hungryWorkers > 0 {
      let distance = (own - equalPart) / 64
      if distance > 0 || isHungry { share -= distance }
    }
    // A worker without a key must be able to take its first.
    return max(share, equalPart / 64)
  }
}
