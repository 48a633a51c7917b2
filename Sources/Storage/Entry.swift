// An entry: a key with its value, expiry and access clock, in one allocation of at least 16 bytes.
//
//   short:  +--------+- - - - - - -+- - - - - - - - - - - - - - -+-------+- - - - - - - - -+
//           | header | expiry, ms  | address and count of value  |  key  | value           |
//           |   8    |  8, bit 4   |  16, bit 6 (value apart)    | ≤ 255 | without bit 6   |
//           +--------+- - - - - - -+- - - - - - - - - - - - - - -+-------+- - - - - - - - -+
//   long:   +--------+-----------+----------+- - - - - - - - - - - - - - -+-------+- - - - - - +
//   (bit 5) | header | key bytes | expiry   | address and count of value  |  key  | value      |
//           |   8    |     8     |    8     |  16, bit 6                  | > 255 |            |
//           +--------+-----------+----------+- - - - - - - - - - - - - - -+-------+- - - - - - +
//
//   header  [0-3 type][4 expiry][5 long][6 value apart][7 integer][8-31 access clock][32-39 key bytes][40-63 value bytes]
//
// The long form has room for an expiry always: a key of any length gets one without being copied. With a value apart,
// bits 40-63 hold the size class of its allocation instead (its capacity). An integer is a value of 8 bytes.
// An entry is exactly as large as its parts say, so its size class is known from its header.
//
// Invariants: a value of `apartLimit` bytes and more lies apart. Exactly one word of one bucket refers to an entry.

/// What a header's lowest four bits say.
enum EntryType {
  /// A string as it was set.
  static var string: UInt64 { 0 }
  /// A string that was changed in place (APPEND, SETRANGE): its encoding is `raw` however short it is.
  static var rawString: UInt64 { 1 }
}

/// The form of an entry, from which its size follows.
struct EntryShape {
  /// Where the type stands in the header.
  static var typeMask: UInt64 { 15 }
  /// There is an expiry.
  static var expiry: UInt64 { 1 << 4 }
  /// The form of keys over `shortKeyLimit`.
  static var long: UInt64 { 1 << 5 }
  /// The value has an allocation of its own.
  static var apart: UInt64 { 1 << 6 }
  /// The value is a signed integer of 8 bytes.
  static var integer: UInt64 { 1 << 7 }
  /// The flags that move the key within its entry.
  static var layoutMask: UInt64 { expiry | long | apart }

  /// The longest key of the short form.
  static var shortKeyLimit: Int { 255 }
  /// The shortest value that lies apart.
  static var apartLimit: Int { 16 << 10 }

  /// The header's lowest byte.
  var flags: UInt64
  /// The key's length.
  var keyCount: Int
  /// The value's length, or its size class where it lies apart.
  var valueField: UInt64

  /// A shape for a key of that length.
  @inline(__always)
  init(flags: UInt64, keyCount: Int, valueField: UInt64) {
    self.flags = keyCount > EntryShape.shortKeyLimit ? flags | EntryShape.long : flags
    self.keyCount = keyCount
    self.valueField = valueField
  }

  /// Where the key begins.
  @inline(__always)
  var keyOffset: Int { EntryShape.keyOffset(flags) }

  /// Where the key begins in an entry with those flags.
  @inline(__always)
  static func keyOffset(_ header: UInt64) -> Int {
    if header & long == 0 {
      return Int(truncatingIfNeeded: 8 &+ (header & expiry) &>> 1 &+ (header & apart) &>> 2)
    }
    return Int(truncatingIfNeeded: 24 &+ (header & apart) &>> 2)
  }

  /// The size of the allocation.
  @inline(__always)
  var allocatedByteCount: Int {
    let inside = flags & EntryShape.apart == 0 ? Int(truncatingIfNeeded: valueField) : 0
    return SizeClass.bytes(keyOffset &+ keyCount &+ inside)
  }

  /// The header for that access clock.
  @inline(__always)
  func header(clock: UInt32) -> UInt64 {
    let key = flags & EntryShape.long == 0 ? UInt64(truncatingIfNeeded: keyCount) &<< 32 : 0
    return flags | UInt64(clock & Entry.clockLimit) &<< 8 | key | valueField &<< 40
  }
}

/// A place where an entry lies.
struct Entry {
  /// The access clock's bits.
  static var clockLimit: UInt32 { 0xff_ffff }

  /// Its first byte.
  let address: UnsafeMutableRawPointer

  /// The entry at `address`.
  @inline(__always)
  init(_ address: UnsafeMutableRawPointer) { self.address = address }

  /// The header.
  @inline(__always)
  var header: UInt64 {
    get { address.load(as: UInt64.self) }
    nonmutating set { address.storeBytes(of: newValue, as: UInt64.self) }
  }

  /// Whether a flag is set.
  @inline(__always)
  func has(_ flag: UInt64) -> Bool { header & flag != 0 }

  /// The key's length.
  @inline(__always)
  var keyCount: Int {
    let header = header
    if header & EntryShape.long == 0 { return Int(truncatingIfNeeded: (header &>> 32) & 0xff) }
    return address.load(fromByteOffset: 8, as: Int.self)
  }

  /// Its form.
  @inline(__always)
  var shape: EntryShape {
    let header = header
    return EntryShape(flags: header & 0xff, keyCount: keyCount, valueField: header &>> 40)
  }

  /// Where the key begins.
  @inline(__always)
  var key: UnsafeMutableRawPointer { address + EntryShape.keyOffset(header) }

  /// The key, as long as the entry stays.
  @inline(__always)
  var keyBytes: RawSpan {
    @_lifetime(immortal)
    get {
      let bytes = UnsafeRawBufferPointer(start: key, count: keyCount)
      return unsafe _overrideLifetime(bytes.bytes, copying: ())
    }
  }

