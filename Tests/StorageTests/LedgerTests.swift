import Storage
import Testing

@Suite struct LedgerTests {
  @Test func countsOnTheOpenPage() {
    var ledger = Ledger(count: 3, 0)
    #expect(ledger.count == 3 && ledger.openPage == 0)
    ledger.page += 1
    ledger.turn(to: 2)
    ledger.page += 5
    ledger[1] += 7
    #expect((0..<3).map { ledger[$0] } == [1, 7, 5])
    #expect(ledger.openPage == 2 && ledger.page == 5)
  }

  /// Pages may hold what has to be let go of.
  @Test func pagesEnd() {
    final class Witness {}
    weak var seen: Witness?
    do {
      let witness = Witness()
      seen = witness
      var ledger: Ledger<[Witness]> = Ledger(count: 2, [])
      ledger.turn(to: 1)
      ledger.page.append(witness)
      #expect(ledger[1].count == 1 && ledger[0].isEmpty)
    }
    #expect(seen == nil)
  }
}
