import CLinux
import Glibc

/// A worker's input and output: one turn after the other, pulled.
///
///     loop:  turn(timeout:)      submits what was queued, waits once, fills the array of events
///            event(i) …          the caller takes them in order, reads bytes(of:), calls send, pause, close …
///            endTurn()           buffers go back; the caller takes the events that this added, from the number that turn gave
///                                to the one that this gives
///
/// **A connection's life.**
///
///     adopt ──▶ receiving ◀──resume── paused          beginDirect ──▶ .quiet ──▶ receive(into:) ──▶ .filled ─┐
///                   │  ────pause────▶                                    ▲ ─────────────────────────────────┘
///                   │                                                    └── endDirect ──▶ receiving
///                   ▼
///     .hungUp (the peer ended or failed) ──▶ close ──▶ .closed
///
/// - Bytes arrive as `.received`, in order, and are lent until `endTurn`.
/// - After `pause` no `.received` is handed out until `resume`, not even those of the same turn; they are kept and come first
///   after `resume`.
/// - One `send` at a time. Its bytes stay untouched until `.sent`, or `.closed`. If it fails, `.hungUp` with its errno comes instead:
///   at once, also of a paused connection, and also after a `.hungUp` without one.
///   An `awaited` send is told of as soon as it is done. One that is not is told of with whatever happens next, and does not
///   keep the turn from waiting for that: the right way for the last bytes that a connection has to say for now, and
///   1 enter a turn instead of 2. Who has more to send, or closes when all is sent, awaits.
/// - Big bulks go where they belong without being copied: after `beginDirect` what is on the way still comes as `.received`,
///   then `.quiet` says that the stream is between receives. From there `receive(_:into:)` fills one destination once: `.filled`
///   tells with how many bytes (at least 1), the destination is the caller's again and the next may lie elsewhere. Not to call
///   it is to pause. `endDirect` (with none under way) goes back to `.received`.
/// - Of receiving `.hungUp` comes at most once, behind every byte that came before it. The connection stays until `close`.
/// - After `close` the only event to come of the connection is `.closed`: exactly once, in a later turn, when the kernel has let
///   go of all its memory. What was not sent is dropped. From `close` on its name is stale: every call ignores it.
///
/// **Threads.** A reactor is created, used and destroyed by one thread (io_uring is told so). Others have `wakeUp`.
/// **Memory.** 64 bytes a connection that has ever been, 4 MiB of buffers touched as they are used, some 200 KiB of rings.
/// A connection that is silent holds nothing else.
/// **Limits.** `ReactorLimits`. Without descriptors (EMFILE) accepting rests for 20 ms, or until a connection closes.
@safe public struct Reactor: ~Copyable {
  /// Which of the kernel's interfaces it uses.
  public let backend: Backend
  /// With which other threads wake it.
  public let wakeUp: WakeUp
  private let core: UnsafeMutablePointer<Core>
  private let state: UnsafeMutableRawPointer

  /// A reactor for the calling thread, and for no other.
  public init(_ choice: BackendChoice, limits: ReactorLimits = ReactorLimits()) throws(ReactorError)
  {
    let backend: Backend =
      switch choice {
      case .auto: UringProbe.isUsable() ? .uring : .epoll
      case .uring: .uring
      case .epoll: .epoll
      }
    let wakeUp = try WakeUp()
    let shared = try Core(connections: limits.connections)
    let core = UnsafeMutablePointer<Core>.allocate(capacity: 1)
    core.initialize(to: shared)
    do throws(ReactorError) {
      switch backend {
      case .uring:
        state = try Self.boxed(UringBackend(core: core, wakeUp: wakeUp, limits: limits))
      case .epoll:
        state = try Self.boxed(EpollBackend(core: core, wakeUp: wakeUp, limits: limits))
      }
    } catch {
      core.deinitialize(count: 1)
      core.deallocate()
      throw error
    }
    self.backend = backend
    self.wakeUp = wakeUp
    self.core = core
  }

  /// Closes every connection and listener. Memory of sends and direct receives must no longer be in use: close first, and wait
  /// for every `.closed`.
  deinit {
    switch backend {
    case .uring:
      uring.deinitialize(count: 1)
      uring.deallocate()
    case .epoll:
      epoll.deinitialize(count: 1)
      epoll.deallocate()
    }
    core.deinitialize(count: 1)
    core.deallocate()
  }

