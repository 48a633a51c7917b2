/// Keys one after the other in one piece of memory: what a batched `get` takes. Made once and used again, it allocates nothing.
public struct KeyList: Sendable, Equatable {
  private(set) var bytes: [UInt8] = []
  private(set) var ends: [Int] = []

  /// No keys.
  public init() {}

  /// Adds a key.
  public mutating func append(_ key: RawSpan) {
    for i in 0..<key.byteCount {
      bytes.append(unsafe key.unsafeLoad(fromByteOffset: i, as: UInt8.self))
    }
    ends.append(bytes.count)
  }

  /// Adds a key.
  public mutating func append(_ key: String) {
    bytes.append(contentsOf: key.utf8)
    ends.append(bytes.count)
  }

  /// Takes all keys out; the room for them stays.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }

  /// How many keys there are.
  public var count: Int { ends.count }
}
