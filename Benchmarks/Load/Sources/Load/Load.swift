import CEpoll
import Glibc

/// What is asked for, by `--name value`.
struct Options {
  var port = 0
  var keys = 1_000_000
  var valueByteCount = 64
  var prefix = "key:"
  var clients = 50
  /// Commands a second, 0 for as many as go.
  var rate = 20_000
  var seconds = 10.0
  var writePercent = 10
  var bucketMilliseconds = 100
  var fills = false
  var seed: UInt64 = 1
}

/// Nanoseconds of the monotonic clock.
func monotonic() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A small generator of random numbers.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// The bytes of keys and commands.
struct Keys {
  let prefix: [UInt8]
  let value: [UInt8]

  init(_ options: Options) {
    prefix = Array(options.prefix.utf8)
    value = [UInt8](repeating: UInt8(ascii: "v"), count: options.valueByteCount)
  }

  /// `prefix` and twelve digits.
  func key(_ number: Int) -> [UInt8] {
    var key = prefix + [UInt8](repeating: 48, count: 12)
    var (rest, place) = (number, key.count - 1)
    while rest > 0 {
      key[place] = UInt8(48 + rest % 10)
      rest /= 10
      place -= 1
    }
    return key
  }

  func get(_ key: [UInt8]) -> [UInt8] {
    Array("*2\r\n$3\r\nGET\r\n$\(key.count)\r\n".utf8) + key + [13, 10]
  }

  func set(_ key: [UInt8]) -> [UInt8] {
    Array("*3\r\n$3\r\nSET\r\n$\(key.count)\r\n".utf8) + key
      + Array("\r\n$\(value.count)\r\n".utf8) + value + [13, 10]
  }
}

/// Clients that follow redirects, each with one command under way and a connection of its own to every node, and one map for all.
///
/// Commands are due at fixed times, whatever the replies do; the next idle client takes the next command, and a latency counts from when
/// the command was due: what a stall keeps waiting is seen. All on one thread.
final class Load {
  /// A client: its command under way.
  private struct Client {
    var request: [UInt8] = []
    var slot = 0
    var isRead = false
    var due = 0
    var port = 0
    var redirects = 0
    var tries = 0
    var connections: [Int: Connection] = [:]
    /// Replies to ASKING that come before its own.
    var asked = 0
    /// Not before this time: it was told to try again.
    var pausedUntil = 0
  }

  private let options: Options
  private let keys: Keys
  private var owners: [Int]
  private var clients: [Client]
  private var idle: [Int]
  private var pausing: [Int] = []
  private var random: SplitMix
  private let poll: Int32
  private let began: Int
  /// When each command was done, in µs from the beginning, and its latency in ns.
  private var samples: [(at: UInt32, latency: UInt32)] = []
  /// Redirects by the time at which they came.
  private var redirectTimes: [UInt32] = []
  private var askCount = 0
  private var tryAgainCount = 0
  private var failedCount = 0
  private var failures: [String] = []
  private var mostRedirects = 0
  /// When a map was asked for the last time.
  private var lastMap = 0
  /// For a client alone: when it was served by which port last, and how long nobody served it when that changed.
  private var servedBy = 0
  private var servedAt = 0
  private var gaps: [(at: Int, gap: Int, first: Int, before: Int)] = []

  init(_ options: Options) throws(Broken) {
    self.options = options
    keys = Keys(options)
    owners = try Connection(port: options.port).owners()
    clients = [Client](repeating: Client(), count: options.clients)
    idle = Array((0..<options.clients).reversed())
    random = SplitMix(state: options.seed)
    poll = epoll_create1(0)
    samples.reserveCapacity(Int(options.seconds) * max(options.rate, 100_000) * 11 / 10)
    began = monotonic()
  }

  private func connection(_ client: Int, _ port: Int) throws(Broken) -> Connection {
    if let connection = clients[client].connections[port] { return connection }
    let connection = try Connection(port: port)
    clients[client].connections[port] = connection
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.u64 = UInt64(client) << 32 | UInt64(port)
    epoll_ctl(poll, EPOLL_CTL_ADD, connection.descriptor, &event)
    return connection
  }

