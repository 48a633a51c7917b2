internal import ArgumentParser
internal import Server

/// `tern cluster status`: the shards and the job.
struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the shards, what they hold and do, and the job.",
    discussion: """
      A shard is named by its number or by the beginning of its id. Its status is \
      available, modifying (it gives or gets slots), creating or deleting.

      EXAMPLES
        tern cluster status
        tern cluster status --json | jq '.shards[] | select(.keys > 1000000) | .id'
        watch -n 1 tern cluster status
      """)

  @OptionGroup var cluster: ClusterOptions

  func run() throws {
    var client = try cluster.connect()
    let status = try ClusterStatus.ask(&client)
    Standard.write(cluster.json ? status.json.pretty + "\n" : status.text, to: 1)
  }
}

extension ClusterStatus {
  /// A table of the shards, their sums, and a line about the job.
  var text: String {
    var table = Table(
      .numbers("shard"), .words("id"), .words("address"), .words("status"), .numbers("slots"),
      .numbers("keys"), .numbers("memory"), .numbers("ops/s"))
    for shard in shards {
      table.rows.append([
        "\(shard.number)", shard.shortID, shard.address, shard.status, Quantity.count(shard.slots),
        Quantity.count(shard.keys), Quantity.bytes(shard.memory),
        Quantity.count(shard.operations),
      ])
    }
    func sum(_ figure: (Shard) -> Int) -> Int { shards.reduce(0) { $0 + figure($1) } }
    // One that gives its last slots away counts; one whose port only redirects does not.
    let count = shards.count { $0.status != "deleting" || $0.slots > 0 }
    table.rows.append([
      "all", "", Quantity.counted(count, "shard"), "", Quantity.count(sum(\.slots)),
      Quantity.count(sum(\.keys)), Quantity.bytes(sum(\.memory)),
      Quantity.count(sum(\.operations)),
    ])
    let limit = speed == 0 ? "" : "\nspeed: at most \(Quantity.count(speed)) slots/s"
    return table.text + "\n" + (job?.text ?? "no job yet") + limit + unsaved + "\n"
  }

  private var unsaved: String {
    if unsavedSince == 0 { return "" }
    let since = Timestamp.text(ofUnixMicroseconds: Int64(clamping: unsavedSince) &* 1000)
    return "\ntopology not saved since \(since): \(unsavedReason)"
  }

  /// For `--json`.
  var json: JSON {
    .object([
      .init("job", job?.json ?? .null), .init("speed", .integer(speed)),
      .init("topology_unsaved_since", unsavedSince == 0 ? .null : .integer(unsavedSince)),
      .init("topology_unsaved_reason", .text(unsavedReason)),
      .init(
        "shards",
        .list(
          shards.map { shard in
            .object([
              .init("shard", .integer(shard.number)), .init("id", .text(shard.id)),
              .init("address", .text(shard.address)), .init("status", .text(shard.status)),
              .init("slots", .integer(shard.slots)), .init("keys", .integer(shard.keys)),
              .init("memory_bytes", .integer(shard.memory)),
              .init("ops_per_second", .integer(shard.operations)),
            ])
          })),
    ])
  }
}

extension ClusterStatus.Job {
  /// In a line: progress while it is on its way, else what it has done.
  var text: String {
    let note = message.isEmpty ? "" : "\nnote: \(message)"
    guard isEnded else { return "job: " + ProgressBar.line(self) + note }
    let figures =
      "\(Quantity.counted(slotsDone, "slot")), \(Quantity.counted(keys, "key")), \(Quantity.bytes(byteCount))"
      + " in \(Quantity.duration(microseconds: duration)), longest pause "
      + Quantity.duration(microseconds: longestPause)
    return "last job: \(operation) (\(mode)), \(state): \(figures)" + note
  }

  fileprivate var json: JSON {
    .object([
      .init("id", .text(id)), .init("operation", .text(operation)), .init("mode", .text(mode)),
      .init("state", .text(state)), .init("percent", .number(percent)),
      .init("slots", .integer(slotsDone)), .init("slots_total", .integer(slotsTotal)),
      .init("keys", .integer(keys)), .init("bytes", .integer(byteCount)),
      .init("slots_per_second", .integer(rate)),
      .init("time_left_msec", timeLeft.map { .integer($0) } ?? .null),
      .init("duration_usec", .integer(duration)),
      .init("longest_pause_usec", .integer(longestPause)), .init("message", .text(message)),
    ])
  }
}
