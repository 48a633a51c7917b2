import Glibc
import RESP

/// What ends a test's client: the server said or did something that it never may.
struct Broken: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Nanoseconds of the monotonic clock.
func monotonic() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// A blocking connection to a port of this machine. Nothing is waited for longer than 10 s.
final class Wire {
  let port: Int
  private let socket: Int32
  private var buffer: [UInt8] = []
  private var start = 0
  /// What is to be sent.
  var output: [UInt8] = []

  init(port: Int) throws(Broken) {
    self.port = port
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = UInt16(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let answer = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, UInt32(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard answer == 0 else { throw Broken("port \(port) refuses: errno \(errno)") }
    var one: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    var patience = timeval(tv_sec: 40, tv_usec: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_RCVTIMEO, &patience, UInt32(MemoryLayout<timeval>.size))
  }

  deinit { close(socket) }

  /// Sends what is in `output`.
  func flush() throws(Broken) {
    var sent = 0
    while sent < output.count {
      let count = output.withUnsafeBytes { bytes in
        send(
          socket, bytes.baseAddress.map { $0 + sent }, bytes.count - sent,
          Int32(truncatingIfNeeded: MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Broken("port \(port) closed: errno \(errno)") }
      sent += count
    }
    output.removeAll(keepingCapacity: true)
  }

  private func fill() throws(Broken) {
    if start > 0 {
      buffer.removeSubrange(0..<start)
      start = 0
    }
    let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { room in
      let count = recv(socket, room.baseAddress, room.count, 0)
      if count > 0 { buffer += room[0..<count] }
      return count
    }
    if count == 0 { throw Broken("port \(port) closed the connection") }
    if count < 0 { throw Broken("port \(port) says nothing: errno \(errno)") }
  }

  /// The next line, without its end.
  func line() throws(Broken) -> ArraySlice<UInt8> {
    var looked = start
    while true {
      if let end = buffer[looked...].firstIndex(of: UInt8(ascii: "\r")), end + 1 < buffer.count {
        defer { start = end + 2 }
        return buffer[start..<end]
      }
      let seen = max(0, buffer.count - start - 1)
      try fill()
      looked = start + seen
    }
  }

  /// A bulk's bytes, after its line with that length.
  func bulk(_ count: Int) throws(Broken) -> ArraySlice<UInt8> {
    while buffer.count - start < count + 2 { try fill() }
    defer { start += count + 2 }
    return buffer[start..<start + count]
  }

  /// One command and its whole reply.
  func ask(_ words: String...) throws(Broken) -> Reply { try ask(words) }

  func ask(_ words: [String]) throws(Broken) -> Reply {
    output += request(words)
    try flush()
    while true {
      do throws(ReplyParser.Failure) {
        if start < buffer.count,
          let (reply, count) = try ReplyParser().parse(Array(buffer[start...]))
        {
          start += count
          return reply
        }
      } catch { throw Broken("port \(port) answers no RESP: \(error)") }
      try fill()
    }
  }
}

/// A request's bytes.
func request(_ words: [String]) -> [UInt8] {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words { bytes += "$\(word.utf8.count)\r\n\(word)\r\n".utf8 }
  return bytes
}

/// The decimal number that bytes are; nil if they are none.
func number(_ bytes: ArraySlice<UInt8>) -> UInt64? {
  if bytes.isEmpty { return nil }
  var sum: UInt64 = 0
  for byte in bytes {
    guard byte >= 48, byte <= 57 else { return nil }
    sum = sum &* 10 &+ UInt64(byte - 48)
  }
  return sum
}