  /// Runs for its time, then waits for what is under way.
  func run() throws(Broken) {
    let interval = options.rate > 0 ? 1e9 / Double(options.rate) : 0
    let end = began + Int(options.seconds * 1e9)
    var issued = 0
    var events = [epoll_event](repeating: epoll_event(), count: 256)
    while true {
      var now = monotonic()
      if !pausing.isEmpty { try resume(now) }
      while now < end, let client = idle.last {
        let due = options.rate > 0 ? began + Int(Double(issued) * interval) : now
        if due > now { break }
        idle.removeLast()
        issued += 1
        try issue(client, due: due)
        if options.rate == 0 { now = monotonic() }
      }
      if now >= end, idle.count == clients.count { break }
      if now > end + 10_000_000_000 { throw Broken("no replies for 10 s") }
      var wait = 10_000_000
      if now < end, options.rate > 0, !idle.isEmpty {
        wait = max(0, min(wait, began + Int(Double(issued) * interval) - now))
      }
      if !pausing.isEmpty { wait = min(wait, 200_000) }
      var pause = timespec(tv_sec: 0, tv_nsec: wait)
      let count = epoll_pwait2(poll, &events, Int32(events.count), &pause, nil)
      for place in 0..<max(0, Int(count)) {
        let data = events[place].data.u64
        try receive(Int(data >> 32), Int(data & 0xFFFF_FFFF))
      }
    }
  }

  private func resume(_ now: Int) throws(Broken) {
    let ready = pausing.filter { clients[$0].pausedUntil <= now }
    pausing.removeAll { clients[$0].pausedUntil <= now }
    for client in ready { try transmit(client, asking: false) }
  }

  private func issue(_ client: Int, due: Int) throws(Broken) {
    let key = keys.key(Int(random.next() % UInt64(options.keys)))
    let isRead = random.next() % 100 >= UInt64(options.writePercent)
    clients[client].request = isRead ? keys.get(key) : keys.set(key)
    clients[client].isRead = isRead
    clients[client].slot = slot(of: key)
    clients[client].due = due
    clients[client].redirects = 0
    clients[client].tries = 0
    clients[client].port = owners[clients[client].slot]
    try transmit(client, asking: false)
  }

  private func transmit(_ client: Int, asking: Bool) throws(Broken) {
    let connection = try connection(client, clients[client].port)
    if asking {
      clients[client].asked = 1
      try connection.send(Array("*1\r\n$6\r\nASKING\r\n".utf8) + clients[client].request)
    } else {
      try connection.send(clients[client].request)
    }
  }

  private func receive(_ client: Int, _ port: Int) throws(Broken) {
    guard let connection = clients[client].connections[port] else { return }
    try connection.fill(waits: false)
    while let reply = try connection.take() {
      if clients[client].asked > 0 {
        clients[client].asked = 0
        continue
      }
      switch reply {
      case .good(let count):
        if clients[client].isRead, count != options.valueByteCount { fail("a value is short") }
        done(client)
      case .nothing:
        fail("a key is gone")
        done(client)
      case .error(let text): try follow(client, text)
      }
    }
  }

  private func done(_ client: Int) {
    let now = monotonic()
    let latency = now - clients[client].due
    samples.append(
      (UInt32(truncatingIfNeeded: (now - began) / 1000), UInt32(clamping: latency)))
    idle.append(client)
    guard options.clients == 1 else { return }
    if servedBy != 0, servedBy != clients[client].port {
      gaps.append((now - began, now - servedAt, latency, samples.count))
    }
    (servedBy, servedAt) = (clients[client].port, now)
  }

  private func fail(_ reason: String) {
    failedCount += 1
    if failures.count < 5, !failures.contains(reason) { failures.append(reason) }
  }

  private func follow(_ client: Int, _ text: [UInt8]) throws(Broken) {
    let words = text.split(separator: UInt8(ascii: " "))
    let word = String(decoding: words.first ?? [], as: UTF8.self)
    clients[client].tries += 1
    if word == "TRYAGAIN", clients[client].tries < 1000 {
      tryAgainCount += 1
      clients[client].pausedUntil = monotonic() + 1_000_000
      pausing.append(client)
      return
    }
    guard word == "MOVED" || word == "ASK", words.count == 3, clients[client].redirects < 16,
      let colon = words[2].lastIndex(of: UInt8(ascii: ":")),
      let port = Int(String(decoding: words[2][(colon + 1)...], as: UTF8.self))
    else {
      fail(String(decoding: text, as: UTF8.self))
      return done(client)
    }
    redirectTimes.append(UInt32(truncatingIfNeeded: (monotonic() - began) / 1000))
    clients[client].redirects += 1
    mostRedirects = max(mostRedirects, clients[client].redirects)
    if word == "ASK" { askCount += 1 }
    if word == "MOVED" { owners[clients[client].slot] = port }
    clients[client].port = port
    try transmit(client, asking: word == "ASK")
    // As clients do: who is redirected asks for the map, at most every 50 ms.
    if word == "MOVED", monotonic() - lastMap > 50_000_000 {
      owners = try Connection(port: port).owners()
      lastMap = monotonic()
    }
  }

