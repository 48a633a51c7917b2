internal import RESP
internal import Storage

// LCS: the longest common subsequence of two strings.
//
// The table of lengths that the textbook fills, L(i, j) for the first i bytes of one string and the first j of the other,
// grows by 0 or 1 from one column to the next. So a row is a row of bits, and a whole row follows from the one before it
// with an addition, 64 columns at a time (Hyyrö's form of the bit-vector algorithm). A bit is 0 where L grows.
//
//                 j →   a b c b                 L:  1 1 2 …          bits of the row:  0 1 0 …
//
// The way back through the table asks, where the bytes differ, whether L(i − 1, j) > L(i, j − 1). With d = L(i−1, j−1) that is
// d + right > d + down, so right = 1 and down = 0: exactly where L(i, j) − L(i, j − 1) = max(right, down) − down = 1, the bit
// of (i, j) itself. The rows are kept for it: a bit for each pair of bytes, a 32nd of the textbook's table.

/// A common subsequence's table.
private struct CommonSubsequence: ~Copyable {
  /// Rows of `wordCount` words; with `keepsRows` one for each byte of the first string and one before it, else one.
  private let rows: LargeValue
  private let wordCount: Int
  private let keepsRows: Bool
  /// How long the subsequence is.
  let byteCount: Int

  init(_ a: RawSpan, _ b: RawSpan, keepsRows: Bool) throws(OutOfMemory) {
    let wordCount = max(1, (b.byteCount + 63) / 64)
    let rowBytes = 8 * wordCount
    let total = keepsRows ? rowBytes * (a.byteCount + 1) : rowBytes
    var rows = LargeValue(expected: total)
    try rows.room(atLeast: total)
    let last = Self.fill(&rows, MatchMasks(a, b, wordCount: wordCount), a, keepsRows: keepsRows)
    rows.filled(total)
    var ones = 0
    for word in 0..<wordCount { ones += rows.bytes.word(at: last + 8 * word).nonzeroBitCount }
    byteCount = 64 * wordCount - ones
    self.keepsRows = keepsRows
    self.wordCount = wordCount
    self.rows = rows
  }

  /// Makes row after row; where the last one begins.
  private static func fill(
    _ rows: inout LargeValue, _ matches: borrowing MatchMasks, _ a: RawSpan, keepsRows: Bool
  ) -> Int {
    var table = rows.room
    // Before the first byte nothing grows.
    for word in 0..<matches.wordCount {
      table.storeBytes(of: .max, toByteOffset: 8 * word, as: UInt64.self)
    }
    var last = 0
    for i in 0..<a.byteCount {
      let next = keepsRows ? last + 8 * matches.wordCount : last
      matches.fillRow(of: a.byte(at: i), in: &table, from: last, to: next)
      last = next
    }
    return last
  }

  /// Whether the length grows from column `j` − 1 to `j` in row `i`.
  @inline(__always)
  func grows(_ i: Int, _ j: Int) -> Bool {
    precondition(keepsRows)
    return rows.bytes.word(at: 8 * (i * wordCount + (j - 1) >> 6)) >> UInt64((j - 1) & 63) & 1 == 0
  }
}

/// For each byte value of the first string the places where the second has it, as bits.
private struct MatchMasks {
  private var masks: [UInt64]
  /// Where a byte's mask begins; −1 for a byte that the first string has not.
  private var starts = InlineArray<256, Int>(repeating: -1)
  let wordCount: Int

  init(_ a: RawSpan, _ b: RawSpan, wordCount: Int) {
    self.wordCount = wordCount
    var count = 0
    for i in 0..<a.byteCount {
      let byte = Int(a.byte(at: i))
      if starts[byte] < 0 {
        starts[byte] = count
        count += wordCount
      }
    }
    masks = Array(repeating: 0, count: count)
    for j in 0..<b.byteCount {
      let start = starts[Int(b.byte(at: j))]
      if start >= 0 { masks[start + j >> 6] |= 1 << UInt64(j & 63) }
    }
  }

  /// The row behind another one, which may lie in the same place.
  @inline(__always)
  func fillRow(of byte: UInt8, in table: inout MutableRawSpan, from last: Int, to next: Int) {
    let start = starts[Int(byte)]
    var carry: UInt64 = 0
    for word in 0..<wordCount {
      let row = table.bytes.word(at: last + 8 * word)
      let mask = masks[start + word]
      let (sum, over) = row.addingReportingOverflow(row & mask)
      let (carried, overAgain) = sum.addingReportingOverflow(carry)
      carry = over || overAgain ? 1 : 0
      table.storeBytes(
        of: carried | row & ~mask, toByteOffset: next + 8 * word, as: UInt64.self)
    }
  }
}

/// A stretch that both strings have, as a part of their common subsequence.
private struct CommonStretch {
  var inFirst: Int
  var inSecond: Int
  var byteCount: Int
}

/// The options of LCS.
private struct LCSOptions {
  var wantsLength = false
  var wantsIndexes = false
  var withMatchLength = false
  var shortestMatch: Int64 = 0
}

