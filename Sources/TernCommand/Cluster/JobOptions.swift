internal import ArgumentParser
internal import Server

/// How slots are moved.
enum ModeOption: String, ExpressibleByArgument, CaseIterable {
  case handover, incremental

  /// What is appended to a request.
  var words: [String] { self == .handover ? [] : ["MODE", rawValue] }
}

/// Options of commands that begin a job.
struct JobOptions: ParsableArguments {
  @Option(
    help: "How slots move: whole tables between two commands, or key by key with ASK to clients.")
  var mode = ModeOption.handover

  @OptionGroup var waiting: WaitOptions

  /// Asks for a job and waits for its end, if that is wanted.
  func carryOut(
    _ words: [String], _ name: String, _ fields: [(name: String, value: String)],
    _ client: inout ClusterClient, _ cluster: ClusterOptions
  ) throws(ClusterFailure) {
    var watch = try JobWatch(&client)
    _ = try client.ask(["CLUSTER"] + words)
    watch.want(fields)
    try waiting.finish(&watch, name, &client, cluster)
  }
}

/// Whether to wait for jobs that were begun, and what is said of them in the end.
struct WaitOptions: ParsableArguments {
  @Flag(help: "Return when the job has begun.")
  var noWait = false

  /// Waits for jobs and tells how they ended; fails if one was no success.
  func finish(
    _ watch: inout JobWatch, _ name: String, _ client: inout ClusterClient,
    _ cluster: ClusterOptions
  ) throws(ClusterFailure) {
    if noWait {
      let text =
        cluster.json
        ? JSON.object([.init("operation", .text(name)), .init("outcome", .text("begun"))]).pretty
        : "\(name) begun; 'tern cluster status' shows how far it is"
      Standard.write(text + "\n", to: 1)
      return
    }
    let ends = try watch.wait(&client)
    if cluster.json {
      let json = ends.count == 1 ? ends[0].json : JSON.list(ends.map(\.json))
      Standard.write(json.pretty + "\n", to: 1)
    } else {
      for end in ends where end.outcome == .success {
        Standard.write(end.summary + "\n", to: 1)
      }
    }
    let bad = ends.filter { $0.outcome != .success }
    if !bad.isEmpty { throw .refused(bad.map(\.summary).joined(separator: "\ntern: ")) }
  }
}
