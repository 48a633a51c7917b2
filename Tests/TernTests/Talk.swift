import Engine
import RESP
import Tern
import Testing
import Transcript

/// A shard and one client of it.
struct Talk: ~Copyable, Speaker {
  var shard: LocalShard
  let client: ClientID

  /// A client of a new shard, at 1 000 000 ms.
  init(settings: Settings = Settings(), clock: MonotonicClock = .still) throws {
    var shard = try LocalShard(hashSeed: (3, 4), clock: clock, settings: settings)
    shard.setTime(milliseconds: 1_000_000)
    guard let client = shard.connect() else { throw EngineOutOfMemory() }
    self.shard = shard
    self.client = client
  }

  mutating func answers(to request: [UInt8]) -> [UInt8] {
    shard.receive(request.span.bytes, from: client)
    return shard.takeReplies(to: client)
  }

  /// One more client of the shard.
  mutating func connect() throws -> ClientID {
    guard let client = shard.connect() else { throw EngineOutOfMemory() }
    return client
  }

  mutating func setTime(_ milliseconds: Int64) { shard.setTime(milliseconds: milliseconds) }

  mutating func housekeep() -> Bool { shard.housekeep() }

  var keyCount: Int { shard.keyCount }
  var byteCount: Int { shard.keyspaceByteCount }

  /// Expects a conversation.
  mutating func expect(_ transcript: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let differences = differences(from: transcript)
    #expect(differences == [], sourceLocation: sourceLocation)
  }

  /// Expects one reply.
  mutating func expect(
    _ words: [String], _ reply: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let got = shown(answers(to: request(words.map { Array($0.utf8) })))
    #expect(got == reply, sourceLocation: sourceLocation)
  }
}
