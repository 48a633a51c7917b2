/// Something that happened to the cluster, to be told by `CLUSTER EVENTS`.
public struct ClusterEvent: Hashable, Sendable {
  /// What happened. The raw value is the word that clients and files see.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A shard has joined the map.
    case shardCreated = "shard-created"
    /// A shard has left the map.
    case shardRemoved = "shard-removed"
    /// A job that moves slots has begun.
    case migrationStarted = "migration-started"
    /// A job has moved another tenth of its slots.
    case migrationProgress = "migration-progress"
    /// A job has done all that it was asked for.
    case migrationFinished = "migration-finished"
    /// A job was called off; what it had moved stays moved.
    case migrationCancelled = "migration-cancelled"
    /// A job has given up, or a restart has interrupted it.
    case migrationFailed = "migration-failed"
    /// Slots were assigned by hand, or a setting of the cluster was changed.
    case configurationChanged = "configuration-changed"
    /// `nodes.conf` could not be written: a restart would find an older topology. It is tried again until it works.
    case topologyNotSaved = "topology-not-saved"
    /// It could be written again.
    case topologySaved = "topology-saved"
  }

  /// One thing that is said of an event. Any text may stand in it; the file of events quotes it.
  public struct Field: Hashable, Sendable {
    /// Neither a name nor a value is longer, in bytes; what is, is cut off.
    public static let maxByteCount = 1024

    /// What is said, as `slots` or `longest-pause-usec`.
    public let name: String
    /// The number or text.
    public let value: String

    /// The field of this name and value, each cut to `maxByteCount`.
    public init(_ name: String, _ value: String) {
      self.name = Field.cut(name)
      self.value = Field.cut(value)
    }

    /// The field of this name and number.
    public init(_ name: String, _ number: some BinaryInteger) {
      self.init(name, String(number))
    }

    private static func cut(_ text: String) -> String {
      guard text.utf8.count > maxByteCount else { return text }
      var kept = ""
      var byteCount = 0
      for scalar in text.unicodeScalars {
        byteCount += UTF8.width(scalar)
        if byteCount > maxByteCount { break }
        kept.unicodeScalars.append(scalar)
      }
      return kept
    }
  }

  /// No event has more fields; the ones behind are left out.
  public static let maxFieldCount = 32

  /// Ascending from 1 over the life of the cluster, restarts included.
  public let id: UInt64
  /// When it happened, in milliseconds since 1970.
  public let milliseconds: Int64
  /// What happened.
  public let kind: Kind
  /// What there is to say of it, in this order.
  public let fields: [Field]

  /// The event of these parts; fields beyond `maxFieldCount` are left out.
  public init(id: UInt64, milliseconds: Int64, kind: Kind, fields: [Field]) {
    self.id = id
    self.milliseconds = milliseconds
    self.kind = kind
    self.fields = Array(fields.prefix(ClusterEvent.maxFieldCount))
  }

  /// The value of the first field of this name, nil if there is none.
  public func value(of name: String) -> String? {
    fields.first { $0.name == name }?.value
  }
}

/// The latest events, oldest first.
public struct EventLog: Hashable, Sendable {
  /// How many events are kept: some hours of a busy cluster, and a file of a few KiB.
  public static let capacity = 256

  /// The events that are kept, ids ascending.
  public private(set) var events: [ClusterEvent] = []
  /// The id that the next event gets.
  public private(set) var nextID: UInt64 = 1

  /// No event has happened yet.
  public init() {}

  /// Adds an event that happened at `milliseconds` since 1970, drops the oldest one if there are
  /// too many, and gives back the event with its id.
  public mutating func append(
    _ kind: ClusterEvent.Kind, _ fields: [ClusterEvent.Field], milliseconds: Int64
  ) -> ClusterEvent {
    let event = ClusterEvent(id: nextID, milliseconds: milliseconds, kind: kind, fields: fields)
    insert(event)
    return event
  }

  /// The latest `count` events with an id above `id`, oldest first.
  public func events(after id: UInt64 = 0, count: Int = EventLog.capacity) -> ArraySlice<
    ClusterEvent
  > {
    let first = events.partitioningIndex { $0.id > id }
    return events[first...].suffix(max(0, count))
  }

  /// Adds an event that has its id already, above all there are.
  mutating func insert(_ event: ClusterEvent) {
    precondition(event.id >= nextID, "events are added by ascending id")
    if events.count == EventLog.capacity { events.removeFirst() }
    events.append(event)
    // The last id there can be is not followed by another; 2⁶⁴ events never happen.
    nextID = event.id == .max ? .max : event.id + 1
  }

  /// Has ids begin above those of a log that was lost a part of.
  mutating func continueFrom(_ id: UInt64) { nextID = max(nextID, id) }
}

extension Array {
  /// The first index whose element fits, in an array whose fitting elements are all at its end.
  fileprivate func partitioningIndex(where fits: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if fits(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
