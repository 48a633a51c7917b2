// The log's lines, its levels, and what it says of the machine.
import Engine
import Foundation
import Testing

@testable import Server

@Suite struct LogTests {
  private final class Lines: Sendable {
    private let lines = OSAllocatedLock()
    func add(_ line: String) { lines.add(line) }
    var all: [String] { lines.all }
  }

  /// A list behind a lock.
  private final class OSAllocatedLock: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []
    func add(_ line: String) { lock.withLock { lines.append(line) } }
    var all: [String] { lock.withLock { lines } }
  }

  @Test func anEventIsOneLine() {
    let lines = Lines()
    let log = ServerLog(.lines { lines.add($0) })
    log.notice("settings changed", ["names": "hz timeout", "a": "1", "z": "x\n\"y\"", "e": ""])
    #expect(
      lines.all == [#"settings changed a=1 e="" names="hz timeout" z="x\n\"y\"""#])
  }

  @Test func levels() {
    let lines = Lines()
    let log = ServerLog(.lines { lines.add($0) }, level: .notice)
    for level in LogLevel.allCases {
      log.level = level
      log.debug("d\(level)")
      log.verbose("v\(level)")
      log.notice("n\(level)")
      log.warning("w\(level)")
    }
    #expect(
      lines.all == [
        "ddebug", "vdebug", "ndebug", "wdebug", "vverbose", "nverbose", "wverbose", "nnotice",
        "wnotice", "wwarning",
      ])
  }

  @Test func aFileMayBeMovedAway() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
    defer {
      try? FileManager.default.removeItem(atPath: path)
      try? FileManager.default.removeItem(atPath: path + ".1")
    }
    var settings = Settings()
    settings.logFile = path
    let log = try ServerLog.open(settings)
    log.notice("one")
    log.flush()
    try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
    log.warning("two", ["a": "b"])
    log.flush()
    let first = try String(contentsOfFile: path + ".1", encoding: .utf8)
    let second = try String(contentsOfFile: path, encoding: .utf8)
    #expect(first.hasSuffix(" notice tern[\(getpid())] one\n"))
    #expect(second.hasSuffix(" warning tern[\(getpid())] two a=b\n"))
    #expect(second.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [^\n]*\n/) != nil)
    settings.logFile = "/no/such/directory/log"
    #expect(throws: StartFailure.self) { try ServerLog.open(settings) }
  }

  /// A reader that stops costs nobody any time: lines are dropped, counted, and told when it goes on.
  @Test func nobodyReads() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
    #expect(mkfifo(path, 0o600) == 0)
    signal(SIGPIPE, SIG_IGN)
    defer { try? FileManager.default.removeItem(atPath: path) }
    // Both ends, so that opening waits for nobody; nothing is read yet.
    let pipe = open(path, O_RDWR | O_NONBLOCK)
    defer { close(pipe) }
    let log = ServerLog(.file(path))
    let text = String(repeating: "x", count: 1000)
    let began = ContinuousClock.now
    while log.droppedLineCount < 10 { log.notice(text) }
    #expect(ContinuousClock.now - began < .seconds(20))
    var read = ""
    var buffer = [UInt8](repeating: 0, count: 65536)
    while !read.contains("lines of the log are missing here") {
      log.notice("one more")
      let count = Glibc.read(pipe, &buffer, buffer.count)
      if count > 0 {
        read += String(decoding: buffer[..<count], as: UTF8.self)
      } else {
        usleep(1000)
      }
      if read.utf8.count > 4 << 20 { break }
    }
    let dropped = log.droppedLineCount
    #expect(read.contains("lines of the log are missing here") && dropped >= 10)
  }

  @Test func timestamps() {
    #expect(Timestamp.text(ofUnixMicroseconds: 0) == "1970-01-01T00:00:00.000Z")
    #expect(
      Timestamp.text(ofUnixMicroseconds: 1_709_210_096_007_999) == "2024-02-29T12:34:56.007Z")
  }

  @Test func whatStandsInTheWay() {
    var machine = SystemCheck.Machine(
      overcommit: "1\n", hugePages: "always [madvise] never\n", longestQueue: "511\n",
      openFiles: 20_000)
    #expect(SystemCheck.warnings(for: Settings(), machine) == [])
    machine = SystemCheck.Machine(
      overcommit: "0\n", hugePages: "[always] madvise never\n", longestQueue: "128\n",
      openFiles: 1024)
    let warnings = SystemCheck.warnings(for: Settings(), machine)
    #expect(warnings.count == 4)
    for (warning, word) in zip(warnings, ["open files", "overcommit", "huge pages", "somaxconn"]) {
      #expect(warning.contains(word))
    }
    #expect(SystemCheck.warnings(for: Settings(), SystemCheck.Machine()) == [])
  }
}
