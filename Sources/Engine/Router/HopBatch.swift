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
//
// What is in a batch is a struct of its own, which whoever works with it takes out of the object: a class's properties are checked for
// exclusive access every time, and this is touched several times a command.

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
  /// Of a client that watches keys on that worker: its EXEC can run nowhere else, and its WATCH is not the first.
  var isWatching = false
  /// How often it has been answered that it could not be run.
  var tries: UInt8 = 0
  /// Where the client's round waits for the reply.
  var place: Int32 = -1
  /// Which of the batch's transactions; −1 = none.
  var transaction: Int32 = -1
  /// The shard that another one has pointed to (`ASK`).
  var asked: ShardID? = nil
  /// It is the second half of a SCAN; the reply to the first is at its place.
  var half: ScanHalf? = nil
}

/// What has become of a hop.
enum HopOutcome: Equatable {
  /// It was run, or refused by the shard that it concerns: its reply is there.
  case done
  /// Its slot is not there: the map says where.
  case elsewhere
  /// Its slot is being given away, and the key may be at this shard by now.
  case ask(ShardID)
  /// It is a SCAN of which the first half was run.
  case half(ScanHalf)
  /// It cannot be run at this moment: a key is under way, clients are paused.
  case later
  /// The same, for its keys are on both sides of a slot that is moved key by key.
  case split
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
}

/// What all hops of a client in a batch have in common.
struct HopGroup {
  let client: ClientID
  /// Its worker.
  let worker: Int
  /// Its id: its place may have another client by the time of the answer.
  let clientNumber: UInt64
  let version: RESPVersion
  /// What it reads does not count as used.
  let leavesClocks: Bool
  /// Whether the client waits for answers.
  let isAwaited: Bool
  /// For the slow log and for monitors.
  let address: String
  /// Its first hop in the batch, and how many it has.
  let first: Int
  var count: Int
  /// Whether all of them were run, and how long their replies are together.
  var isDone = true
  var byteCount = 0
  /// The revision of the map by which a command for the whole worker was run, and the keys of the worker then.
  var revision: UInt64 = 0
  var keyCount = 0
}

/// Requests for one worker, and what has become of them. See the top of this file.
struct HopLoad: ~Copyable {
  var queue = CommandQueue()
  var groups = Pile<HopGroup>()
  var hops = Pile<Hop>()
  var answers = Pile<HopAnswer>()
  var transactions: [Transaction] = []
  var replies = OutputQueue()
  /// All of them are short work.
  var isBrief = true

  /// Whether no more should be added.
  var isFull: Bool { hops.count >= Self.hopLimit || queue.byteCount >= Self.byteLimit }

  /// Hops and bytes from which on a batch is sent: what a worker does without looking at anything else stays bounded.
  static let hopLimit = 1024
  static let byteLimit = 256 << 10

  /// Adds a hop whose request is in the queue already. Whether the last group is that client's, and has it.
  @inline(__always)
  mutating func append(
    _ hop: Hop, isBrief: Bool, isAwaited: Bool, of index: Int32, _ clientNumber: UInt64
  ) -> Bool {
    hops.append(hop)
    if !isBrief { self.isBrief = false }
    let last = groups.count &- 1
    if last < 0 || groups[last].client.index != index
      || groups[last].clientNumber != clientNumber || groups[last].isAwaited != isAwaited
    {
      return false
    }
    groups[last].count &+= 1
    return true
  }

  /// Forgets everything but the memory. The replies were taken before.
  mutating func removeAll() {
    queue.removeAll()
    groups.removeAll()
    hops.removeAll()
    answers.removeAll()
    isBrief = true
    if !transactions.isEmpty { transactions = [] }
  }
}

/// What goes from worker to worker and back.
public final class HopBatch: @unchecked Sendable {
  // Sendable: one thread at a time has it; it goes from one to the next and back through mailboxes, whose locks order their accesses.

  /// The worker that it goes to.
  var worker = 0
  /// Where its answers go.
  let origin: Mailbox
  var load = HopLoad()
  /// More comes as soon as it is answered.
  var isFollowed = false
  /// Of a command that stops workers (`Engine+Joint.swift`): its number, what the worker says to it, whether it stays stopped afterwards, whether the
  /// keys must be absent, whether it is a transaction, and the client whose watched keys must not have changed.
  var joint: UInt64 = 0
  var verdict = JointVerdict.ready
  var isHeld = false
  var needsAbsence = false
  var isTransaction = false
  var watcher: UInt64?

  init(from origin: Mailbox) { self.origin = origin }
}
