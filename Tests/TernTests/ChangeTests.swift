import Engine
import RESP
import Tern
import Testing
import Transcript

// What a shard records of its keys. That it is what redis-server tells is held by the rig of changes, for every command.

@Suite struct ChangeTests {
  /// A record's requests as lines of words.
  private func log(_ record: ChangeRecord) -> [String] {
    record.changes.map { change in
      let lines = String(decoding: change.request, as: UTF8.self).split(separator: "\r\n")
      return stride(from: 2, to: lines.count, by: 2).map { lines[$0] }.joined(separator: " ")
    }
  }

  private func events(_ record: ChangeRecord) -> [String] {
    record.events.map {
      "\(String(decoding: $0.channel, as: UTF8.self)) \(String(decoding: $0.message, as: UTF8.self))"
    }
  }

  private func talk(events: String = "EAmn") throws -> Talk {
    var settings = Settings()
    try settings.set("notify-keyspace-events", to: events)
    return try Talk(settings: settings)
  }

  @Test func commandsAreRecordedInTheirDeterministicForm() throws {
    var talk = try talk()
    talk.shard.setTime(milliseconds: 1_000_000)
    talk.shard.startRecord()
    talk.expect(
      """
      SET k v EX 10    => +OK
      GET none         => nil
      INCRBYFLOAT n 1.5 => "1.5"
      """)
    talk.shard.setTime(milliseconds: 1_010_000)
    talk.expect("SET k w => +OK")
    let taken = talk.shard.takeRecord()
    let record = try #require(taken)
    #expect(
      log(record) == [
        "SET k v PXAT 1010000", "SET n 1.5 KEEPTTL", "MULTI", "DEL k", "SET k w", "EXEC",
      ])
    #expect(
      events(record) == [
        "__keyevent@0__:new k", "__keyevent@0__:set k", "__keyevent@0__:expire k",
        "__keyevent@0__:keymiss none", "__keyevent@0__:new n", "__keyevent@0__:incrbyfloat n",
        "__keyevent@0__:expired k", "__keyevent@0__:new k", "__keyevent@0__:set k",
      ])
  }

  @Test func typedCallsAreRecorded() throws {
    var talk = try talk(events: "KA")
    talk.shard.setTime(milliseconds: 1_000_000)
    talk.shard.startRecord()
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    let (key, value) = (bytes("k"), bytes("v"))
    talk.shard.set(key.span.bytes, value.span.bytes)
    try talk.shard.set(key.span.bytes, value.span.bytes, expiringAfter: 500)
    try talk.shard.expire(key.span.bytes, after: 900)
    talk.shard.delete(key.span.bytes)
    try talk.shard.increment(key.span.bytes, by: 5)
    try talk.shard.expire(key.span.bytes, after: -1)
    let taken = talk.shard.takeRecord()
    let record = try #require(taken)
    #expect(
      log(record) == [
        "SET k v", "SET k v PXAT 1000500", "PEXPIREAT k 1000900", "DEL k", "INCRBY k 5", "DEL k",
      ])
    #expect(
      events(record)
        == ["set", "set", "expire", "expire", "del", "incrby", "del"].map {
          "__keyspace@0__:k \($0)"
        })
  }

  /// How many changes were taken; nil if nothing is recorded.
  private func takenCount(_ talk: inout Talk) -> Int? { talk.shard.takeRecord()?.changes.count }

  @Test func aRecordBeginsAndEnds() throws {
    var talk = try talk()
    var counts: [Int?] = []
    talk.expect("SET k v => +OK")
    counts.append(takenCount(&talk))
    talk.shard.startRecord()
    counts.append(takenCount(&talk))
    talk.expect("SET k v => +OK")
    counts.append(takenCount(&talk))
    counts.append(takenCount(&talk))
    talk.shard.stopRecord()
    talk.expect("SET k v => +OK")
    counts.append(takenCount(&talk))
    #expect(counts == [nil, 0, 1, 0, nil])
  }

  @Test func watchesWorkWithAndWithoutARecord() throws {
    var talk = try talk()
    for isRecorded in [false, true] {
      if isRecorded { talk.shard.startRecord() }
      talk.expect(
        """
        SET k v   => +OK
        WATCH k   => +OK
        SET k w   => +OK
        MULTI     => +OK
        SET k x   => +QUEUED
        EXEC      => nil
        GET k     => "w"
        """)
    }
  }

  @Test func aRecordIsBounded() throws {
    var talk = try talk()
    talk.shard.startRecord()
    let key = Array("k".utf8)
    let value = [UInt8](repeating: 120, count: 1 << 20)
    for count in [63, 64, 1] {
      for _ in 0..<count { talk.shard.set(key.span.bytes, value.span.bytes) }
      let taken = talk.shard.takeRecord()
      let record = try #require(taken)
      #expect(record.isOverrun == (count == 64))
      #expect(record.changes.count == (count == 64 ? 0 : count))
      if count == 64 { #expect(record.events.isEmpty) }
    }
  }
}
