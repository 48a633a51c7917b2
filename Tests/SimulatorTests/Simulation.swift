// A cluster, its clients and its clumsy operator, driven by one seed.
//
// What is real: `verdict`, `Rebalancer` with its plans, `ClusterMap`. What is a model: shards that
// hold five keys a slot in four of the 16384 slots (all others are empty and only change owners),
// workers, mailboxes, sockets, clients.
//
//     clients ⇄ connections ⇄ worker of the shard ── mailbox ──▶ worker of another shard
//                               ▲      │ answers
//     operator ──── orders ─────┤      ▼
//     control plane ── orders ──┘   `Rebalancer.handle` ──▶ actions
//
// In every step one of them does one thing. A worker's thing is what no other thread can come in
// between: one command, one order, one look into the mailbox, or one third of a hand-over. Links
// keep their order and have delays, some of them long; a worker may sleep for a while.
//
// Every command is checked when it is served against what was written last (`truth`), and what
// clients saw is checked at the end by a checker that knows nothing else (`History`).
//
// A run has two phases: in the first anything may happen, in the second nobody asks for anything
// new, the operator repairs what he left behind, and everything has to come to rest.
import Sharding

/// What is drawn from the seed before the first step.
struct SimulationOptions {
  /// How many shards there are at first.
  var shardCount = 3
  var workerCount = 2
  /// Clients with several commands under way.
  var clientCount = 2
  /// Clients with WATCH, MULTI and EXEC.
  var transactorCount = 2
  /// The most that a message usually takes, in steps.
  var delay = 4
  /// In how many of 1000 cases a message takes much longer.
  var slowness = 10
  /// In how many of 1000 steps a worker falls asleep.
  var sleepiness = 4
  /// In how many of 1000 steps of theirs clients do nothing more for a while.
  var clientSleepiness = 1
  /// The longest pause between slices, in steps.
  var slicePause = 1
  /// In how many of 1000 cases a client is stopped between an ASK and ASKING.
  var askLag = 40
  /// How many steps the port of a shard that has left stays open.
  var drainTime = 400
  /// How many steps there are before everything heals.
  var stepCount = 2200
  /// Which jobs are asked for.
  var hasHandOvers = true
  var hasCursorMoves = true
  var hasPresenceMoves = true
  var hasResizes = false
  /// Whether slots are unassigned now and then; their keys are not checked any more.
  var hasUnassigning = false
  /// The slots that are moved, and used most: the first so many.
  var busySlotCount = 4
  /// In how many of 1000 slices there is no memory for the rest of a slot.
  var scarcity = 120
  /// The longest delay, in steps.
  var longDelay = 200
  /// In how many of 1000 steps of the control plane somebody asks it for a job.
  var eagerness = 120
  /// In how many of 1000 cases the operator calls a move off that has just begun.
  var callOffs = 150
  /// Clients of the router's port, and those of them that walk by SCAN and do nothing else.
  var routerClientCount = 1
  var walkerCount = 0
  /// In how many of 1000 cases a batch of hops takes longer still.
  var hopSlowness = 10
  /// In how many of 1000 cases the second half of a walk's call comes when the slot may have gone on.
  var halfSlowness = 10
  /// The most hops in a batch.
  var batchLimit = 4
}

/// One worker: a thread with a mailbox.
struct SimulatedWorker {
  /// What it is in the middle of.
  enum Activity {
    case none
    /// It is about to refuse a command, by this map, and has looked into its mailbox or not.
    case refusing(connection: Int, ClusterMap, hasLooked: Bool)
    /// It has taken these tables, pushed them or not, and is to publish the map.
    case releasing(
      [(slot: Int, table: SimulatedTable)], Rebalancer.Flip, ClusterMap, isPushed: Bool,
      isPublished: Bool)
    /// It runs what a router client has sent, or sends it on; the next of it behind a look or not.
    case routing(client: Int, isBehindLook: Bool)
    /// It runs hops that have come; the next of them behind a look or not.
    case serving(HopBatch, isBehindLook: Bool)
  }

  var activity = Activity.none
  var mail: [Letter] = []
  var orders: [(due: Int, order: Order, ticket: Int?)] = []
  /// When the last order of each link arrives: the control plane's, the operator's, its own.
  var lastDue = [0, 0, 0]
  /// When its last answer to the control plane arrives.
  var lastAnswer = 0
  var asleepUntil = 0
  /// `copyOfTheMap`: what it points by.
  var copy: ClusterMap?
  /// Hops for it, and its own that are answered.
  var hops: [HopBatch] = []
  /// The map that its router knows.
  var known: ClusterMap
  /// Changes with everything that its router learns of slots.
  var view = 0
}

/// One shard, by its port.
struct SimulatedShard {
  /// Which shard listens here; nil if none does.
  var id: ShardID?
  /// What it has of each slot.
  var stays: [Stay]
}

