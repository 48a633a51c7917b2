/// The few forms that the renderings of a map are made of. Rendering happens once an epoch, off
/// the way of a command.
extension [UInt8] {
  /// Appends the text as it is.
  mutating func append(_ text: String) { append(contentsOf: text.utf8) }

  /// Appends a number in decimal digits.
  mutating func append(decimal number: some BinaryInteger) {
    if let small = UInt16(exactly: number) {
      // Slots and ports: what a map has thousands of.
      var divisor: UInt16 = 10000
      while divisor > 1, small < divisor { divisor /= 10 }
      while divisor > 0 {
        append(UInt8(ascii: "0") + UInt8(small / divisor % 10))
        divisor /= 10
      }
    } else {
      append(String(number))
    }
  }

  /// Appends a node id's 40 hexadecimal digits.
  mutating func append(_ id: NodeID) {
    append(hexadecimal: id.first)
    append(hexadecimal: id.second)
    append(hexadecimal: id.third)
  }

  /// Appends all the hexadecimal digits of a number, leading zeros too.
  mutating func append(hexadecimal number: some FixedWidthInteger & UnsignedInteger) {
    var shift = number.bitWidth
    while shift > 0 {
      shift -= 4
      let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
      append(digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
    }
  }

  /// Appends `first-last`, or one number for a range of one.
  mutating func append(_ range: SlotRange) {
    append(decimal: range.first.number)
    if range.first < range.last {
      append(UInt8(ascii: "-"))
      append(decimal: range.last.number)
    }
  }

  /// Appends a line of RESP: its type, a number, the line's end.
  mutating func append(type: Unicode.Scalar, _ number: some BinaryInteger) {
    append(UInt8(ascii: type))
    append(decimal: number)
    append("\r\n")
  }

  /// Appends an integer.
  mutating func append(integer: some BinaryInteger) { append(type: ":", integer) }

  /// Appends the head of an array.
  mutating func append(array count: Int) { append(type: "*", count) }

  /// Appends the head of a map of `count` pairs: in RESP2 an array of twice as many.
  mutating func append(map count: Int, resp3: Bool) {
    if resp3 { append(type: "%", count) } else { append(array: 2 * count) }
  }

  /// Appends a bulk string.
  mutating func append(bulk text: String) {
    append(type: "$", text.utf8.count)
    append(text)
    append("\r\n")
  }

  /// Appends a node id as a bulk string.
  mutating func append(bulk id: NodeID) {
    append(type: "$", 2 * NodeID.byteCount)
    append(id)
    append("\r\n")
  }

  /// Appends what stands before a text of `byteCount` bytes: a bulk string's head, or in RESP3
  /// that of a verbatim string. After the text comes a line's end.
  mutating func append(text byteCount: Int, resp3: Bool) {
    if resp3 {
      append(type: "=", byteCount + 4)
      append("txt:")
    } else {
      append(type: "$", byteCount)
    }
  }
}
