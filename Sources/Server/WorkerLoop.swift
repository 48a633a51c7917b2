internal import Engine
internal import Glibc
internal import Reactor
internal import Storage

/// What a worker is made from.
struct WorkerOptions: Sendable {
  var engine: EngineOptions
  /// The back-end asked for.
  var backend: BackendChoice
  /// The processor to run on; nil = any.
  var cpu: Int?
  /// The listeners of this worker's shards, and what they speak for: a local shard, or nil for the configuration endpoint.
  var listeners: [(fileDescriptor: Int32, shard: Int?)]
  /// Orders the changes of the process.
  var sequencer: Sequencer
  /// Figures and counts that all workers share.
  var process: ProcessState
  /// Where requests to the authority over the map go.
  var control: ControlPlaneInbox
  /// Where connections of the router come to each worker.
  var doorways: [Doorway]
}

/// A worker's loop (DESIGN §8): drain the mailbox → events → timers → housekeeping within its budget → flush.
///
/// It connects the two things that it owns and that do not know each other: the reactor with its connections, and the engine with its
/// sessions. A connection's tag is its session's place; `connections[place]` is the way back.
///
/// Invariant: a session lives exactly as long as its connection, from `.accepted` to `.closed`: the reactor may hold addresses of its
/// output and of its large arguments until then.
struct WorkerLoop: ~Copyable {
  private var reactor: Reactor
  /// Where the engine is, which others may use while this worker sleeps.
  private let loan: Loan<Engine>
  private let own: Loan<Engine>.Own
  /// Whether there are other workers.
  private let hasNeighbours: Bool
  private var engine: Engine {
    @inline(__always) _read { yield own.value }
    @inline(__always) nonmutating _modify { yield &own.value }
  }
  private var connections: [ConnectionID] = []
  /// What is listened to, by the tags of events; a descriptor of −1 was closed.
  private var listeners: [(fileDescriptor: Int32, shard: Int?)]
  private let sequencer: Sequencer
  private let process: ProcessState
  private let control: ControlPlaneInbox
  private let doorways: [Doorway]
  /// Where the worker waits while it has stopped for a command of another one.
  private let waitingPlace: WaitingPlace
  private let migrator: Migrator
  private let index: Int
  /// Unix microseconds of this turn.
  private var now: Int64 = 0
  /// Nanoseconds of the monotonic clock at this turn, and when the next tick is due: timers do not follow the calendar's jumps.
  private var monotonic: Int64 = 0
  private var nextTick: Int64 = 0
  private var isBusy = false
  /// Occasions to wait awake that are to be passed over yet, and how many will be after the next failure.
  private var passedOver = 0
  private var passedOverNext = 0
  private var isDraining = false
  private var drainDeadline: Int64 = 0
  /// At the end: when a client that has got all its replies was last heard of, in monotonic nanoseconds, by its place; 0 while it has not.
  private var farewells: [Int64] = []
  /// Until when a worker that has stopped for another one waits for it although the process ends; 0 before it does.
  private var stopDeadline: Int64 = 0
  /// Control requests that the sequencer had no room for.
  private var waitingControls: [PendingControl] = []
  /// Where the search for idle connections goes on.
  private var idleCursor = 0

  /// The pause between ticks, in nanoseconds.
  private static let tickInterval: Int64 = 100_000_000
  /// How long replies may take to leave at the end, in nanoseconds.
  private static let drainTime: Int64 = 2_000_000_000
  /// How long a client that has got all its replies has to be silent at the end before its connection is closed, in nanoseconds.
  private static let farewellTime: Int64 = 20_000_000
  /// How often a worker looks for word of another one before it sleeps: for as long as waking takes, some 20 µs.
  private static let looks = 600
  /// The most occasions to do so that are passed over after failures.
  private static let mostPassedOver = 63
  /// Idle connections looked at in one tick.
  private static let idleChecks = 2000

  var wakeUp: WakeUp { reactor.wakeUp }

