// Configuration files: syntax, includes, what is wrong with them, and flags.
import Engine
import Foundation
import TestSupport
import Testing

@testable import Server

/// What is wrong with a text, as a file `c`; nil = nothing.
func failure(of text: String) -> String? {
  var settings = ServerSettings.defaults()
  do throws(StartFailure) {
    try settings.read(text: text, of: "c", depth: 0)
    return nil
  } catch { return error.description }
}

@Suite struct ConfigurationFileTests {
  private func settings(_ text: String) throws -> Settings {
    var settings = ServerSettings.defaults()
    try settings.read(text: text, of: "c", depth: 0)
    return settings.values
  }

  /// A directory of its own, removed afterwards.
  private func inDirectory(_ body: (String) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(directory.path())
  }

  @Test func everyFormOfALine() throws {
    let read = try settings(
      """
      # a comment
         # another

      port 7100\r
      \tMaxMemory\t 2gb
      bind 127.0.0.1 ::1
      requirepass "a \\"b\\" \\x41\\n"
      logfile 'it''s'
      """.replacingOccurrences(of: "'it''s'", with: "'it\\'s'"))
    #expect(read.port == 7100)
    #expect(read.maxMemory == 2 << 30)
    #expect(read.bind == ["127.0.0.1", "::1"])
    #expect(read.requirePass == "a \"b\" A\n")
    #expect(read.logFile == "it's")
  }

