import Testing

@testable import Engine

@Suite struct GlobTests {
  private func matches(_ pattern: String, _ text: String, ignoringCase: Bool = false) -> Bool {
    Glob.matches(
      Array(pattern.utf8).span.bytes, Array(text.utf8).span.bytes, ignoringCase: ignoringCase)
  }

  /// As Redis: nothing but the empty pattern matches an empty text (its callers know `*` apart).
  @Test func patterns() {
    for (pattern, text, wanted) in [
      ("", "", true), ("", "a", false), ("*", "", false), ("*", "abc", true), ("**", "abc", true),
      ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "abcd", false), ("*c", "abcc", true),
      ("?", "a", true), ("?", "", false), ("??", "a", false), ("a?c", "abc", true),
      ("[abc]", "b", true), ("[abc]", "d", false), ("[^abc]", "d", true), ("[^abc]", "a", false),
      ("[a-c]x", "bx", true), ("[a-c]", "d", false), ("[c-a]", "b", true), ("[a-]", "-", false),
      ("[\\]]", "]", true), ("[", "[", false), ("[a", "a", true), ("[a", "b", false),
      ("\\*", "*", true), ("\\*", "a", false), ("\\", "\\", true), ("a\\", "a\\", true),
      ("h[ae]llo*", "hello world", true), ("*a*a*a*", "aaa", true), ("*a*a*a*", "aa", false),
      ("A", "a", false),
    ] {
      #expect(matches(pattern, text) == wanted, "\(pattern) and \(text)")
    }
    #expect(matches("A[B-D]\\E", "ace", ignoringCase: true))
  }

  /// What is exponential with a matcher that tries every star.
  @Test func manyStarsTakeNoTime() {
    let pattern = String(repeating: "a*", count: 200) + "b"
    #expect(!matches(pattern, String(repeating: "a", count: 2000)))
  }
}
