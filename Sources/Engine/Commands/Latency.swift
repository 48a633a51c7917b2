internal import RESP
internal import Storage

// LATENCY: the slow moments of this shard by kind of event, and how long each command takes on this worker.

extension Engine {
  /// LATENCY LATEST: of each event when it last happened, what it took then, and the most it ever took.
  mutating func latencyLatest(_ call: Call) -> Effect {
    let all = shownSeries
    reply.arrayHeader(all.count)
    for series in all {
      reply.arrayHeader(4)
      reply.bulk(text: series.event)
      reply.integer(series.samples.last?.second ?? 0)
      reply.integer(Int64(clamping: series.samples.last?.milliseconds ?? 0))
      reply.integer(Int64(clamping: series.longest))
    }
    return .none
  }

  /// LATENCY HISTORY event.
  mutating func latencyHistory(_ call: Call) -> Effect {
    let samples = series(call[2])?.samples ?? []
    reply.arrayHeader(samples.count)
    for sample in samples {
      reply.arrayHeader(2)
      reply.integer(sample.second)
      reply.integer(Int64(clamping: sample.milliseconds))
    }
    return .none
  }

  private func series(_ event: RawSpan) -> LatencySeries? {
    let name = Self.text(of: event)
    return shownSeries.first { $0.event == name }
  }

  /// LATENCY RESET [event …]: how many were forgotten.
  mutating func latencyReset(_ call: Call) -> Effect {
    let before = shownSeries.count
    for place in shownPlaces {
      if call.count == 2 { diaries[place].latencies = [] }
      for i in 2..<call.count {
        let name = Self.text(of: call[i])
        diaries[place].latencies.removeAll { $0.event == name }
      }
    }
    reply.integer(Int64(before - shownSeries.count))
    return .none
  }

  /// LATENCY GRAPH event.
  mutating func latencyGraph(_ call: Call) -> Effect {
    guard let series = series(call[2]) else {
      return failing(
        bytes: Array("ERR No samples available for event '".utf8) + Self.shown(call[2]) + [39])
    }
    reply.verbatim(text: LatencyGraph(series, at: microseconds / 1_000_000).text)
    return .none
  }

  /// LATENCY DOCTOR: what was seen, in words, and what to look at.
  mutating func latencyDoctor(_ call: Call) -> Effect {
    let all = shownSeries
    if settings.latencyMonitorThreshold == 0 {
      reply.verbatim(
        text:
          "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n"
      )
    } else if all.isEmpty {
      reply.verbatim(
        text:
          "Nothing took \(settings.latencyMonitorThreshold) ms or more since the monitoring began, or since the last LATENCY RESET.\n"
      )
    } else {
      reply.verbatim(text: Self.diagnosis(all))
    }
    return .none
  }

  private static func diagnosis(_ all: [LatencySeries]) -> String {
    var text = "Slow moments that were seen on this shard:\n\n"
    for (i, series) in all.enumerated() {
      let count = Double(max(1, series.samples.count))
      let sum = series.samples.reduce(0.0) { $0 + Double($1.milliseconds) }
      let mean = sum / count
      let deviation = series.samples.reduce(0.0) { $0 + abs(Double($1.milliseconds) - mean) }
      let first = series.samples.first?.second ?? 0
      let last = series.samples.last?.second ?? 0
      text += "\(i + 1). \(series.event): \(series.samples.count) latency spikes "
      text += "(average \(decimal(mean, 0).prefix { $0 != "." })ms, "
      text += "mean deviation \(decimal(deviation / count, 0).prefix { $0 != "." })ms, "
      text += "period \(decimal(Double(last - first) / count, 2)) sec). "
      text += "Worst all time event \(series.longest)ms.\n"
    }
    text += "\nWhat to look at:\n\n"
    text += "- SLOWLOG GET names the commands and their arguments; CONFIG SET "
    text += "slowlog-log-slower-than <microseconds> decides which are noted.\n"
    text += "- KEYS and commands with very many keys or very long values keep all clients of "
    text += "this worker's shards waiting: SCAN, and less at a time.\n"
    text += "- A machine with fewer free cores than workers makes every command slow at times.\n"
    return text
  }

  /// LATENCY HISTOGRAM [command …]: calls by the time they took, in doublings of about a microsecond, each with those below.
  mutating func latencyHistogram(_ call: Call) -> Effect {
    var chosen: [Command] = []
    if call.count == 2 {
      chosen = CommandTable.all
    } else {
      for i in 2..<call.count {
        let name = Self.text(of: call[i]).lowercased()
        chosen += CommandTable.all.filter { $0.name == name || $0.name.hasPrefix(name + "|") }
      }
    }
    chosen = chosen.filter { latencies.count(row: $0.id.rawValue) > 0 }
    reply.mapHeader(chosen.count, reply.version)
    for command in chosen { describeLatency(command) }
    return .none
  }

