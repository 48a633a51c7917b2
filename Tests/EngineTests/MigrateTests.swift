import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// MIGRATE up to what is handed to the thread that sends, and from its outcome on.
@Suite struct MigrateTests {
  let key = Tag.in(0..<5461)
  let other = Tag.in(0..<5461, skip: 1)
  let foreign = Tag.in(10923..<16384)
  var slot: Int { Tag.slot(of: key) }
  let target = ClientID(index: 1)

  /// Shards 1 and 2 of three are here, with a client each.
  private func rig() throws -> Rig {
    var rig = try Rig(map: .test(3), local: [1, 2])
    let second = try rig.connect(to: 1)
    #expect(second == target)
    return rig
  }

  /// Sends a line of which no answer is expected yet.
  private func send(_ line: String, _ rig: inout Rig, from client: ClientID? = nil) {
    let client = client ?? rig.client
    rig.send(request(words(line)), from: client)
    let replies = rig.shownReplies(to: client)
    #expect(replies == "", "\(line)")
  }

  /// What is to be sent; it must be one migration.
  private func sent(_ rig: inout Rig) throws -> PendingMigration {
    let all = rig.engine.takeMigrations()
    #expect(all.count == 1)
    return try #require(all.first)
  }

  /// The other server has answered.
  private func land(
    _ migration: PendingMigration, _ acknowledged: [Int], _ answer: MigrationOutcome.Answer,
    _ rig: inout Rig
  ) {
    rig.post(
      .migrated(
        MigrationOutcome(number: migration.number, acknowledged: acknowledged, answer: answer)))
    rig.engine.drainMailbox()
    _ = rig.housekeep()
  }

  @Test func argumentsAreChecked() throws {
    var rig = try rig()
    let e = "\"\""
    rig.expect(
      """
      SET \(key) v => +OK
      MIGRATE h 1 \(key) 0 => -ERR wrong number of arguments for 'migrate' command
      MIGRATE h 1 \(key) 0 x => -ERR value is not an integer or out of range
      MIGRATE h 1 \(key) x 0 => -ERR value is not an integer or out of range
      MIGRATE h 1 \(key) 0 0 FOO => -ERR syntax error
      MIGRATE h 1 \(key) 0 0 AUTH => -ERR syntax error
      MIGRATE h 1 \(key) 0 0 AUTH2 x => -ERR syntax error
      MIGRATE h 1 \(key) 0 0 KEYS \(key) => -ERR When using MIGRATE KEYS option, the key argument must be set to the empty string
      MIGRATE h 1 \(key)x 0 0 => +NOKEY
      MIGRATE h 1 \(e) 0 0 KEYS => +NOKEY
      MIGRATE h 1 \(e) 0 0 KEYS \(key) \(other) => -CROSSSLOT …
      MIGRATE h 1 \(foreign) 0 0 => -MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7003
      MIGRATE h 1 \(e) 0 0 FOO KEYS \(foreign) => -MOVED …
      COMMAND GETKEYS MIGRATE h 1 \(key) 0 0 COPY => ["\(key)"]
      COMMAND GETKEYS MIGRATE h 1 \(e) 0 0 AUTH KEYS KEYS a b => ["a", "b"]
      COMMAND GETKEYS MIGRATE h 1 a 0 0 KEYS b => -ERR Invalid arguments specified for command
      MULTI => +OK
      MIGRATE h 1 \(key) 0 0 => -ERR MIGRATE inside MULTI is not allowed
      EXEC => -EXECABORT …
      """)
    // A slot that is open is looked into whether or not its keys are here.
    rig.expect(
      """
      CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK
      MIGRATE h 1 \(key)x 0 0 => +NOKEY
      """)
    rig.expect(
      """
      MIGRATE h 1 \(key) 0 0 => -MOVED …
      CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1)) => +OK
      MIGRATE h 1 \(key) 0 0 => +NOKEY
      """, from: target)
  }

