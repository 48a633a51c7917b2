import Testing

@testable import Storage

/// Queues of reply bytes, byte buffers, slabs.
@Suite struct QueueTests {
  @Test func emptyQueueHasNoChunk() throws {
    var pool = ChunkPool()
    var queue = OutputQueue()
    let room = queue.roomByteCount
    #expect(room == 0)
    try queue.reserve(8, pool: &pool)
    queue.appendWord(0x0a0d_4b4f_2b, count: 5)
    let used = pool.usedByteCount
    let front = queue.front.array
    #expect(used == 1024 && front == bytes("+OK\r\n"))
    queue.sent(5, pool: &pool)
    let after = pool.usedByteCount
    let kept = pool.keptByteCount
    let isEmpty = queue.isEmpty
    #expect(after == 0 && kept == 1024 && isEmpty)
    try queue.reserve(100, pool: &pool)
    queue.sent(0, pool: &pool)
    let unused = pool.usedByteCount
    #expect(unused == 0)
  }

  @Test(arguments: 1...4) func randomAppendsAndSends(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Draw(seed: seed)
    var pool = ChunkPool(keptByteLimit: 100_000)
    var queue = OutputQueue()
    var model: Bytes = []
    var sizes: Set<Int> = []
    for step in 0..<4000 {
      if draw.below(10) < (step / 400 % 2 == 0 ? 7 : 3) {
        let count = [0, 1, 8, 9, 16, 17, 100, 3000, 70000][draw.below(step % 40 == 0 ? 9 : 7)]
        let piece = (0..<count).map { UInt8(truncatingIfNeeded: $0 + step) }
        let extra = draw.below(20)
        try queue.reserve(count + extra, pool: &pool)
        let room = queue.roomByteCount
        #expect(room >= count + extra)
        queue.append(piece.span.bytes)
        model += piece
        if extra >= 8 {
          queue.appendWord(0x3231, count: extra % 9)
          model += [0x31, 0x32, 0, 0, 0, 0, 0, 0].prefix(extra % 9)
        }
        if extra == 5 {
          queue.appendByte(7)
          model.append(7)
        }
      } else {
        let front = queue.front.array
        #expect(front.isEmpty == model.isEmpty)
        #expect(front == Bytes(model.prefix(front.count)))
        let count = draw.below(2) == 0 ? draw.below(front.count + 1) : draw.below(model.count + 1)
        queue.sent(count, pool: &pool)
        model.removeFirst(count)
      }
      let count = queue.byteCount
      #expect(count == model.count)
      sizes.insert(pool.usedByteCount)
      let kept = pool.keptByteCount
      #expect(kept <= 100_000)
    }
    #expect(sizes.count >= 8)
    queue.removeAll(pool: &pool)
    let used = pool.usedByteCount
    #expect(used == 0)
  }

  @Test func frontStaysWhereItIs() throws {
    var pool = ChunkPool()
    var queue = OutputQueue()
    try queue.reserve(10, pool: &pool)
    queue.append(bytes("0123456789").span.bytes)
    let before = queue.front.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    for _ in 0..<1000 {
      try queue.reserve(500, pool: &pool)
      queue.append(Bytes(repeating: 1, count: 500).span.bytes)
    }
    let after = queue.front.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    #expect(before == after)
    // Chunks of 1, 4, 16 and then 64 KiB.
    var chunks: [Int] = []
    while !queue.isEmpty {
      let count = queue.front.byteCount
      chunks.append(count)
      queue.sent(count, pool: &pool)
    }
    #expect(chunks.reduce(0, +) == 500_010)
    #expect(chunks.count > 8 && chunks.count < 14 && chunks[0] < 1024)
  }

  @Test func queueWithBytesIsDropped() throws {
    var pool = ChunkPool()
    var queue = OutputQueue()
    try queue.reserve(100_000, pool: &pool)
    queue.append(Bytes(repeating: 1, count: 100_000).span.bytes)
  }

  @Test func appendWithoutRoomTraps() async {
    await #expect(processExitsWith: .failure) {
      var pool = ChunkPool()
      var queue = OutputQueue()
      try queue.reserve(8, pool: &pool)
      let bytes = [UInt8](repeating: 0, count: 2000)
      queue.append(bytes.span.bytes)
    }
  }

  @Test(arguments: 1...3) func byteBuffer(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Draw(seed: seed)
    var buffer = ByteBuffer()
    var model: Bytes = []
    for step in 0..<3000 {
      if draw.below(2) == 0 {
        let piece = (0..<draw.below(200)).map { UInt8(truncatingIfNeeded: $0 ^ step) }
        try buffer.append(piece.span.bytes)
        model += piece
      } else {
        let count = draw.below(min(model.count, 300) + 1)
        buffer.removeFirst(count)
        model.removeFirst(count)
      }
      let content = buffer.bytes.array
      #expect(content == model)
      let allocated = buffer.allocatedByteCount
      #expect(model.isEmpty == (allocated == 0) || model.isEmpty)
    }
    buffer.removeAll()
    let allocated = buffer.allocatedByteCount
    #expect(allocated == 0)
  }

  /// An element that counts how many there are.
  private final class Counter { var alive = 0 }
  private struct Element: ~Copyable {
    let number: Int
    let counter: Counter
    init(_ number: Int, _ counter: Counter) {
      self.number = number
      self.counter = counter
      counter.alive += 1
    }
    deinit { counter.alive -= 1 }
  }

  @Test func slabKeepsElementsInPlace() throws {
    let counter = Counter()
    var draw = Draw(seed: 2)
    do {
      var slab = Slab<Element>()
      var places: [Int32: (number: Int, address: UInt)] = [:]
      for number in 0..<5000 {
        if draw.below(3) > 0 || places.isEmpty {
          let index = try slab.insert(Element(number, counter))
          #expect(places[index] == nil)
          places[index] = (number, UInt(bitPattern: slab.address(index)))
        } else {
          let index = places.keys.sorted()[draw.below(places.count)]
          let element = slab.remove(index)
          #expect(element.number == places[index]!.number)
          places[index] = nil
          let contains = slab.contains(index)
          #expect(!contains)
        }
        let count = slab.count
        #expect(count == places.count && counter.alive == count)
      }
      for (index, place) in places {
        let number = slab[index].number
        #expect(number == place.number)
        let address = UInt(bitPattern: slab.address(index))
        #expect(address == place.address)
      }
      let limit = Int(slab.indexLimit)
      #expect(limit >= places.count && limit < places.count + 128 + 200)
      let outside = [-1, slab.indexLimit].map { slab.contains($0) }
      #expect(outside == [false, false])
    }
    #expect(counter.alive == 0)
  }
}
