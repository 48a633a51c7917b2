internal import ArgumentParser
internal import Reactor

/// Where the cluster is and how to be let in: options of every `tern cluster` command.
struct ClusterOptions: ParsableArguments {
  @Option(help: "The cluster's host.")
  var host = "127.0.0.1"

  @Option(help: "A port of the cluster: the configuration endpoint, or any shard's.")
  var port: UInt16 = 7000

  @Option(help: "The password; better in the environment variable TERN_PASSWORD.")
  var password: String?

  @Option(help: "Seconds to wait for a connection and for each reply.")
  var timeout = 10

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard (1...3600).contains(timeout) else {
      throw ValidationError("--timeout is in between 1 and 3600 seconds.")
    }
  }

  /// A connection to the port that was asked for.
  func connect() throws(ClusterFailure) -> ClusterClient {
    try connect(host: host, port: port)
  }

  /// A connection to another port of the same cluster.
  func connect(host: String, port: UInt16) throws(ClusterFailure) -> ClusterClient {
    try .connect(
      host: host, port: port, password: password ?? Environment.value(of: "TERN_PASSWORD"),
      patience: timeout * 1000)
  }
}
