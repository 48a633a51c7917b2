import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Keys of each of the four shards.
private let keys = Two.keys

@Suite struct RouterTests {
  /// Workers of a cluster that runs nothing over several shards but what can be split.
  private static func refusing() throws -> Two {
    var settings = Settings()
    settings.routerAtomic = .no
    return try Two(settings: settings)
  }

  @Test func commandsGoWhereTheirKeysAre() throws {
    var two = try Two()
    for key in keys {
      #expect(two.ask("SET \(key) v\(key)") == "+OK")
      #expect(two.ask("GET \(key)") == "\"v\(key)\"")
      #expect(two.ask("EXPIRE \(key) 100") == ":1")
      #expect(two.ask("LPUSHX \(key)").hasPrefix("-ERR unknown command"))
      #expect(two.ask("GET").hasPrefix("-ERR wrong number"))
    }
    #expect(two.first.engine.keyspace.keyCount == 2)
    #expect(two.second.engine.keyspace.keyCount == 2)
    // They were counted by their shards.
    #expect(two.first.engine.ledger[1].commandCount == 3)
    #expect(two.second.engine.ledger[2].commandCount == 3)
    #expect(two.second.engine.ledger[0].commandCount == 0)
    #expect(two.first.engine.sessions[two.client.index].shard == Session.endpoint)
  }

  @Test func repliesAreInTheOrderOfTheRequests() throws {
    var two = try Two()
    let lines = (0..<40).map { "SET \(keys[$0 % 4]) \($0)\nGET \(keys[$0 % 4])\nPING \($0)" }
    let wanted = (0..<40).map { "+OK \"\($0)\" \"\($0)\"" }.joined(separator: " ")
    let said = two.ask(lines.joined(separator: "\n"))
    #expect(said == wanted)
  }

  @Test func oneRoundForAPipeline() throws {
    var two = try Two()
    two.send((0..<64).map { "SET \(keys[1]) \($0)" }.joined(separator: "\n"))
    two.pass()
    let replies = two.first.shownReplies(to: two.client)
    #expect(replies.split(separator: " ").count == 64)
  }

  @Test func manySlotsInOneCommand() throws {
    var two = try Self.refusing()
    let pairs = keys.map { "\($0) x\($0)" }.joined(separator: " ")
    #expect(two.ask("MSET \(pairs)") == "+OK")
    let all = keys.joined(separator: " ")
    let values = keys.map { "\"x\($0)\"" }.joined(separator: ", ")
    #expect(two.ask("MGET \(all) \(keys[1])none") == "[\(values), nil]")
    #expect(two.ask("EXISTS \(all) \(keys[0])") == ":5")
    #expect(two.ask("TOUCH \(all)") == ":4")
    #expect(two.ask("MSET a").hasPrefix("-ERR wrong number"))
    #expect(two.ask("MSET \(keys[0]) 1 \(keys[1])").hasPrefix("-ERR wrong number"))
    #expect(two.ask("MSETNX \(pairs)").hasPrefix("-CROSSSLOT Keys in request don't hash"))
    #expect(two.ask("RENAME \(keys[0]) \(keys[1])").hasPrefix("-CROSSSLOT"))
    #expect(two.ask("DBSIZE") == ":4")
    #expect(two.ask("DEL \(all) \(keys[2])") == ":4")
    #expect(two.ask("DBSIZE") == ":0")
  }

