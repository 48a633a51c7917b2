import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

extension Rig {
  fileprivate func expectWatches(
    _ count: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let found = [engine.watches.count, engine.listeners]
    #expect(found == [count, count], sourceLocation: sourceLocation)
  }

  fileprivate func expectOutput(
    _ isThere: Bool, of client: ClientID, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let found = engine.hasOutput(client)
    #expect(found == isThere, sourceLocation: sourceLocation)
  }

  fileprivate mutating func expectReplies(
    _ wanted: String, to client: ClientID, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let found = shownReplies(to: client)
    #expect(found == wanted, sourceLocation: sourceLocation)
  }

  fileprivate func expectNoTransaction(
    of client: ClientID, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let isNone = engine.sessions[client.index].transaction == nil
    let mode = engine.sessions[client.index].mode.rawValue
    #expect(isNone && mode == 0, sourceLocation: sourceLocation)
  }
}

/// MULTI, EXEC and WATCH: what clients see, what is left behind, and what slots on the move do to them.
@Suite struct TransactionTests {
  let foreign = Tag.in(8192..<16384)
  let local = Tag.in(0..<8192)

  @Test func oneAfterTheOther() throws {
    var rig = try Rig()
    rig.expect(
      """
      MULTI               => +OK
      SET k 1             => +QUEUED
      INCR k              => +QUEUED
      INCRBY k x          => +QUEUED
      GET k               => +QUEUED
      PING                => +QUEUED
      EXEC                => [+OK, :2, -ERR value is not an integer or out of range, "2", +PONG]
      EXEC                => -ERR EXEC without MULTI
      DISCARD             => -ERR DISCARD without MULTI
      MULTI               => +OK
      EXEC                => []
      MULTI               => +OK
      SET k 9             => +QUEUED
      DISCARD             => +OK
      GET k               => "2"
      MULTI               => +OK
      SET k 9             => +QUEUED
      RESET               => +RESET
      EXEC                => -ERR EXEC without MULTI
      """)
    rig.expectWatches(0)
    let incr = rig.engine.statistics.commands[Int(CommandID.incr.rawValue)]
    #expect(incr.calls == 1 && incr.rejected == 0)
    let exec = rig.engine.statistics.commands[Int(CommandID.exec.rawValue)]
    #expect(exec.calls == 4 && exec.failed == 2)
  }

  @Test func whatIsRefusedFailsExec() throws {
    var rig = try Rig()
    let abort = "-EXECABORT Transaction discarded because of previous errors."
    for refused in ["NOSUCH", "GET", "OBJECT NOSUCH k", "SHUTDOWN", "DISCARD x", "MGET a b"] {
      rig.expect("MULTI => +OK\nSET k 1 => +QUEUED\n\(refused) => -…")
      rig.expect("SET k 2 => +QUEUED\nEXEC => \(abort)\nGET k => nil")
    }
    // These answer an error, and that is all.
    rig.expect(
      """
      MULTI   => +OK
      MULTI   => -ERR MULTI calls can not be nested
      WATCH k => -ERR WATCH inside MULTI is not allowed
      SET k 1 => +QUEUED
      EXEC    => [+OK]
      MULTI   => +OK
      EXEC x  => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
      EXEC    => -ERR EXEC without MULTI
      MULTI   => +OK
      SET a 1 => +QUEUED
      SET b 1 => +QUEUED
      EXEC    => -CROSSSLOT Keys in request don't hash to the same slot
      EXEC    => -ERR EXEC without MULTI
      """)
  }

  @Test func memory() throws {
    var rig = try Rig()
    let other = try rig.connect(to: 0)
    rig.expect("SET k v => +OK\nMULTI => +OK\nSET k w => +QUEUED")
    rig.expect("CONFIG SET maxmemory 1 => +OK", from: other)
    let refusal = "OOM command not allowed when used memory > 'maxmemory'."
    rig.expect("EXEC => -EXECABORT Transaction discarded because of: \(refusal)")
    rig.expect("MULTI => +OK\nGET k => -\(refusal)\nDISCARD => +OK\nGET k => \"v\"")
    rig.expect("CONFIG SET maxmemory 0 => +OK", from: other)
    rig.expect("MULTI => +OK\nGET k => +QUEUED")
    rig.expect("CONFIG SET maxmemory 1 => +OK", from: other)
    rig.expect("EXEC => [\"v\"]")
  }

