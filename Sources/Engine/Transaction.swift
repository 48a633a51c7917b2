internal import RESP
internal import Sharding
internal import Storage

// A transaction between MULTI and EXEC, and what its client watches. A session owns one only while it is in MULTI or watches keys.
//
// Queued requests lie one behind the other in one buffer; what they need to run again (command, slot, hash, arguments' places) stands in
// two flat lists:
//
//   requests  [ SET: first 0, count 3, slot, hash ][ GET: first 3, count 2, … ]
//   ranges    [ 0,3 ][ 3,1 ][ 4,5 ]                [ 9,3 ][ 12,1 ]
//   bytes     S E T k v a l u e G E T k
//   bulks     arguments of 32 KiB and more, in the allocations that they were received into
//
// Limits: together with the watched keys at most `client-query-buffer-limit` bytes; the client is closed beyond, as with Redis.

/// What a session has in MULTI or while it watches keys. A class, because a session has 8 bytes for it, far from the way of ordinary commands.
final class Transaction {
  /// The commands that wait for EXEC.
  var queue = CommandQueue()
  /// How many there are; also while EXEC, which takes the queue, runs them.
  var queuedCount = 0
  /// The keys whose change makes EXEC do nothing.
  var watched: [WatchedKey] = []
  /// Bytes that the watched keys take.
  var watchedByteCount = 0
  /// A command was refused instead of queued: EXEC fails.
  var isAborted = false
  /// A watched key was changed: EXEC does nothing.
  var isConflicted = false
  /// Changes of the whole process that EXEC's commands asked for, to be sent when all of them have run.
  var controls: [ControlRequest] = []
  /// Changes of who owns which slot that they asked for.
  var clusterRequests: [ClusterRequest] = []
  /// Slots of other shards that a DELSLOTS of EXEC has named.
  var forgottenSlots: [SlotRange] = []
  /// How many of those are not in force everywhere yet; EXEC's reply is held until then.
  var controlsUnderWay = 0

  /// Bytes of memory that the client makes it take.
  var byteCount: Int { queue.byteCount + watchedByteCount }

  /// Adds a change of the process. Settings are gathered in one, so that a transaction asks for a bounded number.
  func add(_ control: ControlRequest) {
    for i in controls.indices {
      switch (controls[i], control) {
      case (.configure(let earlier), .configure(let later)):
        controls[i] = .configure(earlier + later)
        return
      case (.resetStatistics, .resetStatistics): return
      default: continue
      }
    }
    controls.append(control)
  }
}

/// A key that a session watches, as the session knows it.
struct WatchedKey {
  let slot: Int32
  let hash: KeyHash
  let key: [UInt8]
}

/// One request of a queue.
struct QueuedRequest {
  /// The command.
  var id: CommandID
  /// The number of its first argument among the queue's, and how many it has.
  var firstArgument: Int32
  var argumentCount: Int32
  /// Bytes of its arguments.
  var byteCount: Int32
  /// The number of its first argument that was received apart, and how many there are.
  var firstBulk: Int32
  var bulkCount: Int32
  /// The slot of its first key, −1 without keys.
  var slot: Int32
  /// The hash of its first key.
  var hash: KeyHash
}

/// The commands that wait for EXEC. See the top of this file.
struct CommandQueue: ~Copyable {
  private var bytes = ByteBuffer()
  private var ranges = Pile<ArgumentRange>()
  /// The requests, in their order.
  private(set) var requests = Pile<QueuedRequest>()
  private var bulks: [HeldBulk] = []
  private var bulkByteCount = 0
  /// The slot of the keys; −1 before the first.
  private(set) var slot = -1
  /// Whether keys of two slots were queued.
  private(set) var isCrossSlot = false
  /// Whether a command waits that is refused while memory is at its limit.
  private(set) var isDeniedWithoutMemory = false

  /// What it takes in memory.
  var byteCount: Int {
    bytes.byteCount + bulkByteCount + ranges.count * MemoryLayout<ArgumentRange>.stride
      + requests.count * MemoryLayout<QueuedRequest>.stride
  }

