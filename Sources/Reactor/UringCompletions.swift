import CLinux
import Glibc

/// What completions mean.
extension UringBackend {
  /// Turns every completion that is there into events.
  mutating func takeCompletions() {
    while let places = ring.pending() {
      for place in places { take(ring.completion(place)) }
      ring.consume(places.upperBound)
    }
  }

  @inline(__always) private mutating func take(_ completion: tern_completion) {
    let operation = Operation(word: completion.user_data)
    let id = operation.connection
    switch operation.kind {
    case .receive: received(id, completion)
    case .send: sent(id, completion)
    case .direct: filled(id, completion)
    case .accept: accepted(id, completion)
    case .wake: woken(again: completion.flags & IORING_CQE_F_MORE != 0)
    case .cancel: cancelFailed(id, completion)
    case nil: preconditionFailure("a completion of nothing")
    }
  }

  @inline(__always) private mutating func received(
    _ id: ConnectionID, _ completion: tern_completion
  ) {
    var start: UnsafeRawPointer?
    if completion.flags & IORING_CQE_F_BUFFER != 0 {
      start = buffers.take(UInt16(completion.flags >> UInt32(IORING_CQE_BUFFER_SHIFT)))
    }
    guard let connection = shared.pointee.connections.find(id) else {
      preconditionFailure("a receive outlived its connection")
    }
    if completion.result > 0, let start, !connection.pointee.flags.contains(.closing) {
      shared.pointee.received(id, connection, at: start, byteCount: Int(completion.result))
    }
    if completion.flags & IORING_CQE_F_MORE == 0 { receiveEnded(id, connection, completion.result) }
  }

  /// A multishot receive has ended: decides what comes in its place.
  @inline(never) private mutating func receiveEnded(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, _ result: Int32
  ) {
    connection.pointee.flags.subtract([.receiving, .cancelling])
    connection.pointee.inFlight -= 1
    let flags = connection.pointee.flags
    if flags.contains(.closing) { return finishIfIdle(id, connection) }
    switch -result {
    case 0: shared.pointee.hungUp(id, connection, errno: 0)
    case ..<0, ENOBUFS, ECANCELED, EINTR, EAGAIN, ENOMEM:
      if flags.contains(.direct) {
        shared.pointee.quiet(id, connection)
      } else if !flags.contains(.paused) {
        queue(id, connection)
      }
    default: shared.pointee.hungUp(id, connection, errno: -result)
    }
  }

  private mutating func sent(_ id: ConnectionID, _ completion: tern_completion) {
    guard let connection = shared.pointee.connections.find(id) else {
      preconditionFailure("a send outlived its connection")
    }
    // It spoke: its success will not be inferred from silence.
    connection.pointee.flags.remove(.silent)
    if completion.result > 0 {
      let count = Int(completion.result)
      connection.pointee.sendStart = connection.pointee.sendStart.map { $0 + count }
      connection.pointee.sendLeft -= count
      if connection.pointee.sendLeft == 0 { return sendCompleted(id, connection) }
    }
    if connection.pointee.flags.contains(.closing) {
      connection.pointee.inFlight -= 1
      return finishIfIdle(id, connection)
    }
    switch -completion.result {
    case ...0, EAGAIN, EINTR, ENOMEM: submitSend(id, connection)
    default:
      connection.pointee.flags.remove(.sending)
      connection.pointee.inFlight -= 1
      shared.pointee.broke(id, connection, errno: -completion.result)
    }
  }

  private mutating func filled(_ id: ConnectionID, _ completion: tern_completion) {
    guard let connection = shared.pointee.connections.find(id) else {
      preconditionFailure("a direct receive outlived its connection")
    }
    connection.pointee.inFlight -= 1
    connection.pointee.flags.remove(.filling)
    if connection.pointee.flags.contains(.closing) { return finishIfIdle(id, connection) }
    switch completion.result {
    case 1...:
      shared.pointee.events.append(
        Event(
          .filled, id, tag: connection.pointee.tag, byteCount: Int(completion.result)))
    case -EINTR, -EAGAIN, -ENOMEM:
      connection.pointee.flags.insert(.filling)
      fill(id, connection)
    default: shared.pointee.hungUp(id, connection, errno: -completion.result)
    }
  }

  private mutating func accepted(_ id: ConnectionID, _ completion: tern_completion) {
    guard let place = shared.pointee.listener(id) else {
      preconditionFailure("an accept outlived its listener")
    }
    let listener = shared.pointee.listeners[place]
    if completion.result >= 0 {
      if listener.removed {
        _ = tern_close(completion.result)
      } else {
        shared.pointee.events.append(
          Event(.accepted, .none, tag: listener.tag, byteCount: Int(completion.result)))
      }
    } else if Core.hasNoRoom(-completion.result) {
      if !listener.removed {
        shared.pointee.turnAway(at: listener.fd, errno: -completion.result)
      }
      shared.pointee.acceptAgainAt = tern_monotonic() + Core.acceptPause
    }
    if completion.flags & IORING_CQE_F_MORE == 0 { listenerEnded(place) }
  }

  /// A cancel that found its operation at work: shutting the socket down ends it for certain.
  private mutating func cancelFailed(_ id: ConnectionID, _ completion: tern_completion) {
    guard completion.result == -EALREADY, let connection = shared.pointee.connections.find(id),
      connection.pointee.flags.contains(.closing)
    else { return }
    _ = tern_shutdown(connection.pointee.fd)
  }
}
