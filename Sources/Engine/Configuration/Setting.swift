// One line of the table of settings: its name, how it reads, who may change it, and what it drives.
//
// The table is data (`SettingTable*.swift`). Every name that redis-server 7.0 knows is in it. A setting either *drives* a field of
// `Settings`, which the server obeys, or it is *accepted*: kept, checked by its type and shown, but without effect, with the reason
// said in its line. Tern logs a warning where such a setting is given another value than the one it stands at.

/// One setting.
struct Setting: Sendable {
  /// Who may change it while the process runs.
  enum Change: Sendable {
    /// CONFIG SET.
    case free
    /// Nobody: it is read at the start.
    case immutable
    /// CONFIG SET where `enable-protected-configs` allows it.
    case protected
    /// Nobody, with the text of a protected setting: Redis could change it there, Tern reads it at the start.
    case alwaysProtected
  }

  /// What a value is kept in.
  enum Home: Sendable {
    /// A field that the server obeys.
    case number(any WritableKeyPath<Settings, Int> & Sendable)
    case flag(any WritableKeyPath<Settings, Bool> & Sendable)
    case text(any WritableKeyPath<Settings, String> & Sendable)
    /// A field of another type: how it is shown, and set from the canonical text.
    case own(get: @Sendable (Settings) -> String, set: @Sendable (inout Settings, String) -> Void)
    /// No field: the text is kept, and this is why it has no effect.
    case accepted(standard: String, why: String)
  }

  /// The name.
  let name: String
  /// An older name for the same; empty = none.
  let alias: String
  /// How it reads.
  let kind: SettingKind
  /// Who may change it.
  let change: Change
  /// Where its value is.
  let home: Home
  /// Whether patterns do not find it, as for Redis.
  var isHidden = false

  /// A setting that the server obeys.
  static func drives(
    _ name: String, alias: String = "", _ kind: SettingKind, _ change: Change, _ home: Home
  ) -> Setting {
    Setting(name: name, alias: alias, kind: kind, change: change, home: home)
  }

  /// A setting that the server obeys and that may be changed.
  static func drives(
    _ name: String, alias: String = "", _ kind: SettingKind, _ home: Home
  ) -> Setting {
    drives(name, alias: alias, kind, .free, home)
  }

  /// A setting without effect that may be changed, and why it has none.
  static func accepted(
    _ name: String, alias: String = "", _ kind: SettingKind, _ standard: String, _ why: String
  ) -> Setting {
    accepted(name, alias: alias, kind, .free, standard, why)
  }

  /// A setting without effect, at its standard value, and why.
  static func accepted(
    _ name: String, alias: String = "", _ kind: SettingKind, _ change: Change,
    _ standard: String, _ why: String
  ) -> Setting {
    Setting(
      name: name, alias: alias, kind: kind, change: change,
      home: .accepted(standard: standard, why: why))
  }

  /// The same, found by its whole name only.
  var hidden: Setting {
    var copy = self
    copy.isHidden = true
    return copy
  }

  /// The value, as CONFIG GET shows it.
  func get(_ settings: Settings) -> String {
    switch home {
    case .number(let path): "\(settings[keyPath: path])"
    case .flag(let path): settings[keyPath: path] ? "yes" : "no"
    case .text(let path): settings[keyPath: path]
    case .own(let get, _): get(settings)
    case .accepted(let standard, _): settings.accepted[name] ?? standard
    }
  }

  /// Changes the value. Throws what is wrong with it; nothing is changed then.
  func set(_ settings: inout Settings, words: [String]) throws(SettingError) {
    let text = try kind.canonical(words, current: get(settings))
    switch home {
    case .number(let path): settings[keyPath: path] = Self.number(text)
    case .flag(let path): settings[keyPath: path] = text == "yes"
    case .text(let path): settings[keyPath: path] = text
    case .own(_, let set): set(&settings, text)
    case .accepted(let standard, _):
      settings.accepted[name] = text == standard ? nil : text
    }
  }

  /// Changes the value from one text, as CONFIG SET has it.
  func set(_ settings: inout Settings, _ text: String) throws(SettingError) {
    guard kind.takesSeveralWords else { return try set(&settings, words: [text]) }
    try set(
      &settings,
      words: text.isEmpty
        ? [""] : text.split(separator: " ", omittingEmptySubsequences: false).map(String.init))
  }

  /// A canonical number, as far as a field holds it.
  private static func number(_ text: String) -> Int {
    Int(text) ?? (UInt64(text) == nil ? 0 : Int.max)
  }

  /// Why it has no effect; nil if it has one.
  var whyAccepted: String? {
    if case .accepted(_, let why) = home { why } else { nil }
  }
}

extension Setting {
  /// Every setting, in the order of CONFIG REWRITE.
  static let all: [Setting] =
    SettingTable.server + SettingTable.memory + SettingTable.process + SettingTable.persistence
    + SettingTable.replication + SettingTable.cluster + SettingTable.types + SettingTable.tls

  /// Every name with the place of its setting, in the order of CONFIG GET *; aliases are names of their own.
  static let names: [(name: String, place: Int)] = all.enumerated().flatMap { place, setting in
    [(setting.name, place)] + (setting.alias.isEmpty ? [] : [(setting.alias, place)])
  }

  private static let places = Dictionary(uniqueKeysWithValues: names.map { ($0.name, $0.place) })

  /// The setting of that name, in any case of letters, and the name as the table has it.
  static func find(_ name: String) -> (name: String, setting: Setting)? {
    let lower = name.lowercased()
    return places[lower].map { (lower, all[$0]) }
  }
}
