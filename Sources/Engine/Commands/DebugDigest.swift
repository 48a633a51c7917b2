internal import RESP
internal import Sharding
internal import Storage

// DEBUG DIGEST: forty digits that say whether two servers hold the same keys, values and expiries; the same for Tern and Redis.
//
//   of a value    mix(type, 4 bytes), mix(bytes); if it expires, lay("!!expire!!")
//   of a key      mix(key), then as of its value
//   of all keys   mix(database, 4 bytes), then lay(digest of a key) for each; no keys: zero
//
// `lay` and `mix` are SHA1's: what is laid has no order, what is mixed has one.

extension Engine {
  /// DEBUG DIGEST-VALUE [key …]: of each key's value, zero for one that is not there.
  mutating func debugDigestValue(_ call: Call) -> Effect {
    reply.arrayHeader(call.count - 2)
    for i in 2..<max(2, call.count) {
      var digest = SHA1.zero
      let slot = HashSlot.of(call[i]).index
      if keyspace.owner(of: slot) == sessions[current].shard,
        let entry = live(slot, KeyHash(call[i], seed: hashSeed), call[i])
      {
        mix(entry, into: &digest)
      }
      replyStatus(digest.text)
    }
    return .none
  }

  /// The digest of all keys of the session's shard.
  func digestOfShard() -> SHA1 {
    let shard = sessions[current].shard
    var digest = SHA1.zero
    if keyspace.keyCount(ofShard: shard) == 0 { return digest }
    digest.mix([0, 0, 0, 0])
    forEachLiveEntry(ofShard: shard) { entry in
      var one = SHA1.zero
      one.mix(Self.bytes(of: keyspace.key(of: entry)))
      mix(entry, into: &one)
      digest.lay(one.bytes)
    }
    return digest
  }

  private func mix(_ entry: EntryRef, into digest: inout SHA1) {
    // Strings are Redis's type 0.
    digest.mix([0, 0, 0, 0])
    digest.mix(bytes(of: entry))
    if entry.hasExpiry { digest.lay(Array("!!expire!!".utf8)) }
  }

  /// A string's bytes, those of its digits if it is kept as an integer.
  func bytes(of entry: EntryRef) -> [UInt8] {
    keyspace.encoding(of: entry) == .integer
      ? Array(String(keyspace.integer(of: entry)).utf8)
      : Self.bytes(of: keyspace.bytes(of: entry))
  }

  /// DEBUG HELP.
  mutating func debugHelp(_ call: Call) -> Effect {
    help(
      "DEBUG",
      [
        "CHANGE-REPL-ID", "    Change the replication IDs of the instance.",
        "    Dangerous: should be used only for testing the replication subsystem.",
        "CHANGES <START|TAKE|STOP>",
        "    Record the changes of this shard's keys, and take what was recorded: requests",
        "    that make them, and the messages that notify-keyspace-events asks for.",
        "DIGEST", "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "LOG <message>", "    Write <message> to the server log.",
        "HTSTATS <dbid>", "    Return statistics of the slot tables of this shard.",
        "OBJECT <key>", "    Show low level info about `key` and associated value.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix. Only keys of this shard's slots",
        "    are created.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "SDSLEN <key>", "    Show the lengths of `key` and its value.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background when they are not",
        "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
        "    default.",
        "SLEEP <seconds>", "    Stop the worker of this shard for <seconds>. Decimals allowed.",
        "STRUCTSIZE", "    Return the size of different structures.",
      ])
  }
}
