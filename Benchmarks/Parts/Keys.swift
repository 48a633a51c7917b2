import RESP
import Sharding
import Storage

/// Numbers that look random and are the same in every run (SplitMix64).
struct Draws {
  private var state: UInt64

  /// The draws of a seed.
  init(seed: UInt64) { state = seed }

  /// The next number below `bound`.
  mutating func next(below bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    word ^= word >> 31
    return Int(word.multipliedFullWidth(by: UInt64(bound)).high)
  }
}

/// Keys of 16 bytes, `key:` and twelve digits, as `redis-benchmark` makes them.
struct KeyText {
  /// The bytes of the key that was written last.
  private(set) var bytes = Array("key:000000000000".utf8)

  /// Writes key `number`.
  mutating func write(_ number: Int) {
    var rest = number
    for index in stride(from: 15, to: 3, by: -1) {
      bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }
}

/// Where a key is found: what a command works out of its bytes first.
struct Place {
  /// Its hash slot.
  let slot: Int
  /// Its hash.
  let hash: KeyHash

  /// The place of a key.
  init(_ key: RawSpan, seed: Storage.HashSeed) {
    slot = HashSlot.of(key).index
    hash = KeyHash(key, seed: seed)
  }
}
