// The invariants of a keyspace, checked by walking all of it: for tests.

extension Keyspace {
  /// Walks through everything and traps at the first thing that is not as it should be. For tests.
  public func checkInvariants() {
    var shards = [Int: TableFigures]()
    var total = TableFigures()
    for slot in 0..<Keyspace.tableCount {
      let table = tables[slot]
      let isMarked =
        slot < Keyspace.slotCount
        && state.pointee.expiring[slot >> 6] >> UInt64(slot & 63) & 1 == 1
      precondition(
        isMarked == (slot < Keyspace.slotCount && table.figures.expiring > 0),
        "slot \(slot): expiry bitmap")
      if table.root == 0 && table.owner == Keyspace.nobody && table.figures == TableFigures() {
        continue
      }
      var audit = Audit(hashing: state.pointee.hashing)
      if table.root != 0 {
        audit.walk(DirectoryWord(bits: table.root), depth: 0, level: 0, path: 0)
        precondition(audit.figures.keys > 0, "a table without keys")
      }
      precondition(
        audit.figures == table.figures, "slot \(slot): \(audit.figures), counted \(table.figures)")
      precondition(
        audit.buckets == table.buckets,
        "slot \(slot): \(audit.buckets) buckets, counted \(table.buckets)")
      precondition(
        slot < Keyspace.slotCount || table.owner == Keyspace.nobody, "an open table is owned")
      total.add(audit.figures)
      shards[Int(table.owner), default: TableFigures()].add(audit.figures)
    }
    precondition(total == state.pointee.total, "worker: \(total), counted \(state.pointee.total)")
    for index in 0...Int(Keyspace.shardLimit) {
      let counted = state.pointee.shards[index]
      if counted == TableFigures() && shards[index - 1] == nil { continue }
      let found = shards[index - 1, default: TableFigures()]
      precondition(counted == found, "shard \(index - 1): \(found), counted \(counted)")
    }
    var before = 0
    for slot in 0..<Keyspace.slotCount where tables[slot].buckets > 0 {
      precondition(state.pointee.sums.slot(at: before) == slot, "sums at slot \(slot)")
      before += tables[slot].buckets
      precondition(
        state.pointee.sums.slot(at: before - 1) == slot, "sums at the end of slot \(slot)")
    }
    precondition(before == state.pointee.sums.total, "sum of buckets")
  }
}

extension TableFigures {
  fileprivate mutating func add(_ other: TableFigures) {
    keys += other.keys
    bytes += other.bytes
    expiring += other.expiring
  }
}

/// What is found in one table.
private struct Audit {
  let hashing: Hashing
  var figures = TableFigures()
  var buckets = 0

  init(hashing: Hashing) { self.hashing = hashing }

  /// A word at that depth, on the way of the prefixes that begin with `path`.
  mutating func walk(_ word: DirectoryWord, depth: UInt64, level: Int, path: UInt64) {
    precondition(!word.isEmpty, "an empty word in a page")
    guard word.isPage else { return check(word, path: path) }
    precondition(level < DirectoryPath.levelLimit, "more than three levels")
    precondition((1...DirectoryPath.pageLogLimit).contains(word.depth), "size of a page")
    let end = depth + word.depth
    let count = 1 << Int(word.depth)
    figures.bytes += SizeClass.bytes(count * 8)
    var place = 0
    var needsLastBit = false
    while place < count {
      let child = DirectoryWord(bits: word.page[place])
      let childPath = path | UInt64(place) << (64 - end)
      if child.isPage {
        needsLastBit = true
        walk(child, depth: end, level: level + 1, path: childPath)
        place += 1
        continue
      }
      precondition(
        child.depth >= depth && child.depth <= end,
        "depth \(child.depth) between \(depth) and \(end)")
      let run = 1 << Int(end - child.depth)
      precondition(place % run == 0, "a segment's words begin at \(place), \(run) of them")
      for other in place..<place + run {
        precondition(word.page[other] == child.bits, "a segment's words differ")
      }
      if child.depth == end { needsLastBit = true }
      check(child, path: childPath)
      place += run
    }
    // Only where memory for a smaller page, or for the halves of a segment, was refused is a page too large.
    if !needsLastBit { pagesTooLarge += 1 }
  }

  var pagesTooLarge = 0

  private mutating func check(_ segment: DirectoryWord, path: UInt64) {
    let count = segment.bucketCount
    precondition((1...32).contains(count), "\(count) buckets")
    precondition(UInt(bitPattern: segment.segment) % 64 == 0, "a segment off a cache line")
    buckets += count
    figures.bytes += SizeClass.bytes(count * Bucket.byteCount)
    var passed = [Int](repeating: 0, count: count)
    for index in 0..<count {
      let first = segment.bucket(index)
      var next: Bucket? = first
      while let bucket = next {
        check(bucket, of: segment, index, path, &passed)
        next = bucket.next
        if bucket.leads {
          precondition(bucket.tag(Bucket.leadPlace) == Bucket.leadTag, "tag of a leading word")
          precondition(first.passed == Bucket.stickyPassed, "an extension that no search finds")
          precondition(next!.entryCount > 0, "an empty extension")
          figures.bytes += Bucket.byteCount
        }
      }
    }
    for index in 0..<count {
      let o = segment.bucket(index).passed
      precondition(
        o == 255 || Int(o) == passed[index], "o is \(o), \(passed[index]) entries passed")
    }
  }

  private mutating func check(
    _ bucket: Bucket, of segment: DirectoryWord, _ index: Int, _ path: UInt64, _ passed: inout [Int]
  ) {
    for place in 0..<Bucket.capacity {
      let word = bucket.word(place)
      let tag = bucket.tag(place)
      precondition((word == 0) == (tag == 0), "a tag without word, or the other way round")
      if word == 0 { continue }
      if word & Bucket.leadBit != 0 {
        precondition(place == Bucket.leadPlace, "a leading word at place \(place)")
        continue
      }
      let entry = Bucket.entry(word)
      let hash = hashing.hash(entry.keyBytes)
      precondition(hash.tag == tag, "tag")
      precondition(segment.firstPrefix(hash.prefix) == path, "an entry in a wrong segment")
      let displacement = Bucket.displacement(word)
      precondition(displacement <= segment.reach, "displacement \(displacement)")
      let home = segment.home(hash.prefix)
      precondition(
        (home + Int(displacement)) % segment.bucketCount == index, "an entry in a wrong bucket")
      for step in 0..<Int(displacement) { passed[(home + step) % segment.bucketCount] += 1 }
      precondition((word & Bucket.expiryBit != 0) == entry.has(EntryShape.expiry), "expiry bit")
      precondition(
        entry.has(EntryShape.long) == (entry.keyCount > EntryShape.shortKeyLimit), "form of a key")
      precondition(
        entry.has(EntryShape.apart) == (entry.value.count >= EntryShape.apartLimit),
        "form of a value")
      figures.keys += 1
      figures.bytes += entry.allocatedByteCount
      if entry.has(EntryShape.expiry) { figures.expiring += 1 }
    }
  }
}
