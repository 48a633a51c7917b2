import CLinux
import Glibc

/// The io_uring back-end: decides what to submit; `UringCompletions.swift` says what completions mean.
///
/// - A connection has a multishot receive in the kernel while bytes are wanted. When it ends (no MORE flag: no buffer was
///   left, a cancel, the kernel's fairness) the connection joins `waiting`, the queue of those to be armed again, in order and
///   never more at once than there are buffers: nobody starves.
/// - A send that is not `awaited` is submitted with `MSG_DONTWAIT | MSG_WAITALL` and without a completion for success: it is
///   finished when `enter` returns, or there is a completion that says how far it came, and the rest is sent by one that waits
///   for room. So a turn of small replies needs one `enter` that also waits for the next requests; a completion for each reply
///   would end that wait at once.
/// - `inFlight` counts the operations that owe a last completion, silent sends included; `.closed` waits for 0.
///
/// Measured and left out. Waiting for more than one completion needs a timer for when they do not come, which costs more than the
/// larger batches save (P=1, 50 connections: 5.9 µs without, 6.0–12 µs with 100–10 µs). Yielding the processor before the wait
/// halves the server's own CPU on a core shared with its clients, but only moves it to them (same throughput, median latency
/// doubled), and beside a busy process it costs 70–90 % of the throughput.
struct UringBackend: ~Copyable {
  private let core: UnsafeMutablePointer<Core>
  var ring: Ring
  var buffers: BufferRing
  private let wakeUp: WakeUp
  /// Connections to be armed, first come first served.
  private var waiting = Queue<ConnectionID>()
  /// Silent sends that were queued since completions were last complete.
  private var silent = Queue<ConnectionID>()
  private var wakeArmed = false
  /// Some listener has no accept in the kernel.
  private var hasIdleListener = false

  init(core: UnsafeMutablePointer<Core>, wakeUp: WakeUp, limits: ReactorLimits) throws(ReactorError)
  {
    let ring = try Ring(submissions: limits.submissions, completions: limits.completions)
    let buffers = try BufferRing(count: limits.buffers, of: ring.fd)
    self.core = core
    self.wakeUp = wakeUp
    self.ring = ring
    self.buffers = buffers
  }

  // MARK: calls of the owner

  mutating func addListener(_ id: ConnectionID) { hasIdleListener = true }

  mutating func removeListener(_ place: Int, _ id: ConnectionID) {
    if core.pointee.listeners[place].armed {
      cancel(Operation(.accept, id))
    } else {
      core.pointee.closeListener(place)
    }
  }

  mutating func adopt(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    arm(id, connection)
  }

  mutating func send(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, awaited: Bool
  ) {
    connection.pointee.inFlight += 1
    if awaited {
      submitSend(id, connection)
    } else {
      connection.pointee.flags.insert(.silent)
      silent.append(id)
      submitSend(id, connection, silently: true)
    }
  }

  mutating func stopReceiving(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    if connection.pointee.flags.contains(.receiving),
      !connection.pointee.flags.contains(.cancelling)
    {
      connection.pointee.flags.insert(.cancelling)
      cancel(Operation(.receive, id))
    }
  }

  mutating func startReceiving(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    // With a cancel on the way its completion puts the connection into the queue.
    if !connection.pointee.flags.contains(.receiving) { queue(id, connection) }
  }

  /// Whether nothing more can come by a multishot receive.
  func isQuiet(_ connection: UnsafeMutablePointer<Connection>) -> Bool {
    !connection.pointee.flags.contains(.receiving)
  }

