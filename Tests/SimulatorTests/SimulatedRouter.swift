// What the simulated router is made of: its clients, hops between workers, and what becomes of them.
import Sharding

/// What is to be done with a router client's command, as far as a worker knows.
enum SimulatedRoute {
  /// It runs here, as that shard.
  case here(shard: Int, isAsking: Bool)
  /// It goes to that worker, with `ASKING` to that shard if there is one.
  case there(worker: Int, asked: Int?)
  /// It cannot be run at this moment.
  case later
  /// Nobody has its slot.
  case down
}

/// What a worker tells of a hop.
enum HopOutcome {
  case done(SimulatedReply)
  /// Its slot is not there: the map says where.
  case elsewhere
  /// Its slot is being given away, and the key may be at this shard by now.
  case ask(Int)
  /// It cannot be run at this moment.
  case later
  /// Not looked at, because one before it was not run, or because of the length of the replies.
  case again
  /// The first half of a SCAN was run.
  case half(ScanHalf)
}

/// A router client's command on its way between workers.
struct Hop {
  /// Whose, and which one of the client's commands.
  let client: Int
  let number: Int
  let operation: Int
  let command: SimulatedCommand
  /// The shard that is to take it as with `ASKING`.
  var asked: Int?
  /// The shard that had the slot by the map that it was sent by.
  var expected: Int?
  /// How often it came back unrun.
  var tries = 0
  /// What a SCAN has found at a source, of which this is the second half.
  var half: ScanHalf?
  /// How often in a row it began again while this was the board's map.
  var beginnings = 0
  var epoch: ConfigEpoch?
  var outcome: HopOutcome?
}

/// Hops of one client for one worker: there, and back with what has become of them.
struct HopBatch {
  let client: Int
  /// Where the answers go, and where it goes first.
  let origin: Int
  let target: Int
  var hops: [Hop]
  /// When it arrives.
  var due: Int
  /// The first hop that was not looked at.
  var next = 0
  /// One was not run: those behind it come back, too.
  var isBroken = false

  /// Whether it is on its way back.
  var isAnswered: Bool { next == hops.count }
}

/// A client of the router's port, and what its worker has of it.
struct RouterClient {
  /// Where its connection is.
  let worker: Int
  /// Whether it walks by SCAN, one call at a time, and does nothing else.
  let isWalker: Bool

  // The client.

  /// The operations whose replies are to come, in order.
  var pending: [Int] = []
  var replies: [(operation: Int, reply: SimulatedReply, due: Int)] = []
  /// How many commands it has sent.
  var sentCount = 0
  var walk: Walk?
  var asleepUntil = 0

  // Its worker.

  /// What was sent and not begun.
  var requests: [(due: Int, hop: Hop)] = []
  /// Replies to come, in order.
  var places: [(operation: Int, reply: SimulatedReply?)] = []
  /// What is gathered for each worker.
  var lanes: [Int: [Hop]] = [:]
  /// Batches in flight.
  var outstanding = 0
  /// Which workers they are bound for, and whether anything in them writes.
  var boundFor: Set<Int> = []
  var hasWrites = false
  /// What was known of slots when the first of them was sent.
  var view = 0
  /// What came back unrun, in the order of the requests; it is sent again before anything else.
  var bounced: [Hop] = []
  var isRetrying = false
  /// How often in a row the next command could not be run, though its slot was not open.
  var idleTries = 0
  /// Nothing is tried before.
  var notBefore = 0

  // The checks.

  /// The highest number of what has been served, of what has written, and by key.
  var lastServed = 0
  var lastWrite = 0
  var lastOfKey = Array(repeating: 0, count: Simulation.keyCount)

  init(worker: Int, isWalker: Bool) {
    self.worker = worker
    self.isWalker = isWalker
  }

  /// Whether it waits for nothing.
  var isAtRest: Bool { pending.isEmpty && requests.isEmpty && walk == nil }

  /// Whether a command that runs at or goes to `worker` may do so while others are in flight (I5).
  func mayGo(isRead: Bool, to worker: Int) -> Bool {
    boundFor.isEmpty || boundFor == [worker] || (!hasWrites && isRead)
  }
}

extension SimulatedCommand {
  /// Whether it leaves everything as it is.
  var isRead: Bool {
    switch self {
    case .get, .getTwo, .scan, .watch, .topology: true
    case .set, .delete, .increment, .setTwo, .unwatch, .multi, .exec, .restore: false
    }
  }

  /// The slot that decides which worker a router client's command goes to.
  var slot: Int {
    if case .scan(let cursor) = self { return cursor.slot }
    return keys[0].slot
  }
}

// MARK: Walks

/// Where a walk goes on: a slot, and a place in it.
struct ScanCursor: Comparable {
  var slot = 0
  var rank = 0

  /// Behind the last slot.
  static let end = ScanCursor(slot: Simulation.slots.count)

  /// Whether a client takes it for the end: as a number this is 0, as the beginning is.
  var isEnd: Bool { self == .end || self == ScanCursor() }

  /// Behind the last rank of a slot is the next one.
  var normal: ScanCursor { rank < SimulatedKey.count ? self : ScanCursor(slot: slot + 1) }

  static func < (a: ScanCursor, b: ScanCursor) -> Bool { (a.slot, a.rank) < (b.slot, b.rank) }
}

/// The first half of a SCAN in a slot that is given away by presence.
struct ScanHalf {
  /// Where the second half is.
  let target: Int
  /// The map's that the source's worker knew.
  let epoch: ConfigEpoch
  var keys: [SimulatedKey]
  var end: ScanCursor
  /// `scanSecondHalfFirst`: the source, which is still to be walked through.
  var source: Int?
}

/// A walk by SCAN through all keys, from its first call on.
struct Walk {
  var cursor = ScanCursor()
  /// Keys that were there at the beginning, and how often each had been deleted by then.
  let present: [Bool]
  let deletions: [Int]
  var seen: Set<SimulatedKey> = []
}
