import Glibc
import Sharding
import Synchronization

/// What the clients and the mover of a test share: the keys, what went wrong, how far everybody is, and when which slots moved.
final class World: Sendable {
  /// A move of slots: from before it was asked for until it was seen to have ended.
  struct Move {
    let slots: ClosedRange<Int>
    let start: UInt64
    var end = UInt64.max
  }

  /// The slots that clients write to, in groups that move together.
  let groups: [ClosedRange<Int>]
  /// A hash tag of every one of those slots, in order.
  let tags: [(slot: Int, tag: String)]
  /// Whether a second redirect is a failure even where the slot has moved again since the first.
  let isStrict: Bool
  private let deadline: UInt64
  private let failures = Mutex<[String]>([])
  private let stopping = Atomic<Bool>(false)
  private let rounds: Mutex<[Int]>
  private let moves = Mutex<[Move]>([])

  init(groups: [ClosedRange<Int>], clients: Int, isStrict: Bool, seconds: Double) {
    deadline = monotonic() + UInt64(seconds * 1e9)
    self.groups = groups
    self.isStrict = isStrict
    rounds = Mutex([Int](repeating: 0, count: clients))
    var found: [Int: String] = [:]
    let wanted = groups.reduce(0) { $0 + $1.count }
    var candidate = 0
    while found.count < wanted {
      let tag = String(candidate, radix: 36)
      let slot = HashSlot.of(Array(tag.utf8).span.bytes).index
      if groups.contains(where: { $0.contains(slot) }), found[slot] == nil { found[slot] = tag }
      candidate += 1
    }
    tags = found.sorted { $0.key < $1.key }.map { (slot: $0.key, tag: $0.value) }
  }

  func fail(_ reason: String) {
    failures.withLock { if $0.count < 20 { $0.append(reason) } }
    stop()
  }

  var failed: [String] { failures.withLock { $0 } }

  func stop() { stopping.store(true, ordering: .releasing) }

  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Whether the time is up and enough was tried, or something went wrong. A machine that is busy with other things gets more time.
  var isOver: Bool {
    let now = monotonic()
    return isStopping || (now > deadline && moveCount > 2) || now > deadline + 60_000_000_000
  }

  // MARK: rounds of the clients

  /// A client has done a round: every command of it is answered, and it has touched every slot in it.
  func finishedRound(of client: Int) { rounds.withLock { $0[client] += 1 } }

  /// A client has ended: nobody waits for it.
  func ended(_ client: Int) { rounds.withLock { $0[client] = Int.max / 2 } }

  var roundsDone: [Int] { rounds.withLock { $0 } }

  /// Waits until every client has done two rounds since: one may have been under way, in the other it learned where every slot is.
  func awaitFreshClients(since before: [Int]) {
    while !isStopping, !zip(before, roundsDone).allSatisfy({ $1 >= $0 + 2 }) { usleep(100) }
  }

  // MARK: moves

  func begin(_ slots: ClosedRange<Int>) -> Int {
    moves.withLock {
      $0.append(Move(slots: slots, start: monotonic()))
      return $0.count - 1
    }
  }

  func end(_ move: Int) { moves.withLock { $0[move].end = monotonic() } }

  var moveCount: Int { moves.withLock { $0.count } }

  /// Whether a slot may have changed its shard between two times.
  func mayHaveMoved(_ slot: Int, _ start: UInt64, _ end: UInt64) -> Bool {
    moves.withLock { moves in
      moves.reversed().contains { $0.slots.contains(slot) && $0.start <= end && start <= $0.end }
    }
  }
}
