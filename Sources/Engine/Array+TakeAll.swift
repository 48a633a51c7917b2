// Hand the contents over, keep the place: what is collected for somebody who comes for it once a turn.

extension Array {
  /// All elements; the array is empty afterwards. One look where it is empty already.
  package mutating func takeAll() -> [Element] {
    if isEmpty { return [] }
    var taken: [Element] = []
    swap(&taken, &self)
    return taken
  }
}
