internal import Engine
internal import Reactor
internal import Synchronization

/// Puts the changes of the whole process in one order (DESIGN §9): a worker hands in a control request, every worker gets it with its
/// number through its mailbox, and when the last one has applied it the one that handed it in is told.
///
/// Messages go out under the lock, so all mailboxes hold them in the order of their numbers. At most `limit` requests are under way,
/// for which every mailbox has room: no send can fail, and none ever blocks.
final class Sequencer: Sendable {
  /// Requests under way at once; each takes at most two places in a mailbox.
  static let limit = Mailbox.capacity / 4

  private struct UnderWay {
    var pending: PendingControl
    var origin: Int
    var missing: Int
  }

  private struct State {
    var nextNumber: UInt64 = 1
    var underWay: [UInt64: UnderWay] = [:]
    var mailboxes: [Mailbox] = []
    var wakeUps: [WakeUp] = []
  }

  private let state = Mutex(State())

  /// A sequencer without workers.
  init() {}

  /// Adds a worker; all are there before the first request.
  func add(_ mailbox: Mailbox, _ wakeUp: WakeUp) {
    state.withLock {
      $0.mailboxes.append(mailbox)
      $0.wakeUps.append(wakeUp)
    }
  }

  /// Takes a request over from a worker. False if too many are under way: try again in a later turn.
  func submit(_ pending: PendingControl, from origin: Int) -> Bool {
    state.withLock { state in
      guard state.underWay.count < Self.limit else { return false }
      let number = state.nextNumber
      state.nextNumber += 1
      state.underWay[number] = UnderWay(
        pending: pending, origin: origin, missing: state.mailboxes.count)
      for mailbox in state.mailboxes {
        let isSent = mailbox.send(.control(pending.request, number: number))
        precondition(isSent, "room for control messages is reserved")
      }
      for wakeUp in state.wakeUps { wakeUp.wake() }
      return true
    }
  }

  /// A worker has applied a request, or could not.
  func acknowledge(_ number: UInt64, failure: String? = nil) {
    state.withLock { state in
      guard var entry = state.underWay[number] else { return }
      entry.missing -= 1
      if let failure { entry.pending.failure = failure }
      if entry.missing > 0 {
        state.underWay[number] = entry
        return
      }
      state.underWay[number] = nil
      let isSent = state.mailboxes[entry.origin].send(.completed(entry.pending))
      precondition(isSent, "room for the answer is reserved with the request")
      state.wakeUps[entry.origin].wake()
    }
  }

  /// Has every worker end: replies that wait are sent, then everything is closed.
  func drainAll() {
    state.withLock { state in
      for mailbox in state.mailboxes { _ = mailbox.send(.drain) }
      for wakeUp in state.wakeUps { wakeUp.wake() }
    }
  }
}
