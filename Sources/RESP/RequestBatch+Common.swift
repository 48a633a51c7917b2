// Requests in the common form, parsed a word at a time.

extension RequestBatch {
  /// Parses requests of the common form from `start` on: whole, counts and lengths of 1 to 5 digits, strict line ends. Stops before the first that is anything else, and without a trace of it.
  /// - Returns: the end of the last request.
  mutating func appendCommon(
    _ bytes: RawSpan, from start: Int, end: Int, limits: ProtocolLimits
  ) -> Int {
    // Part by part: a span into `ranges` must not hold the whole batch.
    parseCommon(
      bytes, from: start, end: end, limits: limits, &ranges, argumentTotal: &argumentTotal,
      &requests, requestTotal: &requestTotal)
  }

  /// An empty array, with room where an earlier request left some.
  mutating func takeScratch() -> [ArgumentRange] {
    var taken: [ArgumentRange] = []
    swap(&taken, &scratch)
    return taken
  }

  /// Gives the array back for the next request.
  mutating func giveScratch(_ array: consuming [ArgumentRange]) {
    guard array.capacity <= Self.keptArgumentCount else { return }
    array.removeAll(keepingCapacity: true)
    scratch = array
  }
}

/// The loop of `appendCommon`.
private func parseCommon(
  _ bytes: RawSpan, from start: Int, end: Int, limits: ProtocolLimits,
  _ allRanges: inout [ArgumentRange], argumentTotal: inout Int,
  _ requests: inout InlineArray<16, RequestSpan>, requestTotal: inout Int
) -> Int {
  let maxArguments = limits.maxMultibulkLength
  let maxLength = limits.maxBulkLength
  var ranges = allRanges.mutableSpan
  var firstArgument = argumentTotal
  var requestCount = requestTotal
  var request = start
  requests: while requestCount < RequestBatch.capacity, request &+ 8 <= end {
    let head = bytes.word(at: request)
    guard head & 0xFF == UInt64(UInt8(ascii: "*")) else { break }
    let (count, headByteCount) = commonNumber(head)
    guard headByteCount != 0, count > 0, count <= maxArguments,
      firstArgument &+ count <= ranges.count
    else { break }
    var position = request &+ headByteCount
    var argument = firstArgument
    let lastArgument = argument &+ count
    while argument < lastArgument {
      // The last argument may be shorter than a word: then the last 8 bytes, those before it shifted out.
      let line =
        position &+ 8 <= end
        ? bytes.word(at: position)
        : bytes.word(at: end &- 8) >> UInt64(8 &* (position &+ 8 &- end))
      guard line & 0xFF == UInt64(UInt8(ascii: "$")) else { break requests }
      let (length, lineByteCount) = commonNumber(line)
      let payload = position &+ lineByteCount
      guard lineByteCount != 0, length <= maxLength, payload &+ length &+ 2 <= end else {
        break requests
      }
      ranges[argument] = ArgumentRange(
        offset: UInt32(truncatingIfNeeded: payload), count: UInt32(truncatingIfNeeded: length))
      argument &+= 1
      position = payload &+ length &+ 2
    }
    requests[requestCount] = RequestSpan(
      firstArgument: Int32(truncatingIfNeeded: firstArgument),
      argumentCount: Int32(truncatingIfNeeded: count),
      byteCount: Int32(truncatingIfNeeded: position &- request))
    requests[requestCount].end = Int32(truncatingIfNeeded: position)
    requestCount &+= 1
    firstArgument = lastArgument
    request = position
  }
  argumentTotal = firstArgument
  requestTotal = requestCount
  return request
}

/// The number in a line of the common form, whose first byte (`*`, `$`) the caller has looked at, and how many bytes the line has. 0 bytes: not of the common form.
@inline(__always)
func commonNumber(_ line: UInt64) -> (value: Int, byteCount: Int) {
  let first = (line >> 8 & 0xFF) &- 48
  if line >> 16 & 0xFFFF == 0x0A0D, first <= 9 { return (Int(truncatingIfNeeded: first), 4) }
  let second = (line >> 16 & 0xFF) &- 48
  if line >> 24 & 0xFFFF == 0x0A0D, first &- 1 <= 8, second <= 9 {
    return (Int(truncatingIfNeeded: first &* 10 &+ second), 5)
  }
  return longerNumber(line)
}

/// 3 to 5 digits.
@inline(__always)
private func longerNumber(_ line: UInt64) -> (value: Int, byteCount: Int) {
  var value: UInt64 = 0
  var shift: UInt64 = 8
  // Without a leading zero, as Redis demands.
  guard (line >> 8 & 0xFF) &- 49 <= 8 else { return (0, 0) }
  while shift <= 40 {
    let digit = (line >> shift & 0xFF) &- 48
    guard digit <= 9 else { break }
    value = value &* 10 &+ digit
    shift &+= 8
  }
  guard shift <= 48, line >> shift & 0xFFFF == 0x0A0D else { return (0, 0) }
  return (Int(truncatingIfNeeded: value), Int(truncatingIfNeeded: shift >> 3) &+ 2)
}
