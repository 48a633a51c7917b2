import CLinux
import Glibc

/// The buffers that a worker's receives share: the kernel takes one for each receive that has bytes, and gets all of them back
/// with one store at the end of the turn.
///
///     ring (one page): [address, size, id] × count, the first one's last two bytes are the tail
///     buffers: id 0 | 64 | id 1 | 64 | …   each 16 KiB: shifted by a cache line, so that their beginnings, which is all that
///                                          small requests touch, do not share the same cache sets
///
/// Memory is touched only as it is used.
struct BufferRing: ~Copyable {
  /// Size of one buffer: a pipelined read of redis-benchmark -P 256 fits, and a turn of them stays within the second cache.
  static let byteCount = 16 * 1024
  private static let stride = byteCount + 64

  let count: Int
  private let ring: UnsafeMutablePointer<tern_provided_buffer>
  private let ringSize: Int
  private let buffers: UnsafeMutableRawPointer
  private var tail: UInt16 = 0
  private var used = Queue<UInt16>(capacity: 256)

  /// Registers `count` buffers (a power of two) as group 0 of a ring.
  init(count: Int, of fd: Int32) throws(ReactorError) {
    precondition(count > 0 && count <= 32768 && count & (count - 1) == 0)
    let ringSize = max(4096, count * 16)
    guard let ring = tern_reserve(ringSize), let buffers = tern_reserve(count * Self.stride) else {
      throw ReactorError("mmap of the receive buffers", errno: ENOMEM)
    }
    var registration = tern_buffer_registration()
    registration.ring_address = UInt64(UInt(bitPattern: ring))
    registration.ring_entries = UInt32(count)
    let answer = tern_io_uring_register(
      fd, UInt32(IORING_REGISTER_PBUF_RING), &registration, 1)
    if answer < 0 {
      munmap(ring, ringSize)
      munmap(buffers, count * Self.stride)
      throw ReactorError("registering a buffer ring", errno: -answer)
    }
    self.count = count
    self.ring = ring.bindMemory(to: tern_provided_buffer.self, capacity: count)
    self.ringSize = ringSize
    self.buffers = buffers
    for id in 0..<count { used.append(UInt16(id)) }
    giveBack()
  }

  deinit {
    munmap(ring, ringSize)
    munmap(buffers, count * Self.stride)
  }

  /// Takes note that the kernel has filled buffer `id`; where it begins.
  @inline(__always) mutating func take(_ id: UInt16) -> UnsafeRawPointer {
    precondition(Int(id) < count)
    used.append(id)
    return UnsafeRawPointer(buffers + Int(id) * Self.stride)
  }

  /// Gives every buffer taken back to the kernel.
  @inline(__always) mutating func giveBack() {
    if used.isEmpty { return }
    let mask = UInt16(count - 1)
    for place in 0..<used.count {
      let id = used[place]
      // The first entry's last field is the ring's tail and stays untouched here.
      let entry = ring + Int(tail & mask)
      entry.pointee.address = UInt64(UInt(bitPattern: buffers + Int(id) * Self.stride))
      entry.pointee.byte_count = UInt32(Self.byteCount)
      entry.pointee.id = id
      tail &+= 1
    }
    used.removeAll()
    tern_store_release_16(tailAddress, tail)
  }

  /// Where the buffers begin.
  var start: UnsafeRawPointer { UnsafeRawPointer(buffers) }

  private var tailAddress: UnsafeMutablePointer<UInt16> {
    (UnsafeMutableRawPointer(ring) + 14).assumingMemoryBound(to: UInt16.self)
  }
}
