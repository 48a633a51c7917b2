internal import ArgumentParser
internal import Engine
internal import Reactor
internal import Server

/// `tern serve`: a cluster in this process, until SIGTERM, SIGINT or SHUTDOWN.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a cluster: a configuration endpoint and its shards, in one process.",
    usage: "tern serve [CONFIG_FILE] [--NAME VALUE …]",
    discussion: ServeHelp.text)

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp(
      "A file with settings in redis.conf syntax, then settings as flags.",
      valueName: "config-file and flags"))
  var words: [String] = []

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
    try settings.read(commandLine: words)
    let log = try ServerLog.open(settings.values)
    defer { log.flush() }
    log.notice("starting", ["version": ServerVersion.text, "config": settings.file])
    for setting in settings.values.withoutEffect {
      log.warning(
        "a setting has no effect",
        ["name": setting.name, "value": setting.value, "why": setting.why])
    }
    let server: ClusterServer
    do throws(StartFailure) {
      server = try await ClusterServer.start(
        settings.values, configurationFile: settings.file, log: log,
        shutdownRequested: {
          log.notice("a client asked for the end")
          Termination.request()
        })
    } catch {
      log.warning("cannot start", ["why": error.description])
      throw error
    }
    Self.say(Banner.text(server), to: Self.output)
    for endpoint in server.endpoints {
      Self.say("\(endpoint.name) \(endpoint.address):\(endpoint.port)", to: Self.output)
    }
    Self.say("back-end \(server.backend), \(server.settings.workers) workers", to: Self.output)
    Self.say("ready", to: Self.output)
    log.notice(
      "serving",
      [
        "shards": "\(server.settings.shards)", "workers": "\(server.settings.workers)",
        "backend": server.backend,
      ])
    await Self.termination()
    log.notice("ending: replies that wait are sent")
    await server.stop()
    if server.hasFailed { throw StartFailure("ended because of the failure above") }
    log.notice("ended")
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
