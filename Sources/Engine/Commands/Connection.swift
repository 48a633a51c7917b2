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
    if index != 0 {
      return failing(
        presentation == .standalone
          ? "ERR DB index is out of range" : "ERR SELECT is not allowed in cluster mode")
    }
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
    if sessions[current].mode.contains(.monitor) { endMonitor(current) }
    if sessions[current].tracking != nil { endTracking(current) }
    sessions[current].mode.remove([.asking, .readonly, .monitor, .quiet, .noTouch])
    if !settings.requirePass.isEmpty { sessions[current].mode.insert(.unauthenticated) }
    touchClock = accessClock
    reply.setSilent(false)
    discard(current)
    reply.simple("RESET")
    return .none
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
    let mode = sessions[index].mode
    let tracking = sessions[index].tracking
    let marks: [(Bool, String)] = [
      (mode.contains(.monitor), "O"), (isInMulti, "x"),
      (isWaiting(ClientID(index: index)), "b"), (tracking != nil, "t"),
      (tracking?.options.contains(.brokenRedirect) ?? false, "R"),
      (tracking?.options.contains(.broadcast) ?? false, "B"),
      (sessions[index].transaction?.isConflicted ?? false, "d"),
      (mode.contains(.closing), sessions[index].wish.contains(.broken) ? "A" : "c"),
      (mode.contains(.readonly), "r"), (sessions[index].isSpared, "e"),
      (mode.contains(.noTouch), "T"),
    ]
    let flags = marks.map { $0.0 ? $0.1 : "" }.joined()
    let queued = isInMulti ? sessions[index].transaction?.queuedCount ?? 0 : -1
    line += " flags=\(flags.isEmpty ? "N" : flags) db=0 sub=0 psub=0 ssub=0 multi=\(queued)"
    line += " qbuf=\(sessions[index].query.byteCount) qbuf-free=0 argv-mem=0"
    line += " multi-mem=\(sessions[index].transaction?.byteCount ?? 0)"
    line += " rbs=0 rbp=0 obl=\(waiting) oll=0 omem=\(waiting) tot-mem=\(512 + waiting)"
    line +=
      " events=r cmd=\(command ?? "NULL") user=default redir=\(tracking.map { Int64(truncatingIfNeeded: $0.redirect) } ?? -1)"
    line += " resp=\(sessions[index].version.rawValue)"
    line += " lib-name=\(sessions[index].libraryName ?? "")"
    line += " lib-ver=\(sessions[index].libraryVersion ?? "")"
    return line
  }

  /// Whether the client speaks to a port that presents one server, which is no cluster.
  private var isOutsideCluster: Bool { presentation == .standalone }

  /// READONLY: reads may be served by a replica.
  mutating func readonly(_ call: Call) -> Effect {
    if isOutsideCluster { return failing("ERR This instance has cluster support disabled") }
    sessions[current].mode.insert(.readonly)
    reply.ok()
    return .none
  }

  /// READWRITE: takes READONLY back.
  mutating func readwrite(_ call: Call) -> Effect {
    if isOutsideCluster { return failing("ERR This instance has cluster support disabled") }
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
