internal import RESP

/// From the name of a command, as it came over the wire, to its id.
///
/// A name is packed into a `Word` (three integers, letters in upper case) and looked up in an open-addressed table of 1024 places, at
/// most a third full: one multiplication and, as a rule, one comparison. No string is made. Subcommands lie in the same table, told
/// apart by their container.
struct CommandLookup: ~Copyable {
  private struct Place {
    var word: Word
    /// The command's index in the table, −1 where the place is free.
    var id: Int16 = -1
    /// The container's index, −1 for what is no subcommand.
    var container: Int16 = -1
  }

  private var places: [Place]
  /// Commands that were given a name that is longer than a `Word`.
  private var longNames: [[UInt8]: CommandID] = [:]
  /// For each command its name for clients; nil if it was taken away. Those of subcommands are their containers'.
  private(set) var names: [String?] = []
  static let mask = 1023

  init(renamed: [RenamedCommand] = []) {
    places = Array(repeating: Place(word: ""), count: Self.mask + 1)
    let newNames = Settings.commandNames(renamed)
    names = CommandTable.all.map {
      let name = newNames[Int(($0.container ?? $0.id).rawValue)]
      return name.isEmpty ? nil : name
    }
    for command in CommandTable.all {
      let ownName = String(command.name.split(separator: "|").last ?? "")
      let newName = command.container == nil ? newNames[Int(command.id.rawValue)] : ownName
      if newName.isEmpty { continue }
      let name = Array(newName.utf8)
      guard let word = Word(name.rawBytes) else {
        longNames[name] = command.id
        continue
      }
      let container = command.container.map { Int16($0.rawValue) } ?? -1
      var i = Self.place(word, container)
      while places[i].id >= 0 { i = (i + 1) & Self.mask }
      places[i] = Place(word: word, id: Int16(command.id.rawValue), container: container)
    }
  }

  @inline(__always)
  private static func place(_ word: Word, _ container: Int16) -> Int {
    let mixed =
      (word.low ^ (word.middle &* 31) ^ UInt64(UInt16(bitPattern: container)))
      &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed >> 54)
  }

  /// The command of that name, whatever its case, or the subcommand of `container`; nil if there is none.
  @inline(__always)
  func command(_ name: RawSpan, of container: Int16 = -1) -> CommandID? {
    guard let word = Word(name) else { return longNames.isEmpty ? nil : long(name, container) }
    var i = Self.place(word, container)
    while places[i].id >= 0 {
      if places[i].word == word, places[i].container == container {
        return CommandID(rawValue: UInt8(truncatingIfNeeded: places[i].id))
      }
      i = (i + 1) & Self.mask
    }
    return nil
  }
}

extension CommandLookup {
  /// The commands and subcommands that clients can call.
  var available: [Command] { CommandTable.all.filter { names[Int($0.id.rawValue)] != nil } }

  /// The command of a full name: `name`, or `container|subcommand`. As in Redis only its first part can have been renamed.
  func command(fullName: RawSpan) -> Command? {
    let parts = Engine.bytes(of: fullName).split(
      separator: UInt8(ascii: "|"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let id = command(Array(parts[0]).rawBytes) else { return nil }
    if parts.count == 1 { return CommandTable.all[Int(id.rawValue)] }
    guard let id = command(Array(parts[1]).rawBytes, of: Int16(id.rawValue)) else { return nil }
    return CommandTable.all[Int(id.rawValue)]
  }

  /// The name of a command for clients, in upper case: of a subcommand its container's.
  func shownName(of id: CommandID) -> String {
    let command = CommandTable.all[Int(id.rawValue)]
    let name =
      names[Int(id.rawValue)] ?? CommandTable.all[Int((command.container ?? id).rawValue)].name
    return name.uppercased()
  }

  /// The command of a long name.
  @inline(never)
  private func long(_ name: RawSpan, _ container: Int16) -> CommandID? {
    if container >= 0 { return nil }
    return longNames[Array(Engine.text(of: name).lowercased().utf8)]
  }
}

/// The part of a command's attributes that the way of a command reads, in 8 bytes.
struct HotCommand {
  /// Number of arguments with the name; negative: at least so many.
  var arity: Int8
  /// Index of the first key; 0 = none.
  var firstKey: Int8
  /// Index of the last key; −1 = the last argument.
  var lastKey: Int8
  /// Distance from key to key.
  var step: Int8
  /// See `Attention`.
  var attention: Attention

  init(_ command: Command) {
    arity = command.arity
    firstKey = command.keys.first
    lastKey = command.keys.last
    step = max(1, command.keys.step)
    attention = []
    if command.flags.contains(.denyoom) { attention.insert(.deniedWithoutMemory) }
    if CommandTable.all.contains(where: { $0.container == command.id }), command.id != .command {
      attention.insert(.needsSubcommand)
    }
    if CommandTable.all.contains(where: { $0.container == command.id }) {
      attention.insert(.container)
    }
    if command.flags.contains(.asking) { attention.insert(.asking) }
    if command.id == .sort { lastKey = Self.storedKey }
    // Its options tell where its keys are: it looks for them itself.
    if command.id == .migrate { firstKey = 0 }
    if case .allShards = command.router { attention.insert(.wholeKeyspace) }
    if command.id == .info { attention.remove(.wholeKeyspace) }
    if command.flags.contains(.noMulti) { attention.insert(.notInMulti) }
    if command.flags.contains(.readonly) { attention.insert(.readsOnly) }
    // Redis does not call the last ones fast because of the values that they free: here a large one is freed in slices.
    if command.flags.contains(.fast) || [.set, .setex, .psetex, .del].contains(command.id) {
      attention.insert(.brief)
    }
  }

  /// In `lastKey`: the only other key is the one that SORT stores to.
  static let storedKey = Int8.min

  /// What the way of a command must look at before it runs one.
  struct Attention: OptionSet {
    let rawValue: UInt8
    static let deniedWithoutMemory = Attention(rawValue: 1)
    static let container = Attention(rawValue: 2)
    static let needsSubcommand = Attention(rawValue: 4)
    /// Concerns all keys of a shard: refused at the configuration endpoint.
    static let wholeKeyspace = Attention(rawValue: 8)
    /// Runs as if ASKING had been sent before it.
    static let asking = Attention(rawValue: 16)
    /// Refused in MULTI.
    static let notInMulti = Attention(rawValue: 32)
    /// Has no effect that others could see.
    static let readsOnly = Attention(rawValue: 64)
    /// Its work is no more than its request and its reply are long.
    static let brief = Attention(rawValue: 128)
  }
}
