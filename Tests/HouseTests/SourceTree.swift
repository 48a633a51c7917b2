// The source tree as text: what the house rules are checked on.
import Foundation

/// One file of the repository, by lines.
struct SourceFile {
  /// Its path from the package's root.
  let path: String
  /// The directory below `Sources` that it lies in.
  let target: String
  let lines: [String]

  /// The numbered lines without those that are comments alone, and without comments after code.
  var code: [(number: Int, text: String)] {
    lines.enumerated().compactMap { index, line in
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      if trimmed.isEmpty || trimmed.hasPrefix("//") { return nil }
      let text = line.range(of: " // ").map { String(line[..<$0.lowerBound]) } ?? line
      return (index + 1, text)
    }
  }

  /// The modules that it imports, with the numbers of their lines.
  var imports: [(number: Int, module: String)] {
    code.compactMap { number, text in
      text.firstMatch(of: SourceFile.importLine).map { (number, String($0.1)) }
    }
  }

  /// `@_exported public import struct Module.Name` in all its forms; the first capture is the module.
  nonisolated(unsafe) static let importLine =
    /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/
}

/// The package that these tests belong to.
enum SourceTree {
  /// The package's root directory.
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The text of a file at a path from the root.
  static func text(of path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// The directories below `Sources`.
  static func targets() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources").path())
      .filter { !$0.hasPrefix(".") }.sorted()
  }

  /// Every file below `Sources` with one of the extensions, in the order of their paths.
  static func sources(_ extensions: Set<String> = ["swift"]) throws -> [SourceFile] {
    try targets().flatMap { target in
      let directory = root.appending(path: "Sources/\(target)").path()
      let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String }
      return try (names ?? []).sorted().filter {
        extensions.contains(($0 as NSString).pathExtension)
      }
      .map { name in
        let path = "Sources/\(target)/\(name)"
        return SourceFile(
          path: path, target: target,
          lines: try text(of: path).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init))
      }
    }
  }
}
