internal import RESP
internal import Storage

// What operators ask the router: all workers answer for their shards, and one reply is made of theirs (DESIGN §9).

extension Engine {
  /// Commands about clients, slow moments and slots, which the router puts to all workers.
  static func isAboutAllWorkers(_ id: CommandID) -> Bool {
    switch id {
    case .clientList, .clientKill, .clientPause, .clientUnpause, .clientUnblock, .slowLogGet,
      .slowLogLength, .slowLogReset, .latencyLatest, .latencyHistory, .latencyReset,
      .latencyHistogram, .latencyGraph, .latencyDoctor, .memoryStats, .memoryDoctor, .monitor,
      .info, .clusterCountKeysInSlot, .clusterGetKeysInSlot:
      true
    default: false
    }
  }

  /// The places in lists by shard that the current session is shown: its shard's, or at the router all of this worker.
  var shownPlaces: Range<Int> {
    sessions[current].shard == Session.endpoint
      ? 0..<diaries.count : currentPlace..<currentPlace + 1
  }

  /// The slow moments that the current session is shown, by kind of event.
  var shownSeries: [LatencySeries] {
    let places = shownPlaces
    if places.count == 1 { return diaries[places.lowerBound].latencies }
    var all: [LatencySeries] = []
    for place in places {
      for series in diaries[place].latencies {
        if let i = all.firstIndex(where: { $0.event == series.event }) {
          all[i] = LatencySeries(merging: all[i], series)
        } else {
          all.append(series)
        }
      }
    }
    return all
  }

  /// One reply from those of all workers, as they are at the places of a piece, this worker's at `own`.
  mutating func mergeViews(_ parts: [[UInt8]], _ own: Int, _ id: CommandID) {
    var replies: [Reply] = []
    for part in parts {
      guard let reply = try? ReplyParser().parseAll(part).first else { continue }
      replies.append(reply)
    }
    let errors = replies.filter { if case .error = $0 { true } else { false } }
    switch id {
    case .clientKill, .latencyGraph:
      // What it is about is on one worker, or on some.
      if errors.count == replies.count { return copyPart(parts[own]) }
      replies.removeAll { if case .error = $0 { true } else { false } }
    default:
      if !errors.isEmpty || replies.count < parts.count || replies.isEmpty {
        return copyPart(parts[own])
      }
    }
    switch id {
    case .info: mergeInfo(replies, Reply.text(in: parts[own]))
    case .clientList: reply.verbatim(text: replies.compactMap(\.text).joined())
    case .clientUnblock, .clusterCountKeysInSlot: reply.integer(Self.sum(replies))
    case .clusterGetKeysInSlot:
      let keys = replies.compactMap(\.elements).flatMap { $0 }
      write(.array(Array(keys.prefix(asked(3, else: 0)))))
    case .slowLogLength:
      reply.integer(min(Self.sum(replies), Int64(settings.slowlogMaxLength)))
    case .clientKill:
      if case .integer = replies[0] { reply.integer(Self.sum(replies)) } else { reply.ok() }
    case .latencyReset: reply.integer(replies.compactMap(Self.number).max() ?? 0)
    case .slowLogGet: mergeSlowLogs(replies)
    case .latencyLatest: mergeLatest(replies)
    case .latencyHistory: mergeHistories(replies)
    case .latencyHistogram: mergeHistograms(replies)
    case .latencyGraph, .latencyDoctor, .memoryDoctor: mergeTexts(replies)
    case .memoryStats: mergeMemory(replies, replies[own])
    default: copyPart(parts[own])
    }
  }

  /// Fields of INFO of which each worker tells its own.
  private static let ownFields: Set<Substring> = [
    "blocked_clients", "clients_in_timeout_table", "tracking_clients", "tracking_total_keys",
    "tracking_total_items", "tracking_total_prefixes",
  ]

  /// What this worker says, which is of all of them but for the keys and for what each knows of its own clients.
  private mutating func mergeInfo(_ replies: [Reply], _ own: String) {
    let title = "# Keyspace\r\n"
    var (keys, expiring) = (0, 0)
    var sums: [Substring: Int] = [:]
    for line in replies.compactMap(\.text).flatMap({ $0.split(separator: "\r\n") }) {
      let pair = line.split(separator: ":")
      if pair.count == 2, Self.ownFields.contains(pair[0]), let number = Int(pair[1]) {
        sums[pair[0], default: 0] += number
      }
      guard line.hasPrefix("db0:") else { continue }
      for field in line.dropFirst(4).split(separator: ",") {
        let parts = field.split(separator: "=")
        guard parts.count == 2, let number = Int(parts[1]) else { continue }
        if parts[0] == "keys" { keys += number }
        if parts[0] == "expires" { expiring += number }
      }
    }
    var lines = own.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    lines.removeAll { $0.hasPrefix("db0:") }
    for i in lines.indices {
      if let name = lines[i].split(separator: ":").first, let sum = sums[name] {
        lines[i] = "\(name):\(sum)"
      }
    }
    if keys > 0, let place = lines.firstIndex(where: { $0 + "\r\n" == title }) {
      lines.insert("db0:keys=\(keys),expires=\(expiring),avg_ttl=0", at: place + 1)
    }
    reply.verbatim(text: lines.joined(separator: "\r\n"))
  }

