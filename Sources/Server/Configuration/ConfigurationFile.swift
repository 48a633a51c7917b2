internal import Engine
internal import Glibc
internal import Synchronization

/// The file that CONFIG REWRITE writes: one at a time, wholly or not at all, and beside the workers, because a disk may be slow.
final class ConfigurationFile: Sendable {
  /// Its absolute path; empty = there is none.
  let path: String
  private let isWriting = Mutex<Void>(())

  init(path: String) { self.path = path }

  /// Writes what is in force into the file, whose comments, order and includes stay. What went wrong; nil = nothing.
  func rewrite(_ settings: Settings) -> String? {
    if path.isEmpty { return "The server is running without a config file" }
    return isWriting.withLock { _ in
      // A file that is gone is written anew; one that cannot be read must not be lost.
      let old = Files.read(path)
      if old == nil, Files.exists(path) { return "Rewriting config file: cannot read \(path)" }
      let text = settings.rewriting(old ?? "", defaults: ServerSettings.defaults().values)
      do throws(Files.Failure) {
        try Files.replace(path, with: Array(text.utf8), mode: Files.mode(of: path) ?? 0o644)
        return nil
      } catch { return "Rewriting config file: \(error.reason)" }
    }
  }
}
