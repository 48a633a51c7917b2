/// Where replies are written: the engine's output queue, or a plain builder.
///
/// `reserve` once for a reply's parts, then append: so the test for room is made once a reply.
public protocol ReplySink: ~Copyable {
  /// Makes room for that many contiguous bytes. What was reserved and not used is forgotten with the next `reserve`.
  mutating func reserve(_ byteCount: Int)
  /// Appends the low `count` (0…8) bytes of a word, lowest first. 8 bytes must be reserved, whatever `count`: all 8 are stored.
  mutating func appendWord(_ bytes: UInt64, count: Int)
  /// Appends bytes, which must be reserved.
  mutating func append(_ bytes: RawSpan)
  /// Appends bytes of any number, which need not be reserved, nor be contiguous afterwards.
  mutating func appendUnreserved(_ bytes: RawSpan)
}

extension ReplySink where Self: ~Copyable {
  /// In pieces of 4 KiB, so that a queue of chunks needs no larger chunk.
  public mutating func appendUnreserved(_ bytes: RawSpan) {
    var offset = 0
    while offset < bytes.byteCount {
      let end = min(offset + 4096, bytes.byteCount)
      reserve(end - offset)
      append(bytes.extracting(offset..<end))
      offset = end
    }
  }
}

/// Bulks up to this length are written after one `reserve` for all of their bytes.
@usableFromInline let contiguousByteCount = 1024

// MARK: The replies of both versions

extension ReplySink where Self: ~Copyable {
  /// `+OK`
  @inlinable @inline(__always)
  public mutating func ok() {
    reserve(8)
    appendWord(0x0A_0D4B_4F2B, count: 5)
  }

  /// `:n`
  @inlinable
  public mutating func integer(_ value: Int64) {
    if UInt64(bitPattern: value) < 10 {
      reserve(8)
      appendWord(0x0A0D_303A &+ UInt64(bitPattern: value) << 8, count: 4)
    } else {
      number(UInt8(ascii: ":"), value)
    }
  }

  /// `$n`, the bytes.
  @inlinable
  public mutating func bulk(_ bytes: RawSpan) {
    let count = bytes.byteCount
    if count <= 16 {
      reserve(32)
      bulkHeader(count)
      if count <= 8 {
        appendWord(bytes.word(at: 0, count: count), count: count)
      } else {
        appendWord(bytes.word(at: 0), count: 8)
        // The last 8 bytes, those that were just written shifted out.
        appendWord(bytes.word(at: count &- 8) >> UInt64((16 &- count) &* 8), count: count &- 8)
      }
      appendWord(lineEnd, count: 2)
    } else if count <= contiguousByteCount {
      reserve(count &+ 32)
      bulkHeader(count)
      append(bytes)
      appendWord(lineEnd, count: 2)
    } else {
      reserve(32)
      bulkHeader(count)
      appendUnreserved(bytes)
      reserve(8)
      appendWord(lineEnd, count: 2)
    }
  }

  /// The number as a bulk string.
  @inlinable
  public mutating func bulk(integer value: Int64) {
    reserve(48)
    let digits = Digits(value)
    bulkHeader(digits.count)
    append(digits)
    appendWord(lineEnd, count: 2)
  }

  /// A constant as a bulk string.
  @inlinable
  public mutating func bulk(_ text: StaticString) {
    bulk(text.rawSpan)
  }

  /// The bytes of a text as a bulk string; off the hot way.
  public mutating func bulk(text: String) {
    bulk(Array(text.utf8).span.rawBytes)
  }

  /// `+text`, for texts without line ends.
  @inlinable
  public mutating func simple(_ text: StaticString) {
    line(UInt8(ascii: "+"), text.rawSpan)
  }

  /// `-text`; the text begins with its code, as in `ERR syntax error`, and has no line ends.
  @inlinable
  public mutating func error(_ text: StaticString) {
    line(UInt8(ascii: "-"), text.rawSpan)
  }

