/// A JSON text as a value: what `--json` prints.
indirect enum JSON: Equatable {
  /// A field of an object.
  struct Field: Equatable {
    /// Its name.
    let name: String
    /// Its value.
    let value: JSON

    /// The field of this name and value.
    init(_ name: String, _ value: JSON) {
      self.name = name
      self.value = value
    }
  }

  case null
  case integer(Int)
  /// Not a number and infinities are written as `null`.
  case number(Double)
  case text(String)
  case list([JSON])
  /// Fields in the order in which they are written.
  case object([Field])

  /// On one line.
  var line: String {
    var text = ""
    write(to: &text, indent: nil)
    return text
  }

  /// Over several lines, each level two blanks further in.
  var pretty: String {
    var text = ""
    write(to: &text, indent: 0)
    return text
  }

  private func write(to text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .integer(let number): text += "\(number)"
    case .number(let number): text += number.isFinite ? "\(number)" : "null"
    case .text(let string): JSON.quote(string, to: &text)
    case .list(let items):
      JSON.write(items, between: ("[", "]"), to: &text, indent: indent) { item, text, indent in
        item.write(to: &text, indent: indent)
      }
    case .object(let fields):
      JSON.write(fields, between: ("{", "}"), to: &text, indent: indent) { field, text, indent in
        JSON.quote(field.name, to: &text)
        text += ": "
        field.value.write(to: &text, indent: indent)
      }
    }
  }

  private static func write<Item>(
    _ items: [Item], between ends: (String, String), to text: inout String, indent: Int?,
    _ write: (Item, inout String, Int?) -> Void
  ) {
    text += ends.0
    let inner = indent.map { $0 + 2 }
    for (index, item) in items.enumerated() {
      if index > 0 { text += inner == nil ? ", " : "," }
      if let inner { text += "\n" + String(repeating: " ", count: inner) }
      write(item, &text, inner)
    }
    if let indent, !items.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
    text += ends.1
  }

  private static func quote(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        if scalar.value < 32 || scalar.value == 127 {
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}
