import Foundation
import RESP
import Testing

/// Mutated requests: whatever arrives, and however it is cut, the parser says what the plain reference parser says.
///
/// Inputs worth keeping lie in `Corpus`, each in a file. `TERN_FUZZ_ROUNDS` sets the rounds, `TERN_FUZZ_SEED` the first seed; a failure prints the round's seed, with which `TERN_FUZZ_ROUNDS=1` repeats it.
@Suite struct FuzzTests {
  static let corpus: [[UInt8]] = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "Corpus")
    let files =
      (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil))
      ?? []
    return files.sorted { $0.path < $1.path }.compactMap { try? Array(Data(contentsOf: $0)) }
  }()

  static func setting(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
  }

  @Test func corpusIsThere() {
    #expect(Self.corpus.count >= 20)
  }

  @Test func requests() {
    let rounds = Self.setting("TERN_FUZZ_ROUNDS") ?? 3000
    let first = Self.setting("TERN_FUZZ_SEED") ?? 1
    for seed in first..<(first + rounds) {
      var random = Random(state: seed)
      let bytes = mutated(&random)
      let limits = drawLimits(&random)
      let expected = reference(bytes, limits: limits)
      let takesLarge = random.next() % 4 != 0
      let whole = feed(bytes, limits: limits, takesLarge: takesLarge)
      var cuts = (0..<Int(random.next() % 8)).map { _ in
        Int(random.next() % UInt64(bytes.count + 1))
      }
      cuts.sort()
      let pieces = feed(bytes, cuts: cuts, limits: limits, takesLarge: takesLarge)
      let single = bytes.count < 600 ? feed(bytes, cuts: 0..<bytes.count, limits: limits) : whole
      guard whole == expected, pieces == expected, single == expected else {
        Issue.record(
          "TERN_FUZZ_SEED=\(seed) TERN_FUZZ_ROUNDS=1: whole \(whole), cut at \(cuts) \(pieces), expected \(expected)"
        )
        return
      }
    }
  }

  /// Mutated replies never crash the reply parser, and what it takes for whole is whole in every longer input.
  @Test func replies() throws {
    let forms = [
      "*2\r\n$3\r\nabc\r\n:12\r\n", "%1\r\n+a\r\n~2\r\n,1.5\r\n#t\r\n",
      "|1\r\n+a\r\n_\r\n=5\r\ntxt:a\r\n", ">1\r\n(123\r\n!3\r\nERR\r\n", "$-1\r\n*-1\r\n*0\r\n",
    ]
    let parser = ReplyParser(maxDepth: 8, maxByteCount: 10_000)
    for seed in 1...(Self.setting("TERN_FUZZ_ROUNDS") ?? 3000) {
      var random = Random(state: seed)
      var bytes = forms.randomElement(using: &random).map { Array($0.utf8) } ?? []
      for _ in 0..<(random.next() % 4) { mutate(&bytes, &random) }
      guard let (reply, byteCount) = try? parser.parse(bytes) else { continue }
      let again = try #require(try parser.parse(bytes.prefix(byteCount)))
      if !"\(reply)".contains("nan") { #expect(again.reply == reply, "seed \(seed)") }
      #expect(try parser.parse(bytes.prefix(byteCount - 1)) == nil, "seed \(seed)")
    }
  }

  func drawLimits(_ random: inout Random) -> ProtocolLimits {
    switch random.next() % 4 {
    case 0: ProtocolLimits(isAuthenticated: false)
    case 1: ProtocolLimits(maxBulkLength: 20, maxMultibulkLength: 5, maxInlineLength: 24)
    case 2: ProtocolLimits(maxBulkLength: 200_000, maxMultibulkLength: 300, maxInlineLength: 10)
    default: ProtocolLimits()
    }
  }

  func mutated(_ random: inout Random) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<(1 + random.next() % 4) {
      bytes += Self.corpus.randomElement(using: &random) ?? []
    }
    if random.next() % 50 == 0 {
      let large = [UInt8](repeating: 42, count: 30_000 + Int(random.next() % 50_000))
      bytes += request([Array("SET".utf8), large, Array("k".utf8), large])
    }
    for _ in 0..<(random.next() % 6) { mutate(&bytes, &random) }
    return bytes
  }

  /// Changes, removes, doubles or inserts something.
  func mutate(_ bytes: inout [UInt8], _ random: inout Random) {
    let tokens = [
      "\r", "\n", "\r\n", "*", "$", "-1", "0", "1", "9", "10", "99", "\"", "'", "\\", "\\x", "\0",
      "*1\r\n", "$1\r\n", " ", "\u{b}", "32768", "100000", "2147483648", "9223372036854775808",
    ]
    let place = Int(random.next() % UInt64(bytes.count + 1))
    let end = min(bytes.count, place + Int(random.next() % 12))
    switch random.next() % 7 {
    case 0 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 1 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.next() % 8)
    case 2: bytes.removeSubrange(place..<end)
    case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
    case 4: bytes.removeSubrange(place...)
    default:
      bytes.insert(contentsOf: Array((tokens.randomElement(using: &random) ?? "").utf8), at: place)
    }
  }
}
