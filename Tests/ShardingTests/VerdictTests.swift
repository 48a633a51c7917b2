import Sharding
import Testing

private let target = ShardID(number: 2, generation: 5)

/// The table of redirections, written out: state, ASKING, and the verdicts for all keys here, one
/// key gone, some of several gone, all of several gone.
private let table: [(SlotState, Bool, [Verdict])] = [
  (.held, false, [.serve, .serve, .serve, .serve]),
  (.held, true, [.serve, .serve, .serve, .serve]),
  (.elsewhere, false, [.moved, .moved, .moved, .moved]),
  (.elsewhere, true, [.moved, .moved, .moved, .moved]),
  (.unassigned, false, [.clusterDown, .clusterDown, .clusterDown, .clusterDown]),
  (.unassigned, true, [.clusterDown, .clusterDown, .clusterDown, .clusterDown]),
  (.migrating(to: target), false, [.serve, .ask(target), .tryAgain, .ask(target)]),
  (.migrating(to: target), true, [.serve, .ask(target), .tryAgain, .ask(target)]),
  (.importingByPresence, false, [.moved, .moved, .moved, .moved]),
  (.importingByPresence, true, [.serve, .serve, .tryAgain, .tryAgain]),
  (.importingByCursor, false, [.moved, .moved, .moved, .moved]),
  (.importingByCursor, true, [.serve, .moved, .tryAgain, .moved]),
]

@Suite struct VerdictTests {
  @Test func everyStateAskingAndKeys() {
    #expect(KeySide.allCases == [.here, .oneGone, .someGone, .allGone])
    for (state, asking, verdicts) in table {
      for (keys, expected) in zip(KeySide.allCases, verdicts) {
        #expect(
          verdict(state, asking: asking, keys: keys) == expected, "\(state) \(asking) \(keys)")
      }
    }
  }

  @Test func keysAreAskedForExactlyWhereTheyMatter() {
    for (state, asking, verdicts) in table {
      #expect(state.asksForKeys(asking: asking) == (Set(verdicts).count > 1), "\(state) \(asking)")
    }
  }

  /// I2: of the two sides of a migration, at most one serves a key, given where it is.
  @Test func neverBothSides() {
    for importing in [SlotState.importingByPresence, .importingByCursor] {
      for atSource in [KeySide.here, .oneGone] {
        let atTarget: KeySide = atSource == .here ? .oneGone : .here
        let source = verdict(.migrating(to: target), asking: false, keys: atSource)
        // Without ASKING, and by cursor even with it.
        #expect(verdict(importing, asking: false, keys: atTarget) == .moved)
        if importing == .importingByCursor {
          let asked = verdict(importing, asking: true, keys: atTarget)
          #expect((source == .serve) != (asked == .serve))
        }
      }
    }
  }

  @Test func texts() {
    #expect(
      text(ErrorReply.crossSlot)
        == "-CROSSSLOT Keys in request don't hash to the same slot\r\n")
    #expect(text(ErrorReply.clusterDown) == "-CLUSTERDOWN Hash slot not served\r\n")
    #expect(
      text(ErrorReply.tryAgain)
        == "-TRYAGAIN Multiple keys request during rehashing of slot\r\n")
  }
}
