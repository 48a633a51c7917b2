import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// An engine with shards of a larger cluster, and its clients.
struct Rig: ~Copyable, Speaker {
  var engine: Engine
  /// Who speaks where no client is named.
  var client: ClientID

  /// An engine with the shards of these numbers, of a cluster in which `map` says who owns what; one client at the first of them.
  init(
    map: ClusterMap = .test(1), local: [Int] = [1], settings: Settings = Settings(),
    clock: MonotonicClock = .still, processorClock: MonotonicClock = .still
  ) throws {
    try self.init(
      board: MapBoard(map), local: local, settings: settings, clock: clock,
      processorClock: processorClock)
  }

  /// The same with a board that other engines look at too.
  init(
    board: MapBoard, worker: Int = 0, of mailboxes: [Mailbox] = [], local: [Int],
    settings: Settings = Settings(), clock: MonotonicClock = .still,
    processorClock: MonotonicClock = .still, turn: JointTurn = JointTurn()
  ) throws {
    var options = EngineOptions(board: board, clock: clock)
    options.turn = turn
    options.processorClock = processorClock
    if !mailboxes.isEmpty {
      options.worker = worker
      options.workers = mailboxes.count
      options.peers = mailboxes
      options.mailbox = mailboxes[worker]
    }
    options.shards = local.map { LocalShardInfo(id: .test($0), nodeID: .test($0)) }
    options.hashSeed = (5, 6)
    options.settings = settings
    var engine = try Engine(options)
    engine.beginTurn(microseconds: 1_000_000_000)
    guard let client = engine.connect(shard: 0, now: 1_000_000) else { throw EngineOutOfMemory() }
    self.engine = engine
    self.client = client
  }

  /// A new client of the shard of that local index, or of the configuration endpoint.
  mutating func connect(to shard: Int?) throws -> ClientID {
    guard let client = engine.connect(shard: shard, now: 1_000_000) else {
      throw EngineOutOfMemory()
    }
    return client
  }

  /// Sends bytes for a client, without looking at replies.
  mutating func send(_ bytes: [UInt8], from client: ClientID) {
    engine.receive(bytes.span.bytes, from: client)
  }

  /// Takes the replies to a client, all that there will be.
  mutating func replies(to client: ClientID) -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let count = Self.copy(engine.output(of: client), &all)
      if count == 0 { return all }
      engine.sent(count, of: client)
    }
  }

  private static func copy(_ bytes: RawSpan, _ all: inout [UInt8]) -> Int {
    bytes.withUnsafeBytes { all += $0 }
    return bytes.byteCount
  }

  mutating func answers(to request: [UInt8]) -> [UInt8] { answers(to: request, from: client) }

  mutating func answers(to request: [UInt8], from client: ClientID) -> [UInt8] {
    send(request, from: client)
    engine.applyOwnControls()
    return replies(to: client)
  }

  /// The replies to a line of words.
  mutating func ask(_ line: String, from client: ClientID) -> String {
    shown(answers(to: request(words(line)), from: client))
  }

  mutating func setTime(_ milliseconds: Int64) {
    engine.beginTurn(microseconds: milliseconds * 1000)
  }

  mutating func housekeep() -> Bool { engine.housekeep() }

  /// Expects a conversation of a client.
  mutating func expect(
    _ transcript: String, from client: ClientID? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let speaker = self.client
    self.client = client ?? speaker
    let differences = differences(from: transcript)
    self.client = speaker
    #expect(differences == [], sourceLocation: sourceLocation)
  }

  /// All replies to a client, as they are shown.
  mutating func shownReplies(to client: ClientID) -> String { shown(replies(to: client)) }

  /// Leaves a message in the engine's mailbox.
  mutating func post(
    _ message: MailboxMessage, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let wasTaken = engine.mailbox.send(message)
    #expect(wasTaken, sourceLocation: sourceLocation)
  }

  /// The control request that waits for the sequencer; there must be one, and no other.
  mutating func takeControl(sourceLocation: SourceLocation = #_sourceLocation) throws
    -> PendingControl
  {
    let requests = engine.takeControlRequests()
    #expect(requests.count == 1, sourceLocation: sourceLocation)
    return try #require(requests.first, sourceLocation: sourceLocation)
  }

  /// What the engine wants done about a client, once it is listed.
  mutating func duty(of client: ClientID) -> Engine.Duty? {
    var duty: Engine.Duty?
    for place in 0..<engine.listedCount where engine.listed(place) == client {
      duty = engine.duty(of: client)
    }
    engine.clearListed()
    return duty
  }

  /// Whether its replies so far are its last.
  mutating func isClosing(_ client: ClientID) -> Bool {
    if case .close = engine.duty(of: client) { return true }
    return false
  }
}

extension ShardID {
  static func test(_ number: Int) -> ShardID { ShardID(number: UInt16(number), generation: 1) }
}

extension NodeID {
  static func test(_ number: Int) -> NodeID {
    let bytes = [UInt8](repeating: UInt8(number), count: NodeID.byteCount)
    return NodeID(bytes.span.bytes)!
  }
}

extension ClusterMap {
  /// Uniform over shards 1 … `count`, at ports 7001 and up.
  static func test(_ count: Int, epoch: UInt64 = 1) -> ClusterMap {
    .uniform(epoch: ConfigEpoch(epoch), shards: shards(count))
  }

  static func shards(_ count: Int) -> [ClusterShard] {
    (1...count).map {
      ClusterShard(
        id: .test($0), nodeID: .test($0),
        address: EndpointAddress(host: "10.0.0.1", port: UInt16(7000 + $0))!,
        epoch: ConfigEpoch(1))
    }
  }
}

/// Keys in wanted slots: a tag for each, found by trying.
enum Tag {
  /// `{n}` so that it lies in one of `slots`; the `skip`-th of them.
  static func `in`(_ slots: Range<Int>, skip: Int = 0) -> String {
    var left = skip
    for n in 0... {
      let tag = "{\(n)}"
      guard slots.contains(HashSlot.of(Array(tag.utf8).span.bytes).index) else { continue }
      if left == 0 { return tag }
      left -= 1
    }
    return ""
  }

  /// The slot of a key.
  static func slot(of key: String) -> Int { HashSlot.of(Array(key.utf8).span.bytes).index }
}
