internal import Storage

// To wake a thread costs more than some commands take: the thread that wakes and the one that is woken both pay for it, and a client waits
// meanwhile. So a worker that has a few short requests for one that sleeps runs them itself: a sleeping worker lends its engine
// (`Loan`), which is a function of its state and has no thread of its own. The batch is the same and so is what becomes of it; only nobody
// is woken. A worker that is awake, or has mail, or more to look at after a command than its replies, does everything itself; and so does one for which
// there is much: then two processors work at the same time.
//
// Order: a worker asleep without mail has run all that was sent to it before, so that what is run now comes behind that, as it would
// from the mailbox. What comes while its engine is lent finds it in the mailbox.
//
// Bounds: a worker that is woken by something else waits for `neighbourHops` short requests at most, and a worker does about twice as many of
// another one's in a turn.

extension Engine {
  /// Requests that are run for a worker that sleeps, at most, and the bytes of them.
  private static let neighbourHops = 256
  private static let neighbourByteLimit = 64 << 10

  /// Does what was gathered for a worker if it sleeps and it is little; else leaves it in its mailbox. What clients ask for behind it is done
  /// in the same way, until it is much: that stays for the next turn.
  mutating func helpOrPost(_ worker: Int) {
    var done = 0
    while done < Self.neighbourHops, !router.lanes[worker].hops.isEmpty {
      done += router.lanes[worker].hops.count
      let isLittle =
        router.lanes[worker].isBrief && router.lanes[worker].hops.count <= Self.neighbourHops
        && router.lanes[worker].queue.byteCount <= Self.neighbourByteLimit
      let batch = takeBatch(for: worker)
      guard isLittle, !isStopped, current < 0, helps(worker, with: batch) else {
        return post(batch)
      }
      leaveOutTime()
      take(answered: batch)
    }
  }

  /// Runs a batch in the place of a worker. False if it has to do it itself.
  private mutating func helps(_ worker: Int, with batch: HopBatch) -> Bool {
    let time = turnMicroseconds
    var isWanted = false
    let isDone = router.peers[worker].loan.borrow { neighbour in
      guard neighbour.isIdle else { return false }
      neighbour.beginLentTurn(microseconds: time)
      neighbour.perform(batch)
      isWanted = !neighbour.isIdle
      return true
    }
    if isWanted { router.peers[worker].ring() }
    return isDone
  }

  /// Nothing would be done in a turn of this engine but what comes from outside, nor behind a command but to send its reply.
  private var isIdle: Bool {
    !mailbox.hasMail && !hasHops && !isStopped && !isDraining && listedCount == 0 && !hasWork
      && !hasControls && listeners == 0 && tracking.trackers.isEmpty && waiting.isEmpty
      && pauses.isEmpty && postponed.isEmpty && openSlotBits == 0
  }

  /// The time, for commands that another worker runs here: that may have looked at the clock before this one did.
  private mutating func beginLentTurn(microseconds: Int64) {
    if microseconds > turnMicroseconds {
      beginTurn(microseconds: microseconds)
    } else {
      leaveOutTime()
    }
  }
}
