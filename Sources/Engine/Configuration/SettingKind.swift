// How the value of a setting reads, and how it is shown: Redis's types, with Redis's texts for what is wrong.

/// Why a setting was refused; the text is Redis's.
public struct SettingError: Error, Equatable {
  /// What is wrong with the value.
  public let reason: String

  /// A value that is wrong for that reason.
  public init(reason: String) { self.reason = reason }
}

/// The type of a setting. A value has one *canonical* text, which is what CONFIG GET shows.
enum SettingKind: Sendable {
  /// `yes` or `no`.
  case flag
  /// One of several words.
  case choice([String])
  /// Some of several words; the first stands for none of the others.
  case options([String])
  /// A decimal number.
  case integer(ClosedRange<Int>)
  /// A number written in octal, as modes of files are.
  case octal(ClosedRange<Int>)
  /// A number of bytes, with units: k, kb, m, mb, g, gb (kb = 1024, k = 1000).
  case memory(ClosedRange<UInt64>)
  /// The same, or a percentage from 0% to 100%.
  case memoryOrPercent
  /// Any text.
  case text
  /// Any number of words.
  case words
  /// One value only: clients and tools ask for it and must get the truth.
  case only(String)
  /// A form of its own.
  case special(SettingForm)

  /// Whether a line of a file may have several words for it.
  var takesSeveralWords: Bool {
    switch self {
    case .options, .words: true
    case .special(let form): form.takesSeveralWords
    case .flag, .choice, .integer, .octal, .memory, .memoryOrPercent, .text, .only: false
    }
  }

  /// The canonical text of a value; `current` is the value so far, of which a form may keep a part.
  func canonical(_ words: [String], current: String) throws(SettingError) -> String {
    let text = words.joined(separator: " ")
    switch self {
    case .flag: return try Self.flag(text)
    case .choice(let all):
      guard let found = all.first(where: { $0 == text.lowercased() }) else {
        throw Self.noneOf(all)
      }
      return found
    case .options(let all): return try Self.options(words, all)
    case .integer(let range):
      guard let value = Self.strictInteger(text) else {
        throw SettingError(reason: "argument couldn't be parsed into an integer")
      }
      try Self.check(value, range) { "\($0)" }
      return "\(value)"
    case .octal(let range):
      guard let value = text.isEmpty ? 0 : Int(text, radix: 8) else {
        throw SettingError(reason: "argument couldn't be parsed as an octal number")
      }
      try Self.check(value, range) { String($0, radix: 8) }
      return String(value, radix: 8)
    case .memory(let range):
      guard let value = Self.byteCount(text) else {
        throw SettingError(reason: "argument must be a memory value")
      }
      try Self.check(value, range) { "\($0)" }
      return "\(value)"
    case .memoryOrPercent: return try Self.memoryOrPercent(text)
    case .text, .words: return text
    case .only(let value):
      guard text.lowercased() == value else {
        throw SettingError(reason: "only '\(value)' is supported")
      }
      return value
    case .special(let form): return try form.canonical(words, current: current)
    }
  }

  // MARK: the kinds

  private static func flag(_ text: String) throws(SettingError) -> String {
    switch text.lowercased() {
    case "yes": return "yes"
    case "no": return "no"
    default: throw SettingError(reason: "argument must be 'yes' or 'no'")
    }
  }

  private static func noneOf(_ all: [String]) -> SettingError {
    SettingError(
      reason: "argument(s) must be one of the following: " + all.joined(separator: ", "))
  }

  /// The words that were named, in the order of the table.
  private static func options(_ words: [String], _ all: [String]) throws(SettingError) -> String {
    let named = Set(words.map { $0.lowercased() })
    guard !words.isEmpty, named.isSubset(of: all) else { throw noneOf(all) }
    let found = all.dropFirst().filter(named.contains)
    return found.isEmpty ? all[0] : found.joined(separator: " ")
  }

  private static func memoryOrPercent(_ text: String) throws(SettingError) -> String {
    if let value = byteCount(text) {
      try check(value, 0...UInt64(Int64.max)) { "\($0)" }
      return "\(value)"
    }
    guard text.hasSuffix("%"), let percent = strictInteger(String(text.dropLast())), percent >= 0
    else { throw SettingError(reason: "argument must be a memory or percent value") }
    if percent > 100 {
      throw SettingError(reason: "percentage argument must be less or equal to 100")
    }
    return percent == 0 ? "0" : "\(percent)%"
  }

  private static func check<Value: BinaryInteger>(
    _ value: Value, _ range: ClosedRange<Value>, shown: (Value) -> String
  ) throws(SettingError) {
    if range.contains(value) { return }
    throw SettingError(
      reason:
        "argument must be between \(shown(range.lowerBound)) and \(shown(range.upperBound)) inclusive"
    )
  }

  // MARK: numbers

  /// A decimal number in its one way of writing: no sign but a minus, no zero in front.
  static func strictInteger(_ text: String) -> Int? {
    guard let value = Int(text), "\(value)" == text else { return nil }
    return value
  }

  /// A number of bytes with redis.conf's units. No digits at all are 0, as for Redis.
  static func byteCount(_ text: String) -> UInt64? {
    let lower = text.lowercased()
    let digits = lower.prefix { $0.isASCII && $0.isNumber }
    guard let value = digits.isEmpty ? 0 : UInt64(digits) else { return nil }
    let unit: UInt64
    switch lower.dropFirst(digits.count) {
    case "", "b": unit = 1
    case "k": unit = 1000
    case "kb": unit = 1 << 10
    case "m": unit = 1_000_000
    case "mb": unit = 1 << 20
    case "g": unit = 1_000_000_000
    case "gb": unit = 1 << 30
    default: return nil
    }
    let (product, overflow) = value.multipliedReportingOverflow(by: unit)
    return overflow ? nil : product
  }
}
