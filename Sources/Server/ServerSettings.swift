public import Engine
internal import Glibc
internal import Reactor

/// Settings on their way from defaults, file and flags to a running server.
public struct ServerSettings: Sendable {
  /// The settings so far.
  public var values: Settings

  /// The defaults on this machine: as many workers as processors, and at least four shards.
  public static func defaults() -> ServerSettings {
    var values = Settings()
    let cores = max(1, Machine.availableCPUs.count)
    values.workers = cores
    values.shards = max(4, cores)
    return ServerSettings(values: values)
  }

  /// Takes over what a file in redis.conf syntax says. An error names file and line.
  public mutating func read(file path: String) throws(StartFailure) {
    guard let text = Files.read(path) else {
      throw StartFailure("cannot read the configuration file \(path)")
    }
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      guard let words = Self.words(of: line) else {
        throw StartFailure("\(path), line \(index + 1): unbalanced quotes")
      }
      guard let name = words.first else { continue }
      do throws(SettingError) {
        try values.set(name, to: words.dropFirst().joined(separator: " "))
      } catch {
        throw StartFailure("\(path), line \(index + 1): '\(name)': \(error.reason)")
      }
    }
  }

  /// Takes over a flag of the command line.
  public mutating func set(flag name: String, to value: String) throws(StartFailure) {
    do throws(SettingError) { try values.set(name, to: value) } catch {
      throw StartFailure("--\(name) \(value): \(error.reason)")
    }
  }

  /// The words of a line, quotes taken away; none for an empty line or a comment; nil if quotes are left open.
  private static func words(of line: Substring) -> [String]? {
    let trimmed = line.drop { $0 == " " || $0 == "\t" }
    if trimmed.first == "#" { return [] }
    var words: [String] = []
    var word = ""
    var isInWord = false
    var quote: Character? = nil
    for character in trimmed where character != "\r" {
      if let open = quote {
        if character == open { quote = nil } else { word.append(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        isInWord = true
      } else if character == " " || character == "\t" {
        if isInWord { words.append(word) }
        word = ""
        isInWord = false
      } else {
        word.append(character)
        isInWord = true
      }
    }
    if quote != nil { return nil }
    if isInWord { words.append(word) }
    return words
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
