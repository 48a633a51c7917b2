internal import RESP
internal import Sharding
internal import Storage

// What a router client has under way: the requests of one run of its bytes that need others, and the replies between them.
//
//   requests   PING   GET a     GET b     INCR c    MGET a b c
//   pieces     [inline][answers: 2 places][inline ][merged: 3 places]
//   places              [ "…" ][ waits  ]           [ "…" ][waits][ "…" ]
//
// Replies are written in the order of the pieces, as far as their places are filled. Where all replies of a round come back together and in
// order, as those of a pipeline to one worker do, there is nothing to be filled: they are copied once, from the batch to the client.
//
// The round of the client whose requests are run lies in `RouterState.round`, all others in their sessions: as with replies, so that a
// command on its way finds it in a field of the engine.

/// Replies to come, and what waits for them.
struct RoundState: ~Copyable {
  /// Where a reply waits for its turn.
  struct Place {
    /// In `store`; or next in `inline`.
    var offset = Self.inline
    /// −1: it is not there yet.
    var byteCount = -1
    /// So much of the first half of a SCAN is there; the second is awaited.
    var halfByteCount = 0
    var revision: UInt64 = 0
    var keyCount = 0

    static let inline = -1
  }

  /// A stretch of replies.
  struct Piece {
    enum Kind {
      /// So many bytes of `inline`.
      case inline
      /// So many places, one reply each.
      case answers
      /// So many places that make one reply.
      case merged(ReplyMerge, CommandID)
    }
    let kind: Kind
    /// The first place.
    var first: Int
    /// Bytes or places.
    var count: Int
    /// The client wants no replies to these (CLIENT REPLY).
    let isSilent: Bool
  }

  /// A request that came back without having been run.
  struct Bounced {
    let batch: HopBatch
    let index: Int
    let outcome: HopOutcome

    /// The place of its reply, which says how it stands to others.
    var place: Int32 { batch.load.hops[index].place }
  }

  var pieces = Pile<Piece>()
  /// How many pieces are written out.
  var written = 0
  /// How many places there are; they are in `places` once one of them is filled.
  var placeCount = 0
  var places = Pile<Place>()
  var store = ByteBuffer()
  /// Replies of what was run at once since the first hop, and how many bytes of them are in pieces or places.
  var inline = OutputQueue()
  var inlineByteCount = 0
  /// Groups of hops that are under way.
  var outstanding = 0
  /// The worker that all requests sent since the round began are bound for; `noWorker` before the first, or where no order is asked for;
  /// or `severalWorkers`.
  var target = Self.noWorker
  /// Whether all of them only read.
  var readsOnly = true

  static let noWorker = -1
  static let severalWorkers = -2
  /// What has to be sent or run again before anything else, in the order of the requests to each worker.
  var bounced: [Bounced] = []
  /// The request that waits for the end of the round.
  var putOff: Postponed? = nil
  /// Nothing is tried again before, in Unix milliseconds.
  var notBefore: Int64 = 0
  /// What was known of slots when it began (`RouterState.view`).
  var view: UInt64 = 0
  /// The command for all shards that it consists of, kept in case that slots have moved meanwhile; how often that was so.
  var whole = CommandQueue()
  var wholeTries = 0

  /// Whether nothing is under way, and nothing waits.
  var isDone: Bool {
    outstanding == 0 && bounced.isEmpty && putOff == nil && written == pieces.count
  }

  /// A request is sent on its way.
  @inline(__always)
  mutating func note(target worker: Int, readsOnly: Bool) {
    if worker == target {
      self.readsOnly = self.readsOnly && readsOnly
    } else {
      self.readsOnly = target == Self.noWorker ? readsOnly : self.readsOnly && readsOnly
      target = target == Self.noWorker ? worker : Self.severalWorkers
    }
  }

  /// Whether a request for a worker may run while those that were sent are under way: its effect cannot come before theirs.
  @inline(__always)
  func mayRun(on worker: Int, readsOnly: Bool) -> Bool {
    target == Self.noWorker || target == worker || self.readsOnly && readsOnly
  }

  /// A new place; the number of it.
  @inline(__always)
  mutating func addPlace() -> Int {
    placeCount &+= 1
    return placeCount &- 1
  }

  /// All places are in `places`.
  mutating func layPlaces() {
    while places.count < placeCount { places.append(Place()) }
  }

  /// The reply at a place, as far as it is in the store.
  @_lifetime(borrow self)
  func bytes(at place: Int) -> RawSpan {
    let offset = places[place].offset
    let byteCount = places[place].byteCount
    if byteCount <= 0 || offset < 0 { return store.bytes.extracting(0..<0) }
    return store.bytes.extracting(offset..<offset + byteCount)
  }

  /// Whether the reply at a place is an error.
  func isError(at place: Int) -> Bool {
    let reply = bytes(at: place)
    return reply.byteCount > 0 && reply.byte(at: 0) == 45
  }

  /// Replies were written inline up to there.
  @inline(__always)
  mutating func endInline(at byteCount: Int) {
    if byteCount == inlineByteCount { return }
    pieces.append(
      Piece(kind: .inline, first: 0, count: byteCount - inlineByteCount, isSilent: false))
    inlineByteCount = byteCount
  }

