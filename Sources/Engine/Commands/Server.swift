internal import RESP
internal import Storage

// The commands about the server: settings, time, the end.

extension Engine {
  /// CONFIG GET pattern [pattern …].
  mutating func configGet(_ call: Call) -> Effect {
    var found: [(name: String, value: String)] = []
    for setting in Setting.all {
      let name = Array(setting.name.utf8)
      for i in 2..<call.count {
        // A name is given back as it was written, a pattern's finds as they are called.
        let asked = Self.text(of: call[i])
        let isPattern = asked.contains { $0 == "*" || $0 == "?" || $0 == "[" }
        let isFound =
          isPattern
          ? Glob.matches(call[i], name.rawBytes, ignoringCase: true)
          : asked.lowercased() == setting.name
        if isFound {
          found.append((isPattern ? setting.name : asked, setting.get(settings)))
          break
        }
      }
    }
    reply.mapHeader(found.count, reply.version)
    for (name, value) in found {
      reply.bulk(text: name)
      reply.bulk(text: value)
    }
    return .none
  }

  /// CONFIG SET name value [name value …]: all or nothing, in force everywhere when it is answered.
  mutating func configSet(_ call: Call) -> Effect {
    if call.count % 2 != 0 { return syntaxError() }
    var trial = settings
    var changes: [(name: String, value: String)] = []
    for i in stride(from: 2, to: call.count, by: 2) {
      let name = Self.text(of: call[i])
      let value = Self.text(of: call[i + 1])
      guard let setting = Setting.all.first(where: { $0.name == name.lowercased() }) else {
        return failing(
          bytes: Array("ERR Unknown option or number of arguments for CONFIG SET - '".utf8)
            + Self.shown(call[i]) + [39])
      }
      var reason: String? = nil
      if !setting.isMutable {
        reason = "can't set immutable config"
      } else if changes.contains(where: { $0.name == setting.name }) {
        reason = "duplicate parameter"
      } else {
        do throws(SettingError) { try setting.set(&trial, value) } catch { reason = error.reason }
      }
      if let reason {
        return failing(
          text:
            "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(reason)")
      }
      changes.append((setting.name, value))
    }
    park(for: .configure(changes))
    return .none
  }

  /// CONFIG RESETSTAT.
  mutating func configResetStat(_ call: Call) -> Effect {
    park(for: .resetStatistics)
    return .none
  }

  /// CONFIG HELP.
  mutating func configHelp(_ call: Call) -> Effect {
    help(
      "CONFIG",
      [
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>", "    Set the configuration <directive> to <value>.",
        "RESETSTAT", "    Reset statistics reported by the INFO command.",
      ])
  }

  /// TIME: Unix seconds and microseconds.
  mutating func time(_ call: Call) -> Effect {
    let now = microseconds
    reply.arrayHeader(2)
    reply.bulk(integer: now / 1_000_000)
    reply.bulk(integer: now % 1_000_000)
    return .none
  }

  /// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]: answered by the connection's end.
  mutating func shutdown(_ call: Call) -> Effect {
    var isAbort = false
    var saves = 0
    var others = 0
    for i in 1..<max(1, call.count) {
      switch Word(call[i]) {
      case "NOSAVE": saves |= 1
      case "SAVE": saves |= 2
      case "NOW", "FORCE": others += 1
      case "ABORT": isAbort = true
      default: return syntaxError()
      }
    }
    if saves == 3 || isAbort && (saves != 0 || others != 0) { return syntaxError() }
    if isAbort { return failing("ERR No shutdown in progress.") }
    if saves == 2 {
      return failing("ERR Errors trying to SHUTDOWN. Check logs.")
    }
    park(for: .shutdown)
    return .none
  }
}
