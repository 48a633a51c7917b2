import Glibc
import Synchronization
import Tern
import Testing

/// Clusters in this process, most of them without sockets. One after the other: some count the process's threads.
@Suite(.serialized) struct ClusterTests {
  private func settings(_ shards: Int, workers: Int = 2) -> ClusterSettings {
    var settings = ClusterSettings()
    settings.shards = shards
    settings.workers = workers
    return settings
  }

  /// The numbers of the process's threads that are workers of a cluster.
  private func workerThreads() -> [String] {
    names(in: "/proc/self/task").filter {
      text(of: "/proc/self/task/\($0)/comm").hasPrefix("tern-worker")
    }
  }

  /// How many worker threads there are, once they are that many, or after 5 s: a thread that was joined is seen in /proc a moment longer.
  private func workerThreads(awaiting count: Int) async -> Int {
    for _ in 0..<5000 {
      // Not to be counted twice: a thread of another suite may come in between.
      if workerThreads().count == count { return count }
      try? await Task.sleep(for: .milliseconds(1))
    }
    return workerThreads().count
  }

  private func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  private func text(of path: String) -> String {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  /// A directory that is not there yet.
  private func newDirectory() -> String { "/tmp/tern-test-\(UInt64.random(in: 0 ... .max))" }

  private func remove(_ directory: String) {
    for name in names(in: directory) { unlink("\(directory)/\(name)") }
    rmdir(directory)
  }

  @Test func typedCommands() async throws {
    let cluster = try await Cluster.start(settings(3))
    #expect(cluster.endpoints.isEmpty)
    #expect(cluster.shards.map(\.number) == [1, 2, 3])
    let shard = cluster.shard(for: "{a}1")
    #expect(shard.number == cluster.shard(for: "a").number)
    try await shard.run { turn throws(TernError) in
      try turn.set("{a}1", "v")
      try turn.set("{a}2", "41")
      #expect(try turn.get("{a}1") == "v")
      #expect(try turn.get("{a}2") == "41")
      #expect(try turn.get("{a}3") == nil)
      let number = Array("{a}2".utf8)
      #expect(try turn.increment(number.span.bytes) == 42)
      #expect(try turn.increment(number.span.bytes, by: -50) == -8)
      #expect(try turn.get("{a}2") == "-8")
      #expect(try turn.exists(number.span.bytes))
      #expect(try turn.expire(number.span.bytes, after: 60_000))
      #expect(turn.statistics.expiringKeys == 1)
      #expect(try turn.expire(number.span.bytes, after: 0))
      #expect(try !turn.exists(number.span.bytes))
      #expect(try !turn.delete(number.span.bytes))
      #expect(turn.statistics.keys == 1)
      #expect(turn.statistics.bytes > 0)
      #expect(try turn.delete(Array("{a}1".utf8).span.bytes))
      #expect(turn.statistics.keys == 0)
    }
    await cluster.shutdown()
  }

  @Test func errorsAreTyped() async throws {
    let cluster = try await Cluster.start(settings(2))
    let shard = cluster.shard(for: "a")
    await #expect(throws: TernError.notAnInteger) {
      try await shard.run { turn throws(TernError) in
        try turn.set("a", "x")
        return try turn.increment(Array("a".utf8).span.bytes)
      }
    }
    await #expect(throws: TernError.overflow) {
      try await shard.run { turn throws(TernError) in
        try turn.set("a", "9223372036854775807")
        return try turn.increment(Array("a".utf8).span.bytes)
      }
    }
    for milliseconds in [Int64.max, 0, -1, .min] {
      await #expect(throws: TernError.invalidExpiry) {
        try await shard.run { turn throws(TernError) in
          try turn.set("a", "x", expiringAfter: milliseconds)
        }
      }
    }
    // What was thrown has changed nothing.
    #expect(
      try await shard.run { turn throws(TernError) in try turn.get("a") } == "9223372036854775807")
    for number in [0, 3, -1, .max] {
      await #expect(throws: TernError.noSuchShard(number)) {
        try await cluster.shard(number).run { _ in }
      }
    }
    await cluster.shutdown()
  }

  /// A key of another shard: typed calls name the owner, requests are answered with MOVED.
  @Test func keysOfOtherShards() async throws {
    // One worker, so that the engine has the key's slot and must still say no.
    for workers in [1, 2] {
      let cluster = try await Cluster.start(settings(2, workers: workers))
      let owner = cluster.shard(for: "a")
      let other = cluster.shard(3 - owner.number)
      await #expect(throws: TernError.moved(toShard: owner.number)) {
        try await other.run { turn throws(TernError) in try turn.set("a", "x") }
      }
      let reply = try await other.run { turn throws(TernError) in
        try turn.execute(Array("GET a\r\n".utf8).span.bytes)
      }
      #expect(
        String(decoding: reply, as: UTF8.self)
          == "-MOVED 15495 127.0.0.1:\(7000 + owner.number)\r\n")
      // One key of many: nothing is given.
      var keys = KeyList()
      keys.append("{b}")
      keys.append("a")
      let list = keys
      await #expect(throws: TernError.moved(toShard: owner.number)) {
        try await other.run { turn throws(TernError) in
          try turn.get(list) { _, _ in Issue.record("given") }
        }
      }
      await cluster.shutdown()
    }
  }

  /// Requests as clients send them: cut, many, broken, larger than a reply queue, and those that the whole process must hear.
  @Test func requests() async throws {
    let cluster = try await Cluster.start(settings(1))
    let shard = cluster.shard(1)
    func ask(_ text: String) async throws -> String {
      try await shard.run { turn throws(TernError) in
        String(decoding: try turn.execute(Array(text.utf8).span.bytes), as: UTF8.self)
      }
    }
    #expect(try await ask("SET a 1\r\nINCR a\r\nGET a\r\n") == "+OK\r\n:2\r\n$1\r\n2\r\n")
    #expect(try await ask("*1\r\n$x\r\n").hasPrefix("-ERR Protocol error"))
    let cut = try await shard.run { turn throws(TernError) in
      let first = try turn.execute(Array("*1\r\n$4\r\nPI".utf8).span.bytes)
      let second = try turn.execute(Array("NG\r\nQUIT\r\nPING\r\n".utf8).span.bytes)
      let third = try turn.execute(Array("PING\r\n".utf8).span.bytes)
      return [first, second, third].map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(cut == ["", "+PONG\r\n+OK\r\n", "+PONG\r\n"])
    // 8 MiB of replies: 8 times what a client may have unsent.
    let value = String(repeating: "x", count: 1 << 20)
    try await shard.run { turn throws(TernError) in try turn.set("big", value) }
    let count = try await shard.run { turn throws(TernError) in
      var count = 0
      let requests = Array(String(repeating: "GET big\r\n", count: 8).utf8)
      try turn.execute(requests.span.bytes) { count += $0.byteCount }
      return count
    }
    #expect(count == 8 * (1 << 20 + 12))
    #expect(try await ask("CONFIG SET maxmemory 123456789\r\nPING\r\n") == "")
    var answer = ""
    while !answer.contains("123456789") { answer = try await ask("CONFIG GET maxmemory\r\n") }
    await cluster.shutdown()
  }

  /// Nobody comes between the calls of a turn, whatever tasks there are.
  @Test(arguments: [1, 2]) func turnsAreIsolated(workers: Int) async throws {
    let cluster = try await Cluster.start(settings(4, workers: workers))
    let tasks = 16
    let turns = 50
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        group.addTask {
          for turn in 0..<turns {
            let key = "counter:\((task + turn) % 8)"
            try await cluster.shard(for: key).run { turn throws(TernError) in
              // Read, then write: an update would be lost if another turn came between.
              let old = Int(try turn.get(key) ?? "0") ?? -1
              try turn.set(key, "\(old + 1)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    var sum = 0
    for i in 0..<8 {
      let key = "counter:\(i)"
      let value = try await cluster.shard(for: key).run { turn throws(TernError) in
        try turn.get(key)
      }
      sum += value.flatMap { Int($0) } ?? 0
    }
    #expect(sum == tasks * turns)
    await cluster.shutdown()
  }

  @Test func severalClusters() async throws {
    let before = await workerThreads(awaiting: 0)
    var clusters: [Cluster] = []
    for i in 1...4 { clusters.append(try await Cluster.start(settings(i, workers: 2))) }
    #expect(await workerThreads(awaiting: before + 8) == before + 8)
    for (i, cluster) in clusters.enumerated() {
      try await cluster.shard(for: "k").run { turn throws(TernError) in try turn.set("k", "\(i)") }
    }
    for (i, cluster) in clusters.enumerated() {
      let value = try await cluster.shard(for: "k").run { turn throws(TernError) in
        try turn.get("k")
      }
      #expect(value == "\(i)")
    }
    // One of them ends; the others serve on.
    await clusters[1].shutdown()
    #expect(await workerThreads(awaiting: before + 6) == before + 6)
    let value = try await clusters[2].shard(for: "k").run { turn throws(TernError) in
      try turn.get("k")
    }
    #expect(value == "2")
    for cluster in clusters { await cluster.shutdown() }
    #expect(await workerThreads(awaiting: before) == before)
  }

  /// Shut down by several tasks while others work: all return, later ones are told.
  @Test func shutdownUnderLoad() async throws {
    for _ in 0..<10 {
      let cluster = try await Cluster.start(settings(4))
      let refused = await withTaskGroup(of: Bool.self) { group in
        for task in 0..<8 {
          group.addTask {
            let key = "key:\(task)"
            for _ in 0..<1000 {
              do throws(TernError) {
                try await cluster.shard(for: key).run { turn throws(TernError) in
                  try turn.set(key, "v")
                }
              } catch { return error == .stopped }
            }
            return true
          }
        }
        for _ in 0..<2 {
          group.addTask {
            await cluster.shutdown()
            return true
          }
        }
        return await group.reduce(true) { $0 && $1 }
      }
      #expect(refused)
      #expect(await workerThreads(awaiting: 0) == 0)
      await #expect(throws: TernError.stopped) { try await cluster.shard(1).run { _ in } }
      await cluster.shutdown()
    }
  }

  /// Descriptors and memory come back, with sockets and without.
  @Test func nothingIsLeft() async throws {
    func run(_ round: Int) async throws {
      var settings = settings(8)
      settings.port = round % 2 == 0 ? 0 : nil
      let cluster = try await Cluster.start(settings)
      for shard in cluster.shards {
        try await shard.run { turn throws(TernError) in
          for i in 0..<400 {
            do throws(TernError) {
              try turn.set("key:\(i)", String(repeating: "x", count: 10_000))
            } catch .moved { continue }
          }
        }
      }
      await cluster.shutdown()
    }
    for round in 0..<4 { try await run(round) }
    let descriptors = names(in: "/proc/self/fd").count
    let memory = residentByteCount
    for round in 0..<10 { try await run(round) }
    #expect(names(in: "/proc/self/fd").count <= descriptors + 2)
    // Each round holds 4 MB of values: a leak of one in three would show.
    #expect(residentByteCount < memory + 12_000_000)
  }

  private var residentByteCount: Int {
    let pages = text(of: "/proc/self/statm").split(separator: " ").dropFirst().first
    return (pages.flatMap { Int($0) } ?? 0) * 4096
  }

  /// A client's SHUTDOWN ends the cluster; a cluster that nobody holds ends by itself.
  @Test func otherEnds() async throws {
    let cluster = try await Cluster.start(settings(2))
    try await cluster.shard(1).run { turn throws(TernError) in
      try turn.execute(Array("SHUTDOWN\r\n".utf8).span.bytes) { _ in }
    }
    await cluster.shutdown()
    #expect(await workerThreads(awaiting: 0) == 0)

    weak var dropped: Cluster?
    do {
      let cluster = try await Cluster.start(settings(2))
      dropped = cluster
      #expect(await workerThreads(awaiting: 2) == 2)
    }
    #expect(dropped == nil)
    while !workerThreads().isEmpty { await Task.yield() }
  }

  @Test func manyShards() async throws {
    let began = ContinuousClock.now
    let cluster = try await Cluster.start(settings(500))
    #expect(ContinuousClock.now - began < .seconds(10))
    #expect(cluster.shards.count == 500)
    var keys = 0
    for i in 0..<100 {
      keys += try await cluster.shard(for: "key:\(i)").run { turn throws(TernError) in
        try turn.set("key:\(i)", "v")
        return 1
      }
    }
    var counted = 0
    for shard in cluster.shards {
      counted += try await shard.run { turn in turn.statistics.keys }
    }
    #expect(counted == keys)
    await cluster.shutdown()
  }

  // MARK: starts that fail, sockets, directories

  private func startFails(
    _ change: (inout ClusterSettings) -> Void, sourceLocation: SourceLocation = #_sourceLocation
  ) async -> String {
    var settings = settings(2)
    change(&settings)
    do throws(TernError) {
      let cluster = try await Cluster.start(settings)
      await cluster.shutdown()
      Issue.record("started", sourceLocation: sourceLocation)
    } catch {
      if case .cannotStart(let reason) = error { return reason }
      Issue.record(error, sourceLocation: sourceLocation)
    }
    return ""
  }

  @Test func settingsOutOfRange() async {
    for number in [0, -1, 501, .max, .min] {
      #expect(await startFails { $0.shards = number }.hasPrefix("shards"))
    }
    for number in [0, -1, 257] {
      #expect(await startFails { $0.workers = number }.hasPrefix("workers"))
    }
    for number in [-1, 65536] { #expect(await startFails { $0.port = number }.hasPrefix("port")) }
    #expect(await startFails { $0.port = 65534 }.contains("no room"))
    #expect(await startFails { $0.maxMemory = -1 }.hasPrefix("maxmemory"))
    #expect(await startFails { $0.maxClients = 0 }.hasPrefix("maxclients"))
    #expect(await startFails { $0.cpus = [-1] }.hasPrefix("cpus"))
    #expect(await startFails { $0.cpus = [4000] }.contains("worker 0"))
    #expect(await startFails { $0.directory = "" }.contains("directory"))
    #expect(await startFails { $0.directory = "/proc/none" }.contains("/proc/none"))
    #expect(
      await startFails {
        $0.port = 0
        $0.bind = []
      }.contains("address"))
    #expect(
      await startFails {
        $0.port = 0
        $0.bind = ["nowhere"]
      }.contains("nowhere"))
    #expect(await workerThreads(awaiting: 0) == 0)
  }

  @Test(arguments: [ClusterSettings.IO.auto, .epoll]) func ports(io: ClusterSettings.IO)
    async throws
  {
    var first = settings(3)
    first.port = 0
    first.io = io
    let cluster = try await Cluster.start(first)
    #expect(cluster.endpoints.map(\.shard) == [nil, 1, 2, 3])
    #expect(Set(cluster.endpoints.map(\.port)).count == 4)
    #expect(cluster.endpoints.allSatisfy { $0.port > 0 && $0.address == "127.0.0.1" })
    // What a client is told is where the shard listens, and what came by a socket is seen by `run`.
    let owner = cluster.shard(for: "a").number
    let other = cluster.endpoints[owner % 3 + 1].port
    let port = cluster.endpoints[owner].port
    #expect(ask("GET a\r\n", port: other) == "-MOVED 15495 127.0.0.1:\(port)\r\n")
    #expect(ask("SET a 5\r\n", port: port) == "+OK\r\n")
    let value = try await cluster.shard(for: "a").run { turn throws(TernError) in
      try turn.get("a")
    }
    #expect(value == "5")
    // A port that is taken: the start fails, and its other ports are free again.
    let taken = cluster.endpoints[3].port
    if taken > 1025 {
      let reason = await startFails { $0.port = taken - 1 }
      #expect(reason.contains("cannot listen"))
    }
    await cluster.shutdown()
  }

  /// Sends a request to a port and gives what comes back first.
  private func ask(_ request: String, port: Int) -> String {
    let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(file) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let answer = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard answer == 0 else { return "cannot connect: \(errno)" }
    let bytes = Array(request.utf8)
    _ = send(file, bytes, bytes.count, 0)
    var reply = [UInt8](repeating: 0, count: 1024)
    let count = recv(file, &reply, reply.count, 0)
    return String(decoding: reply.prefix(max(0, count)), as: UTF8.self)
  }

  /// `nodes.conf` decides; the directory is one cluster's at a time.
  @Test func directories() async throws {
    let directory = newDirectory()
    defer { remove(directory) }
    var own = settings(3)
    own.directory = directory + "/"
    let lines = Mutex<[String]>([])
    let first = try await Cluster.start(own)
    #expect(await startFails { $0.directory = directory }.contains("in use"))
    await first.shutdown()
    own.shards = 5
    let second = try await Cluster.start(own) { line in lines.withLock { $0.append(line) } }
    #expect(second.shards.count == 3)
    #expect(lines.withLock { $0 }.count == 1)
    await second.shutdown()
    #expect(names(in: directory).contains("nodes.conf"))
  }
}