  /// Every way a key can change, or not, between WATCH and EXEC.
  @Test func conflicts() throws {
    var rig = try Rig()
    let client = rig.client
    let other = try rig.connect(to: 0)
    let changes = [
      "SET k v": true, "SET k v XX": true, "SET k v NX": false, "SET {k}other v": false,
      "DEL k": true, "DEL {k}absent": false, "DEL {k}absent k": true, "APPEND k v": true,
      "EXPIRE k 100": true, "PERSIST k": false, "PEXPIRE k -1": true, "MSET {k}2 v k v": true,
      "FLUSHALL": true, "FLUSHDB": true, "GET k": false, "INCR k": false,
    ]
    for (change, isConflict) in changes.sorted(by: { $0.key < $1.key }) {
      rig.expect("SET k v => +OK\nWATCH k {k}absent => +OK")
      _ = rig.ask(change, from: other)
      rig.expect("MULTI => +OK\nPING => +QUEUED")
      rig.expect("EXEC => \(isConflict ? "nil" : "[+PONG]")", from: client)
      rig.expectWatches(0)
    }
    // What was absent and is absent has not changed.
    for (change, isConflict) in [
      ("DEL a", false), ("DEL {a}b a", false), ("FLUSHALL", false), ("SET a 1", true),
    ] {
      rig.expect("FLUSHALL => +OK\nSET {a}b v => +OK\nWATCH a => +OK")
      _ = rig.ask(change, from: other)
      rig.expect("MULTI => +OK\nPING => +QUEUED")
      rig.expect("EXEC => \(isConflict ? "nil" : "[+PONG]")", from: client)
    }
    // The client's own changes count, and those before UNWATCH don't.
    rig.expect(
      """
      WATCH k => +OK
      SET k 1 => +OK
      MULTI   => +OK
      EXEC    => nil
      WATCH k => +OK
      SET k 1 => +OK
      UNWATCH => +OK
      MULTI   => +OK
      EXEC    => []
      HELLO 3 => …
      WATCH k => +OK
      SET k 1 => +OK
      MULTI   => +OK
      EXEC    => nil
      """)
    rig.expectWatches(0)
  }

  @Test func expiry() throws {
    var rig = try Rig()
    let other = try rig.connect(to: 0)
    // Nobody looks; somebody does; the sweep does.
    for look in ["", "GET k", "!"] {
      rig.setTime(1000)
      rig.expect("SET k v PX 10 => +OK\nWATCH k => +OK")
      rig.setTime(1010)
      if look == "!" {
        rig.engine.tick()
        while rig.housekeep() {}
        let left = rig.engine.keyCount
        #expect(left == 0)
      } else if !look.isEmpty {
        rig.expect("\(look) => nil", from: other)
      }
      rig.expect("MULTI => +OK\nPING => +QUEUED\nEXEC => nil")
    }
    // What had expired at WATCH is absent.
    rig.setTime(1000)
    rig.expect("SET k v PX 10 => +OK")
    rig.setTime(1010)
    rig.expect("WATCH k => +OK\nDEL k => :0\nMULTI => +OK\nPING => +QUEUED\nEXEC => [+PONG]")
    rig.expectWatches(0)
  }

  @Test func manyWatchersOfManyKeys() throws {
    var rig = try Rig()
    var clients: [ClientID] = []
    for _ in 0..<20 { clients.append(try rig.connect(to: 0)) }
    for (i, client) in clients.enumerated() {
      let keys = (0..<20).filter { $0 % (i + 1) == 0 }.map { "{t}\($0)" }
      rig.expect("WATCH \(keys.joined(separator: " ")) => +OK", from: client)
      rig.expect("WATCH {t}0 => +OK", from: client)
    }
    let expected = (1...20).map { (19 / $0) + 1 }.reduce(0, +)
    rig.expectWatches(expected)
    // One leaves, one is reset; a change tells those that watch, and nobody else.
    rig.engine.disconnect(clients[3])
    rig.expect("RESET => +RESET", from: clients[4])
    rig.expect("SET {t}6 v => +OK")
    for (i, client) in clients.enumerated() where i != 3 {
      rig.expect("MULTI => +OK", from: client)
      rig.expect("EXEC => \(6 % (i + 1) == 0 && i != 4 ? "nil" : "[]")", from: client)
    }
    rig.expectWatches(0)
  }

  /// The library's own way to write has watchers too.
  @Test func typedWrites() throws {
    var rig = try Rig()
    rig.expect("WATCH k => +OK")
    try rig.engine.typedSet(Array("k".utf8).span.bytes, Array("v".utf8).span.bytes)
    rig.expect("MULTI => +OK\nEXEC => nil")
  }

