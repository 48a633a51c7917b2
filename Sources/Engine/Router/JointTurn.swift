internal import RESP
internal import Storage
internal import Synchronization

/// Whose turn it is to stop other workers for a command (`Engine+Joint.swift`): one at a time in a process, in the order of asking.
public final class JointTurn: Sendable {
  private struct State {
    var isTaken = false
    var waiting: [Mailbox] = []
    var commandCount: UInt64 = 0
  }
  private let state = Mutex(State())

  /// Nobody's turn.
  public init() {}

  /// Takes the turn. False if it is somebody else's: then it is told to `mailbox` when it has come.
  func take(for mailbox: Mailbox) -> Bool {
    state.withLock { state in
      if state.isTaken {
        state.waiting.append(mailbox)
        return false
      }
      state.isTaken = true
      return true
    }
  }

  /// The number of the next joint command of the process: what is said of another one is dropped. Asked by whoever has the turn.
  func nextNumber() -> UInt64 {
    state.withLock { state in
      state.commandCount += 1
      return state.commandCount
    }
  }

  /// Whoever had it is done.
  func pass() {
    let next = state.withLock { state -> Mailbox? in
      if state.waiting.isEmpty {
        state.isTaken = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.push(.turn)
  }
}

/// What workers tell each other for a command that stops some of them.
public enum JointMessage: Sendable {
  /// Stop, and say whether these hops can be run.
  case prepare(HopBatch)
  /// The worker has stopped; the batch's verdict says whether they can.
  case prepared(HopBatch)
  /// Run them, and go on; or, if the batch is held, stay until the release.
  case commit(HopBatch)
  /// They were run, and the worker stays.
  case ran(HopBatch)
  /// Go on; hops that were not run for the command of that number are not to be.
  case release(UInt64)
  /// It is this worker's turn.
  case turn
}

/// Whether hops can be run together.
enum JointVerdict: Sendable {
  case ready
  /// Not at this moment: a slot is not there any more, or its clients are paused.
  case later
  /// The same, for keys are on both sides of a slot that is moved key by key.
  case split
  /// A key is there that must not be (MSETNX).
  case present
  /// A key that was watched has changed.
  case conflicted
  case noMemory
}

/// A command that stops the workers that it concerns, on its way.
final class Joint {
  /// Its number in the process, which its batches have too.
  let number: UInt64
  let client: ClientID
  let clientNumber: UInt64
  /// What the others run, one batch each.
  var batches: [HopBatch] = []
  /// Workers that have not stopped yet, or have not run their part.
  var outstanding = 0
  /// They were asked to stop.
  var isSent = false
  var verdict = JointVerdict.ready
  /// All workers stop, also this one, until all have run it: it is about all keys.
  let isHeld: Bool
  /// Its keys, in the order of their places, and their arguments' places in the request.
  var ways = Pile<Way>()
  var ranges = Pile<ArgumentRange>()

  init(_ number: UInt64, client: ClientID, clientNumber: UInt64, isHeld: Bool) {
    self.number = number
    self.client = client
    self.clientNumber = clientNumber
    self.isHeld = isHeld
  }
}