  // MARK: what came of it

  private static func percentile(_ sorted: ArraySlice<UInt32>, _ share: Double) -> Double {
    if sorted.isEmpty { return 0 }
    let place = min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.up)) - 1)
    return Double(sorted[sorted.startIndex + max(0, place)]) / 1000
  }

  private static func figures(_ latencies: [UInt32]) -> String {
    let sorted = latencies.sorted()[...]
    return
      "\"count\": \(sorted.count), \"p50_us\": \(percentile(sorted, 0.5)), \"p99_us\": \(percentile(sorted, 0.99)), \"p999_us\": \(percentile(sorted, 0.999)), \"max_us\": \(Double(sorted.last ?? 0) / 1000)"
  }

  /// Everything as JSON.
  func report() -> String {
    var unix = timespec()
    clock_gettime(CLOCK_REALTIME, &unix)
    let wall = Double(unix.tv_sec) + Double(unix.tv_nsec) / 1e9
    let start = wall - Double(monotonic() - began) / 1e9
    let width = UInt32(options.bucketMilliseconds * 1000)
    let bucketCount = Int((samples.map(\.at).max() ?? 0) / width) + 1
    var buckets = [[UInt32]](repeating: [], count: bucketCount)
    for sample in samples { buckets[Int(sample.at / width)].append(sample.latency) }
    var redirects = [Int](repeating: 0, count: bucketCount)
    for time in redirectTimes { redirects[min(bucketCount - 1, Int(time / width))] += 1 }
    let lines = buckets.enumerated().map { place, latencies in
      "{\"at_ms\": \(place * options.bucketMilliseconds), \"redirects\": \(redirects[place]), \(Self.figures(latencies))}"
    }
    let gapLines = gaps.map { gap in
      let before = samples[max(0, gap.before - 1001)..<max(0, gap.before - 1)].map(\.latency)
      let after = samples[gap.before..<min(samples.count, gap.before + 1000)].map(\.latency)
      return
        "{\"at_ms\": \(Double(gap.at) / 1e6), \"gap_us\": \(Double(gap.gap) / 1000), \"first_us\": \(Double(gap.first) / 1000), \"before\": {\(Self.figures(Array(before)))}, \"after\": {\(Self.figures(Array(after)))}}"
    }
    let quoted = failures.map { "\"\($0.filter { $0 != "\"" && $0 != "\\" })\"" }
    return """
      {"began": \(start), "bucket_ms": \(options.bucketMilliseconds), "done": \(samples.count), "failed": \(failedCount), "failures": [\(quoted.joined(separator: ", "))],
       "redirects": \(redirectTimes.count), "asks": \(askCount), "tryagains": \(tryAgainCount), "most_redirects": \(mostRedirects),
       "all": {\(Self.figures(samples.map(\.latency)))},
       "gaps": [\(gapLines.joined(separator: ",\n"))],
       "buckets": [
      \(lines.joined(separator: ",\n"))
      ]}
      """
  }

  /// Sets every key once, pipelined to all nodes.
  static func fill(_ options: Options) throws(Broken) {
    let keys = Keys(options)
    let owners = try Connection(port: options.port).owners()
    var connections: [Int: Connection] = [:]
    let batch = 20_000
    var first = 0
    while first < options.keys {
      var parts: [Int: (bytes: [UInt8], count: Int)] = [:]
      for number in first..<min(first + batch, options.keys) {
        let key = keys.key(number)
        let port = owners[slot(of: key)]
        parts[port, default: ([], 0)].bytes += keys.set(key)
        parts[port, default: ([], 0)].count += 1
      }
      for (port, part) in parts {
        if connections[port] == nil { connections[port] = try Connection(port: port) }
        try connections[port]?.send(part.bytes)
      }
      for (port, part) in parts {
        for _ in 0..<part.count {
          if case .error(let text)? = try connections[port]?.reply() {
            throw Broken("SET is answered \(String(decoding: text, as: UTF8.self))")
          }
        }
      }
      first += batch
    }
  }
}
