internal import RESP
internal import Storage

// The commands about the connection itself.

extension Engine {
  /// PING [message].
  mutating func ping(_ call: Call) -> Effect {
    if call.count > 2 { return failing("ERR wrong number of arguments for 'ping' command") }
    if call.count == 2 { reply.bulk(call[1]) } else { reply.simple("PONG") }
    return .none
  }

  /// ECHO message.
  mutating func echo(_ call: Call) -> Effect {
    reply.bulk(call[1])
    return .none
  }

  /// SELECT 0: a cluster has one database.
  mutating func select(_ call: Call) -> Effect {
    guard let index = call[1].integer() else { return notAnInteger() }
    guard Int32(exactly: index) != nil else {
      return failing(
        "ERR value is out of range, value must between -2147483648 and 2147483647")
    }
    if index != 0 { return failing("ERR SELECT is not allowed in cluster mode") }
    reply.ok()
    return .none
  }

  /// QUIT.
  mutating func quit(_ call: Call) -> Effect {
    reply.ok()
    close(current)
    return .none
  }

  /// RESET: the session as it was when it was new.
  mutating func reset(_ call: Call) -> Effect {
    sessions[current].version = .two
    reply.version = .two
    sessions[current].name = nil
    sessions[current].mode.remove([.asking, .readonly])
    discard(current)
    reply.simple("RESET")
    return .none
  }

  /// HELLO [version [AUTH user password] [SETNAME name]].
  mutating func hello(_ call: Call) -> Effect {
    var version = sessions[current].version
    if call.count > 1 {
      guard let number = call[1].integer() else {
        return failing("ERR Protocol version is not an integer or out of range")
      }
      switch number {
      case 2: version = .two
      case 3: version = .three
      default: return failing("NOPROTO unsupported protocol version")
      }
    }
    var i = 2
    while i < call.count {
      let left = call.count - 1 - i
      switch Word(call[i]) {
      case "AUTH" where left >= 2:
        guard Self.text(of: call[i + 1]) == "default" else {
          return failing("WRONGPASS invalid username-password pair or user is disabled.")
        }
        i += 3
      case "SETNAME" where left >= 1:
        guard let valid = Self.validName(call[i + 1]) else {
          return failing(
            "ERR Client names cannot contain spaces, newlines or special characters.")
        }
        // In force at once, though an error may follow: so it is in Redis 7.0.
        sessions[current].name = valid.isEmpty ? nil : valid
        i += 2
      default:
        return failing(
          bytes: Array("ERR Syntax error in HELLO option '".utf8) + Self.shown(call[i]) + [39])
      }
    }
    sessions[current].version = version
    reply.version = version
    reply.mapHeader(7, version)
    reply.bulk("server")
    reply.bulk("redis")
    reply.bulk("version")
    reply.bulk(text: TernVersion.redis)
    reply.bulk("proto")
    reply.integer(Int64(version.rawValue))
    reply.bulk("id")
    reply.integer(Int64(sessions[current].id))
    reply.bulk("mode")
    reply.bulk("cluster")
    reply.bulk("role")
    reply.bulk("master")
    reply.bulk("modules")
    reply.arrayHeader(0)
    return .none
  }

  /// AUTH [user] password, as a server without passwords answers it: its one user may come with any.
  mutating func auth(_ call: Call) -> Effect {
    switch call.count {
    case 2:
      return failing(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
      )
    case 3 where Self.text(of: call[1]) == "default":
      reply.ok()
      return .none
    case 3:
      return failing("WRONGPASS invalid username-password pair or user is disabled.")
    default: return syntaxError()
    }
  }

  /// A name for a client: printable ASCII without spaces; nil if it is none.
  static func validName(_ bytes: RawSpan) -> String? {
    for i in 0..<bytes.byteCount {
      let byte = bytes.byte(at: i)
      if byte < 33 || byte > 126 { return nil }
    }
    return text(of: bytes)
  }

  /// CLIENT ID.
  mutating func clientID(_ call: Call) -> Effect {
    reply.integer(Int64(sessions[current].id))
    return .none
  }

  /// CLIENT GETNAME.
  mutating func clientGetName(_ call: Call) -> Effect {
    if let name = sessions[current].name {
      reply.bulk(text: name)
    } else {
      replyNull()
    }
    return .none
  }

