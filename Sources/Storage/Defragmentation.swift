// Active defragmentation: what lies in sparse slabs of the allocator is rewritten elsewhere, so that they become empty.
//
//   arena A   [##..] [#...] [####] [.#..]          a pass goes through all tables in hash order and moves what
//                 \    |             |             lies in sparse slabs of other arenas into arena B …
//   arena B       [######] ◀─────────┘
//   arena A   [    ] [    ] [####] [    ]          … and empty slabs go back to the system.
//
// A worker has two arenas and uses them in turn: were the copies made in the arena that is being emptied, they would fill
// the very slabs that are to become empty. The better filled one is the target. During a pass everything new is allocated from the other arena too. Old blocks
// are freed past the thread's cache: it would hand them out again.
//
// Rewriting is simple because an entry has exactly one referrer, its bucket's word; a segment has its directory words, an
// extension the leading word before it, a page the one above. Values apart and everything else of more than a slab has
// pages of its own and is never moved.
//
// Limits: without memory for a copy the old one stays. What is not the keyspace's (sessions, replies) stays where it is.

import CJemalloc

/// How far a pass is.
public struct DefragmentationCursor: Sendable, Equatable {
  /// The table; open tables come last.
  fileprivate var slot = 0
  fileprivate var prefix: UInt64 = 0

  /// At the first slot.
  public init() {}
}

/// What passes have done.
public struct DefragmentationFigures: Sendable, Equatable {
  /// Allocations that were moved, and those that were looked at and left.
  public var moved = 0
  public var left = 0
  /// The same of entries alone.
  public var movedEntries = 0
  public var leftEntries = 0
  /// Bytes that were moved.
  public var movedByteCount = 0

  /// Nothing yet.
  public init() {}
}

/// What the allocator says of a block's slab; as it writes it.
private struct SlabUse {
  var free = 0
  var regions = 0
  var byteCount = 0

  /// Whether more than a tenth of it is free: an allocation of its own never is.
  var isSparse: Bool { regions > 1 && free * 10 > regions }
}

/// Questions to the allocator, whose names were looked up once.
struct AllocatorQuestions: Sendable {
  private typealias Name = InlineArray<4, Int>
  private let use: InlineArray<4, Int>
  private let useLength: Int
  private let arena: InlineArray<4, Int>
  private let arenaLength: Int

  /// Nil if this allocator does not know the answers.
  init?() {
    guard let use = AllocatorQuestions.look("experimental.utilization.batch_query"),
      let arena = AllocatorQuestions.look("arenas.lookup")
    else { return nil }
    (self.use, useLength) = use
    (self.arena, arenaLength) = arena
  }

  private static func look(_ name: String) -> (InlineArray<4, Int>, Int)? {
    var numbers = InlineArray<4, Int>(repeating: 0)
    var length = 4
    let error = withUnsafeMutablePointer(to: &numbers) {
      $0.withMemoryRebound(to: Int.self, capacity: 4) { mallctlnametomib(name, $0, &length) }
    }
    return error == 0 ? (numbers, length) : nil
  }

  /// Which of the blocks lie in sparse slabs, a bit each; at most 16.
  func sparse(_ blocks: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>) -> UInt32 {
    withUnsafeTemporaryAllocation(of: SlabUse.self, capacity: 16) { uses in
      var size = blocks.count * MemoryLayout<SlabUse>.stride
      let error = withUnsafePointer(to: use) {
        $0.withMemoryRebound(to: Int.self, capacity: 4) {
          mallctlbymib(
            $0, useLength, uses.baseAddress, &size, blocks.baseAddress,
            blocks.count * MemoryLayout<UnsafeRawPointer?>.stride)
        }
      }
      guard error == 0 else { return 0 }
      var bits: UInt32 = 0
      for i in 0..<blocks.count where uses[i].isSparse { bits |= 1 << UInt32(i) }
      return bits
    }
  }

  /// The arena of a block.
  func arena(of block: UnsafeMutableRawPointer) -> UInt32? {
    var block: UnsafeMutableRawPointer? = block
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    let error = withUnsafePointer(to: arena) {
      $0.withMemoryRebound(to: Int.self, capacity: 4) {
        mallctlbymib(
          $0, arenaLength, &number, &size, &block, MemoryLayout<UnsafeRawPointer?>.size)
      }
    }
    return error == 0 ? number : nil
  }
}

/// One pass of defragmentation.
@safe public struct DefragmentationPass: Sendable {
  /// The arena that it moves to: the thread's own.
  public let arena: Arena
  private(set) var cursor = DefragmentationCursor()
  /// What it has done.
  public private(set) var figures = DefragmentationFigures()
  private let questions: AllocatorQuestions
  private var isOutOfMemory = false

  /// Makes what a pass of the calling thread needs, once; a pass cannot begin before it is done.
  public static func prepare() -> SwitchPreparation { Arena.prepareSwitch() }

  /// Begins a pass: the calling thread allocates from now on from that of its arenas whose pages are filled better. Nil where
  /// it has none of its own, or the allocator cannot tell which blocks lie badly.
  public init?() {
    guard let questions = AllocatorQuestions(), let arena = Arena.switchThisThread() else {
      return nil
    }
    self.questions = questions
    self.arena = arena
  }

