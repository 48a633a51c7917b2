internal import RESP
internal import Storage

// MONITOR: a client is told every command that runs on its shard, after it has run, as Redis tells it:
//
//   +1700000000.123456 [0 127.0.0.1:50000] "SET" "key" "value"
//
// Operators' commands are not told, passwords neither, and of a value that was received apart (32 KiB or more) only the
// beginning. A monitor that reads slower than its shard works is closed when 32 MiB wait.

extension Engine {
  /// Bytes that may wait for a monitor.
  static var monitorOutputLimit: Int { 32 << 20 }

  /// MONITOR.
  mutating func monitor(_ call: Call) -> Effect {
    if isInTransaction {
      return failing("ERR MONITOR isn't allowed for DENY BLOCKING client")
    }
    // The second one is not even answered, as with Redis.
    if sessions[current].mode.contains(.monitor) { return .none }
    sessions[current].mode.insert(.monitor)
    monitors.append(current)
    listeners += 1
    reply.ok()
    return .none
  }

  /// A session is told nothing more.
  mutating func endMonitor(_ index: Int32) {
    if sessions.contains(index), sessions[index].mode.contains(.router) {
      endRemoteMonitor(sessions[index].id)
    }
    monitors.removeAll { $0 == index }
    listeners -= 1
  }

  /// Tells a command that was run to the monitors of its shard.
  mutating func tellMonitors(_ call: Call) {
    let shard = sessions[current].shard
    if CommandTable.all[Int(call.id.rawValue)].flags.contains(.admin) { return }
    guard
      !router.monitors.isEmpty
        || monitors.contains(where: {
          sessions[$0].shard == shard || sessions[$0].mode.contains(.router)
        })
    else { return }
    let line = monitorLine(call)
    for i in router.monitors.indices where router.monitors[i].lines.count < 1 << 20 {
      router.monitors[i].lines += line
    }
    for index in monitors
    where sessions[index].shard == shard || sessions[index].mode.contains(.router) {
      if !sessions[index].mode.isDisjoint(with: [.closing, .replyOff]) { continue }
      if index == current {
        reply.append(bytes: line)
      } else {
        tell(line, to: index)
      }
    }
  }

  /// Sends another client what it did not ask for. One that reads too slowly is closed.
  mutating func tell(_ line: [UInt8], to index: Int32) {
    do throws(OutOfMemory) {
      if sessions[index].output.byteCount > Self.monitorOutputLimit { throw OutOfMemory() }
      try sessions[index].output.reserve(line.count, pool: &reply.pool)
      sessions[index].output.append(line.rawBytes)
    } catch { abandon(index) }
    list(index)
  }

  private func monitorLine(_ call: Call) -> [UInt8] {
    let secrets = Self.secrets(of: call)
    let fraction = String(microseconds % 1_000_000)
    let zeros = String(repeating: "0", count: 6 - fraction.utf8.count)
    var line = Array(
      "+\(microseconds / 1_000_000).\(zeros)\(fraction) [0 \(sessions[current].address)]".utf8)
    for i in 0..<call.count {
      line += [32, 34]
      if secrets.contains(i) {
        line += Array("(redacted)".utf8)
      } else if let bulk = call.arguments.largeIndex(i) {
        let beginning = largeBeginning(bulk)
        Self.appendQuoted(beginning.rawBytes, to: &line)
        line += largeRest(bulk)
      } else {
        Self.appendQuoted(call[i], to: &line)
      }
      line.append(34)
    }
    return line + [13, 10]
  }

  /// What is shown of an argument that was received apart, which the command has taken over by now: its beginning …
  func largeBeginning(_ bulk: Int) -> [UInt8] {
    bulk < large.count ? large[bulk].shownBeginning : []
  }

  /// … and how much there is more.
  func largeRest(_ bulk: Int) -> [UInt8] {
    let byteCount = bulk < large.count ? large[bulk].shownByteCount : 0
    return Array("... (\(max(0, byteCount - SlowLog.byteLimit)) more bytes)".utf8)
  }

  /// Appends bytes as Redis quotes them.
  private static func appendQuoted(_ bytes: RawSpan, to line: inout [UInt8]) {
    for i in 0..<bytes.byteCount {
      let byte = bytes.byte(at: i)
      switch byte {
      case 34, 92: line += [92, byte]
      case 10: line += [92, 110]
      case 13: line += [92, 114]
      case 9: line += [92, 116]
      case 7: line += [92, 97]
      case 8: line += [92, 98]
      case 32...126: line.append(byte)
      default:
        line += [92, 120]
        for digit in [byte >> 4, byte & 15] { line.append(digit + (digit < 10 ? 48 : 87)) }
      }
    }
  }
}