  @Test func clientInfo() throws {
    var rig = try Rig()
    func field(_ line: String, _ name: String) -> String? {
      line.split(separator: " ").first { $0.hasPrefix(name + "=") }.map(String.init)
    }
    rig.expect("WATCH k => +OK\nSET k v => +OK")
    let outside = rig.ask("CLIENT INFO", from: rig.client)
    #expect(field(outside, "flags") == "flags=d")
    rig.expect("UNWATCH => +OK\nREADONLY => +OK\nMULTI => +OK\nPING => +QUEUED")
    rig.expect("CLIENT INFO => +QUEUED")
    let info = rig.ask("EXEC", from: rig.client)
    #expect(field(info, "flags") == "flags=xr")
    #expect(field(info, "multi") == "multi=2")
    #expect(field(info, "cmd") == "cmd=exec")
  }

  @Test func idleSessionsOwnNothing() throws {
    #expect(MemoryLayout<Session>.size <= 512)
    var rig = try Rig()
    let index = rig.client.index
    for end in ["EXEC", "DISCARD", "RESET", "EXEC x"] {
      rig.expect("WATCH k => +OK\nMULTI => +OK")
      let isThere = rig.engine.sessions[index].transaction != nil
      #expect(isThere)
      _ = rig.ask(end, from: rig.client)
      rig.expectNoTransaction(of: rig.client)
    }
    rig.expect("WATCH k => +OK\nUNWATCH => +OK")
    rig.expectNoTransaction(of: rig.client)
  }

  /// A queue is bounded by client-query-buffer-limit, what takes little on the wire too.
  @Test func limits() throws {
    var settings = Settings()
    settings.clientQueryBufferLimit = 1 << 20
    var rig = try Rig(settings: settings)
    rig.expect("MULTI => +OK")
    var sent = 0
    while sent < 100_000, !rig.engine.sessions[rig.client.index].mode.contains(.closing) {
      rig.send(request("PING"), from: rig.client)
      _ = rig.replies(to: rig.client)
      sent += 1
    }
    let each = 4 + MemoryLayout<ArgumentRange>.stride + MemoryLayout<QueuedRequest>.stride
    #expect(sent == (1 << 20) / each + 1)
    let watcher = try rig.connect(to: 0)
    let key = String(repeating: "k", count: 500)
    var watched = 0
    while watched < 100_000, rig.ask("WATCH {t}\(key)\(watched)", from: watcher) == "+OK" {
      watched += 1
    }
    #expect(watched > 1000 && watched < 2100)
    rig.engine.disconnect(watcher)
    rig.expectWatches(0)
  }

