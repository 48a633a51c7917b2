/// What the reactor knows of one connection: one cache line. All zero is a place never used.
struct Connection {
  /// What a connection is doing.
  struct Flags: OptionSet {
    let rawValue: UInt32
    /// The place is taken.
    static let used = Flags(rawValue: 1 << 0)
    /// `close` was called: only `.closed` is still to come.
    static let closing = Flags(rawValue: 1 << 1)
    /// `pause` was called.
    static let paused = Flags(rawValue: 1 << 2)
    /// `beginDirect` was called.
    static let direct = Flags(rawValue: 1 << 3)
    /// A direct receive has a destination.
    static let filling = Flags(rawValue: 1 << 4)
    /// Receiving ended for good: the peer's end or an error.
    static let ended = Flags(rawValue: 1 << 5)
    /// A send is under way.
    static let sending = Flags(rawValue: 1 << 6)
    /// In the queue of what is due at the start of the next turn.
    static let due = Flags(rawValue: 1 << 7)
    /// `.quiet` is to be said.
    static let quietDue = Flags(rawValue: 1 << 8)
    /// `.hungUp` is to be said, as soon as what was kept has gone before it.
    static let hungUpDue = Flags(rawValue: 1 << 9)
    /// `.hungUp` was said.
    static let hungUpSaid = Flags(rawValue: 1 << 10)
    /// io_uring: a multishot receive is in the kernel.
    static let receiving = Flags(rawValue: 1 << 11)
    /// io_uring: its cancel is on the way.
    static let cancelling = Flags(rawValue: 1 << 12)
    /// In the queue of those whose turn it is to receive: io_uring to be armed, epoll to be read.
    static let queued = Flags(rawValue: 1 << 13)
    /// io_uring: the send says nothing if it succeeds at once.
    static let silent = Flags(rawValue: 1 << 14)
    /// epoll: there may be something to read.
    static let readable = Flags(rawValue: 1 << 15)
    /// epoll: the peer's end or an error was seen; reading goes on until it is met.
    static let peerDone = Flags(rawValue: 1 << 16)
    /// epoll: the send waits for room.
    static let blocked = Flags(rawValue: 1 << 17)
    /// A send has failed.
    static let broken = Flags(rawValue: 1 << 18)
  }

  /// Which of the place's successive connections this is.
  var generation: UInt32 = 0
  var fd: Int32 = -1
  var tag: UInt32 = 0
  var flags: Flags = []
  /// Operations of which the kernel still owes the last completion.
  var inFlight: UInt16 = 0
  /// The errno of a `hungUp` that is due.
  var errno: UInt16 = 0
  /// How many bytes the direct receive may still put at `destination`.
  var destinationCount: UInt32 = 0
  /// What is left of the send under way.
  var sendStart: UnsafeRawPointer?
  var sendLeft: Int = 0
  /// The send's whole size.
  var sendCount: Int = 0
  var destination: UnsafeMutableRawPointer?
  /// `Kept`, if any.
  var kept: UnsafeMutableRawPointer?
}