/// The whole world.
struct Simulation {
  /// The slots that have keys.
  static let slots: [HashSlot] = [HashSlot(7), HashSlot(5000), HashSlot(9100), HashSlot(16383)]
  /// No more ports than these.
  static let portCount = 6
  static let keyCount = slots.count * SimulatedKey.count

  let seed: UInt64
  let mutation: SimulationMutation?
  /// Whether workers that sleep are helped (`Simulation+Router.swift`).
  let hasHelp: Bool
  let options: SimulationOptions
  var numbers: Numbers
  var now = 0
  /// Nobody asks for anything new any more.
  var isHealing = false

  var shards: [SimulatedShard]
  var workers: [SimulatedWorker]
  var connections: [SimulatedConnection] = []
  /// The map for all.
  var board: ClusterMap
  /// Who decides who owns what.
  var rebalancer: Rebalancer
  var control = ControlPlane()
  var redisCLI = RedisCLI()

  var clients: [SimulatedClient] = []
  var routerClients: [RouterClient] = []
  var operations: [Operation] = []
  var nextValue = 1
  var history = History()

  /// The last written value of each key, and how often it was written.
  var truth = Array(repeating: 0, count: keyCount)
  var versions = Array(repeating: 0, count: keyCount)
  /// How often each key was deleted.
  var deletions = Array(repeating: 0, count: keyCount)
  /// Keys that a documented hole has taken out of the checks.
  var isExcused = Array(repeating: false, count: keyCount)
  /// Those of them that went with their slot, and may have come anew: walks have to meet them.
  var isDropped = Array(repeating: false, count: keyCount)
  /// How many increments were acknowledged to clients.
  var acknowledgedIncrements = Array(repeating: 0, count: keyCount)
  /// By slot: when it was last open.
  var lastOpen = Array(repeating: -1, count: slots.count)
  /// Slots whose place has changed in this step.
  var touched: [Int] = []

  var probes = Array(repeating: 0, count: Probe.allCases.count)
  /// What was broken first.
  var broken: (check: SimulationCheck, text: String)?
  /// Set to see what happens.
  var isTraced = false

  /// The world of a seed, before the first step.
  init(seed: UInt64, mutation: SimulationMutation? = nil, hasHelp: Bool = false) {
    self.seed = seed
    self.mutation = mutation
    self.hasHelp = hasHelp
    numbers = Numbers(seed: seed)
    var options = SimulationOptions()
    options.shardCount = 2 + numbers.below(3)
    options.workerCount = 1 + numbers.below(3)
    options.clientCount = 1 + numbers.below(3)
    options.transactorCount = numbers.below(4)
    options.delay = 1 + numbers.below(6)
    options.slowness = numbers.chance(500) ? 10 : 90
    options.sleepiness = numbers.chance(500) ? 0 : 4
    options.hasHandOvers = numbers.chance(800)
    options.hasCursorMoves = numbers.chance(700)
    options.hasPresenceMoves = numbers.chance(500)
    options.hasResizes = numbers.chance(200)
    options.hasUnassigning = numbers.chance(150)
    options.busySlotCount = 1 + numbers.below(Simulation.slots.count)
    options.scarcity = numbers.chance(700) ? 120 : 450
    options.longDelay = numbers.chance(500) ? 150 : 500
    options.routerClientCount = numbers.below(3)
    options.walkerCount = numbers.below(2)
    options.batchLimit = 2 + numbers.below(6)
    switch seed % 4 {
    case 0:
      // Slots have gone on by the time that the router hears where they went.
      options.hasHandOvers = true
      options.hasCursorMoves = true
      options.busySlotCount = 1
      options.eagerness = 300
      options.shardCount = 4
      options.workerCount = 2
      options.sleepiness = 12
      options.routerClientCount = 3
      options.transactorCount = 3
      options.hopSlowness = 150
    case 1:
      // One slot to and fro along cursors, with little memory.
      options.hasCursorMoves = true
      options.hasPresenceMoves = false
      options.busySlotCount = 1
      options.shardCount = 2
      options.scarcity = 500
      options.clientCount = 3
      options.askLag = 300
      options.slicePause = 60
    case 2:
      // Shards come and go, and clients are asleep meanwhile.
      options.hasResizes = true
      options.hasPresenceMoves = false
      options.hasCursorMoves = false
      options.clientSleepiness = 8
      options.drainTime = 60
      options.routerClientCount = min(options.routerClientCount, 1)
    case 3:
      // Slots are moved by hand, and walked through meanwhile.
      options.hasPresenceMoves = true
      options.busySlotCount = 1 + options.busySlotCount / 2
      options.walkerCount = 3
      options.workerCount = max(options.workerCount, 2)
      options.routerClientCount = 2
      options.hopSlowness = 300
      options.halfSlowness = 300
      options.callOffs = 350
    default: break
    }
    self.options = options
    let start = Simulation.start(shardCount: options.shardCount)
    board = start.map
    rebalancer = Rebalancer(topology: start, now: 0)
    rebalancer.drainTimeout = Int64(options.drainTime) * 1000
    workers = Array(repeating: SimulatedWorker(known: board), count: options.workerCount)
    shards = (0..<Simulation.portCount).map { index in
      SimulatedShard(
        id: index < start.shards.count ? start.shards[index].id : nil,
        stays: Array(repeating: Stay(), count: Simulation.slots.count))
    }
    for (index, slot) in Simulation.slots.enumerated() {
      if let owner = start.owners[slot] { shards[owner].stays[index].table = SimulatedTable() }
    }
    if mutation == .copyOfTheMap { for index in workers.indices { workers[index].copy = board } }
    for index in 0..<(options.clientCount + options.transactorCount) {
      var client = SimulatedClient(isTransactor: index >= options.clientCount)
      client.map = Simulation.slots.map { start.owners[$0] ?? 0 }
      clients.append(client)
    }
    for index in 0..<(options.routerClientCount + options.walkerCount) {
      routerClients.append(
        RouterClient(
          worker: numbers.below(options.workerCount),
          isWalker: index >= options.routerClientCount))
    }
    for client in 0..<(clients.count + Simulation.portCount) {
      for shard in 0..<Simulation.portCount {
        connections.append(SimulatedConnection(client: client, shard: shard))
      }
    }
  }

