import CLinux
import Glibc

@testable import Reactor

/// A server on a reactor that gives back what it gets, and writes down what happened.
struct EchoServer: ~Copyable {
  struct Session {
    var id: ConnectionID
    var received: [UInt8] = []
    var output: [UInt8] = []
    var sending: UnsafeMutableRawBufferPointer?
    var sent = 0
    var filled = 0
    var quiet = 0
    var hungUp: Int32?
    var closed = 0
    var events = 0
  }

  var reactor: Reactor
  let port: UInt16
  let listener: Int32
  var sessions: [Session] = []
  var woken = 0
  var accepted = 0
  /// Replies are sent.
  var echoes = true
  /// Sends are awaited.
  var awaits = false
  /// Accepted connections are adopted.
  var adopts = true
  /// Closes as soon as the peer has ended.
  var closesHungUp = true
  var refused: [Int32] = []

  init(_ choice: BackendChoice, limits: ReactorLimits = ReactorLimits()) throws {
    let reactor = try Reactor(choice, limits: limits)
    let listener = try Reactor.listen(address: "127.0.0.1", port: 0, backlog: 511)
    self.port = try Reactor.localPort(of: listener)
    self.listener = listener
    self.reactor = reactor
    self.reactor.add(listener: listener, tag: 77)
  }

  deinit { for session in sessions { session.sending?.deallocate() } }

  /// Turns until the condition holds; false if it never does.
  mutating func run(
    timeout: Int64 = 1_000_000, turns: Int = 20_000,
    until condition: (inout EchoServer) throws -> Bool
  ) throws -> Bool {
    for _ in 0..<turns {
      if try condition(&self) { return true }
      try turn(timeout: timeout)
    }
    return try condition(&self)
  }

  mutating func turn(timeout: Int64?) throws {
    let count = try reactor.turn(timeout: timeout)
    for place in 0..<count { try take(reactor.event(place)) }
    let all = reactor.endTurn()
    for place in count..<max(count, all) { try take(reactor.event(place)) }
  }

  mutating func take(_ event: Event) throws {
    switch event.kind {
    case .none: return
    case .woken: woken += 1
    case .accepted:
      accepted += 1
      precondition(event.tag == 77)
      if adopts {
        let id = try reactor.adopt(fd: event.fileDescriptor, tag: UInt32(sessions.count))
        sessions.append(Session(id: id))
      } else {
        refused.append(event.fileDescriptor)
      }
    case .received, .sent, .filled, .quiet, .hungUp, .closed:
      let place = Int(event.tag)
      precondition(sessions[place].id == event.connection && sessions[place].closed == 0)
      sessions[place].events += 1
      takeConnection(event, place)
    }
  }

  private mutating func takeConnection(_ event: Event, _ place: Int) {
    switch event.kind {
    case .received:
      let bytes = reactor.bytes(of: event).withUnsafeBytes { [UInt8]($0) }
      sessions[place].received += bytes
      if echoes {
        sessions[place].output += bytes
        flush(place)
      }
    case .sent:
      precondition(event.byteCount == sessions[place].sending?.count)
      sessions[place].sent += event.byteCount
      sessions[place].sending?.deallocate()
      sessions[place].sending = nil
      flush(place)
    case .filled: sessions[place].filled += event.byteCount
    case .quiet: sessions[place].quiet += 1
    case .hungUp:
      precondition(sessions[place].hungUp == nil)
      sessions[place].hungUp = event.errno
      if closesHungUp { reactor.close(event.connection) }
    case .closed:
      sessions[place].closed += 1
      sessions[place].sending?.deallocate()
      sessions[place].sending = nil
    case .none, .accepted, .woken: break
    }
  }

  mutating func flush(_ place: Int) {
    if sessions[place].sending != nil || sessions[place].output.isEmpty { return }
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: sessions[place].output.count, alignment: 1)
    bytes.copyBytes(from: sessions[place].output)
    sessions[place].output = []
    sessions[place].sending = bytes
    reactor.send(
      sessions[place].id, RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes)), awaited: awaits)
  }
}

/// A client's socket, written and read without blocking.
final class Client {
  let fd: Int32

  init(port: UInt16) throws {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = UInt16(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let answer = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, UInt32(MemoryLayout<sockaddr_in>.size))
      }
    }
    if answer < 0 {
      let errno = errno
      _ = tern_close(fd)
      throw ReactorError("connect", errno: errno)
    }
    self.fd = fd
  }

  deinit { _ = tern_close(fd) }

  /// Writes what there is room for; how much that was.
  func write(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.withUnsafeBytes { $0.isEmpty ? 0 : max(0, tern_send(fd, $0.baseAddress, $0.count)) }
  }

  /// Reads what is there, nil at the end.
  func read() -> [UInt8]? {
    var result: [UInt8] = []
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
    defer { room.deallocate() }
    while true {
      let count = tern_receive(fd, room.baseAddress, room.count)
      if count <= 0 { return count == -Int(EAGAIN) || !result.isEmpty ? result : nil }
      result += room[..<count]
      if result.count > 1 << 20 { return result }
    }
  }

  func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, UInt32(MemoryLayout<linger>.size))
  }
}

/// The back-ends that can be tested here: io_uring only where it passes its probe.
let testedChoices: [BackendChoice] = UringProbe.isUsable() ? [.uring, .epoll] : [.epoll]

/// Bytes that repeat only after a prime number of them, so that a lost or doubled piece shows.
func pattern(_ count: Int, seed: Int) -> [UInt8] {
  let unit = (0..<min(count, 65521)).map {
    UInt8(truncatingIfNeeded: ($0 &* 31 &+ seed) ^ ($0 >> 8))
  }
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + unit.count)
  while bytes.count < count { bytes += unit }
  bytes.removeLast(bytes.count - count)
  return bytes
}
