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

/// What was counted of a shard, or of the configuration endpoint: a page of the worker's ledger.
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
  /// Times that bytes came, and that bytes left.
  var reads: UInt64 = 0
  var writes: UInt64 = 0
  /// Most bytes that the keys have taken, as seen by the housekeeping.
  var peakByteCount = 0
  var evictedKeys: UInt64 = 0
  var evictedClients: UInt64 = 0
  /// Commands that stopped workers, of clients of the configuration endpoint.
  var jointTurns: UInt64 = 0
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

  /// Adds what another page says: what was counted of several shards is the sum of their pages.
  mutating func add(_ other: borrowing Statistics) {
    // Most of many shards have nothing to tell.
    let commandLimit =
      other.commandCount == 0 && other.errorReplies == 0 ? 0 : CommandTable.all.count
    for i in 0..<commandLimit {
      commands[i].calls &+= other.commands[i].calls
      commands[i].nanoseconds &+= other.commands[i].nanoseconds
      commands[i].rejected &+= other.commands[i].rejected
      commands[i].failed &+= other.commands[i].failed
    }
    for error in other.errors {
      if let i = errors.firstIndex(where: { $0.code == error.code }) {
        errors[i].count += error.count
      } else {
        errors.append(error)
      }
    }
    commandCount += other.commandCount
    connectionsReceived += other.connectionsReceived
    connectionsRejected += other.connectionsRejected
    bytesIn += other.bytesIn
    bytesOut += other.bytesOut
    hits += other.hits
    misses += other.misses
    expiredKeys += other.expiredKeys
    errorReplies += other.errorReplies
    reads += other.reads
    writes += other.writes
    peakByteCount += other.peakByteCount
    evictedKeys += other.evictedKeys
    evictedClients += other.evictedClients
    jointTurns += other.jointTurns
    commandsPerSecond += other.commandsPerSecond
    bytesInPerSecond += other.bytesInPerSecond
    bytesOutPerSecond += other.bytesOutPerSecond
  }

  /// Keeps what was counted on a page that is about to be used anew. What was done a second, and what keys have taken, goes.
  mutating func keep(_ other: consuming Statistics) {
    other.commandsPerSecond = 0
    other.bytesInPerSecond = 0
    other.bytesOutPerSecond = 0
    other.peakByteCount = 0
    // What is kept is not done now.
    sampledCommandCount += other.commandCount
    sampledBytesIn += other.bytesIn
    sampledBytesOut += other.bytesOut
    add(other)
  }

  /// Computes what was done a second since the last time.
  mutating func sample(now: Int64) {
    let elapsed = now - sampledAt
    let done = commandCount - sampledCommandCount
    commandsPerSecond = elapsed > 0 ? done * 1000 / UInt64(elapsed) : 0
    sampledCommandCount = commandCount
    let seconds = elapsed > 0 ? Double(elapsed) / 1000 : .infinity
    bytesInPerSecond = Double(bytesIn - sampledBytesIn) / seconds
    bytesOutPerSecond = Double(bytesOut - sampledBytesOut) / seconds
    sampledBytesIn = bytesIn
    sampledBytesOut = bytesOut
    sampledAt = now
  }
}

/// A sum of pages that is being made.
struct FigureSum {
  /// The next page, and what those before it say.
  var page = 0
  var statistics = Statistics()
}

/// What a worker has counted of all its shards and the configuration endpoint, as of its last tick: for the figures of the process.
public final class WorkerTotals: Sendable {
  let statistics: Statistics

  init(_ statistics: Statistics) { self.statistics = statistics }
}

extension Engine {
  /// The page that belongs to a session's shard: first the configuration endpoint's, then the shards' in their order.
  @inline(__always)
  static func page(ofShard shard: Int32) -> Int { Int(max(shard, -1)) + 1 }

  /// What is counted from now on concerns that shard, or the configuration endpoint.
  @inline(__always)
  mutating func count(forShard shard: Int32) { ledger.turn(to: Self.page(ofShard: shard)) }

  /// What was counted of the shard whose turn it is.
  @inline(__always)
  var statistics: Statistics {
    _read { yield ledger.page }
    _modify { yield &ledger.page }
  }

  /// All pages together.
  func sumOfPages() -> Statistics {
    var sum = Statistics()
    for page in 0..<ledger.count { sum.add(ledger[page]) }
    return sum
  }
}
