internal import ArgumentParser

/// Why a `tern cluster` command has not done what it was asked for; the case decides over the exit code.
enum ClusterFailure: Error, Equatable, CustomStringConvertible {
  /// There is no talking to the cluster: nobody listens, the password is wrong, the connection has ended.
  case unreachable(String)
  /// The cluster has said no, or the job has not succeeded.
  case refused(String)

  /// What to tell the user.
  var description: String {
    switch self {
    case .unreachable(let text), .refused(let text): text
    }
  }

  /// What the process ends with: 1 = refused, 3 = unreachable. 0 is success, 2 wrong usage.
  var exitCode: Int32 {
    switch self {
    case .refused: 1
    case .unreachable: 3
    }
  }
}