  /// The reply at a place comes next.
  @inline(__always)
  mutating func add(answerAt place: Int, isSilent: Bool) {
    let last = pieces.count &- 1
    if last >= 0, case .answers = pieces[last].kind, pieces[last].isSilent == isSilent,
      pieces[last].first &+ pieces[last].count == place
    {
      pieces[last].count &+= 1
    } else {
      pieces.append(Piece(kind: .answers, first: place, count: 1, isSilent: isSilent))
    }
  }

  /// Whether its replies are those of one group of hops, with nothing else to be waited for.
  func consists(of group: HopGroup) -> Bool {
    outstanding == 1 && placeCount == group.count && group.count > 0 && places.isEmpty
      && written == 0
      && putOff == nil && bounced.isEmpty && whole.requests.isEmpty
  }

  /// Forgets what is over.
  mutating func removeAll() {
    pieces.removeAll()
    places.removeAll()
    placeCount = 0
    written = 0
    store.empty()
    inlineByteCount = 0
    outstanding = 0
    target = Self.noWorker
    readsOnly = true
    notBefore = 0
    if !whole.requests.isEmpty { whole.removeAll() }
    wholeTries = 0
  }
}

/// What a session of a router client has beside an ordinary one; one that has needed it keeps it.
final class Round {
  /// Empty while it lies in `RouterState.round`.
  var state = RoundState()
  /// It stands in the list of those that wait for time to pass.
  var isListed = false
  /// The workers that watch keys for the client, this one among them, and the slot of the first key.
  var watchWorkers: [Int] = []
  var watchSlot = -1

  /// A worker watches keys for the client.
  func watch(at worker: Int) {
    if !watchWorkers.contains(worker) { watchWorkers.append(worker) }
  }
  /// Since when a request of the client has been waiting for what others do, and when one was given up, in Unix milliseconds; 0 = never.
  var waitingSince: Int64 = 0
  var gaveUpAt: Int64 = 0
}

/// A SCAN in a slot that is moved key by key from outside: the source has been walked, or has to be, and then the target.
struct ScanHalf: Equatable {
  let target: ShardID
  /// The map's, when the source was walked.
  let epoch: ConfigEpoch
  var isSecond = false
}

/// Where one key of a command over many goes.
struct Way {
  var slot: Int
  var hash: KeyHash
  var route: Route
}

/// What a worker's engine knows of routing.
struct RouterState: ~Copyable {
  /// The mailboxes of all workers, this one's among them; empty where there are no others.
  var peers: [Mailbox] = []
  /// What is gathered for each worker; empty before the first hop.
  var lanes = Pile<HopLoad>()
  /// One of them is to be sent as soon as its last client has done.
  var hasFullLane = false
  /// Batches that wait to be filled again.
  var free: [HopBatch] = []
  /// What has come and waits to be run, or taken: never while a command runs.
  var arrived: [Arrival] = []
  /// Rounds that wait for time to pass.
  var late: [(client: ClientID, clientNumber: UInt64)] = []
  /// The first of them is tried again then, in Unix milliseconds.
  var nextLate = Int64.max
  /// The session that hops run in; −1 before the first.
  var agent: Int32 = -1
  /// Clients of other workers that are told every command.
  var monitors: [RemoteMonitor] = []
  /// Sessions that watch keys for clients of other workers, by the clients' ids.
  var watchers: [UInt64: Int32] = [:]
  /// The round of the client whose requests are run, if `hasOpenRound`, or of the one that is gone on with.
  var round = RoundState()
  /// The client whose requests are run has a round open: replies go into `RoundState.inline`.
  var hasOpenRound = false
  /// Changes with everything that is learnt of slots: a newer map, tables that were adopted.
  var view: UInt64 = 0
  /// The worker of each shard of the map, by its index there.
  var workers = Pile<Int32>()
  /// Clients whose rounds can go on at once.
  var ready: [(client: ClientID, clientNumber: UInt64)] = []
  /// Whose turn it is to stop workers, and what is known of it here (`Engine+Joint.swift`).
  var turn = JointTurn()
  var hasTurn = false
  var awaitsTurn = false
  var isGoingOnJointly = false
  /// The command that stops workers, of a client of this one; those that wait for the turn; what others have said.
  var joint: Joint?
  var jointQueue: [(client: ClientID, clientNumber: UInt64)] = []
  var jointMessages: [JointMessage] = []
  /// What this worker has stopped for, and the number of that joint command.
  var stoppedFor: HopBatch?
  var stopNumber: UInt64 = 0
  /// Mail that came meanwhile and would change what the command has been promised: it is read when the worker goes on.
  var keptMail: [MailboxMessage] = []
  var isStoppedItself = false
  /// What the SCAN that is run is the second half of, or what is its second half.
  var scanHalf: ScanHalf?
  /// What is run has been admitted as a whole.
  var runsJointly = false
  /// Some client has more to run as soon as what goes to other workers now is answered.
  var isFollowed = false
  /// There may be word of another worker very soon: requests behind those that were answered, or the answers to those.
  var expectsWord = false
  /// The request at hand is to be run when the round is over, and lies in the client's bytes until then.
  var leavesRequest = false
  /// What a command over many keys is dealt out with.
  var ways = Pile<Way>()
  var ranges = Pile<ArgumentRange>()

  /// A batch that has come.
  enum Arrival {
    case requests(HopBatch)
    case answers(HopBatch)
  }
}
