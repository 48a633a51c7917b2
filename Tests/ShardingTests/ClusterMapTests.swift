import Sharding
import Testing

/// What one line of `CLUSTER NODES` says, by the rules of the clients that are strictest about it.
private struct Line {
  let id: String
  let host: String
  let port: Int
  let busPort: Int
  let hostname: String?
  let flags: [String]
  let epoch: Int
  let slots: [ClosedRange<Int>]
  let open: [String]

  init(_ line: Substring) throws {
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    try #require(words.count >= 8)
    id = String(words[0])
    let parts = words[1].split(separator: ",")
    let address = parts[0].split(separator: "@")
    try #require(address.count == 2 && parts.count <= 2)
    let colon = try #require(address[0].lastIndex(of: ":"))
    host = String(address[0][..<colon])
    port = try #require(Int(address[0][colon...].dropFirst()))
    busPort = try #require(Int(address[1]))
    hostname = parts.count == 2 ? String(parts[1]) : nil
    flags = words[2].split(separator: ",").map(String.init)
    #expect(words[3] == "-" && Int(words[4]) != nil && Int(words[5]) != nil)
    epoch = try #require(Int(words[6]))
    #expect(words[7] == "connected")
    let rest = words[8...]
    open = rest.filter { $0.hasPrefix("[") }.map(String.init)
    slots = rest.filter { !$0.hasPrefix("[") }.map { range in
      let ends = range.split(separator: "-").map { Int($0) ?? -1 }
      return ends[0]...(ends.count == 2 ? ends[1] : ends[0])
    }
  }
}

private func lines(_ text: String) throws -> [Line] {
  #expect(text.hasSuffix("\n"))
  return try text.split(separator: "\n").map { try Line($0) }
}

private let maps: [ClusterMap] = [
  .test(1), .test(3), .test(500), .scattered(7, seed: 3), .scattered(100, seed: 4),
  .scattered(5, seed: 5, holes: 3),
  .uniform(
    epoch: ConfigEpoch(4),
    shards: [.test(1, hostname: "a.example.org"), .test(2), .test(9, hostname: "b")]),
  ClusterMap(epoch: ConfigEpoch(0), shards: [.test(1, epoch: 0)], owners: SlotOwners()),
]