  init(_ options: WorkerOptions) throws(WorkerFailure) {
    let newReactor = try Self.reactor(options)
    let newEngine = try Self.engine(options)
    let place = try Self.waitingPlace()
    waitingPlace = place
    reactor = newReactor
    loan = options.engine.mailbox.loan
    loan.put(newEngine)
    own = loan.own
    hasNeighbours = options.engine.peers.count > 1
    index = options.engine.worker
    listeners = options.listeners
    sequencer = options.sequencer
    process = options.process
    control = options.control
    doorways = options.doorways
    let wakeUp = reactor.wakeUp
    options.engine.mailbox.hang { if !place.ring() { wakeUp.wake() } }
    migrator = Migrator(options.engine.mailbox, reactor.wakeUp)
    sequencer.add(options.engine.mailbox, reactor.wakeUp)
    process.began(reactor.backend)
    doorways[index].open(wakeUp)
    for (place, listener) in listeners.enumerated() {
      reactor.add(listener: listener.fileDescriptor, tag: UInt32(place))
    }
  }

  deinit { _ = loan.remove() }

  private static func reactor(_ options: WorkerOptions) throws(WorkerFailure) -> Reactor {
    do throws(ReactorError) {
      if let cpu = options.cpu { try Machine.pinThisThread(toCPU: cpu) }
      return try Reactor(options.backend)
    } catch {
      throw WorkerFailure(reason: error.description)
    }
  }

  private static func waitingPlace() throws(WorkerFailure) -> WaitingPlace {
    do throws(ReactorError) { return try WaitingPlace() } catch {
      throw WorkerFailure(reason: error.description)
    }
  }

  private static func engine(_ options: WorkerOptions) throws(WorkerFailure) -> Engine {
    Engine.bindMemoryToThisThread()
    do throws(EngineOutOfMemory) { return try Engine(options.engine) } catch {
      throw WorkerFailure(reason: "no memory for the keyspace")
    }
  }

  /// Waits awake for word of another worker, which is expected. A thread that is woken begins ten times later than one that looks; but where
  /// the processors have other work nothing comes in time: with every failure more occasions are passed over.
  private mutating func hasComeSoon() -> Bool {
    if passedOver > 0 {
      passedOver -= 1
      return false
    }
    for _ in 0..<Self.looks {
      if engine.mailbox.hasMail {
        passedOverNext = 0
        return true
      }
      Spin.pause()
    }
    passedOverNext = min(passedOverNext * 2 + 1, Self.mostPassedOver)
    passedOver = passedOverNext
    return false
  }

  /// How a turn ended.
  enum State {
    /// There will be another one.
    case running
    /// Everything is closed.
    case ended
    /// The kernel refuses to wait for events: nothing can be served any more, and nothing can be closed.
    case failed
  }

  /// One turn.
  mutating func turn() -> State {
    let count: Int
    do throws(ReactorError) {
      var timeout = timeout()
      // While it works nobody has to wake it: it looks into its mailbox before it waits.
      if timeout > 0, engine.expectsWord(), hasComeSoon() { timeout = 0 }
      if timeout > 0, !engine.mailbox.fallAsleep() { timeout = 0 }
      let isLent = timeout > 0 && hasNeighbours
      if isLent { loan.lend() }
      defer { if isLent { loan.takeBack() } }
      count = try reactor.turn(timeout: timeout)
    } catch {
      process.failed("worker \(index): \(error)")
      return .failed
    }
    engine.mailbox.wakeUp()
    now = SystemClock.unixMicroseconds
    monotonic = Int64(SystemClock.monotonicNanoseconds)
    engine.beginTurn(microseconds: now)
    if engine.mailbox.hasMail { engine.drainMailbox() }
    workHops()
    handleAll(count)
    for fileDescriptor in doorways[index].takeAll() { admit(fileDescriptor, to: nil) }
    if monotonic >= nextTick { tick() }
    isBusy = engine.housekeep()
    exchangeControls()
    engine.sendHops()
    serveListed()
    let all = reactor.endTurn()
    if all > count {
      for place in count..<all { handle(reactor.event(place)) }
    }
    if isDraining {
      // Whoever has stopped for a command that began here waits for its end.
      guard isDrained(), !engine.hasJointCommand || monotonic > drainDeadline else {
        return .running
      }
      migrator.end()
      return .ended
    }
    if engine.isDraining { drain() }
    return .running
  }

  /// Runs `body` on the engine, as a turn of its own; the next one follows at once, for what it has left to do.
  mutating func run<R>(_ body: (inout Engine) -> R) -> R {
    now = SystemClock.unixMicroseconds
    engine.beginTurn(microseconds: now)
    if engine.mailbox.hasMail { engine.drainMailbox() }
    isBusy = true
    return body(&engine)
  }

