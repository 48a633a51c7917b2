internal import ArgumentParser
internal import Glibc
internal import RESP
internal import Server

/// `tern cluster events`: what has happened, and what happens.
struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what has happened to the cluster: shards, migrations, changes by hand.",
    discussion: """
      Times are in UTC. The server keeps the latest 256 events, over restarts too. With \
      --follow --json each event is a line of its own.

      EXAMPLES
        tern cluster events --count 20
        tern cluster events --follow
        tern cluster events --follow --json | jq -c 'select(.event == "migration-failed")'
      """)

  @Flag(help: "Go on with events as they happen, until interrupted.")
  var follow = false

  @Option(help: "How many of the latest events.")
  var count = 256

  @OptionGroup var cluster: ClusterOptions

  /// Microseconds between two looks.
  private static let pause: UInt32 = 200_000

  func validate() throws {
    guard count >= 0 else { throw ValidationError("--count is 0 or more.") }
  }

  func run() throws {
    var client = try cluster.connect()
    var events = try ask(&client, ["COUNT", "\(count)"])
    if cluster.json, !follow {
      Standard.write(JSON.list(events.map(\.json)).pretty + "\n", to: 1)
      return
    }
    var last = events.last?.id ?? 0
    if follow, events.isEmpty {
      // None of those that there are is wanted, but all that come.
      last = try ask(&client, ["COUNT", "1"]).last?.id ?? 0
    }
    show(events)
    while follow {
      usleep(Events.pause)
      events = try ask(&client, ["SINCE", "\(last)"])
      show(events)
      last = events.last?.id ?? last
    }
  }

  private func ask(
    _ client: inout ClusterClient, _ words: [String]
  ) throws(ClusterFailure) -> [EventLine] {
    let reply = try client.ask(["CLUSTER", "EVENTS"] + words)
    return (reply.elements ?? []).compactMap(EventLine.init)
  }

  private func show(_ events: [EventLine]) {
    if events.isEmpty { return }
    Standard.write(
      events.map { ($0.lineText(json: cluster.json)) + "\n" }.joined(), to: 1)
  }
}

/// An event as it is shown.
struct EventLine: Equatable {
  /// Ascending.
  let id: Int
  /// Milliseconds since 1970.
  let time: Int
  /// `shard-created`, `migration-finished` …
  let event: String
  /// What there is to say of it, names and values.
  let fields: [(name: String, value: String)]

  /// What an entry of the reply says; nil if it is none.
  init?(_ reply: Reply) {
    guard case .map(let pairs) = reply, let id = reply["id"]?.integer,
      let time = reply["time"]?.integer, let event = reply["event"]?.text
    else { return nil }
    (self.id, self.time, self.event) = (id, time, event)
    fields = pairs.compactMap { pair in
      guard let name = pair.key.text, !["id", "time", "event"].contains(name) else { return nil }
      return (name, pair.value.text ?? pair.value.integer.map { "\($0)" } ?? "")
    }
  }

  /// Whether all is equal.
  static func == (left: EventLine, right: EventLine) -> Bool {
    (left.id, left.time, left.event) == (right.id, right.time, right.event)
      && left.fields.elementsEqual(right.fields) { $0 == $1 }
  }

  /// On a line.
  func lineText(json: Bool) -> String { json ? self.json.line : text }

  /// `2026-01-31T12:00:00.000Z  migration-finished  operation=resize slots=8192 …`
  var text: String {
    let moment = Timestamp.text(ofUnixMicroseconds: Int64(clamping: time) * 1000)
    let width = "configuration-changed".count
    let blanks = String(repeating: " ", count: max(0, width - event.count))
    let said = fields.map { "\($0.name)=\(EventLine.shown($0.value))" }.joined(separator: " ")
    return "\(moment)  \(event)\(blanks)  \(said)"
  }

  /// Values with blanks stand in quotes; ids are shortened as everywhere.
  private static func shown(_ value: String) -> String {
    let isID =
      value.utf8.count == 40 && value.utf8.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 }
    if isID { return String(value.prefix(ShardName.shownCount)) }
    let isPlain = value.utf8.allSatisfy { $0 > 32 && $0 != 34 && $0 < 127 }
    return isPlain ? value : JSON.text(value).line
  }

  /// For `--json`; numbers are numbers.
  var json: JSON {
    .object(
      [
        .init("id", .integer(id)), .init("time_msec", .integer(time)), .init("event", .text(event)),
      ]
        + fields.map { field in
          let name = String(field.name.map { $0 == "-" ? "_" : $0 })
          // An id may consist of digits alone; no number is that long.
          let number = field.value.utf8.count < 19 ? Int(field.value) : nil
          return .init(name, number.map { .integer($0) } ?? .text(field.value))
        })
  }
}
