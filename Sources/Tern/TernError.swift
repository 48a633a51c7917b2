/// All that the library throws.
public enum TernError: Error, Equatable, Sendable {
  /// A cluster could not be started: a setting is out of range, a port or directory is in use, the system refused something.
  /// Nothing of it is left.
  case cannotStart(reason: String)
  /// The cluster has been shut down.
  case stopped
  /// The cluster has no shard of that number.
  case noSuchShard(Int)
  /// The key's slot belongs to another shard, or (nil) to none: what `MOVED` says to a client.
  case moved(toShard: Int?)
  /// No memory could be had, or `maxMemory` is reached. Nothing was changed.
  case outOfMemory
  /// The value is not an integer of 64 bits.
  case notAnInteger
  /// The sum is not an integer of 64 bits.
  case overflow
  /// The moment of expiry is not after now, or not a number of milliseconds in 64 bits.
  case invalidExpiry
  /// The key or the value is longer than 512 MiB, or what `proto-max-bulk-len` says.
  case tooLarge
}

extension TernError: CustomStringConvertible {
  /// In words.
  public var description: String {
    switch self {
    case .cannotStart(let reason): reason
    case .stopped: "the cluster has been shut down"
    case .noSuchShard(let number): "there is no shard \(number)"
    case .moved(let shard?): "the key's slot belongs to shard \(shard)"
    case .moved(nil): "the key's slot belongs to no shard"
    case .outOfMemory: "no memory"
    case .notAnInteger: "the value is not an integer"
    case .overflow: "the sum is out of range"
    case .invalidExpiry: "the moment of expiry is out of range"
    case .tooLarge: "the key or value is too long"
    }
  }
}
