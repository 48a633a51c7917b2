internal import Glibc
internal import Synchronization

/// The few things that the server does with files, by the system's own calls.
enum Files {
  /// Why something could not be done with a file.
  struct Failure: Error {
    /// What was tried, on which path, and the system's reason.
    let reason: String
  }

  /// A file's whole content as text; nil if it cannot be read.
  static func read(_ path: String) -> String? {
    bytes(of: path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// A file's whole content; nil if it cannot be read.
  static func bytes(of path: String) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var content: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe piece.withUnsafeMutableBytes {
        unsafe Glibc.read(file, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      if count < 0 { return nil }
      if count == 0 { return content }
      content += piece[..<count]
    }
  }

  /// Replaces a file's content, wholly or not at all: a temporary file beside it, on disk before it takes the name.
  static func replace(
    _ path: String, with content: [UInt8], mode: mode_t = 0o644
  ) throws(Failure) {
    let temporary = path + ".new"
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard file >= 0 else { throw failure("cannot create", temporary) }
    var offset = 0
    while offset < content.count {
      let count = unsafe content.withUnsafeBytes {
        unsafe Glibc.write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if count < 0, errno == EINTR { continue }
      if count < 0 {
        let failure = failure("cannot write", temporary)
        close(file)
        throw failure
      }
      offset += count
    }
    let isSynced = fsync(file) == 0
    close(file)
    guard isSynced, unsafe rename(temporary, path) == 0 else {
      throw failure("cannot replace", path)
    }
    syncDirectory(of: path)
  }

  /// Whether there is a file.
  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// A file's permissions; nil if there is none.
  static func mode(of path: String) -> mode_t? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  /// A path from the root, links followed; as it is if there is no such file.
  static func absolute(_ path: String) -> String {
    if let found = unsafe realpath(path, nil) {
      defer { unsafe free(found) }
      return unsafe String(cString: found)
    }
    if path.hasPrefix("/") { return path }
    guard let here = unsafe getcwd(nil, 0) else { return path }
    defer { unsafe free(here) }
    return unsafe String(cString: here) + "/" + path
  }

  /// The files that a pattern of the shell's kind names, in order; a path without wildcards names itself, there or not.
  static func matching(_ pattern: String) -> [String] {
    if !pattern.contains(where: { $0 == "*" || $0 == "?" || $0 == "[" }) { return [pattern] }
    var found = unsafe glob_t()
    defer { unsafe globfree(&found) }
    guard unsafe glob(pattern, 0, nil, &found) == 0 else { return [] }
    var paths: [String] = []
    for place in unsafe 0..<Int(found.gl_pathc) {
      if let path = unsafe found.gl_pathv[place] { unsafe paths.append(String(cString: path)) }
    }
    return paths
  }

  /// Makes a rename last.
  private static func syncDirectory(of path: String) {
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    let directory = unsafe open(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory >= 0 {
      fsync(directory)
      close(directory)
    }
  }

  /// Makes a directory and those above it, as far as they are missing.
  static func makeDirectory(_ path: String) throws(Failure) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += made.isEmpty || made.hasSuffix("/") ? "\(part)" : "/\(part)"
      if unsafe mkdir(made, 0o755) != 0, errno != EEXIST {
        throw failure("cannot make directory", made)
      }
    }
  }

  /// Locks a file for this process alone, as long as the descriptor is open; nil if another process has it.
  static func lock(_ path: String) throws(Failure) -> Int32? {
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure("cannot open", path) }
    if flock(file, LOCK_EX | LOCK_NB) == 0 { return file }
    close(file)
    return nil
  }

  /// Gives a lock back.
  static func unlock(_ file: Int32) { close(file) }

  private static func failure(_ what: String, _ path: String) -> Failure {
    Failure(reason: unsafe "\(what) \(path): \(String(cString: strerror(errno)))")
  }
}
