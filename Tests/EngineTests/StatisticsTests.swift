import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// A clock that goes on by a microsecond with every look.
private nonisolated(unsafe) var ticks: UInt64 = 0
private let ticking = MonotonicClock {
  ticks += 1000
  return ticks
}

@Suite(.serialized) struct StatisticsTests {
  /// What is counted by command, by slot, by session and in all is the same.
  @Test func everythingAddsUp() throws {
    var rig = try Rig(map: .test(2), local: [1], clock: ticking)
    var draw = Numbers(seed: 7)
    var calls: UInt64 = 0
    var keyed = (bytesIn: UInt64(0), bytesOut: UInt64(0), calls: UInt64(0))
    var all = (bytesIn: UInt64(0), bytesOut: UInt64(0))
    var rejected: UInt64 = 0
    var failed: UInt64 = 0
    for _ in 0..<300 {
      var batch: [UInt8] = []
      var replies: UInt64 = 0
      let tag = Tag.in(0..<8192, skip: draw.below(5))
      let lines: [(String, isKeyed: Bool, reply: String, fails: Bool, isRejected: Bool)] = [
        ("SET \(tag) v", true, "+OK", false, false), ("PING", false, "+PONG", false, false),
        ("STRLEN \(tag)none", true, ":0", false, false),
        (
          "SET \(tag) v EX x", true, "-ERR value is not an integer or out of range", true, false
        ), ("NOPE", false, "-ERR unknown command 'NOPE', with args beginning with: ", false, false),
        ("GET", false, "-ERR wrong number of arguments for 'get' command", false, true),
      ]
      for _ in 0...draw.below(20) {
        let (line, isKeyed, text, fails, isRejected) = lines[draw.below(lines.count)]
        let reply = text.utf8.count + 2
        let bytes = request(words(line))
        batch += bytes
        replies += UInt64(reply)
        all.bytesIn += UInt64(bytes.count)
        all.bytesOut += UInt64(reply)
        rejected += isRejected ? 1 : 0
        failed += fails ? 1 : 0
        if !isRejected, line != "NOPE" { calls += 1 }
        guard isKeyed else { continue }
        keyed.calls += 1
        keyed.bytesIn += UInt64(bytes.count)
        keyed.bytesOut += UInt64(reply)
      }
      let got = rig.answers(to: batch)
      #expect(got.count == replies, "\(shown(got))")
    }
    let statistics = rig.engine.statistics
    let commands = CommandTable.all.indices.map { statistics.commands[$0] }
    #expect(commands.map(\.calls).reduce(0, +) == calls)
    #expect(statistics.commandCount == calls)
    #expect(commands.map(\.rejected).reduce(0, +) == rejected)
    #expect(commands.map(\.failed).reduce(0, +) == failed)
    #expect(commands.map(\.nanoseconds).reduce(0, +) == calls * 1000)
    #expect(statistics.bytesIn == all.bytesIn)
    #expect(statistics.bytesOut == all.bytesOut)
    var slots = SlotStatistics()
    for slot in 0..<HashSlot.count {
      let charged = rig.engine.keyspace.statistics(of: slot)
      slots.cpuNanoseconds += charged.cpuNanoseconds
      slots.networkBytesIn += charged.networkBytesIn
      slots.networkBytesOut += charged.networkBytesOut
    }
    #expect(slots.cpuNanoseconds == keyed.calls * 1000)
    #expect(slots.networkBytesIn == keyed.bytesIn)
    #expect(slots.networkBytesOut == keyed.bytesOut)
    let ping = statistics.commands[Int(CommandID.ping.rawValue)]
    #expect(ping.rejected == 0, "an unknown command is no PING")
    _ = rig.ask("CONFIG RESETSTAT", from: rig.client)
    let after = rig.engine.statistics
    #expect(CommandTable.all.indices.allSatisfy { after.commands[$0].calls <= 1 })
  }

  /// The time of a turn goes on with the clock within it.
  @Test func timeWithinATurn() throws {
    var rig = try Rig(clock: ticking)
    let first = rig.ask("TIME", from: rig.client)
    let second = rig.ask("TIME", from: rig.client)
    #expect(first == #"["1000", "0"]"#)
    #expect(second == #"["1000", "1"]"#)
  }

  @Test func commandsPerSecond() throws {
    var rig = try Rig()
    rig.engine.tick()
    for _ in 0..<500 { _ = rig.ask("PING", from: rig.client) }
    rig.setTime(1_002_000)
    rig.engine.tick()
    let info = rig.ask("INFO stats", from: rig.client)
    #expect(info.contains("instantaneous_ops_per_sec:250"))
  }
}
