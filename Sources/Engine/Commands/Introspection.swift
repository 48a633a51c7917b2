internal import RESP
internal import Storage

// COMMAND: what this server knows of its commands, in the form of Redis 7.

extension Engine {
  /// COMMAND.
  mutating func command(_ call: Call) -> Effect {
    let all = CommandTable.all.filter { $0.container == nil }
    reply.arrayHeader(all.count)
    for command in all { describe(command) }
    return .none
  }

  /// COMMAND COUNT.
  mutating func commandCount(_ call: Call) -> Effect {
    reply.integer(Int64(CommandTable.all.count { $0.container == nil }))
    return .none
  }

  /// COMMAND INFO [name …].
  mutating func commandInfo(_ call: Call) -> Effect {
    if call.count == 2 { return command(call) }
    reply.arrayHeader(call.count - 2)
    for i in 2..<call.count {
      if let found = find(call[i]) {
        describe(found)
      } else {
        replyNull()
      }
    }
    return .none
  }

  /// A command by its full name, `container|subcommand` included.
  private func find(_ name: RawSpan) -> Command? {
    let text = Self.text(of: name).lowercased()
    return CommandTable.all.first { $0.name == text }
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
    reply.bulk("index")
    reply.bulk("spec")
    reply.mapHeader(1, version)
    reply.bulk("index")
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

  private mutating func simpleSet(_ texts: [String]) {
    reply.setHeader(texts.count, reply.version)
    for text in texts { reply.append(bytes: Array("+\(text)\r\n".utf8)) }
  }

  private mutating func bulks(_ texts: [String]) {
    reply.setHeader(texts.count, reply.version)
    for text in texts { reply.bulk(text: text) }
  }

  /// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern].
  mutating func commandList(_ call: Call) -> Effect {
    var names = CommandTable.all
    if call.count == 5, call[2].equals(ignoringCase: "FILTERBY") {
      let wanted = Self.text(of: call[4]).lowercased()
      switch Word(call[3]) {
      case "MODULE": names = []
      case "ACLCAT": names = names.filter { $0.categories.list.contains(wanted) }
      case "PATTERN":
        names = []
        for command in CommandTable.all {
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
    guard var id = lookup.command(call[2]) else {
      return failing("ERR Invalid command specified")
    }
    if hot[Int(id.rawValue)].attention.contains(.container), call.count > 3 {
      guard let subcommand = lookup.command(call[3], of: Int16(id.rawValue)) else {
        return failing("ERR Invalid command specified")
      }
      id = subcommand
    }
    let known = hot[Int(id.rawValue)]
    if known.firstKey == 0 { return failing("ERR The command has no key arguments") }
    let count = call.count - 2
    let arity = Int(known.arity)
    guard arity >= 0 ? count == arity : count >= -arity else {
      return failing("ERR Invalid number of arguments specified for command")
    }
    var keys: [Int]
    if known.lastKey == HotCommand.storedKey {
      let destination = Self.sortDestination(call.arguments.dropFirst(2))
      keys = [Int(known.firstKey)] + (destination == 0 ? [] : [destination])
    } else {
      let last = known.lastKey < 0 ? count + Int(known.lastKey) : Int(known.lastKey)
      keys = Array(stride(from: Int(known.firstKey), through: last, by: Int(known.step)))
    }
    reply.arrayHeader(keys.count)
    for i in keys { reply.bulk(call[i + 2]) }
    return .none
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
        "GETKEYS <full-command>", "    Return the keys from a full Redis command.",
      ])
  }
}
