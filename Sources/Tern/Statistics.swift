internal import Engine

/// What was counted so far, and what a shard holds now: a value, a copy of the moment.
///
/// `commands`, `hits`, `misses`, `expired` and `errorReplies` count since the start or the last `CONFIG RESETSTAT`, for all shards of a
/// worker together; a `LocalShard` is the only one of its worker. `keys`, `expiringKeys` and `bytes` are the shard's own.
public struct Statistics: Sendable, Equatable {
  /// Commands carried out or refused, with and without the protocol. A batched `get` is one.
  public var commands: UInt64
  /// Look-ups by commands that read, of keys that were there.
  public var hits: UInt64
  /// Look-ups of keys that were not.
  public var misses: UInt64
  /// Keys that were removed because their time had come.
  public var expired: UInt64
  /// Error replies.
  public var errorReplies: UInt64
  /// Keys that the shard holds; expired ones count until something finds them.
  public var keys: Int
  /// Those among them that have an expiry.
  public var expiringKeys: Int
  /// Bytes that the keys take of the allocator: keys, values, tables, rounded up to the allocator's sizes.
  public var bytes: Int

  init(_ figures: EngineFigures) {
    commands = figures.commandCount
    hits = figures.hitCount
    misses = figures.missCount
    expired = figures.expiredKeyCount
    errorReplies = figures.errorReplyCount
    keys = figures.keyCount
    expiringKeys = figures.expiringKeyCount
    bytes = figures.byteCount
  }
}