  @inline(__always)
  private var expiryOffset: Int { header & EntryShape.long == 0 ? 8 : 16 }

  /// When it expires; only where the flag is set.
  @inline(__always)
  var expiry: Int64 {
    get { address.load(fromByteOffset: expiryOffset, as: Int64.self) }
    nonmutating set {
      address.storeBytes(of: newValue, toByteOffset: expiryOffset, as: Int64.self)
    }
  }

  /// The access clock.
  @inline(__always)
  var clock: UInt32 {
    get { UInt32(truncatingIfNeeded: header &>> 8) & Entry.clockLimit }
    nonmutating set {
      header = header & ~0xffff_ff00 | UInt64(newValue & Entry.clockLimit) &<< 8
    }
  }

  /// The value's address and byte count where it lies apart.
  @inline(__always)
  var apart: (address: UnsafeMutableRawPointer, byteCount: Int) {
    get {
      let record = key - 16
      return (
        record.loadUnaligned(as: UnsafeMutableRawPointer.self),
        record.loadUnaligned(fromByteOffset: 8, as: Int.self)
      )
    }
    nonmutating set {
      let record = key - 16
      record.storeBytes(of: newValue.address, as: UnsafeMutableRawPointer.self)
      record.storeBytes(of: newValue.byteCount, toByteOffset: 8, as: Int.self)
    }
  }

  /// The size of the value's own allocation where it lies apart.
  @inline(__always)
  var apartCapacity: Int { SizeClass.bytes(index: header &>> 40) }

  /// The value's bytes, wherever they lie (an integer's: 8 bytes).
  @inline(__always)
  var value: UnsafeMutableRawBufferPointer {
    let header = header
    if header & EntryShape.apart != 0 {
      let (address, byteCount) = apart
      return UnsafeMutableRawBufferPointer(start: address, count: byteCount)
    }
    return UnsafeMutableRawBufferPointer(
      start: key + keyCount, count: Int(truncatingIfNeeded: header &>> 40))
  }

  /// The bytes that it and its value take from the allocator.
  @inline(__always)
  var allocatedByteCount: Int {
    let own = shape.allocatedByteCount
    return has(EntryShape.apart) ? own &+ apartCapacity : own
  }

  /// Whether its key is `key`, by words of eight bytes.
  @inline(__always)
  func hasKey(_ other: RawSpan) -> Bool {
    let header = header
    let count = other.byteCount
    let offset: Int
    if header & EntryShape.long == 0 {
      guard Int(truncatingIfNeeded: (header &>> 32) & 0xff) == count else { return false }
      offset = Int(
        truncatingIfNeeded: 8 &+ (header & EntryShape.expiry) &>> 1 &+ (header & EntryShape.apart)
          &>> 2)
    } else {
      guard keyCount == count else { return false }
      offset = EntryShape.keyOffset(header)
    }
    let own = address + offset
    if count >= 8 {
      var position = 0
      let last = count &- 8
      while position < last {
        let a = own.loadUnaligned(fromByteOffset: position, as: UInt64.self)
        let b = other.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
        if a != b { return false }
        position &+= 8
      }
      return own.loadUnaligned(fromByteOffset: last, as: UInt64.self)
        == other.unsafeLoadUnaligned(fromUncheckedByteOffset: last, as: UInt64.self)
    }
    if count >= 4 {
      let last = count &- 4
      return own.loadUnaligned(as: UInt32.self)
        == other.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt32.self)
        && own.loadUnaligned(fromByteOffset: last, as: UInt32.self)
          == other.unsafeLoadUnaligned(fromUncheckedByteOffset: last, as: UInt32.self)
    }
    var position = 0
    while position < count {
      if own.load(fromByteOffset: position, as: UInt8.self)
        != other.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
      {
        return false
      }
      position &+= 1
    }
    return true
  }

  /// A new entry of that shape with its header, key and expiry; the value is the caller's to write.
  @inline(__always)
  static func make(_ shape: EntryShape, key: RawSpan, expiry: Int64, clock: UInt32)
    throws(OutOfMemory) -> Entry
  {
    let entry = Entry(try allocate(shape.allocatedByteCount))
    entry.header = shape.header(clock: clock)
    if shape.flags & EntryShape.long != 0 {
      entry.address.storeBytes(of: shape.keyCount, toByteOffset: 8, as: Int.self)
    }
    if shape.flags & EntryShape.expiry != 0 { entry.expiry = expiry }
    key.withUnsafeBytes { copyBytes($0, to: entry.address + shape.keyOffset) }
    return entry
  }
}

/// Copies bytes; short ones, which most keys and values are, without a call.
@inline(__always)
func copyBytes(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
  guard let from = source.baseAddress else { return }
  let count = source.count
  if count >= 8 && count <= 32 {
    let last = count &- 8
    // Loaded before anything is stored: the two may be the same memory.
    let tail = from.loadUnaligned(fromByteOffset: last, as: UInt64.self)
    let a = from.loadUnaligned(as: UInt64.self)
    if count > 16 {
      let b = from.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      let c = from.loadUnaligned(fromByteOffset: last &- 8, as: UInt64.self)
      target.storeBytes(of: b, toByteOffset: 8, as: UInt64.self)
      target.storeBytes(of: c, toByteOffset: last &- 8, as: UInt64.self)
    }
    target.storeBytes(of: a, as: UInt64.self)
    target.storeBytes(of: tail, toByteOffset: last, as: UInt64.self)
    return
  }
  target.copyMemory(from: from, byteCount: count)
}
