import CJemalloc
import Glibc
import Testing

@testable import Storage

/// A pass of the calling thread, which has an arena of its own.
private func preparedPass() -> DefragmentationPass? {
  while DefragmentationPass.prepare() == .underWay { sched_yield() }
  return DefragmentationPass()
}

/// Passes over tables of all forms, beside a model; each on a thread of its own, which has an arena of its own.
@Suite(.serialized) struct DefragmentationTests {
  /// Runs a body on a thread that is bound to an arena of its own.
  private static func onOwnThread(_ body: @escaping () -> Void) {
    final class Box {
      let body: () -> Void
      init(_ body: @escaping () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    pthread_create(
      &thread, nil,
      { argument in
        let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
        _ = try? Arena.bindThisThread()
        box.body()
        Arena.unbindThisThread()
        return nil
      }, box.toOpaque())
    pthread_join(thread, nil)
  }

  private static func refresh() {
    var epoch: UInt64 = 1
    _ = mallctl("epoch", nil, nil, &epoch, MemoryLayout<UInt64>.size)
  }

  /// Three quarters of the keys go; then everything is moved together, in small slices, with changes between them.
  @Test(arguments: [UInt64(1), 2, 3]) func passes(seed: UInt64) {
    Self.onOwnThread {
      do {
        var draw = Draw(seed: seed)
        var keyspace = try Keyspace(seed: testSeed)
        // A constant hash makes extensions, few bits deep directories.
        if seed == 2 { keyspace.forceHashes(mask: 0xf << 60 | 0xff, readKeys: false) }
        let slots = [0, 5, 16383]
        for slot in slots { keyspace.own(slot, by: 0) }
        var model: [Bytes: Bytes] = [:]
        let keyCount = seed == 2 ? 1500 : 12_000
        func slot(_ key: Int) -> Int { slots[key % 3] }
        for i in 0..<keyCount {
          let key = bytes("key:\(i)")
          let value = Bytes(
            repeating: UInt8(truncatingIfNeeded: i), count: i % 500 == 0 ? 20_000 : 64)
          try keyspace.set(slot(i), key, value, expiry: i % 5 == 0 ? .at(9) : .clear)
          model[key] = value
        }
        for i in 0..<keyCount where draw.below(4) != 0 {
          _ = keyspace.remove(slot(i), bytes("key:\(i)"))
          model[bytes("key:\(i)")] = nil
        }
        Self.refresh()
        guard var pass = preparedPass() else {
          Issue.record("no pass")
          return
        }
        let bytesBefore = keyspace.byteCount
        var slices = 0
        var goesOn = true
        while goesOn {
          var units = 40
          goesOn = pass.run(&keyspace, workUnits: &units)
          slices += 1
          if slices % 50 == 0 { keyspace.checkInvariants() }
          if slices % 3 == 0 {
            let i = draw.below(keyCount)
            let key = bytes("key:\(i)")
            if draw.below(2) == 0 {
              _ = keyspace.remove(slot(i), key)
              model[key] = nil
            } else {
              let value = Bytes(repeating: 7, count: draw.below(100))
              try keyspace.set(slot(i), key, value)
              model[key] = value
            }
          }
        }
        keyspace.checkInvariants()
        print("seed \(seed): \(pass.figures), \(slices) slices, \(bytesBefore) bytes")
        #expect(pass.figures.movedEntries > keyCount / 10)
        let count = keyspace.keyCount
        #expect(count == model.count)
        for i in 0..<keyCount {
          let key = bytes("key:\(i)")
          let value = keyspace.value(slot(i), key)
          #expect(value == model[key])
        }
        for slot in slots { keyspace.clear(slot) }
        keyspace.buryAll()
        keyspace.checkInvariants()
        let left = keyspace.byteCount
        #expect(left == 0)
      } catch { Issue.record(error) }
    }
  }

  /// A pass without memory ends; nothing is lost.
  @Test func refusedMemory() {
    Self.onOwnThread {
      do {
        var keyspace = try Keyspace(seed: testSeed)
        keyspace.own(7, by: 0)
        for i in 0..<4000 { try keyspace.set(7, bytes("key:\(i)"), Bytes(repeating: 1, count: 64)) }
        for i in 0..<4000 where i % 4 != 0 { _ = keyspace.remove(7, bytes("key:\(i)")) }
        for n in [0, 1, 5, 50] {
          Self.refresh()
          guard var pass = preparedPass() else {
            Issue.record("no pass")
            return
          }
          AllocationFailure.arm(after: n, lasting: true)
          var units = 1 << 20
          let goesOn = pass.run(&keyspace, workUnits: &units)
          _ = AllocationFailure.disarm()
          #expect(!goesOn)
          #expect(pass.figures.moved <= n)
          keyspace.checkInvariants()
          let count = keyspace.keyCount
          #expect(count == 1000)
        }
        for i in stride(from: 0, to: 4000, by: 4) {
          let value = keyspace.value(7, bytes("key:\(i)"))
          #expect(value == Bytes(repeating: 1, count: 64))
        }
      } catch { Issue.record(error) }
    }
  }

  /// A thread without an arena of its own has nothing to move to.
  @Test func unboundThread() {
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { _ in
        #expect(DefragmentationPass() == nil)
        return nil
      }, nil)
    pthread_join(thread, nil)
  }

  /// What is known of pages: after a pass those of the emptied arena hold next to nothing.
  @Test func pagesBecomeFree() {
    Self.onOwnThread {
      do {
        var keyspace = try Keyspace(seed: testSeed)
        keyspace.own(7, by: 0)
        let empty = Self.activeByteCount()
        let count = 40_000
        for i in 0..<count {
          try keyspace.set(7, bytes("key:\(i)"), Bytes(repeating: 1, count: 64))
        }
        var draw = Draw(seed: 4)
        for i in 0..<count where draw.below(4) != 0 { _ = keyspace.remove(7, bytes("key:\(i)")) }
        let before = Self.activeByteCount() - empty
        Self.refresh()
        guard var pass = preparedPass() else {
          Issue.record("no pass")
          return
        }
        var units = Int.max
        while pass.run(&keyspace, workUnits: &units) {}
        let after = Self.activeByteCount() - empty
        print("\(keyspace.byteCount) bytes in pages of \(before), then \(after)")
        // Four times as much before, next to nothing too much after it, with all slabs that are begun.
        let used = keyspace.byteCount
        #expect(after < used * 3 / 2 + 100_000)
        #expect(after < before / 2)
      } catch { Issue.record(error) }
    }
  }

  /// Bytes of the pages in use of this thread's two arenas.
  private static func activeByteCount() -> Int {
    _ = mallctl("thread.tcache.flush", nil, nil, nil, 0)
    refresh()
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    _ = mallctl("thread.arena", &number, &size, nil, 0)
    return Arena.pair(number).reduce(0) { sum, arena in
      var pages = 0
      var size = MemoryLayout<Int>.size
      _ = mallctl("stats.arenas.\(arena).pactive", &pages, &size, nil, 0)
      return sum + pages * 4096
    }
  }
}
