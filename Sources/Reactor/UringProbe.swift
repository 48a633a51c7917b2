import CLinux
import Glibc

/// Whether io_uring does here what the back-end builds on: asked of the kernel by doing it, not by its version.
///
/// Over a pair of sockets: a multishot receive into a provided buffer has its bytes and stays armed; a send that is silent on
/// success is; one that finds no room speaks.
enum UringProbe {
  static func isUsable() -> Bool { (try? probe()) ?? false }

  private static func probe() throws(ReactorError) -> Bool {
    var pair: (Int32, Int32) = (-1, -1)
    let answer = withUnsafeMutableBytes(of: &pair) {
      tern_socket_pair($0.baseAddress?.assumingMemoryBound(to: Int32.self))
    }
    if answer < 0 { return false }
    defer {
      _ = tern_close(pair.0)
      _ = tern_close(pair.1)
    }
    var ring = try Ring(submissions: 8, completions: 16)
    var buffers = try BufferRing(count: 4, of: ring.fd)
    ring.push(receive(pair.1))
    ring.push(silentSend(pair.0, buffers, byteCount: 7))
    try ring.enter(timeout: 100_000_000)
    // The receive was armed first, so its bytes may need the kernel once more.
    if ring.pending() == nil { try ring.enter(timeout: 100_000_000) }
    guard let places = ring.pending(), places.count == 1 else { return false }
    let received = ring.completion(0)
    ring.consume(1)
    guard received.user_data == 1, received.result == 7,
      received.flags & IORING_CQE_F_BUFFER != 0, received.flags & IORING_CQE_F_MORE != 0
    else { return false }
    _ = buffers.take(UInt16(received.flags >> UInt32(IORING_CQE_BUFFER_SHIFT)))
    buffers.giveBack()
    // The other way nobody reads: soon there is no room, and the send has to say so.
    for _ in 0..<1000 {
      ring.push(silentSend(pair.1, buffers, byteCount: 64 * 1024))
      try ring.enter(timeout: 0)
      if ring.pending() != nil {
        let spoken = ring.completion(0)
        return spoken.user_data == 2 && spoken.result < 64 * 1024
      }
    }
    return false
  }

  private static func receive(_ fd: Int32) -> tern_submission {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_RECV.rawValue)
    submission.flags = UInt8(1 << IOSQE_BUFFER_SELECT_BIT)
    submission.priority = UInt16(IORING_RECV_MULTISHOT)
    submission.fd = fd
    submission.user_data = 1
    return submission
  }

  private static func silentSend(_ fd: Int32, _ buffers: borrowing BufferRing, byteCount: Int)
    -> tern_submission
  {
    var submission = tern_submission()
    submission.opcode = UInt8(IORING_OP_SEND.rawValue)
    submission.flags = UInt8(1 << IOSQE_CQE_SKIP_SUCCESS_BIT)
    submission.fd = fd
    submission.address = UInt64(UInt(bitPattern: buffers.start))
    submission.byte_count = UInt32(byteCount)
    submission.operation_flags = UInt32(
      MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT)
    submission.user_data = 2
    return submission
  }
}
