// Bytes that are lent, as values.

/// Bytes as text; nil stays nil.
func text(of bytes: RawSpan?) -> String? {
  guard let bytes else { return nil }
  return unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
}

/// Appends bytes to an array.
func append(_ bytes: borrowing RawSpan, to array: inout [UInt8]) {
  unsafe bytes.withUnsafeBytes { unsafe array.append(contentsOf: $0) }
}
