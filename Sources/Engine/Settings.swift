public import Sharding

/// The configuration that every worker of a process shares (DESIGN §9): a value, replaced as a whole by a control request.
///
/// Names, defaults and limits are those of redis.conf where Redis has the setting.
public struct Settings: Sendable, Equatable {
  /// The configuration endpoint's port; shard i listens on `port + i`.
  public var port = 7000
  /// Number of shards of a new cluster.
  public var shards = 4
  /// Number of worker threads.
  public var workers = 1
  /// Addresses to listen on.
  public var bind = ["127.0.0.1"]
  /// Where `nodes.conf` lies.
  public var directory = "./tern-data"
  /// The back-end asked for: auto, uring or epoll.
  public var io = "auto"
  /// CPUs that workers are pinned to; empty = none.
  public var cpus: [Int] = []
  /// Connections at once.
  public var maxClients = 10_000
  /// Idle connections are closed after so many seconds; 0 = never.
  public var timeoutSeconds = 0
  /// Interval of TCP keep-alive probes in seconds; 0 = none.
  public var tcpKeepaliveSeconds = 300
  /// Length of the queue of connections that wait for accept.
  public var tcpBacklog = 511
  /// Longest bulk that a client may send, in bytes.
  public var protoMaxBulkLength = 512 << 20
  /// Most bytes of requests that wait to be run, for one client.
  public var clientQueryBufferLimit = 1 << 30
  /// Unsent replies at which a client's requests wait, in bytes.
  public var clientOutputPause = 1 << 20
  /// Most bytes that the process may use for data; 0 = no limit.
  public var maxMemory = 0
  /// Runs of the housekeeping a second.
  public var hz = 10
  /// The address in the map; empty = derived from `bind`.
  public var announceIP = ""
  /// The base of the ports in the map; 0 = `port`.
  public var announcePort = 0
  /// The name in the map, of all shards; empty = none.
  public var announceHostname = ""
  /// What of all that clients are told to connect to.
  public var endpointType = EndpointType.ip
  /// What is made equal although nobody asks, and how many milliseconds apart loads are looked at.
  public var autoRebalance = AutoRebalance.Mode.off
  public var autoRebalanceInterval = Int(AutoRebalance.interval / 1000)
  /// Seconds for which the port of a shard that was removed answers MOVED.
  public var clusterDrainTimeout = 60
  /// What an incremental migration may move in a second; 0 = as much as can be.
  public var migrationBytesPerSecond = 0
  /// The part of a worker's time that an incremental migration may take, in percent: what it costs other commands.
  public var migrationCPUPercent = 25
  /// What the configuration endpoint says that it is; which of the two changes nothing else.
  public var routerPresentsAs = Presentation.standalone
  /// Whether nothing with keys is served while some slot is nobody's. Redis's default is yes; one slot less is no reason to refuse the others.
  public var requiresFullCoverage = false
  /// Which commands over several shards are atomic through the router.
  public var routerAtomic = Atomicity.auto
  /// Whether a router client's pipeline has its effects in the order of its requests over all shards, or only for each key.
  public var routerOrdered = true
  /// Milliseconds for which a command of a router client waits while its keys are on both sides of a slot that is moved key by key.
  public var routerTryAgainTimeout = 2000
  /// Whether DUMP compresses long strings.
  public var compressesPayloads = true
  /// The password of the default user; empty = none.
  public var requirePass = ""
  /// Whether clients from elsewhere are refused while there is no password and no `bind` was given.
  public var protectedMode = true
  /// Commands by another name: `rename-command`. An empty new name takes the command away.
  public var renamedCommands: [RenamedCommand] = []
  /// Who may use DEBUG, and set protected settings.
  public var enableDebugCommand = ProtectedAction.no
  public var enableProtectedConfigs = ProtectedAction.no
  /// Commands that take so many microseconds or more stand in the slow log, at most so many; negative = none.
  public var slowlogLogSlowerThan = 10_000
  public var slowlogMaxLength = 128
  /// Events that take so many milliseconds or more are counted by LATENCY; 0 = none.
  public var latencyMonitorThreshold = 0
  /// Whether the time of each command is kept as a histogram.
  public var latencyTracking = true
  /// The percentiles of it that INFO latencystats shows.
  public var latencyPercentileText = "50 99 99.9"
  /// Which events of keys are told to those who listen.
  public var keyspaceEvents: KeyspaceEvents = []
  /// Keys that are remembered for those who are told of changes; 0 = no limit.
  public var trackingTableMaxKeys = 1_000_000
  /// What the log says, and the file that it goes to; empty = standard output.
  public var logLevel = LogLevel.notice
  public var logFile = ""
  /// Settings that are kept but have no effect (see `Setting`), where they differ from the standard.
  public var accepted: [String: String] = [:]

