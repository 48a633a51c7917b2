import Glibc

/// A growing queue of trivial elements in memory of its own: appended at the tail, taken from the head or read by place.
/// Appending is amortised O(1), everything else O(1); emptied it keeps its memory.
struct Queue<Element: BitwiseCopyable>: ~Copyable {
  private var start: UnsafeMutablePointer<Element>
  private var capacity: Int
  private var head = 0
  private var tail = 0

  init(capacity: Int = 16) {
    self.capacity = capacity
    start = .allocate(capacity: capacity)
  }

  deinit { start.deallocate() }

  /// How many elements are waiting.
  var count: Int { tail - head }
  var isEmpty: Bool { tail == head }

  /// Element `place`, counted from the head.
  subscript(place: Int) -> Element {
    get {
      precondition(place >= 0 && place < count)
      return start[head + place]
    }
    set {
      precondition(place >= 0 && place < count)
      start[head + place] = newValue
    }
  }

  /// Adds at the tail.
  mutating func append(_ element: Element) {
    if tail == capacity { makeRoom() }
    start[tail] = element
    tail += 1
  }

  /// Takes the head, if there is one.
  mutating func popFirst() -> Element? {
    guard head < tail else { return nil }
    let element = start[head]
    head += 1
    if head == tail { removeAll() }
    return element
  }

  /// Takes the tail, if there is one.
  mutating func popLast() -> Element? {
    guard head < tail else { return nil }
    tail -= 1
    let element = start[tail]
    if head == tail { removeAll() }
    return element
  }

  /// Forgets every element.
  mutating func removeAll() {
    head = 0
    tail = 0
  }

  @inline(never) private mutating func makeRoom() {
    // Moving to the front pays when at least half of the memory is free: then it is amortised too.
    if head >= capacity / 2 && head > 0 {
      start.update(from: start + head, count: count)
      tail -= head
      head = 0
      return
    }
    let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
    larger.initialize(from: start + head, count: count)
    start.deallocate()
    start = larger
    capacity *= 2
    tail -= head
    head = 0
  }
}
