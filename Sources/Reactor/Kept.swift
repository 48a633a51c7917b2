/// Bytes of a paused connection that were received before the pause took effect: one growing block.
///
///     header: byteCount 8, capacity 8 | bytes …
///
/// It is bounded by nature: once the kernel has heard of the pause nothing more comes, and until then there is at most what
/// one turn's buffers hold.
struct Kept {
  private struct Header {
    var byteCount: Int
    var capacity: Int
  }
  private static let headerSize = 16
  private var header: UnsafeMutablePointer<Header>

  /// The block at an address that `address` gave.
  init?(at address: UnsafeMutableRawPointer?) {
    guard let address else { return nil }
    header = address.assumingMemoryBound(to: Header.self)
  }

  init(_ bytes: UnsafeRawBufferPointer) {
    header = Self.allocate(capacity: bytes.count)
    append(bytes)
  }

  var address: UnsafeMutableRawPointer { UnsafeMutableRawPointer(header) }
  var byteCount: Int { header.pointee.byteCount }
  var bytes: UnsafeMutableRawPointer { address + Self.headerSize }

  /// Adds bytes behind those that are there; the block may move.
  mutating func append(_ more: UnsafeRawBufferPointer) {
    guard let source = more.baseAddress else { return }
    let needed = byteCount + more.count
    if needed > header.pointee.capacity {
      let larger = Self.allocate(capacity: max(needed, 2 * header.pointee.capacity))
      larger.pointee.byteCount = byteCount
      (UnsafeMutableRawPointer(larger) + Self.headerSize).copyMemory(
        from: bytes, byteCount: byteCount)
      free()
      header = larger
    }
    (bytes + byteCount).copyMemory(from: source, byteCount: more.count)
    header.pointee.byteCount = needed
  }

  /// Gives the memory back.
  func free() { address.deallocate() }

  private static func allocate(capacity: Int) -> UnsafeMutablePointer<Header> {
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: headerSize + capacity, alignment: headerSize)
    return block.initializeMemory(
      as: Header.self, repeating: Header(byteCount: 0, capacity: capacity), count: 1)
  }
}
