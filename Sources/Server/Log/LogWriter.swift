internal import Glibc
internal import Reactor
internal import Synchronization

// Lines of the log are written by a thread of their own. Whoever reads them may be slow, or stop (a full pipe, a log driver that hangs, a
// disk that does not answer): then lines wait, up to `byteLimit`, and beyond that are dropped and counted; nobody who has something to say
// waits. When lines are written again the first of them says how many are missing.
//
// A file is kept open, so that there is a log when no descriptor is left. Before it is written to, its path is looked at: a file that was
// moved away is followed by a new one, as soon as that can be opened.

/// The thread that writes, and what waits for it.
final class LogWriter: Sendable {
  /// Where the lines go.
  enum Place: Sendable {
    case standardOutput
    case file(String)
  }

  private struct State {
    var lines: [String] = []
    var byteCount = 0
    /// Lines that found no room: in all, and since it was last said.
    var droppedCount = 0
    var unsaidCount = 0
    /// A thread is there; it is writing what it has taken.
    var hasThread = false
    var isWriting = false
  }

  /// Bytes of lines that wait.
  static let byteLimit = 1 << 20

  private let place: Place
  private let state = Mutex(State())
  private let bell: WaitingPlace?

  /// A writer to a place; its thread starts with the first line.
  init(to place: Place) {
    self.place = place
    bell = try? WaitingPlace()
  }

  /// Lines that were dropped so far.
  var droppedCount: Int { state.withLock { $0.droppedCount } }

  /// Leaves a line to be written. Never waits for the place that it goes to.
  func write(_ line: String) {
    let startsThread = state.withLock { state in
      let byteCount = line.utf8.count
      guard state.byteCount + byteCount <= Self.byteLimit else {
        state.droppedCount += 1
        state.unsaidCount += 1
        return false
      }
      state.lines.append(line)
      state.byteCount += byteCount
      defer { state.hasThread = true }
      return !state.hasThread
    }
    bell?.ring()
    if !startsThread { return }
    do throws(ReactorError) {
      try WorkerThread.start(named: "tern-log") { [self] in run() }
    } catch {
      // No thread to be had: the next line tries again.
      state.withLock { $0.hasThread = false }
    }
  }

  /// Waits until what was said is written, for so long at most.
  func flush(milliseconds: Int) {
    for _ in 0..<max(1, milliseconds) {
      let isDone = state.withLock { $0.lines.isEmpty && !$0.isWriting }
      if isDone { return }
      WorkerThread.pause(milliseconds: 1)
    }
  }

  // MARK: the thread

  private func run() {
    var file: Int32 = -1
    while true {
      bell?.enter()
      let isEmpty = state.withLock { $0.lines.isEmpty }
      if isEmpty {
        if let bell { bell.wait(milliseconds: 1000) } else { WorkerThread.pause(milliseconds: 20) }
      }
      bell?.leave()
      let (lines, missingCount) = state.withLock { state in
        // How many are missing is said with the next line, however long that takes.
        if state.lines.isEmpty { return ([String](), 0) }
        let taken = (state.lines, state.unsaidCount)
        state.lines = []
        state.byteCount = 0
        state.unsaidCount = 0
        state.isWriting = true
        return taken
      }
      if lines.isEmpty { continue }
      if case .file(let path) = place { Self.follow(path, &file) }
      let target = if case .standardOutput = place { Int32(1) } else { file }
      if missingCount > 0 {
        let text = "lines of the log are missing here, for nobody took them count=\(missingCount)"
        Standard.write(LogSink.line("warning", text), to: target)
      }
      for line in lines where target >= 0 { Standard.write(line, to: target) }
      state.withLock { $0.isWriting = false }
    }
  }

  /// Opens the file at a path anew if another one, or none, is there by now. What is open stays so if that fails.
  private static func follow(_ path: String, _ file: inout Int32) {
    var (known, found) = (stat(), stat())
    if file >= 0, unsafe fstat(file, &known) == 0, unsafe stat(path, &found) == 0,
      known.st_ino == found.st_ino, known.st_dev == found.st_dev
    {
      return
    }
    let new = LogSink.open(path)
    if new < 0 { return }
    if file >= 0 { close(file) }
    file = new
  }
}
