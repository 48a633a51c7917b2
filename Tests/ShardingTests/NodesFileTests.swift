import Testing

@testable import Sharding

private func topology(_ map: ClusterMap, variables: [TopologyVariable] = []) -> Topology {
  Topology(
    hashSeed: HashSeed(0x0123_4567_89AB_CDEF, 7), epoch: map.epoch, lastGeneration: 3,
    shards: map.shards, owners: map.owners, variables: variables)
}

/// The lines of a file, its checksum put right.
private func file(_ lines: [String]) -> [UInt8] {
  var bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
  let sum = NodesFile.checksum(bytes[...])
  bytes.append("checksum ")
  bytes.append(hexadecimal: sum)
  bytes.append("\n")
  return bytes
}

private func error(_ bytes: [UInt8]) -> NodesFileError? {
  do throws(NodesFileError) {
    _ = try NodesFile.decode(bytes)
    return nil
  } catch {
    return error
  }
}

private let idA = String(repeating: "a", count: 40)
private let idB = String(repeating: "b", count: 40)
private let head = "tern-nodes 1"
private let lineA = "\(idA) 127.0.0.1:7001@17001 shard 1 generation 1 epoch 3 slots 0-99 102"
private let lineB =
  "\(idB) ::1:7002@17002,b.example shard 2 generation 2 epoch 4 slots 100 104-200"
private let vars =
  "vars currentEpoch 4 lastGeneration 2 hashSeed 00112233445566778899aabbccddeeff colour blue"

@Suite struct NodesFileTests {
  @Test func roundTrips() throws {
    let variables = try [("name", "value"), ("x.y-z", "a=b,c")].map {
      try #require(TopologyVariable(name: $0.0, value: $0.1))
    }
    let maps: [ClusterMap] = [
      .test(1), .test(3), .test(600), .scattered(50, seed: 6), .scattered(4, seed: 7, holes: 2),
      .uniform(
        epoch: ConfigEpoch(.max),
        shards: [.test(1, hostname: "a.example"), .test(300, generation: 3, epoch: .max)]),
      ClusterMap(epoch: ConfigEpoch(1), shards: [.test(5)], owners: SlotOwners()),
    ]
    for map in maps {
      for variables in [[], variables] {
        let topology = topology(map, variables: variables)
        let bytes = NodesFile.encode(topology)
        let decoded = try NodesFile.decode(bytes)
        #expect(decoded == topology)
        #expect(NodesFile.encode(decoded) == bytes)
        #expect(decoded.map.slotsReply(resp3: true) == map.slotsReply(resp3: true))
      }
    }
  }

  @Test func readsWhatTheEssayShows() throws {
    let topology = try NodesFile.decode(file([head, lineA, lineB, vars]))
    #expect(topology.shards.map(\.id.number) == [1, 2])
    #expect(topology.shards[1].address.host == "::1")
    #expect(topology.shards[1].address.hostname == "b.example")
    #expect(topology.owners[HashSlot(100)] == 1)
    #expect(topology.owners[HashSlot(102)] == 0)
    #expect(topology.hashSeed == HashSeed(0x0011_2233_4455_6677, 0x8899_AABB_CCDD_EEFF))
    #expect(topology.variables == [TopologyVariable(name: "colour", value: "blue")])
    #expect(NodesFile.encode(topology) == file([head, lineA, lineB, vars]))
  }

