internal import Engine
internal import Glibc
internal import Reactor
internal import Synchronization

/// Where connections of the router's port come to a worker. One worker accepts them all and gives each to the worker that has the fewest
/// of them: with `SO_REUSEPORT` the kernel would deal them out by a hash of their addresses, and of eight connections one of two workers
/// may get seven. It costs a connection one more wake-up, once.
final class Doorway: Sendable {
  private let waiting = Mutex<[Int32]>([])
  private let isFilled = Atomic<Bool>(false)
  private let wakeUp = Mutex<WakeUp?>(nil)
  /// Connections of the router that are this worker's, those on their way to it too.
  private let clients = Atomic<Int>(0)

  /// Those that came too late for the worker to take them.
  deinit { for fileDescriptor in takeAll() { SocketName.refuse(fileDescriptor, "") } }

  /// The worker behind it is there.
  func open(_ wakeUp: WakeUp) { self.wakeUp.withLock { $0 = wakeUp } }

  /// The place, among those of all workers, of the worker that has the fewest connections; it has one more from now on.
  static func choose(among doorways: [Doorway]) -> Int {
    var chosen = 0
    var fewest = Int.max
    for (place, doorway) in doorways.enumerated() {
      let count = doorway.clients.load(ordering: .relaxed)
      if count < fewest { (chosen, fewest) = (place, count) }
    }
    doorways[chosen].clients.add(1, ordering: .relaxed)
    return chosen
  }

  /// A connection of the worker's is gone, or was refused.
  func left() { clients.subtract(1, ordering: .relaxed) }

  /// Gives a connection to the worker.
  func give(_ fileDescriptor: Int32) {
    waiting.withLock { $0.append(fileDescriptor) }
    isFilled.store(true, ordering: .releasing)
    wakeUp.withLock { $0?.wake() }
  }

  /// The connections that have come. One load while there are none.
  func takeAll() -> [Int32] {
    guard isFilled.load(ordering: .acquiring) else { return [] }
    isFilled.store(false, ordering: .relaxed)
    return waiting.withLock { $0.takeAll() }
  }
}
