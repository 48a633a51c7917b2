// The settings of memory at its limit, with the names, defaults and limits of redis.conf.

extension Setting {
  /// In the order of CONFIG GET *.
  static let memory: [Setting] = [
    choice("maxmemory-policy", \.maxMemoryPolicy),
    number("maxmemory-samples", \.maxMemorySamples, 1...2_147_483_647),
    number("maxmemory-eviction-tenacity", \.maxMemoryEvictionTenacity, 0...100),
    Setting(
      name: "maxmemory-clients", isMutable: true,
      get: { $0.maxMemoryClients < 0 ? "\(-$0.maxMemoryClients)%" : "\($0.maxMemoryClients)" },
      set: { (settings, text) throws(SettingError) in
        settings.maxMemoryClients = try bytesOrPercent(text)
      }),
    number("lfu-log-factor", \.lfuLogFactor, 0...2_147_483_647),
    number("lfu-decay-time", \.lfuDecayTime, 0...2_147_483_647),
    flag("activedefrag", \.activeDefrag),
    bytes("active-defrag-ignore-bytes", \.activeDefragIgnoreBytes, 1...Int.max),
    number("active-defrag-threshold-lower", \.activeDefragThresholdLower, 0...1000),
    number("active-defrag-threshold-upper", \.activeDefragThresholdUpper, 0...1000),
    number("active-defrag-cycle-min", \.activeDefragCycleMin, 1...99),
    number("active-defrag-cycle-max", \.activeDefragCycleMax, 1...99),
    number("active-defrag-max-scan-fields", \.activeDefragMaxScanFields, 1...Int.max),
  ]

  private static func choice(
    _ name: String, _ path: any WritableKeyPath<Settings, MaxMemoryPolicy> & Sendable
  ) -> Setting {
    Setting(
      name: name, isMutable: true, get: { $0[keyPath: path].rawValue },
      set: { (settings, text) throws(SettingError) in
        guard let value = MaxMemoryPolicy(rawValue: text.lowercased()) else {
          let all = MaxMemoryPolicy.allCases.map(\.rawValue).joined(separator: ", ")
          throw SettingError(reason: "argument(s) must be one of the following: \(all)")
        }
        settings[keyPath: path] = value
      })
  }

  private static func flag(
    _ name: String, _ path: any WritableKeyPath<Settings, Bool> & Sendable
  ) -> Setting {
    Setting(
      name: name, isMutable: true, get: { $0[keyPath: path] ? "yes" : "no" },
      set: { (settings, text) throws(SettingError) in
        switch text.lowercased() {
        case "yes": settings[keyPath: path] = true
        case "no": settings[keyPath: path] = false
        default: throw SettingError(reason: "argument must be 'yes' or 'no'")
        }
      })
  }

  /// Bytes, or a percentage as a negative number.
  private static func bytesOrPercent(_ text: String) throws(SettingError) -> Int {
    if text.hasSuffix("%") {
      guard let percent = Int(text.dropLast()), (0...100).contains(percent) else {
        throw SettingError(reason: "argument must be a memory or percent value")
      }
      return -percent
    }
    guard let count = byteCount(text) else {
      throw SettingError(reason: "argument must be a memory or percent value")
    }
    return count
  }
}
