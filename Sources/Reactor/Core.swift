import CLinux
import Glibc

/// What both back-ends have in common: the connections, the turn's events, and what is due at the start of the next turn.
///
/// **Events pass a filter** when they are taken: after `pause` a connection's `.received` of the same turn are kept for its
/// `resume`, after `close` everything but `.closed` is dropped. It costs a look-up, and only in turns in which something was
/// paused or closed (`filtering`).
struct Core: ~Copyable {
  var connections: ConnectionTable
  var events = Queue<Event>(capacity: 256)
  var due = Queue<ConnectionID>()
  var listeners: [Listener] = []
  /// When accepting is tried again after the process ran out of descriptors; nil: it is not being held back.
  var acceptAgainAt: Int64?
  var filtering = false
  /// A descriptor that is good for nothing but to be given up when there is no other: so that who connects then is told, and not left waiting.
  private var spare = tern_eventfd()
  /// Blocks of kept bytes that this turn's events lend.
  private var lent = Queue<UnsafeMutableRawPointer>()

  /// Where a listener is held back: long enough to be no load, short enough not to be noticed.
  static let acceptPause: Int64 = 20_000_000

  init(connections: Int) throws(ReactorError) {
    self.connections = try ConnectionTable(capacity: connections)
  }

  deinit {
    for index in 0..<connections.used {
      guard let connection = connections.connection(at: index) else { continue }
      Kept(at: connection.pointee.kept)?.free()
      if connection.pointee.fd >= 0 { _ = tern_close(connection.pointee.fd) }
    }
    for place in 0..<lent.count { lent[place].deallocate() }
    for listener in listeners where !listener.free { _ = tern_close(listener.fd) }
    if spare >= 0 { _ = tern_close(spare) }
  }

  // MARK: events

  /// Event `place` of the turn, unless its connection has been paused or closed since it was made.
  mutating func filtered(_ place: Int) -> Event {
    var event = events[place]
    switch event.kind {
    case .none, .accepted, .woken, .closed: return event
    case .received, .sent, .filled, .quiet, .hungUp: break
    }
    guard let connection = connections.findOpen(event.connection) else {
      event.kind = .none
      return event
    }
    if connection.pointee.flags.contains(.paused) || connection.pointee.kept != nil {
      if connection.pointee.flags.contains(.broken) {
        if event.kind == .received { event.kind = .none }
      } else if event.kind == .received {
        keep(UnsafeRawBufferPointer(start: event.start, count: event.byteCount), of: connection)
        if !connection.pointee.flags.contains(.paused) { makeDue(event.connection, connection) }
        event.kind = .none
      } else if event.kind == .hungUp, connection.pointee.kept != nil {
        connection.pointee.flags.insert(.hungUpDue)
        connection.pointee.flags.remove(.hungUpSaid)
        connection.pointee.errno = UInt16(truncatingIfNeeded: event.byteCount)
        if !connection.pointee.flags.contains(.paused) { makeDue(event.connection, connection) }
        event.kind = .none
      } else if event.kind == .quiet, connection.pointee.kept != nil {
        connection.pointee.flags.insert(.quietDue)
        if !connection.pointee.flags.contains(.paused) { makeDue(event.connection, connection) }
        event.kind = .none
      }
      if event.kind == .none { events[place] = event }
    }
    return event
  }

  /// Says that a connection's bytes arrived, or keeps them where it is paused or older bytes are kept.
  @inline(__always) mutating func received(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, at start: UnsafeRawPointer,
    byteCount: Int
  ) {
    if connection.pointee.flags.contains(.broken) { return }
    if connection.pointee.flags.contains(.paused) || connection.pointee.kept != nil {
      keep(UnsafeRawBufferPointer(start: start, count: byteCount), of: connection)
    } else {
      events.append(
        Event(.received, id, tag: connection.pointee.tag, byteCount: byteCount, start: start))
    }
  }

  /// Says `.hungUp`, once, and not before what was kept.
  mutating func hungUp(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, errno: Int32
  ) {
    connection.pointee.flags.insert(.ended)
    if connection.pointee.flags.contains(.hungUpSaid) { return }
    if connection.pointee.kept != nil {
      connection.pointee.flags.insert(.hungUpDue)
      connection.pointee.errno = UInt16(truncatingIfNeeded: errno)
    } else {
      connection.pointee.flags.insert(.hungUpSaid)
      events.append(Event(.hungUp, id, tag: connection.pointee.tag, byteCount: Int(errno)))
    }
  }

  /// A send failed: says `.hungUp` at once and with its errno, whatever was said or kept before. Nobody is left to read an answer
  /// to what was kept; and a paused connection would wait for ever for replies to leave.
  mutating func broke(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, errno: Int32
  ) {
    Kept(at: connection.pointee.kept)?.free()
    connection.pointee.kept = nil
    connection.pointee.flags.subtract([.quietDue, .hungUpDue])
    connection.pointee.flags.insert([.ended, .hungUpSaid, .broken])
    events.append(Event(.hungUp, id, tag: connection.pointee.tag, byteCount: Int(errno)))
  }

  /// Says `.quiet`, not before what was kept.
  mutating func quiet(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    if connection.pointee.kept != nil {
      connection.pointee.flags.insert(.quietDue)
    } else {
      events.append(Event(.quiet, id, tag: connection.pointee.tag))
    }
  }

