import Glibc

/// Several clients, closed together.
final class Sockets {
  private var clients: [Client]
  init(_ clients: [Client]) { self.clients = clients }

  func write(_ place: Int, _ bytes: ArraySlice<UInt8>) -> Int { clients[place].write(bytes) }
  func read(_ place: Int) -> [UInt8]? { clients[place].read() }
  func close() { clients = [] }
}