  @Test func whatIsSent() throws {
    var rig = try rig()
    rig.expect("SET \(key)1 v => +OK\nSET \(key)2 12 PX 5000 => +OK")
    send(
      "MIGRATE 10.0.0.9 7009 \"\" 3 250 REPLACE AUTH2 me secret KEYS \(key)1 \(key)none \(key)2",
      &rig)
    let migration = try sent(&rig)
    #expect(migration.host == "10.0.0.9" && migration.port == 7009)
    #expect(migration.milliseconds == 250 && migration.database == 3)
    #expect(migration.credentials == [Array("me".utf8), Array("secret".utf8)])
    #expect(migration.requestCount == 2)
    // What is sent is what another engine takes.
    var there = try Rig()
    let replies = shown(there.answers(to: migration.requests))
    #expect(replies == "+OK +OK")
    there.expect("GET \(key)1 => \"v\"\nGET \(key)2 => \"12\"\nPTTL \(key)2 => :5000")
    land(migration, [0, 1], .done, &rig)
    let answer = rig.shownReplies(to: rig.client)
    #expect(answer == "+OK")
    rig.expect("EXISTS \(key)1 \(key)2 => :0")
    let isClosed = rig.engine.openSlotBits == 0 && rig.engine.heldKeys.isEmpty
    #expect(isClosed)
    // Neither the monitors nor the slow log are shown the password.
    rig.expect("SET \(key)1 v => +OK\nCONFIG SET slowlog-log-slower-than 0 => +OK")
    send("MIGRATE h 1 \(key)1 0 0 COPY AUTH secret", &rig)
    land(try sent(&rig), [], .cannotConnect, &rig)
    _ = rig.shownReplies(to: rig.client)
    let log = rig.ask("SLOWLOG GET 10", from: rig.client)
    #expect(log.contains("(redacted)") && !log.contains("secret"))
  }

  /// Only what was acknowledged is removed; the answers are Redis's.
  @Test func outcomes() throws {
    let outcomes: [(MigrationOutcome.Answer, [Int], String)] = [
      (.done, [0, 1], "+OK"),
      (
        .refused(Array("BUSYKEY Target key name already exists.".utf8)), [1],
        "-ERR Target instance replied with error: BUSYKEY Target key name already exists."
      ),
      (.cannotConnect, [], "-IOERR error or timeout connecting to the client"),
      (.cannotWrite, [], "-IOERR error or timeout writing to target instance"),
      (.cannotRead, [0], "-IOERR error or timeout reading to target instance"),
    ]
    for isCopy in [false, true] {
      for (answer, acknowledged, wanted) in outcomes {
        var rig = try rig()
        rig.expect("SET \(key)0 a => +OK\nSET \(key)1 b => +OK")
        send("MIGRATE h 1 \"\" 0 0 \(isCopy ? "COPY " : "")KEYS \(key)0 \(key)1", &rig)
        land(try sent(&rig), acknowledged, answer, &rig)
        let reply = rig.shownReplies(to: rig.client)
        #expect(reply == wanted)
        for place in 0...1 {
          let isGone = !isCopy && acknowledged.contains(place)
          rig.expect("EXISTS \(key)\(place) => :\(isGone ? 0 : 1)")
        }
      }
    }
  }

