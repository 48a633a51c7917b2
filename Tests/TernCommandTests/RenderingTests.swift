import RESP
import Testing

@testable import TernCommand

/// A reply's map, as a server sends it.
func map(_ fields: [(String, Reply)]) -> Reply {
  .map(fields.map { Reply.Pair(text($0.0), $0.1) })
}

/// A bulk reply.
func text(_ text: String) -> Reply { .bulk(Array(text.utf8)) }

@Suite struct QuantityTests {
  @Test func countsAreGrouped() {
    let shown = [0, 7, 999, 1000, 16384, 1_234_567, -1000].map(Quantity.count)
    #expect(shown == ["0", "7", "999", "1,000", "16,384", "1,234,567", "-1,000"])
  }

  @Test func shortNumbersHaveAUnit() {
    let shown = [0, 999, 1000, 1234, 999_949, 999_950, 34_500_000].map(Quantity.short)
    #expect(shown == ["0", "999", "1.0k", "1.2k", "999.9k", "1.0M", "34.5M"])
    let bytes = [0, 1023, 1024, 1536, 1 << 20, 5 << 30].map(Quantity.bytes)
    #expect(bytes == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB"])
  }

  @Test func durationsHaveTwoUnitsAtMost() {
    let shown = [0, 999, 1000, 21_440, 3_210_000, 60_000_000, 125_000_000, 6_000_000_000]
      .map(Quantity.duration)
    #expect(
      shown == [
        "0 µs", "999 µs", "1.0 ms", "21.4 ms", "3.2 s", "1 min 0 s", "2 min 5 s", "1 h 40 min",
      ])
  }
}

@Suite struct JSONTests {
  private let value = JSON.object([
    .init("a", .integer(-3)), .init("b", .list([.number(0.5), .null, .text("x")])),
    .init("c", .list([])), .init("d", .object([])),
  ])

  @Test func onOneLine() {
    #expect(value.line == #"{"a": -3, "b": [0.5, null, "x"], "c": [], "d": {}}"#)
  }

  @Test func overSeveralLines() {
    #expect(
      value.pretty == """
        {
          "a": -3,
          "b": [
            0.5,
            null,
            "x"
          ],
          "c": [],
          "d": {}
        }
        """)
  }

  @Test func whatHasToBeEscapedIs() {
    #expect(
      JSON.text("\"\\\n\r\t\u{1}\u{7F} µ\u{1F426}").line
        == #""\"\\\n\r\t\u0001\u007f µ"# + "\u{1F426}\"")
    #expect(JSON.list([.number(.nan), .number(.infinity)]).line == "[null, null]")
  }
}

@Suite struct TableTests {
  @Test func columnsAreAsWideAsTheyNeedToBe() {
    var table = Table(.numbers("n"), .words("name"), .words("last"))
    table.rows = [["1", "a", "x"], ["1000", "longer", ""], ["2"]]
    #expect(
      table.text == """
           n  name    last
           1  a       x
        1000  longer
           2

        """)
  }
}

@Suite struct ProgressTests {
  @Test func theBarIsAlwaysOfOneWidth() {
    #expect(ProgressBar.bar(percent: 0) == "[....................]   0.0 %")
    #expect(ProgressBar.bar(percent: 41.04) == "[########............]  41.0 %")
    #expect(ProgressBar.bar(percent: 100) == "[####################] 100.0 %")
    for percent in [-1, 99.99, 101, 1e300, .nan, -.infinity] {
      #expect(ProgressBar.bar(percent: percent).count == 30, "\(percent)")
    }
  }

  @Test func aLineFitsAHundredColumns() {
    var job = ClusterStatus.Job()
    job.operation = "resize"
    job.state = "moving"
    (job.percent, job.slotsDone, job.slotsTotal) = (45.2, 3700, 8192)
    (job.keys, job.byteCount, job.rate, job.timeLeft) = (1_234_567, 65_000_000, 8012, 560)
    #expect(
      ProgressBar.line(job)
        == "resize [#########...........]  45.2 %  3700/8192 slots, 1.2M keys, 62.0 MiB, 8.0k slots/s, 560.0 ms left"
    )
    job.state = "paused"
    job.timeLeft = nil
    #expect(ProgressBar.line(job).hasSuffix("slots/s, paused"))
  }
}

