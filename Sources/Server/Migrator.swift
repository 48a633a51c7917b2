internal import Engine
internal import Reactor
internal import Synchronization

// Sends keys to other servers for one worker (MIGRATE), on threads of its own, because everything here may wait.
//
//   worker ──submit──▶ lane of its target (host, port) ──▶ thread: AUTH, SELECT, RESTORE-ASKING … ──▶ mailbox of the worker
//
// A lane has one connection and one thread; migrations to one target go one after the other. Both are kept for ten seconds after the
// last use, as Redis keeps its connections: redis-cli moves a slot with a dozen MIGRATEs, and a new thread may wait for a processor
// much longer than one that is woken.
//
// As with Redis a target that breaks the connection before its first answer is tried once more, because a kept connection may have been
// closed at the other end; one that is silent is not.

/// What sends keys to other servers. One a worker.
final class Migrator: Sendable {
  /// Where keys go.
  private struct Target: Hashable {
    var host: String
    var port: UInt16
  }

  /// A kept connection.
  private struct Link {
    var socket: ClientSocket
    /// The database that is selected there; nil = not known.
    var database: Int64?
  }

  private struct Lane {
    /// Where its thread waits.
    let place: WaitingPlace
    var waiting: [PendingMigration] = []
    /// Nanoseconds of the monotonic clock.
    var lastUse = SystemClock.monotonicNanoseconds
    /// The thread ends as soon as nothing waits.
    var isEnding = false
  }

  private struct Lanes {
    var all: [Target: Lane] = [:]
    /// No lane is kept any more.
    var isEnded = false
  }

  /// How long a lane is kept, in nanoseconds, and how many are.
  private static let keepTime: UInt64 = 10_000_000_000
  private static let keepLimit = 64

  private let lanes = Mutex(Lanes())
  private let mailbox: Mailbox
  private let wakeUp: WakeUp

  /// A migrator that answers into that mailbox.
  init(_ mailbox: Mailbox, _ wakeUp: WakeUp) {
    self.mailbox = mailbox
    self.wakeUp = wakeUp
  }

  /// Takes a migration over; its outcome comes by mailbox. Never waits.
  func submit(_ migration: PendingMigration) {
    let target = Target(host: migration.host, port: migration.port)
    let isTaken = lanes.withLock { lanes in
      lanes.all[target]?.waiting.append(migration)
      lanes.all[target]?.place.ring()
      return lanes.all[target] != nil
    }
    if isTaken { return }
    do throws(ReactorError) {
      let place = try WaitingPlace()
      place.enter()
      // Only this worker adds lanes.
      lanes.withLock { $0.all[target] = Lane(place: place, waiting: [migration]) }
      try WorkerThread.start(named: "tern-migrate") { [self] in run(target, place) }
    } catch {
      // No thread to be had: the lane is free again.
      lanes.withLock { $0.all[target] = nil }
      answer(MigrationOutcome(number: migration.number, answer: .cannotConnect))
    }
  }

  /// Ends the lanes that were not used for longest, if there are many. Called a few times a second.
  func endOldest() {
    lanes.withLock { lanes in
      if lanes.all.count <= Self.keepLimit { return }
      let oldest = lanes.all.sorted { $0.value.lastUse < $1.value.lastUse }
      for (target, lane) in oldest.prefix(lanes.all.count - Self.keepLimit) {
        lanes.all[target]?.isEnding = true
        lane.place.ring()
      }
    }
  }

  /// Ends all lanes as soon as nothing waits there.
  func end() {
    lanes.withLock { lanes in
      lanes.isEnded = true
      for lane in lanes.all.values { lane.place.ring() }
    }
  }

  // MARK: on a lane's thread

  private func run(_ target: Target, _ place: WaitingPlace) {
    var link: Link?
    while true {
      while let migration = next(target) { answer(carryOut(migration, &link)) }
      if leaves(target) { return }
      place.wait(milliseconds: 1000)
    }
  }

  /// The lane's next migration.
  private func next(_ target: Target) -> PendingMigration? {
    lanes.withLock { lanes in
      guard lanes.all[target]?.waiting.isEmpty == false else { return nil }
      lanes.all[target]?.lastUse = SystemClock.monotonicNanoseconds
      return lanes.all[target]?.waiting.removeFirst()
    }
  }

  /// Whether the lane has had nothing to do for long enough; it is gone then.
  private func leaves(_ target: Target) -> Bool {
    lanes.withLock { lanes in
      guard let lane = lanes.all[target] else { return true }
      let idleTime = SystemClock.monotonicNanoseconds &- lane.lastUse
      guard lane.waiting.isEmpty, lane.isEnding || lanes.isEnded || idleTime > Self.keepTime
      else { return false }
      lanes.all[target] = nil
      return true
    }
  }

