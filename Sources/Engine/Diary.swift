internal import RESP
internal import Storage

// What an engine notes of slow commands, for each of its shards: the slow log, and the worst moments by kind of event. Both are bounded,
// and are touched only by commands that are slow by the settings.

/// The notes of one shard.
struct Diary {
  var slowLog = SlowLog()
  /// By kind of event, in the order in which they first happened.
  var latencies: [LatencySeries] = []

  /// Adds what an event took, in milliseconds.
  mutating func add(event: String, milliseconds: UInt64, at second: Int64) {
    if let i = latencies.firstIndex(where: { $0.event == event }) {
      latencies[i].add(milliseconds, at: second)
    } else {
      var series = LatencySeries(event: event)
      series.add(milliseconds, at: second)
      latencies.append(series)
    }
  }
}

/// A command that was slow.
struct SlowCommand {
  /// Its number in its shard's log; numbers go on over a reset.
  let number: UInt64
  /// Its number among those of all shards: a later command has a higher one, and no other command has the same.
  let processNumber: Int64
  /// Unix seconds.
  let second: Int64
  let microseconds: UInt64
  /// Its arguments, as far as they are shown.
  let arguments: [[UInt8]]
  let address: String
  let name: String
}

/// The slow commands of a shard, the last ones.
struct SlowLog {
  /// Arguments of a command that are kept, and bytes of one.
  static let argumentLimit = 32
  static let byteLimit = 128

  /// A ring: `commands[next]` is the oldest once there are `limit`.
  private var commands: [SlowCommand] = []
  private var next = 0
  private var limit = 128
  /// The number of the next one.
  private(set) var number: UInt64 = 0

  /// How many there are.
  var count: Int { commands.count }

  /// The last ones, the newest first.
  func last(_ count: Int) -> [SlowCommand] {
    let all = commands[next...] + commands[..<next]
    return all.suffix(count).reversed()
  }

  /// Adds one, in the place of the oldest if there are as many as may be. O(1).
  mutating func add(_ command: SlowCommand) {
    number += 1
    if commands.count < limit {
      commands.append(command)
    } else if limit > 0 {
      commands[next] = command
      next = (next + 1) % limit
    }
  }

  /// Keeps at most so many from now on.
  mutating func limit(to limit: Int) {
    if limit == self.limit { return }
    commands = last(limit).reversed()
    next = 0
    self.limit = limit
  }

  /// Forgets all.
  mutating func removeAll() {
    commands = []
    next = 0
  }
}

/// The worst moments of a kind of event: one sample a second, the last 160 seconds in which something happened.
struct LatencySeries {
  /// Samples that are kept.
  static let limit = 160

  struct Sample {
    /// Unix seconds.
    var second: Int64
    var milliseconds: UInt64
  }

  let event: String
  /// The oldest first.
  private(set) var samples: [Sample] = []
  /// The longest of all, also of those that are gone.
  private(set) var longest: UInt64 = 0

  init(event: String) { self.event = event }

  /// The samples of two series of the same event.
  init(merging a: LatencySeries, _ b: LatencySeries) {
    event = a.event
    for sample in (a.samples + b.samples).sorted(by: { $0.second < $1.second }) {
      add(sample.milliseconds, at: sample.second)
    }
    longest = max(a.longest, b.longest)
  }

  /// Adds a sample, or raises that of the same second. O(samples).
  mutating func add(_ milliseconds: UInt64, at second: Int64) {
    longest = max(longest, milliseconds)
    if let last = samples.last, last.second == second {
      samples[samples.count - 1].milliseconds = max(last.milliseconds, milliseconds)
      return
    }
    if samples.count == Self.limit { samples.removeFirst() }
    samples.append(Sample(second: second, milliseconds: milliseconds))
  }
}

extension Engine {
  /// A command took long enough to be looked at.
  @inline(never)
  mutating func note(_ call: Call, _ nanoseconds: UInt64) {
    let flags = CommandTable.all[Int(call.id.rawValue)].flags
    let place = currentPlace
    let taken = nanoseconds / 1000
    if settings.slowlogLogSlowerThan >= 0, taken >= UInt64(settings.slowlogLogSlowerThan),
      !flags.contains(.skipSlowLog)
    {
      let command = SlowCommand(
        number: diaries[place].slowLog.number, processNumber: nextSlowNumber(),
        second: microseconds / 1_000_000,
        microseconds: taken, arguments: slowArguments(call), address: sessions[current].address,
        name: sessions[current].name ?? "")
      diaries[place].slowLog.add(command)
    }
    if settings.latencyMonitorThreshold > 0,
      taken / 1000 >= UInt64(settings.latencyMonitorThreshold)
    {
      diaries[place].add(
        event: flags.contains(.fast) ? "fast-command" : "command", milliseconds: taken / 1000,
        at: microseconds / 1_000_000)
    }
  }

  /// The number in the process of a slow command that has just ended: by the time since the start and by the worker, so that workers
  /// need not ask each other.
  private mutating func nextSlowNumber() -> Int64 {
    slowMoment = max(slowMoment + 1, microseconds - process.startedAt * 1000)
    return slowMoment &* Int64(workers) &+ Int64(worker)
  }

  /// A command's arguments as the slow log keeps them: some of them, the beginning of each, no secrets.
  private func slowArguments(_ call: Call) -> [[UInt8]] {
    let secrets = Self.secrets(of: call)
    let shownCount = call.count > SlowLog.argumentLimit ? SlowLog.argumentLimit - 1 : call.count
    var arguments: [[UInt8]] = []
    for i in 0..<shownCount {
      if secrets.contains(i) {
        arguments.append(Array("(redacted)".utf8))
      } else if let bulk = call.arguments.largeIndex(i) {
        arguments.append(largeBeginning(bulk) + largeRest(bulk))
      } else {
        let byteCount = call[i].byteCount
        let shown = min(byteCount, SlowLog.byteLimit)
        var argument = Self.bytes(of: call[i].extracting(0..<shown))
        if shown < byteCount { argument += Array("... (\(byteCount - shown) more bytes)".utf8) }
        arguments.append(argument)
      }
    }
    if shownCount < call.count {
      arguments.append(Array("... (\(call.count - shownCount) more arguments)".utf8))
    }
    return arguments
  }
}
