public import Sharding

// Changes of who owns which slot that clients ask for (CLUSTER SETSLOT … NODE, ADDSLOTS, DELSLOTS …). One authority decides over the map
// for the whole process; an engine checks what it can and parks the client, the authority makes the change, and the answer comes back
// through the mailbox:
//
//   engine     SETSLOT 7 NODE t ──▶ checks ──▶ parked ──▶ takeClusterRequests()
//   authority  next map; for every slot that changes hands from s to t:
//   source's worker, one turn:   letGo(slots, of: s)     false: keys are left, nothing has happened; the request fails
//                                .adoptOpen(slots, by: t) into the mailbox of t's worker
//                                the new map is published
//   target's worker              adopts at its next look: the slot's table is the one that was being imported, else an empty one
//   engine     .clusterChanged(pending with its outcome) ──▶ the client is answered
//
// So a client that was redirected by the new map finds the table at the target, because the target looks before it says no. A slot
// that nobody owned is only adopted; one that nobody is to own any more is only let go.

/// A change of who owns which slot, asked of the authority over the map.
public enum ClusterRequest: Sendable, Equatable {
  /// SETSLOT … NODE: the slot belongs to that shard, whoever has it now.
  case setSlot(HashSlot, to: ShardID)
  /// ADDSLOTS, ADDSLOTSRANGE: slots that nobody owns are that shard's. Fails if one of them has an owner by now.
  case assign([SlotRange], to: ShardID)
  /// DELSLOTS, DELSLOTSRANGE, FLUSHSLOTS: nobody owns these slots any more. Those that nobody owns already stay as they are.
  case unassign([SlotRange])
  /// DELSLOTS of another shard's slot and ADDSLOTS in one EXEC, as redis-cli repairs a slot whose keys are on two sides: the slot is that
  /// shard's although its owner has keys left, which are set aside there (`Engine.setAside`).
  case takeOver(HashSlot, to: ShardID)
  /// BUMPEPOCH: that shard gets the next epoch. The outcome is `.epoch`.
  case bumpEpoch(ShardID)
  /// SET-CONFIG-EPOCH: the epoch of the only shard of a cluster, at most raised.
  case setEpoch(ConfigEpoch, of: ShardID)
  /// SAVECONFIG: `nodes.conf` is written and synced.
  case save
  /// What concerns whole slots and shards.
  case rebalance(RebalanceRequest)
}

/// How a cluster request has ended.
public enum ClusterOutcome: Sendable, Equatable {
  /// In force everywhere: `+OK`.
  case done
  /// BUMPEPOCH: the epoch that the shard has now.
  case epoch(ConfigEpoch)
  /// What the control plane has to say.
  case reply(ReplyTree)
  /// Nothing was changed; an error line's text, its code first: `ERR …`.
  case refused(String)
}

/// Changes that one client asks for, on their way to the authority and back: made in their order, up to the first that is refused.
public struct PendingClusterRequest: Sendable {
  /// The client that waits, parked.
  public let client: ClientID
  /// Its id: its place may have been taken by another client when the answer comes.
  public let clientNumber: UInt64
  /// What it asks for: one change, or all those of an EXEC.
  public let requests: [ClusterRequest]
  /// What has become of it; set by the authority.
  public var outcome = ClusterOutcome.done
}
