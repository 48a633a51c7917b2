internal import RESP
internal import Storage

// COMMAND: what this server knows of its commands, in the form of Redis 7.

extension Engine {
  /// COMMAND.
  mutating func command(_ call: Call) -> Effect {
    let all = lookup.available.filter { $0.container == nil }
    reply.arrayHeader(all.count)
    for command in all { describe(command) }
    return .none
  }

  /// COMMAND COUNT.
  mutating func commandCount(_ call: Call) -> Effect {
    reply.integer(Int64(lookup.available.count { $0.container == nil }))
    return .none
  }

  /// COMMAND INFO [name …].
  mutating func commandInfo(_ call: Call) -> Effect {
    if call.count == 2 { return command(call) }
    reply.arrayHeader(call.count - 2)
    for i in 2..<call.count {
      if let found = lookup.command(fullName: call[i]) {
        describe(found)
      } else {
        replyNull()
      }
    }
    return .none
  }

  private mutating func describe(_ command: Command) {
    reply.arrayHeader(10)
    reply.bulk(text: command.name)
    reply.integer(Int64(command.arity))
    simpleSet(command.flags.list)
    reply.integer(Int64(command.keys.first))
    reply.integer(Int64(command.keys.last))
    reply.integer(Int64(command.keys.step))
    simpleSet(command.categories.list.map { "@" + $0 })
    bulks(command.tips)
    reply.setHeader(command.specifications.count, reply.version)
    for keys in command.specifications { describe(keys) }
    let subcommands = CommandTable.all.filter { $0.container == command.id }
    reply.setHeader(subcommands.count, reply.version)
    for subcommand in subcommands { describe(subcommand) }
  }

  /// One key specification: where the search begins and how the keys are found.
  private mutating func describe(_ keys: KeySpecification) {
    let version = reply.version
    reply.mapHeader(keys.note == nil ? 3 : 4, version)
    if let note = keys.note {
      reply.bulk("notes")
      reply.bulk(text: note)
    }
    reply.bulk("flags")
    simpleSet(keys.use.list)
    if keys.isUnknown {
      describeUnknown("begin_search")
      describeUnknown("find_keys")
      return
    }
    reply.bulk("begin_search")
    reply.mapHeader(2, version)
    reply.bulk("type")
    reply.bulk(keys.keyword == nil ? "index" : "keyword")
    reply.bulk("spec")
    reply.mapHeader(keys.keyword == nil ? 1 : 2, version)
    if let keyword = keys.keyword {
      reply.bulk("keyword")
      reply.bulk(text: keyword)
      reply.bulk("startfrom")
    } else {
      reply.bulk("index")
    }
    reply.integer(Int64(keys.first))
    reply.bulk("find_keys")
    reply.mapHeader(2, version)
    reply.bulk("type")
    reply.bulk("range")
    reply.bulk("spec")
    reply.mapHeader(3, version)
    reply.bulk("lastkey")
    // Relative to the first key, unless from the end.
    reply.integer(Int64(keys.last < 0 ? keys.last : keys.last - keys.first))
    reply.bulk("keystep")
    reply.integer(Int64(keys.step))
    reply.bulk("limit")
    reply.integer(0)
  }

  private mutating func describeUnknown(_ part: StaticString) {
    reply.bulk(part)
    reply.mapHeader(2, reply.version)
    reply.bulk("type")
    reply.bulk("unknown")
    reply.bulk("spec")
    reply.mapHeader(0, reply.version)
  }

  /// A set of simple strings.
  mutating func simpleSet(_ texts: [String]) {
    reply.setHeader(texts.count, reply.version)
    for text in texts { reply.append(bytes: Array("+\(text)\r\n".utf8)) }
  }

  private mutating func bulks(_ texts: [String]) {
    reply.setHeader(texts.count, reply.version)
    for text in texts { reply.bulk(text: text) }
  }

  /// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern].
  mutating func commandList(_ call: Call) -> Effect {
    var names = lookup.available
    if call.count == 5, call[2].equals(ignoringCase: "FILTERBY") {
      let wanted = Self.text(of: call[4]).lowercased()
      switch Word(call[3]) {
      case "MODULE": names = []
      case "ACLCAT": names = names.filter { $0.categories.list.contains(wanted) }
      case "PATTERN":
        names = []
        for command in lookup.available {
          let name = Array(command.name.utf8)
          if Glob.matches(call[4], name.rawBytes, ignoringCase: true) { names.append(command) }
        }
      default: return syntaxError()
      }
    } else if call.count != 2 {
      return syntaxError()
    }
    reply.arrayHeader(names.count)
    for command in names { reply.bulk(text: command.name) }
    return .none
  }

