// The commands about the cluster, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands about the cluster.
  static let clusters = #"""
    asking
      = Lets the next command touch a slot that is being imported.
    cluster
      = Looks at the cluster and changes it.
    cluster|addslots
      = Gives slots to this node.
      slot:integer*
    cluster|addslotsrange
      = Gives ranges of slots to this node.
      start-slot_end-slot:block* ( start-slot:integer end-slot:integer )
    cluster|bumpepoch
      = Raises this node's epoch.
    cluster|count-failure-reports
      = Counts the nodes that say a node has failed.
      node-id:string
    cluster|countkeysinslot
      = Counts this node's keys in a slot.
      slot:integer
    cluster|delslots
      = Takes slots from whoever has them, in this node's eyes.
      slot:integer*
    cluster|delslotsrange
      = Takes ranges of slots from whoever has them, in this node's eyes.
      start-slot_end-slot:block* ( start-slot:integer end-slot:integer )
    cluster|failover
      = Makes this replica the primary.
      options:oneof? ( force:pure-token=FORCE takeover:pure-token=TAKEOVER )
    cluster|flushslot
      = Removes this node's keys in a slot.
      slot:integer flush-type:oneof? ( async:pure-token=ASYNC sync:pure-token=SYNC )
    cluster|flushslots
      = Takes all slots from this node.
    cluster|forget
      = Takes a node out of this node's list.
      node-id:string
    cluster|getkeysinslot
      = Lists some of this node's keys in a slot.
      slot:integer count:integer
    cluster|help
      = Lists the subcommands.
    cluster|info
      = Gives figures about the cluster.
    cluster|keyslot
      = Tells the slot of a key.
      key:string
    cluster|links
      = Lists the connections between the nodes.
    cluster|meet
      = Introduces this node to another one.
      ^ 4.0.0 The port of the cluster's bus may be given.
      ip:string port:integer cluster_bus_port:integer@4.0.0?
    cluster|myid
      = Gives this node's id.
    cluster|nodes
      = Lists the nodes and their slots, as a text.
    cluster|replicas
      = Lists the replicas of a primary.
      node-id:string
    cluster|replicate
      = Makes this node the replica of a primary.
      node-id:string
    cluster|reset
      = Makes this node as it was when it was new.
      hard_soft:oneof? ( hard:pure-token=HARD soft:pure-token=SOFT )
    cluster|saveconfig
      = Writes what this node knows of the cluster to disk.
    cluster|set-config-epoch
      = Sets the epoch of a new node.
      config-epoch:integer
    cluster|setslot
      = Says where a slot is, comes from or goes to.
      slot:integer subcommand:oneof ( node-id:string=IMPORTING node-id:string=MIGRATING node-id:string=NODE stable:pure-token=STABLE )
    cluster|shards
      = Lists the shards, their slots and their nodes.
    cluster|slaves
      = Lists the replicas of a primary; an old name.
      ! deprecated 5.0.0 `CLUSTER REPLICAS`
      node-id:string
    cluster|slots
      = Lists the ranges of slots with their nodes.
      ^ 4.0.0 The ids of the nodes came.
      ^ 7.0.0 More about how to reach a node came.
      ! deprecated 7.0.0 `CLUSTER SHARDS`
    cluster|migrateslots
      = Moves whole slots of this shard to others.
      block:block*+ ( slotsrange-token:pure-token=SLOTSRANGE range:block* ( start-slot:integer end-slot:integer ) node-id:string=NODE )
    cluster|getslotmigrations
      = Lists the moves of whole slots, under way and ended.
    cluster|cancelslotmigrations
      = Calls the moves of this shard's slots off.
    cluster|slot-stats
      = Tells what slots hold and what they have cost.
      filter:oneof ( slotsrange:block=SLOTSRANGE ( start-slot:integer end-slot:integer ) orderby:block=ORDERBY ( metric:string limit:integer?=LIMIT order:oneof? ( asc:pure-token=ASC desc:pure-token=DESC ) ) )
    cluster|resize
      = Has the cluster have so many shards with equal shares of the slots.
      shards:integer=SHARDS mode:oneof?=MODE ( handover:pure-token=HANDOVER incremental:pure-token=INCREMENTAL )
    cluster|rebalance
      = Deals the slots to the shards anew, or tells and steers what is under way.
    cluster|events
      = Lists what has happened to the cluster.
      count:integer?=COUNT id:integer?=SINCE
    readonly
      = Lets this connection read from a replica.
    readwrite
      = Lets this connection read from primaries alone.
    cluster|myshardid
      = Gives the id of this node's shard.
    """#
}
