/// The secret that keys are hashed with: the cluster's, drawn elsewhere once.
public struct HashSeed: Hashable, Sendable {
  /// The first half.
  public let first: UInt64
  /// The second half.
  public let second: UInt64

  /// The seed of these halves.
  public init(_ first: UInt64, _ second: UInt64) {
    self.first = first
    self.second = second
  }
}

/// One thing more that is to be remembered with the topology: a name and a word.
public struct TopologyVariable: Hashable, Sendable {
  /// Neither a name nor a value is longer, in bytes.
  public static let maxByteCount = 1024

  /// Visible ASCII, not empty.
  public let name: String
  /// Visible ASCII, not empty.
  public let value: String

  /// The variable of this name and value; nil if one of them is empty, longer than `maxByteCount`
  /// or has characters other than visible ASCII, or if the name is one that `nodes.conf` uses.
  public init?(name: String, value: String) {
    let isWord = { (text: String) in
      (1...TopologyVariable.maxByteCount).contains(text.utf8.count)
        && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
    guard isWord(name), isWord(value), NodesFile.Variable(rawValue: name) == nil else { return nil }
    self.name = name
    self.value = value
  }
}

/// What a cluster remembers over a restart: everything of `nodes.conf`.
public struct Topology: Hashable, Sendable {
  /// What keys are hashed with, for as long as the cluster lives.
  public var hashSeed: HashSeed
  /// The highest epoch there was.
  public var epoch: ConfigEpoch
  /// The highest generation that a shard was given; the next new one gets a higher one, so that no
  /// (number, generation) comes twice.
  public var lastGeneration: UInt32
  /// The shards, by ascending number.
  public var shards: [ClusterShard]
  /// The owner of each slot, as an index into `shards`.
  public var owners: SlotOwners
  /// Whatever else is to be remembered, in this order; names differ.
  public var variables: [TopologyVariable]
  /// What clients are told to connect to: a setting, which `nodes.conf` does not have.
  public var endpoints = EndpointType.ip

  /// The topology of these parts.
  public init(
    hashSeed: HashSeed, epoch: ConfigEpoch, lastGeneration: UInt32, shards: [ClusterShard],
    owners: SlotOwners, variables: [TopologyVariable] = []
  ) {
    self.hashSeed = hashSeed
    self.epoch = epoch
    self.lastGeneration = lastGeneration
    self.shards = shards
    self.owners = owners
    self.variables = variables
  }

  /// The map that it begins with. `NodesFile.decode` gives no topology that a map would not take.
  public var map: ClusterMap {
    ClusterMap(epoch: epoch, shards: shards, owners: owners, endpoints: endpoints)
  }
}
