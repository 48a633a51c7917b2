/// An integer's decimal digits, without memory of their own.
struct Digits {
  private var digits: InlineArray<20, UInt8>
  /// How many characters they are, with the sign.
  let count: Int

  /// The digits of an integer.
  init(_ value: Int64) {
    var buffer = InlineArray<20, UInt8>(repeating: 0)
    var rest = value.magnitude
    var start = 20
    repeat {
      start -= 1
      buffer[start] = UInt8(truncatingIfNeeded: 48 + rest % 10)
      rest /= 10
    } while rest != 0
    if value < 0 {
      start -= 1
      buffer[start] = 45
    }
    var digits = InlineArray<20, UInt8>(repeating: 0)
    for index in start..<20 { digits[index - start] = buffer[index] }
    self.digits = digits
    count = 20 - start
  }

  /// Those of an entry's value, if it is an integer.
  init?(_ entry: Entry) {
    guard entry.has(EntryShape.integer) else { return nil }
    self.init(entry.value.baseAddress.unsafelyUnwrapped.loadUnaligned(as: Int64.self))
  }

  /// Lends the digits.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeBytes(of: digits) { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }
}
