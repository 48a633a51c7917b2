internal import Sharding

// Settings whose values have a grammar of their own.

/// A form that one setting has, or few.
enum SettingForm: Sendable {
  /// `save`: pairs of seconds and changes.
  case savePoints
  /// `client-output-buffer-limit`: a class and three limits, any number of times.
  case bufferLimits
  /// `notify-keyspace-events`: a letter for each class of events.
  case eventClasses
  /// `latency-tracking-info-percentiles`: numbers from 0 to 100.
  case percentiles
  /// `oom-score-adj-values`: three numbers.
  case oomScores
  /// `shutdown-on-sigint` and `shutdown-on-sigterm`.
  case shutdownOptions
  /// `replicaof`: a host and a port.
  case primaryAddress
  /// `proc-title-template`.
  case titleTemplate
  /// `cluster-announce-hostname`.
  case hostname
  /// `cluster-announce-ip`: what can stand in a redirect and in a line of CLUSTER NODES.
  case announcedAddress
  /// A name of a file without a directory: `dbfilename` and its like, by name.
  case fileName(String)
  /// A port that cannot be opened, because there is no TLS: 0 alone.
  case noTLSPort
  /// A list of processors: `0,2-3`.
  case processors
  /// `requirepass`.
  case password

  /// Whether a line of a file may have several words for it.
  var takesSeveralWords: Bool {
    switch self {
    case .savePoints, .bufferLimits, .percentiles, .oomScores, .shutdownOptions, .primaryAddress:
      true
    case .eventClasses, .titleTemplate, .hostname, .announcedAddress, .fileName, .noTLSPort,
      .processors, .password:
      false
    }
  }

  /// The canonical text of a value.
  func canonical(_ words: [String], current: String) throws(SettingError) -> String {
    switch self {
    case .savePoints: return try Self.savePoints(words)
    case .bufferLimits: return try Self.bufferLimits(words, current: current)
    case .eventClasses: return try Self.eventClasses(words.joined(separator: " "))
    case .percentiles: return try Self.percentiles(words)
    case .oomScores: return try Self.oomScores(words)
    case .shutdownOptions: return try Self.shutdownOptions(words)
    case .primaryAddress: return try Self.primaryAddress(words)
    case .titleTemplate: return try Self.titleTemplate(words.joined(separator: " "))
    case .hostname: return try Self.hostname(words.joined(separator: " "))
    case .announcedAddress:
      let text = words.joined(separator: " ")
      guard text.isEmpty || EndpointAddress(host: text, port: 1) != nil else {
        throw SettingError(reason: "argument must be an IP address or a host name")
      }
      return text
    case .fileName(let name):
      let text = words.joined(separator: " ")
      if text.contains("/") || text.contains("\\") {
        throw SettingError(reason: "\(name) can't be a path, just a filename")
      }
      return text
    case .noTLSPort:
      let text = try SettingKind.integer(0...65535).canonical(words, current: current)
      if text != "0" {
        throw SettingError(reason: "Unable to update TLS configuration. Check server logs.")
      }
      return text
    case .processors:
      let text = words.joined(separator: " ")
      guard Settings.cpuList(text) != nil else {
        throw SettingError(reason: "argument must be a list of CPUs such as 0,2-3")
      }
      return text
    case .password:
      let text = words.joined(separator: " ")
      // Bytes that are no UTF-8 have become this one on the way here: nobody could give them.
      if text.unicodeScalars.contains("\u{FFFD}") {
        throw SettingError(reason: "the password must be UTF-8")
      }
      return text
    }
  }

  private static func savePoints(_ words: [String]) throws(SettingError) -> String {
    if words.isEmpty || words == [""] { return "" }
    let numbers = words.map { Int($0) }
    for (place, number) in numbers.enumerated() {
      guard let number, number >= (place % 2 == 0 ? 1 : 0), numbers.count % 2 == 0 else {
        throw SettingError(reason: "Invalid save parameters")
      }
    }
    return numbers.map { "\($0 ?? 0)" }.joined(separator: " ")
  }

  /// The classes as CONFIG GET shows them.
  private static let bufferClasses = ["normal", "slave", "pubsub"]

