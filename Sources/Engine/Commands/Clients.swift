internal import RESP
internal import Storage

// CLIENT LIST, KILL, UNBLOCK, REPLY and their kin: an operator's look at the clients of the shard whose port was called (DESIGN §9).
// All of them live on this worker.

/// What a client is, for TYPE.
enum ClientType {
  case normal, replica, master, pubsub

  init?(_ name: RawSpan) {
    switch Word(name) {
    case "NORMAL": self = .normal
    case "SLAVE", "REPLICA": self = .replica
    case "PUBSUB": self = .pubsub
    case "MASTER": self = .master
    default: return nil
    }
  }
}

/// Which clients CLIENT KILL is to end: those of which everything that is given holds.
struct ClientFilter {
  var id: UInt64?
  var type: ClientType?
  var user: String?
  var address: String?
  var localAddress: String?
  /// Milliseconds that it must have been connected for.
  var age: Int64?
  var skipsCaller = true
}

extension Engine {
  /// The sessions of the caller's shard, the oldest first.
  private func neighbours() -> [Int32] {
    let shard = sessions[current].shard
    var found: [(number: UInt64, index: Int32)] = []
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && isShown(client: index, to: shard) {
      found.append((sessions[index].id, index))
    }
    return found.sorted { $0.number < $1.number }.map(\.index)
  }

  /// Whether a session is shown to a client of that shard: its own shard's; to one of the router all that have a connection here.
  private func isShown(client index: Int32, to shard: Int32) -> Bool {
    sessions[index].id > 0 && (sessions[index].shard == shard || shard == Session.endpoint)
  }

  /// The session of the caller's shard with that id.
  private func neighbour(_ number: Int64) -> Int32? {
    let shard = sessions[current].shard
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && isShown(client: index, to: shard)
      && Int64(sessions[index].id) == number
    {
      return index
    }
    return nil
  }

  /// What a client is: there are no replicas and no subscribers yet.
  private func type(ofClient index: Int32) -> ClientType { .normal }

  /// CLIENT LIST [TYPE type|ID id …].
  mutating func clientList(_ call: Call) -> Effect {
    var chosen: [Int32]
    if call.count == 2 {
      chosen = neighbours()
    } else if call.count == 4, call[2].equals(ignoringCase: "TYPE") {
      guard let type = ClientType(call[3]) else { return unknownClientType(call[3]) }
      chosen = neighbours().filter { self.type(ofClient: $0) == type }
    } else if call.count > 3, call[2].equals(ignoringCase: "ID") {
      chosen = []
      for i in 3..<call.count {
        guard let number = call[i].integer() else { return failing("ERR Invalid client ID") }
        if let index = neighbour(number) { chosen.append(index) }
      }
    } else {
      return syntaxError()
    }
    sessions[current].lastCommand = isInTransaction ? .exec : call.id
    var text = ""
    for index in chosen { text += clientLine(index) + "\n" }
    reply.verbatim(text: text)
    return .none
  }

  private mutating func unknownClientType(_ name: RawSpan) -> Effect {
    failing(bytes: Array("ERR Unknown client type '".utf8) + Self.shown(name) + [39])
  }

