// No command on the way of ordinary work allocates anything from Swift's heap.
//
// jemalloc is the process's malloc, and counts the bytes that each thread has ever allocated: Swift's objects and arrays
// and the keyspace's entries alike. In steady state the count must not move at all while a command is repeated, except
// by exactly the entries that the command itself makes.

import CJemalloc
import Engine
import RESP
import Tern
import Testing
import Transcript

/// Bytes that this thread has ever allocated.
private func allocatedByteCount() -> UInt64 {
  var count: UInt64 = 0
  var size = MemoryLayout<UInt64>.size
  mallctl("thread.allocated", &count, &size, nil, 0)
  return count
}

@Suite struct AllocationTests {
  /// Without optimisation Swift allocates for what is not specialised and for values that could stay on the stack.
  static var isOptimised: Bool {
    var isDebug = false
    // The condition of an assertion is evaluated in debug builds only.
    assert(
      {
        isDebug = true
        return true
      }())
    return !isDebug
  }

  /// What is repeated, and how many bytes of entries one repetition makes.
  static let steady: [(String, UInt64)] = [
    ("GET key:1", 0), ("GET none", 0), ("GET number", 0), ("SET key:1 0123456789", 0),
    ("SET number 17", 0), ("SET key:1 0123456789 XX", 0), ("SET key:1 0123456789 KEEPTTL", 0),
    ("SET key:1 0123456789 GET", 0), ("MGET {a}1 {a}2 {a}3 {a}none", 0),
    ("MSET {a}1 0123456789 {a}2 0123456789", 0), ("INCR number", 0), ("DECR number", 0),
    ("INCRBY number 1000", 0), ("DECRBY number 999", 0), ("APPEND tail x", 0), ("STRLEN key:1", 0),
    ("STRLEN number", 0), ("EXISTS key:1", 0), ("EXISTS {a}1 {a}2 {a}1", 0), ("TYPE key:1", 0),
    ("EXPIRE key:1 1000", 0), ("PEXPIRE key:1 100000", 0), ("EXPIRE key:1 1000 XX", 0),
    ("TTL key:1", 0), ("PTTL key:1", 0), ("PERSIST key:1", 0), ("PERSIST none", 0),
    ("OBJECT ENCODING key:1", 0), ("OBJECT ENCODING number", 0), ("DEL none", 0),
    ("UNLINK none", 0), ("PING", 0), ("PING hello", 0), ("ECHO hello", 0), ("ASKING", 0),
    // 8 + 5 + 10 bytes are of the class of 32.
    ("DEL {b}:1\nSET {b}:1 0123456789", 32), ("UNLINK {b}:1\nSET {b}:1 0123456789", 32),
  ]

  /// `tail` has room for all that is appended to it here: 332 to 373 bytes lie in the class of 384.
  private func shard() throws -> Talk {
    var talk = try Talk()
    talk.expect(
      """
      SET key:1 0123456789 => +OK
      SET number 1000000   => +OK
      MSET {a}1 0123456789 {a}2 0123456789 {a}3 0123456789 => +OK
      MSET {b}:1 0123456789 {b}:2 0123456789 => +OK
      SET tail \(String(repeating: "x", count: 320)) => +OK
      APPEND tail x        => :321
      """)
    return talk
  }

  /// Bytes allocated while requests are played so many times, after as many times to warm up.
  private func allocated(_ talk: inout Talk, _ bytes: [UInt8], times: Int) -> UInt64 {
    let bytes = bytes.span.bytes
    var before: UInt64 = 0
    for time in 0..<2 * times {
      if time == times { before = allocatedByteCount() }
      talk.shard.receive(bytes, from: talk.client)
      while true {
        let count = talk.shard.reply(to: talk.client).byteCount
        if count == 0 { break }
        talk.shard.replied(count, to: talk.client)
      }
    }
    return allocatedByteCount() - before
  }

  @Test(.enabled(if: isOptimised), arguments: steady)
  func commandsAllocateNothing(lines: String, entryByteCount: UInt64) throws {
    var talk = try shard()
    let bytes = lines.split(separator: "\n").flatMap { request(words(String($0))) }
    let alone = allocated(&talk, bytes, times: 4)
    #expect(alone == 4 * entryByteCount, "one request")
    let batch = Array((0..<16).map { _ in bytes }.joined())
    let together = allocated(&talk, batch, times: 1)
    #expect(together == 16 * entryByteCount, "a batch")
  }

  @Test(.enabled(if: isOptimised)) func typedAccessAllocatesNothing() throws {
    var talk = try shard()
    let keys = ["key:1", "none", "number"].map { Array($0.utf8) }
    let key = keys[0]
    let value = Array("0123456789".utf8)
    var before: UInt64 = 0
    for time in 0..<8 {
      if time == 4 { before = allocatedByteCount() }
      for key in keys { _ = talk.shard.get(key.span.bytes) { $0?.byteCount ?? -1 } }
      talk.shard.set(key.span.bytes, value.span.bytes)
    }
    let allocated = allocatedByteCount() - before
    #expect(allocated == 0)
  }

  /// The measure itself: it sees an array, and sees nothing where there is nothing.
  @Test(.enabled(if: isOptimised)) func theMeasureMeasures() {
    let before = allocatedByteCount()
    let between = allocatedByteCount()
    let array = [UInt8](repeating: 1, count: Int.random(in: 1000...1001))
    let after = allocatedByteCount()
    #expect(between == before)
    #expect(after - between >= 1000 && array.count >= 1000)
  }
}
