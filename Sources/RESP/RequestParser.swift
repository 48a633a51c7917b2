/// A session's place in a request that has not fully arrived.
///
/// How it is used
/// ==============
/// The session keeps the bytes that were not consumed, and gives them again with the next ones behind them:
///
///     loop: consumed = try parser.parse(bytes, into: &batch, limits: limits)
///           run the batch, drop `consumed` bytes; as long as the batch was not empty, once more
///     if let large = parser.arrivingArgument(unconsumed: bytes.byteCount), the session wants it apart:
///           copy the last `large.receivedByteCount` bytes into the final allocation and drop them,
///           parser.tookLarge(); the next bytes of the connection go into the allocation until it is full;
///           those after them are appended to the kept ones as usual, and parsed again
///
/// A batch must be emptied by running it before `parse` is called again, because a request may change what the next one may do. A protocol error behind whole requests in the same bytes is thrown by the *next* call, which begins with the offending request; hence the "once more" above.
///
/// How it works
/// ============
/// 1. The common form (counts and lengths of 1 to 5 digits, whole requests) is parsed by 8-byte loads: `RequestBatch.appendCommon`.
/// 2. Everything else, byte by byte, by `parseRequest`: inline requests, odd numbers, errors, and requests that are cut.
/// 3. A cut request with few arguments is parsed again from its beginning when more bytes have come; `needed` says how many must be there before that can lead any further. With more than 16 arguments, or a large one to come, what was found is kept in `saved` and parsing goes on at `position`. So the work is linear in the bytes, however they are cut.
///
/// ```
///  *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $100000\r\n xxxxxx…
///  |<------------- kept ------------------->|<-- the large argument's bytes: in its allocation
///                                        position
/// ```
/// Invariants: all offsets are relative to the first byte of the cut request, which is the first unconsumed byte. `remaining > 0` exactly if `saved` and `bulkLength` mean something. The arguments gathered need 8 bytes for at least 6 on the wire: memory is bounded by what was sent, never by what was claimed.
///
/// The result does not depend on how the bytes were cut. In two points that differs from Redis 7.0, knowingly: a line is too big if its end is not among its first 64 Ki + 1 bytes (with Redis that depends on the reads), and a NUL byte in a line is a byte like others (Redis stops looking for the line's end there, and waits).
/// As with Redis the byte after a `\r` and the two bytes after a bulk are skipped unseen.
public struct RequestParser: Sendable {
  /// Arguments of the cut request, if it is continued and not parsed again.
  private var saved: [ArgumentRange] = []
  /// The length of the argument that is arriving; `noBulk` before its line was read, `takenBulk` if its payload was received apart.
  private var bulkLength = noBulk
  /// How many arguments are not whole yet; 0 if the request is parsed from its beginning.
  private var remaining: UInt32 = 0
  /// Where to go on: the beginning of the line or payload that is arriving.
  private var position: UInt32 = 0
  /// With fewer bytes than these nothing new can be found. No byte before `needed − 2` ends the line that arrives at `position`.
  private var needed: UInt32 = 0
  /// How many arguments of this request were received apart.
  private var largeCount: UInt32 = 0

  private static let noBulk = -1
  private static let takenBulk = -2
  /// A cut request with more arguments is continued, one with fewer parsed again.
  private static let savedArgumentCount = 16

  /// The place before the first request.
  public init() {}

  /// Whether part of a request has arrived and not all of it.
  public var isInRequest: Bool { needed != 0 }

  /// Parses as many whole requests as there are, at most `batch` has room for, after emptying `batch`. One at a time for a client that has not authenticated.
  /// - Parameter bytes: what no earlier call consumed, and what came since.
  /// - Returns: how many bytes are done with: whole requests, and what is silently skipped (empty lines, `*0`, `*-1`).
  /// - Throws: when the first request breaks the protocol. The session answers `ProtocolError.reply`, and is over.
  public mutating func parse(
    _ bytes: RawSpan, into batch: inout RequestBatch, limits: ProtocolLimits
  ) throws(ProtocolError) -> Int {
    batch.removeAll()
    // Ranges have 32 bits; of more bytes than that the first are taken, the others are given again.
    let end = min(bytes.byteCount, Int(Int32.max))
    if end < Int(needed) {
      if end > limits.queryBufferLimit { throw ProtocolError(.queryBufferLimit) }
      return 0
    }
    var start = 0
    let most = limits.isAuthenticated ? RequestBatch.capacity : 1
    while true {
      if remaining == 0, limits.isAuthenticated {
        let next = batch.appendCommon(bytes, from: start, end: end, limits: limits)
        if next != start { needed = 0 }
        start = next
      }
      guard start < end, batch.count < most else { return start }
      do throws(ProtocolError) {
        guard
          let byteCount = try parseRequest(
            bytes.extracting(start..<end), at: start, into: &batch, limits: limits)
        else {
          if end - start > limits.queryBufferLimit { throw ProtocolError(.queryBufferLimit) }
          return start
        }
        start += byteCount
        batch.endsLast(at: start)
      } catch {
        self = RequestParser()
        if batch.count > 0 { return start }
        throw error
      }
    }
  }

