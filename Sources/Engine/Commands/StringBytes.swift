internal import RESP
internal import Storage

// Reading strings as bytes, whatever their encoding: ranges, texts of integers.

extension Keyspace {
  /// An integer's digits; nothing for any other string. Together with `bytes(of:or:)`: the caller keeps what that lends.
  func digits(of entry: EntryRef?) -> [UInt8] {
    guard let entry, encoding(of: entry) == .integer else { return [] }
    return Array(String(integer(of: entry)).utf8)
  }

  /// A string's bytes, an integer's being `digits`; no bytes for no entry.
  @_lifetime(borrow self, borrow digits)
  func bytes(of entry: EntryRef?, or digits: borrowing [UInt8]) -> RawSpan {
    guard let entry else { return digits.rawBytes.extracting(0..<0) }
    if encoding(of: entry) == .integer { return digits.rawBytes }
    return bytes(of: entry)
  }
}

extension Replies {
  /// Appends some of a string's bytes as a bulk.
  mutating func value(of entry: EntryRef, in keyspace: borrowing Keyspace, range: Range<Int>) {
    let digits = keyspace.digits(of: entry)
    bulk(keyspace.bytes(of: entry, or: digits).extracting(range))
  }
}

/// A range as clients write it: from one place to another, both included, negative ones from the end.
enum WrittenRange {
  /// The places that it means among `count`; nil if they are none. Of two negative ones in the wrong order, both before the
  /// beginning, only `lenient` makes the first place.
  static func resolve(
    _ first: Int64, _ last: Int64, count: Int, lenient: Bool = false
  ) -> Range<Int>? {
    if !lenient && first < 0 && last < 0 && first > last { return nil }
    let count = Int64(count)
    let start = max(0, first < 0 ? first + count : first)
    let end = min(max(0, last < 0 ? last + count : last), count - 1)
    if start > end { return nil }
    return Int(start)..<Int(end + 1)
  }
}
