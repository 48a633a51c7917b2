import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

private let tag = Two.keys[0]

/// Clients that are told when what they have read is not any more what it was, and what that meets.
@Suite struct TrackingTests {

  /// What has come for a client that speaks RESP3, as text.
  private static func told(_ client: ClientID, _ rig: inout Rig) -> String {
    String(decoding: rig.replies(to: client), as: UTF8.self)
      .replacing("\r\n", with: " ").trimmingCharacters()
  }

  private static func push(_ keys: String...) -> String {
    let names = keys.map { "$\($0.utf8.count) \($0)" }.joined(separator: " ")
    return ">2 $10 invalidate *\(keys.count) \(names)"
  }

  private static func ask(_ line: String, _ rig: inout Rig) -> String {
    rig.send(request(words(line)), from: rig.client)
    return rig.shownReplies(to: rig.client)
  }

  private static let forgetAll = ">2 $10 invalidate _"

  /// A client of the first worker's shard 1 that tracks.
  private static func tracker(_ rig: inout Rig, _ options: String = "") throws -> ClientID {
    let client = try rig.connect(to: 0)
    for line in ["HELLO 3", "CLIENT TRACKING ON \(options)"] {
      rig.send(request(words(line)), from: client)
    }
    _ = rig.replies(to: client)
    return client
  }

  private static func read(_ key: String, _ client: ClientID, _ rig: inout Rig, optIn: Bool = false)
  {
    if optIn { rig.send(request(words("CLIENT CACHING YES")), from: client) }
    rig.send(request(words("GET \(key)")), from: client)
    _ = rig.replies(to: client)
  }

  // MARK: slots that move

