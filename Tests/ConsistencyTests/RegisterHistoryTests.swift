import TestSupport
import Testing

/// The judge is judged first: against all orders of small histories.
@Suite struct RegisterHistoryTests {
  private typealias Operation = RegisterHistory.Operation

  private func write(_ value: UInt64, _ start: UInt64, _ end: UInt64) -> Operation {
    Operation(value: value, isWrite: true, start: start, end: end)
  }

  private func read(_ value: UInt64, _ start: UInt64, _ end: UInt64) -> Operation {
    Operation(value: value, isWrite: false, start: start, end: end)
  }

  @Test func whatIsRightIsAccepted() {
    let history = RegisterHistory(operations: [
      read(0, 1, 2), write(1, 3, 8), read(0, 3, 5), read(1, 4, 9), write(2, 7, 12), read(2, 8, 10),
      read(2, 20, 21),
    ])
    #expect(history.contradiction() == nil)
  }

  @Test func aLostWriteIsFound() {
    #expect(RegisterHistory(operations: [write(1, 1, 2), read(0, 3, 4)]).contradiction() != nil)
  }

  @Test func aReadThatGoesBackIsFound() {
    let history = RegisterHistory(operations: [
      write(1, 1, 10), read(1, 2, 3), read(0, 4, 5), write(2, 20, 21),
    ])
    #expect(history.contradiction() != nil)
  }

  @Test func aValueFromNowhereIsFound() {
    #expect(RegisterHistory(operations: [read(7, 1, 2)]).contradiction() != nil)
    #expect(RegisterHistory(operations: [read(7, 1, 2), write(7, 3, 4)]).contradiction() != nil)
  }

  /// Whether some order of the operations explains all reads, by trying them all.
  private func hasOrder(_ left: [Operation], _ value: UInt64) -> Bool {
    if left.isEmpty { return true }
    let firstEnd = left.map(\.end).min() ?? 0
    for (place, next) in left.enumerated() where next.start <= firstEnd {
      if !next.isWrite && next.value != value { continue }
      var rest = left
      rest.remove(at: place)
      if hasOrder(rest, next.value) { return true }
    }
    return false
  }

  @Test(arguments: [UInt64(1), 2, 3]) func agreesWithTryingAllOrders(seed: UInt64) {
    var random = SplitMix(state: seed)
    var (right, wrong) = (0, 0)
    for _ in 0..<3000 {
      var operations: [Operation] = []
      var times = Array(1...UInt64(12)).shuffled(using: &random)
      for value in 1...UInt64(3) {
        let (a, b) = (times.removeLast(), times.removeLast())
        operations.append(write(value, min(a, b), max(a, b)))
      }
      for _ in 0..<3 {
        let (a, b) = (times.removeLast(), times.removeLast())
        operations.append(read(UInt64.random(in: 0...3, using: &random), min(a, b), max(a, b)))
      }
      let isRight = hasOrder(operations, 0)
      if isRight { right += 1 } else { wrong += 1 }
      let said = RegisterHistory(operations: operations).contradiction()
      #expect((said == nil) == isRight, "seed \(seed): \(operations), said \(said ?? "nothing")")
    }
    #expect(right > 100 && wrong > 100)
  }
}