  /// What goes when memory is short, and how many keys are looked at for it.
  public var maxMemoryPolicy = MaxMemoryPolicy.noEviction
  public var maxMemorySamples = 5
  /// Most bytes that clients may take; negative: so many percent of `maxMemory`; 0 = no limit.
  public var maxMemoryClients = 0
  /// How uses are counted (`FrequencyRule`).
  public var lfuLogFactor = 10
  public var lfuDecayTime = 1
  /// Whether sparse pages are given back, from how many bytes and percent of waste on, and at which percentages of a processor.
  public var activeDefrag = false
  public var activeDefragIgnoreBytes = 100 << 20
  public var activeDefragThresholdLower = 10
  public var activeDefragThresholdUpper = 100
  public var activeDefragCycleMin = 1
  public var activeDefragCycleMax = 25

  /// The defaults.
  public init() {}
}

/// A command that has another name.
public struct RenamedCommand: Sendable, Equatable {
  /// The name in the table of commands, in lower case.
  public let command: String
  /// Its name for clients; empty = none.
  public let name: String

  /// A command by another name.
  public init(command: String, name: String) {
    self.command = command
    self.name = name
  }
}

/// What the configuration endpoint tells clients that it is, in HELLO and INFO.
public enum Presentation: String, Sendable, CaseIterable {
  case standalone, cluster
}

/// Which commands over several shards the configuration endpoint runs at one instant.
public enum Atomicity: String, Sendable, CaseIterable {
  /// None: what cannot be split by key is refused.
  case no
  /// What needs to be one thing: MULTI … EXEC, WATCH, MSETNX. What can be split by key is.
  case auto
  /// Those that can be split too.
  case yes
}

/// Who may do what is protected.
public enum ProtectedAction: String, Sendable, CaseIterable {
  case no, yes
  /// Clients on the same machine.
  case local
}

/// How much the log says, from most to least.
public enum LogLevel: String, Sendable, CaseIterable {
  case debug, verbose, notice, warning
}

extension Settings {
  /// The value of a setting as CONFIG GET shows it; nil if there is no such name.
  public func value(of name: String) -> String? { Setting.find(name)?.setting.get(self) }

  /// Changes a setting, as CONFIG SET does. Throws the text that says what is wrong with it.
  public mutating func set(_ name: String, to value: String) throws(SettingError) {
    guard let (_, setting) = Setting.find(name) else { throw Self.badDirective }
    try setting.set(&self, value)
  }

  /// Changes a setting as a line of a file does, whose words are apart.
  public mutating func set(_ name: String, words: [String]) throws(SettingError) {
    if name.lowercased() == "rename-command" { return try rename(words) }
    guard let (_, setting) = Setting.find(name) else {
      guard let nearest = Setting.nearest(to: name) else { throw Self.badDirective }
      throw SettingError(reason: "unknown setting, did you mean '\(nearest)'?")
    }
    if words.count != 1, words.isEmpty || !setting.kind.takesSeveralWords {
      throw SettingError(reason: "wrong number of arguments")
    }
    try setting.set(&self, words: words)
  }

