/// Up to 16 requests parsed at once, flat and reused: in steady state it allocates nothing.
///
/// ```
/// requests   [ 0: first 0, count 3 ][ 1: first 3, count 2 ] …
/// ranges     [ SET ][ key ][ value ][ GET ][ key ] …            offset and count into the parsed bytes,
/// text       the arguments of inline requests, quotes taken away      or (inline requests) into `text`
/// ```
/// Ranges are offsets into the bytes that were parsed: a batch is run before those bytes are given up.
public struct RequestBatch: ~Copyable {
  /// The most requests of a batch: enough prefetches in flight to hide the misses of all, few enough to stay in the first-level cache.
  public static var capacity: Int { 16 }

  /// All of its elements are initialised; those below `argumentTotal` mean something.
  @usableFromInline var ranges: [ArgumentRange]
  @usableFromInline var argumentTotal = 0
  /// 16 of them. On the heap, because a batch is moved twice for every run.
  @usableFromInline var requests: [RequestSpan]
  @usableFromInline var requestTotal = 0
  /// The arguments of inline requests.
  @usableFromInline var text: [UInt8] = []
  /// Where the parser gathers the arguments of a request that has not the common form.
  var scratch: [ArgumentRange] = []

  /// More ranges than these are given back after the batch: one huge request must not keep its memory for ever.
  static let keptArgumentCount = 4096
  /// More bytes of inline requests than these are given back after the batch.
  static let keptTextByteCount = 64 << 10
  static let firstArgumentCount = 128

  /// An empty batch.
  public init() {
    ranges = [ArgumentRange](
      repeating: ArgumentRange(offset: 0, count: 0), count: Self.firstArgumentCount)
    requests = [RequestSpan](repeating: RequestSpan(), count: Self.capacity)
  }

  /// How many requests there are.
  @inlinable @inline(__always)
  public var count: Int { requestTotal }

  /// One of the requests. Traps if there is no such.
  @inlinable @inline(__always)
  public func request(_ index: Int) -> RequestSpan {
    precondition(index < requestTotal)
    return requests[index]
  }

  /// The arguments of all requests.
  @inlinable @inline(__always)
  public var arguments: Span<ArgumentRange> {
    @_lifetime(borrow self)
    get { ranges.span.extracting(0..<argumentTotal) }
  }

  /// The arguments of a request; `bytes` are those that were parsed.
  @inlinable @inline(__always)
  @_lifetime(copy bytes, borrow self)
  public func arguments(of index: Int, in bytes: RawSpan) -> Arguments {
    let request = request(index)
    return Arguments(
      bytes: request.isInline ? text.span.rawBytes : bytes, ranges: ranges.span,
      first: Int(request.firstArgument), count: Int(request.argumentCount))
  }

  /// Forgets all requests. The memory stays, unless an uncommonly large request made it large.
  @inlinable @inline(__always)
  public mutating func removeAll() {
    requestTotal = 0
    argumentTotal = 0
    if !text.isEmpty || ranges.count > 4096 { trim() }
  }

  @usableFromInline
  mutating func trim() {
    if text.capacity > Self.keptTextByteCount {
      text = []
    } else {
      text.removeAll(keepingCapacity: true)
    }
    if ranges.count > Self.keptArgumentCount {
      ranges = [ArgumentRange](
        repeating: ArgumentRange(offset: 0, count: 0), count: Self.firstArgumentCount)
    }
    if scratch.capacity > Self.keptArgumentCount { scratch = [] }
  }

  /// The last request, if there is one, ends at that offset, or what is skipped behind it does.
  mutating func endsLast(at offset: Int) {
    if requestTotal > 0 { requests[requestTotal - 1].end = Int32(offset) }
  }

  /// Adds a request; `shift` is added to the offsets of arguments that lie in the buffer. O(arguments).
  mutating func append(
    _ arguments: [ArgumentRange], shift: UInt32, byteCount: Int, isInline: Bool
  ) {
    let first = argumentTotal
    let needed = first + arguments.count
    if needed > ranges.count {
      let room = max(needed, 2 * ranges.count)
      ranges.reserveCapacity(room)
      while ranges.count < room { ranges.append(ArgumentRange(offset: 0, count: 0)) }
    }
    var target = first
    for var range in arguments {
      if !range.isLarge { range.offset += shift }
      ranges[target] = range
      target += 1
    }
    argumentTotal = needed
    requests[requestTotal] = RequestSpan(
      firstArgument: Int32(first), argumentCount: Int32(arguments.count),
      byteCount: Int32(byteCount), isInline: isInline)
    requestTotal += 1
  }
}