  /// How long the reactor may wait, in nanoseconds. Changes nothing: of a loop that is only borrowed the compiler makes a copy here.
  private mutating func timeout() -> Int64 {
    if isBusy || engine.listedCount > 0 || engine.hasHops { return 0 }
    let untilTick = min(nextTick - monotonic, Self.tickInterval)
    guard let deadline = engine.nextDeadline else { return max(0, untilTick) }
    // A deadline far away is none: no arithmetic with it.
    let milliseconds = deadline &- SystemClock.unixMicroseconds / 1000
    return milliseconds > 1000
      ? max(0, untilTick) : max(0, min(untilTick, milliseconds * 1_000_000))
  }

  /// What other workers have sent for router clients. If one of them has stopped this worker nothing else is done until it goes on.
  private mutating func workHops() {
    engine.workHops()
    if engine.isStopped { standStill() }
  }

  @inline(never)
  private mutating func standStill() {
    while engine.isStopped {
      waitingPlace.enter()
      if engine.mailbox.fallAsleep(), !engine.hasJointWord { waitingPlace.wait() }
      engine.mailbox.wakeUp()
      waitingPlace.leave()
      if engine.mailbox.hasMail { engine.drainMailbox() }
      if engine.isDraining, isStopOverdue() { engine.abandonStop() }
      engine.workHops()
    }
    engine.leaveOutTime()
  }

  /// Whether the process ends and the worker that this one has stopped for has had its time: half a command would else be all that is left
  /// of it.
  private mutating func isStopOverdue() -> Bool {
    let time = Int64(SystemClock.monotonicNanoseconds)
    if stopDeadline == 0 { stopDeadline = time + 2 * Self.drainTime }
    return time > stopDeadline
  }

  // MARK: events

  /// Handles a turn's events in order, in groups whose keys are prefetched together.
  @inline(__always)
  private mutating func handleAll(_ count: Int) {
    var place = 0
    while place < count {
      let end = min(place + Engine.foresightLimit, count)
      let first = place
      let isGroup = end - first > 1
      if isGroup {
        for i in first..<end {
          let event = reactor.peek(i)
          if event.kind == .received { Self.foresee(event, at: i - first, reactor, &engine) }
        }
        engine.prefetchForeseen(end - first)
      }
      while place < end {
        handle(reactor.event(place), foreseenAt: isGroup ? place - first : -1)
        place += 1
      }
      // Slots that come are nobody's until they are adopted.
      if engine.mailbox.hasMail {
        engine.drainMailbox()
        workHops()
        engine.leaveOutTime()
      }
    }
  }

  @inline(__always)
  private static func foresee(
    _ event: Event, at place: Int, _ reactor: borrowing Reactor, _ engine: inout Engine
  ) {
    engine.foresee(
      reactor.bytes(of: event), from: ClientID(index: Int32(truncatingIfNeeded: event.tag)),
      at: place)
  }

  @inline(__always)
  private mutating func handle(_ event: Event, foreseenAt place: Int = -1) {
    let client = ClientID(index: Int32(truncatingIfNeeded: event.tag))
    switch event.kind {
    case .received: Self.receive(event, client, place, reactor, &engine)
    case .sent: engine.sent(event.byteCount, of: client)
    case .accepted:
      accept(event)
      engine.leaveOutTime()
    case .filled:
      if engine.filled(event.byteCount, of: client) {
        reactor.endDirect(event.connection)
      } else {
        receiveDirectly(event.connection, client)
      }
    case .quiet: receiveDirectly(event.connection, client)
    case .hungUp: engine.hungUp(client, isBroken: event.errno != 0)
    case .closed:
      if engine.isOfRouter(client) { doorways[index].left() }
      engine.disconnect(client)
      process.disconnected()
      engine.process.connectedClients = process.connectionCount
      connections[Int(client.index)] = .none
    case .woken, .none: break
    }
  }

  /// The reactor lends the bytes while the engine runs them: two borrowings that only separate parameters show to be apart.
  @inline(__always)
  private static func receive(
    _ event: Event, _ client: ClientID, _ place: Int, _ reactor: borrowing Reactor,
    _ engine: inout Engine
  ) {
    engine.receive(reactor.bytes(of: event), from: client, foreseenAt: place)
  }

  private mutating func accept(_ event: Event) {
    let shard = listeners[Int(event.tag)].shard
    if shard == nil {
      let worker = Doorway.choose(among: doorways)
      if worker != index { return doorways[worker].give(event.fileDescriptor) }
    }
    admit(event.fileDescriptor, to: shard)
  }

