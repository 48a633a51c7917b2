internal import ArgumentParser
internal import Reactor

/// The program's start.
@main
enum Program {
  /// Holds termination signals before any other thread exists, so that all inherit it; one thread waits for them.
  @MainActor static func main() async {
    WorkerThread.holdTerminationSignals()
    await TernCommand.main()
  }
}
