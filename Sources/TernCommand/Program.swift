internal import ArgumentParser
internal import Glibc
internal import Reactor
internal import Server

/// The program's start and its end.
@main
enum Program {
  /// Takes the termination signals over first, so that none is lost while a cluster starts; `tern cluster` ends at them, as any tool.
  static func main() async {
    if CommandLine.arguments.dropFirst().first != "cluster" { Termination.hold() }
    do {
      var command = try TernCommand.parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let failure as ClusterFailure {
      Standard.write("tern: \(failure)\n", to: 2)
      exit(failure.exitCode)
    } catch {
      if TernCommand.exitCode(for: error) == .validationFailure {
        Standard.write(TernCommand.fullMessage(for: error) + "\n", to: 2)
        exit(2)
      }
      TernCommand.exit(withError: error)
    }
  }
}