  private static func start(shardCount: Int) -> Topology {
    let shards = (1...shardCount).map { number in
      shard(number, generation: UInt32(number), name: number, epoch: ConfigEpoch(1))
    }
    return Topology(
      hashSeed: HashSeed(1, 2), epoch: ConfigEpoch(1), lastGeneration: UInt32(shardCount),
      shards: shards, owners: .uniform(shardCount: shardCount))
  }

  /// The name that shows `number`.
  static func name(_ number: Int) -> NodeID {
    let digits = Array(String(number).utf8)
    let zeros = Array(repeating: UInt8(ascii: "0"), count: 40 - digits.count)
    guard let name = NodeID(hexadecimal: zeros + digits) else { preconditionFailure("40 digits") }
    return name
  }

  private static func shard(
    _ number: Int, generation: UInt32, name: Int, epoch: ConfigEpoch
  ) -> ClusterShard {
    guard let address = EndpointAddress(host: "10.0.0.1", port: UInt16(7000 + number)) else {
      preconditionFailure("an address")
    }
    return ClusterShard(
      id: ShardID(number: UInt16(number), generation: generation), nodeID: Simulation.name(name),
      address: address, epoch: epoch)
  }
}

// MARK: Running

extension Simulation {
  /// Runs until a check is broken or everything has come to rest.
  mutating func run() {
    while broken == nil, now < options.stepCount { step() }
    isHealing = true
    let limit = now + 30_000
    while broken == nil, now < limit, !isAtRest { step() }
    if broken == nil { checkAtRest() }
  }

  private mutating func step() {
    now += 1
    touched.removeAll(keepingCapacity: true)
    let choice = numbers.below(100)
    if choice < 52 {
      stepWorker(numbers.below(workers.count))
    } else if choice < 88 {
      let client = numbers.below(clients.count + routerClients.count)
      if client < clients.count {
        stepClient(client)
      } else {
        stepRouterClient(client - clients.count)
      }
    } else if choice < 96 {
      stepControl()
    } else {
      stepRedisCLI()
    }
    if !touched.isEmpty { checkTouched() }
  }

  /// When a message arrives that is sent now, behind what was sent before it.
  mutating func due(after last: Int) -> Int {
    let time =
      numbers.chance(options.slowness)
      ? 20 + numbers.below(options.longDelay) : 1 + numbers.below(options.delay)
    return max(last, now + time)
  }

  /// The worker that a shard lives on.
  func worker(of shard: Int) -> Int { shard % workers.count }

  /// The index of a shard that is meant by the rebalancer; nil if another listens there by now.
  func port(of id: ShardID) -> Int? {
    let index = Int(id.number) - 1
    return shards[index].id == id ? index : nil
  }

  /// The indexes of those slots of a flip that have keys.
  func slotIndexes(of flip: Rebalancer.Flip) -> [Int] {
    Simulation.slots.indices.filter { index in
      flip.slots.contains {
        $0.first <= Simulation.slots[index] && Simulation.slots[index] <= $0.last
      }
    }
  }

  /// Remembers that a rare thing has happened.
  mutating func hit(_ probe: Probe) { probes[probe.rawValue] += 1 }

  /// Remembers that a check does not hold, if it is the first.
  mutating func fail(_ check: SimulationCheck, _ text: String) {
    guard broken == nil else { return }
    broken = (check, text)
    trace("BROKEN \(check): \(text)")
  }

  /// Says what happens, if anybody listens.
  func trace(_ text: @autoclosure () -> String) { if isTraced { print(now, text()) } }
}
