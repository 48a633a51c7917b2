import CLinux
import Glibc

/// Sockets before and beside the events: what needs no reactor.
enum Socket {
  /// Makes a connected socket ready for a reactor. Local sockets know no delay, which is no error.
  static func prepare(_ fd: Int32) throws(ReactorError) {
    let answer = tern_set_nonblocking(fd)
    if answer < 0 { throw ReactorError("adopting a connection", errno: -answer) }
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  /// Probes after `seconds` of silence, three more at a third of it, then the connection is dead.
  static func setKeepalive(_ fd: Int32, seconds: Int) {
    let seconds = Int32(clamping: seconds)
    _ = tern_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0 ? 1 : 0)
    if seconds <= 0 { return }
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_KEEPIDLE, seconds)
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_KEEPINTVL, max(1, seconds / 3))
    _ = tern_set_option(fd, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
  }
}

extension Reactor {
  /// A listening TCP socket at a numeric IPv4 or IPv6 address ("::" takes IPv6 alone). Port 0 lets the kernel choose.
  public static func listen(address: String, port: UInt16, backlog: Int32) throws(ReactorError)
    -> Int32
  {
    var storage = sockaddr_storage()
    let (family, byteCount) = try numericAddress(address, port: port, into: &storage)
    let fd = tern_socket(Int32(family))
    if fd < 0 { throw ReactorError("socket", errno: -fd) }
    _ = tern_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if family == UInt16(AF_INET6) {
      _ = tern_set_option(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
    }
    var answer = tern_bind(fd, &storage, byteCount)
    if answer < 0 {
      _ = tern_close(fd)
      throw ReactorError("bind to \(address) port \(port)", errno: -answer)
    }
    answer = tern_listen(fd, backlog)
    if answer < 0 {
      _ = tern_close(fd)
      throw ReactorError("listen on \(address) port \(port)", errno: -answer)
    }
    return fd
  }

  /// The port that a socket is bound to.
  public static func localPort(of fd: Int32) throws(ReactorError) -> UInt16 {
    var storage = sockaddr_storage()
    let answer = tern_socket_name(fd, &storage)
    if answer < 0 { throw ReactorError("getsockname", errno: -answer) }
    return withUnsafeBytes(of: &storage) { bytes in
      // Both families have the port behind the family.
      UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    }
  }

  private static func numericAddress(
    _ address: String, port: UInt16, into storage: inout sockaddr_storage
  ) throws(ReactorError) -> (family: UInt16, byteCount: UInt32) {
    var four = sockaddr_in()
    if inet_pton(AF_INET, address, &four.sin_addr) == 1 {
      four.sin_family = UInt16(AF_INET)
      four.sin_port = port.bigEndian
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: four, as: sockaddr_in.self) }
      return (UInt16(AF_INET), UInt32(MemoryLayout<sockaddr_in>.size))
    }
    var six = sockaddr_in6()
    if inet_pton(AF_INET6, address, &six.sin6_addr) == 1 {
      six.sin6_family = UInt16(AF_INET6)
      six.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: six, as: sockaddr_in6.self) }
      return (UInt16(AF_INET6), UInt32(MemoryLayout<sockaddr_in6>.size))
    }
    throw ReactorError("\(address) is no numeric address", errno: EINVAL)
  }
}
