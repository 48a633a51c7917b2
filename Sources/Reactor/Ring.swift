import CLinux
import Glibc

/// An io_uring, bare: two rings shared with the kernel, and one call to enter it.
///
///     submissions: we write at `tail`, the kernel takes at `head` (inside `enter` only: no polling thread)
///     completions: the kernel writes at `tail`, we take at `head`
///
/// Submissions that find no room wait in `backlog` in their order, and go along with the turn's enter.
/// Set up so that one thread submits (`SINGLE_ISSUER`) and completions are worked out only inside `enter` (`DEFER_TASKRUN`).
/// The descriptor is registered with itself, which saves looking it up in every call.
struct Ring: ~Copyable {
  let fd: Int32
  private let enterDescriptor: Int32
  private let enterFlags: UInt32
  private let memory: UnsafeMutableRawPointer
  private let memorySize: Int
  private let entriesSize: Int
  private let submissions: UnsafeMutablePointer<tern_submission>
  private let submissionHead: UnsafeMutablePointer<UInt32>
  private let submissionTail: UnsafeMutablePointer<UInt32>
  private let submissionFlags: UnsafeMutablePointer<UInt32>
  private let submissionMask: UInt32
  private let completions: UnsafeMutablePointer<tern_completion>
  private let completionHead: UnsafeMutablePointer<UInt32>
  private let completionTail: UnsafeMutablePointer<UInt32>
  private let completionMask: UInt32
  /// Our copy of the submissions' tail; the kernel reads the shared one inside `enter`.
  private var tail: UInt32 = 0
  /// The kernel's head as last seen.
  private var head: UInt32 = 0
  private var backlog = Queue<tern_submission>()
  /// What `enter` is given: no signal mask, and where the time-out stands.
  private let argument: UnsafeMutablePointer<io_uring_getevents_arg>
  private let limit: UnsafeMutablePointer<__kernel_timespec>

  init(submissions count: UInt32, completions completionCount: UInt32) throws(ReactorError) {
    var parameters = io_uring_params()
    let flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL
      | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN
    var fd: Int32 = -EINVAL
    for extra in [TERN_SETUP_NO_SQARRAY, 0] where fd == -EINVAL {
      parameters = io_uring_params()
      parameters.flags = flags | extra
      parameters.cq_entries = completionCount
      fd = tern_io_uring_setup(count, &parameters)
    }
    if fd < 0 { throw ReactorError("io_uring_setup", errno: -fd) }
    let needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP
    guard parameters.features & needed == needed else {
      _ = tern_close(fd)
      throw ReactorError("io_uring_setup: an old kernel", errno: ENOSYS)
    }
    let withArray = parameters.flags & TERN_SETUP_NO_SQARRAY == 0
    let memorySize = max(
      withArray ? Int(parameters.sq_off.array) + Int(parameters.sq_entries) * 4 : 0,
      Int(parameters.cq_off.cqes) + Int(parameters.cq_entries) * 16)
    let entriesSize = Int(parameters.sq_entries) * 64
    let memory = tern_map_ring(fd, memorySize, IORING_OFF_SQ_RING)
    let entries = tern_map_ring(fd, entriesSize, UInt64(IORING_OFF_SQES))
    guard let memory, memory != MAP_FAILED, let entries, entries != MAP_FAILED else {
      let errno = Glibc.errno
      _ = tern_close(fd)
      throw ReactorError("mmap of the ring", errno: errno)
    }
    func word(_ offset: UInt32) -> UnsafeMutablePointer<UInt32> {
      (memory + Int(offset)).assumingMemoryBound(to: UInt32.self)
    }
    self.fd = fd
    self.memory = memory
    self.memorySize = memorySize
    self.entriesSize = entriesSize
    submissions = entries.bindMemory(
      to: tern_submission.self, capacity: Int(parameters.sq_entries))
    submissionHead = word(parameters.sq_off.head)
    submissionTail = word(parameters.sq_off.tail)
    submissionFlags = word(parameters.sq_off.flags)
    submissionMask = parameters.sq_entries - 1
    completions = (memory + Int(parameters.cq_off.cqes)).assumingMemoryBound(
      to: tern_completion.self)
    completionHead = word(parameters.cq_off.head)
    completionTail = word(parameters.cq_off.tail)
    completionMask = parameters.cq_entries - 1
    if withArray {
      // The index array names each submission's own place, once and for all.
      let array = word(parameters.sq_off.array)
      for place in 0..<parameters.sq_entries { array[Int(place)] = place }
    }
    limit = .allocate(capacity: 1)
    limit.initialize(to: __kernel_timespec(tv_sec: 0, tv_nsec: 0))
    argument = .allocate(capacity: 1)
    argument.initialize(
      to: io_uring_getevents_arg(
        sigmask: 0, sigmask_sz: 8, pad: 0, ts: UInt64(UInt(bitPattern: limit))))
    var registration = io_uring_rsrc_update(offset: .max, resv: 0, data: UInt64(fd))
    if tern_io_uring_register(fd, UInt32(IORING_REGISTER_RING_FDS), &registration, 1) == 1 {
      enterDescriptor = Int32(registration.offset)
      enterFlags = IORING_ENTER_REGISTERED_RING
    } else {
      enterDescriptor = fd
      enterFlags = 0
    }
  }