extension Engine {
  /// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN].
  mutating func lcs(_ call: Call) -> Effect {
    var options = LCSOptions()
    var i = 3
    while i < call.count {
      switch Word(call[i]) {
      case "LEN": options.wantsLength = true
      case "IDX": options.wantsIndexes = true
      case "WITHMATCHLEN": options.withMatchLength = true
      case "MINMATCHLEN" where i + 1 < call.count:
        guard let number = call[i + 1].integer() else { return notAnInteger() }
        options.shortestMatch = number
        i += 1
      default: return syntaxError()
      }
      i += 1
    }
    if options.wantsLength && options.wantsIndexes {
      return failing("ERR If you want both the length and indexes, please just use IDX.")
    }
    let hash = KeyHash(call[2], seed: hashSeed)
    // Whatever has expired goes first: then nothing moves between the two looks.
    _ = live(call)
    _ = live(call.slot, hash, call[2])
    let first = read(call)
    let second = read(call.slot, hash, call[2])
    do throws(OutOfMemory) {
      let found = try Self.common(
        keyspace, first, second, options, cellLimit: settings.protoMaxBulkLength / 4)
      switch found {
      case .tooLarge:
        return failing(
          "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
      case .length(let byteCount): reply.integer(Int64(byteCount))
      case .bytes(let bytes): reply.bulk(bytes: bytes)
      case .stretches(let stretches, let byteCount): replyIndexes(stretches, byteCount, options)
      }
    } catch {
      return failing("ERR Insufficient memory, failed allocating transient memory for LCS")
    }
    return .none
  }

  /// What was asked for of the common subsequence.
  private enum Found {
    /// The strings are too long.
    case tooLarge
    case length(Int)
    case bytes([UInt8])
    case stretches([CommonStretch], byteCount: Int)
  }

  /// The limit is on the textbook's table, so that the same strings are refused as by Redis.
  private static func common(
    _ keyspace: borrowing Keyspace, _ first: EntryRef?, _ second: EntryRef?,
    _ options: LCSOptions, cellLimit: Int
  ) throws(OutOfMemory) -> Found {
    let firstDigits = keyspace.digits(of: first)
    let secondDigits = keyspace.digits(of: second)
    let a = keyspace.bytes(of: first, or: firstDigits)
    let b = keyspace.bytes(of: second, or: secondDigits)
    let (cells, overflow) = (a.byteCount + 1).multipliedReportingOverflow(by: b.byteCount + 1)
    if overflow || cells > cellLimit { return .tooLarge }
    let common = try CommonSubsequence(a, b, keepsRows: !options.wantsLength)
    if options.wantsLength { return .length(common.byteCount) }
    if options.wantsIndexes {
      return .stretches(stretches(common, a, b), byteCount: common.byteCount)
    }
    return .bytes(subsequence(common, a, b))
  }

  /// The way back through the table, as Redis goes it, since there may be several subsequences of the same length.
  @inline(__always)
  private static func trace(
    _ common: borrowing CommonSubsequence, _ a: RawSpan, _ b: RawSpan,
    _ body: (_ i: Int, _ j: Int) -> Void
  ) {
    var i = a.byteCount
    var j = b.byteCount
    while i > 0 && j > 0 {
      if a.byte(at: i - 1) == b.byte(at: j - 1) {
        i -= 1
        j -= 1
        body(i, j)
      } else if common.grows(i, j) {
        i -= 1
      } else {
        j -= 1
      }
    }
  }

  private static func subsequence(
    _ common: borrowing CommonSubsequence, _ a: RawSpan, _ b: RawSpan
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: common.byteCount)
    var place = bytes.count
    trace(common, a, b) { i, _ in
      place -= 1
      bytes[place] = a.byte(at: i)
    }
    return bytes
  }

  /// From the last one to the first.
  private static func stretches(
    _ common: borrowing CommonSubsequence, _ a: RawSpan, _ b: RawSpan
  ) -> [CommonStretch] {
    var stretches: [CommonStretch] = []
    trace(common, a, b) { i, j in
      let last = stretches.count - 1
      if last >= 0, stretches[last].inFirst == i + 1, stretches[last].inSecond == j + 1 {
        stretches[last].inFirst = i
        stretches[last].inSecond = j
        stretches[last].byteCount += 1
      } else {
        stretches.append(CommonStretch(inFirst: i, inSecond: j, byteCount: 1))
      }
    }
    return stretches
  }

  private mutating func replyIndexes(
    _ stretches: [CommonStretch], _ byteCount: Int, _ options: LCSOptions
  ) {
    reply.mapHeader(2, reply.version)
    reply.bulk("matches")
    reply.arrayHeader(stretches.count { $0.byteCount >= options.shortestMatch })
    for stretch in stretches where stretch.byteCount >= options.shortestMatch {
      reply.arrayHeader(options.withMatchLength ? 3 : 2)
      for start in [stretch.inFirst, stretch.inSecond] {
        reply.arrayHeader(2)
        reply.integer(Int64(start))
        reply.integer(Int64(start + stretch.byteCount - 1))
      }
      if options.withMatchLength { reply.integer(Int64(stretch.byteCount)) }
    }
    reply.bulk("len")
    reply.integer(Int64(byteCount))
  }
}
