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
  KnownMutation(.noSecondLook, seed: 1, [.movedToSelf, .movedToOwner]),
  KnownMutation(.mapNotComparedAgain, seed: 28, [.movedToOwner]),
  KnownMutation(.mapConfersOwnership, seed: 1, [.oneAcceptor, .lastWrite, .readBack]),
  KnownMutation(.answerBeforePush, seed: 1, [.movedToSelf, .movedToOwner]),
  KnownMutation(.publishBeforePush, seed: 240, [.movedToOwner, .movedToSelf]),
  KnownMutation(.flipWithoutEpoch, seed: 1, [.epoch]),
  KnownMutation(.copyOfTheMap, seed: 1, [.movedToSelf, .movedToOwner]),
  KnownMutation(.mergeOnAdopt, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.nextFlipWithoutAdoption, seed: 372, [.liveness, .movedToOwner, .sourceHolds]),
  KnownMutation(.nextFlipWithoutPublication, seed: 48, [.epoch]),
  KnownMutation(.refusedFlipStaysInMap, seed: 15, [.liveness, .movedToOwner, .movedToSelf]),
  KnownMutation(.openSlotHandedOver, seed: 7, [.oneAcceptor, .lastWrite, .scan]),
  KnownMutation(.askingServesAboveCursor, seed: 1, [.oneAcceptor]),
  KnownMutation(.targetCursorAhead, seed: 1, [.oneAcceptor, .lastWrite]),
  KnownMutation(.askBeforeSlice, seed: 1, [.askToHolder, .readBack]),
  KnownMutation(.cancelWithoutReturn, seed: 5, [.lastWrite, .readBack, .scan]),
  KnownMutation(.giveBackOvertakes, seed: 16, [.lastWrite, .readBack]),
  KnownMutation(.keysNotLocked, seed: 3, [.oneAcceptor]),
  KnownMutation(.deleteBeforeRestore, seed: 15, [.lastWrite, .readBack]),
  KnownMutation(.resizeWithOpenSlots, seed: 28, [.liveness]),
  KnownMutation(.nodeWithKeysLeft, seed: 55, [.lastWrite, .scan]),
  KnownMutation(.waitedNotDecidedAgain, seed: 3, [.oneAcceptor, .lastWrite]),
  KnownMutation(.tryAgainServed, seed: 4, [.lastWrite, .oneAcceptor, .readBack]),
  KnownMutation(.execNotDecided, seed: 4, [.lastWrite, .watch, .readBack]),
  KnownMutation(.watchersForgotten, seed: 39, [.watch]),
  KnownMutation(.askingForgottenInMulti, seed: 1, [.askToHolder]),
  KnownMutation(.hopsBehindBouncedRun, seed: 1, [.effectOrder]),
  KnownMutation(.routerSendsUnderNewerView, seed: 15, [.effectOrder]),
  KnownMutation(.parallelWrites, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedResentOutOfOrder, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedAgainGoesLast, seed: 3, [.effectOrder]),
  KnownMutation(.requestsOvertakeBounced, seed: 1, [.effectOrder]),
  KnownMutation(.secondBatchOverlaps, seed: 6, [.effectOrder]),
  KnownMutation(.askedHopAmongReads, seed: 163, [.effectOrder]),
  KnownMutation(.oldAskNamesShard, seed: 168, [.liveness]),
  KnownMutation(.routerTellsMoved, seed: 1, [.routerTold]),
  KnownMutation(.hopServedByOldOwner, seed: 1, [.lastWrite, .readBack, .scan]),
  KnownMutation(.askedHopNotDecided, seed: 4, [.lastWrite, .readBack, .scan]),
  KnownMutation(.scanSkipsSecondHalf, seed: 7, [.scan]),
  KnownMutation(.scanSecondHalfFirst, seed: 27, [.scan]),
  KnownMutation(.scanTakesFartherCursor, seed: 7, [.scan]),
  KnownMutation(.scanIgnoresEpoch, seed: 527, [.scan]),
  KnownMutation(.scanKnowsOldMap, seed: 79, [.liveness, .scan]),
  KnownMutation(.scanRunsIntoOpenSlot, seed: 31, [.scan]),
  KnownMutation(.scanGoesToOldOwner, seed: 1, [.scan]),
]