  /// What each worker has to say that others have not said; those that have noticed nothing are left out.
  private mutating func mergeTexts(_ replies: [Reply]) {
    var texts: [String] = []
    for text in replies.compactMap(\.text) where !texts.contains(text) { texts.append(text) }
    let noticed = texts.filter { !$0.hasPrefix("Nothing ") }
    reply.verbatim(text: (noticed.isEmpty ? texts : noticed).joined(separator: "\n"))
  }

  /// What this worker says, which is of all of them but for the number of keys.
  private mutating func mergeMemory(_ replies: [Reply], _ own: Reply) {
    func field(_ name: String, of reply: Reply) -> Int64 {
      Self.pairs(reply).first { $0.key.text == name }.flatMap { Self.number($0.value) } ?? 0
    }
    let keys = replies.reduce(0) { $0 + field("keys.count", of: $1) }
    let pairs = Self.pairs(own)
    reply.mapHeader(pairs.count, reply.version)
    for pair in pairs {
      write(pair.key)
      switch pair.key.text {
      case "keys.count": reply.integer(keys)
      case "keys.bytes-per-key": reply.integer(field("dataset.bytes", of: own) / max(1, keys))
      default: write(pair.value)
      }
    }
  }

  private mutating func copyPart(_ part: [UInt8]) { reply.appendUnreserved(part.rawBytes) }

  private static func number(_ reply: Reply) -> Int64? {
    if case .integer(let number) = reply { number } else { nil }
  }

  private static func sum(_ replies: [Reply]) -> Int64 {
    replies.compactMap(number).reduce(0, +)
  }

  /// The newest first, as many as were asked for.
  private mutating func mergeSlowLogs(_ replies: [Reply]) {
    var entries = replies.compactMap(\.elements).flatMap { $0 }
    let count = asked(2, else: 10)
    let number = { (entry: Reply) in entry.elements?.first.flatMap(Self.number) ?? 0 }
    entries.sort { number($0) > number($1) }
    write(.array(Array(entries.prefix(min(count, settings.slowlogMaxLength)))))
  }

  /// How much was asked for, in that argument, by the command that the round at hand consists of.
  private func asked(_ place: Int, else usual: Int64) -> Int {
    if router.round.whole.requests.isEmpty { return Int(usual) }
    let arguments = router.round.whole.arguments(of: 0)
    let count = arguments.count > place ? arguments[place].integer() ?? usual : usual
    return count < 0 ? .max : Int(count)
  }

  private mutating func mergeLatest(_ replies: [Reply]) {
    var events: [(name: Reply, second: Int64, milliseconds: Int64, longest: Int64)] = []
    for entry in replies.compactMap(\.elements).flatMap({ $0 }) {
      guard let fields = entry.elements, fields.count == 4 else { continue }
      let numbers = fields.dropFirst().compactMap(Self.number)
      guard numbers.count == 3 else { continue }
      guard let i = events.firstIndex(where: { $0.name == fields[0] }) else {
        events.append((fields[0], numbers[0], numbers[1], numbers[2]))
        continue
      }
      if numbers[0] > events[i].second {
        (events[i].second, events[i].milliseconds) = (numbers[0], numbers[1])
      } else if numbers[0] == events[i].second {
        events[i].milliseconds = max(events[i].milliseconds, numbers[1])
      }
      events[i].longest = max(events[i].longest, numbers[2])
    }
    write(
      .array(
        events.map {
          .array([$0.name, .integer($0.second), .integer($0.milliseconds), .integer($0.longest)])
        }))
  }

  private mutating func mergeHistories(_ replies: [Reply]) {
    var longest: [Int64: Int64] = [:]
    for entry in replies.compactMap(\.elements).flatMap({ $0 }) {
      let numbers = (entry.elements ?? []).compactMap(Self.number)
      if numbers.count == 2 {
        longest[numbers[0]] = max(longest[numbers[0]] ?? 0, numbers[1])
      }
    }
    let samples = longest.sorted { $0.key < $1.key }.suffix(LatencySeries.limit)
    write(.array(samples.map { .array([.integer($0.key), .integer($0.value)]) }))
  }

