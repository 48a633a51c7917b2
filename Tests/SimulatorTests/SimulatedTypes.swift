// What the simulated cluster is made of: tables, what a shard is to a slot, commands, messages.

import Sharding
import TestSupport

/// Numbers from a seed, the same on every machine.
struct Numbers: RandomNumberGenerator {
  private var source: SplitMix

  /// The numbers of `seed`.
  init(seed: UInt64) {
    source = SplitMix(state: seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1)
  }

  mutating func next() -> UInt64 { source.next() }

  /// A number from 0, below `bound`.
  mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }

  /// True in so many of 1000 cases.
  mutating func chance(_ perThousand: Int) -> Bool { below(1000) < perThousand }
}

/// A key: its slot, and its rank in hash order among the slot's keys.
struct SimulatedKey: Hashable {
  /// The slot's index.
  let slot: Int
  /// From 0; below a cursor or not.
  let rank: Int

  /// This rank is deleted now and then.
  static let deleted = 3
  /// This rank is only incremented.
  static let counter = 4
  /// As many keys has each slot.
  static let count = 5
  /// Its place in arrays over all keys.
  var index: Int { slot * SimulatedKey.count + rank }
}

/// A slot's keys: a value for each rank, 0 for an absent key.
struct SimulatedTable: Equatable {
  /// The values by rank.
  var values = Array(repeating: 0, count: SimulatedKey.count)

  /// Whether there is no key.
  var isEmpty: Bool { values.allSatisfy { $0 == 0 } }
}

/// Whose a key is while its slot is open.
enum Way: Equatable {
  /// Whoever has it, as `redis-cli` moves slots.
  case presence
  /// The target below the cursor, the source from there on.
  case cursor
}

/// A slot that a shard owns and is giving away key by key.
struct Outgoing: Equatable {
  /// How it is decided whose a key is.
  let way: Way
  /// The shard that is given the slot.
  let target: Int
  /// The keys below are gone.
  var cursor = 0
  /// The keys that went are on their way back.
  var isCancelling = false
}

/// A slot that a shard is being given key by key.
struct Incoming: Equatable {
  /// How it is decided whose a key is.
  let way: Way
  /// The shard that owns the slot.
  let source: Int
  /// The keys below are here.
  var cursor = 0
  /// The keys that came.
  var table = SimulatedTable()
}

/// What a shard has of one slot.
struct Stay {
  /// The table, if the shard is the owner.
  var table: SimulatedTable?
  /// Owner only.
  var outgoing: Outgoing?
  /// Never of an owner.
  var incoming: Incoming?
  /// By rank: keys that `MIGRATE` has sent and not yet heard of.
  var isInFlight = Array(repeating: false, count: SimulatedKey.count)
  /// How often the slot has left.
  var departures = 0
  /// `mergeOnAdopt` alone: what an earlier stay left behind.
  var leftover: SimulatedTable?

  /// Whether the shard is source or target of a move key by key.
  var isOpen: Bool { outgoing != nil || incoming != nil }
}

// MARK: Commands

/// What clients send.
enum SimulatedCommand {
  case get(SimulatedKey)
  case set(SimulatedKey, Int)
  case delete(SimulatedKey)
  case increment(SimulatedKey)
  case getTwo(SimulatedKey, SimulatedKey)
  case setTwo(SimulatedKey, Int, SimulatedKey, Int)
  case watch(SimulatedKey)
  /// Also what ends a MULTI.
  case unwatch
  case multi
  case exec
  /// `RESTORE-ASKING`, which `MIGRATE` sends.
  case restore(SimulatedKey, Int, replaces: Bool)
  /// `CLUSTER SLOTS`.
  case topology
  /// Through the router alone.
  case scan(ScanCursor)

  /// The keys that decide who serves it.
  var keys: [SimulatedKey] {
    switch self {
    case .get(let key), .set(let key, _), .delete(let key), .increment(let key), .watch(let key),
      .restore(let key, _, _):
      [key]
    case .getTwo(let first, let second), .setTwo(let first, _, let second, _): [first, second]
    case .unwatch, .multi, .exec, .topology, .scan: []
    }
  }
}

/// What shards answer.
enum SimulatedReply {
  case values([Int])
  case queued
  case execAborted
  /// A watched key was written, or has left.
  case execNull
  case busyKey
  case moved(slot: Int, to: Int, epoch: Int)
  case ask(slot: Int, to: Int)
  case tryAgain
  case clusterDown
  case topology(ClusterMap)
  /// The keys, and where to go on.
  case scanned([SimulatedKey], ScanCursor)
  /// Nobody listens at this port any more.
  case closed
}

/// A command on its way.
struct SimulatedRequest {
  /// The operation that it is for.
  let operation: Int
  let command: SimulatedCommand
  /// Whether `ASKING` goes before it.
  let isAsking: Bool
  /// When it arrives.
  let due: Int
  /// Whether it had to wait for a key in flight.
  var hasWaited = false
}

/// A client's connection to a shard: both directions are in order.
struct SimulatedConnection {
  /// Whose: a client, or behind those a shard's for `MIGRATE`.
  let client: Int
  let shard: Int
  var requests: [SimulatedRequest] = []
  var replies: [(operation: Int, reply: SimulatedReply, due: Int)] = []
  /// The operations whose replies are to come, in order.
  var pending: [Int] = []
  /// What MULTI has queued, nil outside.
  var queue: [SimulatedCommand]?
  /// `ASKING` before MULTI covers it whole.
  var multiIsAsking = false
  /// A command could not be queued.
  var isAborted = false
  var watches: [(key: SimulatedKey, version: Int, departures: Int)] = []
  /// A watched key was written, or has left.
  var isDirty = false
}

// MARK: Messages

/// Between shards: in the target's mailbox, read in turns and before any refusal.
enum Letter {
  /// A hand-over: tables of the slots that have keys, by the slot's index.
  case tables([(slot: Int, table: SimulatedTable)], Rebalancer.Flip)
  /// The next keys of a move along a cursor.
  case slice(slot: Int, target: Int, Range<Int>, [Int])
  /// Give back whatever came along the cursor.
  case giveBack(slot: Int, target: Int, Rebalancer.Flip)
  /// What came along the cursor.
  case returned(slot: Int, source: Int, SimulatedTable, Rebalancer.Flip)
}

/// From the control plane, from `redis-cli`, or from a shard to itself in a later turn.
enum Order {
  case prepare(Rebalancer.Flip)
  case openImport(Rebalancer.Flip)
  case openMigration(Rebalancer.Flip)
  case slice(Rebalancer.Flip)
  case closeImport(slot: Int, target: Int)
  case handOver(Rebalancer.Flip, ClusterMap)
  case setImporting(slot: Int, at: Int, source: Int)
  case setMigrating(slot: Int, at: Int, target: Int)
  case getKeys(slot: Int, at: Int)
  case migrate(slot: Int, at: Int, ranks: [Int], replaces: Bool)
  case setNode(slot: Int, at: Int)
  case setStable(slot: Int, at: Int)
  /// `copyOfTheMap`: a newer map.
  case map(ClusterMap)
  /// `answerBeforePush`: the rest of a hand-over.
  case release([(slot: Int, table: SimulatedTable)], Rebalancer.Flip, ClusterMap)
  /// `askBeforeSlice`: the push of a slice.
  case push(Letter)
  /// `targetCursorAhead`: the cut of a slice.
  case cut(Rebalancer.Flip, to: Int)
}

/// What a shard answers to `redis-cli`.
enum OperatorReply {
  case ok
  case keys([Int])
  case error
  case busyKey
}
