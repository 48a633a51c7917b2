// The only file of this target that says `unsafe`: loads of unaligned integers, each behind a bounds check, the bytes of a span of bytes (which have no padding), and of a `StaticString`, which live for ever.

extension RawSpan {
  /// The 8 bytes from `offset` on, the first in the low bits. Traps if they are not all there.
  @inlinable @inline(__always)
  public func word(at offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// The 4 bytes from `offset` on, the first in the low bits. Traps if they are not all there.
  @inlinable @inline(__always)
  public func halfWord(at offset: Int) -> UInt32 {
    unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// The byte at `offset`. Traps if it is not there.
  @inlinable @inline(__always)
  public func byte(at offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}

extension RawSpan {
  /// Up to 8 bytes from `offset` on, the first in the low bits, zeros above. Traps if they are not all there, or `count` is not in 0…8.
  @inlinable @inline(__always)
  public func word(at offset: Int, count: Int) -> UInt64 {
    if count == 8 { return word(at: offset) }
    precondition(count >= 0 && count < 8)
    if count >= 4 {
      let low = UInt64(halfWord(at: offset))
      let high = UInt64(halfWord(at: offset + count - 4))
      return low | high << UInt64(8 * (count - 4))
    }
    if count == 0 { return 0 }
    // First, middle and last byte cover 1, 2 and 3 bytes.
    let half = count >> 1
    return UInt64(byte(at: offset)) | UInt64(byte(at: offset + half)) << UInt64(8 * half)
      | UInt64(byte(at: offset + count - 1)) << UInt64(8 * (count - 1))
  }
}

extension StaticString {
  /// The byte at `index`. Traps if it is not there.
  @inlinable @inline(__always)
  func byte(at index: Int) -> UInt8 {
    precondition(index >= 0 && index < utf8CodeUnitCount)
    return unsafe utf8Start[index]
  }

  /// The bytes, which live as long as the process.
  @inlinable @inline(__always)
  var rawSpan: RawSpan {
    @_lifetime(immortal)
    get {
      let bytes = unsafe RawSpan(_unsafeStart: utf8Start, byteCount: utf8CodeUnitCount)
      return unsafe _overrideLifetime(bytes, borrowing: ())
    }
  }
}

extension Span where Element == UInt8 {
  /// The same bytes, raw.
  @inlinable @inline(__always)
  var rawBytes: RawSpan {
    @_lifetime(copy self)
    get { unsafe bytes }
  }
}

extension MutableSpan where Element == UInt8 {
  /// Stores 8 bytes, the low ones first. Traps if there is no room.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  mutating func store(_ word: UInt64, at offset: Int) {
    var bytes = unsafe mutableBytes
    bytes.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
  }

  /// Stores bytes. Traps if there is no room.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  mutating func store(_ source: RawSpan, at offset: Int) {
    var bytes = unsafe mutableBytes
    var target = bytes._mutatingExtracting(offset..<(offset + source.byteCount))
    var index = 0
    while index + 8 <= source.byteCount {
      target.storeBytes(of: source.word(at: index), toByteOffset: index, as: UInt64.self)
      index += 8
    }
    while index < source.byteCount {
      target.storeBytes(of: source.byte(at: index), toByteOffset: index, as: UInt8.self)
      index += 1
    }
  }
}
