internal import Storage

extension Engine {
  /// Gives the calling thread a jemalloc arena of its own; for a worker, once, before its engine is made. Without it everything works,
  /// with more contention between workers.
  public static func bindMemoryToThisThread() {
    // A worker would stop for milliseconds to give pages back.
    Arena.purgeInBackground()
    do throws(OutOfMemory) { _ = try Arena.bindThisThread() } catch {
      // One arena of the process serves several workers then.
    }
  }

  /// The last act of a thread that was given an arena: its memory goes back to the system.
  public static func unbindMemoryOfThisThread() { Arena.unbindThisThread() }

  /// A connection to the shard of that local index, or to the configuration endpoint (nil), was turned away before it became a session.
  public mutating func countRejectedConnection(to shard: Int? = nil) {
    ledger[(shard ?? -1) + 1].connectionsRejected += 1
  }

  /// The lines for the log since the last call.
  public mutating func takeLogLines() -> [String] {
    logLines.takeAll()
  }

  /// Whether replies wait or are being sent.
  public func hasUnsentOutput(_ client: ClientID) -> Bool { !sessions[client.index].output.isEmpty }

  /// Whether the end of a send must be told at once: there is more to send, or to do, when it is done.
  @inline(__always)
  public func awaitsSend(_ client: ClientID) -> Bool {
    sessions[client.index].output.byteCount != sessions[client.index].output.front.byteCount
      || !sessions[client.index].mode.isSubset(of: .router)
      || sessions[client.index].wish.contains(.close)
  }

  /// Control requests of an engine without a sequencer are applied at once. Nobody decides over its map, and it reaches no other server.
  public mutating func applyOwnControls() {
    // What a client has sent behind one may contain the next.
    while !controlRequests.isEmpty || !clusterRequests.isEmpty || !migrations.isEmpty {
      for pending in takeControlRequests() {
        apply(pending.request, number: 0)
        complete(pending)
      }
      for var pending in takeClusterRequests() {
        pending.outcome = .refused("ERR The slots of this shard are fixed")
        complete(pending)
      }
      for migration in takeMigrations() {
        land(MigrationOutcome(number: migration.number, answer: .cannotConnect))
      }
    }
    appliedControls.removeAll()
  }
}
