import RESP
import Sharding
import Testing

@testable import TernCommand

@Suite struct MoveTests {
  private func range(_ first: UInt16, _ last: UInt16) -> SlotRange {
    SlotRange(HashSlot(first), HashSlot(last))
  }

  @Test func rangesAreRead() {
    #expect(Move.Ranges(argument: "0-99,200")?.ranges == [range(0, 99), range(200, 200)])
    #expect(Move.Ranges(argument: "16383")?.ranges == [range(16383, 16383)])
    for bad in ["", "-", "1-", "-1", "2-1", "16384", "0-16384", "1,", "1-2-3", "1,1", "5,0-9", "a"]
    {
      #expect(Move.Ranges(argument: bad) == nil, "\(bad)")
    }
  }

  /// 0-4 are a's, 5-9 are b's, the rest nobody's.
  private var ownership: SlotOwnership {
    func entry(_ first: Int64, _ last: Int64, _ owner: String) -> Reply {
      .array([
        .integer(first), .integer(last),
        .array([text("127.0.0.1"), .integer(7001), text(owner), map([])]),
      ])
    }
    return SlotOwnership(.array([entry(5, 9, "b"), entry(0, 4, "a"), .null]))
  }

  @Test func eachOwnerGivesItsOwn() throws {
    let parts = try MovePart.parts(of: [range(7, 8), range(2, 6)], to: "c", ownership)
    #expect(
      parts == [
        MovePart(source: "b", slots: [range(7, 8), range(5, 6)]),
        MovePart(source: "a", slots: [range(2, 4)]),
      ])
    #expect(
      try MovePart.parts(of: [range(0, 9)], to: "a", ownership) == [
        MovePart(source: "b", slots: [range(5, 9)])
      ])
    #expect(try MovePart.parts(of: [range(0, 4)], to: "a", ownership) == [])
    #expect(throws: ClusterFailure.refused("slot 10 belongs to nobody")) {
      try MovePart.parts(of: [range(9, 10)], to: "a", ownership)
    }
  }

  @Test func slotsAreListedByShard() throws {
    var shard = ClusterStatus.Shard()
    (shard.number, shard.id, shard.address) = (2, "b", "127.0.0.1:7002")
    let list = SlotList(ownership, [shard])
    #expect(
      list.text == """
        shard  id  address         slots  ranges
            2  b   127.0.0.1:7002      5  5-9

        16,374 slots of 16384 belong to nobody

        """)
    #expect(
      list.json.line
        == #"[{"shard": 2, "id": "b", "address": "127.0.0.1:7002", "slots": 5, "ranges": [[5, 9]]}]"#
    )
  }
}

@Suite struct WatchTests {
  private func event(
    _ id: Int64, _ kind: String, job: String, _ fields: [(String, String)]
  ) -> Reply {
    map(
      [("id", .integer(id)), ("time", .integer(0)), ("event", text(kind)), ("job", text(job))]
        + fields.map { ($0.0, text($0.1)) })
  }

  @Test func aJobIsFollowedToItsEnd() throws {
    let resize = [("operation", "resize"), ("shards", "8")]
    var watch = JobWatch()
    watch.want([("operation", "resize"), ("shards", "8")])
    watch.note([event(1, "migration-started", job: "x", [("operation", "move")])])
    watch.note([event(2, "migration-started", job: "a", resize)])
    #expect(watch.ends == nil)
    #expect(watch.wanted[0].job == "a")
    watch.note([
      event(3, "migration-finished", job: "b", resize),
      map([("id", .integer(4)), ("event", text("shard-created")), ("shard", text("5"))]),
      event(
        5, "migration-finished", job: "a",
        resize + [
          ("slots", "8192"), ("slots-total", "8192"), ("keys", "1"), ("bytes", "64"),
          ("flips", "16"), ("duration-usec", "21400"), ("longest-pause-nsec", "84200"),
        ]),
    ])
    let end = try #require(watch.ends?.first)
    #expect(end.outcome == .success)
    #expect(
      end.summary == "resize done in 21.4 ms: 8,192 slots, 1 key, 64 B, longest pause 85 µs")
    #expect(end.json.line.contains(#""outcome": "success""#))
  }

  /// The event of the beginning is gone already, because many others came after it.
  @Test func anEndAloneIsEnough() {
    var watch = JobWatch()
    watch.want([("operation", "resize"), ("shards", "8")])
    watch.note([
      event(
        300, "migration-failed", job: "a",
        [
          ("operation", "resize"), ("shards", "8"), ("slots", "10"), ("slots-total", "20"),
          ("duration-usec", "900"), ("reason", "no port"),
        ])
    ])
    #expect(
      watch.ends?.map(\.summary) == [
        "resize failed after 900 µs: no port; 10 slots of 20, which stay moved"
      ])
  }

  @Test func twoMovesAreToldApart() {
    func move(_ source: String) -> [(String, String)] {
      [("operation", "move"), ("source", source), ("target", "t")]
    }
    var watch = JobWatch()
    for source in ["a", "b"] {
      watch.want([("operation", "move"), ("source", source), ("target", "t")])
    }
    watch.note([
      event(1, "migration-finished", job: "2", move("b")),
      event(2, "migration-finished", job: "3", move("b")),
    ])
    #expect(watch.ends == nil)
    watch.note([event(3, "migration-cancelled", job: "1", move("a"))])
    #expect(watch.ends?.map(\.job) == ["1", "2"])
    #expect(watch.ends?.map(\.outcome) == [.cancelled, .success])
  }
}