  /// Parses one request or empty line, in whatever form. `nil` if it is not whole.
  private mutating func parseRequest(
    _ bytes: RawSpan, at start: Int, into batch: inout RequestBatch, limits: ProtocolLimits
  ) throws(ProtocolError) -> Int? {
    var arguments: [ArgumentRange]
    var position = Int(position)
    var left = Int(remaining)
    var bulkLength = bulkLength
    if left == 0 {
      position = 0
      bulkLength = Self.noBulk
      guard bytes.byte(at: 0) == UInt8(ascii: "*") else {
        return try parseInline(bytes, into: &batch, limits: limits)
      }
      guard
        let lineEnd = try lineEnd(
          bytes, from: 0, limit: limits.maxInlineLength, error: .tooBigMultibulkCount)
      else { return waitFromBeginning(for: bytes.byteCount + 1) }
      guard let count = bytes.extracting(1..<lineEnd).integer(),
        count <= limits.maxMultibulkLength
      else { throw ProtocolError(.invalidMultibulkLength) }
      if count > ProtocolLimits.unauthenticatedMultibulkLength, !limits.isAuthenticated {
        throw ProtocolError(.unauthenticatedMultibulkLength)
      }
      position = lineEnd + 2
      if count <= 0 {
        needed = 0
        return position
      }
      left = Int(count)
      arguments = batch.takeScratch()
    } else {
      arguments = []
      swap(&arguments, &saved)
    }

    while left > 0 {
      if bulkLength == Self.noBulk {
        guard
          let lineEnd = try lineEnd(
            bytes, from: position, limit: limits.maxInlineLength, error: .tooBigBulkCount)
        else {
          return wait(
            for: bytes.byteCount + 1, arguments, at: position, left, bulkLength, &batch)
        }
        bulkLength = try parseLength(bytes, position..<lineEnd, limits: limits)
        position = lineEnd + 2
      }
      let payload = max(bulkLength, 0)
      let available = bytes.byteCount - position
      guard available - 2 >= payload else {
        // A bulk may be as long as an `Int` reaches: no sum here.
        let missing = payload - available
        let isLarge = missing >= ProtocolLimits.largeByteCount
        let needed = missing > Int(Int32.max) ? Int(UInt32.max) : bytes.byteCount + missing + 2
        return wait(
          for: needed, arguments, at: position, left, bulkLength, &batch, isLarge: isLarge)
      }
      if bulkLength != Self.takenBulk {
        arguments.append(ArgumentRange(offset: UInt32(position), count: UInt32(payload)))
      }
      position += payload + 2
      bulkLength = Self.noBulk
      left -= 1
    }
    batch.append(arguments, shift: UInt32(start), byteCount: position, isInline: false)
    batch.giveScratch(arguments)
    if remaining != 0 { self = RequestParser() } else { needed = 0 }
    return position
  }

  /// The line of an argument's length, `bytes[line]`, is whole.
  private func parseLength(
    _ bytes: RawSpan, _ line: Range<Int>, limits: ProtocolLimits
  ) throws(ProtocolError) -> Int {
    let first = bytes.byte(at: line.lowerBound)
    guard first == UInt8(ascii: "$") else { throw ProtocolError(.expectedDollar, byte: first) }
    guard let length = bytes.extracting((line.lowerBound + 1)..<line.upperBound).integer(),
      length >= 0, length <= limits.maxBulkLength
    else { throw ProtocolError(.invalidBulkLength) }
    if length > ProtocolLimits.unauthenticatedBulkLength, !limits.isAuthenticated {
      throw ProtocolError(.unauthenticatedBulkLength)
    }
    return Int(length)
  }

