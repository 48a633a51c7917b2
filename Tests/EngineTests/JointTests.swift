import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

private let keys = Two.keys

/// Commands that stop workers: those over several shards with `router-atomic yes`, and those over all keys while slots move.
@Suite struct JointTests {
  private static func two(_ atomicity: Atomicity = .yes) throws -> Two {
    var settings = Settings()
    settings.routerAtomic = atomicity
    return try Two(settings: settings)
  }

  private static func turns(_ two: borrowing Two) -> UInt64 {
    two.first.engine.ledger[0].jointTurns + two.second.engine.ledger[0].jointTurns
  }

  /// By default what has to be one thing is; what can be split is split, and what lies on one shard stops nobody.
  @Test func whatStopsWorkersByDefault() throws {
    var two = try Self.two(Settings().routerAtomic)
    let pairs = keys.map { "\($0) 1" }.joined(separator: " ")
    let all = keys.joined(separator: " ")
    for line in [
      "MSET \(pairs)", "MGET \(all)", "EXISTS \(all)", "TOUCH \(all)",
      "MSETNX \(keys[1])a 1 \(keys[1])b 2",
    ] {
      _ = two.ask(line)
    }
    for key in keys {
      // Watched, queued and run on one shard, here or elsewhere.
      #expect(
        two.ask("MULTI\nINCR \(key)\nINCR \(key)\nEXEC") == "+OK +QUEUED +QUEUED [:2, :3]")
      #expect(
        two.ask("WATCH \(key) \(key)x\nMULTI\nSET \(key) 1\nEXEC") == "+OK +OK +QUEUED [+OK]")
      #expect(two.ask("WATCH \(key)\nMULTI\nPING\nEXEC") == "+OK +OK +QUEUED [+PONG]")
    }
    #expect(Self.turns(two) == 0)
    #expect(two.ask("MSETNX \(pairs)") == ":0")
    #expect(two.ask("MULTI\nINCR \(keys[0])\nINCR \(keys[1])\nEXEC").hasSuffix("[:2, :2]"))
    #expect(Self.turns(two) == 2)
    #expect(two.ask("DEL \(all)") == ":4")
    #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
  }

  /// Any of the watched keys, wherever it is, and whether or not the queue is there.
  @Test(arguments: [true, false], 0..<4) func watchesOverShards(inOneCommand: Bool, queued: Int)
    throws
  {
    var two = try Self.two(.auto)
    let other = try two.first.connect(to: nil)
    let watch =
      inOneCommand
      ? "WATCH \(keys.joined(separator: " "))" : keys.map { "WATCH \($0)" }.joined(separator: "\n")
    let watched = inOneCommand ? "+OK" : "+OK +OK +OK +OK"
    let transaction = "MULTI\nINCR \(keys[queued])\nEXEC"
    for changed in keys {
      #expect(two.ask(watch) == watched)
      _ = two.ask("APPEND \(changed) 1", from: other)
      #expect(two.ask(transaction) == "+OK +QUEUED nil")
      #expect(two.ask("DEL \(changed)", from: other) == ":1")
    }
    #expect(two.ask("\(watch)\n\(transaction)") == "\(watched) +OK +QUEUED [:1]")
    // A slot that leaves and comes back is a change.
    #expect(two.ask(watch) == watched)
    try two.give(Two.slots(of: keys[0]))
    two.settle()
    try two.giveBack(Two.slots(of: keys[0]))
    two.settle()
    #expect(two.ask(transaction) == "+OK +QUEUED nil")
    // Each way to watch nothing any more.
    for end in ["UNWATCH", "MULTI\nDISCARD", "RESET", "MULTI\nNOSUCH\nEXEC"] {
      _ = two.ask("\(watch)\n\(end)")
      #expect(two.first.engine.router.watchers.isEmpty && two.second.engine.router.watchers.isEmpty)
      #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
    }
    let leaving = try two.first.connect(to: nil)
    _ = two.ask(watch, from: leaving)
    two.first.engine.disconnect(leaving)
    two.settle()
    #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
  }

  /// The text says what helps, and nothing else.
  @Test func whatHelps() throws {
    var two = try Self.two(.no)
    for (line, helps) in [
      ("MSETNX \(keys[0]) 1 \(keys[1]) 2", true), ("WATCH \(keys[0]) \(keys[1])", true),
      ("RENAME \(keys[0]) \(keys[1])", false), ("LCS \(keys[0]) \(keys[1])", false),
    ] {
      let said = two.ask(line)
      #expect(said.hasPrefix("-CROSSSLOT ") && said.contains("router-atomic") == helps, "\(said)")
    }
    let said = two.ask("MULTI\nSET \(keys[0]) 1\nSET \(keys[1]) 1\nEXEC")
    #expect(said.contains("-CROSSSLOT ") && said.hasSuffix("set router-atomic to auto"))
  }

  @Test func severalShardsInOneCommand() throws {
    var two = try Self.two()
    let pairs = keys.map { "\($0) x\($0)" }.joined(separator: " ")
    let all = keys.joined(separator: " ")
    #expect(two.ask("MSETNX \(pairs) \(keys[0]) 7") == ":1")
    #expect(two.ask("MSETNX \(pairs)") == ":0")
    #expect(two.ask("MSETNX \(keys[0])n 1 \(keys[1]) 2") == ":0")
    #expect(two.ask("EXISTS \(keys[0])n") == ":0")
    let values = keys.map { "\"x\($0)\"" }.dropFirst().joined(separator: ", ")
    #expect(two.ask("MGET \(all)") == "[\"7\", \(values)]")
    #expect(two.ask("MSET \(pairs)\nGET \(keys[0])\nGET \(keys[1])").hasPrefix("+OK \"x"))
    #expect(two.ask("MSET a").hasPrefix("-ERR wrong number"))
    #expect(two.ask("CLIENT REPLY SKIP\nMSET \(pairs)\nPING") == "+PONG")
    #expect(two.ask("UNLINK \(all) \(keys[2])\nDBSIZE") == ":4 :0")
    let isOver = two.first.engine.router.joint == nil
    #expect(isOver)
  }

  @Test(arguments: [Atomicity.auto, .yes]) func transactionsOverShards(atomicity: Atomicity) throws
  {
    var two = try Self.two(atomicity)
    #expect(
      two.ask(
        "MULTI\nSET \(keys[0]) 1\nINCR \(keys[1])\nPING\nGET \(keys[0])\nEXEC\nGET \(keys[1])")
        == "+OK +QUEUED +QUEUED +QUEUED +QUEUED [+OK, :1, +PONG, \"1\"] \"1\"")
    // Errors inside are members of the array.
    #expect(
      two.ask("MULTI\nINCR \(keys[0])\nGETRANGE \(keys[1]) a b\nEXEC")
        == "+OK +QUEUED +QUEUED [:2, -ERR value is not an integer or out of range]")
    let other = try two.first.connect(to: nil)
    for watched in [keys[0], keys[1]] {
      #expect(
        two.ask("WATCH \(watched)\nMULTI\nINCR \(keys[0])\nINCR \(keys[1])")
          == "+OK +OK +QUEUED +QUEUED")
      _ = two.ask("INCR \(watched)", from: other)
      #expect(two.ask("EXEC\nMULTI\nPING\nEXEC") == "nil +OK +QUEUED [+PONG]")
      #expect(
        two.ask("WATCH \(watched)\nMULTI\nSET \(keys[0]) 0\nSET \(keys[1]) 0\nEXEC")
          == "+OK +OK +QUEUED +QUEUED [+OK, +OK]")
    }
    let watcherCount = two.second.engine.router.watchers.count
    #expect(watcherCount == 0)
    #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
  }

  /// Nothing is queued, and what is watched is on another worker.
  @Test func anEmptyTransactionThatWatches() throws {
    var two = try Self.two()
    for key in keys {
      #expect(two.ask("WATCH \(key)\nMULTI\nEXEC\nPING") == "+OK +OK [] +PONG")
    }
  }

  @Test func nobodySeesAPart() throws {
    var two = try Self.two()
    let other = try two.first.connect(to: nil)
    two.send("MSET \(keys[0]) 1 \(keys[1]) 1")
    Two.turn(&two.first.engine)
    let wasStopped = two.second.engine.isStopped
    #expect(!wasStopped)
    Two.turn(&two.second.engine)
    let isStopped = two.second.engine.isStopped
    #expect(isStopped)
    // A reader of both: the second worker has stopped, and answers when it has run its part.
    #expect(two.ask("GET \(keys[1])", from: other) == "\"1\"")
    #expect(two.ask("GET \(keys[0])", from: other) == "\"1\"")
    #expect(two.first.shownReplies(to: two.client) == "+OK")
  }

  /// As for keys of one slot: whether there is memory is asked before any key is looked at, on one shard, one worker or several.
  @Test(arguments: [[0, 0], [0, 2], [0, 1], [1, 0]], [false, true])
  func noMemoryBeforeKeysThatAreThere(places: [Int], isAtomic: Bool) throws {
    var settings = Settings()
    settings.routerAtomic = isAtomic ? .yes : Set(places).count > 1 ? .auto : .no
    var two = try Two(settings: settings)
    let a = keys[places[0]]
    let b = places[0] == places[1] ? Self.other(a) : keys[places[1]]
    #expect(two.ask("SET \(a) 1") == "+OK")
    two.configure([("maxmemory", "1")])
    #expect(two.ask("MSETNX \(a) 2 \(b) 2").hasPrefix("-OOM "))
    two.configure([("maxmemory", "0")])
    #expect(two.ask("MSETNX \(a) 2 \(b) 2") == ":0")
  }

  /// A key of the same shard, in another slot.
  private static func other(_ key: String) -> String {
    let slot = Tag.slot(of: key)
    return slot == 0 ? Tag.in(1..<4096) : Tag.in(slot == 4095 ? 0..<slot : slot + 1..<4096)
  }

  /// A client that waits for a change of the process is answered when the stop is over: what it has sent behind would else run between
  /// the worker's word and its part of the command. Changes of settings wait too.
  @Test func nothingRunsBetweenWordAndPart() throws {
    var two = try Self.two()
    let other = try two.second.connect(to: 0)
    two.sendToSecond("CONFIG SET slowlog-max-len 5\nSET \(keys[1]) late", from: other)
    let parked = try #require(two.second.engine.takeControlRequests().first)
    two.send("MSETNX \(keys[0]) 1 \(keys[1]) 1")
    Two.turn(&two.first.engine)
    Two.turn(&two.second.engine)
    let isStopped = two.second.engine.isStopped
    try #require(isStopped)
    let mailbox = two.second.engine.mailbox
    _ = mailbox.send(.control(.configure([("maxmemory", "1")]), number: 1))
    mailbox.push(.release(1_000_000))
    Two.turn(&two.second.engine)
    let isStoppedYet = two.second.engine.isStopped
    let isLimited = two.second.engine.isMemoryLimited
    #expect(isStoppedYet && !isLimited)
    _ = mailbox.send(.control(.configure([("maxmemory", "0")]), number: 2))
    _ = mailbox.send(.completed(parked))
    Two.turn(&two.second.engine)
    #expect(two.second.shownReplies(to: other) == "")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == ":1")
    #expect(two.second.shownReplies(to: other) == "+OK +OK")
    #expect(two.ask("GET \(keys[1])") == "\"late\"")
  }

  /// A batch that has been answered is filled for the next command before the worker has read that it may go on.
  @Test func aReleaseBehindItsBatch() throws {
    var two = try Self.two()
    two.send("MSET \(keys[0]) 1 \(keys[1]) 1")
    Two.turn(&two.first.engine)
    Two.turn(&two.second.engine)
    let number = two.second.engine.router.stopNumber
    two.second.engine.router.stoppedFor?.joint = number + 1
    two.second.engine.mailbox.push(.release(number))
    Two.turn(&two.second.engine)
    let isStopped = two.second.engine.isStopped
    #expect(!isStopped)
  }

  /// What a cluster's node alone knows is refused by one server, in a transaction on another worker too.
  @Test func oneServerIsNoCluster() throws {
    var two = try Self.two(.auto)
    let refusal = "-ERR This instance has cluster support disabled"
    #expect(two.ask("READONLY\nREADWRITE") == "\(refusal) \(refusal)")
    for key in keys {
      #expect(
        two.ask("MULTI\nREADONLY\nGET \(key)\nEXEC") == "+OK +QUEUED +QUEUED [\(refusal), nil]")
    }
    two.configure([("router-presents-as", "cluster")])
    #expect(two.ask("READONLY\nREADWRITE") == "+OK +OK")
  }

  @Test func aSlotThatLeavesBeforeItsWorkerStops() throws {
    var two = try Self.two()
    let key = keys[1]
    two.send("MSET \(keys[0]) 1 \(key) 1 \(keys[3]) 1")
    try two.giveBack(Two.slots(of: key))
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK")
    #expect(two.ask("MGET \(keys[0]) \(key) \(keys[3])") == "[\"1\", \"1\", \"1\"]")
  }

  @Test func aClientThatLeavesMeanwhile() throws {
    var two = try Self.two()
    let other = try two.first.connect(to: nil)
    two.send("MSET \(keys[0]) 1 \(keys[1]) 1")
    Two.turn(&two.first.engine)
    two.first.engine.disconnect(two.client)
    two.settle()
    #expect(
      two.ask("MGET \(keys[0]) \(keys[1])\nMSET \(keys[0]) 2 \(keys[1]) 2", from: other)
        == "[nil, nil] +OK")
  }

  /// Transfers between accounts on several shards, by clients of both workers, in any order of turns and with slots on the move: their
  /// sum stays, whoever looks.
  @Test(arguments: 1...30) func bank(seed: UInt64) throws {
    var two = try Self.two()
    var draw = Draw(seed: seed)
    for key in keys { #expect(two.ask("SET \(key) 100") == "+OK") }
    let clients = [two.client, try two.first.connect(to: nil)]
    let others = [try two.second.connect(to: nil), try two.second.connect(to: nil)]
    var isAway = false
    var sums = 0
    for _ in 0..<400 {
      switch draw.below(10) {
      case 0, 1, 2, 3:
        let (a, b) = (keys[draw.below(4)], keys[draw.below(4)])
        let text =
          draw.below(2) == 0
          ? "MULTI\nDECRBY \(a) 5\nINCRBY \(b) 5\nEXEC"
          : "MULTI\n" + keys.map { "GET \($0)" }.joined(separator: "\n") + "\nEXEC"
        if draw.below(2) == 0 {
          if !two.first.engine.isStopped { two.send(text, from: clients[draw.below(2)]) }
        } else if !two.second.engine.isStopped {
          two.sendToSecond(text, from: others[draw.below(2)])
        }
      case 4, 5: two.first.engine.sendHops()
      case 6: Two.turn(&two.first.engine)
      case 7, 8:
        Two.turn(&two.second.engine)
        two.second.engine.sendHops()
      default:
        let slots = Two.slots(of: keys[0])
        let slot = slots[0].first.index
        if isAway, !two.second.engine.isStopped, two.second.engine.keyspace.owner(of: slot) == 0 {
          try two.giveBack(slots)
          isAway = false
        } else if !isAway, !two.first.engine.isStopped,
          two.first.engine.keyspace.owner(of: slot) == 0
        {
          try two.give(slots)
          isAway = true
        }
      }
    }
    for _ in 0..<20 { two.settle() }
    var said = ""
    for client in clients { said += two.first.shownReplies(to: client) }
    for client in others { said += two.second.shownReplies(to: client) }
    for match in said.matches(of: /\["(-?\d+)", "(-?\d+)", "(-?\d+)", "(-?\d+)"\]/) {
      let sum = Int(match.1)! + Int(match.2)! + Int(match.3)! + Int(match.4)!
      #expect(sum == 400, "seed \(seed)")
      sums += 1
    }
    #expect(sums > 0, "seed \(seed)")
    let end = two.ask("MULTI\n" + keys.map { "INCRBY \($0) 0" }.joined(separator: "\n") + "\nEXEC")
    let total = end.matches(of: /:(-?\d+)/).reduce(0) { $0 + Int($1.1)! }
    #expect(total == 400, "seed \(seed): \(end)")
    two.first.engine.drainMailbox()
    two.second.engine.drainMailbox()
  }

  // MARK: all keys, slots on the move key by key

  /// 300 keys of one slot, of which the first ones in hash order have gone to the second worker; some are still in its mailbox.
  private static func moving(_ two: inout Two) throws -> (slot: HashSlot, wanted: Set<String>) {
    var wanted: Set<String> = []
    for i in 0..<300 {
      _ = two.ask("SET \(keys[0])\(i) 1")
      wanted.insert("\"\(keys[0])\(i)\"")
    }
    _ = two.ask("SET \(keys[1]) 1")
    wanted.insert("\"\(keys[1])\"")
    let slot = Two.slots(of: keys[0])[0].first
    let isBegun = two.second.engine.beginImport(slot, by: .test(2), from: .test(1))
    let isExported = two.first.engine.beginExport(slot, of: 0, to: .test(2))
    #expect(isBegun && isExported)
    return (slot, wanted)
  }

  /// Some more keys leave. False at the end.
  private static func slice(_ two: inout Two, _ slot: HashSlot) -> Bool {
    let slice = two.first.engine.migrateSlice(
      slot, of: 0, to: .test(2), two.second.engine.mailbox, budget: 0)
    return slice?.isLast == false
  }

  @Test func allKeysAreSeenOnceWhileASlotMoves() throws {
    var two = try Two()
    let (slot, wanted) = try Self.moving(&two)
    var slices = 0
    while Self.slice(&two, slot) {
      slices += 1
      if slices % 2 == 0 { Two.turn(&two.second.engine) }
      two.send("DBSIZE")
      // More keys leave while the command is under way.
      two.first.engine.sendHops()
      _ = Self.slice(&two, slot)
      two.settle()
      #expect(two.first.shownReplies(to: two.client) == ":301")
    }
    #expect(slices > 5)
    let all = two.ask("KEYS *").dropFirst().dropLast().split(separator: ", ").map(String.init)
    #expect(Set(all) == wanted && all.count == 301)
    var drawn: Set<String> = []
    for _ in 0..<50 { drawn.insert(two.ask("RANDOMKEY")) }
    #expect(drawn.isSubset(of: wanted) && drawn.count > 20)
    #expect(two.ask("FLUSHALL\nDBSIZE\nKEYS *\nRANDOMKEY") == "+OK :0 [] nil")
  }

  @Test(arguments: 1...20) func scansFindWhatStays(seed: UInt64) throws {
    var two = try Two()
    var draw = Draw(seed: seed)
    let (slot, wanted) = try Self.moving(&two)
    var isMoving = true
    for _ in 0..<4 {
      var found: [String] = []
      var cursor = "0"
      var calls = 0
      repeat {
        let said = two.ask("SCAN \(cursor) COUNT \(1 + draw.below(20))")
        let parts = said.dropFirst(2).split(separator: "\"", maxSplits: 1)
        cursor = String(parts[0])
        found += parts[1].matches(of: /"[^",]+"/).map { String($0.output) }
        if isMoving, draw.below(6) == 0 { isMoving = Self.slice(&two, slot) }
        calls += 1
      } while cursor != "0" && calls < 10_000
      #expect(Set(found).isSuperset(of: wanted), "seed \(seed)")
    }
  }
}