  @Test(arguments: ["", "OPTIN", "OPTOUT", "NOLOOP"]) func handOver(options: String) throws {
    var two = try Two()
    let client = try Self.tracker(&two.first, options)
    #expect(two.ask("SET \(tag)there 1") == "+OK")
    for key in ["\(tag)there", "\(tag)absent"] {
      Self.read(key, client, &two.first, optIn: options == "OPTIN")
    }
    try two.give(Two.slots(of: tag))
    let told = Self.told(client, &two.first)
    #expect(
      told == Self.push("\(tag)there", "\(tag)absent")
        || told == Self.push("\(tag)absent", "\(tag)there"))
    #expect(two.first.engine.tracking.keyCount == 0)
    // It comes back: nothing is remembered of before.
    two.settle()
    try two.giveBack(Two.slots(of: tag))
    two.settle()
    #expect(two.ask("SET \(tag)there 2") == "+OK")
    #expect(Self.told(client, &two.first) == "")
  }

  @Test func otherSlotsAreLeftAlone() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    let other = Tag.in(0..<4096, skip: 1)
    Self.read(other, client, &two.first)
    try two.give(Two.slots(of: tag))
    #expect(Self.told(client, &two.first) == "")
    #expect(two.ask("SET \(other) 1") == "+OK")
    #expect(Self.told(client, &two.first) == Self.push(other))
  }

  @Test func prefixesAreToldToForgetAll() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first, "BCAST PREFIX user:")
    try two.give(Two.slots(of: tag))
    #expect(Self.told(client, &two.first) == Self.forgetAll)
  }

  /// Hands the slot over from shard 1 to shard 3, which is on the same worker.
  private static func giveWithin(_ two: inout Two, mustBeEmpty: Bool = false) throws {
    let slots = Two.slots(of: tag)
    let memory = try #require(SlotTableMemory(capacity: 1))
    let outcome = two.first.engine.handOver(
      HandOver(
        flip: 1, slots: slots, source: 0, target: 1, targetID: .test(3),
        mailbox: two.first.engine.mailbox,
        map: two.board.current.map.assigning(slots, to: .test(3)), memory: memory,
        mustBeEmpty: mustBeEmpty))
    #expect(outcome == .done)
  }

  /// Between two shards of one worker: the clients of one of them have read.
  @Test func anotherShardOfTheWorker() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    Self.read(tag, client, &two.first)
    try Self.giveWithin(&two)
    #expect(Self.told(client, &two.first) == Self.push(tag))
    #expect(two.ask("SET \(tag) 2") == "+OK")
    #expect(Self.told(client, &two.first) == "")
  }

  /// Moved key by key from outside: names that were read while absent are told when the slot goes.
  @Test func keyByKey() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    Self.read("\(tag)absent", client, &two.first)
    let slot = Tag.slot(of: tag)
    let (source, target) = (two.first.client, two.second.client)
    _ = two.second.ask("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1))", from: target)
    _ = two.first.ask("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2))", from: source)
    try two.give(Two.slots(of: tag), mustBeEmpty: true)
    #expect(Self.told(client, &two.first) == Self.push("\(tag)absent"))
  }

  /// Along a cursor: with the first slice, and what was read behind it with a later one.
  @Test func alongACursor() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    for number in 0..<200 { _ = two.ask("SET \(tag)\(number) 1") }
    Self.read("\(tag)1", client, &two.first)
    let slot = HashSlot(UInt16(Tag.slot(of: tag)))
    let isOpen =
      two.second.engine.beginImport(slot, by: .test(2), from: .test(1))
      && two.first.engine.beginExport(slot, of: 0, to: .test(2))
    #expect(isOpen)
    func slice(_ two: inout Two) -> Bool? {
      two.first.engine.migrateSlice(
        slot, of: 0, to: .test(2), two.second.engine.mailbox, budget: 0)?.isLast
    }
    #expect(slice(&two) == false)
    #expect(Self.told(client, &two.first) == Self.push("\(tag)1"))
    two.settle()
  }

  /// The work of a hand-over is that of its slots: many keys of other slots cost nothing; above the limit one word says it all.
  @Test(arguments: [Engine.leavingLimit, Engine.leavingLimit + 1]) func manyKeys(count: Int) throws
  {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    for number in 0..<count { Self.read("\(tag)\(number)", client, &two.first) }
    let other = Tag.in(0..<4096, skip: 1)
    Self.read(other, client, &two.first)
    let byteCount = two.first.engine.trackingByteCount
    #expect(byteCount > 200 * count)
    try two.give(Two.slots(of: tag))
    let told = Self.told(client, &two.first)
    if count > Engine.leavingLimit {
      #expect(told == Self.forgetAll)
    } else {
      #expect(told.hasPrefix(">2 $10 invalidate *\(count) "))
    }
    #expect(two.first.engine.tracking.keyCount == 1)
    while two.first.engine.tracking.hasGrave { _ = two.first.housekeep() }
    #expect(two.first.engine.trackingByteCount < 400)
  }

  /// The work of a hand-over: the keys that were read of its slots are looked at, and no others.
  @Test(arguments: [0, 3]) func workOfAHandOver(count: Int) throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    let other = Tag.in(0..<4096, skip: 1)
    for number in 0..<2000 { Self.read("\(other)\(number)", client, &two.first) }
    for number in 0..<count { Self.read("\(tag)\(number)", client, &two.first) }
    try two.give(Two.slots(of: tag))
    #expect(two.first.engine.tracking.visitedCount == count)
    #expect(two.first.engine.tracking.keyCount == 2000)
  }

  /// What a slot leaves behind is given back in pieces, however much it is: no neighbour waits for all of it.
  @Test func forgottenInPieces() throws {
    var two = try Two()
    let client = try Self.tracker(&two.first)
    let count = Engine.leavingLimit + 100
    for number in 0..<count { Self.read("\(tag)\(number)", client, &two.first) }
    try two.give(Two.slots(of: tag))
    #expect(two.first.engine.tracking.visitedCount == 0)
    let hasWork = two.first.engine.hasWork
    #expect(hasWork)
    var pieces: [Int] = []
    while two.first.engine.tracking.hasGrave {
      pieces.append(two.first.engine.tracking.bury(limit: 16))
    }
    #expect(pieces.allSatisfy { $0 <= 16 })
    #expect(pieces.reduce(0, +) == count)
  }

  /// A slot is open between two shards of one worker, and read at both: whoever forgets all of it tells the readers at both.
  @Test(arguments: [true, false]) func openBetweenShardsOfAWorker(isHandOver: Bool) throws {
    var two = try Two()
    let (a, b) = (try Self.tracker(&two.first), try two.first.connect(to: 1))
    for line in ["HELLO 3", "CLIENT TRACKING ON"] {
      two.first.send(request(words(line)), from: b)
    }
    _ = two.first.replies(to: b)
    for number in 0...Engine.leavingLimit { Self.read("\(tag)\(number)", a, &two.first) }
    let slot = Tag.slot(of: tag)
    let (source, target) = (try two.first.connect(to: 0), try two.first.connect(to: 1))
    _ = two.first.ask("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1))", from: target)
    _ = two.first.ask("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(3))", from: source)
    two.first.send(request(words("ASKING")), from: b)
    Self.read("\(tag)new", b, &two.first)
    if isHandOver {
      try Self.giveWithin(&two, mustBeEmpty: true)
    } else {
      _ = two.first.ask("FLUSHALL", from: source)
    }
    #expect(Self.told(a, &two.first) == Self.forgetAll)
    #expect(Self.told(b, &two.first) == Self.forgetAll)
  }

  @Test func watchesGoBySlot() throws {
    var two = try Two()
    let other = Tag.in(0..<4096, skip: 1)
    let (a, b) = (try two.first.connect(to: 0), try two.first.connect(to: 0))
    two.first.send(request(words("WATCH \(tag)")), from: a)
    two.first.send(request(words("WATCH \(other)")), from: b)
    try two.give(Two.slots(of: tag))
    #expect(two.first.engine.watches.count == 1)
    #expect(two.first.engine.watches.all(of: Tag.slot(of: other)).count == 1)
  }

  // MARK: the table

  @Test func theLastTrackerLeavesNothing() throws {
    var rig = try Rig()
    for isGone in [true, false] {
      let client = try Self.tracker(&rig)
      for number in 0..<100 { Self.read("key\(number)", client, &rig) }
      #expect(rig.engine.tracking.keyCount == 100)
      if isGone {
        rig.engine.disconnect(client)
      } else {
        rig.send(request(words("CLIENT TRACKING OFF")), from: client)
        _ = rig.replies(to: client)
      }
      #expect(rig.engine.tracking.keyCount == 0)
      #expect(rig.engine.trackingByteCount == 0)
      #expect(rig.engine.listeners == 0)
    }
  }

  @Test(arguments: ["FLUSHALL", "FLUSHDB ASYNC"]) func flushes(command: String) throws {
    var rig = try Rig()
    let client = try Self.tracker(&rig)
    Self.read("a", client, &rig)
    _ = Self.ask(command, &rig)
    #expect(Self.told(client, &rig) == Self.forgetAll)
    #expect(rig.engine.trackingByteCount == 0)
  }

  /// Readers that are gone are dropped in time, though the key does not change and others go on reading it.
  @Test func readersThatAreGone() throws {
    var rig = try Rig()
    let stays = try Self.tracker(&rig)
    for _ in 0..<200 {
      let client = try Self.tracker(&rig)
      Self.read("a", client, &rig)
      rig.engine.disconnect(client)
    }
    let readers = rig.engine.tracking.counts[0]?.items ?? 0
    #expect(readers < 20)
    Self.read("a", stays, &rig)
    _ = Self.ask("SET a 1", &rig)
    #expect(Self.told(stays, &rig) == Self.push("a"))
    #expect(rig.engine.trackingByteCount == 0)
  }

  /// What is remembered counts: a worker with a limit evicts or refuses for it.
  @Test func memory() throws {
    var rig = try Rig()
    let client = try Self.tracker(&rig)
    let before = rig.engine.limitedByteCount
    let name = String(repeating: "n", count: 2000)
    for number in 0..<1000 { Self.read(name + "\(number)", client, &rig) }
    #expect(rig.engine.limitedByteCount - before >= 2_000_000)
    _ = Self.ask("CONFIG SET maxmemory 1mb", &rig)
    rig.engine.applyOwnControls()
    #expect(Self.ask("SET k v", &rig).contains("-OOM"))
  }

  // MARK: CLIENT CACHING

  /// It is about the next command, whatever becomes of that.
  @Test(
    arguments: [
      "INCR", "NOSUCH a", "CONFIG NOSUCH", "GET \(Two.keys[1])", "PING",
      "MGET \(Two.keys[0])x {b}y",
    ]) func cachingIsForOneCommand(next: String) throws
  {
    var two = try Two()
    let client = try Self.tracker(&two.first, "OPTOUT")
    for line in ["CLIENT CACHING NO", next, "GET \(tag)"] {
      two.first.send(request(words(line)), from: client)
    }
    _ = two.first.replies(to: client)
    #expect(two.ask("SET \(tag) 2") == "+OK")
    #expect(Self.told(client, &two.first) == Self.push(tag))
  }

  /// Within CLIENT's own commands, and for a whole transaction, it stays.
  @Test(arguments: ["CLIENT ID", "CLIENT SETNAME"]) func cachingStays(between: String) throws {
    var two = try Two()
    let client = try Self.tracker(&two.first, "OPTIN")
    for line in ["CLIENT CACHING YES", between, "MULTI", "GET", "GET \(tag)", "DISCARD"] {
      two.first.send(request(words(line)), from: client)
    }
    for line in ["CLIENT CACHING YES", between, "MULTI", "GET \(tag)", "EXEC"] {
      two.first.send(request(words(line)), from: client)
    }
    _ = two.first.replies(to: client)
    #expect(two.ask("SET \(tag) 2") == "+OK")
    #expect(Self.told(client, &two.first) == Self.push(tag))
  }
}

extension String {
  fileprivate func trimmingCharacters() -> String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
