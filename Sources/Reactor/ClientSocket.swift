import CLinux
import Glibc

/// A connected TCP socket that blocks, with a limit of time: for tools that ask a server something, not for a worker.
public struct ClientSocket: ~Copyable {
  private let fileDescriptor: Int32
  private let patience: Int32

  /// Connects to a name or numeric address, trying each address that the name has. `patience`: milliseconds that connecting, and later
  /// every wait for the peer, may take.
  public init(host: String, port: UInt16, patience: Int32) throws(ReactorError) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var first: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, "\(port)", &hints, &first)
    guard code == 0, let first else {
      throw ReactorError("no host of this name", errno: 0)
    }
    defer { freeaddrinfo(first) }
    var failure = ReactorError("no host of this name", errno: 0)
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let address = next {
      do throws(ReactorError) {
        fileDescriptor = try ClientSocket.connect(address.pointee, patience)
        self.patience = patience
        return
      } catch { failure = error }
      next = address.pointee.ai_next
    }
    throw failure
  }

  deinit { _ = tern_close(fileDescriptor) }

  private static func connect(_ address: addrinfo, _ patience: Int32) throws(ReactorError) -> Int32
  {
    let fd = tern_socket(address.ai_family)
    if fd < 0 { throw ReactorError("socket", errno: -fd) }
    if Glibc.connect(fd, address.ai_addr, address.ai_addrlen) != 0 {
      var reason = errno
      if reason == EINPROGRESS { reason = outcome(of: fd, patience) }
      if reason != 0 {
        _ = tern_close(fd)
        throw ReactorError("connect", errno: reason)
      }
    }
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    return fd
  }

  /// The errno of a connect that has begun; 0 = connected.
  private static func outcome(of fd: Int32, _ patience: Int32) -> Int32 {
    guard ready(fd, Int16(POLLOUT), patience) else { return ETIMEDOUT }
    var reason: Int32 = 0
    var byteCount = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &byteCount) == 0 ? reason : errno
  }

  /// Waits until the socket can be read or written; false if that took too long.
  private static func ready(_ fd: Int32, _ events: Int16, _ patience: Int32) -> Bool {
    let end = SystemClock.monotonicNanoseconds + UInt64(patience) * 1_000_000
    while true {
      let now = SystemClock.monotonicNanoseconds
      let left = now < end ? (end - now + 999_999) / 1_000_000 : 0
      var entry = pollfd(fd: fd, events: events, revents: 0)
      let count = poll(&entry, 1, Int32(clamping: left))
      if count > 0 { return true }
      if count == 0 || errno != EINTR { return false }
    }
  }

  /// Sends all of it.
  public func send(_ bytes: [UInt8]) throws(ReactorError) {
    var offset = 0
    while offset < bytes.count {
      let sent = bytes.withUnsafeBytes {
        tern_send(fileDescriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if sent > 0 {
        offset += sent
      } else if sent == -Int(EAGAIN) {
        guard ClientSocket.ready(fileDescriptor, Int16(POLLOUT), patience) else {
          throw ReactorError("send", errno: ETIMEDOUT)
        }
      } else if sent != -Int(EINTR) {
        throw ReactorError("send", errno: Int32(-sent))
      }
    }
  }

  /// Appends what has come, waiting for it; false if the peer has closed the connection.
  public func receive(into bytes: inout [UInt8]) throws(ReactorError) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes {
        tern_receive(fileDescriptor, $0.baseAddress, $0.count)
      }
      if count > 0 {
        bytes.append(contentsOf: chunk[..<count])
        return true
      }
      if count == 0 { return false }
      if count == -Int(EAGAIN) {
        guard ClientSocket.ready(fileDescriptor, Int16(POLLIN), patience) else {
          throw ReactorError("receive", errno: ETIMEDOUT)
        }
      } else if count != -Int(EINTR) {
        throw ReactorError("receive", errno: Int32(-count))
      }
    }
  }
}
