/// A double as Redis 7.2 writes it: whole numbers as integers, others with the fewest digits that give the same double; `inf`, `-inf`, `nan`.
///
/// Exponents stand where the plain form would need 7 zeros or more: `1e+21`, `1.5e-9`.
func decimal(_ value: Double) -> [UInt8] {
  if value.isNaN { return Array("nan".utf8) }
  if value.isInfinite { return Array((value < 0 ? "-inf" : "inf").utf8) }
  if value == 0 { return Array((value.sign == .minus ? "-0" : "0").utf8) }
  // Whole numbers up to 2^62 are written as integers.
  // (`Int64(exactly:)` and `rounded` call the C library's `trunc`, which is in libm.)
  if value.magnitude <= Double(Int64.max / 2) {
    let whole = Int64(value)
    if Double(whole) == value { return Array(String(whole).utf8) }
  }
  let (digits, exponent) = shortestDigits(value.magnitude)
  var text: [UInt8] = value < 0 ? [UInt8(ascii: "-")] : []
  // The number is digits × 10^exponent.
  let scientific = exponent + digits.count - 1
  let zero = UInt8(ascii: "0")
  let point = UInt8(ascii: ".")
  if exponent >= 0, scientific.magnitude < digits.count + 7 {
    text += digits + [UInt8](repeating: zero, count: exponent)
  } else if exponent < 0, exponent > -7 || scientific.magnitude < 4 {
    let whole = digits.count + exponent
    if whole <= 0 {
      text += [zero, point] + [UInt8](repeating: zero, count: -whole) + digits
    } else {
      text += digits[..<whole] + [point] + digits[whole...]
    }
  } else {
    text.append(digits[0])
    if digits.count > 1 { text += [point] + digits[1...] }
    text += [UInt8(ascii: "e"), UInt8(ascii: scientific < 0 ? "-" : "+")]
    text += String(scientific.magnitude).utf8
  }
  return text
}

/// The fewest digits d without zeros at the end, and e, with value = d × 10^e. The standard library finds them; its form is taken apart.
private func shortestDigits(_ value: Double) -> (digits: [UInt8], exponent: Int) {
  var digits: [UInt8] = []
  var exponent = 0
  var isFraction = false
  let text = Array(value.description.utf8)
  for (index, byte) in text.enumerated() {
    if byte == UInt8(ascii: ".") {
      isFraction = true
    } else if byte == UInt8(ascii: "e") {
      exponent += Int(String(decoding: text[(index + 1)...], as: UTF8.self)) ?? 0
      break
    } else {
      digits.append(byte)
      if isFraction { exponent -= 1 }
    }
  }
  while digits.last == UInt8(ascii: "0") {
    digits.removeLast()
    exponent += 1
  }
  return (Array(digits.drop { $0 == UInt8(ascii: "0") }), exponent)
}
