internal import Storage

// When the allocator's pages are filled badly, and how much time may go into filling them better: `Storage` has the rest.

/// A worker's defragmentation.
struct DefragmentationState {
  /// A pass is worth it, and begins in one of the next ticks.
  var isDue = false
  /// The pass that is under way.
  var pass: DefragmentationPass?
  /// What of the pass is in the statistics already.
  var counted = DefragmentationFigures()
  /// The last pass has moved something: one that began while keys were being removed leaves much behind, and is followed by another,
  /// however few bytes are wasted by then.
  var isFollowedUp = false
  /// Percent of a processor that it may take, and nanoseconds that it took since the last tick.
  var effort = 0
  var spent: UInt64 = 0
  /// Unix milliseconds: when to look at the allocator again, and since when it has been at it (0 = it is not).
  var nextLook: Int64 = 0
  var runningSince: Int64 = 0
}

extension Engine {
  /// Work units of a piece: below 50 µs.
  private static let defragmentationUnits = 128
  /// Milliseconds between looks at the allocator, and after a pass that found next to nothing.
  private static let lookInterval: Int64 = 1000
  private static let restInterval: Int64 = 30_000
  /// Nanoseconds between ticks.
  private static let tickNanoseconds: UInt64 = 100_000_000

  /// Ten times a second: begins a pass where one is due.
  mutating func planDefragmentation() {
    defragmentation.spent = 0
    guard settings.activeDefrag else {
      if defragmentation.pass != nil { endDefragmentation() }
      defragmentation.isDue = false
      return
    }
    if defragmentation.isDue { return beginDefragmentation() }
    guard now >= defragmentation.nextLook || defragmentation.nextLook > now + Self.restInterval
    else { return }
    defragmentation.nextLook = now + Self.lookInterval
    let figures = AllocatorFigures.now()
    let wasted = figures.active - figures.allocated
    defragmentation.effort = settings.defragmentationEffort(
      percent: figures.fragmentationPercent,
      byteCount: defragmentation.isFollowedUp
        ? max(wasted, settings.activeDefragIgnoreBytes) : wasted)
    if defragmentation.effort == 0 { defragmentation.isFollowedUp = false }
    guard defragmentation.pass == nil, defragmentation.effort > 0, keyspace.keyCount > 0 else {
      // One that has begun is finished, at the least effort.
      if defragmentation.pass != nil {
        defragmentation.effort = max(defragmentation.effort, settings.activeDefragCycleMin)
      }
      return
    }
    defragmentation.isDue = true
  }

  /// Begins the pass that a look has found worth it, in the ticks behind that look: each of its steps takes a good part of what a
  /// slice may.
  private mutating func beginDefragmentation() {
    if DefragmentationPass.prepare() == .underWay { return }
    defragmentation.isDue = false
    defragmentation.pass = DefragmentationPass()
    defragmentation.counted = DefragmentationFigures()
    if defragmentation.pass == nil {
      // A thread without an arena of its own, or another allocator.
      defragmentation.nextLook = now + Self.restInterval
    } else {
      defragmentation.runningSince = now
    }
  }

  /// Whether a pass is under way and has time left in this tick.
  var hasDefragmentation: Bool {
    defragmentation.pass != nil
      && defragmentation.spent < Self.tickNanoseconds / 100 * UInt64(defragmentation.effort)
  }

  /// One slice of a pass.
  mutating func defragmentSlice(_ meter: inout SliceMeter) {
    guard var pass = defragmentation.pass.take() else { return }
    var goesOn = true
    repeat {
      var units = Self.defragmentationUnits
      goesOn = pass.run(&keyspace, workUnits: &units)
    } while meter.hasTime() && goesOn
    defragmentation.spent += meter.spent
    count(pass.figures)
    defragmentation.pass = pass
    if !goesOn {
      let figures = pass.figures
      endDefragmentation()
      defragmentation.isFollowedUp = figures.moved * 100 >= figures.moved + figures.left
      if !defragmentation.isFollowedUp {
        defragmentation.nextLook = now + Self.restInterval
      }
    }
  }

  private mutating func count(_ figures: DefragmentationFigures) {
    let before = defragmentation.counted
    upkeep.defragmentation.moved += figures.moved - before.moved
    upkeep.defragmentation.left += figures.left - before.left
    upkeep.defragmentation.movedEntries += figures.movedEntries - before.movedEntries
    upkeep.defragmentation.leftEntries += figures.leftEntries - before.leftEntries
    upkeep.defragmentation.movedByteCount += figures.movedByteCount - before.movedByteCount
    defragmentation.counted = figures
  }

  private mutating func endDefragmentation() {
    defragmentation.pass = nil
    upkeep.defragmentationTime += UInt64(max(0, now - defragmentation.runningSince))
    defragmentation.runningSince = 0
  }
}

extension Settings {
  /// The percentage of a processor that defragmentation may take; 0: it is not worth it.
  func defragmentationEffort(percent: Int, byteCount: Int) -> Int {
    let lower = activeDefragThresholdLower
    let upper = activeDefragThresholdUpper
    if byteCount < activeDefragIgnoreBytes || percent < lower { return 0 }
    if percent >= upper || upper <= lower { return activeDefragCycleMax }
    let effort =
      activeDefragCycleMin
      + (activeDefragCycleMax - activeDefragCycleMin) * (percent - lower) / (upper - lower)
    return max(effort, 1)
  }
}