  @Test func saysWhatIsWrongAndWhere() {
    typealias Reason = NodesFileError.Reason
    let replaced = { (line: String, old: String, new: String) -> String in
      let parts = line.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
      return parts.joined(separator: new)
    }
    let cases: [([String], Int, Reason)] = [
      (["tern-nodes 2", lineA, vars], 1, .unknownVersion),
      (["tern-nodes x", lineA, vars], 1, .notANodesFile),
      (["something else"], 1, .notANodesFile),
      ([head, vars], 2, .noShards),
      ([head, "", vars], 2, .badLine),
      ([head, "\(idA) more", vars], 2, .badLine),
      ([head, replaced(lineA, "aaa", "aaA"), vars], 2, .badNodeID),
      ([head, replaced(lineA, ":7001", ":0"), vars], 2, .badAddress),
      ([head, replaced(lineA, ":7001", ":70001"), vars], 2, .badAddress),
      ([head, replaced(lineA, "@17001", "@17002"), vars], 2, .badAddress),
      ([head, replaced(lineA, "@17001", "@17001,"), vars], 2, .badAddress),
      ([head, replaced(lineA, "127.0.0.1", ""), vars], 2, .badAddress),
      ([head, replaced(lineA, "shard 1", "shard 0"), vars], 2, .badShardNumber),
      ([head, replaced(lineA, "shard 1", "shard 65536"), vars], 2, .badShardNumber),
      ([head, replaced(lineA, "shard 1", "shard +1"), vars], 2, .badShardNumber),
      ([head, replaced(lineA, "generation 1", "generation 0"), vars], 2, .badGeneration),
      ([head, replaced(lineA, "generation 1", "generation 3"), vars], 2, .generationAfterLast),
      ([head, replaced(lineA, "epoch 3", "epoch -3"), vars], 2, .badEpoch),
      ([head, replaced(lineA, "epoch 3", "epoch 03"), vars], 2, .badEpoch),
      ([head, replaced(lineA, "epoch 3", "epoch 18446744073709551616"), vars], 2, .badEpoch),
      ([head, replaced(lineA, "epoch 3", "epoch 5"), vars], 2, .epochAfterCurrent),
      ([head, lineB, lineA, vars], 3, .shardsOutOfOrder),
      ([head, lineA, lineA, vars], 3, .shardsOutOfOrder),
      ([head, lineA, replaced(lineB, idB, idA), vars], 3, .duplicateNodeID),
      (
        [head, lineA, replaced(lineB, "::1:7002@17002", "127.0.0.1:7001@17001"), vars], 3,
        .duplicateAddress
      ),
      ([head, lineA, replaced(lineB, "100", "99"), vars], 3, .overlappingSlots),
      ([head, replaced(lineA, "0-99", "99-0"), vars], 2, .badSlots),
      ([head, replaced(lineA, "0-99", "0-0"), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", "100"), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", "99"), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", "16384"), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", ""), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", "1-2-3"), vars], 2, .badSlots),
      ([head, replaced(lineA, "102", "9223372036854775808"), vars], 2, .badSlots),
      ([head, lineA, lineB, vars + " odd"], 4, .badVariable),
      ([head, lineA, lineB, vars + "  x"], 4, .badVariable),
      ([head, lineA, lineB, vars + " a \u{7F}"], 4, .badVariable),
      ([head, lineA, lineB, vars + " colour red"], 4, .duplicateVariable),
      ([head, lineA, lineB, vars + " hashSeed 1"], 4, .duplicateVariable),
      ([head, lineA, lineB, "vars"], 4, .missingVariable),
      ([head, lineA, lineB, replaced(vars, "currentEpoch", "epoch")], 4, .missingVariable),
      ([head, lineA, lineB, replaced(vars, "Epoch 4", "Epoch x")], 4, .badEpoch),
      ([head, lineA, lineB, replaced(vars, "ation 2", "ation 0")], 4, .badGeneration),
      ([head, lineA, lineB, replaced(vars, "0011", "001")], 4, .badHashSeed),
      ([head, lineA, lineB, replaced(vars, "0011", "+011")], 4, .badHashSeed),
      ([head, lineA, lineB, vars, "more"], 5, .badLine),
    ]
    for (lines, line, reason) in cases {
      #expect(error(file(lines)) == NodesFileError(line: line, reason: reason), "\(lines)")
    }
    let whole = file([head, lineA, lineB, vars])
    #expect(error(whole) == nil)
    #expect(error([]) == NodesFileError(line: 1, reason: .notANodesFile))
    #expect(error(whole + [10]) == NodesFileError(line: 6, reason: .afterTheEnd))
    #expect(error(whole.dropLast(2) + [103, 10]) == NodesFileError(line: 5, reason: .badChecksum))
    #expect(
      error(Array(repeating: 10, count: NodesFile.maxByteCount + 1))
        == NodesFileError(line: 1, reason: .tooLong))
    #expect(
      "\(NodesFileError(line: 5, reason: .badChecksum))"
        == "nodes.conf, line 5: the checksum does not fit the lines above it")
  }

  @Test func everyCutIsRefused() {
    let whole = file([head, lineA, lineB, vars])
    for count in 0..<whole.count { #expect(error(Array(whole.prefix(count))) != nil, "\(count)") }
  }

  @Test func everyChangedByteIsRefused() {
    let whole = file([head, lineA, lineB, vars])
    for position in whole.indices {
      for change: UInt8 in [1, 0x20, 0xFF] {
        var bytes = whole
        bytes[position] ^= change
        #expect(error(bytes) != nil, "byte \(position), \(change)")
      }
    }
  }

  /// Files mangled at random, their checksum right or not, are refused or mean something that is
  /// written the same way again; nothing traps.
  @Test(arguments: [11, 12, 13] as [UInt64]) func mutations(seed: UInt64) throws {
    var numbers = Numbers(seed: seed)
    let start = [head, lineA, lineB, vars].map { Array($0.utf8) }
    let words = [
      "0", "1", "16383", "16384", "65536", "-", "0-16383", "9999999999999999999999", " ", "\n",
      "vars", "checksum", "shard", ":", "@", ",", "\r", "", "slots", "{", idA, "\u{0}", "ü",
    ].map { Array($0.utf8) }
    var decodedCount = 0
    for _ in 0..<700 {
      var lines = start
      for _ in 0...Int.random(in: 0..<3, using: &numbers) {
        let line = lines.indices.randomElement(using: &numbers)!
        let place = Int.random(in: 0...lines[line].count, using: &numbers)
        let end = min(lines[line].count, place + Int.random(in: 0..<6, using: &numbers))
        switch Int.random(in: 0..<6, using: &numbers) {
        case 0: lines[line].removeSubrange(place..<end)
        case 1: lines[line].insert(contentsOf: words.randomElement(using: &numbers)!, at: place)
        case 2:
          lines[line].replaceSubrange(
            place..<end, with: words.randomElement(using: &numbers)!)
        case 3: lines.swapAt(line, lines.indices.randomElement(using: &numbers)!)
        case 4: lines.insert(lines[line], at: line)
        default:
          if place < lines[line].count {
            lines[line][place] = UInt8.random(in: 0...255, using: &numbers)
          }
        }
      }
      let body = lines.joined(separator: [10]) + [10]
      var bytes = Array(body)
      bytes.append("checksum ")
      bytes.append(hexadecimal: NodesFile.checksum(Array(body)[...]))
      bytes.append("\n")
      if let topology = try? NodesFile.decode(bytes) {
        decodedCount += 1
        #expect(NodesFile.encode(topology) == bytes)
      }
      bytes[Int.random(in: 0..<bytes.count, using: &numbers)] ^= 1
      #expect(error(bytes) != nil)
    }
    // Most mutations are nonsense, some are other topologies.
    #expect((10..<500).contains(decodedCount), "\(decodedCount) decoded, seed \(seed)")
  }
}
