internal import Synchronization

/// Where the map of the process hangs (DESIGN §4): the source of a flip publishes it in the turn in which the tables leave, and every
/// worker looks here on its cold path, before it answers anything about topology. So all shards give equal answers at any instant.
///
/// Whoever is about to redirect takes the map *first*, looks into its mailbox, and decides then: tables of every flip up to that map were
/// pushed before it was published, so they are found. If another map hangs here by then, the look is repeated.
public final class MapBoard: Sendable {
  private let map: Mutex<ClusterMap>
  private let number = Atomic<UInt64>(1)
  private let reshaping = Atomic<Bool>(false)
  private let unsaved = Atomic<Int64>(0)

  /// A board with a first map.
  public init(_ map: ClusterMap) { self.map = Mutex(map) }

  /// How many maps have hung here so far. One acquire load: what was published with a number is seen by whoever has read it.
  public var revision: UInt64 { number.load(ordering: .acquiring) }

  /// The map, and its number.
  public var current: (map: ClusterMap, revision: UInt64) {
    map.withLock { ($0, number.load(ordering: .relaxed)) }
  }

  /// Whether shards are about to come or go: then no slot is opened by hand, because a shard that has imported keys might leave.
  public var isReshaping: Bool {
    get { reshaping.load(ordering: .acquiring) }
    set { reshaping.store(newValue, ordering: .releasing) }
  }

  /// Since when, in milliseconds since 1970, maps could not be written to disk: a restart would find an older one; 0 while they can.
  public var unsavedSince: Int64 {
    get { unsaved.load(ordering: .acquiring) }
    set { unsaved.store(newValue, ordering: .releasing) }
  }

  /// Hangs up a newer map; one whose epoch is not higher is ignored, and false.
  @discardableResult
  public func publish(_ newer: ClusterMap) -> Bool {
    map.withLock { map in
      guard newer.epoch > map.epoch else { return false }
      map = newer
      number.add(1, ordering: .releasing)
      return true
    }
  }
}
