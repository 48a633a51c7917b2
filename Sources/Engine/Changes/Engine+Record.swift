internal import RESP
internal import Storage

// Recording a shard's changes and events: who begins and ends it, and the few ways in.

extension Engine {
  /// Changes and events of that local shard are recorded from now on.
  package mutating func startRecord(ofShard shard: Int) {
    guard records.indices.contains(shard), records[shard] == nil else { return }
    records[shard] = ChangeRecord()
    listeners += 1
  }

  /// What was recorded since the last time; nil if nothing is. Recording goes on.
  package mutating func takeRecord(ofShard shard: Int) -> ChangeRecord? {
    guard records.indices.contains(shard), var record = records[shard] else { return nil }
    record.endGroup()
    records[shard] = ChangeRecord()
    return record
  }

  /// Nothing is recorded any more.
  package mutating func stopRecord(ofShard shard: Int) {
    guard records.indices.contains(shard), records[shard] != nil else { return }
    records[shard] = nil
    listeners -= 1
  }

  /// Whether changes of that shard, a local index or none, are recorded.
  func isRecorded(_ shard: Int32) -> Bool {
    records.indices.contains(Int(shard)) && records[Int(shard)] != nil
  }

  /// Records a change of that shard, as a request of these words.
  mutating func record(_ shard: Int32, _ slot: Int, _ words: [[UInt8]]) {
    if isRecorded(shard) { records[Int(shard)]?.add(Change(slot: slot, words)) }
  }

  /// Records an event of a key, if its class is wanted.
  mutating func event(
    _ shard: Int32, _ eventClass: KeyspaceEvents, _ name: String, _ key: [UInt8]
  ) {
    let wanted = settings.keyspaceEvents
    if wanted.isDisjoint(with: eventClass) || !isRecorded(shard) { return }
    let place = Int(shard)
    if wanted.contains(.toKeyspace) {
      let channel = Array("__keyspace@0__:".utf8) + key
      records[place]?.add(KeyspaceEvent(channel: channel, message: Array(name.utf8)))
    }
    if wanted.contains(.toKeyevent) {
      let channel = Array("__keyevent@0__:\(name)".utf8)
      records[place]?.add(KeyspaceEvent(channel: channel, message: key))
    }
  }

  /// An entry goes because its time is up, or for want of memory. Within a command that knows the key, its event waits for its turn.
  mutating func recordRemoval(_ slot: Int, _ entry: EntryRef, evicted: Bool) {
    let shard = keyspace.owner(of: slot)
    let recorded = isRecorded(shard) ? shard : current >= 0 ? sessions[current].shard : -1
    guard isRecorded(recorded) else { return }
    let key = Self.bytes(of: keyspace.key(of: entry))
    record(recorded, slot, [Array("DEL".utf8), key])
    if evicted {
      event(recorded, .evicted, "evicted", key)
    } else if expiredKeys == nil {
      event(recorded, .expired, "expired", key)
    } else {
      expiredKeys?.insert(key)
    }
  }

  /// A typed call has written a key; the event's name, where there is one of its own beside `del` and `expire`.
  @inline(never)
  mutating func heardTyped(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, of shard: Int32, _ change: TypedChange
  ) {
    touch(slot, hash, key)
    guard isRecorded(shard) else { return }
    let key = Self.bytes(of: key)
    guard let entry = keyspace.find(slot, hash, key.rawBytes) else {
      event(shard, .generic, "del", key)
      return record(shard, slot, [Array("DEL".utf8), key])
    }
    let moment = entry.hasExpiry ? keyspace.expiry(of: entry) : nil
    let time = moment.map { Array("\($0)".utf8) }
    switch change {
    case .set(let isNew):
      if isNew { event(shard, .new, "new", key) }
      event(shard, .string, "set", key)
      var words = [Array("SET".utf8), key, bytes(of: entry)]
      if let time {
        event(shard, .generic, "expire", key)
        words += [Array("PXAT".utf8), time]
      }
      record(shard, slot, words)
    case .increment(let number, let isNew):
      if isNew { event(shard, .new, "new", key) }
      event(shard, .string, "incrby", key)
      record(shard, slot, [Array("INCRBY".utf8), key, Array("\(number)".utf8)])
    case .expire:
      event(shard, .generic, "expire", key)
      record(shard, slot, [Array("PEXPIREAT".utf8), key, time ?? [48]])
    case .delete: break
    }
  }
}

/// What a typed call has done to a key that is there afterwards.
enum TypedChange {
  case set(isNew: Bool)
  case increment(Int64, isNew: Bool)
  case expire, delete
}
