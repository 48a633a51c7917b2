public import Engine
internal import Glibc
internal import Reactor

// Settings on their way to a running server: defaults, then a file in redis.conf syntax, then flags.
//
// A file is read line by line, where it stands: `include` reads other files at its place, so that later lines win. Files that include
// each other end at a depth of `includeDepth`. An error names the file and the line.

/// Settings on their way from defaults, file and flags to a running server.
public struct ServerSettings: Sendable {
  /// The settings so far.
  public var values: Settings
  /// The path of the file that was read last, absolute; empty = none.
  public private(set) var file = ""
  /// Whether `save` was set: the first line of a run replaces the default, later ones are added.
  private var hasSavePoints = false

  /// Files within files.
  static let includeDepth = 16

  /// The defaults on this machine: as many workers as processors, and at least four shards.
  public static func defaults() -> ServerSettings {
    var values = Settings()
    let cores = max(1, Machine.availableCPUs.count)
    values.workers = cores
    values.shards = max(4, cores)
    return ServerSettings(values: values)
  }

  private init(values: Settings) { self.values = values }

  /// Takes over what a file in redis.conf syntax says. An error names file and line.
  public mutating func read(file path: String) throws(StartFailure) {
    guard let text = Files.read(path) else {
      throw StartFailure("cannot read the configuration file \(path)")
    }
    file = Files.absolute(path)
    try read(text: text, of: path, depth: 0)
  }

  /// Takes over a text, as that of a file.
  mutating func read(text: String, of path: String, depth: Int) throws(StartFailure) {
    // By bytes: for a string, a line's end and a carriage return are one character.
    for (index, line) in text.utf8.split(separator: 10, omittingEmptySubsequences: false)
      .enumerated()
    {
      let place = "\(path), line \(index + 1)"
      switch ConfigurationLine(Substring(line)) {
      case .blank: continue
      case .unbalanced:
        throw StartFailure("\(place): unbalanced quotes")
      case .directive(let name, let words):
        if name.lowercased() == "include" {
          try include(words, at: place, depth: depth)
          continue
        }
        do throws(SettingError) { try set(name, words) } catch {
          throw StartFailure("\(place): '\(name)': \(error.reason)")
        }
      }
    }
  }

  private mutating func include(
    _ words: [String], at place: String, depth: Int
  ) throws(StartFailure) {
    guard words.count == 1 else {
      throw StartFailure("\(place): 'include': wrong number of arguments")
    }
    guard depth < Self.includeDepth else {
      throw StartFailure("\(place): 'include': files include each other too deeply")
    }
    for path in Files.matching(words[0]) {
      guard let text = Files.read(path) else {
        throw StartFailure("\(place): 'include': cannot read \(path)")
      }
      try read(text: text, of: path, depth: depth + 1)
    }
  }

  /// One setting, and what Redis knows beside settings.
  private mutating func set(_ name: String, _ words: [String]) throws(SettingError) {
    switch name.lowercased() {
    case "user": throw SettingError(reason: "there are no access control lists yet")
    case "loadmodule": throw SettingError(reason: "there are no modules")
    case "sentinel": throw SettingError(reason: "tern is no sentinel")
    case "save":
      // Without a word it means none, as an empty one does; several lines add up.
      let words = words.isEmpty ? [""] : words
      let before = hasSavePoints && words != [""] ? values.value(of: name) ?? "" : ""
      let points = before.split(separator: " ").map(String.init)
      try values.set(name, words: points + words)
      hasSavePoints = true
    default: try values.set(name, words: words)
    }
  }

  /// Takes over a flag of the command line and its words.
  public mutating func set(flag name: String, to words: [String]) throws(StartFailure) {
    do throws(SettingError) {
      if name.lowercased() == "include" {
        throw SettingError(reason: "a file cannot be included from here")
      }
      try set(name, words)
    } catch {
      // Nor is what follows a misspelt name shown: it may be a password.
      let isShown = Settings.hasSetting(name) && !Settings.isSecret(name)
      let shown = ([name] + (isShown ? words : [])).joined(separator: " ")
      throw StartFailure("--\(shown): \(error.reason)")
    }
  }

  /// Takes over the words of a command line: a file at most, and flags `--name word` or `--name=word`; settings that take several words
  /// have those up to the next flag.
  public mutating func read(commandLine words: [String]) throws(StartFailure) {
    var flags: [(name: String, words: [String])] = []
    var files: [String] = []
    for word in words {
      if word.hasPrefix("--"), word.utf8.count > 2 {
        let parts = word.dropFirst(2).split(
          separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        flags.append((String(parts[0]), parts.dropFirst().map(String.init)))
      } else if flags.isEmpty {
        files.append(word)
      } else if flags[flags.count - 1].words.isEmpty
        || Settings.takesSeveralWords(flags[flags.count - 1].name)
      {
        flags[flags.count - 1].words.append(word)
      } else if Settings.isSecret(flags[flags.count - 1].name) {
        // The rest of a password without quotes; it is no file, and not to be shown.
        throw StartFailure("--\(flags[flags.count - 1].name): wrong number of arguments")
      } else {
        files.append(word)
      }
    }
    if files.count > 1 {
      throw StartFailure("one configuration file at most: \(files.joined(separator: ", "))")
    }
    if let path = files.first { try read(file: path) }
    hasSavePoints = false
    for flag in flags { try set(flag: flag.name, to: flag.words) }
  }
}

/// The version that `tern --version` tells.
public enum ServerVersion {
  /// Tern's version, and the Redis version that it presents itself as.
  public static var text: String { "\(TernVersion.tern) (Redis \(TernVersion.redis))" }
}

/// Standard output and error, unbuffered: whoever waits for `ready` reads it at once.
public enum Standard {
  /// Writes a text whole, as far as the other end takes it.
  public static func write(_ text: String, to file: Int32) {
    let bytes = Array(text.utf8)
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if count <= 0 { return }
      offset += count
    }
  }
}
