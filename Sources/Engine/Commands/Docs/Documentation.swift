// What COMMAND DOCS tells of a command beyond the command table: a sentence, its history, its arguments.
//
// The notation
// ============
// The files beside this one hold a text a family, one entry a command:
//
//   getset
//     = Replaces the string at a key and gives the old one.      the summary
//     ^ 6.2.0 It may do more.                                    what a version changed
//     ! deprecated 6.2.0 `SET` with the `!GET` argument          since when it is deprecated, and what replaces it
//     ! syscmd                                                   a flag of the documentation
//     - complexity                                               redis-server tells none
//     key:key#0 value:string                                     the arguments, over any number of lines
//
// An argument is `name:type`, then, in this order and where it has them: `#n` the key specification it belongs to, `=TOKEN` the word that
// stands before it (in quotes if it is no plain word), `@1.2.3` the version that brought it, `~1.2.3` the version that deprecated it, `?`
// optional, `*` may come several times, `+` its token comes each time. Its parts follow in parentheses, which stand alone. Names, types,
// tokens and versions are those of redis-server 7.0.15, because clients and command-line completion read them; the sentences are ours.

/// The documentation of one command or subcommand.
struct Documentation: Sendable {
  /// What it does, in a sentence.
  var summary = ""
  /// Versions that changed it, and how.
  var history: [(version: String, change: String)] = []
  /// `syscmd` or `deprecated`; nil for most.
  var flag: String?
  /// Where it is deprecated: since when, and in favour of what.
  var deprecatedSince: String?
  var replacedBy: String?
  /// Whether its cost is told.
  var tellsComplexity = true
  /// Its arguments in order.
  var arguments: [DocumentedArgument] = []

  /// All that is documented, by name (`container|subcommand`). Read once, at the first COMMAND DOCS.
  static let all: [String: Documentation] = {
    var found: [String: Documentation] = [:]
    for text in [
      strings, bitmaps, keys, transactions, connections, clients, servers, clusters,
    ] {
      read(text, into: &found)
    }
    return found
  }()

  /// Reads a family's text. It is our own: what is wrong in it is our mistake.
  static func read(_ text: String, into found: inout [String: Documentation]) {
    var name = ""
    var entry = Documentation()
    var words: [Substring] = []
    func finish() {
      if name.isEmpty { return }
      var place = 0
      entry.arguments = DocumentedArgument.list(words, &place)
      precondition(place == words.count, "unbalanced parentheses")
      precondition(found.updateValue(entry, forKey: name) == nil, "documented twice")
    }
    for line in text.split(separator: "\n") {
      if line.first != " " {
        finish()
        (name, entry, words) = (String(line), Documentation(), [])
        continue
      }
      let trimmed = line.drop { $0 == " " }
      let rest = trimmed.dropFirst(2)
      switch trimmed.prefix(2) {
      case "= ": entry.summary = String(rest)
      case "^ ":
        let parts = rest.split(separator: " ", maxSplits: 1)
        precondition(parts.count == 2)
        entry.history.append((String(parts[0]), String(parts[1])))
      case "! ":
        let parts = rest.split(separator: " ", maxSplits: 2)
        entry.flag = String(parts[0])
        if parts.count == 3 {
          entry.deprecatedSince = String(parts[1])
          entry.replacedBy = String(parts[2])
        }
      case "- ": entry.tellsComplexity = false
      default: words += trimmed.split(separator: " ")
      }
    }
    finish()
  }
}

/// An argument in a command's documentation.
struct DocumentedArgument: Sendable {
  /// What people call it.
  var name = ""
  /// `key`, `integer`, `oneof`, `block` and the like.
  var type = ""
  /// The index of the key specification that it belongs to.
  var keySpecification: Int?
  /// The word before it.
  var token: String?
  /// The versions that brought and that deprecated it.
  var since: String?
  var deprecatedSince: String?
  /// `optional`, `multiple`, `multiple_token`.
  var flags: [String] = []
  /// Of which it is made, or one of which it is.
  var parts: [DocumentedArgument] = []

  /// The arguments from a place on, up to the end or a closing parenthesis.
  static func list(_ words: [Substring], _ place: inout Int) -> [DocumentedArgument] {
    var found: [DocumentedArgument] = []
    while place < words.count, words[place] != ")" {
      if words[place] == "(" {
        place += 1
        let parts = list(words, &place)
        precondition(!found.isEmpty && place < words.count, "unbalanced parentheses")
        found[found.count - 1].parts = parts
      } else {
        found.append(DocumentedArgument(words[place]))
      }
      place += 1
    }
    return found
  }

  /// Reads one word of the notation.
  private init(_ word: Substring) {
    let marks = "#=@~?*+"
    var rest = word
    func take(_ end: (Character) -> Bool) -> Substring {
      let taken = rest.prefix { !end($0) }
      rest = rest.dropFirst(taken.count)
      return taken
    }
    let head = take { marks.contains($0) }
    guard let colon = head.lastIndex(of: ":") else {
      preconditionFailure("an argument has a name and a type")
    }
    name = String(head[..<colon])
    type = String(head[head.index(after: colon)...])
    while let mark = rest.popFirst() {
      switch mark {
      case "#": keySpecification = Int(take { marks.contains($0) })
      case "=" where rest.first == "\"":
        rest = rest.dropFirst()
        token = String(take { $0 == "\"" })
        rest = rest.dropFirst()
      case "=": token = String(take { marks.contains($0) })
      case "@": since = String(take { marks.contains($0) })
      case "~": deprecatedSince = String(take { marks.contains($0) })
      case "?": flags.append("optional")
      case "*": flags.append("multiple")
      case "+": flags.append("multiple_token")
      default: preconditionFailure("no such mark")
      }
    }
  }
}