  /// Moves what lies badly, for about `workUnits` (an allocation asked about, or a quarter of one moved; 50 to 300 ns each,
  /// because what the allocator knows of a block lies in three places that nothing has read before),
  /// which are counted down. False when the pass has ended.
  public mutating func run(_ keyspace: inout Keyspace, workUnits: inout Int) -> Bool {
    while workUnits > 0 {
      guard let slot = keyspace.nextTable(from: cursor.slot), !isOutOfMemory else { return false }
      if slot != cursor.slot { go(to: slot) }
      let before = figures
      step(&keyspace)
      let moved = figures.moved - before.moved
      workUnits -= 1 + moved + (figures.left - before.left) + 4 * moved
    }
    return true
  }

  private mutating func go(to slot: Int) {
    cursor.slot = slot
    cursor.prefix = 0
  }

  /// One home of the table that the cursor is in.
  private mutating func step(_ keyspace: inout Keyspace) {
    let root = Keyspace.root(of: keyspace.table(cursor.slot))
    var path = DirectoryPath(root: root, prefix: cursor.prefix)
    let home = path.segment.home(cursor.prefix)
    if home == 0 {
      if path.level > 0, path.index == 0 { movePage(path) }
      path = DirectoryPath(root: root, prefix: cursor.prefix)
      moveSegment(&path)
    }
    var next: Bucket? = path.segment.bucket(home)
    while let bucket = next {
      moveEntries(of: bucket)
      next = bucket.next
    }
    if let prefix = path.segment.prefix(after: home, within: cursor.prefix) {
      cursor.prefix = prefix
    } else {
      go(to: cursor.slot + 1)
    }
  }

  /// A bucket's entries, and the extension that it leads to.
  private mutating func moveEntries(of bucket: Bucket) {
    withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: Bucket.capacity) {
      blocks in
      var count = 0
      var places = bucket.taken
      while places != 0 {
        blocks[count] = Bucket.address(bucket.word(places.trailingZeroBitCount))
        count += 1
        places &= places &- 1
      }
      guard count > 0 else { return }
      var sparse = questions.sparse(UnsafeMutableBufferPointer(rebasing: blocks[..<count]))
      let all = sparse
      while sparse != 0 {
        tern_prefetch(blocks[sparse.trailingZeroBitCount])
        sparse &= sparse &- 1
      }
      places = bucket.taken
      for i in 0..<count {
        let place = places.trailingZeroBitCount
        places &= places &- 1
        move(bucket, place, isSparse: all >> UInt32(i) & 1 == 1)
      }
    }
  }

  private mutating func move(_ bucket: Bucket, _ place: Int, isSparse: Bool) {
    let word = bucket.word(place)
    let isEntry = word & Bucket.leadBit == 0
    guard isSparse else { return leave(isEntry: isEntry) }
    let size = isEntry ? Bucket.entry(word).shape.allocatedByteCount : Bucket.byteCount
    guard let copy = copy(of: Bucket.address(word), size, isBucket: !isEntry) else {
      return leave(isEntry: isEntry)
    }
    bucket.setWord(place, word & ~Bucket.addressMask | Bucket.addressBits(copy))
    if isEntry { figures.movedEntries += 1 }
  }

  private mutating func leave(isEntry: Bool) {
    figures.left += 1
    if isEntry { figures.leftEntries += 1 }
  }

  private mutating func moveSegment(_ path: inout DirectoryPath) {
    let old = path.segment
    guard let copy = copyIfSparse(old.segment, old.bucketCount * Bucket.byteCount, isBucket: true)
    else { return }
    path.replace(with: DirectoryWord(segment: copy, buckets: old.bucketCount, depth: old.depth))
  }

  private mutating func movePage(_ path: DirectoryPath) {
    let old = path.page
    let words = 1 << Int(old.depth)
    guard let copy = copyIfSparse(old.segment, words * 8, isBucket: false) else { return }
    path.holder.pointee =
      DirectoryWord(page: copy.bindMemory(to: UInt64.self, capacity: words), log: old.depth).bits
  }

  private mutating func copyIfSparse(
    _ block: UnsafeMutableRawPointer, _ byteCount: Int, isBucket: Bool
  ) -> UnsafeMutableRawPointer? {
    let isSparse = withUnsafeTemporaryAllocation(
      of: UnsafeMutableRawPointer?.self, capacity: 1
    ) { blocks in
      blocks[0] = block
      return questions.sparse(blocks) != 0
    }
    let copy = isSparse ? copy(of: block, byteCount, isBucket: isBucket) : nil
    if copy == nil { figures.left += 1 }
    return copy
  }

  /// A copy of a block in this pass's arena; the old one is freed. Nil if it lies there already, or there is no memory.
  private mutating func copy(
    of block: UnsafeMutableRawPointer, _ byteCount: Int, isBucket: Bool
  ) -> UnsafeMutableRawPointer? {
    if questions.arena(of: block) == arena.number { return nil }
    do throws(OutOfMemory) {
      let size = SizeClass.bytes(byteCount)
      let alignment = isBucket ? tern_mallocx_align_64() : 0
      let copy = try allocate(size, flags: alignment)
      copy.copyMemory(from: block, byteCount: byteCount)
      sdallocx(block, size, alignment | tern_mallocx_tcache_none())
      figures.moved += 1
      figures.movedByteCount += size
      return copy
    } catch {
      isOutOfMemory = true
      return nil
    }
  }
}

extension Keyspace {
  /// The first table from `slot` on that holds something; open tables come last.
  func nextTable(from slot: Int) -> Int? {
    var slot = slot
    while slot < Keyspace.tableCount {
      if tables[slot].root != 0 { return slot }
      slot += 1
    }
    return nil
  }
}