  /// `-text`; line ends in the text become spaces, so that no client's bytes can forge a reply.
  public mutating func error(text: String) {
    let clean = text.utf8.map { $0 == 13 || $0 == 10 ? 32 : $0 }
    line(UInt8(ascii: "-"), clean.span.rawBytes)
  }

  /// `-bytes`; line ends become spaces.
  public mutating func error(_ bytes: RawSpan) {
    var clean: [UInt8] = []
    clean.reserveCapacity(bytes.byteCount)
    for index in 0..<bytes.byteCount {
      let byte = bytes.byte(at: index)
      clean.append(byte == 13 || byte == 10 ? 32 : byte)
    }
    line(UInt8(ascii: "-"), clean.span.rawBytes)
  }

  /// The reply to a broken protocol; nothing for `queryBufferLimit`.
  public mutating func protocolError(_ error: ProtocolError) {
    appendUnreserved(error.reply.span.rawBytes)
  }

  /// `*n`, before n replies.
  @inlinable
  public mutating func arrayHeader(_ count: Int) {
    header(UInt8(ascii: "*"), count)
  }

  /// An array of nothing.
  @inlinable
  public mutating func emptyArray() {
    arrayHeader(0)
  }

  /// Replies that were rendered before, whole.
  @inlinable
  public mutating func rendered(_ bytes: RawSpan) {
    appendUnreserved(bytes)
  }
}

// MARK: The replies that differ

extension ReplySink where Self: ~Copyable {
  /// Nothing, in place of a string: `$-1`, in RESP3 `_`.
  @inlinable
  public mutating func null(_ version: RESPVersion) {
    reserve(8)
    if version == .three {
      appendWord(0x0A_0D5F, count: 3)
    } else {
      appendWord(0x0A0D_312D24, count: 5)
    }
  }

  /// Nothing, in place of an array: `*-1`, in RESP3 `_`.
  @inlinable
  public mutating func nullArray(_ version: RESPVersion) {
    reserve(8)
    if version == .three {
      appendWord(0x0A_0D5F, count: 3)
    } else {
      appendWord(0x0A0D_312D2A, count: 5)
    }
  }

  /// `%n` before n pairs; in RESP2 an array of 2 n.
  @inlinable
  public mutating func mapHeader(_ count: Int, _ version: RESPVersion) {
    version == .three
      ? header(UInt8(ascii: "%"), count) : header(UInt8(ascii: "*"), 2 * count)
  }

  /// `~n` before n elements; in RESP2 an array.
  @inlinable
  public mutating func setHeader(_ count: Int, _ version: RESPVersion) {
    header(version == .three ? UInt8(ascii: "~") : UInt8(ascii: "*"), count)
  }

  /// `>n` before the n parts of what no request asked for; in RESP2 an array.
  @inlinable
  public mutating func pushHeader(_ count: Int, _ version: RESPVersion) {
    header(version == .three ? UInt8(ascii: ">") : UInt8(ascii: "*"), count)
  }

  /// `|n` before n pairs about the reply that follows. RESP3 alone has it: nothing in RESP2, and then the pairs must not be written either.
  @inlinable
  public mutating func attributeHeader(_ count: Int, _ version: RESPVersion) {
    if version == .three { header(UInt8(ascii: "|"), count) }
  }

  /// `#t` or `#f`; in RESP2 `:1` or `:0`.
  @inlinable
  public mutating func boolean(_ value: Bool, _ version: RESPVersion) {
    guard version == .three else { return integer(value ? 1 : 0) }
    reserve(8)
    appendWord(value ? 0x0A0D_7423 : 0x0A0D_6623, count: 4)
  }

  /// `,x` with the fewest digits that give the same double; in RESP2 a bulk string.
  public mutating func double(_ value: Double, _ version: RESPVersion) {
    let text = decimal(value)
    version == .three ? line(UInt8(ascii: ","), text.span.rawBytes) : bulk(text.span.rawBytes)
  }

