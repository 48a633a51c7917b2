internal import RESP
internal import Sharding
internal import Storage

// CONFIG: what is set is checked here against the table (`Setting`), and changed everywhere by a control request.

extension Engine {
  /// What a setting is said to be at the port of the current client.
  private func shown(_ setting: Setting, _ name: String) -> String {
    if presentation == .standalone {
      // As of one server with one database.
      if name == "cluster-enabled" { return "no" }
      if name == "databases" { return "1" }
    }
    return setting.get(settings)
  }

  /// CONFIG GET pattern [pattern …].
  mutating func configGet(_ call: Call) -> Effect {
    var found: [(name: String, value: String)] = []
    var patterns: [(text: String, lower: String, isPattern: Bool)] = []
    for i in 2..<call.count {
      let text = Self.text(of: call[i])
      patterns.append(
        (text, text.lowercased(), text.contains { $0 == "*" || $0 == "?" || $0 == "[" }))
    }
    for (name, place) in Setting.names {
      let bytes = Array(name.utf8)
      let setting = Setting.all[place]
      for (i, asked) in patterns.enumerated() {
        // A name is given back as it was written, a pattern's finds as they are called.
        let isFound =
          asked.isPattern
          ? !setting.isHidden && Glob.matches(call[i + 2], bytes.rawBytes, ignoringCase: true)
          : asked.lower == name
        if isFound {
          found.append((asked.isPattern ? name : asked.text, shown(setting, name)))
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

  /// CONFIG SET name value [name value …]: all or nothing, in force everywhere when it is answered. Names are looked at first, then values.
  mutating func configSet(_ call: Call) -> Effect {
    if call.count % 2 != 0 { return syntaxError() }
    var changes: [(name: String, value: String)] = []
    for i in stride(from: 2, to: call.count, by: 2) {
      let asked = Self.text(of: call[i])
      guard let (name, setting) = Setting.find(asked) else {
        return failing(
          bytes: Array("ERR Unknown option or number of arguments for CONFIG SET - '".utf8)
            + Self.shown(call[i]) + [39])
      }
      switch setting.change {
      case .free: break
      case .protected where isAllowed(settings.enableProtectedConfigs): break
      case .protected, .alwaysProtected:
        return configSetFailed(asked, "can't set protected config")
      case .immutable:
        return configSetFailed(asked, "can't set immutable config")
      }
      if changes.contains(where: { $0.name == name }) {
        return configSetFailed(asked, "duplicate parameter")
      }
      changes.append((name, Self.text(of: call[i + 1])))
    }
    var trial = settings
    for change in changes {
      do throws(SettingError) {
        try trial.set(change.name, to: change.value)
      } catch {
        return configSetFailed(change.name, error.reason)
      }
    }
    if trial.announcePort > 0, let last = map.shards.last?.id.number,
      trial.announcePort + Int(last) > 65535
    {
      return configSetFailed("cluster-announce-port", "no port is left for shard \(last)")
    }
    if process.mostClients > 0, trial.maxClients > process.mostClients,
      trial.maxClients != settings.maxClients
    {
      return configSetFailed(
        "maxclients",
        "The operating system is not able to handle the specified number of clients, try with \(process.mostClients)"
      )
    }
    // Nobody shuts himself out.
    memory.administrator = sessions[current].id
    park(for: .configure(changes))
    return .none
  }

  private mutating func configSetFailed(_ name: String, _ reason: String) -> Effect {
    failing(text: "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(reason)")
  }

  /// Whether the current client may do what a setting protects.
  func isAllowed(_ action: ProtectedAction) -> Bool {
    switch action {
    case .no: return false
    case .yes: return true
    case .local:
      let address = sessions[current].address
      return address.hasPrefix("127.") || address.hasPrefix("[::1]")
    }
  }

  /// CONFIG RESETSTAT.
  mutating func configResetStat(_ call: Call) -> Effect {
    park(for: .resetStatistics)
    return .none
  }

  /// CONFIG REWRITE: the file is written by the server, beside the workers.
  mutating func configRewrite(_ call: Call) -> Effect {
    if process.configurationFile.isEmpty {
      return failing("ERR The server is running without a config file")
    }
    park(for: .rewriteConfiguration)
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
        "REWRITE", "    Rewrite the configuration file.",
      ])
  }
}
