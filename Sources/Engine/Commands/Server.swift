internal import RESP
internal import Storage

// The commands about the server: time, the end.

extension Engine {
  /// TIME: Unix seconds and microseconds.
  mutating func time(_ call: Call) -> Effect {
    let now = microseconds
    reply.arrayHeader(2)
    reply.bulk(integer: now / 1_000_000)
    reply.bulk(integer: now % 1_000_000)
    return .none
  }

  /// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]: answered by the connection's end.
  mutating func shutdown(_ call: Call) -> Effect {
    var isAbort = false
    var saves = 0
    var others = 0
    for i in 1..<max(1, call.count) {
      switch Word(call[i]) {
      case "NOSAVE": saves |= 1
      case "SAVE": saves |= 2
      case "NOW", "FORCE": others += 1
      case "ABORT": isAbort = true
      default: return syntaxError()
      }
    }
    if saves == 3 || isAbort && (saves != 0 || others != 0) { return syntaxError() }
    if isAbort { return failing("ERR No shutdown in progress.") }
    if saves == 2 {
      return failing("ERR Errors trying to SHUTDOWN. Check logs.")
    }
    park(for: .shutdown)
    return .none
  }
}
