// What must hold in a simulated cluster, what rare things must have happened, and what can be
// broken to see that the checks see it.

/// What must hold after every step, or at a run's end.
enum SimulationCheck: Hashable, Sendable {
  /// I1: what is served is what was written last.
  case lastWrite
  /// I1: what clients saw of a key is one register's history.
  case linearizable
  /// I1: at the end every key is what the last acknowledged write made it.
  case readBack
  /// I1: counters equal the acknowledged increments.
  case counter
  /// I2: at most one shard can accept a write for a key.
  case oneAcceptor
  /// I2: a slot's table is in exactly one place.
  case oneTable
  /// I3: at most one redirect after the last flip that was published, but for open slots.
  case redirects
  /// I3: the shard that a MOVED names has the table, or finds it when it looks.
  case movedToOwner
  /// I3: nobody says MOVED and means himself.
  case movedToSelf
  /// I3 for cursors: the shard that an ASK names has the key's part of the table, or finds it.
  case askToHolder
  /// I3: no topology after a MOVED is older.
  case topology
  /// The source of a flip that was asked to let go can.
  case sourceHolds
  /// I4: the epoch grows with every flip.
  case epoch
  /// I5: replies come in the order of their requests.
  case replyOrder
  /// I5: effects of a router client's commands come in the order of its requests, over all shards.
  case effectOrder
  /// Router clients never see MOVED, ASK or TRYAGAIN.
  case routerTold
  /// A walk through the router meets every key that is there all the time.
  case scan
  /// EXEC fails if a watched key was written or its slot has left, even if it came back.
  case watch
  /// When everything has healed, all operations end, no slot is open, and the map tells the truth.
  case liveness
}

/// Rare things that must have happened, or a run proves little.
enum Probe: Int, CaseIterable, Hashable, Sendable {
  case moved, ask, tryAgain
  /// The second look found the table of a hand-over.
  case lookFoundTable
  /// The second look found a slice.
  case lookFoundSlice
  /// The map moved between the look and the answer.
  case mapMovedMeanwhile
  case execServed, execNull, execMoved, execAborted, execAsking
  /// WATCH … leave … return … EXEC.
  case watchedSlotCameBack
  case handOver, batchOfSlots, sameWorker, cursorMove, presenceMove
  case refusedFlip, notReady, cancelledJob, saveFailed
  case givenBack, sliceInFlightAtGiveBack
  case resized, shardOpened, shardRetired, portTakenOver, closedPort, unassigned, bumpedEpoch
  case operatorCrash, fixed
  case staleAskingAboveCursor
  case waitedForKeyInFlight
  case askedKeyCreated
  case counterMoved, deletedKeyMoved
  /// Redis's own hole: an ASKING from an earlier move by presence.
  case presenceHole
  /// The router: run where the client is, put off until what is in flight has come back.
  case routedHere, routedLater, putOffByView, putOffBehindOthers, batchFull, readsSideBySide
  /// A batch was run in the place of a worker that slept.
  case helped
  /// A hop found its slot gone, or was sent back for another reason; others behind it came back.
  case hopElsewhere, hopAsk, hopLater, cameBackBehind, gaveBackRest
  /// It was sent again by a newer map, or with ASKING; or a look found what it needed.
  case retriedByMap, bouncedAgain, askedHop, lookFoundForHop
  case walked, scannedOpenSlot, stoppedBeforeOpenSlot
  /// The second half of a walk's call in a slot that is open by presence: on the same worker or not;
  /// it was too late, so that all began again; its shard neither had nor imported the slot.
  case bothHalvesHere, secondHalfElsewhere, secondHalfBegunAgain, targetKnowsNothing
}

/// One way of breaking the rules.
enum SimulationMutation: String, CaseIterable, Hashable, Sendable {
  /// Nobody looks into the mailbox before a refusal.
  case noSecondLook
  /// The map is not compared with the board's before MOVED.
  case mapNotComparedAgain
  /// The shard that the map names serves.
  case mapConfersOwnership
  /// The source answers between taking and pushing.
  case answerBeforePush
  /// The map is out before the tables are.
  case publishBeforePush
  /// A flip keeps the epoch.
  case flipWithoutEpoch
  /// Each worker points by a copy, refreshed in its turns.
  case copyOfTheMap
  /// What is adopted is laid over what was left behind.
  case mergeOnAdopt
  /// The next flip is made before the target has adopted.
  case nextFlipWithoutAdoption
  /// The next flip is made before the source has published.
  case nextFlipWithoutPublication
  /// Later maps are not rebuilt when a flip is refused.
  case refusedFlipStaysInMap
  /// A source hands over without looking whether the slot is open.
  case openSlotHandedOver
  /// An import by cursor serves whatever is ASKed for.
  case askingServesAboveCursor
  /// The target learns of a slice before the source has cut it.
  case targetCursorAhead
  /// The source answers ASK before it has pushed the slice.
  case askBeforeSlice
  /// A cancelled move leaves at the target what went.
  case cancelWithoutReturn
  /// The order to give back overtakes slices.
  case giveBackOvertakes
  /// `MIGRATE` leaves the keys that it has sent open to writes.
  case keysNotLocked
  /// `MIGRATE` deletes before the target has stored.
  case deleteBeforeRestore
  /// Shards come and go while slots are open by hand.
  case resizeWithOpenSlots
  /// `SETSLOT NODE` does not look whether the source has keys left.
  case nodeWithKeysLeft
  /// A command that waited is served without another verdict.
  case waitedNotDecidedAgain
  /// Some keys here, some not: served.
  case tryAgainServed
  /// EXEC runs the queue without another verdict.
  case execNotDecided
  /// Watchers do not learn that a slot has left.
  case watchersForgotten
  /// ASKING covers MULTI, and nothing behind it.
  case askingForgottenInMulti
  /// Hops are run though one before them of the same client was not.
  case hopsBehindBouncedRun
  /// A router client's command goes by what is known now while older ones are in flight.
  case routerSendsUnderNewerView
  /// Writes go to several workers at once.
  case parallelWrites
  /// What came back unrun is sent again in another order.
  case bouncedResentOutOfOrder
  /// What comes back unrun for a second time goes behind what has waited to be sent again.
  case bouncedAgainGoesLast
  /// New requests go before what came back unrun.
  case requestsOvertakeBounced
  /// A second batch to a worker follows a full one that is in flight.
  case secondBatchOverlaps
  /// A hop with ASKING goes to one worker while reads go to others.
  case askedHopAmongReads
  /// The router tries a shard that an old ASK named for ever.
  case oldAskNamesShard
  /// The router passes on what a shard would have said.
  case routerTellsMoved
  /// A hop is run by the shard that it was sent to, whether it has the slot or not.
  case hopServedByOldOwner
  /// A hop with ASKING is run without a verdict.
  case askedHopNotDecided
  /// A walk leaves a slot that is open by presence without a second half at its target.
  case scanSkipsSecondHalf
  /// A walk goes through what the target was given first, and then through the source's table.
  case scanSecondHalfFirst
  /// A walk goes on from the place that is farther on of the two that the halves have come to.
  case scanTakesFartherCursor
  /// The second half is run whatever the map's epoch.
  case scanIgnoresEpoch
  /// A worker walks by the map that it knows, without a look at the board.
  case scanKnowsOldMap
  /// A walk goes from another slot into one that is open by presence, in the same call and without a
  /// second half.
  case scanRunsIntoOpenSlot
  /// A walk goes on where its hop has come to, whoever has the slot.
  case scanGoesToOldOwner
}