  private static func boxed<Value: ~Copyable>(_ value: consuming Value) -> UnsafeMutableRawPointer {
    let box = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    box.initialize(to: value)
    return UnsafeMutableRawPointer(box)
  }

  private var uring: UnsafeMutablePointer<UringBackend> {
    state.assumingMemoryBound(to: UringBackend.self)
  }
  private var epoll: UnsafeMutablePointer<EpollBackend> {
    state.assumingMemoryBound(to: EpollBackend.self)
  }

  // MARK: turns

  /// Submits everything that was queued, waits for something to happen at most `timeout` nanoseconds (0: not at all; nil: for
  /// ever), and says how many events there are. The events of the turn before are gone. A signal ends the wait.
  public mutating func turn(timeout: Int64?) throws(ReactorError) -> Int {
    switch backend {
    case .uring: try uring.pointee.turn(timeout: timeout)
    case .epoll: try epoll.pointee.turn(timeout: timeout)
    }
    return core.pointee.events.count
  }

  /// Event `place` of the turn. To be taken once, in order.
  public mutating func event(_ place: Int) -> Event {
    core.pointee.filtering ? core.pointee.filtered(place) : core.pointee.events[place]
  }

  /// Event `place` as it stands, without taking it: a hint, because by the time that it is taken it may have become `.none`.
  public func peek(_ place: Int) -> Event { core.pointee.events[place] }

  /// A `.received` event's bytes, lent until `endTurn`.
  @_lifetime(borrow self)
  public func bytes(of event: Event) -> RawSpan {
    precondition(event.kind == .received)
    let bytes = UnsafeRawBufferPointer(start: event.start, count: event.byteCount)
    return _overrideLifetime(RawSpan(_unsafeBytes: bytes), borrowing: self)
  }

  /// Ends the turn: every buffer goes back to the kernel (the events' bytes are gone), and epoll writes what was queued. Says how
  /// many events the turn has now; those beyond the number that `turn` gave are to be taken before the next turn.
  public mutating func endTurn() -> Int {
    switch backend {
    case .uring: uring.pointee.endTurn()
    case .epoll: epoll.pointee.endTurn()
    }
    core.pointee.endTurn()
    return core.pointee.events.count
  }

  // MARK: listeners

  /// Accepts from a listening socket, in `.accepted` events with this tag. The reactor owns the descriptor until it is removed.
  public mutating func add(listener fd: Int32, tag: UInt32) {
    let id = core.pointee.addListener(fd: fd, tag: tag)
    switch backend {
    case .uring: uring.pointee.addListener(id)
    case .epoll: epoll.pointee.addListener(id)
    }
  }

  /// Accepts no longer, and closes the descriptor as soon as the kernel has let go of it (the next turn at the latest).
  /// `.accepted` events of this turn are still to be taken.
  public mutating func remove(listener fd: Int32) {
    guard let place = core.pointee.listener(withDescriptor: fd) else { return }
    core.pointee.listeners[place].removed = true
    let generation = core.pointee.listeners[place].generation
    switch backend {
    case .uring:
      uring.pointee.removeListener(
        place, ConnectionID(index: UInt32(place), generation: generation))
    case .epoll: epoll.pointee.removeListener(place)
    }
  }

  // MARK: connections

  /// Takes over a connected socket, without delay of small writes, and starts receiving. On an error the descriptor stays the
  /// caller's.
  public mutating func adopt(fd: Int32, tag: UInt32) throws(ReactorError) -> ConnectionID {
    try Socket.prepare(fd)
    guard let id = core.pointee.connections.insert(fd: fd, tag: tag),
      let connection = core.pointee.connections.find(id)
    else { throw ReactorError("adopting a connection: the table is full", errno: ENFILE) }
    switch backend {
    case .uring: uring.pointee.adopt(id, connection)
    case .epoll:
      do throws(ReactorError) {
        try epoll.pointee.adopt(id, connection)
      } catch {
        core.pointee.connections.remove(id)
        throw error
      }
    }
    return id
  }