  @Test func allShards() throws {
    var two = try Two()
    var wanted: Set<String> = []
    for i in 0..<200 {
      #expect(two.ask("SET key:\(i) \(i)") == "+OK")
      wanted.insert("\"key:\(i)\"")
    }
    #expect(two.ask("DBSIZE") == ":200")
    let all = two.ask("KEYS *").dropFirst().dropLast().split(separator: ", ").map(String.init)
    #expect(Set(all) == wanted && all.count == 200)
    let some = two.ask("KEYS key:1?").dropFirst().dropLast().split(separator: ", ")
    #expect(some.count == 10)
    var drawn: Set<String> = []
    for _ in 0..<100 { drawn.insert(two.ask("RANDOMKEY")) }
    #expect(drawn.isSubset(of: wanted) && drawn.count > 40)
    // SCAN finds all of them, and ends.
    var found: [String] = []
    var cursor = "0"
    repeat {
      let said = two.ask("SCAN \(cursor) COUNT 7")
      let parts = said.dropFirst(2).split(separator: "\"", maxSplits: 1)
      cursor = String(parts[0])
      found += parts[1].matches(of: /"key:\d+"/).map { String($0.output) }
    } while cursor != "0"
    #expect(Set(found) == wanted && found.count == 200)
    #expect(two.ask("FLUSHALL NONE").hasPrefix("-ERR syntax"))
    #expect(two.ask("FLUSHALL") == "+OK")
    #expect(two.ask("DBSIZE\nRANDOMKEY\nKEYS *") == ":0 nil []")
  }

