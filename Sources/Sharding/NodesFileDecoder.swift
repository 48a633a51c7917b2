/// Reads a `nodes.conf` from its first line to its last, and stops at the first thing wrong.
struct NodesFileDecoder {
  private typealias Words = [ArraySlice<UInt8>]

  private let bytes: [UInt8]
  /// Where the next line begins.
  private var position = 0
  /// The number of the line read last.
  private var line = 0

  private var shards: [ClusterShard] = []
  /// The line of each shard.
  private var lines: [Int] = []
  private var owners = SlotOwners()
  private var nodeIDs: Set<NodeID> = []
  private var addresses: Set<String> = []

  /// A decoder at the beginning of a file.
  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The topology of the whole file.
  mutating func topology() throws(NodesFileError) -> Topology {
    try head()
    while true {
      let words = try words()
      if NodesFileDecoder.text(words[0]) == "vars" { return try variables(words) }
      try shard(words)
    }
  }

  private mutating func head() throws(NodesFileError) {
    let start = Array("tern-nodes ".utf8)
    guard bytes.starts(with: start) else { throw error(.notANodesFile, line: 1) }
    let words = try words()
    guard words.count == 2, let version: Int = NodesFileDecoder.number(words[1]) else {
      throw error(.notANodesFile)
    }
    guard version == NodesFile.version else { throw error(.unknownVersion) }
  }

  /// node id, address, `shard` n `generation` n `epoch` n `slots` and ranges.
  private mutating func shard(_ words: Words) throws(NodesFileError) {
    guard words.count >= 9,
      NodesFileDecoder.text(words[2]) == "shard",
      NodesFileDecoder.text(words[4]) == "generation",
      NodesFileDecoder.text(words[6]) == "epoch",
      NodesFileDecoder.text(words[8]) == "slots"
    else { throw error(.badLine) }
    guard shards.count < ClusterMap.maxShardCount else { throw error(.tooManyShards) }
    guard let nodeID = NodeID(hexadecimal: words[0]) else { throw error(.badNodeID) }
    guard let address = NodesFileDecoder.address(words[1]) else { throw error(.badAddress) }
    guard let number: UInt16 = NodesFileDecoder.number(words[3]), number > 0 else {
      throw error(.badShardNumber)
    }
    guard let generation: UInt32 = NodesFileDecoder.number(words[5]), generation > 0 else {
      throw error(.badGeneration)
    }
    guard let epoch: UInt64 = NodesFileDecoder.number(words[7]) else { throw error(.badEpoch) }
    if let last = shards.last, last.id.number >= number { throw error(.shardsOutOfOrder) }
    guard nodeIDs.insert(nodeID).inserted else { throw error(.duplicateNodeID) }
    guard addresses.insert("\(address.host):\(address.port)").inserted else {
      throw error(.duplicateAddress)
    }
    try slots(words[9...])
    shards.append(
      ClusterShard(
        id: ShardID(number: number, generation: generation), nodeID: nodeID, address: address,
        epoch: ConfigEpoch(epoch)))
    lines.append(line)
  }

  /// The ranges of the shard that is about to be the last one.
  private mutating func slots(_ words: ArraySlice<ArraySlice<UInt8>>) throws(NodesFileError) {
    // Ranges that touch would have been written as one.
    var lowest = 0
    for word in words {
      let ends = word.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
      guard ends.count <= 2,
        let first: Int = NodesFileDecoder.number(ends[0]),
        let last: Int = ends.count == 1 ? first : NodesFileDecoder.number(ends[1]),
        first >= lowest, ends.count == 1 || first < last, last < HashSlot.count
      else { throw error(.badSlots) }
      for number in first...last {
        let slot = HashSlot(UInt16(number))
        guard owners[slot] == nil else { throw error(.overlappingSlots) }
        owners[slot] = shards.count
      }
      lowest = last + 2
    }
  }