  /// Sends bytes, at least one, which stay untouched until `.sent` or `.closed`; one send at a time.
  /// `awaited`: see above. Nothing leaves before the end of the turn.
  public mutating func send(_ id: ConnectionID, _ bytes: RawSpan, awaited: Bool = true) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    precondition(!connection.pointee.flags.contains(.sending), "one send at a time")
    precondition(bytes.byteCount > 0, "a send of nothing")
    connection.pointee.flags.insert(.sending)
    connection.pointee.sendStart = bytes.withUnsafeBytes { $0.baseAddress }
    connection.pointee.sendLeft = bytes.byteCount
    connection.pointee.sendCount = bytes.byteCount
    switch backend {
    case .uring: uring.pointee.send(id, connection, awaited: awaited)
    case .epoll: epoll.pointee.send(id)
    }
  }

  /// Stops receiving.
  public mutating func pause(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    connection.pointee.flags.insert(.paused)
    core.pointee.filtering = true
    switch backend {
    case .uring: uring.pointee.stopReceiving(id, connection)
    case .epoll: break
    }
  }

  /// Receives again; what was kept comes first.
  public mutating func resume(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id),
      connection.pointee.flags.contains(.paused)
    else { return }
    connection.pointee.flags.remove(.paused)
    if connection.pointee.kept != nil
      || !connection.pointee.flags.isDisjoint(with: [.quietDue, .hungUpDue])
    {
      core.pointee.makeDue(id, connection)
    }
    startReceiving(id, connection)
  }

  /// Asks for `.quiet`, after which direct receives may start.
  public mutating func beginDirect(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id),
      !connection.pointee.flags.contains(.direct)
    else { return }
    connection.pointee.flags.insert(.direct)
    if backend == .uring {
      uring.pointee.stopReceiving(id, connection)
      if !uring.pointee.isQuiet(connection) { return }
    }
    connection.pointee.flags.insert(.quietDue)
    core.pointee.makeDue(id, connection)
  }

  /// Receives once, straight into `destination` (at least one byte), which is the reactor's until `.filled`, `.hungUp` or
  /// `.closed`. Only after `.quiet`, and one at a time.
  public mutating func receive(_ id: ConnectionID, into destination: UnsafeMutableRawBufferPointer)
  {
    guard let connection = core.pointee.connections.findOpen(id),
      !connection.pointee.flags.contains(.ended)
    else { return }
    precondition(destination.count > 0, "a receive into nothing")
    precondition(
      connection.pointee.flags.isSuperset(of: .direct)
        && connection.pointee.flags.isDisjoint(with: [.filling, .quietDue, .receiving]),
      "a direct receive before .quiet, or a second one")
    connection.pointee.flags.insert(.filling)
    connection.pointee.destination = destination.baseAddress
    connection.pointee.destinationCount = UInt32(min(destination.count, 1 << 30))
    switch backend {
    case .uring: uring.pointee.fill(id, connection)
    case .epoll: epoll.pointee.fill(id, connection)
    }
  }

  /// Back to `.received`. No direct receive may be under way.
  public mutating func endDirect(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    precondition(!connection.pointee.flags.contains(.filling), "a direct receive is under way")
    connection.pointee.flags.subtract([.direct, .quietDue])
    startReceiving(id, connection)
  }

  /// Closes: everything in flight is cancelled, `.closed` comes when it is gone.
  public mutating func close(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    connection.pointee.flags.insert(.closing)
    core.pointee.filtering = true
    switch backend {
    case .uring: uring.pointee.close(id, connection)
    case .epoll: epoll.pointee.close(id, connection)
    }
  }

  /// Says to the peer that nothing more comes. Everything must have been sent; what arrives from now on is to be thrown away by `discard`.
  ///
  /// A socket that is closed with unread bytes resets its peer, which then may lose replies that it has not read yet.
  public mutating func endSending(_ id: ConnectionID) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    pause(id)
    _ = tern_end_sending(connection.pointee.fd)
  }

  /// Throws away what has arrived. How many bytes; nil if the peer has ended, too.
  public mutating func discard(_ id: ConnectionID) -> Int? {
    guard let connection = core.pointee.connections.findOpen(id) else { return nil }
    var hasEnded: Int32 = 0
    let byteCount = tern_discard(connection.pointee.fd, &hasEnded)
    return hasEnded != 0 ? nil : byteCount
  }

  /// Has the kernel look whether a silent peer is still there, after that many seconds; 0 for never.
  public mutating func setKeepalive(_ id: ConnectionID, seconds: Int) {
    guard let connection = core.pointee.connections.findOpen(id) else { return }
    Socket.setKeepalive(connection.pointee.fd, seconds: seconds)
  }

  private mutating func startReceiving(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    if connection.pointee.flags.contains(.paused) { return }
    switch backend {
    case .uring: uring.pointee.startReceiving(id, connection)
    case .epoll: epoll.pointee.startReceiving(id, connection)
    }
  }
}