  private mutating func keep(
    _ bytes: UnsafeRawBufferPointer, of connection: UnsafeMutablePointer<Connection>
  ) {
    if var kept = Kept(at: connection.pointee.kept) {
      kept.append(bytes)
      connection.pointee.kept = kept.address
    } else {
      connection.pointee.kept = Kept(bytes).address
    }
    filtering = true
  }

  // MARK: turns

  /// Has a connection looked at when the next turn begins.
  mutating func makeDue(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    if connection.pointee.flags.contains(.due) { return }
    connection.pointee.flags.insert(.due)
    due.append(id)
  }

  /// Begins a turn: no events but those that were due.
  mutating func beginTurn() {
    events.removeAll()
    filtering = false
    for _ in 0..<due.count {
      guard let id = due.popFirst(), let connection = connections.find(id) else { continue }
      connection.pointee.flags.remove(.due)
      if connection.pointee.flags.contains(.closing) {
        if connection.pointee.inFlight == 0 { finish(id, connection) }
        continue
      }
      if connection.pointee.flags.contains(.paused) { continue }
      if let kept = Kept(at: connection.pointee.kept) {
        connection.pointee.kept = nil
        lent.append(kept.address)
        events.append(
          Event(
            .received, id, tag: connection.pointee.tag, byteCount: kept.byteCount,
            start: UnsafeRawPointer(kept.bytes)))
      }
      if connection.pointee.flags.contains(.quietDue) {
        connection.pointee.flags.remove(.quietDue)
        events.append(Event(.quiet, id, tag: connection.pointee.tag))
      }
      if connection.pointee.flags.contains(.hungUpDue) {
        connection.pointee.flags.remove(.hungUpDue)
        hungUp(id, connection, errno: Int32(connection.pointee.errno))
      }
    }
  }

  /// Ends a turn: what was lent is gone.
  mutating func endTurn() {
    while let block = lent.popFirst() { block.deallocate() }
  }

  /// A closing connection of which nothing is in flight: says `.closed` and frees its place.
  mutating func finish(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    precondition(connection.pointee.inFlight == 0)
    if connection.pointee.fd >= 0 { _ = tern_close(connection.pointee.fd) }
    Kept(at: connection.pointee.kept)?.free()
    connection.pointee.kept = nil
    events.append(Event(.closed, id, tag: connection.pointee.tag))
    connections.remove(id)
    // A descriptor is free again: whoever waits for one need not wait longer.
    if acceptAgainAt != nil { acceptAgainAt = 0 }
  }

  // MARK: listeners

  /// A place for a listener, as an identifier that operations carry.
  mutating func addListener(fd: Int32, tag: UInt32) -> ConnectionID {
    let place = listeners.firstIndex { $0.free } ?? listeners.count
    if place == listeners.count {
      listeners.append(Listener(fd: fd, tag: tag, generation: 0))
    } else {
      listeners[place] = Listener(fd: fd, tag: tag, generation: listeners[place].generation &+ 1)
    }
    return ConnectionID(index: UInt32(place), generation: listeners[place].generation)
  }

  /// The place of the listener with this descriptor.
  func listener(withDescriptor fd: Int32) -> Int? {
    listeners.firstIndex { !$0.free && !$0.removed && $0.fd == fd }
  }

  /// The place of the listener that an operation names.
  func listener(_ id: ConnectionID) -> Int? {
    let place = Int(id.index)
    guard place < listeners.count, !listeners[place].free,
      listeners[place].generation == id.generation
    else { return nil }
    return place
  }

  /// Lets go of a listener that the kernel no longer accepts from.
  mutating func closeListener(_ place: Int) {
    _ = tern_close(listeners[place].fd)
    listeners[place].free = true
  }

  /// How long a turn may wait: not at all if there are events, and not beyond the moment when accepting is tried again.
  func waiting(_ timeout: Int64?, busy: Bool) -> Int64? {
    if busy || !events.isEmpty { return 0 }
    guard let again = acceptAgainAt else { return timeout }
    let left = max(0, again - tern_monotonic())
    return timeout.map { min($0, left) } ?? left
  }

  /// Whether listeners that were held back may accept again.
  mutating func mayAcceptAgain() -> Bool {
    guard let again = acceptAgainAt else { return true }
    if again > 0 && tern_monotonic() < again { return false }
    acceptAgainAt = nil
    return true
  }

  /// Connections that are turned away at once where there is no descriptor for them.
  private static let turnAwayLimit = 128

  /// There is no descriptor for who waits at a listener: they are told so, one after the other, by means of the spare one.
  mutating func turnAway(at listener: Int32, errno: Int32) {
    guard errno == EMFILE || errno == ENFILE else { return }
    // Another thread may have been faster when it was to be had back.
    if spare < 0 { spare = tern_eventfd() }
    if spare < 0 { return }
    _ = tern_close(spare)
    let answer = Array("-ERR max number of clients reached\r\n".utf8)
    for _ in 0..<Self.turnAwayLimit {
      let connection = tern_accept(listener)
      if connection < 0 { break }
      _ = answer.withUnsafeBytes { tern_send(connection, $0.baseAddress, $0.count) }
      _ = tern_close(connection)
    }
    spare = tern_eventfd()
  }

  /// Whether an accept's failure means that the world has no room, so that trying at once would only burn time.
  static func hasNoRoom(_ errno: Int32) -> Bool {
    switch errno {
    case ECONNABORTED, EINTR, EAGAIN, EPROTO, ECANCELED: false
    default: true
    }
  }
}
