import Glibc
import Synchronization

// A value that its owner lends while it sleeps. One thread at a time has it:
//
//              put                 lend                    borrow, by any thread
//     empty ────────▶ with the owner ◀────────▶ to be had ◀──────────────────────▶ borrowed
//       ◀───────────   (value)      takeBack                end of `borrow`
//              remove
//
// Whoever borrows keeps the owner waiting should it wake meanwhile, so it does little and does not block. `takeBack` waits awake at first:
// a loan is short unless the thread that has it has lost its processor.
//
// Invariants: `place` is initialized unless the state is `empty`; only the thread that has set the state to `owned` or `borrowed`, or that
// has found it `owned` as the owner, touches it. Every change of hands is a release by the one and an acquire by the other.

/// A value with an owner, who lends it while it sleeps.
@safe public final class Loan<Value: ~Copyable>: @unchecked Sendable {
  @usableFromInline let place = UnsafeMutablePointer<Value>.allocate(capacity: 1)
  private let state = Atomic<UInt8>(0)
  /// The owner waits for it: nobody borrows any more.
  private let isWanted = Atomic<Bool>(false)

  private static var empty: UInt8 { 0 }
  private static var owned: UInt8 { 1 }
  private static var free: UInt8 { 2 }
  private static var borrowed: UInt8 { 3 }

  /// Nothing yet.
  public init() {}

  deinit {
    _ = remove()
    place.deallocate()
  }

  /// Brings the value; the calling thread owns it.
  public func put(_ value: consuming Value) {
    precondition(state.load(ordering: .relaxed) == Self.empty, "there is a value already")
    place.initialize(to: value)
    state.store(Self.owned, ordering: .releasing)
  }

  /// Takes the value away, if there is one. For the owner, who has it.
  public func remove() -> Value? {
    if state.load(ordering: .relaxed) == Self.empty { return nil }
    precondition(state.load(ordering: .relaxed) == Self.owned, "the value is lent")
    state.store(Self.empty, ordering: .relaxed)
    return place.move()
  }

  /// The owner's access to the value, while it is not to be had.
  public var own: Own {
    precondition(state.load(ordering: .relaxed) == Self.owned, "there is no value, or it is lent")
    return Own(place: place)
  }

  /// What the owner reaches the value with: no count of references, no check. Not to be used between `lend` and `takeBack`, nor after `remove`.
  @safe @frozen public struct Own {
    @usableFromInline let place: UnsafeMutablePointer<Value>

    @inlinable init(place: UnsafeMutablePointer<Value>) { self.place = place }

    /// The value.
    @inlinable public var value: Value {
      @inline(__always)
      unsafeAddress { UnsafePointer(place) }
      @inline(__always)
      nonmutating unsafeMutableAddress { place }
    }
  }

  /// The owner does nothing with the value until `takeBack`.
  public func lend() { state.store(Self.free, ordering: .releasing) }

  /// The owner has the value again; waits while somebody else has it.
  public func takeBack() {
    if !goes(from: Self.free, to: Self.owned) { waitForReturn() }
  }

  private func waitForReturn() {
    isWanted.store(true, ordering: .relaxed)
    var looks = 0
    while !goes(from: Self.free, to: Self.owned) {
      looks += 1
      if looks > Self.looksAwake { _ = sched_yield() }
    }
    isWanted.store(false, ordering: .relaxed)
  }

  /// How often an owner looks before it lets others have the processor: for some microseconds.
  private static var looksAwake: Int { 200 }

  /// Has `body` use the value if its owner sleeps, and says what it says; false if it does not sleep: then nothing was called. Never waits.
  @inlinable @inline(__always)
  public func borrow(_ body: (inout Value) -> Bool) -> Bool {
    guard isBorrowed() else { return false }
    defer { giveBack() }
    return body(&place.pointee)
  }

  @usableFromInline func isBorrowed() -> Bool {
    !isWanted.load(ordering: .relaxed) && goes(from: Self.free, to: Self.borrowed)
  }

  @usableFromInline func giveBack() { state.store(Self.free, ordering: .releasing) }

  @inline(__always)
  private func goes(from one: UInt8, to other: UInt8) -> Bool {
    state.compareExchange(expected: one, desired: other, ordering: .acquiring).exchanged
  }
}