  /// CLIENT SETNAME name; an empty one takes the name away.
  mutating func clientSetName(_ call: Call) -> Effect {
    guard let name = Self.validName(call[2]) else {
      return failing("ERR Client names cannot contain spaces, newlines or special characters.")
    }
    sessions[current].name = name.isEmpty ? nil : name
    reply.ok()
    return .none
  }

  /// CLIENT SETINFO LIB-NAME|LIB-VER text.
  mutating func clientSetInfo(_ call: Call) -> Effect {
    let isName = call[2].equals(ignoringCase: "LIB-NAME")
    guard isName || call[2].equals(ignoringCase: "LIB-VER") else {
      return failing(bytes: Array("ERR Unrecognized option '".utf8) + Self.shown(call[2]) + [39])
    }
    guard let text = Self.validName(call[3]) else {
      return failing(
        text:
          "ERR \(isName ? "lib-name" : "lib-ver") cannot contain spaces, newlines or special characters."
      )
    }
    if isName {
      sessions[current].libraryName = text.isEmpty ? nil : text
    } else {
      sessions[current].libraryVersion = text.isEmpty ? nil : text
    }
    reply.ok()
    return .none
  }

  /// CLIENT INFO.
  mutating func clientInfo(_ call: Call) -> Effect {
    // The command that runs is the last one.
    sessions[current].lastCommand = isInTransaction ? .exec : call.id
    reply.verbatim(text: clientLine(current) + "\n")
    return .none
  }

  /// What CLIENT INFO and CLIENT LIST say of a session, without the line's end.
  func clientLine(_ index: Int32) -> String {
    let age = max(0, (now - sessions[index].connectedAt) / 1000)
    let idle = max(0, (now - sessions[index].lastActiveAt) / 1000)
    let waiting = sessions[index].output.byteCount
    let command = sessions[index].lastCommand.map { CommandTable.all[Int($0.rawValue)].name }
    var line = "id=\(sessions[index].id) addr=\(sessions[index].address)"
    line += " laddr=\(sessions[index].localAddress) fd=\(sessions[index].fileDescriptor)"
    line += " name=\(sessions[index].name ?? "") age=\(age) idle=\(idle)"
    let isInMulti = sessions[index].mode.contains(.multi)
    let isConflicted = sessions[index].transaction?.isConflicted ?? false
    let isReadonly = sessions[index].mode.contains(.readonly)
    let flags = (isInMulti ? "x" : "") + (isConflicted ? "d" : "") + (isReadonly ? "r" : "")
    let queued = isInMulti ? sessions[index].transaction?.queuedCount ?? 0 : -1
    line += " flags=\(flags.isEmpty ? "N" : flags) db=0 sub=0 psub=0 ssub=0 multi=\(queued)"
    line += " qbuf=\(sessions[index].query.byteCount) qbuf-free=0 argv-mem=0"
    line += " multi-mem=\(sessions[index].transaction?.byteCount ?? 0)"
    line += " rbs=0 rbp=0 obl=\(waiting) oll=0 omem=\(waiting) tot-mem=\(512 + waiting)"
    line += " events=r cmd=\(command ?? "NULL") user=default redir=-1"
    line += " resp=\(sessions[index].version.rawValue)"
    line += " lib-name=\(sessions[index].libraryName ?? "")"
    line += " lib-ver=\(sessions[index].libraryVersion ?? "")"
    return line
  }

  /// CLIENT HELP.
  mutating func clientHelp(_ call: Call) -> Effect {
    help(
      "CLIENT",
      [
        "GETNAME", "    Return the name of the current connection.",
        "ID", "    Return the ID of the current connection.",
        "INFO", "    Return information about the current client connection.",
        "SETNAME <name>", "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>", "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.", "    * LIB-VER: the client lib version.",
      ])
  }

  /// READONLY: reads may be served by a replica.
  mutating func readonly(_ call: Call) -> Effect {
    sessions[current].mode.insert(.readonly)
    reply.ok()
    return .none
  }

  /// READWRITE: takes READONLY back.
  mutating func readwrite(_ call: Call) -> Effect {
    sessions[current].mode.remove(.readonly)
    reply.ok()
    return .none
  }

  /// ASKING: the next command may touch a slot that is being imported.
  mutating func asking(_ call: Call) -> Effect {
    sessions[current].mode.insert(.asking)
    reply.ok()
    return .none
  }
}

/// The versions that Tern tells.
public enum TernVersion {
  /// Our own.
  public static let tern = "0.1.0"
  /// The Redis whose behaviour clients may expect (DESIGN §4).
  public static let redis = "7.2.4"
}
