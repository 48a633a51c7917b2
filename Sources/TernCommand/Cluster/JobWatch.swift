internal import Glibc
internal import RESP
internal import Reactor
internal import Server

// Waiting for jobs. The server answers when a job has begun; that it has ended stands in its events, which cost the cluster's workers
// nothing, while a status asks each of them for its holdings. So events are asked for, every millisecond at first and ever less often,
// and a status only where somebody looks at a progress bar.
//
// Which job is ours: the events behind the last one from before the request are looked at in order, and the first that tells of a job
// of the same operation, source and target is of ours. Only one resize or rebalance can be on its way.

/// What is waited for, and what is known of it so far.
struct JobWatch {
  /// A job that was asked for.
  struct Wanted {
    /// What its events say: `operation`, and `shards`, or `source` and `target`.
    let fields: [(name: String, value: String)]
    /// Its name, as soon as an event told it.
    var job: String?
    /// How it has ended, when it has.
    var end: JobEnd?

    /// A job whose events say that.
    init(_ fields: [(name: String, value: String)]) { self.fields = fields }
  }

  /// The jobs that were asked for.
  private(set) var wanted: [Wanted] = []
  /// The id of the last event that was seen.
  private var lastEvent = 0

  /// The shortest and longest time between two looks, in microseconds.
  private static let pauses: ClosedRange<UInt32> = 1000...100_000

  /// Waits for what will be asked for from now on.
  init(_ client: inout ClusterClient) throws(ClusterFailure) {
    let events = try client.ask(["CLUSTER", "EVENTS", "COUNT", "1"])
    lastEvent = events.elements?.last?["id"]?.integer ?? 0
  }

  /// For tests: nothing was seen yet.
  init() {}

  /// A job was asked for.
  mutating func want(_ fields: [(name: String, value: String)]) { wanted.append(Wanted(fields)) }

  /// How all have ended; nil while one has not.
  var ends: [JobEnd]? {
    let ends = wanted.compactMap(\.end)
    return ends.count == wanted.count ? ends : nil
  }

  /// Takes notice of events, oldest first.
  mutating func note(_ events: [Reply]) {
    for event in events {
      lastEvent = max(lastEvent, event["id"]?.integer ?? 0)
      guard let job = event["job"]?.text, event["operation"] != nil else { continue }
      let known = wanted.firstIndex { $0.job == job }
      let index =
        known
        ?? wanted.firstIndex { wanted in
          wanted.job == nil && wanted.fields.allSatisfy { event[$0.name]?.text == $0.value }
        }
      guard let index else { continue }
      wanted[index].job = job
      if let end = JobEnd(event) { wanted[index].end = end }
    }
  }

  /// Waits until all have ended, with a progress bar where somebody sees it.
  mutating func wait(_ client: inout ClusterClient) throws(ClusterFailure) -> [JobEnd] {
    var bar = ProgressLine()
    defer { bar.clear() }
    let began = SystemClock.monotonicNanoseconds
    do throws(ClusterFailure) {
      while true {
        let events = try client.ask(["CLUSTER", "EVENTS", "SINCE", "\(lastEvent)"])
        note(events.elements ?? [])
        if let ends { return ends }
        if bar.isDue { bar.show(try ClusterStatus.ask(&client)) }
        // A twentieth of the time so far: nobody waits much longer than the job takes.
        let elapsed = UInt32(clamping: (SystemClock.monotonicNanoseconds - began) / 1000)
        usleep(min(max(elapsed / 20, JobWatch.pauses.lowerBound), JobWatch.pauses.upperBound))
      }
    } catch {
      guard case .unreachable(let text) = error else { throw error }
      throw .unreachable("\(text); the job goes on without this tool, see 'tern cluster status'")
    }
  }
}

/// A line on a terminal that is written again and again; nothing where standard error is no terminal.
struct ProgressLine {
  private let isTerminal = isatty(2) == 1
  private var nextTime = SystemClock.monotonicNanoseconds + 150_000_000
  private var isShown = false

  /// Whether somebody looks, and something new should be shown: not at once, for most jobs are done by then.
  var isDue: Bool { isTerminal && SystemClock.monotonicNanoseconds >= nextTime }

  /// Shows how far a job is.
  mutating func show(_ status: ClusterStatus) {
    nextTime = SystemClock.monotonicNanoseconds + 100_000_000
    guard let job = status.job, !job.isEnded else { return }
    isShown = true
    Standard.write("\r\u{1B}[K" + ProgressBar.line(job), to: 2)
  }

  /// Leaves the line as if nothing had been there.
  mutating func clear() {
    if isShown { Standard.write("\r\u{1B}[K", to: 2) }
    isShown = false
  }
}
