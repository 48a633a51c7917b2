import Glibc

/// What the load cannot go on after.
struct Broken: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// A connection with the replies that have come and are not taken yet. Blocking where nothing else is said.
final class Connection {
  let port: Int
  let descriptor: Int32
  private var buffer: [UInt8] = []
  private var start = 0

  init(port: Int) throws(Broken) {
    self.port = port
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = UInt16(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let answer = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, UInt32(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard answer == 0 else { throw Broken("port \(port) refuses: errno \(errno)") }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
  }

  /// Sends all of it.
  func send(_ bytes: [UInt8]) throws(Broken) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { bytes in
        Glibc.send(
          descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent,
          Int32(truncatingIfNeeded: MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Broken("port \(port) closed: errno \(errno)") }
      sent += count
    }
  }

  /// Reads what is there; waits if nothing is, where `waits`.
  func fill(waits: Bool) throws(Broken) {
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: true)
      start = 0
    }
    let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { room in
      let flags = waits ? 0 : Int32(truncatingIfNeeded: MSG_DONTWAIT)
      let count = recv(descriptor, room.baseAddress, room.count, flags)
      if count > 0 { buffer += room[0..<count] }
      return count
    }
    if count == 0 { throw Broken("port \(port) closed the connection") }
    if count < 0, errno != EAGAIN, errno != EINTR { throw Broken("port \(port): errno \(errno)") }
  }

  /// A whole reply that is no aggregate.
  enum Reply {
    /// A status, an integer, a bulk of so many bytes.
    case good(byteCount: Int)
    /// There is no such key.
    case nothing
    case error([UInt8])
  }

  /// The next reply, if it is whole.
  func take() throws(Broken) -> Reply? {
    var end = start
    while end < buffer.count, buffer[end] != 13 { end += 1 }
    guard end + 1 < buffer.count else { return nil }
    switch buffer[start] {
    case UInt8(ascii: "+"), UInt8(ascii: ":"):
      start = end + 2
      return .good(byteCount: 0)
    case UInt8(ascii: "-"):
      defer { start = end + 2 }
      return .error(Array(buffer[start + 1..<end]))
    case UInt8(ascii: "$"):
      if buffer[start + 1] == UInt8(ascii: "-") {
        start = end + 2
        return .nothing
      }
      var count = 0
      for byte in buffer[start + 1..<end] { count = count * 10 + Int(byte) - 48 }
      guard end + 2 + count + 2 <= buffer.count else { return nil }
      start = end + 2 + count + 2
      return .good(byteCount: count)
    default: throw Broken("port \(port) answers strangely")
    }
  }

  /// The next reply, when it comes.
  func reply() throws(Broken) -> Reply {
    while true {
      if let reply = try take() { return reply }
      try fill(waits: true)
    }
  }

  /// The port of each slot's owner, as this node says (CLUSTER SLOTS).
  func owners() throws(Broken) -> [Int] {
    try send(Array("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n".utf8))
    var owners = [Int](repeating: 0, count: 16384)
    for _ in 0..<(try header("*")) {
      let parts = try header("*")
      let (first, last) = (try header(":"), try header(":"))
      for place in 2..<parts {
        let fields = try header("*")
        _ = try bulk()
        let port = try header(":")
        if place == 2, first <= last { for slot in first...last { owners[slot] = port } }
        for _ in 2..<fields { try skip() }
      }
    }
    return owners
  }

  private func line() throws(Broken) -> [UInt8] {
    while true {
      if let end = buffer[start...].firstIndex(of: 13), end + 1 < buffer.count {
        defer { start = end + 2 }
        return Array(buffer[start..<end])
      }
      try fill(waits: true)
    }
  }

  private func header(_ kind: Character) throws(Broken) -> Int {
    let text = String(decoding: try line(), as: UTF8.self)
    guard text.first == kind, let number = Int(text.dropFirst()) else {
      throw Broken("port \(port): \(text) where \(kind) is due")
    }
    return number
  }

  private func bulk() throws(Broken) -> [UInt8] {
    let count = try header("$")
    if count < 0 { return [] }
    while buffer.count - start < count + 2 { try fill(waits: true) }
    defer { start += count + 2 }
    return Array(buffer[start..<start + count])
  }

  private func skip() throws(Broken) {
    let head = try line()
    guard let kind = head.first else { return }
    let count = Int(String(decoding: head.dropFirst(), as: UTF8.self)) ?? 0
    if kind == UInt8(ascii: "*") { for _ in 0..<max(0, count) { try skip() } }
    if kind == UInt8(ascii: "$"), count >= 0 {
      while buffer.count - start < count + 2 { try fill(waits: true) }
      start += count + 2
    }
  }
}
