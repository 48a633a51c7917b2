import RESP
import Sharding
import Storage
import Synchronization
import Testing
import Transcript

@testable import Engine

/// A worker that has a little for one that sleeps does it itself. That nothing else changes by it all tests of the router show, in which
/// workers sleep every other time (`Two.pass`).
@Suite struct NeighbourTests {
  private let here = Two.keys[0]
  private let there = Two.keys[1]

  /// How often somebody is woken.
  private final class Bell: Sendable {
    let rings = Atomic<Int>(0)
  }

  /// Whether what a client asks for is done while the second worker sleeps; whatever happens, it is done in the end.
  private func isHelped(_ two: inout Two, _ text: String) -> Bool {
    two.send(text)
    two.sendToSleeper()
    let wasLeft = two.second.engine.mailbox.hasMail
    two.settle()
    return !wasLeft
  }

  @Test func nobodyIsWoken() throws {
    var two = try Two()
    let bell = Bell()
    two.second.engine.mailbox.hang { bell.rings.wrappingAdd(1, ordering: .relaxed) }
    two.send("SET \(there) 1\nINCR \(there)\nGET \(there)\nMGET \(there) \(here)")
    two.sendToSleeper()
    two.first.engine.sendHops()
    #expect(two.first.shownReplies(to: two.client) == "+OK :2 \"2\" [\"2\", nil]")
    #expect(!two.second.engine.mailbox.hasMail)
    #expect(bell.rings.load(ordering: .relaxed) == 0)
    // It is the neighbour that has run it, and counted it.
    let calls = two.second.ask("INFO commandstats", from: two.second.client)
    #expect(calls.contains("cmdstat_incr:calls=1"))
  }

  @Test func awakeItIsWoken() throws {
    var two = try Two()
    let bell = Bell()
    two.second.engine.mailbox.hang { bell.rings.wrappingAdd(1, ordering: .relaxed) }
    two.send("SET \(there) 1")
    two.first.engine.sendHops()
    #expect(two.first.shownReplies(to: two.client) == "")
    #expect(two.second.engine.mailbox.hasMail)
    #expect(bell.rings.load(ordering: .relaxed) == 1)
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK")
  }

  /// A pipeline that goes to and fro between workers is done at once.
  @Test func whatComesBehindIsDoneToo() throws {
    var two = try Two()
    var text = ""
    var wanted: [String] = []
    for i in 0..<20 {
      text += "SET \(there) \(i)\nSET \(here) \(i)\nINCR \(there)\n"
      wanted += ["+OK", "+OK", ":\(i + 1)"]
    }
    two.send(text)
    two.sendToSleeper()
    #expect(two.first.shownReplies(to: two.client) == wanted.joined(separator: " "))
    #expect(!two.second.engine.mailbox.hasMail)
  }

  @Test func whatWasSentBeforeIsRunBefore() throws {
    var two = try Two()
    let other = try two.first.connect(to: nil)
    two.send("SET \(there) 1")
    two.first.engine.sendHops()
    two.send("INCR \(there)", from: other)
    two.sendToSleeper()
    #expect(two.first.shownReplies(to: other) == "")
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK")
    #expect(two.first.shownReplies(to: other) == ":2")
  }

  @Test func muchOrLongWorkIsLeft() throws {
    var two = try Two()
    let many = Array(repeating: "INCR \(there)", count: 257).joined(separator: "\n")
    #expect(!isHelped(&two, many))
    #expect(isHelped(&two, "INCR \(there)"))
    // Its work is not bounded by the length of request and reply.
    #expect(!isHelped(&two, "BITCOUNT \(there)"))
    #expect(!isHelped(&two, "DBSIZE"))
    let long = String(repeating: "x", count: 31 << 10)
    #expect(isHelped(&two, "SET \(there) \(long)"))
    #expect(!isHelped(&two, "SET \(there) \(long)\nSET \(there) \(long)\nSET \(there) \(long)"))
    #expect(!isHelped(&two, "WATCH \(there)"))
    #expect(!isHelped(&two, "MULTI\nSET \(there) 1\nEXEC"))
  }

  /// An engine that has something to do behind a command, or by itself, does everything itself.
  @Test func whoHasMoreToDoIsNotHelped() throws {
    var two = try Two()
    #expect(isHelped(&two, "SET \(there) 1"))
    let other = two.second.client
    _ = two.second.ask("CLIENT PAUSE 100000 WRITE", from: other)
    #expect(!isHelped(&two, "GET \(there)"))
    _ = two.second.ask("CLIENT UNPAUSE", from: other)
    two.second.engine.clearListed()
    #expect(isHelped(&two, "GET \(there)"))
    _ = two.second.ask("HELLO 3", from: other)
    _ = two.second.ask("CLIENT TRACKING ON", from: other)
    #expect(!isHelped(&two, "GET \(there)"))
    _ = two.second.ask("CLIENT TRACKING OFF", from: other)
    two.second.engine.clearListed()
    #expect(isHelped(&two, "GET \(there)"))
    two.second.send(request("MONITOR"), from: other)
    #expect(!isHelped(&two, "GET \(there)"))
  }

  /// A slot has left the neighbour: what it says is what it would have said.
  @Test func whatIsNotThereComesBack() throws {
    var two = try Two()
    #expect(isHelped(&two, "SET \(there) 5"))
    try two.giveBack(Two.slots(of: there))
    two.send("INCR \(there)\nGET \(there)")
    two.sendToSleeper()
    two.settle()
    #expect(two.first.shownReplies(to: two.client) == "+OK :6 \"6\"")
  }

  /// Its clock goes on by the helper's, and never back.
  @Test func theTimeIsTheLaterOne() throws {
    var two = try Two()
    two.first.setTime(2_000_000)
    two.second.setTime(1_000_000)
    #expect(isHelped(&two, "SET \(there) 1 PXAT 3000000"))
    #expect(two.second.engine.milliseconds == 2_000_000)
    two.second.setTime(2_999_999)
    #expect(isHelped(&two, "PTTL \(there)"))
    #expect(two.second.engine.milliseconds == 2_999_999)
    #expect(two.first.shownReplies(to: two.client) == "+OK :1")
  }
}