  @Test func severalLinesOfOneSetting() throws {
    let read = try settings(
      """
      hz 20
      save 900 1
      hz 30
      save 300 10 60 5
      client-output-buffer-limit normal 1mb 2kb 3
      client-output-buffer-limit replica 4 5 6
      rename-command FLUSHALL ""
      rename-command CONFIG cfg
      """)
    #expect(read.hz == 30)
    #expect(read.value(of: "save") == "900 1 300 10 60 5")
    #expect(
      read.value(of: "client-output-buffer-limit")
        == "normal 1048576 2048 3 slave 4 5 6 pubsub 33554432 8388608 60")
    #expect(
      read.renamedCommands == [
        RenamedCommand(command: "flushall", name: ""),
        RenamedCommand(command: "config", name: "cfg"),
      ])
    #expect(try settings("save 900 1\nsave \"\"\nsave 1 1\n").value(of: "save") == "1 1")
    #expect(try settings("save 900 1\nsave\nsave 1 1\n").value(of: "save") == "1 1")
    #expect(try settings("save\n").value(of: "save") == "")
  }

  @Test(arguments: [
    ("hz 10\nnosuch 1\n", "c, line 2: 'nosuch': Bad directive or wrong number of arguments"),
    ("appendonyl yes", "c, line 1: 'appendonyl': unknown setting, did you mean 'appendonly'?"),
    ("hz ten", "c, line 1: 'hz': argument couldn't be parsed into an integer"),
    ("hz", "c, line 1: 'hz': wrong number of arguments"),
    ("hz 1 2", "c, line 1: 'hz': wrong number of arguments"),
    ("\n\nlogfile \"x\n", "c, line 3: unbalanced quotes"),
    ("logfile \"x\"y", "c, line 1: unbalanced quotes"),
    ("include", "c, line 1: 'include': wrong number of arguments"),
    ("include /no/such/file", "c, line 1: 'include': cannot read /no/such/file"),
    ("rename-command nosuch x", "c, line 1: 'rename-command': No such command in rename-command"),
    (
      "rename-command get SET",
      "c, line 1: 'rename-command': Target command name already exists"
    ),
    ("appendonly maybe", "c, line 1: 'appendonly': argument must be 'yes' or 'no'"),
    ("cluster-enabled no", "c, line 1: 'cluster-enabled': only 'yes' is supported"),
    ("loadmodule x.so", "c, line 1: 'loadmodule': there are no modules"),
  ]) func whatIsWrong(text: String, expected: String) {
    #expect(failure(of: text) == expected)
  }

  @Test func filesWithinFiles() throws {
    try inDirectory { directory in
      func write(_ name: String, _ text: String) throws {
        try text.write(toFile: directory + "/" + name, atomically: false, encoding: .utf8)
      }
      try write("main.conf", "hz 11\ninclude \(directory)/part*.conf\ntimeout 5\n")
      try write("part1.conf", "hz 12\ntimeout 4\n")
      try write("part2.conf", "maxclients 99\ninclude \(directory)/none*.conf\n")
      var settings = ServerSettings.defaults()
      try settings.read(file: directory + "/main.conf")
      #expect(settings.values.hz == 12)
      #expect(settings.values.timeoutSeconds == 5)
      #expect(settings.values.maxClients == 99)
      #expect(settings.file == directory + "/main.conf")

      try write("part2.conf", "maxclients 0\n")
      #expect(throws: StartFailure.self) { try settings.read(file: directory + "/main.conf") }
      do throws(StartFailure) { try settings.read(file: directory + "/main.conf") } catch {
        #expect(error.description.hasPrefix("\(directory)/part2.conf, line 1: 'maxclients'"))
      }
      try write("part2.conf", "include \(directory)/part2.conf\n")
      do throws(StartFailure) { try settings.read(file: directory + "/part2.conf") } catch {
        #expect(error.description.hasSuffix("files include each other too deeply"))
      }
    }
  }

  @Test func flags() throws {
    var settings = ServerSettings.defaults()
    try settings.read(commandLine: [
      "--port", "7200", "--save", "3600", "1", "--bind=::1", "--maxmemory", "1mb",
      "--slowlog-log-slower-than", "-1",
    ])
    #expect(settings.values.port == 7200)
    #expect(settings.values.value(of: "save") == "3600 1")
    #expect(settings.values.bind == ["::1"])
    #expect(settings.values.slowlogLogSlowerThan == -1)
    #expect(settings.file == "")
    for (words, expected) in [
      (["--port", "x"], "--port x: argument couldn't be parsed into an integer"),
      (["--nosuch"], "--nosuch: Bad directive or wrong number of arguments"),
      (["--port"], "--port: wrong number of arguments"),
      (["a", "b"], "one configuration file at most: a, b"),
      (["a", "--hz", "10", "b"], "one configuration file at most: a, b"),
      (["--hz", "10", "/no/such"], "cannot read the configuration file /no/such"),
      (["/no/such"], "cannot read the configuration file /no/such"),
      // What may be a password is not repeated.
      (["--requirepas", "x"], "--requirepas: unknown setting, did you mean 'requirepass'?"),
      (["--prot", "1"], "--prot: unknown setting, did you mean 'port'?"),
      (["--requirepass=\u{FFFD}"], "--requirepass: the password must be UTF-8"),
      (["--requirepass", "two", "words"], "--requirepass: wrong number of arguments"),
      (["--masterauth=x", "words"], "--masterauth: wrong number of arguments"),
      (["--rename-command", "nosuch", "x"], "--rename-command: No such command in rename-command"),
    ] {
      do throws(StartFailure) {
        try settings.read(commandLine: words)
        Issue.record("\(words) was taken")
      } catch { #expect(error.description == expected) }
    }
  }

  /// The file changes wholly or not at all, and keeps its permissions.
  @Test func rewritten() throws {
    try inDirectory { directory in
      let path = directory + "/tern.conf"
      try "# mine\nhz 20\n".write(toFile: path, atomically: false, encoding: .utf8)
      #expect(chmod(path, 0o600) == 0)
      var settings = ServerSettings.defaults()
      try settings.read(file: path)
      settings.values.hz = 30
      settings.values.requirePass = "secret"
      let file = ConfigurationFile(path: path)
      #expect(file.rewrite(settings.values) == nil)
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(
        text == "# mine\nhz 30\n\n# Generated by CONFIG REWRITE\nrequirepass \"secret\"\n")
      #expect(Files.mode(of: path) == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["tern.conf"])
      #expect(
        ConfigurationFile(path: directory + "/no/file").rewrite(settings.values)?
          .hasPrefix("Rewriting config file: cannot create") == true)
      #expect(ConfigurationFile(path: "").rewrite(settings.values) != nil)
    }
  }

  /// What CONFIG REWRITE has written reads as the same settings.
  @Test func whatIsWrittenReadsTheSame() throws {
    var settings = ServerSettings.defaults().values
    for (name, value) in [
      ("maxmemory-clients", "7%"), ("save", "10 1 20 2"), ("logfile", "a \"b\"\n"),
      ("notify-keyspace-events", "KEA"), ("shutdown-on-sigterm", "save now"),
      ("client-output-buffer-limit", "pubsub 1kb 3 4"), ("oom-score-adj-values", "1 2 3"),
      ("latency-tracking-info-percentiles", "1 99.5"), ("maxmemory", "1536"), ("cpus", "0,2-3"),
      ("bind", "127.0.0.1 ::1"), ("list-max-ziplist-size", "-1"), ("replicaof", "host 1"),
    ] {
      try settings.set(name, to: value)
    }
    let text = settings.rewriting("", defaults: ServerSettings.defaults().values)
    #expect(try self.settings(text) == settings)
    #expect(settings.rewriting(text, defaults: ServerSettings.defaults().values) == text)
  }
}

