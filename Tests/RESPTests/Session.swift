import RESP

/// What became of some bytes: the requests found in them, and the error that ended them.
struct Outcome: Equatable, CustomStringConvertible {
  var requests: [[[UInt8]]] = []
  var error: ProtocolError?

  var description: String {
    let texts = requests.map {
      $0.map { $0.count > 40 ? "<\($0.count)>" : String(decoding: $0, as: UTF8.self) }
    }
    return "\(texts) \(error.map { String(describing: $0) } ?? "")"
  }
}

/// A session as the engine has one: keeps what was not consumed, may receive large arguments apart.
struct Session: ~Copyable {
  var outcome = Outcome()
  var kept: [UInt8] = []
  private var parser = RequestParser()
  private var batch = RequestBatch()
  private let limits: ProtocolLimits
  private let takesLarge: Bool
  private var large: [[UInt8]] = []
  private var largeMissing = 0
  /// How many arguments were received apart.
  var largeTaken = 0

  init(limits: ProtocolLimits, takesLarge: Bool) {
    self.limits = limits
    self.takesLarge = takesLarge
  }

  mutating func receive(_ piece: ArraySlice<UInt8>) {
    var piece = piece
    if outcome.error != nil { return }
    if largeMissing > 0 {
      let part = piece.prefix(largeMissing)
      large[large.count - 1] += part
      largeMissing -= part.count
      piece = piece.dropFirst(part.count)
      if piece.isEmpty { return }
    }
    kept += piece
    do {
      try run()
    } catch {
      outcome.error = error
    }
  }

  /// A request's arguments as arrays. Apart, because arguments hold the batch that they are read from.
  private static func copy(
    _ index: Int, of batch: borrowing RequestBatch, in bytes: [UInt8], _ large: [[UInt8]]
  ) -> [[UInt8]] {
    let arguments = batch.arguments(of: index, in: bytes.span.bytes)
    return (0..<arguments.count).map { argument in
      arguments.largeIndex(argument).map { large[$0] } ?? arguments[argument].array
    }
  }

  private mutating func run() throws(ProtocolError) {
    repeat {
      // A local name: a span of a property would hold all of `self`.
      let kept = self.kept
      let large = self.large
      let consumed = try parser.parse(kept.span.bytes, into: &batch, limits: limits)
      var byteCount = 0
      for index in 0..<batch.count {
        byteCount += Int(batch.request(index).byteCount)
        let request = Self.copy(index, of: batch, in: kept, large)
        if index == 0 { self.large = [] }
        outcome.requests.append(request)
      }
      precondition(byteCount <= consumed)
      self.kept.removeFirst(consumed)
    } while batch.count > 0
    if takesLarge, let arriving = parser.arrivingArgument(unconsumed: kept.count) {
      precondition(arriving.byteCount - arriving.receivedByteCount >= 32 << 10)
      large.append(Array(kept.suffix(arriving.receivedByteCount)))
      kept.removeLast(arriving.receivedByteCount)
      largeMissing = arriving.byteCount - arriving.receivedByteCount
      parser.tookLarge()
      largeTaken += 1
    }
  }
}

extension RawSpan {
  var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension [UInt8] {
  // What `#expect` cannot ask a span itself: its macro keeps values.
  var integer: Int64? { span.bytes.integer() }
  var word: Word? { Word(span.bytes) }
  var packedUppercase: UInt64 { span.bytes.packedUppercase() }
  func equals(_ other: [UInt8]) -> Bool { span.bytes.equals(other.span.bytes) }
  func equals(ignoringCase word: Word) -> Bool { span.bytes.equals(ignoringCase: word) }
}

extension RequestParser {
  mutating func parse(
    _ bytes: [UInt8], _ batch: inout RequestBatch, _ limits: ProtocolLimits = ProtocolLimits()
  ) throws(ProtocolError) -> Int {
    try parse(bytes.span.bytes, into: &batch, limits: limits)
  }
}

/// Feeds bytes in pieces that end at `cuts`, which ascend, and at the end.
func feed(
  _ bytes: [UInt8], cuts: some Sequence<Int> = [], limits: ProtocolLimits = ProtocolLimits(),
  takesLarge: Bool = true
) -> Outcome {
  var session = Session(limits: limits, takesLarge: takesLarge)
  var start = 0
  for cut in cuts {
    session.receive(bytes[start..<cut])
    start = cut
  }
  session.receive(bytes[start...])
  return session.outcome
}

/// A request of these arguments.
func request(_ arguments: String...) -> [UInt8] { request(arguments.map { Array($0.utf8) }) }

/// A request of these arguments.
func request(_ arguments: [[UInt8]]) -> [UInt8] {
  var bytes = Array("*\(arguments.count)\r\n".utf8)
  for argument in arguments { bytes += "$\(argument.count)\r\n".utf8 + argument + "\r\n".utf8 }
  return bytes
}

/// SplitMix64: a seed, and always the same numbers.
struct Random: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
