internal import RESP
internal import Storage

// Who a client is: AUTH, HELLO and the one user that there is so far, `default`, with `requirepass` for its password or with none.

extension Engine {
  /// The name of the one user.
  static let defaultUser = "default"

  /// Whether a name and a password are a user's. The time that it takes does not tell how much of a password is right.
  private func isUser(_ name: RawSpan?, _ password: RawSpan) -> Bool {
    let isRight =
      settings.requirePass.isEmpty || Self.isSame(Array(settings.requirePass.utf8), password)
    guard let name else { return isRight }
    return Self.text(of: name) == Self.defaultUser && isRight
  }

  /// Whether two texts are the same; takes as long as the given one is long, wherever they differ.
  static func isSame(_ secret: [UInt8], _ given: RawSpan) -> Bool {
    var difference = secret.count ^ given.byteCount
    for i in 0..<given.byteCount {
      let byte = secret.isEmpty ? 0 : secret[i % secret.count]
      difference |= Int(byte ^ given.byte(at: i))
    }
    return difference == 0
  }

  /// AUTH [user] password.
  mutating func auth(_ call: Call) -> Effect {
    if call.count > 3 { return syntaxError() }
    if call.count == 2, settings.requirePass.isEmpty {
      return failing(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
      )
    }
    let isRight = call.count == 2 ? isUser(nil, call[1]) : isUser(call[1], call[2])
    guard isRight else { return wrongPassword() }
    sessions[current].mode.remove(.unauthenticated)
    reply.ok()
    return .none
  }

  private mutating func wrongPassword() -> Effect {
    failing("WRONGPASS invalid username-password pair or user is disabled.")
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
    // Options are in force at once, though an error may follow: so it is in Redis 7.0.
    var i = 2
    while i < call.count {
      let left = call.count - 1 - i
      switch Word(call[i]) {
      case "AUTH" where left >= 2:
        guard isUser(call[i + 1], call[i + 2]) else { return wrongPassword() }
        sessions[current].mode.remove(.unauthenticated)
        i += 3
      case "SETNAME" where left >= 1:
        guard let valid = Self.validName(call[i + 1]) else {
          return failing(
            "ERR Client names cannot contain spaces, newlines or special characters.")
        }
        sessions[current].name = valid.isEmpty ? nil : valid
        i += 2
      default:
        return failing(
          bytes: Array("ERR Syntax error in HELLO option '".utf8) + Self.shown(call[i]) + [39])
      }
    }
    if sessions[current].mode.contains(.unauthenticated), !settings.requirePass.isEmpty {
      return failing(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
      )
    }
    sessions[current].version = version
    reply.version = version
    greet()
    return .none
  }

  /// What HELLO tells of this server.
  private mutating func greet() {
    reply.mapHeader(7, reply.version)
    reply.bulk("server")
    reply.bulk("redis")
    reply.bulk("version")
    reply.bulk(text: TernVersion.redis)
    reply.bulk("proto")
    reply.integer(Int64(reply.version.rawValue))
    reply.bulk("id")
    reply.integer(Int64(sessions[current].id))
    reply.bulk("mode")
    reply.bulk(text: presentation.rawValue)
    reply.bulk("role")
    reply.bulk("master")
    reply.bulk("modules")
    reply.arrayHeader(0)
  }

  // MARK: what nobody else may read

  /// The arguments of a command that MONITOR and SLOWLOG do not show, by their places.
  static func secrets(of call: Call) -> Set<Int> {
    var secrets: Set<Int> = []
    switch call.id {
    case .auth: secrets.formUnion(1..<max(1, call.count))
    case .hello:
      var i = 2
      while i < call.count {
        switch Word(call[i]) {
        case "AUTH":
          secrets.formUnion([i + 1, i + 2])
          i += 3
        case "SETNAME": i += 2
        // Refused by now; a password may still follow.
        default: i += 1
        }
      }
    case .migrate:
      for i in min(6, call.count)..<call.count {
        switch Word(call[i]) {
        case "KEYS": return secrets
        case "AUTH": secrets.insert(i + 1)
        case "AUTH2": secrets.formUnion([i + 1, i + 2])
        default: break
        }
      }
    case .configSet:
      for i in stride(from: 3, to: call.count, by: 2)
      where Setting.isSecret(text(of: call[i - 1])) {
        secrets.insert(i)
      }
    default: break
    }
    return secrets
  }
}

extension Setting {
  /// Whether a setting's value is for nobody's eyes but the operator's.
  static func isSecret(_ name: String) -> Bool {
    ["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"]
      .contains(name.lowercased())
  }
}

extension Settings {
  /// What a peer is told whose connection is not taken, because there is no password and it is not of this machine (`protected-mode`);
  /// nil if it is taken. The address is `host:port`.
  public func refusal(ofPeer address: String) -> String? {
    let local = ["127.", "[::1]:", "[::ffff:127."]
    if !protectedMode || !requirePass.isEmpty || local.contains(where: address.hasPrefix) {
      return nil
    }
    return
      "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n"
  }
}
