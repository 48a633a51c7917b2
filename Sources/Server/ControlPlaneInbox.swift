internal import Engine
internal import Sharding

/// What reaches the control plane, from any thread and without waiting.
final class ControlPlaneInbox: Sendable {
  /// What it hears.
  enum Message: Sendable {
    /// A client of that worker asks for something.
    case request(PendingClusterRequest, worker: Int)
    /// Something has happened that its state machine must know.
    case happened(Rebalancer.Input)
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
  func post(_ input: Rebalancer.Input) { continuation.yield(.happened(input)) }

  /// Nothing is taken any more.
  func end() {
    continuation.yield(.end)
    continuation.finish()
  }
}
