import CJemalloc
import Testing

@testable import Storage

/// Sizes, hashes, buckets and the arithmetic of places.
@Suite struct LayoutTests {
  @Test func sizeClassesAreTheAllocators() {
    for size in 16...65536 where SizeClass.bytes(size) != nallocx(size, 0) {
      Issue.record("\(size): \(SizeClass.bytes(size)), allocator \(nallocx(size, 0))")
    }
    #expect(SizeClass.bytes(0) == 16)
    var size = 65536
    while size < 1 << 40 {
      for near in [size - 1, size, size + 1, size + size / 7] {
        #expect(SizeClass.bytes(near) == nallocx(near, 0))
        #expect(SizeClass.bytes(index: SizeClass.index(near)) == nallocx(near, 0))
      }
      size += size / 4
    }
    for size in stride(from: 16, through: 65536, by: 16) {
      #expect(SizeClass.bytes(index: SizeClass.index(size)) == SizeClass.bytes(size))
      #expect(SizeClass.index(size) < 512)
    }
  }

  @Test func segmentsAndPagesFillTheirClasses() {
    #expect(
      segmentSizes == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32])
    for buckets in segmentSizes {
      #expect(SizeClass.bytes(buckets * Bucket.byteCount) == buckets * Bucket.byteCount)
      #expect(nallocx(buckets * 64, tern_mallocx_align_64()) == buckets * 64)
    }
    for log in 1...9 { #expect(SizeClass.bytes(8 << log) == 8 << log) }
    #expect(MemoryLayout<Table>.size == 64)
    #expect(MemoryLayout<OutputQueue>.size == 32)
    #expect(MemoryLayout<EntryRef?>.size == 16)
  }

  /// SipHash with one and three rounds, written down a byte at a time.
  private func slowSip(_ key: Bytes, _ seed: HashSeed) -> UInt64 {
    var v: [UInt64] = [
      seed.k0 ^ 0x736f_6d65_7073_6575, seed.k1 ^ 0x646f_7261_6e64_6f6d,
      seed.k0 ^ 0x6c79_6765_6e65_7261, seed.k1 ^ 0x7465_6462_7974_6573,
    ]
    func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
    func round() {
      v[0] &+= v[1]
      v[2] &+= v[3]
      v[1] = rotate(v[1], 13) ^ v[0]
      v[3] = rotate(v[3], 16) ^ v[2]
      v[0] = rotate(v[0], 32)
      v[2] &+= v[1]
      v[0] &+= v[3]
      v[1] = rotate(v[1], 17) ^ v[2]
      v[3] = rotate(v[3], 21) ^ v[0]
      v[2] = rotate(v[2], 32)
    }
    var padded = key
    while padded.count % 8 != 7 { padded.append(0) }
    padded.append(UInt8(truncatingIfNeeded: key.count))
    for start in stride(from: 0, to: padded.count, by: 8) {
      let word = padded[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      v[3] ^= word
      round()
      v[0] ^= word
    }
    v[2] ^= 0xff
    for _ in 0..<3 { round() }
    return v[0] ^ v[1] ^ v[2] ^ v[3]
  }

  @Test func hashesOfEveryLength() {
    for count in 0...600 {
      let key = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + count) }
      let hash = KeyHash(key.span.bytes, seed: testSeed)
      #expect(hash.bits == slowSip(key, testSeed))
      #expect(hash.tag != 0 && hash.prefix & 0x1ff_ffff == 0)
    }
    #expect(KeyHash(bits: 0xff00).tag == 1)
    #expect(KeyHash(bits: ~0).prefix == ~0 << 25)
  }

  @Test func bucketsKeepWordsTagsAndCounter() throws {
    let bucket = Bucket(try allocateZeroedLines(64))
    defer { deallocate(bucket.base, 64) }
    for place in 0..<9 {
      let word = 0x0fff_ffff_fff0 | UInt64(place)
      bucket.set(place, word, tag: UInt8(place % 3 + 1))
      #expect(bucket.word(place) == word)
      #expect(bucket.taken == (1 << UInt32(place + 1)) - 1)
    }
    for place in 0..<9 {
      #expect(bucket.word(place) == 0x0fff_ffff_fff0 | UInt64(place))
      #expect(bucket.tag(place) == UInt8(place % 3 + 1))
    }
    #expect(bucket.passed == 0 && !bucket.leads)
    #expect(bucket.places(tagged: 1) == 0b001_001_001)
    #expect(bucket.places(tagged: 2) == 0b010_010_010)
    #expect(bucket.places(tagged: 3) == 0b100_100_100)
    bucket.empty(4)
    #expect(bucket.places(tagged: 0) == 0b000_010_000)
    for _ in 0..<300 { bucket.notePassing() }
    #expect(bucket.passed == 255)
    bucket.forgetPassing()
    #expect(bucket.passed == 255)
  }

  @Test func threadHasAnArenaOfItsOwn() throws {
    let arena = try Arena.bindThisThread()
    var number: UInt32 = 0
    var size = 4
    #expect(mallctl("thread.arena", &number, &size, nil, 0) == 0)
    #expect(number == arena.number && number > 0)
    // Too large for the thread's cache, into which memory of other arenas is freed as well.
    let memory = try allocate(320 << 10)
    var of: UInt32 = 0
    var pointer: UnsafeMutableRawPointer? = memory
    #expect(mallctl("arenas.lookup", &of, &size, &pointer, 8) == 0)
    #expect(of == arena.number)
    deallocate(memory, 320 << 10)
  }

  /// Every pair of neighbouring tags: a match must not make its neighbour look like one.
  @Test func tagComparisonIsExact() throws {
    let bucket = Bucket(try allocateZeroedLines(64))
    defer { deallocate(bucket.base, 64) }
    for first in 0...255 {
      for second in 0...255 {
        for place in 0..<9 { bucket.setTag(place, UInt8(place % 2 == 0 ? first : second)) }
        let even: UInt32 = 0b101_010_101
        let expected = first == second ? 0x1ff : even
        if bucket.places(tagged: UInt8(first)) != expected { Issue.record("\(first) \(second)") }
      }
    }
  }
}

/// All sizes of segments.
let segmentSizes: [Int] = {
  var sizes = [1]
  while sizes.last! < SegmentSize.largest { sizes.append(SegmentSize.next(sizes.last!)) }
  return sizes
}()
