/// A change that concerns the whole process (DESIGN §9). One sequencer numbers them, every worker applies them in that order at the
/// top of a turn, and the client that asked is answered after the last worker has: `+OK` means in force everywhere.
public enum ControlRequest: Sendable {
  /// CONFIG SET: names and values, checked by the worker that received them.
  case configure([(name: String, value: String)])
  /// CONFIG RESETSTAT.
  case resetStatistics
  /// CONFIG REWRITE: the server writes its configuration file.
  case rewriteConfiguration
  /// SHUTDOWN: the process ends after its replies were sent; never answered.
  case shutdown
  /// DEBUG SET-ACTIVE-EXPIRE: whether expired keys are looked for.
  case sweepExpired(Bool)
}

/// A control request on its way from an engine to the sequencer.
public struct PendingControl: Sendable {
  /// The client that waits, parked.
  public let client: ClientID
  /// Its id: its place may have been taken by another client when the answer comes.
  public let clientNumber: UInt64
  /// What it asks for.
  public let request: ControlRequest
  /// Why it could not be carried out, for the client; nil = it was.
  public var failure: String? = nil
}

/// What an engine is told about its process by whoever runs it, because it reads no clock and no environment itself (DESIGN §7).
/// Refreshed by the server a few times a second; INFO shows it.
public struct ProcessFigures: Sendable {
  /// The process's id.
  public var processID = 0
  /// `Linux 6.1.0 x86_64`.
  public var system = "Linux"
  /// Path of the program.
  public var executable = ""
  /// Path of the configuration file; empty = none.
  public var configurationFile = ""
  /// The random id of this run, 40 hex digits.
  public var runID = String(repeating: "0", count: 40)
  /// Unix milliseconds of the start.
  public var startedAt: Int64 = 0
  /// Resident memory in bytes, and its peak.
  public var residentByteCount = 0
  public var residentPeakByteCount = 0
  /// Memory of the machine in bytes.
  public var systemByteCount = 0
  /// CPU seconds of the process, in the kernel and in user mode.
  public var systemCPUSeconds = 0.0
  public var userCPUSeconds = 0.0
  /// What commands are timed with, as INFO names it.
  public var clock = "the caller's"
  /// The reactor's back-end: io_uring, epoll, or none for an engine without sockets.
  public var backend = "none"
  /// Connections of all workers.
  public var connectedClients = 0
  /// CPU seconds of the thread that this engine runs on.
  public var threadSystemCPUSeconds = 0.0
  public var threadUserCPUSeconds = 0.0
  /// What each worker has counted, by its index; INFO of the configuration endpoint adds them up.
  public var totals: [WorkerTotals?] = []
  /// Bytes by size class that all workers' keyspaces use.
  public var keyspaceByteCount = 0
  /// Bytes that clients of all workers take: sessions, requests and replies.
  public var clientByteCount = 0
  /// The most clients that the system allows; 0 = unknown.
  public var mostClients = 0
  /// Lines of the log that nobody took.
  public var droppedLogLineCount = 0
  /// What is remembered for clients that are told of changes takes, of all workers.
  public var trackingByteCount = 0
  /// Workers that have to evict although they have less than an equal part of the memory.
  public var hungryWorkers = 0

  /// Unknown figures.
  public init() {}
}
