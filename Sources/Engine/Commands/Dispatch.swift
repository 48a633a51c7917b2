internal import RESP
internal import Storage

extension Engine {
  /// Runs a command's handler: a `switch`, because a jump table costs 2 ns where closures cost a retain and a release (DESIGN §8).
  @inline(__always)
  mutating func dispatch(_ call: Call) -> Effect {
    switch call.id {
    case .get: return get(call)
    case .set: return set(call)
    case .incr: return incr(call)
    default: return dispatchOther(call)
    }
  }

  /// All the others, so that the commonest few are inlined and the rest is one call away.
  @inline(never)
  private mutating func dispatchOther(_ call: Call) -> Effect {
    switch call.id {
    case .get: get(call)
    case .set: set(call)
    case .mget: mget(call)
    case .mset: mset(call)
    case .incr: incr(call)
    case .decr: decr(call)
    case .incrby: incrby(call)
    case .decrby: decrby(call)
    case .append: append(call)
    case .strlen: strlen(call)
    case .del, .unlink: del(call)
    case .exists: exists(call)
    case .type: type(call)
    case .expire: expire(call)
    case .pexpire: pexpire(call)
    case .ttl: ttl(call)
    case .pttl: pttl(call)
    case .persist: persist(call)
    case .scan: scan(call)
    case .randomkey: randomkey(call)
    case .objectEncoding: objectEncoding(call)
    case .objectHelp: objectHelp(call)
    case .dbsize: dbsize(call)
    case .flushall, .flushdb: flush(call)
    case .command: command(call)
    case .commandCount: commandCount(call)
    case .commandInfo: commandInfo(call)
    case .commandList: commandList(call)
    case .commandGetKeys: commandGetKeys(call)
    case .commandHelp: commandHelp(call)
    case .configGet: configGet(call)
    case .configSet: configSet(call)
    case .configResetStat: configResetStat(call)
    case .configHelp: configHelp(call)
    case .info: info(call)
    case .time: time(call)
    case .shutdown: shutdown(call)
    case .ping: ping(call)
    case .echo: echo(call)
    case .hello: hello(call)
    case .select: select(call)
    case .quit: quit(call)
    case .reset: reset(call)
    case .clientID: clientID(call)
    case .clientGetName: clientGetName(call)
    case .clientSetName: clientSetName(call)
    case .clientSetInfo: clientSetInfo(call)
    case .clientInfo: clientInfo(call)
    case .clientHelp: clientHelp(call)
    case .clusterSlots: clusterSlots(call)
    case .clusterShards: clusterShards(call)
    case .clusterNodes: clusterNodes(call)
    case .clusterInfo: clusterInfo(call)
    case .clusterMyID: clusterMyID(call)
    case .clusterMyShardID: clusterMyShardID(call)
    case .clusterKeySlot: clusterKeySlot(call)
    case .clusterCountKeysInSlot: clusterCountKeysInSlot(call)
    case .clusterGetKeysInSlot: clusterGetKeysInSlot(call)
    case .clusterHelp: clusterHelp(call)
    case .readonly: readonly(call)
    case .readwrite: readwrite(call)
    case .asking: asking(call)
    // Containers are resolved to a subcommand, or refused for want of one, before they come here.
    case .object, .client, .config, .cluster: syntaxError()
    }
  }
}
