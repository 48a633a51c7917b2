// All memory of this target comes from jemalloc, called directly, and is given back with its size.
//
// Sizes are size classes (`SizeClass`), computed by formula, so that bytes can be counted without asking the
// allocator. Zero memory is never asked for. A worker binds its thread to an arena of its own once, at its start
// (`Arena.bindThisThread`), and then uses plain calls: the thread's cache is in front of the arena. Memory that was
// allocated by one thread may be freed by another.

import CJemalloc
import Glibc
import Synchronization

/// The allocator refused memory: the answer to the client is `-OOM`, and nothing was changed.
public struct OutOfMemory: Error, Equatable {
  /// The one value of this error.
  public init() {}
}

/// jemalloc's size classes: multiples of 16 up to 128, then four to each doubling.
///
/// Tested against the allocator for every size up to 64 KiB.
enum SizeClass {
  /// The bytes that an allocation of `byteCount` really takes; at least 16.
  @inline(__always)
  static func bytes(_ byteCount: Int) -> Int {
    let size = byteCount > 16 ? byteCount : 16
    let log = 63 &- (size &+ size &- 1).leadingZeroBitCount
    let mask = (1 &<< (log > 7 ? log &- 3 : 4)) &- 1
    return (size &+ mask) & ~mask
  }

  /// The number of the class of `byteCount`, for places that have no room for its size: the logarithm of the power
  /// of two below and the quarter above it.
  static func index(_ byteCount: Int) -> UInt64 {
    let size = bytes(byteCount)
    let log = 63 &- size.leadingZeroBitCount
    return UInt64(log &<< 3) | UInt64((size &>> (log &- 3)) & 7)
  }

  /// The size of the class of that number.
  static func bytes(index: UInt64) -> Int {
    let log = Int(index &>> 3)
    return (1 &<< log) | (Int(index & 7) &<< (log &- 3))
  }
}

/// Which allocations are made to fail, for tests.
package enum AllocationFailure {
  /// Whether any thread waits for a failure: all that an allocation looks at otherwise.
  nonisolated(unsafe) fileprivate static var armed = false
  nonisolated(unsafe) fileprivate static var thread = pthread_t()
  nonisolated(unsafe) fileprivate static var remaining = 0
  nonisolated(unsafe) fileprivate static var failing = false

  /// One thread of the process at a time: held from `arm` to `disarm`.
  private static let turn = Atomic<Bool>(false)

  /// Makes the calling thread's allocation number `count` (from 0) fail, and all after it while `lasting`.
  /// Waits while another thread is at it; `disarm` must follow.
  package static func arm(after count: Int, lasting: Bool) {
    while !turn.compareExchange(
      expected: false, desired: true, successOrdering: .acquiring, failureOrdering: .relaxed
    ).exchanged { sched_yield() }
    thread = pthread_self()
    remaining = count
    failing = lasting
    armed = true
  }

  /// Ends it; true if an allocation was refused.
  package static func disarm() -> Bool {
    armed = false
    let refused = remaining < 0
    turn.store(false, ordering: .releasing)
    return refused
  }

  @inline(never)
  fileprivate static func refuses() -> Bool {
    guard pthread_equal(thread, pthread_self()) != 0 else { return false }
    defer { remaining -= 1 }
    return remaining == 0 || (remaining < 0 && failing)
  }
}

/// Memory of `byteCount` bytes, which must be a size class.
@inline(__always)
func allocate(_ byteCount: Int, flags: Int32 = 0) throws(OutOfMemory) -> UnsafeMutableRawPointer {
  if AllocationFailure.armed && AllocationFailure.refuses() { throw OutOfMemory() }
  guard let memory = mallocx(byteCount, flags) else { throw OutOfMemory() }
  return memory
}

/// The same, all zero, on a cache line's boundary.
func allocateZeroedLines(_ byteCount: Int) throws(OutOfMemory) -> UnsafeMutableRawPointer {
  let memory = try allocate(byteCount, flags: tern_mallocx_align_64())
  zero(memory, byteCount)
  return memory
}

/// Fills memory with zeros.
func zero(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) { memset(memory, 0, byteCount) }

