/// What the cluster knows of one shard: what a line of `CLUSTER NODES` says.
public struct ClusterShard: Hashable, Sendable {
  /// Which shard it is.
  public var id: ShardID
  /// Its name for clients.
  public var nodeID: NodeID
  /// Where clients reach it.
  public var address: EndpointAddress
  /// The epoch of the last flip in which it was given slots.
  public var epoch: ConfigEpoch

  /// The shard with these properties.
  public init(id: ShardID, nodeID: NodeID, address: EndpointAddress, epoch: ConfigEpoch) {
    self.id = id
    self.nodeID = nodeID
    self.address = address
    self.epoch = epoch
  }
}
