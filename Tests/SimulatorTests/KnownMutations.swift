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
  KnownMutation(.mapNotComparedAgain, seed: 75, [.movedToOwner]),
  KnownMutation(.mapConfersOwnership, seed: 3, [.oneAcceptor, .readBack, .lastWrite]),
  KnownMutation(.answerBeforePush, seed: 2, [.movedToSelf, .movedToOwner]),
  KnownMutation(.publishBeforePush, seed: 31, [.movedToSelf]),
  KnownMutation(.flipWithoutEpoch, seed: 1, [.epoch]),
  KnownMutation(.copyOfTheMap, seed: 2, [.movedToSelf, .movedToOwner]),
  KnownMutation(.mergeOnAdopt, seed: 4, [.lastWrite, .readBack]),
  KnownMutation(.nextFlipWithoutAdoption, seed: 112, [.movedToOwner]),
  KnownMutation(.nextFlipWithoutPublication, seed: 262, [.epoch]),
  KnownMutation(.refusedFlipStaysInMap, seed: 8, [.movedToOwner, .liveness, .movedToSelf]),
  KnownMutation(.openSlotHandedOver, seed: 36, [.oneAcceptor, .lastWrite]),
  KnownMutation(.askingServesAboveCursor, seed: 1, [.oneAcceptor]),
  KnownMutation(.targetCursorAhead, seed: 1, [.oneAcceptor]),
  KnownMutation(.askBeforeSlice, seed: 1, [.askToHolder, .readBack]),
  KnownMutation(.cancelWithoutReturn, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.giveBackOvertakes, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.keysNotLocked, seed: 3, [.oneAcceptor]),
  KnownMutation(.deleteBeforeRestore, seed: 36, [.lastWrite, .readBack]),
  KnownMutation(.resizeWithOpenSlots, seed: 164, [.liveness]),
  KnownMutation(.nodeWithKeysLeft, seed: 64, [.lastWrite]),
  KnownMutation(.waitedNotDecidedAgain, seed: 3, [.oneAcceptor, .lastWrite]),
  KnownMutation(.tryAgainServed, seed: 7, [.lastWrite, .oneAcceptor]),
  KnownMutation(.execNotDecided, seed: 8, [.readBack, .lastWrite]),
  KnownMutation(.watchersForgotten, seed: 47, [.watch]),
  KnownMutation(.askingForgottenInMulti, seed: 3, [.askToHolder]),
  KnownMutation(.hopsBehindBouncedRun, seed: 1, [.effectOrder]),
  KnownMutation(.routerSendsUnderNewerView, seed: 1, [.effectOrder]),
  KnownMutation(.parallelWrites, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedResentOutOfOrder, seed: 1, [.effectOrder]),
  KnownMutation(.bouncedAgainGoesLast, seed: 1, [.effectOrder]),
  KnownMutation(.requestsOvertakeBounced, seed: 1, [.effectOrder]),
  KnownMutation(.secondBatchOverlaps, seed: 1, [.effectOrder]),
  KnownMutation(.askedHopAmongReads, seed: 923, [.effectOrder]),
  KnownMutation(.oldAskNamesShard, seed: 3564, [.liveness]),
  KnownMutation(.routerTellsMoved, seed: 1, [.routerTold]),
  KnownMutation(.hopRunsWhereItIs, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.askedHopNotDecided, seed: 1, [.lastWrite, .readBack]),
  KnownMutation(.scanSkipsSecondLook, seed: 1, [.scan]),
  KnownMutation(.scanForgetsStay, seed: 1, [.scan]),
  KnownMutation(.scanGoesNowhere, seed: 1, [.scan]),
]