  /// COMMAND GETKEYS command [argument …].
  mutating func commandGetKeys(_ call: Call) -> Effect {
    guard let keys = keys(in: call) else { return .none }
    reply.arrayHeader(keys.places.count)
    for i in keys.places { reply.bulk(call[i + 2]) }
    return .none
  }

  /// COMMAND GETKEYSANDFLAGS command [argument …]: each key with what is done to it.
  mutating func commandGetKeysAndFlags(_ call: Call) -> Effect {
    guard let keys = keys(in: call) else { return .none }
    reply.arrayHeader(keys.places.count)
    for i in keys.places {
      reply.arrayHeader(2)
      reply.bulk(call[i + 2])
      simpleSet(Self.use(of: i, in: call, keys.id).list)
    }
    return .none
  }

  /// Where the keys of the command behind `call`'s first two words are, counted from its name; nil if an error has been answered.
  private mutating func keys(in call: Call) -> (id: CommandID, places: [Int])? {
    guard var id = lookup.command(call[2]) else {
      fail("ERR Invalid command specified")
      return nil
    }
    if hot[Int(id.rawValue)].attention.contains(.container), call.count > 3 {
      guard let subcommand = lookup.command(call[3], of: Int16(id.rawValue)) else {
        fail("ERR Invalid command specified")
        return nil
      }
      id = subcommand
    }
    let known = hot[Int(id.rawValue)]
    if known.firstKey == 0, id != .migrate {
      fail("ERR The command has no key arguments")
      return nil
    }
    let count = call.count - 2
    let arity = Int(known.arity)
    guard arity >= 0 ? count == arity : count >= -arity else {
      fail("ERR Invalid number of arguments specified for command")
      return nil
    }
    if id == .migrate {
      let places = Array(Self.migrateKeys(of: call.arguments.dropFirst(2)))
      if places.isEmpty {
        fail("ERR Invalid arguments specified for command")
        return nil
      }
      return (id, places)
    }
    if known.lastKey == HotCommand.storedKey {
      let destination = Self.sortDestination(call.arguments.dropFirst(2))
      return (id, [Int(known.firstKey)] + (destination == 0 ? [] : [destination]))
    }
    let last = known.lastKey < 0 ? count + Int(known.lastKey) : Int(known.lastKey)
    return (id, Array(stride(from: Int(known.firstKey), through: last, by: Int(known.step))))
  }

  /// What a command does to the key at a place. Where that depends on its options they are looked at.
  private static func use(of place: Int, in call: Call, _ id: CommandID) -> KeyUse {
    switch id {
    case .set:
      for i in min(5, call.count)..<call.count where call[i].equals(ignoringCase: "GET") {
        return [.readWrite, .access, .update]
      }
      return [.overwrite, .update]
    case .bitfield:
      return isReading(call) ? [.readOnly, .access] : [.readWrite, .access, .update]
    case .sort where place != 1: return [.overwrite, .update]
    default:
      let all = CommandTable.all[Int(id.rawValue)].specifications
      let own = all.last { Int($0.first) <= place && !$0.isUnknown && $0.keyword == nil }
      return own?.use ?? []
    }
  }

  /// Whether BITFIELD has no subcommand that writes.
  private static func isReading(_ call: Call) -> Bool {
    var i = 4
    while i < call.count {
      let left = call.count - i - 1
      if call[i].equals(ignoringCase: "GET"), left >= 2 {
        i += 3
      } else if call[i].equals(ignoringCase: "OVERFLOW"), left >= 1 {
        i += 2
      } else {
        return false
      }
    }
    return true
  }

  /// COMMAND HELP.
  mutating func commandHelp(_ call: Call) -> Effect {
    help(
      "COMMAND",
      [
        "(no subcommand)", "    Return details about all Redis commands.",
        "COUNT", "    Return the total number of commands in this Redis server.",
        "LIST", "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]", "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>", "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
      ])
  }
}
