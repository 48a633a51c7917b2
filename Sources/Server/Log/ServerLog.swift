public import Engine
internal import Glibc
public import Logging
internal import Reactor
internal import Synchronization

// The log: one line an event, for people and for tools.
//
//   2026-11-21T15:54:01.123Z notice tern[4711] settings changed names="hz timeout" client=17
//
// time in UTC, level, process, what happened, and `key=value` pairs; a value with blanks, quotes or control characters stands in
// quotes, with the escapes of a configuration file, so that an event is one line whatever a client has sent. Nothing is logged on the
// way of a command.
//
// Lines are written by a thread of their own (`LogWriter`): nobody waits for the log. Its file can be moved away at any time, and the next
// line begins a new one, as with Redis.

/// The log of a server. Levels and names are those of redis.conf; swift-log carries the events.
public final class ServerLog: Sendable {
  /// Where lines go.
  public enum Target: Sendable {
    /// Standard output, or a file by its path, each line with time, level and process.
    case standardOutput
    case file(String)
    /// A function, which gets each event's text and values alone.
    case lines(@Sendable (String) -> Void)
  }

  /// What events are given to.
  public let logger: Logger
  private let sink: LogSink

  /// A log with a level.
  public init(_ target: Target, level: LogLevel = .notice) {
    let sink = LogSink(target, level: level)
    self.sink = sink
    logger = Logger(label: "tern", factory: { _ in LineLogHandler(sink: sink) })
  }

  /// The log that settings ask for. Throws if its file cannot be written.
  public static func open(_ settings: Settings) throws(StartFailure) -> ServerLog {
    if settings.logFile.isEmpty { return ServerLog(.standardOutput, level: settings.logLevel) }
    let path = Files.absolute(settings.logFile)
    let file = LogSink.open(path)
    guard file >= 0 else {
      throw StartFailure(
        unsafe "cannot open the log file \(path): \(String(cString: strerror(errno)))")
    }
    close(file)
    return ServerLog(.file(path), level: settings.logLevel)
  }

  /// Lines that were dropped because nobody took them.
  public var droppedLineCount: Int { sink.writer?.droppedCount ?? 0 }

  /// Waits until what was logged is written, a second at most.
  public func flush() { sink.writer?.flush(milliseconds: 1000) }

  /// How much is logged from now on.
  public var level: LogLevel {
    get { sink.level }
    set { sink.level = newValue }
  }

  /// An event of the lowest level: details for who looks for a mistake.
  public func debug(_ message: String, _ values: KeyValuePairs<String, String> = [:]) {
    log(.debug, message, values)
  }

  /// An event that is rarely of interest.
  public func verbose(_ message: String, _ values: KeyValuePairs<String, String> = [:]) {
    log(.info, message, values)
  }

  /// An event that an operator wants to know of.
  public func notice(_ message: String, _ values: KeyValuePairs<String, String> = [:]) {
    log(.notice, message, values)
  }

  /// An event that an operator has to do something about.
  public func warning(_ message: String, _ values: KeyValuePairs<String, String> = [:]) {
    log(.warning, message, values)
  }

  private func log(
    _ level: Logger.Level, _ message: String, _ values: KeyValuePairs<String, String>
  ) {
    var metadata: Logger.Metadata = [:]
    for (key, value) in values { metadata[key] = .string(value) }
    logger.log(level: level, "\(message)", metadata: metadata)
  }
}

/// Where lines go, and from which level on: shared by all copies of a logger.
final class LogSink: Sendable {
  private let report: @Sendable (String) -> Void
  /// Who writes the lines, if they are more than texts for a function.
  let writer: LogWriter?
  private let place: Atomic<Int>

  init(_ target: ServerLog.Target, level: LogLevel) {
    switch target {
    case .lines(let report): (self.report, writer) = (report, nil)
    case .standardOutput: (report, writer) = ({ _ in }, LogWriter(to: .standardOutput))
    case .file(let path): (report, writer) = ({ _ in }, LogWriter(to: .file(path)))
    }
    place = Atomic(Self.place(of: level))
  }

  private static func place(of level: LogLevel) -> Int {
    LogLevel.allCases.firstIndex(of: level) ?? 0
  }

  /// How much is logged.
  var level: LogLevel {
    get { LogLevel.allCases[place.load(ordering: .relaxed)] }
    set { place.store(Self.place(of: newValue), ordering: .relaxed) }
  }

  /// Writes an event.
  func write(level: String, _ text: String) {
    if let writer { writer.write(Self.line(level, text)) } else { report(text) }
  }

  /// Opens a file to append to; below 0 if that fails.
  static func open(_ path: String) -> Int32 {
    unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
  }

  /// An event as a line of the log.
  static func line(_ level: String, _ text: String) -> String {
    "\(Timestamp.text(ofUnixMicroseconds: SystemClock.unixMicroseconds)) \(level) tern[\(getpid())] \(text)\n"
  }
}

/// swift-log's way to a sink.
struct LineLogHandler: LogHandler {
  let sink: LogSink
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider? = nil

  init(sink: LogSink) { self.sink = sink }

  /// The sink's: one level for the process.
  var logLevel: Logger.Level {
    get {
      switch sink.level {
      case .debug: .trace
      case .verbose: .info
      case .notice: .notice
      case .warning: .warning
      }
    }
    set {}
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(metadataProvider?.get() ?? [:]) { _, new in new }
      .merging(event.metadata ?? [:]) { _, new in new }
    var text = Self.escaped("\(event.message)")
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      text += " \(key)=\(Self.shown("\(value)"))"
    }
    sink.write(level: Self.name(event.level), text)
  }

  private static func name(_ level: Logger.Level) -> String {
    switch level {
    case .trace, .debug: "debug"
    case .info: "verbose"
    case .notice: "notice"
    case .warning: "warning"
    case .error, .critical: "error"
    }
  }

  /// A value, in quotes where it could be taken for something else.
  private static func shown(_ value: String) -> String {
    let isPlain =
      !value.isEmpty
      && value.utf8.allSatisfy {
        $0 > 32 && $0 != 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
      }
    return isPlain ? value : ConfigurationLine.quoted(value)
  }

  /// A message without control characters.
  private static func escaped(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) { return text }
    return String(ConfigurationLine.quoted(text).dropFirst().dropLast())
  }
}

/// A moment as ISO 8601 writes it, in UTC.
public enum Timestamp {
  /// Such as `2026-01-31T12:00:00.000Z`.
  public static func text(ofUnixMicroseconds microseconds: Int64) -> String {
    let seconds = Int(microseconds / 1_000_000)
    let time = seconds % 86400
    let date = date(ofDay: seconds / 86400)
    return "\(date.year)-\(two(date.month))-\(two(date.day))T"
      + "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60))"
      + ".\(padded(Int(microseconds / 1000 % 1000), 3))Z"
  }

  /// The date of a day since 1970-01-01. Years begin in March here, so that a leap day is the last of its year.
  private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
    // Days since the March of year 0; 400 years are 146 097 days.
    let days = day + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let isNextYear = month >= 10
    return (
      era * 400 + yearOfEra + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3,
      dayOfYear - (153 * month + 2) / 5 + 1
    )
  }

  private static func two(_ number: Int) -> String { padded(number, 2) }

  private static func padded(_ number: Int, _ count: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
  }
}
