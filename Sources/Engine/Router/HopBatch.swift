internal import RESP
internal import Sharding
internal import Storage

// Requests of router clients on their way to another worker, and their replies on the way back: one object, which the sender fills, the
// receiver answers in place, and the sender takes back and fills again (`Engine+Router.swift`). Once grown it allocates nothing.
//
//   groups   [ client 7, 3 hops ][ client 9, 1 hop ]
//   hops     [ place 0 ][ place 1 ][ place 2 ] [ place 0 ]
//   queue    the requests, as the queue of a transaction holds them
//   answers  [ done, 5 bytes ][ ask shard 3 ][ again ] [ done, 4 bytes ]
//   replies  + O K \r \n                                $ - 1 …

/// One request that is run on another worker.
struct Hop {
  /// What is to be done with it there.
  enum Kind: UInt8 {
    /// Runs as the shard that has the slot of its keys.
    case keyed
    /// Runs once for all shards of the worker.
    case worker
    /// The transaction `transaction` runs.
    case exec
    /// Keys are watched from now on for that client.
    case watch
    /// That client watches nothing any more. Nobody waits for an answer.
    case unwatch
  }

  var kind = Kind.keyed
  /// It is an EXEC of a client that watches keys on that worker: it can run nowhere else.
  var isWatching = false
  /// How often it has been answered that it could not be run.
  var tries: UInt8 = 0
  /// Where the client's round waits for the reply.
  var place: Int32 = -1
  /// Which of the batch's transactions; −1 = none.
  var transaction: Int32 = -1
  /// The shard that another one has pointed to (`ASK`).
  var asked: ShardID? = nil
}

/// What has become of a hop.
enum HopOutcome: Equatable {
  /// It was run, or refused by the shard that it concerns: its reply is there.
  case done
  /// Its slot is not there: the map says where.
  case elsewhere
  /// Its slot is being given away, and the key may be at this shard by now.
  case ask(ShardID)
  /// It cannot be run at this moment: keys on both sides of a migration or under way, clients paused.
  case later
  /// Not looked at, because one before it of the same client was not run, or because of the length of the replies.
  case again
  /// There was no memory for the replies.
  case lost
}

/// A hop's answer.
struct HopAnswer {
  var outcome = HopOutcome.done
  /// The length of its reply.
  var byteCount = 0
  /// The revision of the map by which it was run, of a hop for a whole worker.
  var revision: UInt64 = 0
  /// Keys of the worker then.
  var keyCount = 0
}

/// What all hops of a client in a batch have in common.
struct HopGroup {
  let client: ClientID
  /// Its id: its place may have another client by the time of the answer.
  let clientNumber: UInt64
  let version: RESPVersion
  /// What it reads does not count as used.
  let leavesClocks: Bool
  /// For the slow log and for monitors.
  let address: String
  /// Its first hop in the batch, and how many it has.
  let first: Int
  var count: Int
}

/// Requests for one worker. See the top of this file.
public final class HopBatch: @unchecked Sendable {
  // Sendable: one thread at a time has it; it goes from one to the next and back through mailboxes, whose locks order their accesses.

  /// The worker that it goes to.
  let worker: Int
  /// Where its answers go.
  let origin: Mailbox
  var queue = CommandQueue()
  var groups: [HopGroup] = []
  var hops: [Hop] = []
  var transactions: [Transaction] = []
  var answers: [HopAnswer] = []
  var replies = OutputQueue()

  init(to worker: Int, from origin: Mailbox) {
    self.worker = worker
    self.origin = origin
  }

  /// Whether no more should be added.
  var isFull: Bool { hops.count >= Self.hopLimit || queue.byteCount >= Self.byteLimit }

  /// Hops and bytes from which on a batch is sent: what a worker does without looking at anything else stays bounded.
  static let hopLimit = 1024
  static let byteLimit = 256 << 10

  /// Forgets everything but the memory.
  func removeAll() {
    queue.removeAll()
    groups.removeAll(keepingCapacity: true)
    hops.removeAll(keepingCapacity: true)
    transactions = []
    answers.removeAll(keepingCapacity: true)
  }
}
