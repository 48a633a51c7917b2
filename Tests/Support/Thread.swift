internal import Glibc

/// A thread that is joined.
public struct Thread {
  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  private var thread = pthread_t()

  /// A thread that runs `body` at once.
  public init(_ body: @escaping @Sendable () -> Void) {
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, argument)
  }

  /// Waits for its end.
  public func join() { pthread_join(thread, nil) }
}
