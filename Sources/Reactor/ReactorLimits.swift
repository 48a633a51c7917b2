/// A reactor's limits, each with its reason.
public struct ReactorLimits: Sendable {
  /// Connections at once. Only address space is reserved, 64 bytes each; a process can have about a million descriptors.
  public var connections: Int = 1 << 20
  /// Buffers of 16 KiB that a turn can receive into, a power of two: 4 MiB, touched as they are used. More connections than
  /// that with something to read take turns.
  public var buffers: Int = 256
  /// Places for submissions; more wait in memory.
  public var submissions: UInt32 = 1024
  /// Places for completions; more wait in the kernel.
  public var completions: UInt32 = 4096

  /// The limits of a server.
  public init() {}
}
