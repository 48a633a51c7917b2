internal import RESP
internal import Storage

// CLIENT TRACKING and CACHING, and what they tell of themselves.

extension Engine {
  /// CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix …] [BCAST] [OPTIN] [OPTOUT] [NOLOOP].
  mutating func clientTracking(_ call: Call) -> Effect {
    var options: TrackingState.Options = []
    var redirect: Int64 = 0
    var redirectIndex: Int32 = -1
    var prefixes: [[UInt8]] = []
    var i = 3
    while i < call.count {
      let hasNext = i + 1 < call.count
      switch Word(call[i]) {
      case "REDIRECT" where hasNext:
        i += 1
        if redirect != 0 {
          return failing("ERR A client can only redirect to a single other client")
        }
        guard let number = call[i].integer() else { return notAnInteger() }
        guard let place = place(ofClient: UInt64(bitPattern: number)) else {
          return failing("ERR The client ID you want redirect to does not exist")
        }
        redirect = number
        redirectIndex = place
      case "PREFIX" where hasNext:
        i += 1
        prefixes.append(Self.bytes(of: call[i]))
      case "BCAST": options.insert(.broadcast)
      case "OPTIN": options.insert(.optIn)
      case "OPTOUT": options.insert(.optOut)
      case "NOLOOP": options.insert(.noLoop)
      default: return syntaxError()
      }
      i += 1
    }
    switch Word(call[2]) {
    case "ON":
      if let problem = problem(with: options, prefixes) { return failing(bytes: problem) }
      if options.contains(.broadcast) {
        let known = sessions[current].tracking?.prefixes ?? []
        // Without any it is the empty one, which every key has.
        prefixes = known + (prefixes.isEmpty && !known.contains([]) ? [[]] : prefixes)
      }
      startTracking(
        TrackingState(
          options: options, redirect: UInt64(bitPattern: redirect), redirectIndex: redirectIndex,
          prefixes: prefixes))
    case "OFF":
      if sessions[current].tracking != nil { endTracking(current) }
    default: return syntaxError()
    }
    reply.ok()
    return .none
  }

  /// The place of a client of this shard.
  private func place(ofClient id: UInt64) -> Int32? {
    (0..<sessions.indexLimit).first {
      sessions.contains($0) && sessions[$0].id == id
        && sessions[$0].shard == sessions[current].shard
    }
  }

  /// Why tracking cannot begin so; nil if it can.
  private func problem(
    with options: TrackingState.Options, _ prefixes: [[UInt8]]
  ) -> [UInt8]? {
    let isBroadcast = options.contains(.broadcast)
    if !isBroadcast && !prefixes.isEmpty {
      return Array("ERR PREFIX option requires BCAST mode to be enabled".utf8)
    }
    let state = sessions[current].tracking
    if let state, state.options.contains(.broadcast) != isBroadcast {
      return Array(
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
          .utf8)
    }
    if isBroadcast && !options.isDisjoint(with: [.optIn, .optOut]) {
      return Array("ERR OPTIN and OPTOUT are not compatible with BCAST".utf8)
    }
    if options.isSuperset(of: [.optIn, .optOut]) {
      return Array("ERR You can't specify both OPTIN mode and OPTOUT mode".utf8)
    }
    if let state,
      options.contains(.optIn) && state.options.contains(.optOut)
        || options.contains(.optOut) && state.options.contains(.optIn)
    {
      return Array(
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
          .utf8)
    }
    return isBroadcast ? Self.overlap(prefixes, state?.prefixes ?? []) : nil
  }

  /// The answer to prefixes of which one begins with another.
  private static func overlap(_ prefixes: [[UInt8]], _ known: [[UInt8]]) -> [UInt8]? {
    func text(_ prefix: [UInt8], _ other: [UInt8], _ kind: String) -> [UInt8] {
      Array("ERR Prefix '".utf8) + prefix + Array("' overlaps with \(kind) prefix '".utf8) + other
        + Array("'. Prefixes for a single client must not overlap.".utf8)
    }
    for (place, prefix) in prefixes.enumerated() {
      for other in known where prefix.starts(with: other) || other.starts(with: prefix) {
        return text(prefix, other, "an existing")
      }
      for other in prefixes[(place + 1)...]
      where prefix.starts(with: other) || other.starts(with: prefix) {
        return text(prefix, other, "another provided")
      }
    }
    return nil
  }

  /// CLIENT CACHING YES|NO: whether what the next command reads is told of, against the rule.
  mutating func clientCaching(_ call: Call) -> Effect {
    guard let state = sessions[current].tracking else {
      return failing(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
      )
    }
    switch Word(call[2]) {
    case "YES":
      guard state.options.contains(.optIn) else {
        return failing(
          "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
      }
    case "NO":
      guard state.options.contains(.optOut) else {
        return failing(
          "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
      }
    default: return syntaxError()
    }
    state.options.insert(.caching)
    reply.ok()
    return .none
  }

  /// CLIENT GETREDIR: who is told instead; 0 = nobody, −1 = nothing is told.
  mutating func clientGetRedirection(_ call: Call) -> Effect {
    reply.integer(
      sessions[current].tracking.map { Int64(truncatingIfNeeded: $0.redirect) } ?? -1)
    return .none
  }

  /// CLIENT TRACKINGINFO.
  mutating func clientTrackingInfo(_ call: Call) -> Effect {
    let state = sessions[current].tracking
    var flags = [state == nil ? "off" : "on"]
    if let options = state?.options {
      let isException = options.contains(.caching)
      if options.contains(.broadcast) { flags.append("bcast") }
      if options.contains(.optIn) { flags += ["optin"] + (isException ? ["caching-yes"] : []) }
      if options.contains(.optOut) { flags += ["optout"] + (isException ? ["caching-no"] : []) }
      if options.contains(.noLoop) { flags.append("noloop") }
      if options.contains(.brokenRedirect) { flags.append("broken_redirect") }
    }
    reply.mapHeader(3, reply.version)
    reply.bulk("flags")
    reply.setHeader(flags.count, reply.version)
    for flag in flags { reply.bulk(text: flag) }
    reply.bulk("redirect")
    reply.integer(state.map { Int64(truncatingIfNeeded: $0.redirect) } ?? -1)
    reply.bulk("prefixes")
    let prefixes = state?.prefixes ?? []
    reply.arrayHeader(prefixes.count)
    for prefix in prefixes { reply.bulk(bytes: prefix) }
    return .none
  }
}

extension CommandTable {
  static let trackingCommands: [Command] = [
    Command(
      .clientTracking, "client|tracking", -3, [.noscript, .loading, .stale], [.connection],
      .connection, since: "6.0.0", "O(1); with prefixes O(N) where N is their number", of: .client),
    Command(
      .clientCaching, "client|caching", 3, [.noscript, .loading, .stale], [.connection],
      .connection, since: "6.0.0", "O(1)", of: .client),
  ]
}
