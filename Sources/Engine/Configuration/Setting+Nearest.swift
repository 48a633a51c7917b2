// What somebody who has misspelt a setting's name may have meant.

extension Setting {
  /// Letters that may be wrong, missing or too many.
  private static let tolerance = 2

  /// The name of a setting that is like an unknown one; nil if none is. O(names × letters²), for a server that does not start.
  static func nearest(to name: String) -> String? {
    let wanted = Array(name.lowercased().utf8)
    var best: (name: String, distance: Int)?
    for (known, _) in names {
      let distance = distance(wanted, Array(known.utf8))
      let isLike = distance <= tolerance && 2 * distance < wanted.count
      if isLike, distance < best?.distance ?? .max { best = (known, distance) }
    }
    return best?.name
  }

  /// The fewest letters to change, to add, to take away, or pairs of neighbours to exchange, that make one word of the other.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    if abs(a.count - b.count) > tolerance { return tolerance + 1 }
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var next = [i + 1]
      for j in 0..<b.count {
        var least = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, next[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          least = min(least, before[j - 1] + 1)
        }
        next.append(least)
      }
      before = last
      last = next
    }
    return last[b.count]
  }
}
