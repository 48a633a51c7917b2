internal import ArgumentParser
internal import Engine
internal import Reactor
internal import Server

/// `tern serve`: a cluster in this process, until SIGTERM, SIGINT or SHUTDOWN.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a cluster: a configuration endpoint and its shards, in one process.",
    discussion: """
      Shard i listens on PORT + i. Settings come from the defaults, then CONFIG_FILE (redis.conf
      syntax), then these flags. nodes.conf in DIR keeps node ids and slots; where it exists it
      decides over --shards.
      """)

  @Argument(help: "A file with settings, in redis.conf syntax.")
  var configFile: String?
  @Option(help: "Port of the configuration endpoint (default 7000).")
  var port: String?
  @Option(help: "Number of shards (default: the larger of 4 and the number of cores).")
  var shards: String?
  @Option(help: "Number of worker threads (default: number of cores).")
  var workers: String?
  @Option(help: "Address to listen on; several are separated by spaces (default 127.0.0.1).")
  var bind: String?
  @Option(help: "Directory of nodes.conf (default ./tern-data).")
  var dir: String?
  @Option(help: "auto, uring or epoll (default auto).")
  var io: String?
  @Option(help: "CPUs to pin workers to, such as 0,2-3 (default: none).")
  var cpus: String?
  @Option(help: "Who may use DEBUG: no, local or yes (default no).")
  var enableDebugCommand: String?

  func run() async throws {
    do throws(StartFailure) {
      try await serve()
    } catch {
      Self.say("tern: \(error)", to: Self.errors)
      throw ExitCode(1)
    }
  }

  private func serve() async throws(StartFailure) {
    var settings = ServerSettings.defaults()
    if let configFile { try settings.read(file: configFile) }
    let flags = [
      ("port", port), ("shards", shards), ("workers", workers), ("bind", bind), ("dir", dir),
      ("io", io), ("cpus", cpus), ("enable-debug-command", enableDebugCommand),
    ]
    for (name, value) in flags {
      if let value { try settings.set(flag: name, to: value) }
    }
    let server = try await ClusterServer.start(
      settings.values, configurationFile: configFile ?? "",
      report: { line in Self.say(line, to: Self.errors) },
      shutdownRequested: { Termination.request() })
    for endpoint in server.endpoints {
      Self.say("\(endpoint.name) \(endpoint.address):\(endpoint.port)", to: Self.output)
    }
    Self.say("back-end \(server.backend), \(server.settings.workers) workers", to: Self.output)
    Self.say("ready", to: Self.output)
    await Self.termination()
    await server.stop()
    if server.hasFailed { throw StartFailure("ended because of the failure above") }
  }

  private static func termination() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      do {
        try WorkerThread.start(named: "tern-signals") {
          Termination.wait()
          continuation.resume()
        }
      } catch {
        say("tern: \(error)", to: errors)
        continuation.resume()
      }
    }
  }

  /// A line for whoever reads this process, at once: others wait for it.
  private static func say(_ line: String, to file: Int32) {
    Standard.write(line + "\n", to: file)
  }

  private static let output: Int32 = 1
  private static let errors: Int32 = 2
}
