import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

private let tag = Two.keys[0]
private let there = "\(tag)there"
private let nowhere = ["\(tag)x", "\(tag)y"]

/// What a client of the router waits for: keys that are on both sides of a slot, or on neither, while it is moved key by key and nobody goes on.
@Suite struct RouterWaitTests {
  /// A slot of the first worker's shard 1, half of it moved to a shard of the second worker or of the same one.
  private static func halfMoved(target: Int, isAtomic: Bool = false) throws -> Two {
    var settings = Settings()
    settings.routerAtomic = isAtomic
    var two = try Two(settings: settings)
    #expect(two.ask("SET \(there) 1") == "+OK")
    try setSlot("IMPORTING \(NodeID.test(1))", at: target, &two)
    try setSlot("MIGRATING \(NodeID.test(target))", at: 1, &two)
    return two
  }

  private static func setSlot(_ change: String, at shard: Int, _ two: inout Two) throws {
    let order = "CLUSTER SETSLOT \(Tag.slot(of: tag)) \(change)"
    switch shard {
    case 1: #expect(two.first.ask(order, from: two.first.client) == "+OK")
    case 2: #expect(two.second.ask(order, from: two.second.client) == "+OK")
    default:
      let client = try two.first.connect(to: 1)
      #expect(two.first.ask(order, from: client) == "+OK")
    }
  }

  @Test(arguments: [2, 3], [false, true]) func keysApart(target: Int, isAtomic: Bool) throws {
    var two = try Self.halfMoved(target: target, isAtomic: isAtomic)
    let began = two.first.engine.milliseconds
    let (x, y) = (nowhere[0], nowhere[1])
    var said = two.ask("MGET \(x) \(y)\nPING")
    #expect(said.hasPrefix("-TRYAGAIN ") && said.hasSuffix(" +PONG"))
    let waited = two.first.engine.milliseconds - began
    #expect(2000...2100 ~= waited)
    // What comes behind does not wait as long again.
    for command in [
      "EXISTS \(there) \(x)", "MSET \(there) 1 \(x) 2", "DEL \(there) \(x)", "UNLINK \(x) \(there)",
      "TOUCH \(x) \(y)", "RENAME \(there) \(x)", "COPY \(there) \(x)", "BITOP NOT \(x) \(there)",
      "MSETNX \(x) 1 \(y) 2", "LCS \(there) \(x)", "WATCH \(x) \(y)",
    ] {
      said = two.ask(command)
      #expect(said.hasPrefix("-TRYAGAIN "), "\(command): \(said)")
    }
    said = two.ask("MULTI\nSET \(there) 2\nGET \(x)\nEXEC\nPING")
    #expect(
      said.contains("-TRYAGAIN ") && said.hasSuffix(" +PONG"),
      "\(said) \(two.first.engine.milliseconds - began)")
    #expect(two.first.engine.milliseconds - began < waited + 1000)
    // Single keys are served all the time.
    #expect(two.ask("GET \(there)\nGET \(x)") == "\"1\" nil")
  }

  /// Caches on the client's side are for clients of the shards, and the endpoint says so.
  @Test func noTracking() throws {
    var two = try Two()
    for word in ["ON", "OFF", "ON BCAST"] {
      let said = two.ask("CLIENT TRACKING \(word)")
      #expect(said.hasPrefix("-ERR CLIENT TRACKING is not available at the configuration endpoint"))
    }
  }

  /// A few tries in the first milliseconds, then fewer.
  @Test func triesBecomeFewer() throws {
    var two = try Self.halfMoved(target: 2)
    two.send("MGET \(nowhere[0]) \(nowhere[1])")
    var tries = 0
    for _ in 0..<1900 {
      two.pass()
      two.first.setTime(two.first.engine.milliseconds + 1)
      two.second.setTime(two.second.engine.milliseconds + 1)
      let before = two.first.engine.router.late.isEmpty
      _ = two.first.housekeep()
      if !before, two.first.engine.router.late.isEmpty { tries += 1 }
    }
    #expect(two.first.shownReplies(to: two.client) == "")
    #expect(10...120 ~= tries)
  }

  @Test(arguments: [2, 3], [false, true]) func whatComesTogetherIsServed(
    target: Int, isAtomic: Bool
  )
    throws
  {
    var two = try Self.halfMoved(target: target, isAtomic: isAtomic)
    two.send("MSET \(there) 2 \(nowhere[0]) 3")
    for _ in 0..<20 { two.pass() }
    #expect(two.first.shownReplies(to: two.client) == "")
    try Self.setSlot("STABLE", at: 1, &two)
    #expect(two.ask("GET \(nowhere[0])") == "+OK \"3\"")
  }

  /// What has not begun ends with its connection, however that ends.
  @Test(arguments: [2, 3], [false, true]) func aClientThatGoes(target: Int, isAtomic: Bool) throws {
    for way in 0..<2 {
      var two = try Self.halfMoved(target: target, isAtomic: isAtomic)
      let client = try two.first.connect(to: nil)
      two.send("DEL \(there) \(nowhere[0])", from: client)
      for _ in 0..<20 { two.pass() }
      two.first.engine.hungUp(client, isBroken: way == 1)
      let duty = two.first.engine.duty(of: client)
      #expect(duty == .close)
      try Self.setSlot("STABLE", at: 1, &two)
      #expect(two.ask("GET \(there)") == "\"1\"")
    }
  }

  /// It ends while its command is at another worker, and comes back unrun.
  @Test func aClientThatGoesMeanwhile() throws {
    var two = try Self.halfMoved(target: 2)
    let client = try two.first.connect(to: nil)
    two.send("DEL \(nowhere[0]) \(nowhere[1])", from: client)
    two.first.engine.sendHops()
    two.first.engine.hungUp(client, isBroken: false)
    for _ in 0..<20 { two.pass() }
    let duty = two.first.engine.duty(of: client)
    #expect(duty == .close)
  }
}
