// Elements that lie together and are added at the end: an array that has one owner, and so neither reference count nor uniqueness to look at.
//
// The memory is Swift's own: like an array's, it cannot be refused. Emptied it is kept, unless it has grown beyond `keptByteCount`.

/// A growing list of elements with one owner.
@safe public struct Pile<Element: ~Copyable>: ~Copyable {
  @usableFromInline var elements: UnsafeMutablePointer<Element>?
  @usableFromInline var total = 0
  @usableFromInline var capacity = 0

  /// Memory beyond this is given back when it is emptied.
  @usableFromInline static var keptByteCount: Int { 64 << 10 }

  /// No elements, and no memory.
  @inlinable
  public init() {}

  @inlinable
  deinit {
    guard let elements else { return }
    elements.deinitialize(count: total)
    elements.deallocate()
  }

  /// How many elements there are.
  @inlinable
  public var count: Int { total }

  /// Whether there is none.
  @inlinable
  public var isEmpty: Bool { total == 0 }

  /// The numbers of the elements.
  @inlinable
  public var indices: Range<Int> { 0..<total }

  /// Adds an element. Amortised O(1).
  @inlinable @inline(__always)
  public mutating func append(_ element: consuming Element) {
    if total == capacity { grow() }
    (elements.unsafelyUnwrapped + total).initialize(to: element)
    total &+= 1
  }

  @inlinable @inline(never)
  mutating func grow() {
    let newCapacity = max(8, 2 * capacity)
    let grown = UnsafeMutablePointer<Element>.allocate(capacity: newCapacity)
    if let elements {
      grown.moveInitialize(from: elements, count: total)
      elements.deallocate()
    }
    elements = grown
    capacity = newCapacity
  }

  /// The element of that number, which exists.
  @inlinable
  public subscript(index: Int) -> Element {
    @inline(__always)
    unsafeAddress {
      precondition(index >= 0 && index < total, "no such element")
      return UnsafePointer(elements.unsafelyUnwrapped + index)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(index >= 0 && index < total, "no such element")
      return elements.unsafelyUnwrapped + index
    }
  }

  /// All elements, lent.
  @inlinable
  public var span: Span<Element> {
    @_lifetime(borrow self)
    get {
      let lent = UnsafeBufferPointer(start: elements, count: total)
      return unsafe _overrideLifetime(lent.span, borrowing: self)
    }
  }

  /// Drops all elements; the memory stays unless it is much.
  @inlinable
  public mutating func removeAll() {
    if let elements { elements.deinitialize(count: total) }
    total = 0
    if capacity &* MemoryLayout<Element>.stride > Self.keptByteCount { giveBack() }
  }

  @inlinable @inline(never)
  mutating func giveBack() {
    elements?.deallocate()
    elements = nil
    capacity = 0
  }
}

extension Pile: @unchecked Sendable where Element: Sendable & ~Copyable {
  // Sendable: it is the only owner of its elements.
}
