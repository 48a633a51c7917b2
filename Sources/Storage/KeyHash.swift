// A key's hash: SipHash with one round a word and three at the end, under the cluster's seed.
//
//   63                          25 24        8 7     0
//  +------------------------------+-----------+-------+
//  | prefix: place in the table   | not used  |  tag  |
//  +------------------------------+-----------+-------+
//
// The prefix (39 bits) orders the table; a SCAN cursor names one. Bits below it must not decide where an entry lies.

/// The secret of the hash: 128 bits, the same for a whole cluster.
public struct HashSeed: Sendable, Equatable {
  /// The first half.
  public let k0: UInt64
  /// The second half.
  public let k1: UInt64

  /// A seed of two halves.
  @inlinable
  public init(_ k0: UInt64, _ k1: UInt64) {
    self.k0 = k0
    self.k1 = k1
  }
}

/// The hash of one key.
public struct KeyHash: Equatable, Sendable {
  /// All 64 bits.
  public let bits: UInt64

  /// The hash of no key in particular: where there is no key.
  public static var none: KeyHash { KeyHash(bits: 0) }

  /// How many bits of a hash place an entry.
  public static var prefixBitCount: Int { 39 }

  /// A hash that is known already.
  @inlinable
  package init(bits: UInt64) { self.bits = bits }

  /// The hash of `key`.
  @inlinable
  public init(_ key: RawSpan, seed: HashSeed) {
    var sip = SipState(seed)
    let count = key.byteCount
    let whole = count & ~7
    var offset = 0
    while offset < whole {
      sip.absorb(key.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
      offset &+= 8
    }
    var last = UInt64(truncatingIfNeeded: count) &<< 56
    if whole < count {
      if count >= 8 {
        // The rest is the upper part of the last eight bytes.
        let tail = key.unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 8, as: UInt64.self)
        last |= tail &>> UInt64(truncatingIfNeeded: 64 &- 8 &* (count &- whole))
      } else {
        var shift: UInt64 = 0
        while offset < count {
          let byte = key.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
          last |= UInt64(byte) &<< shift
          shift &+= 8
          offset &+= 1
        }
      }
    }
    bits = sip.finish(last)
  }

  /// The 39 bits that place the key, where they stand in the hash; the others are 0.
  @inlinable
  public var prefix: UInt64 { bits & KeyHash.prefixMask }

  /// The byte that a bucket keeps of the key; never 0.
  @inlinable
  public var tag: UInt8 {
    let byte = UInt8(truncatingIfNeeded: bits)
    return byte == 0 ? 1 : byte
  }

  /// The bits of the prefix.
  @usableFromInline
  static var prefixMask: UInt64 { ~0 << 25 }
}

/// How a keyspace hashes its entries again.
struct Hashing {
  /// The secret.
  let seed: HashSeed
  /// All ones, but in tests of equal hashes.
  var mask = ~(0 as UInt64)
  /// In tests of certain hashes: a key of 8 bytes and more begins with its hash.
  var readsKeys = false

  /// The hash of a key.
  func hash(_ key: RawSpan) -> KeyHash {
    if readsKeys {
      return KeyHash(bits: key.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self) & mask)
    }
    return KeyHash(bits: KeyHash(key, seed: seed).bits & mask)
  }
}

/// SipHash's four words.
@usableFromInline
struct SipState {
  @usableFromInline var v0: UInt64
  @usableFromInline var v1: UInt64
  @usableFromInline var v2: UInt64
  @usableFromInline var v3: UInt64

  @inlinable @inline(__always)
  init(_ seed: HashSeed) {
    v0 = seed.k0 ^ 0x736f_6d65_7073_6575
    v1 = seed.k1 ^ 0x646f_7261_6e64_6f6d
    v2 = seed.k0 ^ 0x6c79_6765_6e65_7261
    v3 = seed.k1 ^ 0x7465_6462_7974_6573
  }

  @inlinable @inline(__always)
  mutating func round() {
    v0 = v0 &+ v1
    v1 = v1 &<< 13 | v1 &>> 51
    v1 ^= v0
    v0 = v0 &<< 32 | v0 &>> 32
    v2 = v2 &+ v3
    v3 = v3 &<< 16 | v3 &>> 48
    v3 ^= v2
    v0 = v0 &+ v3
    v3 = v3 &<< 21 | v3 &>> 43
    v3 ^= v0
    v2 = v2 &+ v1
    v1 = v1 &<< 17 | v1 &>> 47
    v1 ^= v2
    v2 = v2 &<< 32 | v2 &>> 32
  }

  @inlinable @inline(__always)
  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    v0 ^= word
  }

  @inlinable @inline(__always)
  mutating func finish(_ last: UInt64) -> UInt64 {
    absorb(last)
    v2 ^= 0xff
    round()
    round()
    round()
    return v0 ^ v1 ^ v2 ^ v3
  }
}
