internal import Storage

/// Kinds of housekeeping whose slices are measured (I6). Growth comes in the middle of commands, the others between them.
enum SliceKind: Int, CaseIterable {
  case flush, expiry, eviction, defragmentation
  /// A tenth of a second's figures and plans, which come when it is time for them.
  case tick

  /// The one that is asked next for work.
  var next: SliceKind { SliceKind(rawValue: rawValue + 1) ?? .flush }

  /// As INFO names it.
  var name: String { "\(self)" }
}

/// What slices of one kind have cost, in nanoseconds of the thread's processor time.
struct SliceFigures {
  var count: UInt64 = 0
  var nanoseconds: UInt64 = 0
  var largestNanoseconds: UInt64 = 0
  /// How many took longer than they may.
  var overCount: UInt64 = 0

  mutating func add(_ spent: UInt64) {
    count += 1
    nanoseconds += spent
    if spent > largestNanoseconds { largestNanoseconds = spent }
    if spent > SliceMeter.bound { overCount += 1 }
  }
}

/// What housekeeping has cost and done on a worker, which looks after all of its shards at once.
struct Upkeep {
  /// What slices have cost, by kind.
  var slices = InlineArray<5, SliceFigures>(repeating: SliceFigures())
  /// Milliseconds over the limit of memory, without the present time.
  var evictionExceeded: UInt64 = 0
  /// What defragmentation has done, and milliseconds that its passes took, without the present one.
  var defragmentation = DefragmentationFigures()
  var defragmentationTime: UInt64 = 0
}

/// A slice that is being run: it looks at the clock between pieces of work, and ends early enough for one more piece to fit into 250 µs.
struct SliceMeter {
  /// What a slice may take (I6), and when it begins no further piece.
  static let bound: UInt64 = 250_000
  static let limit: UInt64 = 100_000
  /// Pieces that a slice has at most: the bound where no clock tells the time.
  static let pieceLimit = 16

  /// Entries that are hashed again for a unit of work, where pieces of work are counted in removals.
  static let rebuiltEntriesPerUnit = 8

  private let clock: MonotonicClock
  private let begin: UInt64
  private(set) var spent: UInt64 = 0
  private var pieces = 0

  init(_ clock: MonotonicClock) {
    self.clock = clock
    begin = clock.nanoseconds()
  }

  /// A piece is done: whether there is time for another.
  mutating func hasTime() -> Bool {
    pieces += 1
    spent = clock.nanoseconds() &- begin
    return spent < Self.limit && pieces < Self.pieceLimit
  }
}
