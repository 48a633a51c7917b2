/// Which of the kernel's interfaces a reactor shall use.
public enum BackendChoice: Sendable, Equatable {
  /// io_uring where it passes the probe, epoll elsewhere.
  case auto
  /// io_uring, or an error.
  case uring
  /// epoll.
  case epoll
}

/// Which of the kernel's interfaces a reactor uses.
public enum Backend: UInt8, Sendable, Equatable {
  /// io_uring with multishot receives into provided buffers.
  case uring
  /// Edge-triggered epoll.
  case epoll

  /// The name that is printed and stands in `INFO`.
  public var name: String {
    switch self {
    case .uring: "io_uring"
    case .epoll: "epoll"
    }
  }
}
