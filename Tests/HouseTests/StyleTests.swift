// Rules of style that a reader would otherwise have to watch over.
import Testing

@Suite struct StyleTests {
  /// No input may reach a trap, and no error is thrown away unseen.
  @Test func nothingForcesAnError() throws {
    let forced = [/\btry!/, /\bfatalError\(/, /\bas!/]
    var wrong: [String] = []
    for file in try SourceTree.sources() {
      for (number, text) in file.code {
        wrong += forced.compactMap { text.firstMatch(of: $0) }.map {
          "\(file.path):\(number) has \($0.output)"
        }
      }
    }
    #expect(wrong == [])
  }

  /// With them Tern could not be a dependency of another package.
  @Test func theManifestHasNoUnsafeFlags() throws {
    #expect(!(try SourceTree.text(of: "Package.swift").contains("unsafeFlags")))
  }

  @Test func filesBeginWithACommentOrAnImport() throws {
    let wrong = try SourceTree.sources(["swift", "h"]).filter { file in
      let first = file.lines.first ?? ""
      return !first.hasPrefix("//") && first.firstMatch(of: SourceFile.importLine) == nil
    }
    #expect(wrong.map(\.path) == [])
  }

  /// About 400 lines are an invitation to look for the missing noun; 700 are too many.
  @Test func filesAreNotLong() throws {
    let long = try SourceTree.sources(["swift", "h"]).filter { $0.lines.count > 701 }
    #expect(long.map { "\($0.path): \($0.lines.count - 1) lines" } == [])
  }

  @Test func noPlaceholderIsLeft() throws {
    #expect(try SourceTree.sources().map(\.path).filter { $0.hasSuffix("Placeholder.swift") } == [])
  }

  /// The README leads a reader through the targets, and leaves none out.
  @Test func theReadmeNamesEveryTarget() throws {
    let readme = try SourceTree.text(of: "README.md")
    #expect(try SourceTree.targets().filter { !readme.contains("`\($0)`") } == [])
  }
}
