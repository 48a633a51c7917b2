import Testing

/// A mutation, a seed that finds it, and the checks by which seeds do.
struct KnownMutation: Sendable, CustomTestStringConvertible {
  let mutation: SimulationMutation
  let seed: Int
  let checks: Set<SimulationCheck>

  init(_ mutation: SimulationMutation, seed: Int, _ checks: Set<SimulationCheck>) {
    self.mutation = mutation
    self.seed = seed
    self.checks = checks
  }

  var testDescription: String { mutation.rawValue }
}

/// The README's table, in the order of `SimulationMutation`.
let knownMutations: [KnownMutation] = [
  KnownMutation(.noSecondLook, seed: 9, [.movedToSelf, .movedToOwner]),
  KnownMutation(.mapNotComparedAgain, seed: 16, [.movedToOwner]),
  KnownMutation(.mapConfersOwnership, seed: 1, [.oneAcceptor, .lastWrite, .readBack]),
  KnownMutation(.answerBeforePush, seed: 1, [.movedToSelf, .movedToOwner]),
  KnownMutation(.publishBeforePush, seed: 220, [.movedToOwner, .movedToSelf]),
  KnownMutation(.flipWithoutEpoch, seed: 1, [.epoch]),
  KnownMutation(.copyOfTheMap, seed: 1, [.movedToSelf, .movedToOwner]),
  KnownMutation(.mergeOnAdopt, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.nextFlipWithoutAdoption, seed: 91, [.liveness, .movedToOwner]),
  KnownMutation(.nextFlipWithoutPublication, seed: 96, [.epoch]),
  KnownMutation(.refusedFlipStaysInMap, seed: 3, [.liveness, .movedToOwner, .movedToSelf]),
  KnownMutation(.openSlotHandedOver, seed: 15, [.oneAcceptor, .lastWrite]),
  KnownMutation(.askingServesAboveCursor, seed: 1, [.oneAcceptor]),
  KnownMutation(.targetCursorAhead, seed: 1, [.oneAcceptor, .lastWrite]),
  KnownMutation(.askBeforeSlice, seed: 1, [.askToHolder, .readBack]),
  KnownMutation(.cancelWithoutReturn, seed: 4, [.lastWrite, .readBack]),
  KnownMutation(.giveBackOvertakes, seed: 16, [.lastWrite, .readBack]),
  KnownMutation(.keysNotLocked, seed: 3, [.oneAcceptor]),
  KnownMutation(.deleteBeforeRestore, seed: 35, [.lastWrite, .readBack]),
  KnownMutation(.resizeWithOpenSlots, seed: 28, [.liveness]),
  KnownMutation(.nodeWithKeysLeft, seed: 75, [.lastWrite]),
  KnownMutation(.waitedNotDecidedAgain, seed: 3, [.oneAcceptor, .lastWrite]),
  KnownMutation(.tryAgainServed, seed: 3, [.lastWrite, .oneAcceptor, .readBack]),
  KnownMutation(.execNotDecided, seed: 8, [.lastWrite, .watch, .readBack]),
  KnownMutation(.watchersForgotten, seed: 244, [.watch]),
  KnownMutation(.askingForgottenInMulti, seed: 1, [.askToHolder]),
  KnownMutation(.hopsBehindBouncedRun, seed: 1, [.effectOrder]),
  KnownMutation(.routerSendsUnderNewerView, seed: 16, [.effectOrder]),
  KnownMutation(.parallelWrites, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedResentOutOfOrder, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedAgainGoesLast, seed: 15, [.effectOrder]),
  KnownMutation(.requestsOvertakeBounced, seed: 1, [.effectOrder]),
  KnownMutation(.secondBatchOverlaps, seed: 8, [.effectOrder]),
  KnownMutation(.askedHopAmongReads, seed: 245, [.effectOrder]),
  KnownMutation(.oldAskNamesShard, seed: 168, [.liveness]),
  KnownMutation(.routerTellsMoved, seed: 1, [.routerTold]),
  KnownMutation(.hopServedByOldOwner, seed: 1, [.lastWrite, .readBack, .scan]),
  KnownMutation(.askedHopNotDecided, seed: 5, [.lastWrite, .readBack]),
  KnownMutation(.scanSkipsSecondHalf, seed: 3, [.scan]),
  KnownMutation(.scanSecondHalfFirst, seed: 3, [.scan]),
  KnownMutation(.scanTakesFartherCursor, seed: 3, [.scan]),
  KnownMutation(.scanIgnoresEpoch, seed: 3, [.scan]),
  KnownMutation(.scanKnowsOldMap, seed: 31, [.liveness, .scan]),
  KnownMutation(.scanRunsIntoOpenSlot, seed: 3, [.scan]),
  KnownMutation(.scanGoesToOldOwner, seed: 1, [.scan]),
]
