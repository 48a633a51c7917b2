internal import RESP
internal import Storage

// LOLWUT: a picture by chance, and the version. And SWAPDB, which a cluster refuses.

extension Engine {
  /// LOLWUT [VERSION n] [columns [birds [bends]]]]: a flock on its way, where that version of Redis has a picture (5 and 6); else the version alone.
  mutating func lolwut(_ call: Call) -> Effect {
    var first = 1
    var version: Int64 = 5
    var isSized = false
    if call.count >= 3, call[1].equals(ignoringCase: "VERSION") {
      guard let number = call[2].integer() else { return notAnInteger() }
      (version, first, isSized) = (number, 3, true)
    }
    var picture = ""
    if version == 5 || version == 6 {
      // Limits: a reply of some hundred KB at most.
      var sizes = [66, 9, 3]
      for i in 0..<3 where isSized && first + i < call.count {
        guard let number = call[first + i].integer() else { return notAnInteger() }
        sizes[i] = Int(min(max(number, 1), [1000, 200, 200][i]))
      }
      picture = flock(columns: sizes[0], birds: sizes[1], bends: sizes[2])
    }
    reply.verbatim(text: picture + "Redis ver. \(TernVersion.redis)\n")
    return .none
  }

  /// Terns over a line that bends by chance: a line a row.
  private mutating func flock(columns: Int, birds: Int, bends: Int) -> String {
    let rows = 8
    var sky = Array(repeating: Array(repeating: " ", count: columns), count: rows)
    var height = draw(rows)
    var slope = 0
    for x in 0..<columns {
      if draw(max(1, columns / (bends + 1))) == 0 { slope = draw(3) - 1 }
      if x % 2 == 0 { height = min(max(height + slope, rows / 2), rows - 1) }
      sky[height][x] = "~"
    }
    for _ in 0..<birds { sky[draw(rows / 2)][draw(columns)] = ["v", "V", "^", "-"][draw(4)] }
    let lines = sky.map { row -> String in
      var row = row
      while row.last == " " { row.removeLast() }
      return row.joined()
    }
    return lines.joined(separator: "\n") + "\n\nThe longest way of all, from summer to summer. "
  }

  /// A number below a limit, by chance.
  private mutating func draw(_ limit: Int) -> Int {
    random.below(max(1, limit))
  }

  /// SWAPDB index index: a cluster has one database.
  mutating func swapdb(_ call: Call) -> Effect {
    failing("ERR SWAPDB is not allowed in cluster mode")
  }
}
