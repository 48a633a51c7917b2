internal import RESP

// LZF, the compression of strings in RDB: literal runs and references to what was just said.
//
//   000lllll                      l + 1 literal bytes follow
//   nnnooooo  oooooooo            n = 1 … 6: n + 2 bytes from o + 1 bytes before the end
//   111ooooo  mmmmmmmm  oooooooo  the same, m + 9 bytes
//
// So one byte of input never stands for more than 88 bytes of output, and a claimed length beyond that is a lie that
// is found before anything is allocated.
//
// Which references a compressor chooses is its own affair; this one chooses as Redis does, so that DUMP gives the same
// bytes: every place is entered under a hash of its three bytes, a later one replaces an earlier one, and of the
// places inside a reference only the last two are entered.

/// Compresses strings, one after another; keeps its table of places in between, so that it is cleared once in 4 GiB only.
struct LZFCompressor {
  /// `rdbcompression`.
  var isEnabled = true
  private static let placeBits = 16
  private static let mostLiterals = 32
  /// References reach back less than this.
  private static let reach = 1 << 13
  /// The longest reference.
  private static let mostReferred = 264

  /// By hash: `base` + where those three bytes stood last. What is not above `base` is from an earlier string, or its first
  /// byte, which is never referred to.
  private var places: [UInt32] = []
  private var base = 0

  /// Where a place with these three bytes (the low 24 bits) is entered.
  @inline(__always)
  private static func hash(_ window: UInt32) -> Int {
    Int(truncatingIfNeeded: (window >> UInt32(24 - placeBits)) &- window &* 5)
      & (1 << placeBits - 1)
  }

  /// The compressed bytes if they are not more than `limit`; nil if they are. O(bytes).
  mutating func compress(_ input: RawSpan, limit: Int) -> [UInt8]? {
    let count = input.byteCount
    guard count > 2, limit > 0 else { return nil }
    if places.isEmpty || base + count > Int(UInt32.max) {
      places = Array(repeating: 0, count: 1 << Self.placeBits)
      base = 0
    }
    defer { base += count }
    var output = Output(limit)
    var position = 0
    var window = UInt32(input.byte(at: 0)) << 8 | UInt32(input.byte(at: 1))
    while position < count - 2 {
      let earlier = enter(input, position, &window)
      let distance = position - earlier - 1
      guard earlier > 0, distance < Self.reach, Self.agree(input, earlier, position) else {
        if output.isFull { return nil }
        output.literal(input.byte(at: position))
        position += 1
        continue
      }
      if !output.hasRoomForReference { return nil }
      let length = Self.length(input, earlier, position)
      output.reference(distance: distance, length: length)
      position += length
      if position >= count - 2 { break }
      position -= 2
      window = UInt32(input.byte(at: position)) << 8 | UInt32(input.byte(at: position + 1))
      for _ in 0..<2 {
        _ = enter(input, position, &window)
        position += 1
      }
    }
    if output.bytes.count + 3 > limit { return nil }
    while position < count {
      output.literal(input.byte(at: position))
      position += 1
    }
    output.endRun()
    return output.bytes
  }

  /// Moves the window on to the three bytes at `position` and enters that place; gives the one that was there, not above 0 if it is none
  /// of this string.
  @inline(__always)
  private mutating func enter(_ input: RawSpan, _ position: Int, _ window: inout UInt32) -> Int {
    window = window << 8 | UInt32(input.byte(at: position + 2))
    let hash = Self.hash(window)
    let earlier = Int(places[hash]) - base
    places[hash] = UInt32(truncatingIfNeeded: base + position)
    return earlier
  }

  /// Whether the three bytes at both places are the same.
  @inline(__always)
  private static func agree(_ input: RawSpan, _ a: Int, _ b: Int) -> Bool {
    input.byte(at: a) == input.byte(at: b) && input.byte(at: a + 1) == input.byte(at: b + 1)
      && input.byte(at: a + 2) == input.byte(at: b + 2)
  }

  /// How many bytes are the same at both places, of which three are known to be. Near the end two that could be told are not:
  /// so does Redis, and the bytes are to be the same.
  private static func length(_ input: RawSpan, _ earlier: Int, _ position: Int) -> Int {
    let most = min(input.byteCount - position - 2, mostReferred)
    var length = 3
    let unchecked = most > 16 ? 19 : 3
    while length < unchecked {
      if input.byte(at: earlier + length) != input.byte(at: position + length) { return length }
      length += 1
    }
    while length < most, input.byte(at: earlier + length) == input.byte(at: position + length) {
      length += 1
    }
    return length
  }

  /// Compressed bytes as they grow, with an open run of literals at their end.
  private struct Output {
    var bytes: [UInt8] = [0]
    private var literals = 0
    private let limit: Int

    init(_ limit: Int) {
      self.limit = limit
      bytes.reserveCapacity(limit)
    }

    var isFull: Bool { bytes.count >= limit }

    /// Room for a reference and the head of the run behind it, an empty run's own head taken back.
    var hasRoomForReference: Bool { bytes.count - (literals == 0 ? 1 : 0) + 4 < limit }

    mutating func literal(_ byte: UInt8) {
      bytes.append(byte)
      literals += 1
      if literals == LZFCompressor.mostLiterals {
        endRun()
        beginRun()
      }
    }

    mutating func reference(distance: Int, length: Int) {
      endRun()
      let high = UInt8(truncatingIfNeeded: distance >> 8)
      let code = length - 2
      if code < 7 {
        bytes.append(high | UInt8(truncatingIfNeeded: code << 5))
      } else {
        bytes.append(high | 7 << 5)
        bytes.append(UInt8(truncatingIfNeeded: code - 7))
      }
      bytes.append(UInt8(truncatingIfNeeded: distance))
      beginRun()
    }

    private mutating func beginRun() {
      bytes.append(0)
      literals = 0
    }

    mutating func endRun() {
      if literals == 0 {
        bytes.removeLast()
      } else {
        bytes[bytes.count - literals - 1] = UInt8(literals - 1)
      }
    }
  }
}

/// Reads what LZF has compressed.
enum LZF {
  /// Most bytes of output that a byte of input can stand for.
  static let mostExpansion = 88

  /// The `count` bytes that these say; nil if they say anything else. Allocates nothing beyond 88 times the input.
  static func decompress(_ input: RawSpan, count: Int) -> [UInt8]? {
    guard count >= 0, count <= input.byteCount * mostExpansion else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(count)
    var position = 0
    while position < input.byteCount {
      let control = Int(input.byte(at: position))
      position += 1
      if control < 32 {
        let end = position + control + 1
        guard end <= input.byteCount, output.count + control + 1 <= count else { return nil }
        while position < end {
          output.append(input.byte(at: position))
          position += 1
        }
        continue
      }
      var length = control >> 5
      if length == 7 {
        guard position < input.byteCount else { return nil }
        length += Int(input.byte(at: position))
        position += 1
      }
      length += 2
      guard position < input.byteCount else { return nil }
      let distance = (control & 31) << 8 | Int(input.byte(at: position))
      position += 1
      var from = output.count - distance - 1
      guard from >= 0, output.count + length <= count else { return nil }
      for _ in 0..<length {
        output.append(output[from])
        from += 1
      }
    }
    return output.count == count ? output : nil
  }
}
