/// One slot's keys on the move between shards. **I2**: a table is in exactly one place and cannot be copied; dropped
/// unread it would be lost data, so `deinit` traps. In shutdown, `discard` it.
@safe public struct SlotTable: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only referrer of its root, and memory of one thread may be freed by another.
  private let content: Table

  /// What a keyspace has moved out.
  init(_ content: Table) { self.content = content }

  deinit { SlotTable.trap(dropped: true) }

  private static func trap(dropped: Bool) {
    precondition(!dropped, "a slot table was dropped unread")
  }

  /// Keys in it.
  public var keyCount: Int { content.figures.keys }
  /// Bytes of it, by size class.
  public var byteCount: Int { content.figures.bytes }
  /// Keys in it that have an expiry.
  public var expiringCount: Int { content.figures.expiring }
  /// What the slot has cost so far.
  public var statistics: SlotStatistics { content.statistics }

  /// What it carries, for its new keyspace.
  consuming func giveUp() -> Table {
    let content = content
    discard self
    return content
  }

  /// Frees all its keys, at once.
  public consuming func discard() {
    var graveyard = Graveyard()
    graveyard.add(root: giveUp().root, byteCount: 0)
    while graveyard.bury(1 << 20) > 0 {}
    graveyard.free()
  }
}
