internal import ArgumentParser
internal import Reactor

/// The program's start.
@main
enum Program {
  /// Takes the termination signals over first, so that none is lost while the cluster starts.
  static func main() async {
    Termination.hold()
    await TernCommand.main()
  }
}
