internal import ArgumentParser

/// `tern cluster resize`: that there be so many shards.
struct Resize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Add or remove shards, and move slots so that all have equally many.",
    discussion: """
      New shards take the lowest free numbers, the highest ones are removed. A removed \
      shard's port goes on answering MOVED (cluster-drain-timeout). Waits for the end, \
      with a progress bar on a terminal.

      EXAMPLES
        tern cluster resize --shards 8
        tern cluster resize --shards 2 --mode incremental --no-wait
        tern cluster resize --shards 8 --json | jq .duration_usec
      """)

  @Option(help: "How many shards there are to be: 1 to 500.")
  var shards: Int

  @OptionGroup var job: JobOptions
  @OptionGroup var cluster: ClusterOptions

  func validate() throws {
    guard (1...500).contains(shards) else {
      throw ValidationError("--shards is a number from 1 to 500.")
    }
  }

  func run() throws {
    var client = try cluster.connect()
    try job.carryOut(
      ["RESIZE", "SHARDS", "\(shards)"] + job.mode.words, "resize",
      [("operation", "resize"), ("shards", "\(shards)")], &client, cluster)
  }
}
