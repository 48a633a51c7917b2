// Elements that stay where they are, named by small numbers: a worker's sessions.
//
// Blocks of 64 elements, and for every place a link: `occupied`, or the next free place. Growing adds a block and
// copies only the list of blocks and the links. The place that was freed last is taken next. Blocks are kept.

/// A list of places for elements.
@safe public struct Slab<Element: ~Copyable>: ~Copyable {
  @usableFromInline static var blockLog: Int { 6 }
  @usableFromInline static var occupied: Int32 { -2 }
  private static var noPlace: Int32 { -1 }
  private static var blockByteCount: Int {
    SizeClass.bytes(MemoryLayout<Element>.stride << blockLog)
  }

  /// The blocks.
  @usableFromInline var blocks: UnsafeMutablePointer<UnsafeMutablePointer<Element>>?
  @usableFromInline var links: UnsafeMutablePointer<Int32>?
  /// How many places there are.
  @usableFromInline var placeCount: Int32 = 0
  private var blockCapacity = 0
  private var firstFree: Int32 = -1

  /// How many elements there are.
  public private(set) var count = 0

  /// No elements.
  public init() {
    // An allocation of at least this is on a cache line's boundary where its class is a multiple of one.
    precondition(MemoryLayout<Element>.alignment <= 16)
  }

  deinit {
    guard let blocks, let links else { return }
    for index in 0..<placeCount where links[Int(index)] == Slab.occupied {
      (blocks[Int(index) >> Slab.blockLog] + (Int(index) & 63)).deinitialize(count: 1)
    }
    for block in 0..<Int(placeCount) >> Slab.blockLog {
      deallocate(blocks[block], Slab.blockByteCount)
    }
    deallocate(blocks, Slab.blocksByteCount(blockCapacity))
    deallocate(links, Slab.linksByteCount(blockCapacity))
  }

  private static func blocksByteCount(_ capacity: Int) -> Int { SizeClass.bytes(capacity * 8) }
  private static func linksByteCount(_ capacity: Int) -> Int {
    SizeClass.bytes(capacity << blockLog * 4)
  }

  /// What it takes from the allocator.
  public var allocatedByteCount: Int {
    blockCapacity == 0
      ? 0
      : (Int(placeCount) >> Slab.blockLog) * Slab.blockByteCount
        + Slab.blocksByteCount(blockCapacity) + Slab.linksByteCount(blockCapacity)
  }

  /// The numbers that elements may have are below this; `contains` tells which do.
  public var indexLimit: Int32 { placeCount }

  /// Whether there is an element of that number.
  @inlinable
  public func contains(_ index: Int32) -> Bool {
    UInt32(bitPattern: index) < UInt32(bitPattern: placeCount)
      && links.unsafelyUnwrapped[Int(index)] == Slab.occupied
  }

  /// The element of that number, which exists.
  @inlinable
  public subscript(index: Int32) -> Element {
    unsafeAddress {
      UnsafePointer(address(index))
    }
    unsafeMutableAddress {
      address(index)
    }
  }

  /// Where the element of that number lies.
  @inlinable @inline(__always)
  func address(_ index: Int32) -> UnsafeMutablePointer<Element> {
    precondition(contains(index), "no such element")
    return blocks.unsafelyUnwrapped[Int(index) &>> Slab.blockLog] + (Int(index) & 63)
  }

  /// Makes sure that the next `insert` does not fail.
  public mutating func reserve() throws(OutOfMemory) {
    if firstFree == Slab.noPlace { try addBlock() }
  }

  /// Puts an element into a free place; its number. On failure the element is gone: `reserve` first where it matters.
  public mutating func insert(_ element: consuming Element) throws(OutOfMemory) -> Int32 {
    if firstFree == Slab.noPlace { try addBlock() }
    let index = firstFree
    let link = links.unsafelyUnwrapped + Int(index)
    firstFree = link.pointee
    link.pointee = Slab.occupied
    address(index).initialize(to: element)
    count += 1
    return index
  }

  /// Takes an element out.
  public mutating func remove(_ index: Int32) -> Element {
    let element = address(index).move()
    links.unsafelyUnwrapped[Int(index)] = firstFree
    firstFree = index
    count -= 1
    return element
  }

  private mutating func addBlock() throws(OutOfMemory) {
    let block = Int(placeCount) >> Slab.blockLog
    precondition(block < Int(Int32.max) >> Slab.blockLog)
    if block == blockCapacity { try growLists() }
    let memory = try allocate(Slab.blockByteCount)
    blocks.unsafelyUnwrapped[block] = memory.bindMemory(
      to: Element.self, capacity: 1 << Slab.blockLog)
    let first = placeCount
    placeCount += 1 << Int32(Slab.blockLog)
    for index in first..<placeCount {
      (links.unsafelyUnwrapped + Int(index)).initialize(to: index + 1)
    }
    links.unsafelyUnwrapped[Int(placeCount) - 1] = Slab.noPlace
    firstFree = first
  }

  private mutating func growLists() throws(OutOfMemory) {
    let capacity = max(2, 2 * blockCapacity)
    let newBlocks = try allocate(Slab.blocksByteCount(capacity))
      .bindMemory(to: UnsafeMutablePointer<Element>.self, capacity: capacity)
    let newLinks: UnsafeMutableRawPointer
    do throws(OutOfMemory) {
      newLinks = try allocate(Slab.linksByteCount(capacity))
    } catch {
      deallocate(newBlocks, Slab.blocksByteCount(capacity))
      throw error
    }
    let linkPointer = newLinks.bindMemory(to: Int32.self, capacity: capacity << Slab.blockLog)
    if let blocks, let links {
      newBlocks.moveInitialize(from: blocks, count: blockCapacity)
      linkPointer.moveInitialize(from: links, count: Int(placeCount))
      deallocate(blocks, Slab.blocksByteCount(blockCapacity))
      deallocate(links, Slab.linksByteCount(blockCapacity))
    }
    blocks = newBlocks
    links = linkPointer
    blockCapacity = capacity
  }
}

extension Slab: @unchecked Sendable where Element: Sendable & ~Copyable {
  // Sendable: it is the only owner of its elements.
}
