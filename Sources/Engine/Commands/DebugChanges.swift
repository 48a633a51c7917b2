internal import RESP
internal import Storage

// DEBUG CHANGES: the record of a shard's changes (`ChangeRecord`), for tests; nobody else reads it yet.

extension Engine {
  /// DEBUG CHANGES START|TAKE|STOP. TAKE answers two lists, of requests and of pairs of channel and message, and goes on recording.
  mutating func debugChanges(_ call: Call) -> Effect {
    let shard = Int(sessions[current].shard)
    guard shard >= 0 else {
      return failing("ERR Changes are recorded by shard; connect to a shard's own port")
    }
    switch Word(call[2]) {
    case "START": startRecord(ofShard: shard)
    case "STOP": stopRecord(ofShard: shard)
    case "TAKE":
      guard let record = takeRecord(ofShard: shard) else {
        return failing("ERR No changes are recorded")
      }
      if record.isOverrun { return failing("ERR More has changed than a record holds") }
      reply.arrayHeader(2)
      reply.arrayHeader(record.changes.count)
      for change in record.changes { reply.append(bytes: change.request) }
      reply.arrayHeader(record.events.count)
      for event in record.events {
        reply.arrayHeader(2)
        reply.bulk(bytes: event.channel)
        reply.bulk(bytes: event.message)
      }
      return .none
    default: return syntaxError()
    }
    reply.ok()
    return .none
  }
}