  /// A connection has come to that shard's port, or to the router's.
  private mutating func admit(_ fileDescriptor: Int32, to shard: Int?) {
    if let refusal = refusal(of: fileDescriptor) {
      engine.countRejectedConnection(to: shard)
      SocketName.refuse(fileDescriptor, refusal)
      if shard == nil { doorways[index].left() }
      return
    }
    let connected = engine.connect(
      shard: shard, address: SocketName.peer(of: fileDescriptor),
      localAddress: SocketName.own(of: fileDescriptor), fileDescriptor: fileDescriptor,
      now: now / 1000)
    do throws(ReactorError) {
      guard let client = connected else { throw ReactorError("accept", errno: ENOMEM) }
      let connection = try reactor.adopt(fd: fileDescriptor, tag: UInt32(client.index))
      let place = Int(client.index)
      while connections.count <= place { connections.append(.none) }
      connections[place] = connection
      engine.process.connectedClients = process.connectionCount
      let keepalive = engine.currentSettings.tcpKeepaliveSeconds
      if keepalive > 0 { reactor.setKeepalive(connection, seconds: keepalive) }
    } catch {
      SocketName.refuse(fileDescriptor, "")
      if let client = connected { engine.disconnect(client) }
      if shard == nil { doorways[index].left() }
      process.disconnected()
    }
  }

  /// What a connection is told that is not taken; nil: it is, and is counted.
  private func refusal(of fileDescriptor: Int32) -> String? {
    if isDraining { return "" }
    guard process.connected(limit: engine.currentSettings.maxClients) else {
      return "-ERR max number of clients reached\r\n"
    }
    let refusal = engine.currentSettings.refusal(ofPeer: SocketName.peer(of: fileDescriptor))
    if refusal != nil { process.disconnected() }
    return refusal
  }

  // MARK: sessions with a wish

  private mutating func serveListed() {
    // Nothing joins the list while it is served.
    let count = engine.listedCount
    if count == 0 { return }
    let own = own
    for place in 0..<count {
      let client = engine.listed(place)
      let connection = connections[Int(client.index)]
      if engine.hasOutput(client) {
        Self.send(client, by: connection, &reactor, own.value)
        engine.beganSending(client)
      }
      switch engine.duty(of: client) {
      case .none: break
      case .pause: reactor.pause(connection)
      case .resume: reactor.resume(connection)
      case .close: reactor.close(connection)
      case .receiveDirectly: reactor.beginDirect(connection)
      case .resumeDirectly:
        reactor.resume(connection)
        reactor.beginDirect(connection)
      }
    }
    engine.clearListed()
  }

  /// The engine lends the bytes until they are sent.
  @inline(__always)
  private static func send(
    _ client: ClientID, by connection: ConnectionID, _ reactor: inout Reactor,
    _ engine: borrowing Engine
  ) {
    reactor.send(connection, engine.output(of: client), awaited: engine.awaitsSend(client))
  }

  private mutating func receiveDirectly(_ connection: ConnectionID, _ client: ClientID) {
    if let destination = unsafe engine.destination(for: client) {
      unsafe reactor.receive(connection, into: destination)
    } else {
      reactor.endDirect(connection)
    }
  }

  // MARK: timers

  private mutating func tick() {
    nextTick = monotonic + Self.tickInterval
    process.refresh(worker: index, WorkerFigures(engine), totals: engine.totals, now: now)
    engine.process = process.figures
    let spent = SystemClock.threadMicroseconds
    engine.process.threadUserCPUSeconds = Double(spent.user) / 1_000_000
    engine.process.threadSystemCPUSeconds = Double(spent.system) / 1_000_000
    for line in engine.takeLogLines() { process.log.notice(line) }
    engine.process.droppedLogLineCount = process.log.droppedLineCount
    engine.tick()
    migrator.endOldest()
    closeOverdue()
  }

  /// Closes connections that were silent for longer than they may, a bounded number at a time.
  private mutating func closeOverdue() {
    for _ in 0..<min(Self.idleChecks, connections.count) {
      idleCursor = (idleCursor + 1) % connections.count
      let connection = connections[idleCursor]
      let client = ClientID(index: Int32(idleCursor))
      if connection != .none, engine.isOverdue(client) { reactor.close(connection) }
    }
  }

  // MARK: control

