internal import RESP
internal import Sharding
internal import Storage

// What Redis's clusters are made of and Tern's are not: nodes that meet, forget, replicate and fail over. Where a cluster of one process
// without replicas has an answer it gives Redis's; else the error says what does it here.

extension Engine {
  /// CLUSTER MEET ip port [bus-port].
  mutating func clusterMeet(_ call: Call) -> Effect {
    if call.count > 5 {
      refuse(call, .arity)
      return .none
    }
    if call[3].integer() == nil {
      return failing(
        bytes: Array("ERR Invalid TCP base port specified: ".utf8) + Self.shown(call[3]))
    }
    if call.count == 5, call[4].integer() == nil {
      return failing(
        bytes: Array("ERR Invalid TCP bus port specified: ".utf8) + Self.shown(call[4]))
    }
    return failing(
      "ERR All shards of a Tern cluster know one another; add shards with CLUSTER RESIZE")
  }

  /// CLUSTER FORGET node.
  mutating func clusterForget(_ call: Call) -> Effect {
    guard let node = shard(named: call[2]) else {
      return failing(bytes: unknownNode("ERR Unknown node ", call[2]))
    }
    if node.id == myself {
      return failing("ERR I tried hard but I can't forget myself...")
    }
    return failing(
      "ERR A shard of a Tern cluster leaves with CLUSTER RESIZE, which moves its slots")
  }

  /// CLUSTER REPLICATE node.
  mutating func clusterReplicate(_ call: Call) -> Effect {
    guard let node = shard(named: call[2]) else {
      return failing(bytes: unknownNode("ERR Unknown node ", call[2]))
    }
    if node.id == myself { return failing("ERR Can't replicate myself") }
    return failing("ERR Tern has no replicas: every shard is a primary")
  }

  /// CLUSTER REPLICAS and SLAVES node: there are none.
  mutating func clusterReplicas(_ call: Call) -> Effect {
    guard shard(named: call[2]) != nil else {
      return failing(bytes: unknownNode("ERR Unknown node ", call[2]))
    }
    reply.arrayHeader(0)
    return .none
  }

  /// CLUSTER COUNT-FAILURE-REPORTS node: shards do not watch one another.
  mutating func clusterCountFailureReports(_ call: Call) -> Effect {
    guard shard(named: call[2]) != nil else {
      return failing(bytes: unknownNode("ERR Unknown node ", call[2]))
    }
    reply.integer(0)
    return .none
  }

  /// CLUSTER FAILOVER [FORCE|TAKEOVER].
  mutating func clusterFailover(_ call: Call) -> Effect {
    if call.count > 3 { return syntaxError() }
    if call.count == 3 {
      switch Word(call[2]) {
      case "FORCE", "TAKEOVER": break
      default: return syntaxError()
      }
    }
    return failing("ERR You should send CLUSTER FAILOVER to a replica")
  }

  /// CLUSTER RESET [HARD|SOFT].
  mutating func clusterReset(_ call: Call) -> Effect {
    if call.count > 3 { return syntaxError() }
    if call.count == 3 {
      switch Word(call[2]) {
      case "HARD", "SOFT": break
      default: return syntaxError()
      }
    }
    if keyspace.keyCount(ofShard: sessions[current].shard) > 0 {
      return failing("ERR CLUSTER RESET can't be called with master nodes containing keys")
    }
    return failing(
      "ERR A shard of a Tern cluster cannot stand alone; remove it with CLUSTER RESIZE")
  }

  /// CLUSTER LINKS: shards of one process have no connections to one another.
  mutating func clusterLinks(_ call: Call) -> Effect {
    reply.arrayHeader(0)
    return .none
  }
}
