internal import RESP
internal import Sharding
internal import Storage

// DEBUG: what those who test servers and clients need. What would crash, leak or change the process behind its own back is not there; what
// steers something that Tern does not have is accepted where a test could not tell.

extension Engine {
  /// Whether the client whose requests are run may use DEBUG. Without a socket it is in this process.
  var mayDebug: Bool {
    switch settings.enableDebugCommand {
    case .yes: true
    case .local:
      sessions[current].address.isEmpty || sessions[current].address.hasPrefix("127.0.0.1:")
        || sessions[current].address.hasPrefix("[::1]:")
        || sessions[current].address.hasPrefix("::1:")
    case .no: false
    }
  }

  /// Answers that this client may not use DEBUG.
  mutating func refuseDebug() {
    fail(
      "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
    )
  }

  /// DEBUG subcommand [argument …].
  mutating func debug(_ call: Call) -> Effect {
    guard mayDebug else {
      refuseDebug()
      return .none
    }
    // The number of words is part of a subcommand's name here, as in Redis.
    switch (Self.text(of: call[1]).uppercased(), call.count) {
    case ("HELP", 2): return debugHelp(call)
    case ("SLEEP", 3):
      sleep(seconds: Self.leadingNumber(call[2]))
    case ("OBJECT", 3): return debugObject(call)
    case ("SDSLEN", 3): return debugLengths(call)
    case ("HTSTATS", 3): return debugTables(call)
    case ("HTSTATS-KEY", 3):
      return refusingType(
        call, "ERR The value stored at the specified key is not represented using an hash table")
    case ("LISTPACK", 3): return refusingType(call, "ERR Not a listpack encoded object.")
    case ("QUICKLIST", 3), ("QUICKLIST", 4):
      return refusingType(call, "ERR Not a quicklist encoded object.")
    case ("SET-ACTIVE-EXPIRE", 3):
      park(for: .sweepExpired(Self.leadingNumber(call[2]) != 0))
      return .none
    case ("DIGEST", 2):
      replyStatus(digestOfShard().text)
      return .none
    case ("DIGEST-VALUE", _): return debugDigestValue(call)
    case ("ERROR", 3):
      let text = Self.bytes(of: call[2]).map { $0 == 10 || $0 == 13 ? 32 : $0 }
      reply.append(bytes: [45] + text + [13, 10])
      return .none
    case ("LOG", 3):
      // Limit: what the server has not taken yet is no more than this many lines.
      if logLines.count < 256 { logLines.append("DEBUG LOG: \(Self.text(of: call[2]))") }
    case ("PROTOCOL", 3): return debugProtocol(call)
    case ("POPULATE", 3...5): return debugPopulate(call)
    case ("CHANGE-REPL-ID", 2): replicationIDChanges += 1
    case ("REPLYBUFFER", 4):
      switch Word(call[2]) {
      case "PEAK-RESET-TIME":
        let isWord = call[3].equals(ignoringCase: "NEVER") || call[3].equals(ignoringCase: "RESET")
        if !isWord, call[3].integer() == nil { return notAnInteger() }
      case "RESIZING": break
      default: return unknownDebug(call)
      }
    case ("QUICKLIST-PACKED-THRESHOLD", 3):
      guard let size = SettingKind.byteCount(Self.text(of: call[2])), size <= 4 << 30 else {
        return failing("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
      }
    case ("SET-DISABLE-DENY-SCRIPTS", 3), ("AOF-FLUSH-SLEEP", 3): break
    case ("DROP-CLUSTER-PACKET-FILTER", 3):
      if call[2].integer() == nil { return notAnInteger() }
    case ("CLIENT-EVICTION", 2):
      if settings.maxMemoryClients == 0 {
        return failing("ERR maxmemory-clients is disabled.")
      }
      reply.verbatim(text: clientSizes())
      return .none
    case ("CHANGES", 3): return debugChanges(call)
    case ("STRUCTSIZE", 2):
      reply.bulk(text: "bits:64 session:\(MemoryLayout<Session>.stride) bucket:64 entry:8 ")
      return .none
    case ("RELOAD", _):
      for i in 2..<max(2, call.count) {
        switch Word(call[i]) {
        case "MERGE", "NOFLUSH", "NOSAVE": break
        default:
          return failing("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
        }
      }
      return failing("ERR DEBUG RELOAD is not possible: keys are kept in memory only")
    case ("LOADAOF", 2):
      return failing("ERR DEBUG LOADAOF is not possible: keys are kept in memory only")
    default: return unknownDebug(call)
    }
    reply.ok()
    return .none
  }

  /// How many clients of the shard take how much, in classes that double from 32 KiB on.
  private func clientSizes() -> String {
    var classes = [(count: Int, byteCount: Int)](repeating: (0, 0), count: 19)
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && sessions[index].shard == sessions[current].shard {
      let byteCount = byteCount(ofClient: index)
      let bits = Int.bitWidth - byteCount.leadingZeroBitCount
      let place = min(max(bits - 15, 0), classes.count - 1)
      classes[place].count += 1
      classes[place].byteCount += byteCount
    }
    func padded(_ number: Int) -> String {
      let text = "\(number)"
      return String(repeating: " ", count: max(0, 10 - text.utf8.count)) + text
    }
    return classes.enumerated().map { place, found in
      let begin = padded(place == 0 ? 0 : 1 << (place + 14))
      let end =
        place == classes.count - 1
        ? "+            : " : " - \(padded(1 << (place + 15) - 1)): "
      return "bucket \(begin)\(end)tot-mem: \(padded(found.byteCount)), clients: \(found.count)\n"
    }.joined()
  }

  /// Answers `+text`.
  mutating func replyStatus(_ text: String) {
    reply.append(bytes: Array("+\(text)\r\n".utf8))
  }

  private mutating func unknownDebug(_ call: Call) -> Effect {
    failing(
      bytes: Array("ERR unknown subcommand or wrong number of arguments for '".utf8)
        + Self.shown(call[1], 128) + Array("'. Try DEBUG HELP.".utf8))
  }

  /// The live entry of the key behind the subcommand; nil if an error has been answered.
  private mutating func debugged(_ call: Call) -> (slot: Int, entry: EntryRef)? {
    let slot = HashSlot.of(call[2]).index
    guard keyspace.owner(of: slot) == sessions[current].shard,
      let entry = live(slot, KeyHash(call[2], seed: hashSeed), call[2])
    else {
      fail("ERR no such key")
      return nil
    }
    return (slot, entry)
  }

  /// What looks into a form that this value does not have.
  private mutating func refusingType(_ call: Call, _ text: StaticString) -> Effect {
    guard debugged(call) != nil else { return .none }
    return failing(text)
  }

  /// The worker does nothing for so long: it looks at the clock. A clock that stands still ends it.
  private mutating func sleep(seconds: Double) {
    let begin = clock.nanoseconds()
    let wanted = UInt64(max(0, min(seconds, 1e9)) * 1e9)
    var last = begin
    var unmoved = 0
    while last &- begin < wanted, unmoved < 100_000 {
      let now = clock.nanoseconds()
      unmoved = now == last ? unmoved + 1 : 0
      last = now
    }
  }

  /// The decimal number at the beginning of a text, as C reads it; 0 if there is none.
  private static func leadingNumber(_ text: RawSpan) -> Double {
    var characters = ""
    for i in 0..<min(text.byteCount, 32) {
      let character = Character(Unicode.Scalar(text.byte(at: i)))
      guard "0123456789.-".contains(character) else { break }
      characters.append(character)
    }
    return Double(characters) ?? 0
  }

  /// DEBUG OBJECT key.
  private mutating func debugObject(_ call: Call) -> Effect {
    guard let (_, entry) = debugged(call) else { return .none }
    let encoding = keyspace.encoding(of: entry)
    let isShared = encoding == .integer && (0..<10_000).contains(keyspace.integer(of: entry))
    let name =
      switch encoding {
      case .integer: "int"
      case .embedded: "embstr"
      case .raw: "raw"
      }
    // The payload of DUMP without its type and its footer.
    let length = StringPayload.payload(of: bytes(of: entry).rawBytes, &compressor).count
    let then = keyspace.accessClock(of: entry)
    let idle = accessClock >= then ? accessClock - then : 0
    replyStatus(
      "Value at:0x\(String(entry.address, radix: 16)) refcount:\(isShared ? Int(Int32.max) : 1) encoding:\(name) serializedlength:\(length - 1 - StringPayload.footerByteCount) lru:\(then) lru_seconds_idle:\(idle)"
    )
    return .none
  }

  /// DEBUG SDSLEN key: lengths of key and value. Tern leaves no room behind either; what both take together is told for the value.
  private mutating func debugLengths(_ call: Call) -> Effect {
    guard let (_, entry) = debugged(call) else { return .none }
    if keyspace.encoding(of: entry) == .integer {
      return failing("ERR Not an sds encoded string.")
    }
    let value = keyspace.bytes(of: entry).byteCount
    let key = call[2].byteCount
    replyStatus(
      "key_sds_len:\(key), key_sds_avail:0, key_zmalloc: 0, val_sds_len:\(value), val_sds_avail:0, val_zmalloc: \(max(16, 8 + key + value))"
    )
    return .none
  }

  /// DEBUG HTSTATS 0: how many keys there are in how many tables.
  private mutating func debugTables(_ call: Call) -> Effect {
    guard let index = call[2].integer() else { return notAnInteger() }
    if index != 0 { return failing("ERR Out of range database") }
    let shard = sessions[current].shard
    var (slots, filled, longest) = (0, 0, 0)
    for slot in 0..<HashSlot.count where keyspace.owner(of: slot) == shard {
      slots += 1
      let count = keyspace.keyCount(of: slot)
      if count > 0 { filled += 1 }
      longest = max(longest, count)
    }
    let keys = keyspace.keyCount(ofShard: shard)
    var text = "[Dictionary HT]\nSlot tables of this shard:\n"
    text += " slots: \(slots)\n number of elements: \(keys)\n different slots: \(filled)\n"
    text += " max keys in a slot: \(longest)\n"
    text += " avg keys in a slot: \(Self.decimal(Double(keys) / Double(max(1, filled)), 2))\n"
    text += "[Expires HT]\nExpiries lie in the entries:\n"
    text += " number of elements: \(keyspace.expiringCount(ofShard: shard))\n"
    reply.verbatim(text: text)
    return .none
  }

  /// DEBUG POPULATE count [prefix [size]]: makes prefix:0 … prefix:count − 1 where they are absent. Only keys of this shard's slots.
  private mutating func debugPopulate(_ call: Call) -> Effect {
    guard let count = call[2].integer(), count >= 0 else {
      return failing("ERR value is out of range, must be positive")
    }
    var size = 0
    if call.count == 5 {
      guard let number = call[4].integer(), number >= 0, number <= settings.protoMaxBulkLength
      else {
        return failing("ERR value is out of range, must be positive")
      }
      size = Int(number)
    }
    let prefix = call.count > 3 ? Self.bytes(of: call[3]) : Array("key".utf8)
    for number in 0..<Int(count) {
      let key = prefix + Array(":\(number)".utf8)
      let slot = HashSlot.of(key.rawBytes).index
      let hash = KeyHash(key.rawBytes, seed: hashSeed)
      guard keyspace.owner(of: slot) == sessions[current].shard,
        live(slot, hash, key.rawBytes) == nil
      else { continue }
      var value = Array("value:\(number)".utf8)
      if size > 0 {
        value = Array(value.prefix(size)) + Array(repeating: 0, count: max(0, size - value.count))
      }
      do throws(OutOfMemory) {
        try keyspace.setBytes(
          slot, hash, key.rawBytes, value.rawBytes, over: nil, expiry: .clear, clock: accessClock)
      } catch { return outOfMemory() }
      if listeners != 0 {
        touch(slot, hash, key.rawBytes)
        record(sessions[current].shard, slot, [Array("SET".utf8), key, value])
        event(sessions[current].shard, .new, "new", key)
      }
    }
    reply.ok()
    return .none
  }

  /// DEBUG PROTOCOL type: a reply of that type.
  private mutating func debugProtocol(_ call: Call) -> Effect {
    let version = reply.version
    switch Word(call[2]) {
    case "STRING": reply.bulk("Hello World")
    case "INTEGER": reply.integer(12345)
    case "DOUBLE": reply.double(3.141, version)
    case "NULL": replyNull()
    case "ARRAY":
      reply.arrayHeader(3)
      for i in 0..<3 { reply.integer(Int64(i)) }
    case "SET":
      reply.setHeader(3, version)
      for i in 0..<3 { reply.integer(Int64(i)) }
    case "MAP":
      reply.mapHeader(3, version)
      for i in 0..<3 {
        reply.integer(Int64(i))
        reply.boolean(i == 1, version)
      }
    case "ATTRIB":
      if version == .three {
        reply.attributeHeader(1, version)
        reply.bulk("key-popularity")
        reply.arrayHeader(2)
        reply.bulk("key:123")
        reply.integer(90)
      }
      reply.bulk("Some real reply following the attribute")
    case "PUSH":
      if version == .two { return failing("ERR RESP2 is not supported by this command") }
      reply.pushHeader(2, version)
      reply.bulk("server-cpu-usage")
      reply.integer(42)
      reply.bulk("Some real reply following the push reply")
    case "VERBATIM": reply.verbatim(text: "This is a verbatim\nstring")
    case "BIGNUM":
      reply.bigNumber(Array("1234567999999999999999999999999999999".utf8).rawBytes, version)
    case "TRUE": reply.boolean(true, version)
    case "FALSE": reply.boolean(false, version)
    default:
      return failing(
        "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
      )
    }
    return .none
  }
}
