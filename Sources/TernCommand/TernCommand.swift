internal import ArgumentParser
internal import Server

/// The command `tern`.
struct TernCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tern",
    abstract: "A Redis-protocol engine for cluster mode.",
    discussion: """
      One process runs many shards, each a Redis Cluster node with a port of its own.

        tern serve                    shards on ports 7001 …, endpoint on 7000
        tern serve --shards 8 --maxmemory 4gb
        tern serve /etc/tern.conf     settings from a file as redis.conf
        tern serve --help             settings, defaults, units
        redis-cli -c -p 7001          talk to it
        tern cluster status           its shards, what they hold and do
        tern cluster resize --shards 8   more shards, or fewer, under load
        tern cluster --help           resize, rebalance, move, look
      """,
    version: ServerVersion.text,
    subcommands: [Serve.self, ClusterCommand.self])
}
