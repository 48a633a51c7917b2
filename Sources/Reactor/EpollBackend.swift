import CLinux
import Glibc

/// The epoll back-end, for kernels and containers that refuse io_uring.
///
/// Edge-triggered, registered once per connection for everything: after that no call of the kernel but the wait, one receive
/// for each arrival and one send for each reply. A receive that fills less than its room has drained the socket and the next
/// arrival is a new edge; one that fills it, and one whose peer has ended, stays in `ready` and is read again in the next turn.
///
/// Receives of a turn lie one behind the other in one arena, so small requests share pages. When it is full the rest of the
/// ready connections wait for the next turn, in their order.
/// Replies are written when the turn ends; those that were queued after that when the next one begins.
struct EpollBackend: ~Copyable {
  private let core: UnsafeMutablePointer<Core>
  private let wakeUp: WakeUp
  private let fd: Int32
  private let arena: UnsafeMutableRawPointer
  private let arenaSize: Int
  private var arenaUsed = 0
  private let found: UnsafeMutablePointer<epoll_event>
  private var ready = Queue<ConnectionID>()
  private var outgoing = Queue<ConnectionID>()
  /// Some listener is not being watched.
  private var hasIdleListener = false

  /// What one wait reports; more are reported by the next.
  private static let foundLimit = 512
  /// Room of one receive.
  private static let receiveSize = BufferRing.byteCount
  /// Connections taken from one listener in one turn.
  private static let acceptLimit = 128

  init(core: UnsafeMutablePointer<Core>, wakeUp: WakeUp, limits: ReactorLimits) throws(ReactorError)
  {
    let fd = tern_epoll_create()
    if fd < 0 { throw ReactorError("epoll_create1", errno: -fd) }
    let size = limits.buffers * Self.receiveSize
    guard let arena = tern_reserve(size) else {
      _ = tern_close(fd)
      throw ReactorError("mmap of the receive buffers", errno: ENOMEM)
    }
    let answer = tern_epoll_control(
      fd, EPOLL_CTL_ADD, wakeUp.fd, TERN_EPOLL_IN | TERN_EPOLL_EDGE,
      Operation(.wake, ConnectionID(index: 0, generation: 0)).word)
    if answer < 0 {
      munmap(arena, size)
      _ = tern_close(fd)
      throw ReactorError("epoll_ctl", errno: -answer)
    }
    self.core = core
    self.wakeUp = wakeUp
    self.fd = fd
    self.arena = arena
    arenaSize = size
    found = .allocate(capacity: Self.foundLimit)
  }

  deinit {
    found.deallocate()
    munmap(arena, arenaSize)
    _ = tern_close(fd)
  }

  // MARK: calls of the owner

  mutating func addListener(_ id: ConnectionID) { hasIdleListener = true }

  mutating func removeListener(_ place: Int) { core.pointee.closeListener(place) }

  mutating func adopt(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) throws(ReactorError) {
    let answer = tern_epoll_control(
      fd, EPOLL_CTL_ADD, connection.pointee.fd,
      TERN_EPOLL_IN | TERN_EPOLL_OUT | TERN_EPOLL_READ_HANG_UP | TERN_EPOLL_EDGE,
      Operation(.receive, id).word)
    if answer < 0 { throw ReactorError("epoll_ctl", errno: -answer) }
  }

  mutating func send(_ id: ConnectionID) { outgoing.append(id) }

  mutating func startReceiving(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    if connection.pointee.flags.contains(.readable) { queue(id, connection) }
  }

  mutating func fill(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    startReceiving(id, connection)
  }

  /// Nothing is ever in flight: the descriptor goes at once, `.closed` comes with the next turn.
  mutating func close(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    _ = tern_close(connection.pointee.fd)
    connection.pointee.fd = -1
    core.pointee.makeDue(id, connection)
  }

  // MARK: turns

  mutating func turn(timeout: Int64?) throws(ReactorError) {
    core.pointee.beginTurn()
    writeOutgoing()
    watchListeners()
    let wait = core.pointee.waiting(timeout, busy: !ready.isEmpty || !outgoing.isEmpty) ?? -1
    let count = tern_epoll_wait(fd, found, Int32(Self.foundLimit), wait)
    if count < 0 && count != -EINTR { throw ReactorError("epoll_pwait2", errno: -count) }
    for place in 0..<Int(max(0, count)) {
      take(tern_epoll_events(found + place), Operation(word: tern_epoll_data(found + place)))
    }
    // Those that are put back while we read are for the next turn.
    for _ in 0..<ready.count {
      if arenaUsed + Self.receiveSize > arenaSize { break }
      guard let id = ready.popFirst() else { break }
      if let connection = core.pointee.connections.find(id) { read(id, connection) }
    }
  }

  mutating func endTurn() {
    writeOutgoing()
    arenaUsed = 0
  }

