import Glibc
import Synchronization
import Tern
import TestSupport
import Testing

/// Clusters in this process, over sockets, whose slots move while clients write into them with full pipelines (DESIGN §4, I1–I3, I5), through
/// the shards' ports and through the router's together: no increment lost or doubled, registers linearizable, no second redirect, no error but
/// `MOVED`, none at all from the router, effects of a router client's pipeline in order, no connection closed.
///
/// `TERN_CONSISTENCY_SECONDS` is how long each of them runs, 2 s by default; `TERN_CONSISTENCY_SEED` repeats what clients draw,
/// `TERN_CONSISTENCY_LOG` shows the clusters' logs.
@Suite(.serialized) struct ConsistencyTests {
  private static let seconds = Double(environment("TERN_CONSISTENCY_SECONDS") ?? "") ?? 2
  private static let seed =
    UInt64(environment("TERN_CONSISTENCY_SEED") ?? "") ?? UInt64.random(in: 0 ... .max)
  /// The last one is a client of the router.
  private static let clientCount = 4

  private static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// What the clients have seen, all together.
  private final class Seen: Sendable {
    let clients = Mutex<[StrictClient.Seen]>([])
  }

  /// Runs clients against a new cluster, and `moves` with them, which goes on until the world's time is up. None of them on the threads
  /// that the cluster's control plane needs.
  private func run(
    shards: Int, workers: Int, io: ClusterSettings.IO = .auto, groups: [ClosedRange<Int>],
    isStrict: Bool, _ moves: @escaping @Sendable (inout Mover, World) throws(Broken) -> Void
  ) async throws {
    let (cluster, base) = try await start(shards: shards, workers: workers, io: io)
    let world = World(
      groups: groups, clients: Self.clientCount, isStrict: isStrict, seconds: Self.seconds)
    let seen = Seen()
    var threads = (0..<Self.clientCount).map { index in
      Thread {
        do throws(Broken) {
          let isOfRouter = index == Self.clientCount - 1
          var client = try StrictClient(
            world, index: index, port: isOfRouter ? base : base + 1, seed: Self.seed,
            isOfRouter: isOfRouter)
          try client.run()
          let found = client.seen
          seen.clients.withLock { $0.append(found) }
        } catch { world.fail("client \(index): \(error)") }
        world.ended(index)
      }
    }
    let order = PipelineOrder(world, port: base)
    for body in [order.write, order.look] {
      threads.append(
        Thread { do throws(Broken) { try body() } catch { world.fail("order: \(error)") } })
    }
    await withCheckedContinuation { done in
      threads.append(
        Thread {
          var mover = Mover(world, base: base)
          world.awaitFreshClients(since: world.roundsDone)
          do throws(Broken) { try moves(&mover, world) } catch { world.fail("moves: \(error)") }
          world.stop()
          done.resume()
        })
    }
    for thread in threads { thread.join() }
    judge(seen.clients.withLock { $0 }, world)
    #expect(order.looks > 0)
    await cluster.shutdown()
  }

  @Sendable private static func log(_ line: String) {
    if environment("TERN_CONSISTENCY_LOG") != nil { print(line) }
  }

  private func start(
    shards: Int, workers: Int, io: ClusterSettings.IO
  ) async throws -> (Cluster, Int) {
    var settings = ClusterSettings()
    (settings.shards, settings.workers, settings.io) = (shards, workers, io)
    for _ in 0..<20 {
      let base = Int.random(in: 23_000...31_000)
      settings.port = base
      if let cluster = try? await Cluster.start(settings, log: Self.log) {
        return (cluster, base)
      }
    }
    throw Broken("no free ports")
  }

  private func judge(_ clients: [StrictClient.Seen], _ world: World) {
    let failures = world.failed
    #expect(failures == [], "seed \(Self.seed)")
    if !failures.isEmpty { return }
    for register in clients[0].histories.indices {
      var all = RegisterHistory()
      for client in clients { all.operations += client.histories[register].operations }
      #expect(all.contradiction() == nil, "register \(register), seed \(Self.seed)")
    }
    let commands = clients.reduce(0) { $0 + $1.commands }
    let redirects = clients.reduce(0) { $0 + $1.redirects }
    let asks = clients.reduce(0) { $0 + $1.asks }
    print(
      "\(world.moveCount) moves under \(commands) commands, \(redirects) of them redirected, \(asks) by ASK"
    )
    // Else nothing was tried.
    #expect(world.moveCount > 1)
    #expect(redirects > world.moveCount)
  }

  /// 32 groups of 2 slots, all over the slot space.
  private static let groups = (0..<32).map { n in n * 512 + 100...n * 512 + 101 }

  /// Groups of slots go round the shards, one after the other; each rests until every client has heard where it is.
  @Test(arguments: [ClusterSettings.IO.auto, .epoll])
  func groupsGoRound(io: ClusterSettings.IO) async throws {
    let shards = 5
    try await run(shards: shards, workers: 2, io: io, groups: Self.groups, isStrict: true) {
      (mover, world) throws(Broken) in
      var homes: [Int] = []
      for group in world.groups { homes.append(try mover.owner(of: group.lowerBound)) }
      var rested = [[Int]](repeating: world.roundsDone, count: homes.count)
      while true {
        for (place, group) in world.groups.enumerated() {
          world.awaitFreshClients(since: rested[place])
          if world.isOver { return }
          let target = homes[place] % shards + 1
          try mover.move(group, from: homes[place], to: target)
          homes[place] = target
          rested[place] = world.roundsDone
        }
      }
    }
  }

  /// The same slots move again as soon as they have arrived: a second redirect is allowed where the slot has moved since the first.
  @Test func slotsNeverRest() async throws {
    let shards = 4
    let group = 8000...8063
    try await run(shards: shards, workers: 2, groups: [group], isStrict: false) {
      (mover, world) throws(Broken) in
      var home = try mover.owner(of: group.lowerBound)
      while !world.isOver {
        let target = home % shards + 1
        try mover.move(group, from: home, to: target)
        home = target
      }
    }
  }

  @Test func shardsComeAndGo() async throws {
    try await run(shards: 4, workers: 3, groups: Self.groups, isStrict: true) {
      (mover, world) throws(Broken) in
      while true {
        for count in [8, 4, 6, 3, 4] {
          let rested = world.roundsDone
          try mover.change("RESIZE", "SHARDS", "\(count)")
          world.awaitFreshClients(since: rested)
          if world.isOver { return }
        }
      }
    }
  }

  /// The end of a shard's slots goes to the other shard and back, key by key along a cursor: a command may be asked to go elsewhere once,
  /// too. The weights are such that these slots move, and no others.
  @Test func slotsMoveAlongACursor() async throws {
    let groups = (8151...8191).map { $0...$0 }
    try await run(shards: 2, workers: 2, groups: groups, isStrict: true) {
      (mover, world) throws(Broken) in
      // Enough keys for several slices a slot.
      try mover.fill(perSlot: 60, at: 1)
      let heavy = try mover.nodeID(of: 2)
      while true {
        for weight in ["1.01", "1"] {
          let rested = world.roundsDone
          try mover.change("REBALANCE", "WEIGHT", heavy, weight, "MODE", "INCREMENTAL")
          world.awaitFreshClients(since: rested)
          if world.isOver { return }
        }
      }
    }
  }
}
