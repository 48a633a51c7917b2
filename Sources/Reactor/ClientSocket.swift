import CLinux
import Glibc

/// A TCP connection to another server, for a thread that may wait: every step waits for the kernel, but only for so long.
public final class ClientSocket: Sendable {
  private let fd: Int32

  /// Connects to a name or a numeric address, trying one address after the other. `ReactorError.isUnreachable` tells whether nothing answered
  /// at all; a connection that was turned away is another error.
  public init(host: String, port: UInt16, milliseconds: Int) throws(ReactorError) {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else {
      throw ReactorError("finding \(host)", errno: EHOSTUNREACH)
    }
    defer { freeaddrinfo(list) }
    var failure = ReactorError("connecting to \(host)", errno: EHOSTUNREACH)
    var entry = list
    while let address = entry {
      do throws(ReactorError) {
        fd = try Self.connect(to: address.pointee, milliseconds: milliseconds)
        return
      } catch { failure = error }
      entry = address.pointee.ai_next
    }
    throw failure
  }

  private static func connect(
    to address: addrinfo, milliseconds: Int
  ) throws(ReactorError) -> Int32 {
    // Not blocking from the beginning: who waits is `wait`.
    let fd = tern_socket(address.ai_family)
    if fd < 0 { throw ReactorError("socket", errno: -fd) }
    do throws(ReactorError) {
      if Glibc.connect(fd, address.ai_addr, address.ai_addrlen) != 0 {
        guard errno == EINPROGRESS else { throw ReactorError("connect", errno: errno) }
        guard wait(fd, for: Int16(POLLOUT), milliseconds: milliseconds) else {
          throw ReactorError("connect", errno: EHOSTUNREACH)
        }
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length)
        if code != 0 { throw ReactorError("connect", errno: code) }
      }
    } catch {
      _ = tern_close(fd)
      throw error
    }
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    return fd
  }

  deinit { _ = tern_close(fd) }

  /// Sends all bytes; each wait for room takes at most so long.
  public func write(_ bytes: [UInt8], milliseconds: Int) throws(ReactorError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        tern_send(fd, buffer.baseAddress.map { $0 + sent }, min(buffer.count - sent, 64 << 10))
      }
      if count > 0 {
        sent += Int(count)
      } else if count == -Int(EAGAIN) {
        guard Self.wait(fd, for: Int16(POLLOUT), milliseconds: milliseconds) else {
          throw ReactorError("write", errno: ETIMEDOUT)
        }
      } else if count != -Int(EINTR) {
        throw ReactorError("write", errno: Int32(-count))
      }
    }
  }

  /// Appends what comes next, at least a byte.
  public func read(into bytes: inout [UInt8], milliseconds: Int) throws(ReactorError) {
    let room = 16 << 10
    while true {
      var count = 0
      let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
        count = Int(tern_receive(fd, buffer.baseAddress, room))
        filled = max(0, count)
      }
      if count > 0 {
        bytes += chunk
        return
      }
      if count == 0 { throw ReactorError("read", errno: ECONNRESET) }
      if count == -Int(EAGAIN) {
        guard Self.wait(fd, for: Int16(POLLIN), milliseconds: milliseconds) else {
          throw ReactorError("read", errno: ETIMEDOUT)
        }
      } else if count != -Int(EINTR) {
        throw ReactorError("read", errno: Int32(-count))
      }
    }
  }

  /// Whether the socket is ready, or has failed, before so many milliseconds are over.
  private static func wait(_ fd: Int32, for events: Int16, milliseconds: Int) -> Bool {
    let deadline = SystemClock.monotonicNanoseconds + UInt64(max(1, milliseconds)) * 1_000_000
    while true {
      let now = SystemClock.monotonicNanoseconds
      if now >= deadline { return false }
      var one = pollfd(fd: fd, events: events, revents: 0)
      let left = (deadline - now + 999_999) / 1_000_000
      let count = poll(&one, 1, Int32(clamping: left))
      if count > 0 { return true }
      if count < 0, errno != EINTR { return true }
    }
  }
}

extension ReactorError {
  /// Whether nothing answered in time, or there is no such host.
  public var isUnreachable: Bool { errno == EHOSTUNREACH }

  /// Whether a step took too long.
  public var isTimeout: Bool { errno == ETIMEDOUT }
}