  deinit {
    munmap(submissions, entriesSize)
    munmap(memory, memorySize)
    _ = tern_close(fd)
    limit.deallocate()
    argument.deallocate()
  }

  /// Queues a submission for the next `enter`.
  @inline(__always) mutating func push(_ submission: tern_submission) {
    if tail &- head > submissionMask || !backlog.isEmpty { return pushSlowly(submission) }
    submissions[Int(tail & submissionMask)] = submission
    tail &+= 1
  }

  @inline(never) private mutating func pushSlowly(_ submission: tern_submission) {
    head = tern_load_acquire(submissionHead)
    if tail &- head <= submissionMask && backlog.isEmpty {
      submissions[Int(tail & submissionMask)] = submission
      tail &+= 1
    } else {
      backlog.append(submission)
    }
  }

  /// Whether the kernel has taken every submission.
  var isSubmitted: Bool { tail == head && backlog.isEmpty }

  /// Whether completions wait inside the kernel because the ring had no room.
  var hasOverflown: Bool { tern_load_relaxed(submissionFlags) & IORING_SQ_CQ_OVERFLOW != 0 }

  /// Submits everything queued and waits until there is a completion, at most `timeout` nanoseconds (nil: for ever).
  /// One call of the kernel, more only if there was a backlog.
  mutating func enter(timeout: Int64?) throws(ReactorError) {
    while !backlog.isEmpty {
      let before = head
      try enterOnce(wait: false, timeout: 0)
      while tail &- head <= submissionMask, let submission = backlog.popFirst() {
        submissions[Int(tail & submissionMask)] = submission
        tail &+= 1
      }
      // The kernel takes nothing at the moment (no memory): completions first, the rest next time.
      if head == before { return }
    }
    try enterOnce(wait: timeout != 0, timeout: timeout)
  }

  private mutating func enterOnce(wait: Bool, timeout: Int64?) throws(ReactorError) {
    tern_store_release(submissionTail, tail)
    var flags = enterFlags | IORING_ENTER_GETEVENTS
    let answer: Int32
    if wait, let timeout {
      limit.pointee.tv_sec = timeout / 1_000_000_000
      limit.pointee.tv_nsec = timeout % 1_000_000_000
      flags |= IORING_ENTER_EXT_ARG
      answer = tern_io_uring_enter(
        enterDescriptor, tail &- head, 1, flags, argument, MemoryLayout<io_uring_getevents_arg>.size
      )
    } else {
      answer = tern_io_uring_enter(enterDescriptor, tail &- head, wait ? 1 : 0, flags, nil, 0)
    }
    head = tern_load_acquire(submissionHead)
    if answer >= 0 { return }
    switch -answer {
    // Time ran out, a signal came, or there was no memory for the moment: all of them end the turn, none of them is an error.
    case ETIME, EINTR, EAGAIN, EBUSY, ENOMEM: return
    default: throw ReactorError("io_uring_enter", errno: -answer)
    }
  }

  /// The places of the completions that are there.
  @inline(__always) func pending() -> Range<UInt32>? {
    let first = completionHead.pointee
    let count = tern_load_acquire(completionTail) &- first
    return count == 0 ? nil : 0..<count
  }

  /// Completion `place` of those pending.
  @inline(__always) func completion(_ place: UInt32) -> tern_completion {
    completions[Int((completionHead.pointee &+ place) & completionMask)]
  }

  /// Gives the first `count` completions back to the kernel.
  @inline(__always) func consume(_ count: UInt32) {
    tern_store_release(completionHead, completionHead.pointee &+ count)
  }
}
