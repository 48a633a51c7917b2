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
  var outcome: HopOutcome?
}

/// Hops of one client for one worker: there, and back with what has become of them.
struct HopBatch {
  let client: Int
  /// Where the answers go.
  let origin: Int
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

/// Where a walk goes on: a slot, a place in it, and what there is to be done about keys that move by
/// presence meanwhile.
struct ScanCursor {
  enum Mark: Equatable {
    /// All keys below this place were seen.
    case plain
    /// The slot was open by presence: keys below may be at its target. Which stay of the slot at an
    /// owner that was.
    case first(stay: Int)
    /// All keys of the source were seen, and of the target those below this place.
    case second(stay: Int)
  }

  var slot = 0
  var rank = 0
  var mark = Mark.plain
}

/// A walk by SCAN through all keys, from its first call on.
struct Walk {
  var cursor = ScanCursor()
  /// Keys that were there at the beginning, and how often each had been deleted by then.
  let present: [Bool]
  let deletions: [Int]
  var seen: Set<SimulatedKey> = []
}
