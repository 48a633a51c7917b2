/// Rows of texts under headings, in columns as wide as they need to be.
struct Table {
  /// A column: its heading, and where its texts stand.
  struct Column {
    /// Which end of the column texts begin at.
    enum Side { case left, right }

    /// What stands above it.
    let heading: String
    /// Words stand left, numbers right.
    let side: Side

    /// A column of words.
    static func words(_ heading: String) -> Column { Column(heading: heading, side: .left) }
    /// A column of numbers.
    static func numbers(_ heading: String) -> Column { Column(heading: heading, side: .right) }
  }

  /// The columns from the left on.
  let columns: [Column]
  /// The rows from the top on, a text for each column; an absent one is empty.
  var rows: [[String]] = []

  /// A table without rows.
  init(_ columns: Column...) { self.columns = columns }

  /// The heading and the rows, a line each. Lines do not end with blanks.
  var text: String {
    let lines = [columns.map(\.heading)] + rows
    let widths = columns.indices.map { column in
      lines.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return lines.map { line in
      var text = ""
      for (column, width) in widths.enumerated() {
        let cell = column < line.count ? line[column] : ""
        let blanks = String(repeating: " ", count: width - cell.count)
        if column > 0 { text += "  " }
        text += columns[column].side == .left ? cell + blanks : blanks + cell
      }
      while text.last == " " { text.removeLast() }
      return text + "\n"
    }.joined()
  }
}