  /// The variables and, as nothing comes between them, the checksum.
  private mutating func variables(_ words: Words) throws(NodesFileError) -> Topology {
    let own = NodesFile.Variable.allCases
    guard words.count % 2 == 1 else { throw error(.badVariable) }
    guard words.count > 2 * own.count,
      own.enumerated().allSatisfy({
        NodesFileDecoder.text(words[2 * $0.offset + 1]) == $0.element.rawValue
      })
    else { throw error(.missingVariable) }
    guard let epoch: UInt64 = NodesFileDecoder.number(words[2]) else { throw error(.badEpoch) }
    guard let lastGeneration: UInt32 = NodesFileDecoder.number(words[4]), lastGeneration > 0 else {
      throw error(.badGeneration)
    }
    guard words[6].count == 32,
      let first = NodesFileDecoder.hexadecimal(words[6].prefix(16)),
      let second = NodesFileDecoder.hexadecimal(words[6].suffix(16))
    else { throw error(.badHashSeed) }
    var variables: [TopologyVariable] = []
    var names: Set<String> = Set(own.map(\.rawValue))
    for index in stride(from: 7, to: words.count, by: 2) {
      let name = NodesFileDecoder.text(words[index])
      guard names.insert(name).inserted else { throw error(.duplicateVariable) }
      let value = NodesFileDecoder.text(words[index + 1])
      guard let variable = TopologyVariable(name: name, value: value) else {
        throw error(.badVariable)
      }
      variables.append(variable)
    }
    guard !shards.isEmpty else { throw error(.noShards) }
    for (shard, line) in zip(shards, lines) {
      guard shard.epoch.number <= epoch else { throw error(.epochAfterCurrent, line: line) }
      guard shard.id.generation <= lastGeneration else {
        throw error(.generationAfterLast, line: line)
      }
    }
    try end()
    return Topology(
      hashSeed: HashSeed(first, second), epoch: ConfigEpoch(epoch), lastGeneration: lastGeneration,
      shards: shards, owners: owners, variables: variables)
  }

  private mutating func end() throws(NodesFileError) {
    let sum = NodesFile.checksum(bytes[..<position])
    let words = try words()
    guard words.count == 2, NodesFileDecoder.text(words[0]) == "checksum" else {
      throw error(.badLine)
    }
    guard words[1].count == 16, NodesFileDecoder.hexadecimal(words[1]) == sum else {
      throw error(.badChecksum)
    }
    guard position == bytes.count else { throw error(.afterTheEnd, line: line + 1) }
  }

  /// The words of the next line, at least one, none of them empty unless spaces are doubled.
  private mutating func words() throws(NodesFileError) -> Words {
    line += 1
    guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
      throw error(.truncated)
    }
    let words = bytes[position..<end].split(
      separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    position = end + 1
    return words
  }

  private func error(_ reason: NodesFileError.Reason, line: Int? = nil) -> NodesFileError {
    NodesFileError(line: line ?? self.line, reason: reason)
  }
}

// MARK: Words

extension NodesFileDecoder {
  private static func text(_ word: ArraySlice<UInt8>) -> String {
    String(decoding: word, as: UTF8.self)
  }

  /// A number in decimal digits, without a sign or leading zeros, if it fits.
  private static func number<Number: FixedWidthInteger>(_ word: ArraySlice<UInt8>) -> Number? {
    guard let first = word.first, first != UInt8(ascii: "0") || word.count == 1,
      word.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return Number(text(word))
  }

  /// A number of at most 64 bits in small hexadecimal digits, leading zeros allowed.
  private static func hexadecimal(_ word: ArraySlice<UInt8>) -> UInt64? {
    let isDigit = { (byte: UInt8) in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
    guard word.allSatisfy(isDigit) else { return nil }
    return UInt64(text(word), radix: 16)
  }

  /// `host:port@busPort[,hostname]`; the host may have colons of its own.
  private static func address(_ word: ArraySlice<UInt8>) -> EndpointAddress? {
    guard let at = word.firstIndex(of: UInt8(ascii: "@")),
      let colon = word[..<at].lastIndex(of: UInt8(ascii: ":")),
      let port: UInt16 = number(word[(colon + 1)..<at])
    else { return nil }
    let comma = word[at...].firstIndex(of: UInt8(ascii: ","))
    let hostname = comma.map { text(word[($0 + 1)...]) }
    let busPort: UInt16? = number(word[(at + 1)..<(comma ?? word.endIndex)])
    guard
      let address = EndpointAddress(
        host: text(word[..<colon]), port: port, hostname: hostname),
      address.busPort == busPort
    else { return nil }
    return address
  }
}