  private mutating func take(_ events: UInt32, _ operation: Operation) {
    let id = operation.connection
    switch operation.kind {
    case .receive:
      guard let connection = core.pointee.connections.findOpen(id) else { return }
      let ends = TERN_EPOLL_ERROR | TERN_EPOLL_HANG_UP | TERN_EPOLL_READ_HANG_UP
      if events & (TERN_EPOLL_IN | ends) != 0 {
        connection.pointee.flags.insert(.readable)
        if events & ends != 0 { connection.pointee.flags.insert(.peerDone) }
        queue(id, connection)
      }
      if events & (TERN_EPOLL_OUT | TERN_EPOLL_ERROR | TERN_EPOLL_HANG_UP) != 0,
        connection.pointee.flags.contains(.blocked)
      {
        connection.pointee.flags.remove(.blocked)
        write(id, connection)
      }
    case .accept: accept(id)
    case .wake:
      wakeUp.taken()
      core.pointee.events.append(Event(.woken, .none, tag: 0))
    case .direct, .send, .cancel, nil: preconditionFailure("readiness of nothing")
    }
  }

  // MARK: receiving

  private mutating func queue(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    if connection.pointee.flags.contains(.queued) { return }
    connection.pointee.flags.insert(.queued)
    ready.append(id)
  }

  private mutating func read(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    connection.pointee.flags.remove(.queued)
    let flags = connection.pointee.flags
    if !flags.isDisjoint(with: [.closing, .ended]) { return }
    let isDirect = flags.contains(.direct)
    // Not wanted now: it stays readable, and is queued again when it is wanted.
    if isDirect ? !flags.contains(.filling) : flags.contains(.paused) { return }
    let room = isDirect ? Int(connection.pointee.destinationCount) : Self.receiveSize
    let start = isDirect ? connection.pointee.destination : arena + arenaUsed
    let count = tern_receive(connection.pointee.fd, start, room)
    if count > 0 {
      if isDirect {
        connection.pointee.flags.remove(.filling)
        core.pointee.events.append(
          Event(.filled, id, tag: connection.pointee.tag, byteCount: count))
      } else {
        core.pointee.received(
          id, connection, at: UnsafeRawPointer(arena + arenaUsed), byteCount: count)
        // A cache line's beginning for each, so that what follows a request is never written while it is read.
        arenaUsed += (count + 63) & ~63
      }
      if count < room && !flags.contains(.peerDone) {
        connection.pointee.flags.remove(.readable)
      } else if !isDirect {
        queue(id, connection)
      }
      return
    }
    switch Int32(-count) {
    case 0: core.pointee.hungUp(id, connection, errno: 0)
    case EAGAIN: connection.pointee.flags.remove(.readable)
    case EINTR, ENOMEM, ENOBUFS: queue(id, connection)
    default: core.pointee.hungUp(id, connection, errno: Int32(-count))
    }
  }

  // MARK: sending

  private mutating func writeOutgoing() {
    for _ in 0..<outgoing.count {
      guard let id = outgoing.popFirst() else { break }
      if let connection = core.pointee.connections.findOpen(id) { write(id, connection) }
    }
  }

  private mutating func write(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    while true {
      let count = tern_send(
        connection.pointee.fd, connection.pointee.sendStart, connection.pointee.sendLeft)
      if count >= 0 {
        connection.pointee.sendLeft -= count
        if connection.pointee.sendLeft == 0 {
          connection.pointee.flags.remove(.sending)
          core.pointee.events.append(
            Event(
              .sent, id, tag: connection.pointee.tag, byteCount: connection.pointee.sendCount))
          return
        }
        connection.pointee.sendStart = connection.pointee.sendStart.map { $0 + count }
        continue
      }
      switch Int32(-count) {
      case EINTR: continue
      case EAGAIN: connection.pointee.flags.insert(.blocked)
      case ENOMEM, ENOBUFS: outgoing.append(id)
      default:
        connection.pointee.flags.remove(.sending)
        core.pointee.broke(id, connection, errno: Int32(-count))
      }
      return
    }
  }

  // MARK: listeners

  private mutating func watchListeners() {
    guard core.pointee.mayAcceptAgain(), hasIdleListener else { return }
    hasIdleListener = false
    for place in 0..<core.pointee.listeners.count {
      let listener = core.pointee.listeners[place]
      if listener.free || listener.armed { continue }
      let id = ConnectionID(index: UInt32(place), generation: listener.generation)
      let answer = tern_epoll_control(
        fd, EPOLL_CTL_ADD, listener.fd, TERN_EPOLL_IN, Operation(.accept, id).word)
      if answer < 0 { holdBack() } else { core.pointee.listeners[place].armed = true }
    }
  }

  private mutating func accept(_ id: ConnectionID) {
    guard let place = core.pointee.listener(id) else { return }
    let listener = core.pointee.listeners[place]
    for _ in 0..<Self.acceptLimit {
      let connection = tern_accept(listener.fd)
      if connection >= 0 {
        core.pointee.events.append(
          Event(.accepted, .none, tag: listener.tag, byteCount: Int(connection)))
      } else if connection == -EAGAIN {
        return
      } else if Core.hasNoRoom(-connection) {
        // Level-triggered: without this the wait would come back at once, for ever.
        _ = tern_epoll_control(fd, EPOLL_CTL_DEL, listener.fd, 0, 0)
        core.pointee.listeners[place].armed = false
        core.pointee.turnAway(at: listener.fd, errno: -connection)
        return holdBack()
      }
    }
  }

  private mutating func holdBack() {
    hasIdleListener = true
    core.pointee.acceptAgainAt = tern_monotonic() + Core.acceptPause
  }
}