/// The allocation with another size (a class too), moved where it must; the old one stays as it is on failure.
func reallocate(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) throws(OutOfMemory)
  -> UnsafeMutableRawPointer
{
  if AllocationFailure.armed && AllocationFailure.refuses() { throw OutOfMemory() }
  guard let moved = rallocx(memory, byteCount, 0) else { throw OutOfMemory() }
  return moved
}

/// Gives memory back; `byteCount` is the class that it was allocated with.
@inline(__always)
func deallocate(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) {
  sdallocx(memory, byteCount, 0)
}

/// Gives a piece of a large allocation's pages back to the system ahead of freeing the allocation, so that the
/// freeing itself is short.
func releasePages(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) {
  _ = madvise(memory, byteCount, MADV_DONTNEED)
}

/// How far what a switch between two arenas needs is.
public enum SwitchPreparation: Sendable {
  /// It may be asked again in a moment.
  case underWay
  /// There may be a switch.
  case done
  /// The thread has no arena of its own, or there is no memory for a second.
  case impossible
}

/// An arena of jemalloc: a worker's own heap.
public struct Arena: Sendable {
  /// jemalloc's number of it.
  public let number: UInt32

  /// The arenas that were made here, and those among them that no thread is bound to: arenas cannot be destroyed while memory of them
  /// may be in use elsewhere, so they are used again.
  private struct Made {
    var all: Set<UInt32> = []
    var unbound: [UInt32] = []
    /// The two arenas of a thread, each as the other's.
    var others: [UInt32: UInt32] = [:]
    /// Arenas that a thread holds which does nothing else.
    var held: Set<UInt32> = []
  }
  private static let made = Mutex(Made())

  /// Binds the calling thread to an arena of its own: allocations of this thread come from it from now on, through the thread's cache.
  public static func bindThisThread() throws(OutOfMemory) -> Arena {
    var number: UInt32
    if let unbound = made.withLock({ $0.unbound.popLast() }) {
      number = unbound
    } else {
      number = try create()
    }
    guard mallctl("thread.arena", nil, nil, &number, MemoryLayout<UInt32>.size) == 0 else {
      let failed = number
      made.withLock { $0.unbound.append(failed) }
      throw OutOfMemory()
    }
    // What the cache holds comes from the arena before.
    _ = mallctl("thread.tcache.flush", nil, nil, nil, 0)
    return Arena(number: number)
  }

  private static func create() throws(OutOfMemory) -> UInt32 {
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    guard mallctl("arenas.create", &number, &size, nil, 0) == 0 else { throw OutOfMemory() }
    let created = number
    made.withLock { _ = $0.all.insert(created) }
    return created
  }

  /// Makes what a switch needs, and has both arenas of the calling thread held: jemalloc gives all unused pages of an arena back at
  /// once when its last thread leaves it, which takes milliseconds. Each is held by a thread that only sleeps.
  static func prepareSwitch() -> SwitchPreparation {
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    guard mallctl("thread.arena", &number, &size, nil, 0) == 0 else { return .impossible }
    let bound = number
    let known = made.withLock { made -> (isOwn: Bool, other: UInt32?) in
      (made.all.contains(bound), made.others[bound])
    }
    guard known.isOwn else { return .impossible }
    guard let other = known.other else {
      guard let other = try? create() else { return .impossible }
      made.withLock {
        $0.others[bound] = other
        $0.others[other] = bound
      }
      hold(bound)
      hold(other)
      return .underWay
    }
    return made.withLock { $0.held.isSuperset(of: [bound, other]) } ? .done : .underWay
  }

