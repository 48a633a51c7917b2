import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// A clock that goes on with every look by what was asked for.
private nonisolated(unsafe) var reading: UInt64 = 0
private nonisolated(unsafe) var step: UInt64 = 0
private let stepping = MonotonicClock {
  reading += step
  return reading
}

/// What is noted of commands that take long: slow log, latency events, histograms.
@Suite(.serialized) struct SlowCommandTests {
  private static func rig(_ change: (inout Settings) -> Void = { _ in }) throws -> Rig {
    step = 0
    var settings = Settings()
    change(&settings)
    return try Rig(local: [1], settings: settings, clock: stepping)
  }

  @Test func slowCommandsAreKept() throws {
    var rig = try Self.rig { $0.slowlogMaxLength = 3 }
    step = 9_999_000
    _ = rig.ask("SET", "fast", "v")
    step = 10_000_000
    _ = rig.ask("CLIENT", "SETNAME", "me")
    _ = rig.ask("ECHO", String(repeating: "x", count: 129))
    step = 0
    rig.expect(
      """
      SLOWLOG LEN    => :2
      SLOWLOG GET 1  => [[:1, :1000, :10000, ["ECHO", "\(String(repeating: "x", count: 128))... (1 more bytes)"], "", "me"]]
      """)
    step = 20_000_000
    for i in 0..<5 { _ = rig.ask("SET", "k\(i)", "v") }
    step = 0
    let all = rig.ask("SLOWLOG", "GET", "-1")
    #expect(all.contains("k4") && all.contains("k2") && !all.contains("k1"))
    rig.expect(
      """
      SLOWLOG LEN                     => :3
      SLOWLOG RESET                   => +OK
      SLOWLOG LEN                     => :0
      SLOWLOG GET                     => []
      CONFIG SET slowlog-max-len 1    => +OK
      SLOWLOG GET x                   => -ERR count should be greater than or equal to -1
      SLOWLOG GET -2                  => -ERR count should be greater than or equal to -1
      SLOWLOG GET 1 2                 => -ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.
      """)
    step = 20_000_000
    _ = rig.ask("MSET", "{a}1", "1")
    var many = ["EXISTS"]
    for i in 0..<40 { many.append("{a}\(i)") }
    _ = rig.answers(to: request(many.map { Array($0.utf8) }))
    step = 0
    let last = rig.ask("SLOWLOG", "GET")
    #expect(last.hasPrefix("[[:8, ") && last.contains(#""... (10 more arguments)""#))
    #expect(!last.contains("MSET"))
    // Commands of a transaction one by one, EXEC itself not.
    step = 20_000_000
    _ = rig.answers(to: request("MULTI") + request("GET", "inside") + request("EXEC"))
    step = 0
    #expect(rig.ask("SLOWLOG", "GET").contains("inside"))
    #expect(rig.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1") == "+OK")
    step = 1_000_000_000
    _ = rig.ask("GET", "k")
    step = 0
    #expect(rig.ask("SLOWLOG", "GET").contains("inside"))
  }

