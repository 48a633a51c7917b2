// What happened to the keys of a shard, for one who listens: the change log and the keyspace events (DESIGN §6).
//
//   command ──▶ handler ──▶ Effect ──▶ listeners = 0? ──▶ nothing more
//                                        │ no
//                                        ├─ watches, monitors
//                                        └─ the shard's record, if it has one
//                                             changes: requests that, carried out in this order on an empty shard, make the same keys.
//                                                      What depends on time, chance or state is rewritten: `SET k v PXAT t`
//                                             events:  what `notify-keyspace-events` asks for, as Redis would publish it
//
// A request that made several changes (a key that it found expired, a queue of EXEC) is one group, in MULTI and EXEC, as in Redis'
// stream to replicas; what housekeeping does stands alone.
//
// A record is bounded: whoever does not take it in time finds it overrun, and has to begin anew from the keys themselves.

/// One change of a shard's keys.
package struct Change: Sendable, Equatable {
  /// The slot of its key; −1 if it concerns the whole shard, or is MULTI or EXEC.
  package let slot: Int
  /// A request, in RESP's form, that makes it.
  package let request: [UInt8]

  /// A request of these words.
  init(slot: Int, _ words: [[UInt8]]) {
    self.slot = slot
    var request = Array("*\(words.count)\r\n".utf8)
    for word in words {
      request += Array("$\(word.count)\r\n".utf8)
      request += word
      request += [13, 10]
    }
    self.request = request
  }

  /// What it takes in a record.
  var byteCount: Int { request.count + MemoryLayout<Change>.stride }
}

/// A message about a key, as pub/sub delivers it.
package struct KeyspaceEvent: Sendable, Equatable {
  /// `__keyspace@0__:key` or `__keyevent@0__:event`.
  package let channel: [UInt8]
  /// The event's name, or the key.
  package let message: [UInt8]

  /// What it takes in a record.
  var byteCount: Int { channel.count + message.count + MemoryLayout<KeyspaceEvent>.stride }
}

/// The changes and events of a shard since somebody last took them.
package struct ChangeRecord: Sendable {
  /// What a record takes at most, in bytes: a second's worth of a busy shard.
  static let byteLimit = 64 << 20

  /// In the order in which they happened.
  package private(set) var changes: [Change] = []
  package private(set) var events: [KeyspaceEvent] = []
  /// More happened than there was room for: nothing is kept any more.
  package private(set) var isOverrun = false
  /// The changes of the request that is being run; nil between requests.
  private var group: [Change]?
  private var byteCount = 0

  /// A request begins.
  mutating func beginGroup() {
    if group == nil { group = [] }
  }

  /// A request has ended.
  mutating func endGroup() {
    guard let changes = group else { return }
    group = nil
    if changes.count > 1 { take(Change(slot: -1, [Array("MULTI".utf8)])) }
    for change in changes { take(change) }
    if changes.count > 1 { take(Change(slot: -1, [Array("EXEC".utf8)])) }
  }

  /// Adds a change.
  mutating func add(_ change: Change) {
    guard hasRoom(change.byteCount) else { return }
    if group == nil { take(change) } else { group?.append(change) }
  }

  /// Adds an event.
  mutating func add(_ event: KeyspaceEvent) {
    if hasRoom(event.byteCount) { events.append(event) }
  }

  private mutating func take(_ change: Change) {
    if !isOverrun { changes.append(change) }
  }

  private mutating func hasRoom(_ more: Int) -> Bool {
    byteCount += more
    if byteCount > Self.byteLimit { isOverrun = true }
    if isOverrun {
      changes = []
      events = []
      if group != nil { group = [] }
    }
    return !isOverrun
  }
}
