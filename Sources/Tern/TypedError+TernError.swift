internal import Engine
internal import Sharding

extension TernError {
  /// What an engine has thrown.
  init(_ error: TypedError) {
    switch error {
    case .moved(let owner): self = .moved(toShard: owner.map { Int($0.number) })
    case .outOfMemory: self = .outOfMemory
    case .notAnInteger: self = .notAnInteger
    case .overflow: self = .overflow
    case .invalidExpiry: self = .invalidExpiry
    case .tooLarge: self = .tooLarge
    }
  }
}