  /// Starts a thread that is bound to an arena and sleeps for as long as the process lives.
  private static func hold(_ number: UInt32) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 64 << 10)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var all = sigset_t()
    var old = sigset_t()
    sigfillset(&all)
    // Signals are for other threads.
    pthread_sigmask(SIG_SETMASK, &all, &old)
    var thread = pthread_t()
    let error = pthread_create(
      &thread, &attributes,
      { argument in
        var hasCache = false
        _ = mallctl("thread.tcache.enabled", nil, nil, &hasCache, MemoryLayout<Bool>.size)
        var number = UInt32(UInt(bitPattern: argument))
        guard mallctl("thread.arena", nil, nil, &number, MemoryLayout<UInt32>.size) == 0 else {
          return nil
        }
        let held = number
        Arena.made.withLock { _ = $0.held.insert(held) }
        while true { pause() }
      }, UnsafeMutableRawPointer(bitPattern: UInt(number)))
    pthread_sigmask(SIG_SETMASK, &old, nil)
    // Without it everything works, with longer switches.
    if error != 0 { made.withLock { _ = $0.held.insert(number) } }
    pthread_attr_destroy(&attributes)
  }

  /// Binds the calling thread to that of its two arenas whose pages are filled better, so that the other one can be emptied into it.
  /// Nil before `prepareSwitch` has done its work. The allocator's figures must be fresh.
  static func switchThisThread() -> Arena? {
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    guard mallctl("thread.arena", &number, &size, nil, 0) == 0 else { return nil }
    let bound = number
    guard made.withLock({ $0.all.contains(bound) }) else { return nil }
    guard let other = made.withLock({ $0.others[bound] }) else { return nil }
    number = other
    if wastedByteCount(of: number) > wastedByteCount(of: bound) { return Arena(number: bound) }
    // What the cache holds is of the arena that is to become empty.
    _ = mallctl("thread.tcache.flush", nil, nil, nil, 0)
    guard mallctl("thread.arena", nil, nil, &number, size) == 0 else { return nil }
    return Arena(number: number)
  }

  /// An arena and the other one of the same thread, if it has two.
  static func pair(_ number: UInt32) -> [UInt32] {
    [number] + (made.withLock { $0.others[number] }.map { [$0] } ?? [])
  }

  /// Bytes of an arena's pages in use that no allocation takes.
  private static func wastedByteCount(of number: UInt32) -> Int {
    func figure(_ name: String) -> Int {
      var value = 0
      var size = MemoryLayout<Int>.size
      return mallctl("stats.arenas.\(number).\(name)", &value, &size, nil, 0) == 0 ? value : 0
    }
    return figure("pactive") * 4096 - figure("small.allocated") - figure("large.allocated")
  }

  /// Lets threads of the allocator's own give unused pages back to the system: a worker would stop for it.
  public static func purgeInBackground() {
    var isOn = true
    _ = mallctl("background_thread", nil, nil, &isOn, MemoryLayout<Bool>.size)
  }

  /// Unused pages of the calling thread's arenas go back to the system after so many milliseconds, as a curve from all to none of
  /// them; by the allocator's own threads where `purgeInBackground` was called. Where the thread has no arena of its own, nothing changes.
  public static func keepUnusedPages(milliseconds: Int) {
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    guard mallctl("thread.arena", &number, &size, nil, 0) == 0 else { return }
    let bound = number
    guard made.withLock({ $0.all.contains(bound) }) else { return }
    var time = milliseconds
    // The arena that defragmentation may make.
    _ = mallctl("arenas.dirty_decay_ms", nil, nil, &time, MemoryLayout<Int>.size)
    for arena in pair(bound) {
      _ = mallctl("arena.\(arena).dirty_decay_ms", nil, nil, &time, MemoryLayout<Int>.size)
    }
  }

  /// Gives all unused pages of the process back to the system, at once: milliseconds.
  public static func purgeAll() {
    _ = mallctl("thread.tcache.flush", nil, nil, nil, 0)
    // 4096 is MALLCTL_ARENAS_ALL.
    _ = mallctl("arena.4096.purge", nil, nil, nil, 0)
  }

  /// The calling thread is about to end: what its arena does not need goes back to the system, and the next thread may have the arena.
  public static func unbindThisThread() {
    var number: UInt32 = 0
    var size = MemoryLayout<UInt32>.size
    guard mallctl("thread.arena", &number, &size, nil, 0) == 0 else { return }
    let bound = number
    guard made.withLock({ $0.all.contains(bound) }) else { return }
    _ = mallctl("thread.tcache.flush", nil, nil, nil, 0)
    for arena in pair(bound) {
      _ = mallctl("arena.\(arena).purge", nil, nil, nil, 0)
    }
    made.withLock { $0.unbound.append(bound) }
  }
}
