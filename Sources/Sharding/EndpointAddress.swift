/// Where clients reach a shard. Every text in it can stand in a `MOVED` reply, a line of
/// `CLUSTER NODES` and a line of `nodes.conf` as it is.
public struct EndpointAddress: Hashable, Sendable {
  /// No host is longer, in bytes: the longest name that DNS knows.
  public static let maxHostByteCount = 255

  /// An IPv4 or IPv6 address as text (or a name, where that is announced), never empty.
  public let host: String
  /// Never 0.
  public let port: UInt16
  /// A name that clients may prefer to the address.
  public let hostname: String?

  /// The address of these parts; nil if the host or the hostname is empty, longer than
  /// `maxHostByteCount` or has a character that addresses and names do not have, or the port is 0.
  public init?(host: String, port: UInt16, hostname: String? = nil) {
    guard port != 0, EndpointAddress.isHost(host, colons: true) else { return nil }
    if let hostname, !EndpointAddress.isHost(hostname, colons: false) { return nil }
    self.host = host
    self.port = port
    self.hostname = hostname
  }

  /// The port that stands for the cluster bus in `CLUSTER NODES`. Nothing listens there, but
  /// parsers want a number up to 65535: as in Redis 10000 above the port, or, for ports above
  /// 55535, which Redis refuses, 10000 below it.
  public var busPort: UInt16 { port <= 55535 ? port + 10000 : port - 10000 }

  private static func isHost(_ text: String, colons: Bool) -> Bool {
    let bytes = text.utf8
    guard !bytes.isEmpty, bytes.count <= maxHostByteCount else { return false }
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "_"):
        true
      // IPv6, with a zone.
      case UInt8(ascii: ":"), UInt8(ascii: "%"): colons
      default: false
      }
    }
  }
}
