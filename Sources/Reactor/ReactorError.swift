import Glibc

/// What the kernel refused, and with which errno: the world's refusal, for the caller to turn into words or into another way.
public struct ReactorError: Error, Equatable, CustomStringConvertible {
  /// The call or step that was refused.
  public let what: String
  /// The kernel's errno, positive.
  public let errno: Int32

  /// A refusal of `what` with a positive errno.
  public init(_ what: String, errno: Int32) {
    self.what = what
    self.errno = errno
  }

  /// Whether an address that is in use was asked for.
  public var isAddressInUse: Bool { errno == EADDRINUSE }

  /// "bind: Address already in use".
  public var description: String { "\(what): \(String(cString: strerror(errno)))" }
}