  /// CLIENT KILL address, or CLIENT KILL filter value [filter value …].
  mutating func clientKill(_ call: Call) -> Effect {
    if call.count == 3 {
      let filter = ClientFilter(address: Self.text(of: call[2]), skipsCaller: false)
      if kill(filter, atMost: 1) == 0 { return failing("ERR No such client") }
      reply.ok()
      return .none
    }
    var filter = ClientFilter()
    for i in stride(from: 2, to: call.count, by: 2) {
      if i + 1 == call.count { return syntaxError() }
      switch Word(call[i]) {
      case "ID":
        guard let number = call[i + 1].integer(), number > 0 else {
          return failing("ERR client-id should be greater than 0")
        }
        filter.id = UInt64(number)
      case "TYPE":
        guard let type = ClientType(call[i + 1]) else { return unknownClientType(call[i + 1]) }
        filter.type = type
      case "USER":
        guard Self.text(of: call[i + 1]) == Self.defaultUser else {
          return failing(bytes: Array("ERR No such user '".utf8) + Self.shown(call[i + 1]) + [39])
        }
        filter.user = Self.defaultUser
      case "ADDR": filter.address = Self.text(of: call[i + 1])
      case "LADDR": filter.localAddress = Self.text(of: call[i + 1])
      case "MAXAGE":
        guard let seconds = call[i + 1].integer() else {
          return failing("ERR maxage is not an integer or out of range")
        }
        if seconds <= 0 { return failing("ERR maxage should be greater than 0") }
        let (milliseconds, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        filter.age = overflow ? .max : milliseconds
      case "SKIPME":
        switch Word(call[i + 1]) {
        case "YES": filter.skipsCaller = true
        case "NO": filter.skipsCaller = false
        default: return syntaxError()
        }
      default: return syntaxError()
      }
    }
    reply.integer(Int64(kill(filter, atMost: .max)))
    return .none
  }

  /// Ends the clients of the caller's shard that a filter lets through; the caller itself after its reply. How many there were.
  private mutating func kill(_ filter: ClientFilter, atMost limit: Int) -> Int {
    var count = 0
    for index in neighbours() where count < limit && matches(index, filter) {
      if sessions[index].mode.contains(.closing) { continue }
      count += 1
      if index == current {
        close(index)
      } else {
        abandon(index)
        list(index)
      }
    }
    return count
  }

  private func matches(_ index: Int32, _ filter: ClientFilter) -> Bool {
    if filter.skipsCaller, index == current { return false }
    if let id = filter.id, sessions[index].id != id { return false }
    if let type = filter.type, self.type(ofClient: index) != type { return false }
    if let address = filter.address, sessions[index].address != address { return false }
    if let local = filter.localAddress, sessions[index].localAddress != local { return false }
    // Every client is the default user's, also one that has not said so yet, as in Redis.
    if let age = filter.age, now - sessions[index].connectedAt < age { return false }
    return true
  }

  /// CLIENT UNBLOCK id [TIMEOUT|ERROR]: ends a client's wait. One that is paused does not wait by its own will.
  mutating func clientUnblock(_ call: Call) -> Effect {
    if call.count > 4 { return subcommandSyntaxError(call) }
    var withError = false
    if call.count == 4 {
      switch Word(call[3]) {
      case "TIMEOUT": break
      case "ERROR": withError = true
      default: return failing("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
      }
    }
    guard let number = call[2].integer() else { return notAnInteger() }
    let isUnblocked =
      number > 0
      && unblock(UInt64(number), ofShard: sessions[current].shard, withError: withError)
    reply.integer(isUnblocked ? 1 : 0)
    return .none
  }

  /// CLIENT REPLY ON|OFF|SKIP.
  mutating func clientReply(_ call: Call) -> Effect {
    switch Word(call[2]) {
    case "ON":
      sessions[current].mode.remove(.quiet)
      reply.setSilent(false)
      reply.ok()
    case "OFF":
      sessions[current].mode.insert(.replyOff)
      reply.setSilent(true)
    case "SKIP":
      // Nothing of this command either.
      if !sessions[current].mode.contains(.replyOff) { sessions[current].mode.insert(.skipNext) }
    default: return syntaxError()
    }
    return .none
  }

  /// ON or OFF, as an argument; nil if it is neither.
  private static func isOn(_ word: RawSpan) -> Bool? {
    switch Word(word) {
    case "ON": true
    case "OFF": false
    default: nil
    }
  }

  /// CLIENT NO-EVICT ON|OFF.
  mutating func clientNoEvict(_ call: Call) -> Effect {
    guard let isOn = Self.isOn(call[2]) else { return syntaxError() }
    sessions[current].isSpared = isOn
    reply.ok()
    return .none
  }

  /// CLIENT NO-TOUCH ON|OFF: what this client reads looks as idle afterwards as before.
  mutating func clientNoTouch(_ call: Call) -> Effect {
    guard let isOn = Self.isOn(call[2]) else { return syntaxError() }
    if isOn {
      sessions[current].mode.insert(.noTouch)
    } else {
      sessions[current].mode.remove(.noTouch)
      touchClock = accessClock
    }
    reply.ok()
    return .none
  }

  /// Too many arguments for a subcommand, in the words of Redis.
  mutating func subcommandSyntaxError(_ call: Call) -> Effect {
    let container = lookup.shownName(of: call.id)
    return failing(
      bytes: Array("ERR unknown subcommand or wrong number of arguments for '".utf8)
        + Self.shown(call[1], 128) + Array("'. Try \(container) HELP.".utf8))
  }

  /// CLIENT HELP.
  mutating func clientHelp(_ call: Call) -> Effect {
    help(
      "CLIENT",
      [
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME", "    Return the name of the current connection.",
        "ID", "    Return the ID of the current connection.",
        "INFO", "    Return information about the current client connection.",
        "KILL <ip:port>", "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill the connection with that id.",
        "    * MAXAGE <seconds>",
        "      Kill connections that are at least so old.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "    * ID <client-id> [...]",
        "      Return the clients with these ids.",
        "UNPAUSE", "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>", "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>", "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.", "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]", "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO", "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)", "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Leave the access times of keys alone that the current connection reads.",
      ])
  }
}
