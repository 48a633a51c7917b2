/// Names one connection of a reactor: its place in the table and which of the place's successive connections it is.
/// A stale one is ignored by every call.
public struct ConnectionID: Sendable, Equatable, Hashable, BitwiseCopyable {
  /// The place in the table: small, dense, used again after `.closed`.
  public let index: UInt32
  let generation: UInt32

  /// Names no connection: what events of listeners and wake-ups carry.
  public static let none = ConnectionID(index: .max, generation: .max)
}

/// One thing that happened, flat and trivial. What its numbers mean depends on `kind`.
public struct Event: Sendable, BitwiseCopyable {
  /// What happened.
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// Nothing (any more): the connection was paused or closed after the event was made. To be skipped.
    case none
    /// A listener has a new connection, `fileDescriptor`, the receiver's to adopt or close. `tag` is the listener's.
    case accepted
    /// Bytes arrived: `Reactor.bytes(of:)`.
    case received
    /// A send is complete, `byteCount` bytes: its memory is the sender's again.
    case sent
    /// A direct receive put `byteCount` bytes at the start of its destination, which is the caller's again.
    case filled
    /// After `beginDirect`: nothing more will come as `.received`; direct receives may start.
    case quiet
    /// The peer sent its last byte (`errno` 0), or receiving or sending failed. To be answered with `close`. Comes at
    /// most once of receiving, and at most once of sending.
    case hungUp
    /// The answer to `close`, exactly once and the connection's last event: nothing of it is in flight, its memory may be freed.
    case closed
    /// Another thread has called `WakeUp.wake()`, once or more often.
    case woken
  }

  /// Where received bytes lie until the end of the turn.
  private let address: UInt
  /// How many bytes were received, sent or filled. (Of `accepted` the descriptor, of `hungUp` the errno.)
  public let byteCount: Int
  /// The connection, if it is one's.
  public let connection: ConnectionID
  /// The tag that the connection was adopted or the listener added with.
  public let tag: UInt32
  /// What happened.
  public internal(set) var kind: Kind

  var start: UnsafeRawPointer? { UnsafeRawPointer(bitPattern: address) }

  /// The new connection of an `accepted` event.
  public var fileDescriptor: Int32 { Int32(truncatingIfNeeded: byteCount) }
  /// Why an `hungUp` event came; 0 is the peer's orderly end.
  public var errno: Int32 { Int32(truncatingIfNeeded: byteCount) }

  init(
    _ kind: Kind, _ connection: ConnectionID, tag: UInt32, byteCount: Int = 0,
    start: UnsafeRawPointer? = nil
  ) {
    address = UInt(bitPattern: start)
    self.byteCount = byteCount
    self.connection = connection
    self.tag = tag
    self.kind = kind
  }
}
