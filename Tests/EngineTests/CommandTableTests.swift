import RESP
import Storage
import Testing
import Transcript

@testable import Engine

@Suite struct CommandTableTests {
  @Test func idsAreIndices() {
    #expect(CommandTable.all.map { Int($0.id.rawValue) } == Array(CommandTable.all.indices))
    #expect(CommandTable.all.map(\.id) == CommandID.allCases)
    #expect(Set(CommandTable.all.map(\.name)).count == CommandTable.all.count)
  }

  @Test func everyNameIsFoundInAnyCase() {
    let lookup = CommandLookup()
    for command in CommandTable.all {
      let name = String(command.name.split(separator: "|").last ?? "")
      let container = command.container.map { Int16($0.rawValue) } ?? -1
      let mixed = String(
        name.enumerated().map { Character($0.0 % 2 == 0 ? $0.1.uppercased() : "\($0.1)") })
      for form in [name, name.uppercased(), mixed] {
        #expect(lookup.command(Array(form.utf8).span.bytes, of: container) == command.id)
      }
      for wrong in [name + "x", String(name.dropLast()), name + "\0"] {
        let found = lookup.command(Array(wrong.utf8).span.bytes, of: container)
        #expect(found != command.id)
      }
      // A subcommand is none without its container, or with another.
      if command.container != nil {
        let alone = lookup.command(Array(name.utf8).span.bytes)
        #expect(alone.map { CommandTable.all[Int($0.rawValue)].container == nil } ?? true)
      }
    }
    #expect(lookup.command([UInt8]().span.bytes) == nil)
    #expect(lookup.command([UInt8](repeating: 65, count: 24).span.bytes) == nil)
    #expect(CommandTable.all.count * 3 <= CommandLookup.mask + 1)
  }

  @Test func attributesAreSane() {
    let containers = Set(CommandTable.all.compactMap(\.container))
    for command in CommandTable.all {
      let flags = command.flags
      #expect(command.arity != 0)
      #expect(!(flags.contains(.write) && flags.contains(.readonly)), "\(command.name)")
      #expect(!flags.contains(.denyoom) || flags.contains(.write), "\(command.name)")
      #expect(command.categories.contains(.fast) == flags.contains(.fast), "\(command.name)")
      #expect(command.categories.contains(.fast) != command.categories.contains(.slow))
      #expect(command.name == command.name.lowercased())
      #expect(!command.complexity.isEmpty && !command.since.isEmpty)
      let minimal = Int(abs(command.arity))
      let keys = command.keys
      if keys.first != 0 {
        #expect(keys.step > 0)
        #expect(keys.first < minimal, "\(command.name) may come without its first key")
        #expect(keys.last == -1 || keys.last >= keys.first)
        #expect(command.specifications.allSatisfy { !$0.use.isEmpty })
        // WATCH only takes note of its keys.
        let isData = flags.contains(.write) || flags.contains(.readonly)
        #expect(isData || command.id == .watch, "\(command.name)")
      } else {
        if case .byKey = command.router { Issue.record("\(command.name) has no key") }
        if case .fanOut = command.router { Issue.record("\(command.name) has no key") }
      }
      if let container = command.container {
        let name = CommandTable.all[Int(container.rawValue)].name
        #expect(command.name.hasPrefix(name + "|"))
        #expect(minimal >= 2)
        #expect(!containers.contains(command.id), "containers are not nested")
      } else {
        #expect(!command.name.contains("|"))
      }
    }
    // A container alone, but for COMMAND, is no command.
    for container in containers where container != .command {
      let command = CommandTable.all[Int(container.rawValue)]
      #expect(command.arity == -2)
      #expect(CommandTable.all.contains { $0.name == command.name + "|help" })
    }
  }

  /// Minimal arguments of every command, such that it answers anything; it may fail, but not trap, and it answers once.
  @Test func everyCommandDispatches() throws {
    for command in CommandTable.all {
      for version in ["2", "3"] {
        for count in 1...6 {
          var rig = try Rig()
          _ = rig.ask("HELLO", version)
          var words = command.name.split(separator: "|").map(String.init)
          while words.count < count { words.append(words.count % 2 == 0 ? "1" : "k") }
          let reply = rig.answers(to: request(words.map { Array($0.utf8) }))
          let all = try ReplyParser().parseAll(reply)
          let arity = Int(command.arity)
          let isContainerAlone = words.count == 1 && arity == -2 && command.container == nil
          if command.id == .shutdown, !shown(reply).hasPrefix("-") { continue }
          #expect(all.count == 1, "\(words)")
          let isWrongCount = arity >= 0 ? words.count != arity : words.count < -arity
          if isWrongCount || isContainerAlone {
            #expect(
              shown(reply) == "-ERR wrong number of arguments for '\(command.name)' command"
                || shown(reply).hasPrefix("-ERR unknown subcommand")
                || command.id == .exec && shown(reply).hasPrefix("-EXECABORT "), "\(words)")
          }
        }
      }
    }
  }

  /// Any arguments: no trap, exactly one reply a request that can be parsed, and all invariants.
  @Test(arguments: [1, 2, 3, 4]) func randomArguments(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Numbers(seed: seed)
    var rig = try Rig(map: .test(3), local: [1, 3])
    let words = [
      "k", "{k}1", "{k}2", "", "0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808",
      "99999999999999999999", "EX", "PX", "NX", "XX", "GT", "LT", "GET", "KEEPTTL", "EXAT", "PXAT",
      "COUNT", "MATCH", "TYPE", "*", "[a-", "\\", "string", "hz", "maxmemory", "100mb", "3", "2",
      "SETNAME", "AUTH", "default", "FILTERBY", "PATTERN", "ASYNC", "cluster", "all", "\r\n", "\0",
      String(repeating: "x", count: 300), "encoding", "help", "info",
    ]
    var clients = [rig.client, try rig.connect(to: 1), try rig.connect(to: nil)]
    // Those after which a request has no reply, or more than one.
    let others: [CommandID] = [
      .shutdown, .quit, .configSet, .wait, .waitaof, .monitor, .clientReply, .clientPause,
      .clientKill,
    ]
    let commands = CommandTable.all.filter { !others.contains($0.id) }
    for step in 0..<4000 {
      let command = commands[draw.below(commands.count)]
      var line = command.name.split(separator: "|").map { Array($0.utf8) }
      for _ in 0..<draw.below(6) { line.append(Array(words[draw.below(words.count)].utf8)) }
      let place = draw.below(clients.count)
      let reply = rig.answers(to: request(line), from: clients[place])
      let count = (try? ReplyParser().parseAll(reply).count) ?? -1
      #expect(count == 1, "\(line.map(quoted)): \(quoted(reply))")
      if step % 50 == 0 { rig.setTime(1_000_000 + Int64(step) * 100) }
      if step % 97 == 0 { _ = rig.housekeep() }
      if step % 500 == 0 {
        rig.engine.disconnect(clients[place])
        clients[place] = try rig.connect(to: place == 2 ? nil : place)
      }
    }
    rig.engine.keyspace.checkInvariants()
  }
}

/// Numbers from a seed.
struct Numbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