@Suite struct EventTests {
  private let reply = map([
    ("id", .integer(12)), ("time", .integer(1_700_000_000_123)),
    ("event", text("migration-failed")),
    ("job", text("0123456789abcdef0123456789abcdef01234567")), ("slots", text("5")),
    ("longest-pause-nsec", text("84200")), ("reason", text("no memory")),
  ])

  @Test func anEventIsALine() throws {
    let event = try #require(EventLine(reply))
    #expect(
      event.text
        == #"2023-11-14T22:13:20.123Z  migration-failed       job=01234567 slots=5 longest-pause-nsec=84200 reason="no memory""#
    )
    #expect(
      event.json.line
        == #"{"id": 12, "time_msec": 1700000000123, "event": "migration-failed", "job": "0123456789abcdef0123456789abcdef01234567", "slots": 5, "longest_pause_nsec": 84200, "reason": "no memory"}"#
    )
    #expect(EventLine(.null) == nil)
  }
}

@Suite struct HotTests {
  private func entry(_ slot: Int64, cpu: Int64, keys: Int64) -> Reply {
    .array([
      .integer(slot),
      map([
        ("key-count", .integer(keys)), ("memory-bytes", .integer(2048)),
        ("cpu-usec", .integer(cpu)),
        ("network-bytes-in", .integer(1)), ("network-bytes-out", .integer(2)),
      ]),
    ])
  }

  @Test func theHottestOfAllShards() {
    var shard = ClusterStatus.Shard()
    shard.number = 1
    let entries = [
      entry(7, cpu: 5, keys: 1), entry(3, cpu: 5, keys: 9), entry(9, cpu: 8000, keys: 2),
    ]
    let slots = entries.compactMap { HotSlot($0, of: shard) }
    #expect(HotSlot.hottest(2, of: slots, by: .cpu).map(\.slot) == [9, 3])
    #expect(HotSlot.hottest(1, of: slots, by: .keys).map(\.slot) == [3])
    #expect(HotSlot(.null, of: shard) == nil)
    #expect(
      HotSlot.text(HotSlot.hottest(1, of: slots, by: .cpu)) == """
        slot  shard     cpu  keys   memory   in  out
           9      1  8.0 ms     2  2.0 KiB  1 B  2 B

        """)
  }
}

@Suite struct RebalanceTests {
  @Test func weightsAreRead() {
    #expect(Rebalance.Weight(argument: "2=1.5")?.weight == 1.5)
    #expect(Rebalance.Weight(argument: "fedcba98=0")?.shard == ShardName(argument: "fedcba98"))
    for bad in ["2", "2=", "=1", "2=-1", "2=nan", "2=inf", "2=1=1", "x=1"] {
      #expect(Rebalance.Weight(argument: bad) == nil, "\(bad)")
    }
  }

  @Test func aTrialTellsItsMoves() {
    var shards = [ClusterStatus.Shard(), ClusterStatus.Shard()]
    (shards[0].number, shards[0].id, shards[1].number, shards[1].id) = (1, "a", 2, "b")
    let trial = RebalanceTrial(
      map([
        ("slots", .integer(100)),
        (
          "moves",
          .array([
            map([
              ("source", text("a")), ("target", text("b")), ("slots", .integer(100)),
              ("ranges", text("0-98 200")),
            ])
          ])
        ), ("hot-slots", .array([.integer(7)])), ("load-spread-before-percent", text("80.0")),
        ("load-spread-after-percent", text("9.5")),
      ]), shards)
    #expect(
      trial.text == """
        from  to  slots  ranges
           1   2    100  0-98 200

        100 slots would move
        spread of loads: 80.0 % now, 9.5 % then
        hotter than a shard's share, so that loads cannot be made equal: slot 7

        """)
    #expect(RebalanceTrial(map([]), []).text == "no slot would have to move\n")
  }
}