  /// A key on its way is touched by nobody; whoever wants it waits, and is decided again.
  @Test func keysOnTheirWayAreHeld() throws {
    var rig = try rig()
    let asking = try rig.connect(to: 0)
    let queued = try rig.connect(to: 0)
    let moving = try rig.connect(to: 0)
    rig.expect(
      """
      SET \(key)1 v => +OK
      SET \(key)2 w => +OK
      CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK
      """)
    rig.expect("WATCH \(key)1 => +OK\nMULTI => +OK\nGET \(key)1 => +QUEUED", from: queued)
    send("MIGRATE h 1 \(key)1 0 0", &rig)
    let migration = try sent(&rig)
    for line in ["SET \(key)1 x", "GET \(key)1", "DEL \(key)2 \(key)1", "MGET \(key)2 \(key)1"] {
      let client = try rig.connect(to: 0)
      send(line, &rig, from: client)
      // In their order, and gone with their client.
      send("PING", &rig, from: client)
      if line.hasPrefix("GET") { rig.engine.disconnect(client) }
    }
    send("SET \(key)1 y", &rig, from: asking)
    send("EXEC", &rig, from: queued)
    send("MIGRATE h 1 \(key)1 0 0", &rig, from: moving)
    _ = rig.housekeep()
    // Others are not held up.
    let free = try rig.connect(to: 0)
    rig.expect("GET \(key)2 => \"w\"\nSET \(other) z => +OK\nDBSIZE => :3", from: free)
    // The same key in a table of the same worker is another one.
    rig.expect(
      """
      CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1)) => +OK
      ASKING => +OK
      SET \(key)1 there => +OK
      """, from: target)
    land(migration, [0], .done, &rig)
    let replies = rig.shownReplies(to: asking)
    #expect(replies == "-ASK \(slot) 10.0.0.1:7002")
    let exec = rig.shownReplies(to: queued)
    #expect(exec == "-ASK \(slot) 10.0.0.1:7002")
    let again = rig.shownReplies(to: moving)
    #expect(again == "+NOKEY")
    rig.expect("GET \(key)1 => -ASK …\nGET \(key)2 => \"w\"", from: free)
    rig.engine.keyspace.checkInvariants()
  }

  /// A watched key that has left was changed; one that stayed was not.
  @Test func watchedKeys() throws {
    for (acknowledged, wanted) in [([0], "nil"), ([], "[\"v\"]")] {
      var rig = try rig()
      let client = try rig.connect(to: 0)
      rig.expect("SET \(key) v => +OK")
      rig.expect("WATCH \(key) => +OK", from: client)
      send("MIGRATE h 1 \(key) 0 0", &rig)
      land(try sent(&rig), acknowledged, acknowledged.isEmpty ? .cannotRead : .done, &rig)
      rig.expect("MULTI => +OK\nGET \(key) => +QUEUED\nEXEC => \(wanted)", from: client)
    }
  }

  /// What was asked for after ASKING is still so when it has waited.
  @Test func askingOutlastsTheWait() throws {
    var rig = try rig()
    let client = try rig.connect(to: 1)
    rig.expect(
      """
      CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1)) => +OK
      ASKING => +OK
      SET \(key) v => +OK
      """, from: target)
    send("MIGRATE h 1 \(key) 0 0", &rig, from: target)
    let migration = try sent(&rig)
    rig.expect("ASKING => +OK", from: client)
    send("GET \(key)", &rig, from: client)
    // The slot comes while its key is on its way.
    _ = rig.engine.letGo(slot: HashSlot(UInt16(slot)), of: 0)
    rig.engine.adoptOpen(slot: HashSlot(UInt16(slot)), by: 1)
    _ = rig.housekeep()
    let waiting = rig.shownReplies(to: client)
    #expect(waiting == "")
    land(migration, [0], .done, &rig)
    let replies = rig.shownReplies(to: client)
    #expect(replies == "nil")
    // Where the import goes on, ASKING holds.
    rig.expect("ASKING => +OK\nGET \(key) => nil", from: client)
  }

  /// The client may be gone when the answer comes; its keys are not forgotten.
  @Test func clientsThatLeave() throws {
    var rig = try rig()
    let client = try rig.connect(to: 0)
    rig.expect("SET \(key) v => +OK")
    send("MIGRATE h 1 \(key) 0 0", &rig, from: client)
    let migration = try sent(&rig)
    rig.engine.disconnect(client)
    land(migration, [0], .done, &rig)
    land(migration, [0], .done, &rig)
    rig.expect("GET \(key) => nil")
  }

  /// FLUSHALL comes after the copy on its way, and an outcome finds nothing to remove.
  @Test func flushedMeanwhile() throws {
    var rig = try rig()
    let client = try rig.connect(to: 0)
    rig.expect("SET \(key) v => +OK")
    send("MIGRATE h 1 \(key) 0 0", &rig, from: client)
    let migration = try sent(&rig)
    rig.expect("FLUSHALL => +OK")
    land(migration, [0], .done, &rig)
    let reply = rig.shownReplies(to: client)
    #expect(reply == "+OK")
    rig.engine.keyspace.checkInvariants()
  }
}
