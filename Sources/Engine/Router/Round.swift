internal import RESP
internal import Storage

/// What a router client has under way: the requests of one run of its bytes that need others, and the replies between them. A session
/// that has needed one keeps it.
///
/// ```
/// requests   PING   GET a     GET b     INCR c    MGET a b c
/// pieces     [inline][answers: 2 places][inline ][merged: 3 places]
/// places              [ "…" ][ waits  ]           [ "…" ][waits][ "…" ]
/// ```
/// Replies are written in the order of the pieces, as far as their places are filled.
final class Round {
  /// Where a reply waits for its turn.
  struct Place {
    /// In `store`; −1 bytes: it is not there yet.
    var offset = 0
    var byteCount = -1
    var revision: UInt64 = 0
    var keyCount = 0
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
  }

  var pieces: [Piece] = []
  /// How many pieces are written out.
  var written = 0
  var places: [Place] = []
  var store = ByteBuffer()
  /// Replies of what was run at once since the first hop, and how many bytes of them are in pieces.
  var inline = OutputQueue()
  var inlineByteCount = 0
  /// Groups of hops that are under way.
  var outstanding = 0
  /// What has to be sent or run again before anything else, in the order of the requests to each worker.
  var bounced: [Bounced] = []
  /// The request that waits for the end of the round.
  var putOff: Postponed? = nil
  /// Nothing is tried again before, in Unix milliseconds.
  var notBefore: Int64 = 0
  /// What was known of slots when it began (`RouterState.view`).
  var view: UInt64 = 0
  /// It stands in the list of those that wait for time to pass.
  var isListed = false
  /// The command for all shards that it consists of, kept in case that slots have moved meanwhile; how often that was so.
  var whole = CommandQueue()
  var wholeTries = 0
  /// The worker that watches keys for the client, and of which shard they are; −1 = none.
  var watchWorker = -1
  var watchShard: Int32 = -1

  /// Whether nothing is under way, and nothing waits.
  var isDone: Bool {
    outstanding == 0 && bounced.isEmpty && putOff == nil && written == pieces.count
  }

  /// A new place; the number of it.
  func addPlace() -> Int {
    places.append(Place())
    return places.count - 1
  }

  /// Replies were written inline up to there.
  func endInline(at byteCount: Int) {
    if byteCount == inlineByteCount { return }
    pieces.append(
      Piece(kind: .inline, first: 0, count: byteCount - inlineByteCount, isSilent: false))
    inlineByteCount = byteCount
  }

  /// The reply at a place comes next.
  func add(answerAt place: Int, isSilent: Bool) {
    if let last = pieces.last, case .answers = last.kind, last.isSilent == isSilent,
      last.first + last.count == place
    {
      pieces[pieces.count - 1].count += 1
    } else {
      pieces.append(Piece(kind: .answers, first: place, count: 1, isSilent: isSilent))
    }
  }

  /// Forgets what is over. Watches stay.
  func removeAll() {
    pieces.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    written = 0
    store.empty()
    inlineByteCount = 0
    notBefore = 0
    whole.removeAll()
    wholeTries = 0
  }
}

/// What a worker's engine knows of routing.
struct RouterState {
  /// The mailboxes of all workers, this one's among them; empty where there are no others.
  var peers: [Mailbox] = []
  /// The batch for each worker that is being filled.
  var outgoing: [HopBatch?] = []
  /// Batches that wait to be filled again.
  var free: [HopBatch] = []
  /// What has come and waits to be run, or taken: never while a command runs.
  var arrived: [Arrival] = []
  /// Rounds that wait for time to pass.
  var late: [(client: ClientID, clientNumber: UInt64)] = []
  /// The session that hops run in; −1 before the first.
  var agent: Int32 = -1
  /// Sessions that watch keys for clients of other workers, by the clients' ids.
  var watchers: [UInt64: Int32] = [:]
  /// The client whose requests are run has a round open: replies go into `Round.inline`.
  var hasOpenRound = false
  /// Changes with everything that is learnt of slots: a newer map, tables that were adopted.
  var view: UInt64 = 0

  /// A batch that has come.
  enum Arrival {
    case requests(HopBatch)
    case answers(HopBatch)
  }
}
