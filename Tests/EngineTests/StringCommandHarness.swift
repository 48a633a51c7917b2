import Engine
import RESP
import Sharding
import Testing

/// An engine of one shard with all slots and one client, for the tests of strings and bitmaps.
struct StringShard: ~Copyable {
  private var engine: Engine
  private let client: ClientID

  init(_ change: (inout Settings) -> Void = { _ in }) throws {
    let id = ShardID(number: 1, generation: 1)
    let bytes = [UInt8](repeating: 0xA7, count: NodeID.byteCount)
    let parsed = NodeID(bytes.span.bytes)
    let nodeID = try #require(parsed)
    let address = try #require(EndpointAddress(host: "127.0.0.1", port: 7001))
    let shard = ClusterShard(id: id, nodeID: nodeID, address: address, epoch: ConfigEpoch(1))
    var options = EngineOptions(
      map: .uniform(epoch: ConfigEpoch(1), shards: [shard]), clock: .still)
    options.shards = [LocalShardInfo(id: id, nodeID: nodeID)]
    options.hashSeed = (1, 2)
    change(&options.settings)
    var engine = try Engine(options)
    engine.beginTurn(microseconds: 1_700_000_000_000_000)
    guard let client = engine.connect(shard: 0, now: 0) else { throw Refused() }
    self.client = client
    self.engine = engine
  }

  private struct Refused: Error {}

  /// Tells the time: so long after the test's beginning.
  mutating func advance(milliseconds: Int64) {
    engine.beginTurn(microseconds: 1_700_000_000_000_000 + milliseconds * 1000)
  }

  /// The reply to a command, words parted by spaces, line ends shown as spaces.
  mutating func run(_ line: String) -> String {
    run(line.split(separator: " ", omittingEmptySubsequences: false).map { Array($0.utf8) })
  }

  /// The reply to a command of any bytes.
  mutating func run(_ words: [[UInt8]]) -> String {
    var request = Array("*\(words.count)\r\n".utf8)
    for word in words { request += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
    engine.receive(request.span.bytes, from: client)
    var reply: [UInt8] = []
    while true {
      let part = Self.output(of: client, of: engine)
      if part.isEmpty { break }
      reply += part
      engine.sent(part.count, of: client)
    }
    let text = String(reply.map { Character(Unicode.Scalar($0)) })
    return text.replacing("\r\n", with: " ").trimmingSuffix { $0 == " " }
  }

  /// Apart, because the bytes that are lent hold the engine.
  private static func output(of client: ClientID, of engine: borrowing Engine) -> [UInt8] {
    let part = engine.output(of: client)
    return (0..<part.byteCount).map { part.byte(at: $0) }
  }

  /// What the keys take, by size class.
  var byteCount: Int { engine.keyspaceByteCount }
}

extension String {
  fileprivate func trimmingSuffix(_ isTrimmed: (Character) -> Bool) -> String {
    var text = self
    while let last = text.last, isTrimmed(last) { text.removeLast() }
    return text
  }
}