  private static func bufferLimits(
    _ words: [String], current: String
  ) throws(SettingError) -> String {
    let words = words == [""] ? [] : words
    if words.count % 4 != 0 {
      throw SettingError(reason: "Wrong number of arguments in buffer limit configuration.")
    }
    var limits = current.split(separator: " ").map(String.init)
    for start in stride(from: 0, to: words.count, by: 4) {
      let name = words[start].lowercased()
      guard let place = bufferClasses.firstIndex(of: name == "replica" ? "slave" : name) else {
        throw SettingError(
          reason: "Invalid client class specified in buffer limit configuration.")
      }
      guard let hard = SettingKind.byteCount(words[start + 1]),
        let soft = SettingKind.byteCount(words[start + 2]),
        let seconds = Int(words[start + 3]), seconds >= 0
      else {
        throw SettingError(
          reason: "Error in hard, soft or soft_seconds setting in buffer limit configuration.")
      }
      if limits.count == bufferClasses.count * 4 {
        limits.replaceSubrange(
          place * 4 + 1..<place * 4 + 4, with: ["\(hard)", "\(soft)", "\(seconds)"])
      }
    }
    return limits.joined(separator: " ")
  }

  private static func eventClasses(_ text: String) throws(SettingError) -> String {
    guard let classes = KeyspaceEvents(text) else {
      throw SettingError(reason: "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
    }
    return classes.text
  }

  private static func percentiles(_ words: [String]) throws(SettingError) -> String {
    var shown: [String] = []
    for word in words where words != [""] {
      guard let value = Double(word), !value.isNaN else {
        throw SettingError(reason: "Invalid latency-tracking-info-percentiles parameters")
      }
      guard (0...100).contains(value) else {
        throw SettingError(
          reason: "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
      }
      shown.append(millionths(value))
    }
    return shown.joined(separator: " ")
  }

  /// A number with as many decimals as it needs, at most six.
  private static func millionths(_ value: Double) -> String {
    let whole = Int((value * 1_000_000).rounded())
    var fraction = "\(1_000_000 + whole % 1_000_000)".dropFirst()
    while fraction.last == "0" { fraction.removeLast() }
    return fraction.isEmpty ? "\(whole / 1_000_000)" : "\(whole / 1_000_000).\(fraction)"
  }

  private static func oomScores(_ words: [String]) throws(SettingError) -> String {
    guard words.count == 3 else { throw SettingError(reason: "wrong number of arguments") }
    let numbers = words.compactMap { Int($0) }
    guard numbers.count == 3, numbers.allSatisfy({ (-2000...2000).contains($0) }) else {
      throw SettingError(
        reason: "Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
    }
    return numbers.map { "\($0)" }.joined(separator: " ")
  }

  private static func shutdownOptions(_ words: [String]) throws(SettingError) -> String {
    let kind = SettingKind.options(["default", "save", "nosave", "now", "force"])
    let text = try kind.canonical(words, current: "")
    if text.hasPrefix("save nosave") {
      throw SettingError(
        reason: "shutdown options SAVE and NOSAVE can't be used simultaneously")
    }
    return text
  }

  private static func primaryAddress(_ words: [String]) throws(SettingError) -> String {
    if words == [""] || words.map({ $0.lowercased() }) == ["no", "one"] { return "" }
    guard words.count == 2 else { throw SettingError(reason: "wrong number of arguments") }
    guard let port = Int(words[1]), (0...65535).contains(port) else {
      throw SettingError(reason: "Invalid master port")
    }
    return "\(words[0]) \(port)"
  }

  private static let titleVariables = [
    "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file",
  ]

  private static func titleTemplate(_ text: String) throws(SettingError) -> String {
    var rest = text[...]
    var isValid = !text.isEmpty
    while let start = rest.firstIndex(of: "{") {
      let end = rest[start...].firstIndex(of: "}") ?? rest.endIndex
      isValid =
        isValid && end < rest.endIndex
        && titleVariables.contains(String(rest[start..<end].dropFirst()))
      rest = rest[end...].dropFirst()
    }
    if !isValid {
      throw SettingError(
        reason: "template format is invalid or contains unknown variables")
    }
    return text
  }

  private static func hostname(_ text: String) throws(SettingError) -> String {
    if text.utf8.count >= 256 {
      throw SettingError(reason: "Hostnames must be less than 256 characters")
    }
    let isValid = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    if !isValid {
      throw SettingError(
        reason: "Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
    return text
  }
}
