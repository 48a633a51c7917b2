internal import ArgumentParser

/// How a user names a shard: by its number, or by its node id or the beginning of that.
struct ShardName: ExpressibleByArgument, Equatable, CustomStringConvertible {
  /// How much of an id is shown; as little as this names a shard.
  static let shownCount = 8

  /// As it was written.
  let description: String

  /// The name as it was written; nil if no shard can be called so.
  init?(argument: String) {
    let digits = argument.utf8
    let isNumber = digits.count < ShardName.shownCount && UInt16(argument).map { $0 > 0 } ?? false
    let isID =
      ShardName.shownCount...40 ~= digits.count
      && digits.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 }
    guard isNumber || isID else { return nil }
    description = argument
  }

  /// The shard that is meant.
  func find(in shards: [ClusterStatus.Shard]) throws(ClusterFailure) -> ClusterStatus.Shard {
    let found = shards.filter {
      description.utf8.count < ShardName.shownCount
        ? "\($0.number)" == description : $0.id.hasPrefix(description)
    }
    // A number may be that of a shard that is going and of the one that comes after it.
    let living = found.filter { $0.status != "deleting" }
    guard let shard = living.first ?? found.first else {
      throw .refused("there is no shard \(description)")
    }
    guard living.count <= 1 else { throw .refused("several shards' ids begin with \(description)") }
    return shard
  }
}
