import Glibc

/// Several clients, closed together.
final class Sockets {
  private var clients: [Client]
  init(_ clients: [Client]) { self.clients = clients }

  func write(_ place: Int, _ bytes: ArraySlice<UInt8>) -> Int { clients[place].write(bytes) }
  func read(_ place: Int) -> [UInt8]? { clients[place].read() }
  func close() { clients = [] }
}

/// A thread that is joined.
struct Thread {
  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  private var thread = pthread_t()

  init(_ body: @escaping @Sendable () -> Void) {
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, argument)
  }

  func join() { pthread_join(thread, nil) }
}