  mutating func fill(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_RECV.rawValue)
    submission.fd = connection.pointee.fd
    submission.address = UInt64(UInt(bitPattern: connection.pointee.destination))
    submission.byte_count = connection.pointee.destinationCount
    submission.user_data = Operation(.direct, id).word
    connection.pointee.inFlight += 1
    ring.push(submission)
  }

  mutating func close(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    if connection.pointee.inFlight == 0 { return core.pointee.makeDue(id, connection) }
    stopReceiving(id, connection)
    if connection.pointee.flags.contains(.filling) { cancel(Operation(.direct, id)) }
    if connection.pointee.flags.contains(.sending) { cancel(Operation(.send, id)) }
  }

  // MARK: turns

  mutating func turn(timeout: Int64?) throws(ReactorError) {
    core.pointee.beginTurn()
    armListeners()
    armWakeUp()
    for _ in 0..<min(waiting.count, buffers.count) {
      guard let id = waiting.popFirst() else { break }
      if let connection = core.pointee.connections.find(id) { armWaiting(id, connection) }
    }
    try ring.enter(timeout: core.pointee.waiting(timeout, busy: !waiting.isEmpty))
    takeCompletions()
    // What overflowed must be seen too before silence can mean success.
    while ring.hasOverflown {
      try ring.enter(timeout: 0)
      takeCompletions()
    }
    if !silent.isEmpty && ring.isSubmitted { settleSilentSends() }
  }

  mutating func endTurn() { buffers.giveBack() }

  /// Every completion is taken: silent sends of which none spoke have succeeded.
  private mutating func settleSilentSends() {
    for place in 0..<silent.count {
      let id = silent[place]
      guard let connection = core.pointee.connections.find(id),
        connection.pointee.flags.contains(.silent)
      else { continue }
      sendCompleted(id, connection)
    }
    silent.removeAll()
  }

  /// The whole of a send is with the kernel.
  mutating func sendCompleted(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    connection.pointee.flags.subtract([.silent, .sending])
    connection.pointee.inFlight -= 1
    if connection.pointee.flags.contains(.closing) { return finishIfIdle(id, connection) }
    core.pointee.events.append(
      Event(.sent, id, tag: connection.pointee.tag, byteCount: connection.pointee.sendCount))
  }

  mutating func finishIfIdle(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    if connection.pointee.inFlight == 0 { core.pointee.finish(id, connection) }
  }

  // MARK: submissions

  /// Puts a connection into the queue of those to be armed.
  mutating func queue(_ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>) {
    if connection.pointee.flags.contains(.queued) { return }
    connection.pointee.flags.insert(.queued)
    waiting.append(id)
  }

  private mutating func armWaiting(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    connection.pointee.flags.remove(.queued)
    if connection.pointee.flags.isDisjoint(with: [.closing, .paused, .direct, .ended, .receiving]) {
      arm(id, connection)
    }
  }

  private mutating func arm(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>
  ) {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_RECV.rawValue)
    submission.flags = UInt8(1 << IOSQE_BUFFER_SELECT_BIT)
    submission.priority = UInt16(IORING_RECV_MULTISHOT)
    submission.fd = connection.pointee.fd
    submission.user_data = Operation(.receive, id).word
    connection.pointee.flags.insert(.receiving)
    connection.pointee.inFlight += 1
    ring.push(submission)
  }

  @inline(__always) mutating func submitSend(
    _ id: ConnectionID, _ connection: UnsafeMutablePointer<Connection>, silently: Bool = false
  ) {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_SEND.rawValue)
    submission.fd = connection.pointee.fd
    submission.address = UInt64(UInt(bitPattern: connection.pointee.sendStart))
    submission.byte_count = UInt32(min(connection.pointee.sendLeft, 1 << 30))
    submission.operation_flags = UInt32(MSG_NOSIGNAL | MSG_WAITALL)
    if silently {
      submission.operation_flags |= UInt32(MSG_DONTWAIT)
      submission.flags = UInt8(1 << IOSQE_CQE_SKIP_SUCCESS_BIT)
    }
    submission.user_data = Operation(.send, id).word
    ring.push(submission)
  }

  /// Cancels an operation. Only a failure completes, and needs no answer: then the operation itself does.
  private mutating func cancel(_ operation: Operation) {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_ASYNC_CANCEL.rawValue)
    submission.flags = UInt8(1 << IOSQE_CQE_SKIP_SUCCESS_BIT)
    submission.fd = -1
    submission.address = operation.word
    submission.user_data = Operation(.cancel, operation.connection).word
    ring.push(submission)
  }

  private mutating func armListeners() {
    guard core.pointee.mayAcceptAgain(), hasIdleListener else { return }
    hasIdleListener = false
    for place in 0..<core.pointee.listeners.count {
      let listener = core.pointee.listeners[place]
      if listener.free || listener.armed || listener.removed { continue }
      core.pointee.listeners[place].armed = true
      var submission = tern_submission()
      submission.opcode = UInt8(IORING_OP_ACCEPT.rawValue)
      submission.priority = UInt16(IORING_ACCEPT_MULTISHOT)
      submission.fd = listener.fd
      submission.operation_flags = UInt32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      submission.user_data =
        Operation(.accept, ConnectionID(index: UInt32(place), generation: listener.generation))
        .word
      ring.push(submission)
    }
  }

  /// A listener's accept has ended.
  mutating func listenerEnded(_ place: Int) {
    core.pointee.listeners[place].armed = false
    if core.pointee.listeners[place].removed {
      core.pointee.closeListener(place)
    } else {
      hasIdleListener = true
    }
  }

  private mutating func armWakeUp() {
    if wakeArmed { return }
    wakeArmed = true
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_POLL_ADD.rawValue)
    submission.byte_count = IORING_POLL_ADD_MULTI
    submission.fd = wakeUp.fd
    submission.operation_flags = UInt32(POLLIN)
    submission.user_data = Operation(.wake, ConnectionID(index: 0, generation: 0)).word
    ring.push(submission)
  }

  /// Another thread has called.
  mutating func woken(again: Bool) {
    wakeArmed = again
    wakeUp.taken()
    core.pointee.events.append(Event(.woken, .none, tag: 0))
  }

  /// The state behind the pointer, for the completions' half.
  var shared: UnsafeMutablePointer<Core> { core }
}
