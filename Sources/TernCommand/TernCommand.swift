internal import ArgumentParser
internal import Server

/// The command `tern`.
struct TernCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tern",
    abstract: "A Redis-protocol engine for cluster mode.",
    version: ServerVersion.text,
    subcommands: [Serve.self])
}