  private static let badDirective = SettingError(
    reason: "Bad directive or wrong number of arguments")

  private mutating func rename(_ words: [String]) throws(SettingError) {
    guard words.count == 2 else { throw Self.badDirective }
    let command = words[0].lowercased()
    guard !command.isEmpty, Self.commandNames(renamedCommands).contains(command) else {
      throw SettingError(reason: "No such command in rename-command")
    }
    let renamed = renamedCommands + [RenamedCommand(command: command, name: words[1])]
    let name = words[1].lowercased()
    if !name.isEmpty, Self.commandNames(renamed).count(where: { $0 == name }) > 1 {
      throw SettingError(reason: "Target command name already exists")
    }
    renamedCommands = renamed
  }

  /// Whether a setting of that name has any number of words.
  public static func takesSeveralWords(_ name: String) -> Bool {
    name.lowercased() == "rename-command"
      || Setting.find(name)?.setting.kind.takesSeveralWords == true
  }

  /// What `bind` says, as the system takes it: `*` is every address, and one with a minus in front may be missing.
  public var addresses: [(address: String, mayBeMissing: Bool)] {
    bind.map { word in
      let address = word.hasPrefix("-") ? String(word.dropFirst()) : word
      let all = ["*": "0.0.0.0", "::*": "::"][address]
      return (all ?? address, word.hasPrefix("-"))
    }
  }

  /// The names of all settings that patterns find, older names too.
  public static var names: [String] {
    Setting.names.filter { !Setting.all[$0.place].isHidden }.map(\.name)
  }

  /// Whether a setting's value is for nobody's eyes but the operator's; so are the names that commands are given.
  public static func isSecret(_ name: String) -> Bool {
    Setting.isSecret(name) || name.lowercased() == "rename-command"
  }

  /// Whether there is a setting of that name.
  public static func hasSetting(_ name: String) -> Bool { Setting.find(name) != nil }

  /// Settings with another value than the standard that have no effect, and why.
  public var withoutEffect: [(name: String, value: String, why: String)] {
    Setting.all.compactMap { setting in
      guard let value = accepted[setting.name], let why = setting.whyAccepted else { return nil }
      return (setting.name, Self.isSecret(setting.name) ? "(redacted)" : value, why)
    }
  }

  /// The setting's value as a number of bytes or a plain number, for settings that are only kept.
  public func number(of name: String) -> Int? { value(of: name).flatMap { Int($0) } }

  /// The percentiles that INFO latencystats shows.
  var latencyPercentiles: [Double] {
    latencyPercentileText.split(separator: " ").compactMap { Double($0) }
  }

  /// A percentile in its fewest digits: 50, 99.9.
  static func shownPercentile(_ percentile: Double) -> String {
    let text = "\(percentile)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// The names of all commands after some were renamed, in the order of the table; empty for those that have none.
  static func commandNames(_ renamed: [RenamedCommand]) -> [String] {
    var names = CommandTable.all.map { $0.container == nil ? $0.name : "" }
    for one in renamed {
      if let i = names.firstIndex(of: one.command) { names[i] = one.name.lowercased() }
    }
    return names
  }

  /// The least time of a command that is noted anywhere, in nanoseconds.
  var slowTime: UInt64 {
    var time = UInt64.max
    if slowlogLogSlowerThan >= 0 {
      let (product, overflow) = UInt64(slowlogLogSlowerThan).multipliedReportingOverflow(by: 1000)
      if !overflow { time = min(time, product) }
    }
    if latencyMonitorThreshold > 0 {
      let (product, overflow) = UInt64(latencyMonitorThreshold).multipliedReportingOverflow(
        by: 1_000_000)
      if !overflow { time = min(time, product) }
    }
    return time
  }

  /// Parses a list of CPUs: `0,2-3`. nil if it is none.
  static func cpuList(_ text: String) -> [Int]? {
    var list: [Int] = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
        first >= 0, first <= last, last < 4096
      else { return nil }
      list += first...last
    }
    return list
  }
}
