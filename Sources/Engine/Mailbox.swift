public import Sharding
public import Storage
internal import Synchronization

/// A message from one worker or the control plane to a worker.
public enum MailboxMessage: Sendable {
  /// The next numbered change of the process; `completion` learns that this worker has applied it.
  case control(ControlRequest, number: UInt64)
  /// The answer to a control request that a client of this worker waits for.
  case completed(PendingControl)
  /// Tables of slots that a shard of this worker owns from now on (DESIGN §4).
  case adopt(HandedOver)
  /// The process ends: send what is there, then close everything.
  case drain
  /// The answer of the authority over the map to a client of this worker.
  case clusterChanged(PendingClusterRequest)
  /// These slots belong to a shard of this worker, with what it has imported of them; sent before the map that says so is published.
  case adoptOpen([SlotRange], by: ShardID)
  /// The next keys, in hash order, of a slot that a shard of this worker is being given.
  case adoptEntries(HandedEntries)
  /// What has become of keys that were sent to another server (MIGRATE).
  case migrated(MigrationOutcome)
  /// Requests of another worker's router clients.
  case hops(HopBatch)
  /// The answers to those that this worker has sent.
  case answeredHops(HopBatch)
  /// A command that stops workers is on its way.
  case joint(JointMessage)
  /// Of the router's clients in MONITOR.
  case monitor(MonitorMessage)
}

/// What other threads send to a worker (DESIGN §1): a batch behind a mutex, and a flag that says whether there is anything.
///
/// A send never blocks: a full mailbox says no, and the sender keeps the message. Looking costs one acquire load while it is empty,
/// which is why a worker can afford to look before every redirect.
public final class Mailbox: Sendable {
  /// Messages that may wait at once, slot tables on the move apart.
  public static let capacity = 4096

  private let waiting = Mutex<[MailboxMessage]>([])
  private let isFilled = Atomic<Bool>(false)
  /// Whoever reads here looks before it waits: the bell need not be rung.
  private let isAwake = Atomic<Bool>(false)
  private let bell = Mutex<Bell?>(nil)
  /// The engine of the worker that reads here, while that sleeps: what others want of it that is brief they do themselves
  /// (`Engine+Neighbours.swift`). Empty for an engine that nobody lends.
  public let loan = Loan<Engine>()

  /// What the worker that reads here uses of the process's memory, as of its last command that needs some, or its last turn.
  let usedByteCount = Atomic<Int>(0)

  /// What is rung for the worker that reads here. A type of its own: a bare closure in a generic box is wrapped once more by every access.
  private struct Bell: Sendable {
    let ring: @Sendable () -> Void
  }

  /// An empty mailbox.
  public init() {}

  /// The process ends with tables under way: nobody will read them.
  deinit {
    for message in takeAll() {
      if case .adopt(let tables) = message { tables.batch.discard() }
      if case .adoptEntries(let entries) = message { entries.batch?.discard() }
    }
  }

  /// How the worker that reads here is woken.
  public func hang(_ bell: @escaping @Sendable () -> Void) {
    let bell = Bell(ring: bell)
    self.bell.withLock { $0 = bell }
  }

  /// Leaves tables, and wakes the worker that adopts them. There is always room: only one flip at a time is under way in a process.
  func push(_ tables: HandedOver) { pushAlways(.adopt(tables)) }

  /// Leaves the next keys of a slot.
  func push(_ entries: HandedEntries) { pushAlways(.adoptEntries(entries)) }

  /// Leaves slots that were emptied key by key.
  func pushOpen(_ slots: [SlotRange], _ shard: ShardID) { pushAlways(.adoptOpen(slots, by: shard)) }

  /// The answer to a client that waits: every one of them may have one message here.
  public func answer(_ pending: PendingClusterRequest) { pushAlways(.clusterChanged(pending)) }

  /// Leaves requests of router clients, and wakes the worker that runs them. False if the mailbox is full.
  func send(_ batch: HopBatch) -> Bool {
    if !send(.hops(batch)) { return false }
    ring()
    return true
  }

  /// Leaves the answers to requests: there is room, for at most one batch a worker and turn is under way.
  func answer(_ batch: HopBatch) { pushAlways(.answeredHops(batch)) }

  /// Leaves word of a command that stops workers: one is under way in a process.
  func push(_ message: JointMessage) { pushAlways(.joint(message)) }

  /// Leaves word about monitors.
  func push(_ message: MonitorMessage) { pushAlways(.monitor(message)) }

  private func pushAlways(_ message: MailboxMessage) {
    waiting.withLock { messages in
      messages.append(message)
      isFilled.store(true, ordering: .sequentiallyConsistent)
    }
    ring()
  }

  /// Wakes the worker that reads here, unless it will look before it waits. In one order of all threads either it is seen to be awake, and
  /// then looks later than this message came, or it is rung.
  func ring() {
    if !isAwake.load(ordering: .sequentiallyConsistent) { bell.withLock { $0 }?.ring() }
  }

  /// The worker that reads here is awake, until it says otherwise.
  public func wakeUp() { isAwake.store(true, ordering: .relaxed) }

  /// It is about to wait. False if there is mail: it should not.
  public func fallAsleep() -> Bool {
    isAwake.store(false, ordering: .sequentiallyConsistent)
    return !isFilled.load(ordering: .sequentiallyConsistent)
  }

  /// Leaves a message. False if the mailbox is full: the message was not taken.
  public func send(_ message: MailboxMessage) -> Bool {
    waiting.withLock { messages in
      guard messages.count < Self.capacity else { return false }
      messages.append(message)
      isFilled.store(true, ordering: .sequentiallyConsistent)
      return true
    }
  }

  /// Whether there is anything. One acquire load.
  public var hasMail: Bool { isFilled.load(ordering: .acquiring) }

  /// All messages, in the order in which they were sent; the mailbox is empty afterwards.
  public func takeAll() -> [MailboxMessage] {
    guard hasMail else { return [] }
    return waiting.withLock { messages in
      isFilled.store(false, ordering: .releasing)
      return messages.takeAll()
    }
  }
}
