internal import RESP
internal import Storage

/// A client of an engine, named by its place in the session table. A connection keeps its name from accept to close.
public struct ClientID: Hashable, Sendable {
  /// The place in the session table.
  public let index: Int32

  /// The client at a place.
  public init(index: Int32) { self.index = index }
}

/// All that a command can see or change of a client (DESIGN §8).
///
/// An idle session owns no memory beside its place: query buffer and reply queue are empty, names are nil. A test holds its size under 512 bytes.
struct Session: ~Copyable {
  /// The id that `CLIENT ID` tells: n × workers + w, never reused.
  let id: UInt64
  /// The worker-local shard that it speaks to; `endpoint` at the configuration endpoint.
  var shard: Int32
  /// Two or three.
  var version: RESPVersion = .two
  /// What stands in the way of simply running the next command.
  var mode: Mode = []
  /// Where the parser is in a request that has not fully arrived.
  var parser = RequestParser()
  /// The bytes of requests that have arrived but were not run yet.
  var query = ByteBuffer()
  /// Replies that were not sent yet.
  var output = OutputQueue()
  /// Bulks of the arriving request that lie in allocations of their own, and how many bytes of them have arrived.
  var large: [HeldBulk] = []
  var largeByteCount = 0
  /// What it has in MULTI or while it watches keys.
  var transaction: Transaction? = nil
  /// What a client of the router has had under way; nil before the first time.
  var round: Round? = nil
  /// Wishes that the server has to carry out.
  var wish: Wish = []
  /// Unix milliseconds of connection and of the last sign of life: bytes that came, or replies that the peer took.
  let connectedAt: Int64
  var lastActiveAt: Int64
  /// Commands run, bytes received, bytes of replies made.
  var commandCount: UInt64 = 0
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0
  /// The id of the last command, for CLIENT INFO; nil before the first.
  var lastCommand: CommandID? = nil
  /// CLIENT SETNAME and SETINFO; nil = never set.
  var name: String? = nil
  var libraryName: String? = nil
  var libraryVersion: String? = nil
  /// CLIENT NO-EVICT: it is not closed because of `maxmemory-clients`.
  var isSpared = false
  /// How it is told of changes to keys; nil = not at all.
  var tracking: TrackingState? = nil
  /// The peer's and our own address, `host:port`.
  var address: String
  let localAddress: String
  let fileDescriptor: Int32

  /// The shard of a session at the configuration endpoint: no slot table names it.
  static let endpoint: Int32 = -2
  /// That of a session without a connection, which runs requests of other workers' clients.
  static let agent: Int32 = -3

  init(
    id: UInt64, shard: Int32, address: String, localAddress: String, fileDescriptor: Int32,
    now: Int64
  ) {
    self.id = id
    self.shard = shard
    self.address = address
    self.localAddress = localAddress
    self.fileDescriptor = fileDescriptor
    connectedAt = now
    lastActiveAt = now
  }

  /// States in which a command is not simply run. Room for subscriptions and blocking.
  struct Mode: OptionSet {
    let rawValue: UInt16
    /// The next command may touch a slot that is being imported.
    static let asking = Mode(rawValue: 1)
    /// READONLY was sent: reads may go to a replica.
    static let readonly = Mode(rawValue: 2)
    /// A control request of this client is under way; nothing runs until it is answered.
    static let parked = Mode(rawValue: 4)
    /// Nothing more is read or run; replies are sent, then the connection is closed.
    static let closing = Mode(rawValue: 8)
    /// More replies wait than the limit allows; nothing runs until some are sent.
    static let outputFull = Mode(rawValue: 16)
    /// Commands are queued until EXEC.
    static let multi = Mode(rawValue: 32)
    /// It has to authenticate, if there is a password by then.
    static let unauthenticated = Mode(rawValue: 64)
    /// No replies (CLIENT REPLY OFF).
    static let replyOff = Mode(rawValue: 128)
    /// No reply to the next command; none to the one that runs (CLIENT REPLY SKIP).
    static let skipNext = Mode(rawValue: 256)
    static let skipping = Mode(rawValue: 512)
    /// It is told every command of its shard, and may touch no key.
    static let monitor = Mode(rawValue: 1024)
    /// Its shard's clients are paused, all of their commands or those that write.
    static let paused = Mode(rawValue: 2048)
    /// What it reads counts as not having been used (CLIENT NO-TOUCH).
    static let noTouch = Mode(rawValue: 4096)
    /// It speaks to all shards, by way of the configuration endpoint.
    static let router = Mode(rawValue: 8192)
    /// Requests of it are under way to other workers; nothing runs until they are answered.
    static let routing = Mode(rawValue: 16384)
    /// Any of these concerns the replies.
    static let quiet: Mode = [.replyOff, .skipNext, .skipping]
    /// Any of these stops the session's commands.
    static let stopped: Mode = [.parked, .closing, .outputFull, .routing]
  }

  /// What the server is to do about a session.
  struct Wish: OptionSet {
    let rawValue: UInt16
    /// It stands in the engine's list.
    static let listed = Wish(rawValue: 1)
    /// Its replies are lent to the reactor.
    static let sending = Wish(rawValue: 2)
    /// Its connection is to be closed, now or once the replies are sent.
    static let close = Wish(rawValue: 4)
    /// Reading has been stopped.
    static let paused = Wish(rawValue: 8)
    /// Its bytes go straight into a large argument.
    static let direct = Wish(rawValue: 16)
    /// The peer sends nothing more: its connection is closed once all that it asked for is answered.
    static let ended = Wish(rawValue: 32)
    /// Nothing more can be sent, or is to be: the connection is closed at once.
    static let broken = Wish(rawValue: 64)
    /// Its replies must not leave yet: the last one is of an EXEC whose changes are not in force everywhere.
    static let held = Wish(rawValue: 128)
    /// More of what it has sent is run as soon as requests of it that are under way are answered: its replies leave together.
    static let gathering = Wish(rawValue: 256)
    /// Any of these keeps its replies where they are.
    static let kept: Wish = [.sending, .held, .gathering]
  }
}