  private func carryOut(_ migration: PendingMigration, _ link: inout Link?) -> MigrationOutcome {
    for isLastTry in [false, true] {
      do throws(ReactorError) {
        if link == nil {
          let socket = try ClientSocket(
            host: migration.host, port: migration.port, milliseconds: migration.milliseconds)
          link = Link(socket: socket)
        }
      } catch {
        let answer: MigrationOutcome.Answer = error.isUnreachable ? .cannotConnect : .cannotWrite
        return MigrationOutcome(number: migration.number, answer: answer)
      }
      guard var open = link.take() else { break }
      var exchange = Exchange(migration, selects: open.database != migration.database)
      do throws(ReactorError) {
        try exchange.run(on: open.socket)
        open.database = exchange.outcome.answer == .done ? migration.database : nil
        link = open
        return exchange.outcome
      } catch {
        if isLastTry || error.isTimeout || !exchange.mayRepeat { return exchange.outcome }
      }
    }
    return MigrationOutcome(number: migration.number, answer: .cannotRead)
  }

  /// Leaves an outcome in the worker's mailbox. A full one is emptied by the worker every turn.
  private func answer(_ outcome: MigrationOutcome) {
    while !mailbox.send(.migrated(outcome)) {
      wakeUp.wake()
      WorkerThread.pause(milliseconds: 1)
    }
    wakeUp.wake()
  }
}

/// One pipeline to another server, and what came of it.
private struct Exchange {
  /// What has come of it so far.
  var outcome: MigrationOutcome
  /// Nothing can have been done over there: the reply to the first of our requests never came.
  var mayRepeat = true
  private let migration: PendingMigration
  private let selects: Bool
  private var bytes: [UInt8] = []
  private var position = 0

  /// No status line of a server is longer.
  private static let lineLimit = 64 << 10

  init(_ migration: PendingMigration, selects: Bool) {
    self.migration = migration
    self.selects = selects
    outcome = MigrationOutcome(number: migration.number, answer: .cannotWrite)
  }

  /// Sends everything, then reads every reply. A target that refuses a request is no error here.
  mutating func run(on socket: ClientSocket) throws(ReactorError) {
    var head: [UInt8] = []
    if !migration.credentials.isEmpty {
      Self.append([Array("AUTH".utf8)] + migration.credentials, to: &head)
    }
    if selects {
      Self.append([Array("SELECT".utf8), Array("\(migration.database)".utf8)], to: &head)
    }
    try socket.write(head + migration.requests, milliseconds: migration.milliseconds)
    outcome.answer = .cannotRead
    var headRefusal: [UInt8]? = nil
    if !migration.credentials.isEmpty { headRefusal = try error(from: socket) }
    if selects {
      let answer = try error(from: socket)
      headRefusal = headRefusal ?? answer
    }
    var refusal: [UInt8]? = nil
    for place in 0..<migration.requestCount {
      let answer = try error(from: socket)
      mayRepeat = false
      // What was stored without the database that was asked for has not arrived.
      if headRefusal == nil, answer == nil { outcome.acknowledged.append(place) }
      refusal = refusal ?? headRefusal ?? answer
      // Should the target fall silent from here on, this is what is told of it.
      if let refusal { outcome.answer = .refused(refusal) }
    }
    if refusal == nil { outcome.answer = .done }
  }

  /// Reads one status line: the text behind `-` of an error, else nil.
  private mutating func error(from socket: ClientSocket) throws(ReactorError) -> [UInt8]? {
    var searched = position
    while true {
      if let end = bytes[searched...].firstIndex(of: 10) {
        var line = bytes[position..<end]
        if line.last == 13 { line = line.dropLast() }
        position = end + 1
        return line.first == UInt8(ascii: "-") ? Array(line.dropFirst()) : nil
      }
      searched = bytes.count
      if searched - position > Self.lineLimit {
        throw ReactorError("read", errno: 0)
      }
      if position > 0 {
        bytes.removeFirst(position)
        searched -= position
        position = 0
      }
      try socket.read(into: &bytes, milliseconds: migration.milliseconds)
    }
  }

  private static func append(_ words: [[UInt8]], to request: inout [UInt8]) {
    request += Array("*\(words.count)\r\n".utf8)
    for word in words {
      request += Array("$\(word.count)\r\n".utf8)
      request += word
      request += [13, 10]
    }
  }
}
