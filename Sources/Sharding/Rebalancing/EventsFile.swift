// The latest events as text, in a file of their own beside `nodes.conf`.
//
//     tern-events 1
//     next 18
//     16 1700000000000 shard-created shard=5 node=07c3…e6
//     17 1700000000017 configuration-changed what=some%20text
//     checksum 8c5d0f4e1a2b3c4d
//
// One space between words, every line ended by a line feed, nothing behind the last one. Ids ascend,
// and all are below `next`. In names and values everything but visible ASCII, and `%`, `=` too, is
// written as `%` and two capital hexadecimal digits for each byte of UTF-8. What is decoded is
// exactly what would be encoded again. The checksum is that of `nodes.conf`.
//
// Decoding never traps and takes time and memory in proportion to the input, of which it takes at
// most `maxByteCount`. Events are no truth that anything rests on: who finds the file broken begins
// a new log.

/// The codec of the file of events.
public enum EventsFile {
  /// What this code writes, and the only version it reads.
  public static let version = 1

  /// No file is longer, in bytes: 256 events with 32 fields, each of two texts of 1024 bytes that
  /// are quoted throughout, and some numbers.
  public static let maxByteCount =
    EventLog.capacity
    * (ClusterEvent.maxFieldCount * (6 * ClusterEvent.Field.maxByteCount + 2) + 128) + 128

  /// The events as the bytes of a file.
  public static func encode(_ log: EventLog) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append("tern-events \(version)\nnext \(log.nextID)\n")
    for event in log.events {
      bytes.append("\(event.id) \(event.milliseconds) \(event.kind.rawValue)")
      for field in event.fields {
        bytes.append(" ")
        bytes.append(quoting: field.name)
        bytes.append("=")
        bytes.append(quoting: field.value)
      }
      bytes.append("\n")
    }
    let sum = NodesFile.checksum(bytes[...])
    bytes.append("checksum ")
    bytes.append(hexadecimal: sum)
    bytes.append("\n")
    return bytes
  }

  /// The events that `bytes` are the file of; nil if they are not one.
  public static func decode(_ bytes: [UInt8]) -> EventLog? {
    guard bytes.count <= maxByteCount, bytes.last == UInt8(ascii: "\n") else { return nil }
    let lines = bytes.dropLast().split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard lines.count >= 3, lines.count - 3 <= EventLog.capacity,
      let last = lines.last, lines[0].elementsEqual("tern-events \(version)".utf8)
    else { return nil }
    var checksum = Array("checksum ".utf8)
    checksum.append(hexadecimal: NodesFile.checksum(bytes[..<last.startIndex]))
    guard last.elementsEqual(checksum) else { return nil }
    let next = words(lines[1])
    guard next.count == 2, next[0].elementsEqual("next".utf8),
      let nextID = number(next[1], as: UInt64.self), nextID > 0
    else { return nil }
    var log = EventLog()
    for line in lines[2..<(lines.count - 1)] {
      guard let event = event(words(line)), event.id >= log.nextID, event.id < nextID else {
        return nil
      }
      log.insert(event)
    }
    log.continueFrom(nextID)
    return log
  }

  private static func words(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
  }

  private static func event(_ words: [ArraySlice<UInt8>]) -> ClusterEvent? {
    guard words.count >= 3, words.count - 3 <= ClusterEvent.maxFieldCount,
      let id = number(words[0], as: UInt64.self), id > 0,
      let milliseconds = number(words[1], as: Int64.self),
      let kind = ClusterEvent.Kind(rawValue: String(decoding: words[2], as: UTF8.self))
    else { return nil }
    var fields: [ClusterEvent.Field] = []
    for word in words[3...] {
      let sides = word.split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
      guard sides.count == 2, let name = unquoted(sides[0]), let value = unquoted(sides[1]) else {
        return nil
      }
      fields.append(ClusterEvent.Field(name, value))
    }
    return ClusterEvent(id: id, milliseconds: milliseconds, kind: kind, fields: fields)
  }

  /// A number, written as it would be written again.
  private static func number<Number: FixedWidthInteger>(
    _ word: ArraySlice<UInt8>, as type: Number.Type
  ) -> Number? {
    let text = String(decoding: word, as: UTF8.self)
    guard let number = Number(text), String(number) == text else { return nil }
    return number
  }

  /// The text that was quoted as this; nil if it is too long or would be quoted in another way.
  private static func unquoted(_ word: ArraySlice<UInt8>) -> String? {
    var bytes: [UInt8] = []
    var position = word.startIndex
    while position < word.endIndex {
      var byte = word[position]
      if byte == UInt8(ascii: "%") {
        guard word.endIndex - position >= 3,
          let value = UInt8(
            String(decoding: word[(position + 1)...(position + 2)], as: UTF8.self), radix: 16)
        else { return nil }
        byte = value
        position += 2
      }
      bytes.append(byte)
      position += 1
    }
    guard bytes.count <= ClusterEvent.Field.maxByteCount,
      let text = String(validating: bytes, as: UTF8.self)
    else { return nil }
    var again: [UInt8] = []
    again.append(quoting: text)
    return again.elementsEqual(word) ? text : nil
  }
}

extension [UInt8] {
  /// Appends a text of which everything but visible ASCII, and `%`, `=`, is quoted.
  fileprivate mutating func append(quoting text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "%"), UInt8(ascii: "="): quote(byte)
      case 0x21...0x7E: append(byte)
      default: quote(byte)
      }
    }
  }

  private mutating func quote(_ byte: UInt8) {
    append(UInt8(ascii: "%"))
    for digit in [byte >> 4, byte & 15] {
      append(digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "A") - 10))
    }
  }
}