  /// Each histogram has at some times the number of calls that took no longer; one that has none at a time has as many as at its last
  /// one before.
  private mutating func mergeHistograms(_ replies: [Reply]) {
    var order: [Reply] = []
    var found: [String: [[(time: Int64, calls: Int64)]]] = [:]
    for reply in replies {
      for pair in Self.pairs(reply) {
        let name = pair.key.text ?? ""
        if found[name] == nil { order.append(pair.key) }
        let counts = Self.pairs(pair.value).last?.value ?? .map([])
        let histogram = Self.pairs(counts).compactMap { pair in
          Self.number(pair.key).flatMap { time in Self.number(pair.value).map { (time, $0) } }
        }
        found[name, default: []].append(histogram)
      }
    }
    reply.mapHeader(order.count, reply.version)
    for key in order {
      let parts = found[key.text ?? ""] ?? []
      let times = Set(parts.flatMap { $0.map(\.time) }).sorted()
      let calls = parts.reduce(0) { $0 + ($1.last?.calls ?? 0) }
      write(key)
      reply.mapHeader(2, reply.version)
      reply.bulk("calls")
      reply.integer(calls)
      reply.bulk("histogram_usec")
      reply.mapHeader(times.count, reply.version)
      for time in times {
        reply.integer(time)
        reply.integer(parts.reduce(0) { $0 + ($1.last { $0.time <= time }?.calls ?? 0) })
      }
    }
  }

  /// The pairs of a map, which in RESP2 is an array.
  private static func pairs(_ reply: Reply) -> [Reply.Pair] {
    if case .map(let pairs) = reply { return pairs }
    let all = reply.elements ?? []
    return stride(from: 0, to: all.count - 1, by: 2).map { Reply.Pair(all[$0], all[$0 + 1]) }
  }

  /// Answers with what another worker has answered.
  private mutating func write(_ value: Reply) {
    switch value {
    case .integer(let number): reply.integer(number)
    case .bulk(let bytes): reply.bulk(bytes: bytes)
    case .array(let elements):
      reply.arrayHeader(elements.count)
      for element in elements { write(element) }
    case .map(let pairs):
      reply.mapHeader(pairs.count, reply.version)
      for pair in pairs {
        write(pair.key)
        write(pair.value)
      }
    case .double(let number): reply.double(number, reply.version)
    default: replyNull()
    }
  }

  // MARK: monitors

  /// A client of another worker's router is told what runs here.
  mutating func addMonitor(of group: HopGroup) {
    if router.monitors.contains(where: { $0.clientNumber == group.clientNumber }) { return }
    router.monitors.append(
      RemoteMonitor(
        worker: group.worker, client: group.client, clientNumber: group.clientNumber, lines: []))
    listeners += 1
  }

  /// It is told no more.
  mutating func removeMonitor(_ clientNumber: UInt64) {
    let count = router.monitors.count
    router.monitors.removeAll { $0.clientNumber == clientNumber }
    listeners -= count - router.monitors.count
  }

  /// A router client that was told everything has gone: the other workers learn it.
  mutating func endRemoteMonitor(_ clientNumber: UInt64) {
    for place in router.peers.indices where place != worker {
      router.peers[place].push(.ended(clientNumber))
    }
  }

  /// Sends monitors of other workers what was run. Called once a turn.
  mutating func tellRemoteMonitors() {
    for i in router.monitors.indices where !router.monitors[i].lines.isEmpty {
      let monitor = router.monitors[i]
      router.monitors[i].lines = []
      router.peers[monitor.worker].push(
        .ran(monitor.lines, client: monitor.client, clientNumber: monitor.clientNumber))
    }
  }

  /// Word from other workers about monitors.
  mutating func take(_ message: MonitorMessage) {
    switch message {
    case .ended(let clientNumber): removeMonitor(clientNumber)
    case .ran(let lines, let client, let clientNumber):
      let index = client.index
      guard sessions.contains(index), sessions[index].id == clientNumber else { return }
      if !sessions[index].mode.isDisjoint(with: [.closing, .replyOff]) { return }
      if index == current { reply.append(bytes: lines) } else { tell(lines, to: index) }
    }
  }
}

extension Reply {
  /// The text of a reply that is one; else nothing.
  fileprivate static func text(in bytes: [UInt8]) -> String {
    (try? ReplyParser().parseAll(bytes).first)?.text ?? ""
  }
}

/// A client of another worker that is told every command.
struct RemoteMonitor {
  let worker: Int
  let client: ClientID
  let clientNumber: UInt64
  /// What it was not told yet.
  var lines: [UInt8]
}

/// What workers tell each other about the router's clients in MONITOR.
public enum MonitorMessage: Sendable {
  /// These lines are for that client.
  case ran([UInt8], client: ClientID, clientNumber: UInt64)
  /// That client is gone.
  case ended(UInt64)
}
