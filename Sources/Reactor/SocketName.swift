import CLinux
import Glibc

/// What a connected socket is called, and how to turn one away: for sockets that no reactor has adopted yet.
public enum SocketName {
  /// The peer's address as `host:port` (IPv6 in brackets); `?:0` if it cannot be had.
  public static func peer(of fileDescriptor: Int32) -> String {
    name { getpeername(fileDescriptor, $0, $1) }
  }

  /// Our own address as `host:port`; `?:0` if it cannot be had.
  public static func own(of fileDescriptor: Int32) -> String {
    name { getsockname(fileDescriptor, $0, $1) }
  }

  /// Says a last word, if the socket takes it at once, and closes.
  public static func refuse(_ fileDescriptor: Int32, _ text: String) {
    let bytes = Array(text.utf8)
    if !bytes.isEmpty {
      _ = bytes.withUnsafeBytes {
        Glibc.send(
          fileDescriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
    }
    _ = Glibc.close(fileDescriptor)
  }

  private static func name(
    _ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> String {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let code = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask($0, &length) }
    }
    guard code == 0 else { return "?:0" }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    return withUnsafePointer(to: &storage) { pointer in
      switch Int32(pointer.pointee.ss_family) {
      case AF_INET:
        return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          var address = $0.pointee.sin_addr
          inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
          return "\(string(text)):\(UInt16(bigEndian: $0.pointee.sin_port))"
        }
      case AF_INET6:
        return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
          var address = $0.pointee.sin6_addr
          inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
          return "[\(string(text))]:\(UInt16(bigEndian: $0.pointee.sin6_port))"
        }
      default: return "?:0"
      }
    }
  }

  private static func string(_ text: [CChar]) -> String {
    String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension Machine {
  /// The first IPv4 address of this machine that is not loopback; nil if there is none.
  public static var firstPublicAddress: String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    var entry = list
    while let current = entry {
      if let address = current.pointee.ifa_addr, Int32(address.pointee.sa_family) == AF_INET {
        let text = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
          var ip = pointer.pointee.sin_addr
          var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
          inet_ntop(AF_INET, &ip, &text, socklen_t(text.count))
          return String(
            decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        if !text.hasPrefix("127.") { return text }
      }
      entry = current.pointee.ifa_next
    }
    return nil
  }
}
