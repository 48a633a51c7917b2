// Integers as clients write them.

extension RawSpan {
  /// The integer that these bytes are, by Redis's rules: an optional `-`, then digits without a leading zero, nothing before, between or after; `nil` for anything else: `+1`, `01`, `-0`, ` 1`, an empty string, what does not fit 64 bits.
  @inlinable
  public func integer() -> Int64? {
    let count = byteCount
    // "-9223372036854775808" has 20 bytes.
    guard count > 0, count <= 20 else { return nil }
    var offset = 0
    var isNegative = false
    if byte(at: 0) == UInt8(ascii: "-") {
      isNegative = true
      offset = 1
      guard count > 1 else { return nil }
    }
    let first = byte(at: offset) &- UInt8(ascii: "0")
    if first == 0 { return count == 1 ? 0 : nil }
    guard first <= 9 else { return nil }
    var value = UInt64(first)
    offset += 1
    while offset < count {
      let digit = byte(at: offset) &- UInt8(ascii: "0")
      guard digit <= 9 else { return nil }
      // At most 20 digits: only the last can overflow.
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      if overflow || carry { return nil }
      value = sum
      offset += 1
    }
    if isNegative {
      guard value <= 1 << 63 else { return nil }
      return Int64(bitPattern: 0 &- value)
    }
    return Int64(exactly: value)
  }
}
