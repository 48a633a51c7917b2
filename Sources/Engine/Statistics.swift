internal import Storage

/// What was counted of one command since the start or the last CONFIG RESETSTAT.
struct CommandStatistics {
  /// Times it ran.
  var calls: UInt64 = 0
  /// Nanoseconds it took, by the chained clock: parsing and reply included.
  var nanoseconds: UInt64 = 0
  /// Times it was refused before it ran.
  var rejected: UInt64 = 0
  /// Times it ran and answered an error.
  var failed: UInt64 = 0
}

/// What was counted by a worker, over all its shards.
struct Statistics {
  /// By command id; inline, so that counting costs no check for uniqueness.
  var commands = InlineArray<256, CommandStatistics>(repeating: CommandStatistics())
  /// Error replies by their first word; filled on the cold path.
  var errors: [(code: String, count: UInt64)] = []
  var commandCount: UInt64 = 0
  var connectionsReceived: UInt64 = 0
  var connectionsRejected: UInt64 = 0
  var bytesIn: UInt64 = 0
  var bytesOut: UInt64 = 0
  var hits: UInt64 = 0
  var misses: UInt64 = 0
  var expiredKeys: UInt64 = 0
  var errorReplies: UInt64 = 0
  var evictedKeys: UInt64 = 0
  var evictedClients: UInt64 = 0
  /// Milliseconds over the limit of memory, without the present time.
  var evictionExceeded: UInt64 = 0
  /// What defragmentation has done, and milliseconds that its passes took, without the present one.
  var defragmentation = DefragmentationFigures()
  var defragmentationTime: UInt64 = 0
  /// What slices of housekeeping have cost, by kind.
  var slices = InlineArray<4, SliceFigures>(repeating: SliceFigures())
  /// Commands a second, as of the last housekeeping; and what that was computed from.
  var commandsPerSecond: UInt64 = 0
  var sampledCommandCount: UInt64 = 0
  /// The same of bytes.
  var bytesInPerSecond = 0.0
  var bytesOutPerSecond = 0.0
  var sampledBytesIn: UInt64 = 0
  var sampledBytesOut: UInt64 = 0
  var sampledAt: Int64 = 0

  /// Counts an error reply by its code.
  mutating func countError(_ code: String) {
    errorReplies += 1
    if let i = errors.firstIndex(where: { $0.code == code }) {
      errors[i].count += 1
    } else if errors.count < 128 {
      errors.append((code, 1))
    }
  }
}
