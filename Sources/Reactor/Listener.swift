/// A listener that a reactor accepts from.
struct Listener {
  let fd: Int32
  let tag: UInt32
  /// Tells a listener from an earlier one at the same place.
  var generation: UInt32
  /// The kernel tells of new connections.
  var armed = false
  /// Removed; its descriptor is closed as soon as the kernel has let go of it.
  var removed = false
  /// The place is free.
  var free = false
}