@Suite struct ConfigurationFuzzTests {
  /// Random files never crash, and what is wrong with one names the file and a line of it.
  @Test(arguments: 1...8 as ClosedRange<UInt64>) func randomFiles(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let values = [
      "yes", "no", "0", "1", "-1", "10", "1gb", "99999999999999999999", "\"", "'", "\"a\\x4", "\\",
      "\"\"", "a b", "5%", "101%", "é", "\u{0}", "normal 1 2 3", "3600 1", "KEA", "{title}", "01",
      "volatile-lru", "save now", "127.0.0.1", "#", "\t", "\r", "\"\\xff\"", "0,1-3", "9-1", "777",
    ]
    let names =
      Settings.names + [
        "rename-command get", "include", "user", "nosuch", "", "#", "key-load-delay",
      ]
    var taken = 0
    for _ in 0..<1000 {
      var lines: [String] = []
      for _ in 0..<random.below(6) + 1 {
        let name = names[random.below(names.count)]
        let words = (0..<random.below(4)).map { _ in values[random.below(values.count)] }
        lines.append(([name] + words).joined(separator: random.below(9) == 0 ? "\t" : " "))
      }
      var text = Array(lines.joined(separator: "\n").utf8)
      for _ in 0..<random.below(3) where !text.isEmpty {
        text[random.below(text.count)] = UInt8(truncatingIfNeeded: random.next())
      }
      let said = failure(of: String(decoding: text, as: UTF8.self))
      guard let said else {
        taken += 1
        continue
      }
      let line = said.dropFirst("c, line ".count).prefix { $0.isNumber }
      let most = text.count { $0 == 10 } + 1
      #expect(said.hasPrefix("c, line "), "seed \(seed): \(said)")
      #expect((1...most).contains(Int(line) ?? 0), "seed \(seed): \(said)")
    }
    #expect(taken > 0, "seed \(seed)")
  }

  /// Any value of any setting is taken or refused; one that was taken is taken again as it is shown.
  @Test(arguments: 1...4 as ClosedRange<UInt64>) func randomValues(seed: UInt64) {
    var random = SplitMix(state: seed)
    let pieces = [
      "1", "0", "-", "9", " ", "gb", "k", "%", "yes", "no", "A", "K", ".", ",", "e", "save", "\"",
      "{", "}", "title", "normal", "é", "/",
    ]
    for name in Settings.names {
      for _ in 0..<40 {
        let value = (0..<random.below(6)).map { _ in pieces[random.below(pieces.count)] }.joined()
        var settings = Settings()
        guard (try? settings.set(name, to: value)) != nil else {
          #expect(settings == Settings(), "seed \(seed): \(name) \(value)")
          continue
        }
        let shown = settings.value(of: name) ?? ""
        var again = settings
        #expect((try? again.set(name, to: shown)) != nil, "seed \(seed): \(name) \(value) \(shown)")
        #expect(again == settings, "seed \(seed): \(name) \(value) \(shown)")
      }
    }
  }
}
