import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Two workers of a cluster of four shards: 1 and 3 on the first, 2 and 4 on the second. Clients of the router are on the first.
struct Two: ~Copyable {
  let board: MapBoard
  var first: Rig
  var second: Rig
  /// A client of the router.
  let client: ClientID
  /// In the place of an engine that is lent.
  private var stand: Engine?
  /// How often they have had their turns: every other time the first sleeps while the second sends, and the other way round.
  private var passes = 0

  init(settings: Settings = Settings()) throws {
    let board = MapBoard(.test(4))
    let mailboxes = [Mailbox(), Mailbox()]
    let turn = JointTurn()
    var first = try Rig(
      board: board, worker: 0, of: mailboxes, local: [1, 3], settings: settings, turn: turn)
    let second = try Rig(
      board: board, worker: 1, of: mailboxes, local: [2, 4], settings: settings, turn: turn)
    let spare = try Engine(EngineOptions(board: board, clock: .still))
    client = try first.connect(to: nil)
    self.first = first
    self.second = second
    self.board = board
    stand = consume spare
  }

  /// One turn of the second worker, then one of the first.
  mutating func pass() {
    passes += 1
    if passes % 2 == 0 { sendToSleeper() } else { first.engine.sendHops() }
    Self.turn(&second.engine)
    if passes % 2 == 0 {
      Self.send(from: &second.engine, to: &first.engine, in: &stand)
    } else {
      second.engine.sendHops()
    }
    Self.turn(&first.engine)
    first.engine.sendHops()
  }

  /// The first worker sends what it has for the second while that sleeps, and so may do it itself.
  mutating func sendToSleeper() {
    Self.send(from: &first.engine, to: &second.engine, in: &stand)
  }

  private static func send(
    from sender: inout Engine, to sleeper: inout Engine, in stand: inout Engine?
  ) {
    let loan = sleeper.mailbox.loan
    guard var lent = stand.take() else { return }
    swap(&lent, &sleeper)
    loan.put(consume lent)
    loan.lend()
    sender.sendHops()
    loan.takeBack()
    guard var own = loan.remove() else { return }
    swap(&own, &sleeper)
    stand = consume own
  }

  /// Until nothing is under way any more.
  mutating func settle() {
    for _ in 0..<5000 {
      pass()
      if !first.engine.hasHops, !second.engine.hasHops, !first.engine.mailbox.hasMail,
        !second.engine.mailbox.hasMail, !first.engine.isStopped, !second.engine.isStopped
      {
        // Those that wait for a millisecond.
        if first.engine.router.late.isEmpty { return }
        first.setTime(first.engine.milliseconds + 1)
        second.setTime(second.engine.milliseconds + 1)
        _ = first.housekeep()
      }
    }
  }

  static func turn(_ engine: inout Engine) {
    engine.drainMailbox()
    engine.workHops()
    if engine.isStopped { return }
    engine.applyOwnControls()
    engine.finishCompleted()
    _ = engine.housekeep()
  }

  /// Settings of both workers, as CONFIG SET changes them.
  mutating func configure(_ changes: [(name: String, value: String)]) {
    first.engine.apply(.configure(changes), number: 0)
    second.engine.apply(.configure(changes), number: 0)
    _ = first.engine.takeAppliedControls()
    _ = second.engine.takeAppliedControls()
  }

  /// Sends lines of words in one piece, and lets all of it happen.
  mutating func ask(_ text: String, from client: ClientID? = nil) -> String {
    send(text, from: client)
    settle()
    return first.shownReplies(to: client ?? self.client)
  }

  mutating func send(_ text: String, from client: ClientID? = nil) {
    var bytes: [UInt8] = []
    for line in text.split(separator: "\n") { bytes += request(words(String(line))) }
    first.send(bytes, from: client ?? self.client)
  }

  mutating func sendToSecond(_ text: String, from client: ClientID) {
    var bytes: [UInt8] = []
    for line in text.split(separator: "\n") { bytes += request(words(String(line))) }
    second.send(bytes, from: client)
  }

  /// Hands slots of the first worker's shard 1 over to the second worker's shard 2.
  mutating func give(_ slots: [SlotRange], mustBeEmpty: Bool = false) throws {
    try Self.handOver(
      slots, of: board, from: &first.engine, to: .test(2), at: second.engine.mailbox, mustBeEmpty)
  }

  /// The other way round.
  mutating func giveBack(_ slots: [SlotRange]) throws {
    try Self.handOver(
      slots, of: board, from: &second.engine, to: .test(1), at: first.engine.mailbox)
  }

  private static func handOver(
    _ slots: [SlotRange], of board: MapBoard, from engine: inout Engine, to target: ShardID,
    at mailbox: Mailbox, _ mustBeEmpty: Bool = false
  ) throws {
    let memory = try #require(SlotTableMemory(capacity: slots.reduce(0) { $0 + $1.count }))
    let outcome = engine.handOver(
      HandOver(
        flip: 1, slots: slots, source: 0, target: 0, targetID: target, mailbox: mailbox,
        map: board.current.map.assigning(slots, to: target), memory: memory,
        mustBeEmpty: mustBeEmpty))
    #expect(outcome == .done)
  }
}

extension Two {
  /// Keys of each of the four shards.
  static let keys = (0..<4).map { Tag.in($0 * 4096..<$0 * 4096 + 4096) }

  /// The slot of a key, as a range.
  static func slots(of key: String) -> [SlotRange] {
    let slot = HashSlot(UInt16(Tag.slot(of: key)))
    return [SlotRange(slot, slot)]
  }
}