  /// Where the line that begins at `position` has its `\r`, if that and the byte after it are there.
  private func lineEnd(
    _ bytes: RawSpan, from position: Int, limit: Int, error: ProtocolError.Kind
  ) throws(ProtocolError) -> Int? {
    guard
      let found = try find(13, bytes, from: position, limit: limit, error: error),
      found + 1 < bytes.byteCount
    else { return nil }
    return found
  }

  /// The first `wanted` from `position` on, which must be among the first `limit` + 1 bytes. What was searched before is not searched again.
  private func find(
    _ wanted: UInt8, _ bytes: RawSpan, from position: Int, limit: Int, error: ProtocolError.Kind
  ) throws(ProtocolError) -> Int? {
    var offset = position == Int(self.position) ? max(position, Int(needed) - 2) : position
    let end = min(bytes.byteCount, position + limit + 1)
    while offset < end {
      if bytes.byte(at: offset) == wanted { return offset }
      offset += 1
    }
    if bytes.byteCount - position > limit { throw ProtocolError(error) }
    return nil
  }

  private mutating func parseInline(
    _ bytes: RawSpan, into batch: inout RequestBatch, limits: ProtocolLimits
  ) throws(ProtocolError) -> Int? {
    guard
      let newline = try find(
        10, bytes, from: 0, limit: limits.maxInlineLength, error: .tooBigInline)
    else { return waitFromBeginning(for: bytes.byteCount + 1) }
    let end = newline > 0 && bytes.byte(at: newline - 1) == 13 ? newline - 1 : newline
    try batch.appendInline(bytes.extracting(0..<end), byteCount: newline + 1)
    needed = 0
    return newline + 1
  }

  private mutating func waitFromBeginning(for needed: Int) -> Int? {
    self.needed = UInt32(needed)
    position = 0
    return nil
  }

  private mutating func wait(
    for needed: Int, _ arguments: consuming [ArgumentRange], at position: Int, _ left: Int,
    _ bulkLength: Int, _ batch: inout RequestBatch, isLarge: Bool = false
  ) -> Int? {
    self.needed = UInt32(needed)
    self.position = UInt32(position)
    guard remaining != 0 || isLarge || arguments.count > Self.savedArgumentCount else {
      batch.giveScratch(arguments)
      return nil
    }
    saved = arguments
    self.bulkLength = bulkLength
    remaining = UInt32(left)
    return nil
  }
}

extension RequestParser {
  /// An argument that is arriving, of which 32 KiB or more are still to come.
  public struct LargeArgument: Sendable, Equatable {
    /// How long it will be, as its client claims. Allocate as bytes arrive, not at once.
    public var byteCount: Int
    /// How many of its bytes have arrived; they are the last unconsumed ones.
    public var receivedByteCount: Int
    /// Its number in the request; 0 is the command's name.
    public var argumentIndex: Int
    /// How many arguments the request will have.
    public var argumentCount: Int
    /// Where the command's name lies among the unconsumed bytes; `nil` if the name is this argument, or was taken apart.
    public var name: ArgumentRange?
  }

  /// The argument that is arriving, if 32 KiB or more of it are still to come: the session may receive it apart, or just go on gathering bytes.
  /// - Parameter byteCount: how many bytes were not consumed by the last `parse`.
  public func arrivingArgument(unconsumed byteCount: Int) -> LargeArgument? {
    let received = byteCount - Int(position)
    guard remaining > 0, bulkLength - received >= ProtocolLimits.largeByteCount else { return nil }
    let name = saved.first.flatMap { $0.isLarge ? nil : $0 }
    return LargeArgument(
      byteCount: bulkLength, receivedByteCount: received, argumentIndex: saved.count,
      argumentCount: saved.count + Int(remaining), name: name)
  }

  /// The session receives the payload of the arriving argument apart, and has dropped the `receivedByteCount` bytes of it. The next bytes for `parse` are those after the payload, behind the ones that were kept. The argument's range will be `.large(n)`.
  public mutating func tookLarge() {
    precondition(remaining > 0 && bulkLength >= 0, "no argument is arriving")
    saved.append(.large(Int(largeCount)))
    largeCount += 1
    bulkLength = Self.takenBulk
    needed = position + 2
  }
}