  /// Bulks that were received into their own allocation wait in the queue as they are.
  @Test func largeArguments() throws {
    var rig = try Rig()
    let value = [UInt8](repeating: 120, count: 100_000)
    let bytes = request([Array("SET".utf8), Array("k".utf8), value])
    rig.expect("MULTI => +OK\nSET k small => +QUEUED")
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + 10_000)
      rig.send(Array(bytes[offset..<end]), from: rig.client)
      offset = end
    }
    rig.expectReplies("+QUEUED", to: rig.client)
    rig.expect("STRLEN k => +QUEUED\nEXEC => [+OK, +OK, :100000]\nSTRLEN k => :100000")
  }

  /// The reply of an EXEC that changed settings leaves when they are in force everywhere, and nothing behind it runs before.
  @Test func controlRequests() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let client = rig.client
    rig.send(
      request("MULTI") + request("CONFIG", "SET", "hz", "33") + request("CONFIG", "GET", "hz")
        + request("CONFIG", "SET", "hz", "x") + request("CONFIG", "SET", "timeout", "9")
        + request("CONFIG", "RESETSTAT"), from: client)
    rig.expectReplies("+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED", to: client)
    rig.send(request("EXEC") + request("PING", "behind"), from: client)
    rig.expectOutput(false, of: client)
    let pending = rig.engine.takeControlRequests()
    #expect(pending.count == 2)
    for (number, one) in pending.enumerated() {
      rig.post(.control(one.request, number: UInt64(number + 1)))
      rig.post(.completed(one))
      rig.expectOutput(false, of: client)
      rig.engine.drainMailbox()
    }
    rig.expectOutput(true, of: client)
    let replies = rig.shownReplies(to: client)
    #expect(replies.hasPrefix(#"[+OK, ["hz", "33"], -ERR CONFIG SET failed"#))
    #expect(replies.hasSuffix(#", +OK, +OK] "behind""#))
    rig.expect("CONFIG GET hz => [\"hz\", \"33\"]")
    rig.expectNoTransaction(of: client)
  }

  @Test func redirections() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let slot = Tag.slot(of: foreign)
    rig.expect(
      """
      MULTI => +OK
      SET \(local) 1 => +QUEUED
      SET \(foreign) 1 => -MOVED \(slot) 10.0.0.1:7002
      EXEC => -EXECABORT Transaction discarded because of previous errors.
      WATCH \(foreign) => -MOVED \(slot) 10.0.0.1:7002
      """)
    // Queued, then the slot leaves: EXEC is redirected whole, and the transaction has ended.
    let mine = Tag.slot(of: local)
    rig.expect("MULTI => +OK\nSET \(local) 1 => +QUEUED")
    rig.engine.openSlots = [OpenSlot(shard: 0, slot: mine, state: .elsewhere)]
    rig.engine.openSlotBits = 1 << 30
    rig.expect("EXEC => -MOVED \(mine) …")
    rig.engine.openSlots = []
    rig.engine.openSlotBits = 0
    rig.expect("GET \(local) => nil\nEXEC => -ERR EXEC without MULTI")
  }

  /// It would take elements out of EXEC's array.
  @Test func noQuietInside() throws {
    for word in ["OFF", "ON", "SKIP"] {
      var rig = try Rig()
      rig.expect(
        "MULTI => +OK\nPING a => +QUEUED\nCLIENT REPLY \(word) => -ERR Command not allowed inside a transaction\nEXEC => -EXECABORT …\nPING d => \"d\""
      )
    }
  }

  @Test func slotsThatLeave() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let another = Tag.in(0..<8192, skip: 1)
    let other = try rig.connect(to: 0)
    rig.expect("WATCH \(local) => +OK")
    rig.expect("WATCH \(another) => +OK", from: other)
    rig.engine.slotsLeft(0, Two.slots(of: local))
    // It is back at once: too late.
    rig.expect("MULTI => +OK\nSET \(local) 1 => +QUEUED\nEXEC => nil\nMULTI => +OK\nEXEC => []")
    rig.expect("MULTI => +OK\nPING => +QUEUED\nEXEC => [+PONG]", from: other)
    rig.expectWatches(0)
  }

  /// ASKING before MULTI is for all of it; EXEC decides by the keys of all its commands together.
  @Test func asking() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let slot = Tag.slot(of: foreign)
    let moved = "-MOVED \(slot) 10.0.0.1:7002"
    rig.engine.openSlots = [OpenSlot(shard: 0, slot: slot, state: .importingByPresence)]
    rig.engine.openSlotBits = 1 << 30
    rig.expect(
      """
      MULTI => +OK
      SET \(foreign) 1 => \(moved)
      DISCARD => +OK
      ASKING => +OK
      MULTI => +OK
      GET \(foreign) => +QUEUED
      GET \(foreign) => +QUEUED
      GET \(foreign)2 => +QUEUED
      EXEC => -TRYAGAIN …
      GET \(foreign) => \(moved)
      ASKING => +OK
      MULTI => +OK
      GET \(foreign) => +QUEUED
      DISCARD => +OK
      GET \(foreign) => \(moved)
      MULTI => +OK
      ASKING => +QUEUED
      EXEC => [+OK]
      GET \(foreign) => \(moved)
      """)
  }

  @Test func askWhileMigrating() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let slot = Tag.slot(of: local)
    rig.expect("SET \(local)1 v => +OK\nMULTI => +OK")
    rig.expect("GET \(local)1 => +QUEUED\nSET \(local)2 v => +QUEUED")
    rig.engine.openSlots = [OpenSlot(shard: 0, slot: slot, state: .migrating(to: .test(2)))]
    rig.engine.openSlotBits = 1 << 30
    rig.expect(
      """
      EXEC => -TRYAGAIN …
      MULTI => +OK
      GET \(local)1 => +QUEUED
      GET \(local)2 => -ASK \(slot) 10.0.0.1:7002
      EXEC => -EXECABORT …
      MULTI => +OK
      GET \(local)1 => +QUEUED
      GET \(local)1 => +QUEUED
      EXEC => ["v", "v"]
      """)
  }
}
