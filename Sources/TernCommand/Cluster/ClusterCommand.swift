internal import ArgumentParser

/// `tern cluster`: the administration of a running cluster, over one of its ordinary ports.
struct ClusterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster",
    abstract: "Look at a running cluster, resize it, rebalance it.",
    discussion: """
      Every command speaks to a port of the cluster (--port 7000 if not told); clients \
      keep working whatever is done. Jobs go on when this tool is ended.

      EXAMPLES
        tern cluster status                    shards, their load, the job
        tern cluster resize --shards 8         add or remove shards
        tern cluster rebalance --by load       equal loads instead of equal counts
        tern cluster hot --count 5             which slots cost most
        tern cluster move --slots 0-99 --to 2  these slots to shard 2
        tern cluster events --follow           what happens, as it happens
        TERN_PASSWORD=secret tern cluster status --host 10.0.0.5 --port 7000 --json

      EXIT CODES
        0  done
        1  refused, or the job was cancelled or has failed
        2  wrong usage
        3  the cluster cannot be reached, or does not let us in
      """,
    subcommands: [
      Status.self, Resize.self, Rebalance.self, Slots.self, Hot.self, Move.self, Events.self,
      Cancel.self, Pause.self, Resume.self, Speed.self,
    ])
}
