import CLinux

/// The connections of a reactor in one flat table that never moves: address space for all that the limit allows is reserved at
/// the start, and costs memory only where a connection has been. Places are used again, the last one freed first.
struct ConnectionTable: ~Copyable {
  private let start: UnsafeMutablePointer<Connection>
  private let capacity: Int
  /// Places that have ever been used.
  private(set) var used = 0
  /// Free places among them.
  private var free = Queue<UInt32>()

  init(capacity: Int) throws(ReactorError) {
    precondition(MemoryLayout<Connection>.stride == 64, "a connection is one cache line")
    precondition(capacity > 0 && capacity <= Operation.indexLimit)
    guard let memory = tern_reserve(capacity * 64) else {
      throw ReactorError("mmap of the connection table", errno: ENOMEM)
    }
    start = memory.bindMemory(to: Connection.self, capacity: capacity)
    self.capacity = capacity
  }

  deinit { munmap(start, capacity * 64) }

  /// A connection that is new at its place, or nil if the table is full.
  mutating func insert(fd: Int32, tag: UInt32) -> ConnectionID? {
    let index: UInt32
    if let last = free.popLast() {
      index = last
    } else {
      guard used < capacity else { return nil }
      index = UInt32(used)
      used += 1
    }
    let place = start + Int(index)
    var fresh = Connection()
    fresh.generation = place.pointee.generation
    fresh.fd = fd
    fresh.tag = tag
    fresh.flags = .used
    place.pointee = fresh
    return ConnectionID(index: index, generation: fresh.generation)
  }

  /// Frees a place; whoever still holds its name holds a stale one.
  mutating func remove(_ id: ConnectionID) {
    let place = start + Int(id.index)
    precondition(place.pointee.generation == id.generation && place.pointee.flags.contains(.used))
    place.pointee.flags = []
    place.pointee.fd = -1
    place.pointee.generation &+= 1
    free.append(id.index)
  }

  /// The connection of that name, closing or not; nil if the name is stale.
  @inline(__always) func find(_ id: ConnectionID) -> UnsafeMutablePointer<Connection>? {
    guard id.index < used else { return nil }
    let place = start + Int(id.index)
    guard place.pointee.generation == id.generation, place.pointee.flags.contains(.used) else {
      return nil
    }
    return place
  }

  /// The connection of that name for a call of the owner: a closing one counts as gone.
  @inline(__always) func findOpen(_ id: ConnectionID) -> UnsafeMutablePointer<Connection>? {
    guard let place = find(id), !place.pointee.flags.contains(.closing) else { return nil }
    return place
  }

  /// The connection at place `index` of those ever used, if the place is taken.
  func connection(at index: Int) -> UnsafeMutablePointer<Connection>? {
    precondition(index < used)
    return start[index].flags.contains(.used) ? start + index : nil
  }
}