  @inline(__always)
  private mutating func exchangeControls() {
    if engine.hasControls || !waitingControls.isEmpty { carryControls() }
  }

  @inline(never)
  private mutating func carryControls() {
    engine.finishCompleted()
    if engine.isStopped { standStill() }
    for applied in engine.takeAppliedControls() {
      if case .configure(let changes) = applied.request {
        for change in changes where change.name == "tcp-keepalive" { setKeepalives() }
        if index == 0 {
          process.configured(changes, engine.currentSettings)
          if changes.contains(where: { ControlPlane.settingNames.contains($0.name) }) {
            // The client is answered when the new map is out.
            let number = applied.number
            control.post(engine.currentSettings) { [sequencer] in sequencer.acknowledge(number) }
            continue
          }
        }
      }
      if case .shutdown = applied.request { process.requestShutdown() }
      if case .rewriteConfiguration = applied.request, index == 0 {
        // What is in force by the order of the requests, whatever is set while the file is written.
        let number = applied.number
        process.rewriteConfiguration(engine.currentSettings) { [sequencer] failure in
          sequencer.acknowledge(number, failure: failure)
        }
        continue
      }
      sequencer.acknowledge(applied.number)
    }
    for request in engine.takeClusterRequests() { control.post(request, from: index) }
    for migration in engine.takeMigrations() { migrator.submit(migration) }
    waitingControls += engine.takeControlRequests()
    while let first = waitingControls.first, sequencer.submit(first, from: index) {
      waitingControls.removeFirst()
    }
  }

  private mutating func setKeepalives() {
    let seconds = engine.currentSettings.tcpKeepaliveSeconds
    for connection in connections where connection != .none {
      reactor.setKeepalive(connection, seconds: seconds)
    }
  }

  // MARK: shards that come and go

  /// A shard is on this worker from now on. Without sockets it takes over those of a shard of the same number that has left.
  mutating func open(_ shard: LocalShardInfo, at local: Int, listening sockets: [Int32]) {
    engine.open(shard, at: local)
    for socket in sockets {
      listeners.append((socket, local))
      reactor.add(listener: socket, tag: UInt32(listeners.count - 1))
    }
    isBusy = true
  }

  /// A shard that owns nothing is gone: its port is closed, and so are its connections.
  mutating func close(shardAt local: Int) {
    for place in listeners.indices
    where listeners[place].shard == local && listeners[place].fileDescriptor >= 0 {
      reactor.remove(listener: listeners[place].fileDescriptor)
      listeners[place].fileDescriptor = -1
    }
    for (place, connection) in connections.enumerated() where connection != .none {
      if engine.shard(of: ClientID(index: Int32(place))) == local { reactor.close(connection) }
    }
    isBusy = true
  }

  // MARK: the end

  /// Stops accepting; what replies wait are sent.
  private mutating func drain() {
    isDraining = true
    drainDeadline = monotonic + Self.drainTime
    for listener in listeners where listener.fileDescriptor >= 0 {
      reactor.remove(listener: listener.fileDescriptor)
    }
    farewells = [Int64](repeating: 0, count: connections.count)
    isBusy = true
  }

  /// Whether everything is closed. Who has got all replies is told that no more come, and is closed at his end, or when nothing has come of him
  /// for a moment: requests that are on their way would turn the close into a reset. After the deadline all are closed.
  private mutating func isDrained() -> Bool {
    var openCount = 0
    var isSending = false
    for (place, connection) in connections.enumerated() where connection != .none {
      openCount += 1
      let hasOutput = engine.hasUnsentOutput(ClientID(index: Int32(place)))
      if farewells[place] == 0, !hasOutput {
        reactor.endSending(connection)
        farewells[place] = monotonic
      }
      if monotonic > drainDeadline || (farewells[place] > 0 && hasEnded(connection, at: place)) {
        _ = reactor.discard(connection)
        reactor.close(connection)
      }
      isSending = isSending || farewells[place] == 0
    }
    if openCount > 0, !isSending {
      WorkerThread.pause(milliseconds: 1)
      isBusy = true
    }
    return openCount == 0
  }

  /// Whether a client that was told that no more comes has ended too, or been silent for long enough.
  private mutating func hasEnded(_ connection: ConnectionID, at place: Int) -> Bool {
    guard let byteCount = reactor.discard(connection) else { return true }
    if byteCount > 0 { farewells[place] = monotonic }
    return monotonic - farewells[place] > Self.farewellTime
  }
}
