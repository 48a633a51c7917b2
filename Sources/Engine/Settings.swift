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

  /// What goes when memory is short, and how many keys are looked at for it.
  public var maxMemoryPolicy = MaxMemoryPolicy.noEviction
  public var maxMemorySamples = 5
  /// Kept for tools that set it: the work of an eviction is bounded in any case.
  public var maxMemoryEvictionTenacity = 10
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
  /// Kept for tools that set it: no value has fields that are moved one by one.
  public var activeDefragMaxScanFields = 1000

  /// The defaults.
  public init() {}
}

/// Why a setting was refused; the text is Redis's.
public struct SettingError: Error, Equatable {
  /// What is wrong with the value.
  public let reason: String
}

/// One setting: its name, how it reads, and how it is changed.
struct Setting: Sendable {
  let name: String
  /// Whether CONFIG SET may change it while the process runs.
  let isMutable: Bool
  let get: @Sendable (Settings) -> String
  let set: @Sendable (inout Settings, String) throws(SettingError) -> Void

  static func number(
    _ name: String, _ path: any WritableKeyPath<Settings, Int> & Sendable,
    _ range: ClosedRange<Int>,
    isMutable: Bool = true
  ) -> Setting {
    Setting(
      name: name, isMutable: isMutable, get: { String($0[keyPath: path]) },
      set: { (settings, text) throws(SettingError) in
        guard let value = Int(text) else {
          throw SettingError(reason: "argument couldn't be parsed into an integer")
        }
        try check(value, range)
        settings[keyPath: path] = value
      })
  }

  static func bytes(
    _ name: String, _ path: any WritableKeyPath<Settings, Int> & Sendable, _ range: ClosedRange<Int>
  ) -> Setting {
    Setting(
      name: name, isMutable: true, get: { String($0[keyPath: path]) },
      set: { (settings, text) throws(SettingError) in
        guard let value = byteCount(text) else {
          throw SettingError(reason: "argument must be a memory value")
        }
        try check(value, range)
        settings[keyPath: path] = value
      })
  }

  private static func text(
    _ name: String, _ path: any WritableKeyPath<Settings, String> & Sendable,
    isMutable: Bool = false
  ) -> Setting {
    Setting(
      name: name, isMutable: isMutable, get: { $0[keyPath: path] },
      set: { (settings, text) throws(SettingError) in settings[keyPath: path] = text })
  }

  /// A setting with one value only: clients and tools ask for it and must get the truth.
  private static func constant(_ name: String, _ value: String) -> Setting {
    Setting(
      name: name, isMutable: true, get: { _ in value },
      set: { (_, text) throws(SettingError) in
        if text != value {
          throw SettingError(reason: "only '\(value)' is supported")
        }
      })
  }

  private static func check(_ value: Int, _ range: ClosedRange<Int>) throws(SettingError) {
    if !range.contains(value) {
      throw SettingError(
        reason:
          "argument must be between \(range.lowerBound) and \(range.upperBound) inclusive")
    }
  }

  /// A number of bytes with redis.conf's units: k, kb, m, mb, g, gb (kb = 1024, k = 1000).
  static func byteCount(_ text: String) -> Int? {
    let lower = text.lowercased()
    let digits = lower.prefix { $0.isASCII && $0.isNumber }
    guard let value = Int(digits) else { return nil }
    let unit: Int
    switch lower.dropFirst(digits.count) {
    case "", "b": unit = 1
    case "k": unit = 1000
    case "kb": unit = 1 << 10
    case "m": unit = 1_000_000
    case "mb": unit = 1 << 20
    case "g": unit = 1_000_000_000
    case "gb": unit = 1 << 30
    default: return nil
    }
    let (product, overflow) = value.multipliedReportingOverflow(by: unit)
    return overflow ? nil : product
  }

  /// Every setting, in the order of CONFIG GET *.
  static let all = general + memory

  private static let general: [Setting] = [
    number("port", \.port, 0...65535, isMutable: false),
    number("shards", \.shards, 1...500, isMutable: false),
    number("workers", \.workers, 1...256, isMutable: false),
    Setting(
      name: "bind", isMutable: false, get: { $0.bind.joined(separator: " ") },
      set: { (settings, text) throws(SettingError) in
        settings.bind = text.split(separator: " ").map(String.init)
      }),
    text("dir", \.directory),
    Setting(
      name: "io", isMutable: false, get: { $0.io },
      set: { (settings, text) throws(SettingError) in
        guard ["auto", "uring", "epoll"].contains(text) else {
          throw SettingError(
            reason: "argument(s) must be one of the following: auto, uring, epoll")
        }
        settings.io = text
      }),
    Setting(
      name: "cpus", isMutable: false,
      get: { $0.cpus.map(String.init).joined(separator: ",") },
      set: { (settings, text) throws(SettingError) in
        guard let cpus = cpuList(text) else {
          throw SettingError(reason: "argument must be a list of CPUs such as 0,2-3")
        }
        settings.cpus = cpus
      }),
    number("maxclients", \.maxClients, 1...4_294_967_295),
    number("timeout", \.timeoutSeconds, 0...2_147_483_647),
    number("tcp-keepalive", \.tcpKeepaliveSeconds, 0...2_147_483_647),
    number("tcp-backlog", \.tcpBacklog, 0...2_147_483_647, isMutable: false),
    bytes("proto-max-bulk-len", \.protoMaxBulkLength, (1 << 20)...Int.max),
    bytes("client-query-buffer-limit", \.clientQueryBufferLimit, (1 << 20)...Int.max),
    bytes("client-output-pause", \.clientOutputPause, (1 << 10)...(1 << 40)),
    bytes("maxmemory", \.maxMemory, 0...Int.max),
    number("hz", \.hz, 1...500),
    text("cluster-announce-ip", \.announceIP),
    number("cluster-announce-port", \.announcePort, 0...65535, isMutable: false),
    constant("cluster-enabled", "yes"),
    constant("cluster-require-full-coverage", "no"),
    constant("databases", "1"),
    constant("save", ""),
    constant("appendonly", "no"),
  ]

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

extension Settings {
  /// The value of a setting as CONFIG GET shows it; nil if there is no such name.
  public func value(of name: String) -> String? {
    Setting.all.first { $0.name == name.lowercased() }?.get(self)
  }

  /// Changes a setting, as from a file or a flag. Throws the text that says what is wrong with it.
  public mutating func set(_ name: String, to value: String) throws(SettingError) {
    guard let setting = Setting.all.first(where: { $0.name == name.lowercased() }) else {
      throw SettingError(reason: "Bad directive or wrong number of arguments")
    }
    try setting.set(&self, value)
  }

  /// The names of all settings.
  public static var names: [String] { Setting.all.map(\.name) }
}