  /// Appends a request, copying its bytes and taking over its large arguments. Throws if there is no memory, or if offsets no longer fit.
  mutating func append(
    _ call: Call, large: [HeldBulk], isDeniedWithoutMemory: Bool
  ) throws(OutOfMemory) {
    let first = ranges.count
    var argumentByteCount = 0
    if large.isEmpty, let extent = call.arguments.extent {
      // As it came, with what stands between the arguments: one copy.
      let shift = bytes.byteCount &- extent.lowerBound
      guard shift + extent.upperBound < Int(UInt32.max) else { throw OutOfMemory() }
      try bytes.append(call.arguments.bytes(in: extent))
      for i in 0..<call.count {
        var range = call.arguments.range(i)
        argumentByteCount &+= Int(range.count)
        range.offset = UInt32(truncatingIfNeeded: Int(range.offset) &+ shift)
        ranges.append(range)
      }
    } else {
      argumentByteCount = try appendArguments(of: call)
    }
    requests.append(
      QueuedRequest(
        id: call.id, firstArgument: Int32(first), argumentCount: Int32(call.count),
        byteCount: Int32(clamping: argumentByteCount), firstBulk: Int32(bulks.count),
        bulkCount: Int32(large.count),
        slot: Int32(call.slot), hash: call.hash))
    if !large.isEmpty {
      bulks += large
      for bulk in large { bulkByteCount += bulk.byteCount }
    }
    if isDeniedWithoutMemory { self.isDeniedWithoutMemory = true }
    if call.slot >= 0 {
      if slot < 0 { slot = call.slot } else if slot != call.slot { isCrossSlot = true }
    }
  }

  /// Appends arguments one by one; their bytes, those that were received apart not among them.
  private mutating func appendArguments(of call: Call) throws(OutOfMemory) -> Int {
    var byteCount = 0
    for i in 0..<call.count {
      if call.arguments.largeIndex(i) != nil {
        ranges.append(call.arguments.range(i))
        continue
      }
      let argument = call[i]
      let offset = bytes.byteCount
      byteCount += argument.byteCount
      guard offset + argument.byteCount < Int(UInt32.max) else { throw OutOfMemory() }
      try bytes.append(argument)
      ranges.append(
        ArgumentRange(offset: UInt32(offset), count: UInt32(argument.byteCount)))
    }
    return byteCount
  }

  /// Appends the part of a request that concerns one key: the command's name, the key, and what else stands with it up to `step`.
  mutating func append(
    part key: Int, step: Int, of call: Call, id: CommandID, slot: Int, _ hash: KeyHash,
    large: [HeldBulk]
  ) throws(OutOfMemory) {
    let first = ranges.count
    var byteCount = 0
    var bulkCount: Int32 = 0
    let firstBulk = Int32(bulks.count)
    for i in 0...step {
      let argument = i == 0 ? 0 : key + i - 1
      if let bulk = call.arguments.largeIndex(argument) {
        // Its number is among those of this request from here on.
        ranges.append(ArgumentRange.large(0))
        bulks.append(large[bulk])
        bulkByteCount += large[bulk].byteCount
        bulkCount += 1
        continue
      }
      let offset = bytes.byteCount
      let span = call[argument]
      guard offset + span.byteCount < Int(UInt32.max) else { throw OutOfMemory() }
      byteCount += span.byteCount
      try bytes.append(span)
      ranges.append(ArgumentRange(offset: UInt32(offset), count: UInt32(span.byteCount)))
    }
    requests.append(
      QueuedRequest(
        id: id, firstArgument: Int32(first), argumentCount: Int32(step + 1),
        byteCount: Int32(clamping: byteCount), firstBulk: firstBulk, bulkCount: bulkCount,
        slot: Int32(slot), hash: hash))
  }

  /// Appends a request that is the word EXEC alone.
  mutating func appendExec() throws(OutOfMemory) {
    let word: [UInt8] = [69, 88, 69, 67]
    try bytes.append(word.rawBytes)
    ranges.append(ArgumentRange(offset: 0, count: 4))
    requests.append(
      QueuedRequest(
        id: .exec, firstArgument: 0, argumentCount: 1, byteCount: 4, firstBulk: 0, bulkCount: 0,
        slot: -1, hash: .none))
  }

  /// Forgets all requests; the memory stays unless it is much.
  mutating func removeAll() {
    bytes.empty()
    ranges.removeAll()
    requests.removeAll()
    if bulkByteCount > 0 {
      bulks.removeAll()
      bulkByteCount = 0
    }
    slot = -1
    isCrossSlot = false
    isDeniedWithoutMemory = false
  }

  /// The arguments of a request.
  @_lifetime(borrow self)
  func arguments(of index: Int) -> Arguments {
    let request = requests[index]
    return Arguments(
      bytes: bytes.bytes, ranges: ranges.span, first: Int(request.firstArgument),
      count: Int(request.argumentCount))
  }

  /// The large arguments of a request.
  func large(of index: Int) -> [HeldBulk] {
    let request = requests[index]
    if request.bulkCount == 0 { return [] }
    return Array(bulks[Int(request.firstBulk)..<Int(request.firstBulk + request.bulkCount)])
  }
}
