internal import Storage

// Keys on their way to another server (MIGRATE), by real TCP and without stopping the worker.
//
//   worker   MIGRATE host port key … ──▶ payloads, as DUMP makes them ──▶ the keys are held, the client is parked
//   thread   AUTH, SELECT, RESTORE-ASKING … in one pipeline ──▶ replies
//   worker   .migrated by mailbox ──▶ acknowledged keys are removed, the client is answered, whoever waited is decided again
//
// While a key is held no command reads or writes it: one that wants to waits, and is decided again from the verdict on, so that it
// finds the key gone and is sent after it. With COPY nothing is removed and nothing held. Housekeeping goes on: a held key may expire or
// be evicted. FLUSHALL is not held up, and comes after the copy that is on its way.
//
// A key without an acknowledgement stays, also where the target may have stored it: that hole is Redis's, and as there the caller repeats
// the command with REPLACE.
//
// Limits: payloads on their way take at most `client-query-buffer-limit` a worker.

/// Keys that are to be sent to another server: for a thread of the server's that may wait.
public struct PendingMigration: Sendable {
  /// Which one it is, for the outcome.
  public let number: UInt64
  /// Where they go, as the client wrote it.
  public let host: String
  public let port: UInt16
  /// How long each step may take: to connect, to write 64 KiB, to read a reply.
  public let milliseconds: Int
  /// The database there.
  public let database: Int64
  /// The arguments of AUTH: a password, or a user and a password; none without either.
  public let credentials: [[UInt8]]
  /// The RESTORE-ASKING requests, one behind the other, and how many there are.
  public let requests: [UInt8]
  public let requestCount: Int
}

/// What has become of keys that were sent to another server.
public struct MigrationOutcome: Sendable {
  /// How MIGRATE is answered.
  public enum Answer: Sendable, Equatable {
    /// All keys have arrived.
    case done
    /// An error line of the target, without its `-`: the first one.
    case refused([UInt8])
    /// The target could not be reached, or fell silent.
    case cannotConnect, cannotWrite, cannotRead
  }

  /// Which migration.
  public let number: UInt64
  /// The places of the requests that the target has acknowledged, ascending.
  public var acknowledged: [Int]
  /// How MIGRATE is answered.
  public var answer: Answer

  /// An outcome of the migration of that number.
  public init(number: UInt64, acknowledged: [Int] = [], answer: Answer) {
    self.number = number
    self.acknowledged = acknowledged
    self.answer = answer
  }
}

/// A key of a table that nobody may touch for the moment: by its hash, so that another one of the same hash waits too.
struct HeldKey: Hashable {
  let table: Int32
  let hash: UInt64

  init(_ table: Int, _ hash: KeyHash) {
    self.table = Int32(table)
    self.hash = hash.bits
  }
}

/// A migration that is under way. A class, because it is few and named from several lists.
final class Flight {
  /// Which one it is.
  let number: UInt64
  /// The client that waits, and its id: its place may have another one by then.
  let client: Int32
  let clientNumber: UInt64
  /// The shard that the keys leave, the slot and the table that they lie in.
  let shard: Int32
  let slot: Int
  var table: Int
  /// The keys, in the order of the requests.
  let keys: [(hash: KeyHash, bytes: [UInt8])]
  /// Nothing is held, nor removed.
  let isCopy: Bool
  /// Bytes of the requests.
  let byteCount: Int

  init(
    number: UInt64, client: Int32, clientNumber: UInt64, shard: Int32, slot: Int, table: Int,
    keys: [(hash: KeyHash, bytes: [UInt8])], isCopy: Bool, byteCount: Int
  ) {
    self.number = number
    self.client = client
    self.clientNumber = clientNumber
    self.shard = shard
    self.slot = slot
    self.table = table
    self.keys = keys
    self.isCopy = isCopy
    self.byteCount = byteCount
  }
}