@Suite struct StatusTests {
  static let reply = map([
    ("job", text(String(repeating: "a", count: 40))), ("operation", text("resize")),
    ("mode", text("handover")), ("state", text("success")), ("percent", text("100.0")),
    ("slots-done", .integer(8192)), ("slots-total", .integer(8192)),
    ("keys-done", .integer(1_000_000)), ("bytes-done", .integer(1 << 20)),
    ("slots-per-second", .integer(400_000)), ("time-left-ms", .integer(0)),
    ("duration-usec", .integer(21_400)), ("longest-pause-usec", .integer(85)),
    ("speed", .integer(0)), ("message", text("")),
    (
      "shards",
      .array([
        map([
          ("shard", .integer(1)), ("id", text("0123456789abcdef0123456789abcdef01234567")),
          ("address", text("127.0.0.1:7001")), ("status", text("available")),
          ("slots", .integer(8192)), ("keys", .integer(500_000)),
          ("memory-bytes", .integer(1 << 20)), ("ops-per-second", .integer(1234)),
        ]),
        map([
          ("shard", .integer(12)), ("id", text("fedcba9876543210fedcba9876543210fedcba98")),
          ("address", text("[::1]:7012")), ("status", text("modifying")),
          ("slots", .integer(8192)), ("keys", .integer(500_000)),
          ("memory-bytes", .integer(1 << 20)), ("ops-per-second", .integer(0)),
        ]),
      ])
    ),
  ])

  @Test func aStatusIsATable() throws {
    let status = try #require(ClusterStatus(Self.reply))
    #expect(
      status.text == """
        shard  id        address         status      slots       keys   memory  ops/s
            1  01234567  127.0.0.1:7001  available   8,192    500,000  1.0 MiB  1,234
           12  fedcba98  [::1]:7012      modifying   8,192    500,000  1.0 MiB      0
          all            2 shards                   16,384  1,000,000  2.0 MiB  1,234

        last job: resize (handover), success: 8,192 slots, 1,000,000 keys, 1.0 MiB in 21.4 ms, longest pause 85 µs

        """)
    #expect(status.shards.map { $0.endpoint?.host } == ["127.0.0.1", "::1"])
    #expect(status.json.line.contains(#""time_left_msec": 0, "duration_usec": 21400"#))
  }

  @Test func whatIsNoStatusIsRefused() {
    #expect(ClusterStatus(.null) == nil)
    #expect(ClusterStatus(map([])) == nil)
    let idle = ClusterStatus(map([("job", text("")), ("shards", .array([]))]))
    #expect(idle?.job == nil)
    #expect(idle?.text.contains("no job yet") == true)
  }

  @Test func shardsAreNamedByNumberOrID() throws {
    var shards = try #require(ClusterStatus(Self.reply)).shards
    func found(_ name: String) throws -> Int {
      try #require(ShardName(argument: name)).find(in: shards).number
    }
    #expect(try found("1") == 1)
    #expect(try found("12") == 12)
    #expect(try found("fedcba98") == 12)
    #expect(try found("0123456789abcdef0123456789abcdef01234567") == 1)
    #expect(throws: ClusterFailure.refused("there is no shard 2")) { try found("2") }
    for bad in ["", "0", "-1", "99999", "fedcba9", "FEDCBA98", "0123456x", " 1"] {
      #expect(ShardName(argument: bad) == nil, "\(bad)")
    }
    shards[1].id = shards[0].id
    #expect(throws: ClusterFailure.self) { try found("01234567") }
    shards[1].status = "deleting"
    #expect(try found("01234567") == 1)
  }
}