@Suite struct ClusterMapTests {
  /// Byte for byte what redis-server 7.0.15 sends for this topology, put in our order of shards.
  @Test func asRedisSendsIt() throws {
    let ids = [
      "1225ac5d3a04d5077feeffc49aa529c0eadefe7e", "c6da975f6b34b2e0da36ca64f96acbc5eb17f200",
      "f20d91f811ce6126c285fa06307ccdb3b247c855",
    ]
    let shards = try ids.enumerated().map { index, id in
      ClusterShard(
        id: ShardID(number: UInt16(index + 1), generation: 1),
        nodeID: try #require(NodeID(hexadecimal: Array(id.utf8))),
        address: try #require(
          EndpointAddress(
            host: "127.0.0.1", port: UInt16(7401 + index),
            hostname: index == 1 ? "host-b.example.org" : nil)),
        epoch: ConfigEpoch(UInt64(index + 1)))
    }
    var owners = SlotOwners.uniform(shardCount: 3)
    owners[HashSlot(12182)] = nil
    owners[HashSlot(12184)] = nil
    let map = ClusterMap(epoch: ConfigEpoch(3), shards: shards, owners: owners)
    let entry = { (first: Int, last: Int, index: Int, resp3: Bool) in
      let metadata =
        index == 1
        ? (resp3 ? "%1" : "*2") + "\r\n$8\r\nhostname\r\n$18\r\nhost-b.example.org\r\n"
        : resp3 ? "%0\r\n" : "*0\r\n"
      return "*3\r\n:\(first)\r\n:\(last)\r\n*4\r\n$9\r\n127.0.0.1\r\n:\(7401 + index)\r\n"
        + "$40\r\n\(ids[index])\r\n" + metadata
    }
    for resp3 in [false, true] {
      #expect(
        text(map.slotsReply(resp3: resp3))
          == "*5\r\n" + entry(0, 5460, 0, resp3) + entry(5461, 10922, 1, resp3)
          + entry(10923, 12181, 2, resp3) + entry(12183, 12183, 2, resp3)
          + entry(12185, 16383, 2, resp3))
    }
    let shard = { (slots: [Int], index: Int, resp3: Bool) in
      (resp3 ? "%2" : "*4") + "\r\n$5\r\nslots\r\n*\(slots.count)\r\n"
        + slots.map { ":\($0)\r\n" }.joined() + "$5\r\nnodes\r\n*1\r\n"
        + (resp3 ? "%" : "*") + "\((index == 1 ? 8 : 7) * (resp3 ? 1 : 2))\r\n"
        + "$2\r\nid\r\n$40\r\n\(ids[index])\r\n$4\r\nport\r\n:\(7401 + index)\r\n"
        + "$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n"
        + (index == 1 ? "$8\r\nhostname\r\n$18\r\nhost-b.example.org\r\n" : "")
        + "$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n"
        + "$6\r\nhealth\r\n$6\r\nonline\r\n"
    }
    for resp3 in [false, true] {
      #expect(
        text(map.shardsReply(resp3: resp3))
          == "*3\r\n" + shard([0, 5460], 0, resp3) + shard([5461, 10922], 1, resp3)
          + shard([10923, 12181, 12183, 12183, 12185, 16383], 2, resp3))
    }
    let nodes = """
      \(ids[0]) 127.0.0.1:7401@17401 master - 0 0 1 connected 0-5460
      \(ids[1]) 127.0.0.1:7402@17402,host-b.example.org master - 0 0 2 connected 5461-10922
      \(ids[2]) 127.0.0.1:7403@17403 myself,master - 0 0 3 connected 10923-12181 12183 12185-16383

      """
    #expect(
      text(map.nodesReply(from: shards[2].id, resp3: false).joined())
        == "$\(nodes.utf8.count)\r\n\(nodes)\r\n")
    #expect(
      text(map.nodesReply(from: shards[2].id, resp3: true).joined())
        == "=\(nodes.utf8.count + 4)\r\ntxt:\(nodes)\r\n")
    #expect(text(map.redirect(for: HashSlot(12183))) == "-MOVED 12183 127.0.0.1:7403\r\n")
    #expect(text(map.redirect(for: HashSlot(12182))) == "-CLUSTERDOWN Hash slot not served\r\n")
    #expect(
      text(map.ask(HashSlot(12182), of: shards[0].id)) == "-ASK 12182 127.0.0.1:7401\r\n")
    let gone = ShardID(number: 1, generation: 2)
    #expect(map.ask(HashSlot(12182), of: gone) == ErrorReply.tryAgain)
    let info =
      "cluster_state:fail\r\ncluster_slots_assigned:16382\r\ncluster_slots_ok:16382\r\n"
      + "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:3\r\n"
      + "cluster_size:3\r\ncluster_current_epoch:3\r\ncluster_my_epoch:2\r\n"
      + "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
      + "total_cluster_links_buffer_limit_exceeded:0\r\n"
    #expect(
      text(map.infoReply(from: shards[1].id, resp3: false))
        == "$\(info.utf8.count)\r\n\(info)\r\n")
    #expect(Reply(map.infoReply(from: shards[1].id, resp3: true)) == .verbatim(info))
  }

  /// Byte for byte what redis-server 7.0.15 sends where `cluster-preferred-endpoint-type` is another, one of two names being unknown.
  @Test func endpointsAsRedisSendsThem() throws {
    let shards = [ClusterShard.test(1, hostname: "a.example"), .test(2)]
    let ids = shards.map { "\($0.nodeID)" }
    let map = { (endpoints: EndpointType) in
      ClusterMap(
        epoch: ConfigEpoch(2), shards: shards, owners: .uniform(shardCount: 2),
        endpoints: endpoints)
    }
    let entry = { (slots: (Int, Int), endpoint: String, index: Int, metadata: String) -> String in
      "*3\r\n:\(slots.0)\r\n:\(slots.1)\r\n*4\r\n\(endpoint)\r\n:\(7001 + index)\r\n"
        + "$40\r\n\(ids[index])\r\n\(metadata)"
    }
    let ip = "$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
    let name = "$8\r\nhostname\r\n$9\r\na.example\r\n"
    let byName = map(.hostname)
    for (resp3, one) in [(false, "*2\r\n"), (true, "%1\r\n")] {
      let expected =
        "*2\r\n" + entry((0, 8191), "$9\r\na.example", 0, one + ip)
        + entry((8192, 16383), "$1\r\n?", 1, one + ip)
      #expect(text(byName.slotsReply(resp3: resp3)) == expected)
    }
    #expect(text(byName.redirect(for: HashSlot(1))) == "-MOVED 1 a.example:7001\r\n")
    #expect(text(byName.redirect(for: HashSlot(9000))) == "-MOVED 9000 ?:7002\r\n")
    #expect(text(byName.ask(HashSlot(1), of: shards[0].id)) == "-ASK 1 a.example:7001\r\n")
    let unknown = map(.unknown)
    let expected2 =
      "*2\r\n" + entry((0, 8191), "$-1", 0, "*4\r\n" + ip + name)
      + entry((8192, 16383), "$-1", 1, "*2\r\n" + ip)
    #expect(text(unknown.slotsReply(resp3: false)) == expected2)
    let expected3 =
      "*2\r\n" + entry((0, 8191), "_", 0, "%2\r\n" + ip + name)
      + entry((8192, 16383), "_", 1, "%1\r\n" + ip)
    #expect(text(unknown.slotsReply(resp3: true)) == expected3)
    #expect(text(unknown.redirect(for: HashSlot(1))) == "-MOVED 1 :7001\r\n")
    let flip = byName.assigning([SlotRange(HashSlot(1), HashSlot(1))], to: shards[1].id)
    #expect(flip.endpoints == .hostname)
    for (map, endpoints) in [(byName, ["a.example", "?"]), (unknown, ["", ""])] {
      for resp3 in [false, true] {
        let entries = Reply(map.shardsReply(resp3: resp3))?.elements ?? []
        let nodes = entries.compactMap { $0["nodes"]?.elements?.first }
        #expect(nodes.map { $0["endpoint"]?.text } == endpoints)
        #expect(nodes.map { $0["ip"]?.text } == ["127.0.0.1", "127.0.0.1"])
        #expect(nodes.map { $0["hostname"]?.text } == ["a.example", nil])
      }
    }
  }

  @Test(arguments: maps) func slotsSayTheMap(_ map: ClusterMap) throws {
    for resp3 in [false, true] {
      let entries = try #require(Reply(map.slotsReply(resp3: resp3))?.elements)
      let indexes = Dictionary(
        uniqueKeysWithValues: map.shards.enumerated().map { ("\($1.nodeID)", $0) })
      var owners = SlotOwners()
      let wrong = entries.filter { entry in
        guard let parts = entry.elements, parts.count == 3,
          let node = parts[2].elements, node.count == 4,
          let index = node[2].text.flatMap({ indexes[$0] }),
          let first = parts[0].integer.flatMap({ HashSlot(exactly: $0) }),
          let last = parts[1].integer.flatMap({ HashSlot(exactly: $0) })
        else { return true }
        owners.assign(SlotRange(first, last), to: index)
        let address = map.shards[index].address
        let isMap = if case .map = node[3] { true } else { false }
        return node[0].text != address.host || node[1].integer != Int(address.port)
          || node[3]["hostname"]?.text != address.hostname || isMap != resp3
      }
      #expect(wrong.isEmpty)
      #expect(owners == map.owners)
      #expect(entries.count == map.owners.ranges.count)
    }
  }

  @Test(arguments: maps) func shardsSayTheMap(_ map: ClusterMap) throws {
    for resp3 in [false, true] {
      let entries = try #require(Reply(map.shardsReply(resp3: resp3))?.elements)
      try #require(entries.count == map.shards.count)
      var owners = SlotOwners()
      for (index, (entry, shard)) in zip(entries, map.shards).enumerated() {
        let ends = try #require(entry["slots"]?.elements).compactMap(\.integer)
        for place in stride(from: 0, to: ends.count, by: 2) {
          guard let first = HashSlot(exactly: ends[place]),
            let last = HashSlot(exactly: ends[place + 1])
          else { continue }
          owners.assign(SlotRange(first, last), to: index)
        }
        let nodes = try #require(entry["nodes"]?.elements)
        try #require(nodes.count == 1)
        #expect(nodes[0]["id"]?.text == "\(shard.nodeID)")
        #expect(nodes[0]["endpoint"]?.text == shard.address.host)
        #expect(nodes[0]["ip"]?.text == shard.address.host)
        #expect(nodes[0]["port"]?.integer == Int(shard.address.port))
        #expect(nodes[0]["hostname"]?.text == shard.address.hostname)
        #expect(nodes[0]["role"]?.text == "master")
        #expect(nodes[0]["health"]?.text == "online")
      }
      #expect(owners == map.owners)
    }
  }

  @Test(arguments: maps) func nodesSayTheMap(_ map: ClusterMap) throws {
    var withoutMyself: Set<String> = []
    for (myself, shard) in map.shards.enumerated() where myself % 97 == 1 || myself == 0 {
      for resp3 in [false, true] {
        let reply = Reply(Array(map.nodesReply(from: shard.id, resp3: resp3).joined()))
        if case .verbatim? = reply { #expect(resp3) } else { #expect(!resp3) }
        let text = try #require(reply?.text)
        let lines = try lines(text)
        try #require(lines.count == map.shards.count)
        var owners = SlotOwners()
        for (index, (line, shard)) in zip(lines, map.shards).enumerated() {
          #expect(line.id == "\(shard.nodeID)" && line.id.count == 40)
          #expect(line.host == shard.address.host && line.port == Int(shard.address.port))
          #expect(line.busPort == Int(shard.address.port) + 10000)
          #expect(line.hostname == shard.address.hostname)
          #expect(line.flags == (index == myself ? ["myself", "master"] : ["master"]))
          #expect(line.epoch == Int(shard.epoch.number))
          #expect(line.open.isEmpty)
          for range in line.slots {
            guard let first = HashSlot(exactly: range.lowerBound),
              let last = HashSlot(exactly: range.upperBound)
            else { continue }
            owners.assign(SlotRange(first, last), to: index)
          }
        }
        #expect(owners == map.owners)
        withoutMyself.insert(
          text.split(separator: "\n").map {
            $0.split(separator: " ").map { $0 == "myself,master" ? "master" : $0 }
              .joined(separator: " ")
          }.joined(separator: "\n"))
      }
    }
    // All shards say the same but for who they are.
    #expect(withoutMyself.count == 1)
  }

  @Test func openSlotsStandInTheOwnLine() throws {
    let map = ClusterMap.test(3)
    for (index, shard) in map.shards.enumerated() {
      let open: [OpenSlot] = [
        .migrating(HashSlot(93), to: .test(7)), .importing(HashSlot(16383), from: .test(8)),
      ]
      for resp3 in [false, true] {
        let pieces = map.nodesReply(from: shard.id, resp3: resp3, openSlots: open)
        let lines = try lines(try #require(Reply(Array(pieces.joined()))?.text))
        for (other, line) in lines.enumerated() {
          #expect(
            line.open
              == (other == index
                ? ["[93->-\(NodeID.test(7))]", "[16383-<-\(NodeID.test(8))]"] : []))
        }
      }
    }
  }

  @Test(arguments: maps) func infoSaysTheMap(_ map: ClusterMap) throws {
    for shard in map.shards.prefix(3) {
      let text = try #require(Reply(map.infoReply(from: shard.id, resp3: false))?.text)
      #expect(Reply(map.infoReply(from: shard.id, resp3: true)) == .verbatim(text))
      let pairs = text.split(separator: "\r\n").map { $0.split(separator: ":").map(String.init) }
      let fields = Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], $0[1]) })
      let assigned = map.owners.ranges.reduce(0) { $0 + $1.range.count }
      #expect(map.assignedSlotCount == assigned)
      #expect(fields["cluster_state"] == (assigned == 16384 ? "ok" : "fail"))
      #expect(fields["cluster_slots_assigned"] == "\(assigned)")
      #expect(fields["cluster_known_nodes"] == "\(map.shards.count)")
      #expect(fields["cluster_size"] == "\(Set(map.owners.ranges.map(\.owner)).count)")
      #expect(fields["cluster_current_epoch"] == "\(map.epoch.number)")
      #expect(fields["cluster_my_epoch"] == "\(shard.epoch.number)")
      #expect(fields.count == 12)
    }
  }

  @Test(arguments: maps) func redirectsNameTheOwner(_ map: ClusterMap) {
    let wrong = (0..<UInt16(16384)).filter { number in
      let slot = HashSlot(number)
      guard let owner = map.owners[slot] else {
        return map.owner(of: slot) != nil || map.redirect(for: slot) != ErrorReply.clusterDown
      }
      let port = 7000 + map.shards[owner].id.number
      return map.owner(of: slot) != map.shards[owner].id
        || map.redirect(for: slot) != Array("-MOVED \(number) 127.0.0.1:\(port)\r\n".utf8)
    }
    #expect(wrong.isEmpty)
  }

  @Test func shardsAreFoundByNumberAndGeneration() {
    let numbers = [1, 2, 3, 5, 8, 13, 400]
    let map = ClusterMap.uniform(
      epoch: ConfigEpoch(1), shards: numbers.map { .test($0, generation: 4) })
    for number in 1...401 {
      #expect(
        map.index(of: ShardID(number: UInt16(number), generation: 4))
          == numbers.firstIndex(of: number))
      #expect(map.index(of: ShardID(number: UInt16(number), generation: 3)) == nil)
    }
  }

  /// A removed shard's port still answers: as the first shard, so that there is a `myself`.
  @Test func aShardThatHasLeft() throws {
    let map = ClusterMap.test(3)
    let gone = ShardID(number: 2, generation: 9)
    let first = map.shards[0].id
    for resp3 in [false, true] {
      let open = [OpenSlot.migrating(HashSlot(1), to: .test(1))]
      #expect(
        Array(map.nodesReply(from: gone, resp3: resp3, openSlots: open).joined())
          == Array(map.nodesReply(from: first, resp3: resp3).joined()))
      #expect(map.infoReply(from: gone, resp3: resp3) == map.infoReply(from: first, resp3: resp3))
    }
  }

  @Test func aFlipMovesSlotsAndEpochs() {
    let map = ClusterMap.test(4)
    let target = map.shards[3].id
    let next = map.assigning(
      [SlotRange(HashSlot(0), HashSlot(9)), SlotRange(HashSlot(20), HashSlot(20))], to: target)
    #expect(next.epoch == map.epoch.next)
    #expect(next.shards.map(\.epoch.number) == [1, 1, 1, 2])
    let wrong = (0..<UInt16(16384)).filter { number in
      let moved = number < 10 || number == 20
      let slot = HashSlot(number)
      return next.owner(of: slot) != (moved ? target : map.owner(of: slot))
    }
    #expect(wrong.isEmpty)
    #expect(next.ranges(ofShardAt: 3).first == SlotRange(HashSlot(0), HashSlot(9)))
  }
}