  @Test func eventsAreNoted() throws {
    var rig = try Self.rig { $0.latencyMonitorThreshold = 5 }
    #expect(rig.ask("LATENCY", "DOCTOR").hasPrefix("\"Nothing took 5 ms"))
    step = 4_999_000
    _ = rig.ask("GET", "k")
    step = 7_000_000
    _ = rig.ask("GET", "k")
    step = 5_000_000
    _ = rig.ask("GET", "k")
    step = 30_000_000
    _ = rig.ask("SET", "k", "v")
    rig.setTime(1_003_000)
    step = 6_000_000
    _ = rig.ask("GET", "k")
    step = 0
    rig.expect(
      """
      LATENCY LATEST                => [["fast-command", :1003, :6, :7], ["command", :1000, :30, :30]]
      LATENCY HISTORY fast-command  => [[:1000, :7], [:1003, :6]]
      LATENCY HISTORY nothing       => []
      LATENCY GRAPH nothing         => -ERR No samples available for event 'nothing'
      LATENCY RESET nothing         => :0
      LATENCY RESET command nothing => :1
      LATENCY LATEST                => [["fast-command", :1003, :6, :7]]
      """)
    let doctor = rig.ask("LATENCY", "DOCTOR")
    #expect(doctor.contains("fast-command: 2 latency spikes (average 7ms, mean deviation 1ms"))
    let graph = rig.ask("LATENCY", "GRAPH", "fast-command")
    #expect(
      graph.hasPrefix(
        #""fast-command - high 7 ms, low 6 ms (all time high 7 ms)\n-----"#))
    // To the byte what redis-server drew of the same samples.
    var samples = LatencySeries(event: "command")
    let drawn: [(second: Int64, milliseconds: UInt64)] = [
      (49, 11), (50, 30), (51, 60), (52, 100), (54, 20),
    ]
    for sample in drawn { samples.add(sample.milliseconds, at: sample.second) }
    let dashes = String(repeating: "-", count: 80)
    #expect(
      LatencyGraph(samples, at: 55).text
        == "command - high 100 ms, low 11 ms (all time high 100 ms)\n\(dashes)\n   # \n  _| \n  || \n_#||o\n     \n65431\nsssss\n"
    )
    #expect(graph.contains(#"\n# \n| \n| \n|_\n  \n30\nss\n""#))
    rig.expect(
      """
      LATENCY RESET    => :1
      LATENCY LATEST   => []
      """)
    var series = LatencySeries(event: "x")
    for second in 0..<400 { series.add(UInt64(second % 100), at: Int64(second)) }
    #expect(series.samples.count == LatencySeries.limit)
    #expect(series.samples.last?.second == 399 && series.longest == 99)
  }

  @Test func timesAreCounted() throws {
    var rig = try Self.rig()
    step = 1500
    for _ in 0..<3 { _ = rig.ask("GET", "k") }
    step = 100_000
    _ = rig.ask("GET", "k")
    step = 0
    #expect(
      rig.ask("LATENCY", "HISTOGRAM", "get", "nosuch")
        == #"["get", ["calls", :4, "histogram_usec", [:2, :3, :132, :4]]]"#)
    #expect(rig.ask("LATENCY", "HISTOGRAM", "client") == "[]")
    let info = rig.ask("INFO", "latencystats")
    #expect(info.contains("latency_percentiles_usec_get:p50=1.535,p99=102.399,p99.9=102.399"))
    // Not while it is off, and not after a reset.
    #expect(rig.ask("CONFIG", "SET", "latency-tracking", "no") == "+OK")
    _ = rig.ask("GET", "k")
    #expect(rig.ask("LATENCY", "HISTOGRAM", "get").contains(#""calls", :4"#))
    #expect(!rig.ask("INFO", "latencystats").contains("get"))
    #expect(rig.ask("CONFIG", "SET", "latency-tracking", "yes") == "+OK")
    #expect(rig.ask("CONFIG", "RESETSTAT") == "+OK")
    #expect(rig.ask("LATENCY", "HISTOGRAM", "get") == "[]")
    rig.expect(
      """
      CONFIG SET latency-tracking-info-percentiles "1 2.5 100"  => +OK
      CONFIG GET latency-tracking-info-percentiles             => ["latency-tracking-info-percentiles", "1 2.5 100"]
      CONFIG SET latency-tracking-info-percentiles 101         => -ERR CONFIG SET failed (possibly related to argument 'latency-tracking-info-percentiles') - latency-tracking-info-percentiles parameters should sit between [0.0,100.0]
      CONFIG SET latency-tracking-info-percentiles x           => -ERR CONFIG SET failed (possibly related to argument 'latency-tracking-info-percentiles') - Invalid latency-tracking-info-percentiles parameters
      """)
    #expect(CommandTable.all.count < 255)
  }

  /// Every duration lies in the place that ends where it says, off by at most a sixteenth.
  @Test func placesOfDurations() throws {
    var histograms = try Histograms()
    var durations: [UInt64] = Array(0...200)
    for power in 7..<31 { durations += [(1 << power) - 1, 1 << power, (1 << power) + 1] }
    durations.append(.max)
    for (i, duration) in durations.enumerated() {
      histograms.removeAll()
      histograms.record(duration, row: 254)
      let found = histograms.nanoseconds(row: 254, percentile: 50)
      let wanted = min(duration, (1 << 31) - 1)
      #expect(found >= wanted && found - wanted <= wanted / 16, "\(i): \(duration) \(found)")
      #expect(histograms.count(row: 254) == 1 && histograms.count(row: 253) == 0)
    }
  }
}