  private mutating func describeLatency(_ command: Command) {
    let row = command.id.rawValue
    let calls = latencies.count(row: row)
    var counts: [(microseconds: UInt64, count: UInt64)] = []
    var seen: UInt64 = 0
    var limit: UInt64 = 1024
    while seen < calls {
      let below = limit < 1 << 31 ? latencies.count(row: row, below: limit) : calls
      // Named as Redis names them: by the end of the finer place that begins there.
      if below > seen { counts.append(((limit + limit / 128 - 1) / 1000, below)) }
      seen = below
      limit *= 2
    }
    reply.bulk(text: command.name)
    reply.mapHeader(2, reply.version)
    reply.bulk("calls")
    reply.integer(Int64(clamping: calls))
    reply.bulk("histogram_usec")
    reply.mapHeader(counts.count, reply.version)
    for (microseconds, count) in counts {
      reply.integer(Int64(clamping: microseconds))
      reply.integer(Int64(clamping: count))
    }
  }

  /// The fields of INFO latencystats.
  func latencyFields() -> [(String, String)] {
    if !settings.latencyTracking { return [] }
    return CommandTable.all.compactMap { command in
      let row = command.id.rawValue
      if latencies.count(row: row) == 0 { return nil }
      let parts = settings.latencyPercentiles.map { percentile in
        let nanoseconds = latencies.nanoseconds(row: row, percentile: percentile)
        let name = Settings.shownPercentile(percentile)
        return "p\(name)=\(Self.decimal(Double(nanoseconds) / 1000, 3))"
      }
      return ("latency_percentiles_usec_\(command.name)", parts.joined(separator: ","))
    }
  }

  /// LATENCY HELP.
  mutating func latencyHelp(_ call: Call) -> Effect {
    help(
      "LATENCY",
      [
        "DOCTOR", "    Return a human readable latency analysis report.", "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.", "HISTORY <event>",
        "    Return time-latency samples for the <event> class.", "LATEST",
        "    Return the latest latency samples for all events.", "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)", "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
      ])
  }
}

/// The samples of an event as columns of characters, each with its age below, 80 columns at most to a row of bars:
///
///         #
///        _|
///     _o#||
///
///     54321
///     sssss
struct LatencyGraph {
  private static let width = 80
  private static let height = 4
  /// A bar's upper end, by how far it reaches into a row; `|` fills what is below.
  private static let ends: [Character] = ["_", "o", "#"]

  private let columns: [(milliseconds: UInt64, label: [Character])]
  private let title: String
  private let least: UInt64
  private let most: UInt64

  /// The graph of a series, as of a Unix second.
  init(_ series: LatencySeries, at now: Int64) {
    columns = series.samples.map { ($0.milliseconds, Array(Self.age(now - $0.second))) }
    least = columns.map(\.milliseconds).min() ?? 0
    most = columns.map(\.milliseconds).max() ?? 0
    title =
      "\(series.event) - high \(most) ms, low \(least) ms (all time high \(series.longest) ms)"
  }

  private static func age(_ seconds: Int64) -> String {
    if seconds < 60 { return "\(seconds)s" }
    if seconds < 3600 { return "\(seconds / 60)m" }
    if seconds < 86400 { return "\(seconds / 3600)h" }
    return "\(seconds / 86400)d"
  }

  /// The whole graph, each line with its end.
  var text: String {
    var lines = [title, String(repeating: "-", count: Self.width)]
    var first = 0
    while first < columns.count {
      let end = min(first + Self.width, columns.count)
      if first > 0 { lines.append("") }
      lines += bars(columns[first..<end]) + [String(repeating: " ", count: end - first)]
      lines += labels(columns[first..<end])
      first = end
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private func bars(_ part: ArraySlice<(milliseconds: UInt64, label: [Character])>) -> [String] {
    let steps = Self.ends.count * Self.height
    let range = max(1, most - least)
    return (0..<Self.height).map { row in
      String(
        part.map { column -> Character in
          let step = min(
            steps - 1, Int(Double(column.milliseconds - least) * Double(steps) / Double(range)))
          let end = step - (Self.height - 1 - row) * Self.ends.count
          return end < 0 ? " " : end < Self.ends.count ? Self.ends[end] : "|"
        })
    }
  }

  private func labels(_ part: ArraySlice<(milliseconds: UInt64, label: [Character])>) -> [String] {
    let depth = part.map(\.label.count).max() ?? 0
    return (0..<depth).map { row in
      String(part.map { row < $0.label.count ? $0.label[row] : " " })
    }
  }
}