  @Test func aSlotThatLeavesWhileARequestIsUnderWay() throws {
    var two = try Two()
    let key = keys[1]
    // Sent to the second worker, whose shard lets the slot go before it reads its mailbox.
    two.send("SET \(key) 1\nINCR \(key)\nINCR \(key)")
    two.first.engine.sendHops()
    try two.giveBack(Two.slots(of: key))
    two.send("INCR \(key)\nGET \(key)")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK :2 :3 :4 \"4\"")
  }

  @Test func aSlotThatComesWhileARequestIsUnderWay() throws {
    var two = try Two()
    let (key, other) = (keys[1], keys[3])
    _ = two.ask("SET \(key) 10")
    two.send("INCR \(key)\nGET \(other)")
    two.first.engine.sendHops()
    try two.giveBack(Two.slots(of: key))
    // The first worker has the table now; what the client sent first must still be first.
    two.first.engine.drainMailbox()
    two.send("INCR \(key)\nINCR \(key)")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == ":11 nil :12 :13")
  }

  /// What another client sees meanwhile at the shard's own port.
  private func seen(_ key: String, at rig: inout Rig, _ client: ClientID) -> String {
    rig.ask("GET \(key)", from: client)
  }

  @Test func writesTakeEffectInTheirOrder() throws {
    var two = try Two()
    let (here, there) = (keys[0], keys[1])
    two.send("SET \(there) 1\nSET \(here) 1\nSET \(there) 2\nGET \(here)")
    // The first is under way; nothing gets ahead of it.
    two.first.engine.sendHops()
    #expect(seen(here, at: &two.first, two.first.client) == "nil")
    Two.turn(&two.second.engine)
    #expect(seen(there, at: &two.second, two.second.client) == "\"1\"")
    #expect(seen(here, at: &two.first, two.first.client) == "nil")
    Two.turn(&two.first.engine)
    #expect(seen(here, at: &two.first, two.first.client) == "\"1\"")
    // Replies to what came together leave together.
    let hasOutput = two.first.engine.hasOutput(two.client)
    #expect(!hasOutput)
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK +OK +OK \"1\"")
  }

  @Test func partsOfCommandsDoNotGetAhead() throws {
    var two = try Two()
    let (here, there) = (keys[0], keys[1])
    two.send("SET \(there) 1\nMSET \(here) 2 \(there) 2\nDEL \(here) \(there)\nPING")
    two.first.engine.sendHops()
    #expect(seen(here, at: &two.first, two.first.client) == "nil")
    two.pass()
    #expect(seen(here, at: &two.first, two.first.client) == "\"2\"")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK +OK :2 +PONG")
  }

  @Test func readsRunSideBySide() throws {
    var two = try Two()
    let lines = (0..<40).map { "GET \(keys[$0 % 4])\nMGET \(keys[0]) \(keys[1])" }
    two.send(lines.joined(separator: "\n"))
    two.pass()
    #expect(two.first.shownReplies(to: two.client).split(separator: "]").count == 40)
  }

  @Test func whoeverWantsNoOrderHasNone() throws {
    var settings = Settings()
    settings.routerOrdered = false
    var two = try Two(settings: settings)
    two.send((0..<40).map { "SET \(keys[$0 % 4]) \($0)" }.joined(separator: "\n"))
    #expect(seen(keys[0], at: &two.first, two.first.client) == "\"36\"")
    two.pass()
    #expect(two.first.shownReplies(to: two.client).split(separator: " ").count == 40)
  }

  /// Requests that come back because a slot has moved go on in their order, those that are run here now among them.
  @Test func orderAcrossAFlip() throws {
    var two = try Two()
    let (moving, staying) = (keys[1], keys[3])
    two.send("APPEND \(moving) a\nAPPEND \(staying) b\nAPPEND \(moving) c")
    two.first.engine.sendHops()
    try two.giveBack(Two.slots(of: moving))
    two.first.engine.drainMailbox()
    // All of them come back. The first one runs here, the second goes out again, the third waits for it.
    Two.turn(&two.second.engine)
    Two.turn(&two.first.engine)
    #expect(seen(moving, at: &two.first, two.first.client) == "\"a\"")
    two.pass()
    #expect(seen(moving, at: &two.first, two.first.client) == "\"ac\"")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == ":1 :1 :2")
  }

  @Test func aBigArgumentThatStaysBehind() throws {
    var two = try Two()
    let big = String(repeating: "x", count: 200_000)
    #expect(
      two.ask("SET \(keys[1]) 1\nSET \(keys[0]) \(big)\nSTRLEN \(keys[0])") == "+OK +OK :200000")
    #expect(
      two.ask(
        "CLIENT REPLY SKIP\nSET \(keys[1]) 1\nCLIENT REPLY SKIP\nSET \(keys[0]) 2\nGET \(keys[0])")
        == "\"2\"")
  }

  /// A slot that is moved from outside has keys on both sides: SCAN finds those that go over meanwhile, and ends if the target knows nothing.
  @Test(arguments: [true, false], [2, 3]) func scansOfOpenSlots(isImporting: Bool, target: Int)
    throws
  {
    var two = try Two()
    let tag = keys[0]
    let slot = Tag.slot(of: tag)
    let all = (0..<40).map { tag + "\($0)" }
    for key in all { #expect(two.ask("SET \(key) 1") == "+OK") }
    // Shard 2 is on the second worker, shard 3 on the first one, as the source is.
    let other = target == 2 ? two.second.client : try two.first.connect(to: 1)
    func askTarget(_ text: String, _ two: inout Two) -> String {
      text.split(separator: "\n").map {
        target == 2
          ? two.second.ask(String($0), from: other) : two.first.ask(String($0), from: other)
      }.joined(separator: " ")
    }

    if isImporting {
      #expect(askTarget("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1))", &two) == "+OK")
    }
    let source = two.first.client
    #expect(
      two.first.ask(
        "CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(target))", from: source)
        == "+OK")
    var found: Set<String> = []
    var cursor = "0"
    var moved = 0
    for step in 0..<1000 {
      let said = two.ask("SCAN \(cursor) COUNT 5")
      cursor = String(said.dropFirst(2).prefix { $0 != "\"" })
      for key in all where said.contains("\"\(key)\"") { found.insert(key) }
      if cursor == "0" { break }
      #expect(step < 900)
      // Some keys go over.
      while isImporting, moved < min(all.count, 4 * step) {
        #expect(askTarget("ASKING\nSET \(all[moved]) 1", &two).hasSuffix("+OK"))
        #expect(two.first.ask("DEL \(all[moved])", from: source) == ":1")
        moved += 1
      }
    }
    #expect(found.count == all.count)
    #expect(!isImporting || moved > 10)
  }

  /// Keys that had gone over before the walk came to the slot are found, though the move ends while the walk is in it.
  @Test func aMoveThatEndsDuringAScan() throws {
    var two = try Two()
    let tag = keys[0]
    let slot = Tag.slot(of: tag)
    let all = (0..<60).map { tag + "\($0)" }
    for key in all { #expect(two.ask("SET \(key) 1") == "+OK") }
    let (source, target) = (two.first.client, two.second.client)
    _ = two.second.ask("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1))", from: target)
    _ = two.first.ask("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2))", from: source)
    func move(_ key: String, _ two: inout Two) {
      _ = two.second.ask("ASKING", from: target)
      #expect(two.second.ask("SET \(key) 1", from: target) == "+OK")
      #expect(two.first.ask("DEL \(key)", from: source) == ":1")
    }
    for key in all[..<30] { move(key, &two) }
    var found: Set<String> = []
    var cursor = "0"
    for step in 0..<300 {
      let said = two.ask("SCAN \(cursor) COUNT 5")
      cursor = String(said.dropFirst(2).prefix { $0 != "\"" })
      for key in all where said.contains("\"\(key)\"") { found.insert(key) }
      if cursor == "0" { break }
      if step == 2 {
        for key in all[30...] { move(key, &two) }
        try two.give(Two.slots(of: tag), mustBeEmpty: true)
      }
    }
    #expect(cursor == "0")
    #expect(found.count == all.count)
  }

  /// A second batch of a client does not run where its first one has come back.
  @Test func aFullBatchEndsTheRound() throws {
    var two = try Two()
    let key = keys[1]
    let count = HopLoad.hopLimit + 500
    two.send((0..<count).map { _ in "INCR \(key)" }.joined(separator: "\n"))
    try two.giveBack(Two.slots(of: key))
    two.settle()
    let replies = two.first.shownReplies(to: two.client).split(separator: " ")
    #expect(replies.map(String.init) == (1...count).map { ":\($0)" })
  }

  /// A paused connection on which a big argument arrives is read again: it would never be quiet.
  @Test func aBigArgumentOnAPausedConnection() throws {
    var two = try Two()
    two.first.engine.sessions[two.client.index].wish = [.paused, .direct]
    #expect(two.first.engine.duty(of: two.client) == .resumeDirectly)
    #expect(two.first.engine.duty(of: two.client) == .receiveDirectly)
  }

  @Test func watchesThatMove() throws {
    var two = try Two()
    let key = keys[0]
    #expect(two.ask("WATCH \(key)") == "+OK")
    try two.give(Two.slots(of: key))
    #expect(two.ask("WATCH \(key)x\nMULTI\nSET \(key) 1\nEXEC") == "+OK +OK +QUEUED nil")
    // The same on another worker.
    #expect(two.ask("WATCH \(key)") == "+OK")
    try two.giveBack(Two.slots(of: key))
    #expect(two.ask("WATCH \(key)x\nMULTI\nSET \(key) 1\nEXEC") == "+OK +OK +QUEUED nil")
    #expect(two.ask("MULTI\nSET \(key) 1\nEXEC") == "+OK +QUEUED [+OK]")
  }

  @Test func aRefusedExecEndsTheWatch() throws {
    var two = try Two()
    let other = try two.first.connect(to: nil)
    for key in keys {
      _ = two.ask("WATCH \(key)")
      _ = two.ask("SET \(key) 1", from: other)
      #expect(
        two.ask("MULTI\nEXEC x").hasSuffix(
          "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
        ))
      #expect(two.ask("MULTI\nGET \(key)\nEXEC") == "+OK +QUEUED [\"1\"]")
    }
  }

  @Test func oneServerHasOneDatabase() throws {
    var two = try Two()
    #expect(two.ask("SELECT 1") == "-ERR DB index is out of range")
    #expect(two.ask("CONFIG GET cluster-enabled") == "[\"cluster-enabled\", \"no\"]")
    #expect(
      two.first.ask("SELECT 1", from: two.first.client)
        == "-ERR SELECT is not allowed in cluster mode")
  }

  /// Every order in which moves, turns and sends can come; no increment is lost, and replies count up.
  @Test(arguments: 1...60) func anyOrder(seed: UInt64) throws {
    var two = try Two()
    var draw = Draw(seed: seed)
    let key = keys[0]
    var isAway = false
    var sent = 0
    var moves = 0
    for _ in 0..<120 {
      switch draw.below(9) {
      case 0, 1, 2:
        let count = 1 + draw.below(20)
        let lines = (0..<count).map { i in
          draw.below(4) == 0 ? "INCR \(key)\nGET \(keys[draw.below(4)])x" : "INCR \(key)"
        }
        two.send(lines.joined(separator: "\n"))
        sent += count
      case 3: two.first.engine.sendHops()
      case 4: Two.turn(&two.second.engine)
      case 5: Two.turn(&two.first.engine)
      case 6: two.first.engine.drainMailbox()
      case 7: two.second.engine.drainMailbox()
      default:
        // A slot leaves from where it is, as soon as it has come.
        let slot = Tag.slot(of: key)
        if isAway, two.second.engine.keyspace.owner(of: slot) == 0 {
          try two.giveBack(Two.slots(of: key))
          isAway = false
          moves += 1
        } else if !isAway, two.first.engine.keyspace.owner(of: slot) == 0 {
          try two.give(Two.slots(of: key))
          isAway = true
          moves += 1
        }
      }
    }
    two.settle()
    let replies = two.first.shownReplies(to: two.client).split(separator: " ")
    let counted = replies.filter { $0 != "nil" }.map(String.init)
    #expect(counted == (1...max(1, sent)).map { ":\($0)" }, "seed \(seed), \(moves) moves")
    two.first.engine.drainMailbox()
    two.second.engine.drainMailbox()
  }

  @Test func transactions() throws {
    var two = try Self.refusing()
    for key in keys {
      #expect(
        two.ask("MULTI\nSET \(key) 5\nINCR \(key)\nEXEC")
          == "+OK +QUEUED +QUEUED [+OK, :6]")
    }
    let (a, b) = (keys[1], Tag.in(4096..<8192, skip: 1))
    // Two slots of one shard, then of two.
    #expect(two.ask("MULTI\nGET \(a)\nSET \(b) 1\nEXEC") == "+OK +QUEUED +QUEUED [\"6\", +OK]")
    let crossed = two.ask("MULTI\nGET \(a)\nGET \(keys[3])\nEXEC")
    #expect(crossed.hasPrefix("+OK +QUEUED +QUEUED -CROSSSLOT Keys in request don't"))
    #expect(two.ask("EXEC") == "-ERR EXEC without MULTI")
    #expect(
      two.ask("MULTI\nDBSIZE\nEXEC").hasSuffix(
        "-EXECABORT Transaction discarded because of previous errors."))
    #expect(two.ask("MULTI\nPING\nEXEC") == "+OK +QUEUED [+PONG]")
    #expect(two.ask("MULTI\nGET \(a)\nDISCARD\nGET \(a)") == "+OK +QUEUED +OK \"6\"")
  }

  @Test(arguments: [0, 1]) func watches(shard: Int) throws {
    var two = try Self.refusing()
    let other = try two.first.connect(to: nil)
    let key = keys[shard]
    // Nothing happens, then something does.
    #expect(
      two.ask("WATCH \(key)\nMULTI\nSET \(key) 1\nEXEC") == "+OK +OK +QUEUED [+OK]")
    #expect(two.ask("WATCH \(key)\nMULTI\nSET \(key) 2") == "+OK +OK +QUEUED")
    #expect(two.ask("SET \(key) 7", from: other) == "+OK")
    #expect(two.ask("EXEC\nGET \(key)") == "nil \"7\"")
    #expect(
      two.ask("WATCH \(key)\nUNWATCH\nSET \(key) 8\nMULTI\nGET \(key)\nEXEC")
        == "+OK +OK +OK +OK +QUEUED [\"8\"]")
    #expect(two.ask("WATCH \(key)\nWATCH \(keys[3 - shard])").hasPrefix("+OK -CROSSSLOT"))
    two.first.engine.disconnect(two.client)
    two.settle()
    #expect(two.first.engine.watches.count == 0 && two.second.engine.watches.count == 0)
    let watcherCount = two.second.engine.router.watchers.count
    #expect(watcherCount == 0)
    #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
  }

  @Test func aClientThatLeavesWhileItsRequestsAreUnderWay() throws {
    var two = try Two()
    two.send("SET \(keys[1]) 1\nSET \(keys[0]) 1")
    two.first.engine.disconnect(two.client)
    let next = try two.first.connect(to: nil)
    two.settle()
    #expect(two.first.shownReplies(to: next) == "")
    #expect(two.ask("GET \(keys[1])", from: next) == "\"1\"")
  }

  @Test func sessionsAndErrorsKeepTheirPlace() throws {
    var two = try Two()
    #expect(
      two.ask("GET \(keys[1])\nHELLO 3\nGET \(keys[1])\nNONE\nGET \(keys[3])").hasSuffix(
        "nil -ERR unknown command 'NONE', with args beginning with:  nil"))
    #expect(two.ask("CLIENT REPLY SKIP\nSET \(keys[1]) 1\nGET \(keys[1])") == "\"1\"")
    #expect(two.ask("SET \(keys[1]) 2\nQUIT\nSET \(keys[1]) 3") == "+OK +OK")
    let isClosing = two.first.isClosing(two.client)
    #expect(isClosing)
    let next = try two.first.connect(to: nil)
    #expect(two.ask("GET \(keys[1])", from: next) == "\"2\"")
  }

  /// What is not read is not sent: replies under way are bounded as those that wait are.
  @Test func longRepliesWaitForTheirReader() throws {
    var settings = Settings()
    settings.clientOutputPause = 10_000
    var two = try Two(settings: settings)
    let value = String(repeating: "v", count: 4000)
    _ = two.ask("SET \(keys[1]) \(value)")
    two.send((0..<100).map { _ in "GET \(keys[1])" }.joined(separator: "\n"))
    two.settle()
    let waiting = two.first.engine.sessions[two.client.index].output.byteCount
    #expect(waiting > 10_000 && waiting < 20_000)
    var replies = 0
    for _ in 0..<200 {
      replies += two.first.shownReplies(to: two.client).split(separator: " ").count
      two.settle()
    }
    #expect(replies == 100)
  }

  /// Nor are they held back for those of a write that waits behind them.
  @Test func longRepliesLeaveBeforeAWriteThatWaits() throws {
    var settings = Settings()
    settings.clientOutputPause = 10_000
    var two = try Two(settings: settings)
    _ = two.ask("SET \(keys[1]) \(String(repeating: "v", count: 4000))")
    let reads = (0..<20).map { _ in "GET \(keys[1])" }.joined(separator: "\n")
    two.send(reads + "\nSET \(keys[0]) 1\nGET \(keys[0])")
    var replies: [Substring] = []
    for _ in 0..<40 where replies.count < 22 {
      two.settle()
      let hasOutput = two.first.engine.hasOutput(two.client)
      #expect(hasOutput)
      replies += two.first.shownReplies(to: two.client).split(separator: " ")
    }
    #expect(replies.suffix(2) == ["+OK", "\"1\""])
  }

  @Test func aFullMailboxMakesItsClientsWait() throws {
    var two = try Two()
    while two.second.engine.mailbox.send(.control(.resetStatistics, number: 0)) {}
    two.send("SET \(keys[1]) 1\nSET \(keys[0]) 1")
    two.first.engine.sendHops()
    let hasHops = two.first.engine.hasHops
    #expect(hasHops)
    two.send("GET \(keys[0])")
    #expect(two.first.shownReplies(to: two.client) == "")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK +OK \"1\"")
  }

  @Test func pausedShardsMakeTheirCommandsWait() throws {
    var two = try Two()
    _ = two.second.ask("CLIENT PAUSE 50 WRITE", from: two.second.client)
    two.send("GET \(keys[1])\nSET \(keys[1]) 1\nGET \(keys[0])")
    for _ in 0..<5 { two.pass() }
    #expect(two.first.shownReplies(to: two.client) == "nil")
    two.second.setTime(two.second.engine.milliseconds + 100)
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK nil")
  }

  @Test func presentation() throws {
    var two = try Two()
    #expect(two.ask("INFO cluster").contains("cluster_enabled:0"))
    #expect(two.ask("HELLO").contains("\"mode\", \"standalone\""))
    #expect(two.ask("CLUSTER SLOTS") == two.first.ask("CLUSTER SLOTS", from: two.first.client))
    #expect(two.first.ask("INFO cluster", from: two.first.client).contains("cluster_enabled:1"))
    #expect(two.ask("CONFIG SET router-presents-as cluster") == "+OK")
    #expect(two.ask("INFO cluster").contains("cluster_enabled:1"))
    #expect(two.ask("INFO server").contains("redis_mode:cluster"))
  }

  @Test func operatorsSeeAllWorkers() throws {
    var settings = Settings()
    settings.slowlogLogSlowerThan = 0
    var two = try Two(settings: settings)
    let other = try two.second.connect(to: nil)
    _ = two.second.ask("CLIENT SETNAME far", from: other)
    let list = two.ask("CLIENT LIST")
    // Three clients of the router's and the shards' ports on the first worker, two on the second.
    #expect(list.matches(of: /id=\d+ addr/).count == 4, "\(list)")
    #expect(list.contains("name=far"))
    #expect(two.ask("CLIENT KILL ID \(two.second.engine.number(of: other))") == ":1")
    #expect(two.ask("CLIENT KILL ID \(two.second.engine.number(of: other))") == ":0")
    #expect(two.ask("CLIENT KILL 1.2.3.4:5") == "-ERR No such client")
    for key in keys { _ = two.ask("SET \(key) 1") }
    for key in keys {
      let slot = HashSlot.of(Array(key.utf8).span.bytes).index
      #expect(two.ask("CLUSTER COUNTKEYSINSLOT \(slot)") == ":1")
      #expect(two.ask("CLUSTER GETKEYSINSLOT \(slot) 5") == "[\"\(key)\"]")
      #expect(two.ask("CLUSTER GETKEYSINSLOT \(slot) 0") == "[]")
    }
    #expect(two.ask("CLUSTER COUNTKEYSINSLOT 16384") == "-ERR Invalid slot")
    let slow = two.ask("SLOWLOG GET -1")
    for key in keys { #expect(slow.contains("\"SET\", \"\(key)\"")) }
    #expect(two.ask("SLOWLOG GET 1").hasPrefix("[[:"))
    #expect(!two.ask("SLOWLOG GET 1").contains("], [:"))
    let numbers = slow.matches(of: /\[:(\d+), :\d+, :\d+, \[/).compactMap { Int($0.1) }
    #expect(
      numbers.count > keys.count && zip(numbers, numbers.dropFirst()).allSatisfy(>), "\(slow)")
    #expect(two.ask("CONFIG SET slowlog-max-len 3") == "+OK")
    #expect(two.ask("SLOWLOG LEN") == ":3")
    let last = two.ask("SLOWLOG GET -1").matches(of: /\[:(\d+), :\d+, :\d+, \[/)
    #expect(last.count == 3)
    #expect(two.ask("CONFIG SET slowlog-max-len 128") == "+OK")
    #expect(two.ask("LATENCY HISTOGRAM set").contains("\"calls\", :4"))
    #expect(two.ask("LATENCY LATEST") == "[]")
    #expect(two.ask("MEMORY STATS").contains("\"keys.count\", :4"))
    #expect(two.ask("MEMORY DOCTOR").contains("Nothing unusual"))
    #expect(two.ask("LATENCY DOCTOR").hasPrefix("\"Latency monitoring is off"))
    #expect(two.ask("LATENCY GRAPH command") == "-ERR No samples available for event 'command'")
    #expect(two.ask("SLOWLOG RESET") == "+OK")
    #expect(two.ask("CLIENT PAUSE 50 WRITE") == "+OK")
    two.send("GET \(keys[1])\nSET \(keys[1]) 1")
    for _ in 0..<5 { two.pass() }
    #expect(two.first.shownReplies(to: two.client) == "\"1\"")
    let ender = try two.first.connect(to: nil)
    #expect(two.ask("CLIENT UNPAUSE", from: ender) == "+OK")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK")
  }

  @Test func monitorsHearAllWorkers() throws {
    var two = try Two()
    let other = try two.first.connect(to: nil)
    #expect(two.ask("MONITOR", from: other) == "+OK")
    for key in keys { _ = two.ask("SET \(key) heard") }
    two.settle()
    let said = two.first.shownReplies(to: other)
    for key in keys { #expect(said.contains(key)) }
    two.first.engine.disconnect(other)
    two.settle()
    #expect(two.first.engine.listeners == 0 && two.second.engine.listeners == 0)
  }
}
