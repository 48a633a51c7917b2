internal import Engine
internal import Reactor
internal import Sharding

// Incremental migration of one slot: slices, one after the other, with pauses that the settings ask for.

extension ControlPlane {
  /// What a slice may take of the source's worker at once, in nanoseconds.
  static let sliceBudget: UInt64 = 100_000
  /// How long keys that found no memory wait before they are tried again.
  private static let strandedPause = Duration.milliseconds(10)

  /// Moves the keys of the one slot of a flip along a cursor, and tells how far it is.
  func migrate(_ flip: Rebalancer.Flip) async {
    guard let source = flip.source, let target = flip.target, let slot = flip.slots.first?.first,
      let index = rebalancer.map.index(of: source)
    else { return inbox.post(.refused(flip: flip.number, .other("there is nothing to be moved"))) }
    let (from, to) = (home(of: source), home(of: target))
    let name = rebalancer.map.shards[index].nodeID
    guard await workers[to.worker].run({ $0.beginImport(slot, by: target, from: name) }) == true
    else { return inbox.post(.refused(flip: flip.number, .busy)) }
    let isOpen = await workers[from.worker].run {
      $0.beginExport(slot, of: from.local, to: target)
    }
    guard isOpen == true else {
      _ = await workers[to.worker].run { $0.giveUpImport(slot, by: target) }
      return inbox.post(.refused(flip: flip.number, .open(slot)))
    }
    while true {
      let mailbox = mailboxes[to.worker]
      let moved = await workers[from.worker].run {
        $0.migrateSlice(slot, of: from.local, to: target, mailbox, budget: Self.sliceBudget)
      }
      guard let moved else {
        return inbox.post(.refused(flip: flip.number, .other("the source's worker has ended")))
      }
      guard let slice = moved else {
        try? await Task.sleep(for: Self.strandedPause)
        continue
      }
      while await workers[to.worker].run({ $0.hasAdopted(slot, by: target) }) == false {
        try? await Task.sleep(for: Self.strandedPause)
      }
      if slice.isLast { emptied.insert(flip.number) }
      inbox.post(
        .progress(
          flip: flip.number, keys: slice.keyCount, bytes: slice.byteCount, done: slice.isLast))
      if slice.isLast { return }
      let pause = slice.isUrgent ? 0 : pause(after: slice)
      if pause > 0 { try? await Task.sleep(for: .nanoseconds(pause)) }
    }
  }

  /// How long the source is left alone after a slice, in nanoseconds: so that no more bytes a second go along than may, and its worker
  /// is busy with it for no more than the part of its time that is allowed.
  private func pause(after slice: MigratedSlice) -> Int64 {
    let share = Int64(max(1, min(100, settings.migrationCPUPercent)))
    var pause = Int64(clamping: slice.nanoseconds) * (100 - share) / share
    if settings.migrationBytesPerSecond > 0 {
      let bytes = Int64(slice.byteCount)
      pause = max(pause, bytes * 1_000_000_000 / Int64(settings.migrationBytesPerSecond))
    }
    return pause
  }
}