  /// `=n`, format (3 bytes), `:`, the bytes; in RESP2 a bulk string.
  public mutating func verbatim(
    _ bytes: RawSpan, format: StaticString = "txt", _ version: RESPVersion
  ) {
    guard version == .three else { return bulk(bytes) }
    precondition(format.utf8CodeUnitCount == 3)
    header(UInt8(ascii: "="), bytes.byteCount + 4)
    reserve(8)
    append(format.rawSpan)
    appendWord(UInt64(UInt8(ascii: ":")), count: 1)
    appendUnreserved(bytes)
    reserve(8)
    appendWord(lineEnd, count: 2)
  }

  /// `(digits`; in RESP2 a bulk string.
  public mutating func bigNumber(_ digits: RawSpan, _ version: RESPVersion) {
    version == .three ? line(UInt8(ascii: "("), digits) : bulk(digits)
  }
}

// MARK: Parts

/// `\r\n`
@usableFromInline var lineEnd: UInt64 {
  @inlinable @inline(__always) get { 0x0A0D }
}

extension ReplySink where Self: ~Copyable {
  /// `$n`; 16 bytes must be reserved.
  @inlinable @inline(__always)
  mutating func bulkHeader(_ count: Int) {
    if count < 10 {
      appendWord(0x0A0D_3024 &+ UInt64(truncatingIfNeeded: count) << 8, count: 4)
    } else if count < 100 {
      let tens = (UInt64(truncatingIfNeeded: count) &* 205) >> 11
      let ones = UInt64(truncatingIfNeeded: count) &- tens &* 10
      appendWord(0x0A_0D30_3024 &+ tens << 8 &+ ones << 16, count: 5)
    } else {
      longHeader(UInt8(ascii: "$"), count)
    }
  }

  /// A type's byte, a count from 100 on, line end; 24 bytes must be reserved.
  @inlinable
  mutating func longHeader(_ type: UInt8, _ count: Int) {
    if count < 100_000 {
      // Type, at most 5 digits, line end: one word.
      let digits = Digits(Int64(truncatingIfNeeded: count))
      appendWord(
        UInt64(type) | digits.first << 8 | lineEnd << UInt64(8 &* (1 &+ digits.count)),
        count: digits.count &+ 3)
    } else {
      appendWord(UInt64(type), count: 1)
      append(Digits(Int64(count)))
      appendWord(lineEnd, count: 2)
    }
  }

  /// A type's byte, a count, line end.
  @inlinable
  mutating func header(_ type: UInt8, _ count: Int) {
    precondition(count >= 0)
    reserve(40)
    if count < 10 {
      appendWord(0x0A0D_3000 &+ UInt64(type) &+ UInt64(truncatingIfNeeded: count) << 8, count: 4)
    } else {
      longHeader(type, count)
    }
  }

  /// A type's byte, a number, line end.
  @inlinable
  mutating func number(_ type: UInt8, _ value: Int64) {
    reserve(40)
    appendWord(UInt64(type), count: 1)
    append(Digits(value))
    appendWord(lineEnd, count: 2)
  }

  /// A type's byte, the bytes, line end.
  @inlinable
  mutating func line(_ type: UInt8, _ bytes: RawSpan) {
    reserve(8)
    appendWord(UInt64(type), count: 1)
    appendUnreserved(bytes)
    reserve(8)
    appendWord(lineEnd, count: 2)
  }

  /// Digits, for which 32 bytes must be reserved.
  @inlinable @inline(__always)
  mutating func append(_ digits: Digits) {
    appendWord(digits.first, count: min(digits.count, 8))
    if digits.count > 8 {
      appendWord(digits.second, count: min(digits.count &- 8, 8))
      if digits.count > 16 { appendWord(UInt64(digits.third), count: digits.count &- 16) }
    }
  }
}
