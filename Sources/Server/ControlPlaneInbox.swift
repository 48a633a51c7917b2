internal import Engine
internal import Sharding

/// What reaches the control plane, from any thread and without waiting.
final class ControlPlaneInbox: Sendable {
  /// What it hears.
  enum Message: Sendable {
    /// A client of that worker asks for something.
    case request(PendingClusterRequest, worker: Int)
    /// Something has happened, or is asked for, that its state machine must know; who asks hears what it says at once.
    case happened(Rebalancer.Input, asked: CheckedContinuation<ControlPlane.Verdict, Never>?)
    /// Settings that concern it were changed; `done` is called when they are in force.
    case configured(Settings, done: @Sendable () -> Void)
    /// Loads are to be looked at; those who were asked for by an older number are not wanted any more.
    case sample(number: UInt64)
    /// The cluster ends.
    case end
  }

  /// What was posted, in order.
  let messages: AsyncStream<Message>
  private let continuation: AsyncStream<Message>.Continuation

  init() {
    (messages, continuation) = AsyncStream.makeStream()
  }

  /// A client of that worker asks for something.
  func post(_ request: PendingClusterRequest, from worker: Int) {
    continuation.yield(.request(request, worker: worker))
  }

  /// Something has happened.
  func post(_ input: Rebalancer.Input) { continuation.yield(.happened(input, asked: nil)) }

  /// Settings were changed: `done` is called in any case.
  func post(_ settings: Settings, done: @escaping @Sendable () -> Void) {
    if case .terminated = continuation.yield(.configured(settings, done: done)) { done() }
  }

  /// Loads are to be looked at.
  func post(sample number: UInt64) { continuation.yield(.sample(number: number)) }

  /// Something is asked for: what is said to it at once.
  func ask(_ input: Rebalancer.Input) async -> ControlPlane.Verdict {
    await withCheckedContinuation { asked in
      if case .terminated = continuation.yield(.happened(input, asked: asked)) {
        asked.resume(returning: .rejected("the cluster ends"))
      }
    }
  }

  /// Nothing is taken any more.
  func end() {
    continuation.yield(.end)
    continuation.finish()
  }
}
