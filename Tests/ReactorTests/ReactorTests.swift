import CLinux
import Glibc
import TestSupport
import Testing

@testable import Reactor

@Suite(.serialized) struct ReactorTests {
  @Test(arguments: testedChoices) func echoOverManyConnections(_ choice: BackendChoice) throws {
    for awaits in [false, true] {
      var random = SplitMix(state: 42)
      var server = try EchoServer(choice)
      server.awaits = awaits
      var clients: [(Int, [UInt8], Int, [UInt8])] = []
      let sockets = Sockets(try (0..<40).map { _ in try Client(port: server.port) })
      for place in 0..<40 {
        let size = Int.random(in: 1...60_000, using: &random)
        clients.append((place, pattern(size, seed: place), 0, []))
      }
      let done = try server.run(timeout: 0, turns: 200_000) { server in
        var open = false
        for place in 0..<40 {
          let (_, bytes, written, _) = clients[place]
          if written < bytes.count {
            let end = min(bytes.count, written + Int.random(in: 1...9000, using: &random))
            clients[place].2 += sockets.write(place, bytes[written..<end])
          }
          clients[place].3 += sockets.read(place) ?? []
          if clients[place].3.count < bytes.count { open = true }
        }
        return !open
      }
      #expect(done)
      for place in 0..<40 { #expect(clients[place].1 == clients[place].3) }
      sockets.close()
      #expect(try server.run { $0.sessions.allSatisfy { $0.closed == 1 } })
      #expect(server.sessions.allSatisfy { $0.hungUp == 0 })
    }
  }

  @Test(arguments: testedChoices) func slowReaderGetsEverything(_ choice: BackendChoice) throws {
    for awaits in [false, true] {
      var server = try EchoServer(choice)
      server.awaits = awaits
      let client = try Client(port: server.port)
      #expect(try server.run { $0.sessions.count == 1 })
      // Far more than the sockets' buffers hold, so that the send is partial and has to wait.
      let bytes = pattern(12 << 20, seed: 5)
      server.sessions[0].output = bytes
      server.flush(0)
      for _ in 0..<50 { try server.turn(timeout: 0) }
      #expect(server.sessions[0].sending != nil)
      var read: [UInt8] = []
      #expect(
        try server.run(timeout: 0, turns: 100_000) { server in
          read += client.read() ?? []
          return read.count == bytes.count && server.sessions[0].sent == bytes.count
        })
      #expect(read == bytes)
    }
  }

  @Test(arguments: testedChoices) func pauseLosesAndReordersNothing(_ choice: BackendChoice) throws
  {
    var random = SplitMix(state: 7)
    var limits = ReactorLimits()
    limits.buffers = 8
    limits.submissions = 4
    limits.completions = 8
    var server = try EchoServer(choice, limits: limits)
    server.echoes = false
    let client = try Client(port: server.port)
    #expect(try server.run { $0.sessions.count == 1 })
    let bytes = pattern(3 << 20, seed: 9)
    var written = 0
    var paused = false
    let done = try server.run(timeout: 0, turns: 200_000) { server in
      if written < bytes.count {
        written += client.write(bytes[written..<min(bytes.count, written + 50_000)])
      }
      let id = server.sessions[0].id
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        server.reactor.pause(id)
        paused = true
      case 1, 2:
        server.reactor.resume(id)
        paused = false
      case 3:
        // Both within one turn.
        server.reactor.pause(id)
        server.reactor.resume(id)
        paused = false
      default: break
      }
      let before = server.sessions[0].received.count
      if paused {
        try server.turn(timeout: 0)
        if server.sessions[0].received.count != before { return true }
      }
      return server.sessions[0].received.count >= bytes.count
    }
    #expect(done)
    #expect(server.sessions[0].received == bytes)
  }

  /// Pausing in the middle of a turn keeps the rest of the turn.
  @Test(arguments: testedChoices) func pauseWithinATurnKeepsTheRest(_ choice: BackendChoice) throws
  {
    var server = try EchoServer(choice)
    server.echoes = false
    let client = try Client(port: server.port)
    #expect(try server.run { $0.sessions.count == 1 })
    let bytes = pattern(200_000, seed: 1)
    var written = 0
    while written < bytes.count {
      let count = client.write(bytes[written...])
      if count == 0 { break }
      written += count
    }
    let id = server.sessions[0].id
    var got: [UInt8] = []
    var turns = 0
    while got.count < written && turns < 10_000 {
      turns += 1
      let count = try server.reactor.turn(timeout: 1_000_000)
      for place in 0..<count {
        let event = server.reactor.event(place)
        if event.kind != .received { continue }
        got += server.reactor.bytes(of: event).withUnsafeBytes { [UInt8]($0) }
        server.reactor.pause(id)
        // Every other time both in the same turn.
        if turns % 2 == 0 { server.reactor.resume(id) }
      }
      _ = server.reactor.endTurn()
      server.reactor.resume(id)
    }
    #expect(got == Array(bytes[..<written]))
  }

  @Test(arguments: testedChoices) func directReceiveInTheMiddleOfAStream(_ choice: BackendChoice)
    throws
  {
    var server = try EchoServer(choice)
    server.echoes = false
    let client = try Client(port: server.port)
    #expect(try server.run { $0.sessions.count == 1 })
    let id = server.sessions[0].id
    let head = pattern(5000, seed: 1)
    let bulk = pattern(10 << 20, seed: 2)
    let tail = pattern(7000, seed: 3)
    let bytes = head + bulk + tail
    var written = 0
    var pump: (inout EchoServer) -> Void = { _ in }
    pump = { _ in written += client.write(bytes[written..<min(bytes.count, written + 300_000)]) }
    #expect(
      try server.run(timeout: 0) { server in
        pump(&server)
        return server.sessions[0].received.count >= head.count
      })
    server.reactor.beginDirect(id)
    #expect(
      try server.run(timeout: 0) { server in
        pump(&server)
        return server.sessions[0].quiet == 1
      })
    // What was on the way has come; the rest goes to its place.
    let already = server.sessions[0].received.count
    #expect(already < head.count + bulk.count)
    let end = head.count + bulk.count
    let destination = UnsafeMutableRawBufferPointer.allocate(byteCount: end - already, alignment: 1)
    defer { destination.deallocate() }
    var filling = -1
    #expect(
      try server.run(timeout: 0, turns: 200_000) { server in
        pump(&server)
        let filled = server.sessions[0].filled
        if filled < destination.count && filled != filling {
          filling = filled
          let rest = UnsafeMutableRawBufferPointer(rebasing: destination[filled...])
          server.reactor.receive(id, into: rest)
        }
        return filled == destination.count
      })
    #expect(server.sessions[0].received.count == already)
    server.reactor.endDirect(id)
    #expect(
      try server.run(timeout: 0) { server in
        pump(&server)
        return server.sessions[0].received.count == already + tail.count
      })
    let all = server.sessions[0].received
    #expect(all[..<already] + Array(destination) + all[already...] == bytes[...])
  }

  @Test(arguments: testedChoices) func closeWithEverythingInFlight(_ choice: BackendChoice) throws {
    var server = try EchoServer(choice)
    server.echoes = false
    let clients = Sockets(try (0..<4).map { _ in try Client(port: server.port) })
    #expect(try server.run { $0.sessions.count == 4 })
    let destination = UnsafeMutableRawBufferPointer.allocate(byteCount: 100_000, alignment: 1)
    defer { destination.deallocate() }
    // 0: a send that waits for room. 1: a direct receive that waits for bytes. 2: a send not yet submitted. 3: nothing.
    server.sessions[0].output = pattern(12 << 20, seed: 1)
    server.flush(0)
    server.reactor.beginDirect(server.sessions[1].id)
    #expect(try server.run { $0.sessions[1].quiet == 1 })
    server.reactor.receive(server.sessions[1].id, into: destination)
    for _ in 0..<10 { try server.turn(timeout: 0) }
    #expect(server.sessions[0].sending != nil)
    server.sessions[2].output = [1, 2, 3]
    server.flush(2)
    for place in 0..<4 {
      server.reactor.close(server.sessions[place].id)
      server.reactor.close(server.sessions[place].id)
    }
    let before = server.sessions.map(\.events)
    #expect(try server.run { $0.sessions.allSatisfy { $0.closed == 1 } })
    for _ in 0..<10 { try server.turn(timeout: 100_000) }
    // One event each after close, and that was it.
    for place in 0..<4 {
      #expect(server.sessions[place].closed == 1)
      #expect(server.sessions[place].events == before[place] + 1)
    }
    #expect(try server.run { _ in (0..<4).allSatisfy { clients.read($0) == nil } })
    clients.close()
  }

  @Test(arguments: testedChoices) func peerResets(_ choice: BackendChoice) throws {
    var server = try EchoServer(choice)
    do {
      let client = try Client(port: server.port)
      #expect(try server.run { $0.sessions.count == 1 })
      client.reset()
    }
    #expect(try server.run { $0.sessions[0].closed == 1 })
    #expect(server.sessions[0].hungUp == ECONNRESET)
  }

  @Test(arguments: testedChoices) func bytesBeforeTheEndComeBeforeTheEnd(_ choice: BackendChoice)
    throws
  {
    var server = try EchoServer(choice)
    server.echoes = false
    let bytes = pattern(100_000, seed: 4)
    do {
      let client = try Client(port: server.port)
      #expect(client.write(bytes[...]) == bytes.count)
    }
    #expect(try server.run { $0.sessions.count == 1 && $0.sessions[0].closed == 1 })
    #expect(server.sessions[0].received == bytes)
    #expect(server.sessions[0].hungUp == 0)
  }

  @Test(arguments: testedChoices) func moreReadyConnectionsThanBuffers(_ choice: BackendChoice)
    throws
  {
    var limits = ReactorLimits()
    limits.buffers = 2
    limits.submissions = 8
    limits.completions = 16
    var server = try EchoServer(choice, limits: limits)
    let sockets = Sockets(try (0..<60).map { _ in try Client(port: server.port) })
    #expect(try server.run { $0.sessions.count == 60 })
    let bytes = pattern(40_000, seed: 8)
    for place in 0..<60 { #expect(sockets.write(place, bytes[...]) == bytes.count) }
    var got = [[UInt8]](repeating: [], count: 60)
    #expect(
      try server.run { _ in
        for place in 0..<60 { got[place] += sockets.read(place) ?? [] }
        return got.allSatisfy { $0.count == bytes.count }
      })
    #expect(got.allSatisfy { $0 == bytes })
    sockets.close()
    #expect(try server.run { $0.sessions.allSatisfy { $0.closed == 1 } })
  }

  @Test(arguments: testedChoices) func acceptsBurstsAndStops(_ choice: BackendChoice) throws {
    var server = try EchoServer(choice)
    let sockets = Sockets(try (0..<300).map { _ in try Client(port: server.port) })
    #expect(try server.run { $0.accepted == 300 })
    server.reactor.remove(listener: server.listener)
    for _ in 0..<3 { try server.turn(timeout: 0) }
    #expect(throws: ReactorError.self) { _ = try Client(port: server.port) }
    sockets.close()
    #expect(try server.run { $0.sessions.allSatisfy { $0.closed == 1 } })
  }

  @Test(arguments: testedChoices) func wokenByAnotherThread(_ choice: BackendChoice) throws {
    var server = try EchoServer(choice)
    let wakeUp = server.reactor.wakeUp
    for _ in 0..<5 { wakeUp.wake() }
    #expect(try server.run { $0.woken == 1 })
    for _ in 0..<5 { try server.turn(timeout: 0) }
    #expect(server.woken == 1)
    for round in 2..<20 {
      let thread = Thread { wakeUp.wake() }
      // For ever: only the wake can end it.
      while server.woken < round { try server.turn(timeout: nil) }
      thread.join()
    }
  }

  @Test(arguments: testedChoices) func staleNamesAreIgnored(_ choice: BackendChoice) throws {
    var server = try EchoServer(choice)
    let first = try Client(port: server.port)
    #expect(try server.run { $0.sessions.count == 1 })
    let stale = server.sessions[0].id
    server.reactor.close(stale)
    #expect(try server.run { $0.sessions[0].closed == 1 })
    _ = first.fd
    let second = try Client(port: server.port)
    #expect(try server.run { $0.sessions.count == 2 })
    #expect(server.sessions[1].id.index == stale.index)
    #expect(server.sessions[1].id != stale)
    let bytes: [UInt8] = [1]
    for id in [stale, ConnectionID.none] {
      server.reactor.send(id, bytes.span.bytes)
      server.reactor.pause(id)
      server.reactor.resume(id)
      server.reactor.beginDirect(id)
      server.reactor.endDirect(id)
      server.reactor.setKeepalive(id, seconds: 10)
      server.reactor.close(id)
    }
    server.reactor.setKeepalive(server.sessions[1].id, seconds: 10)
    #expect(second.write([42, 43]) == 2)
    var got: [UInt8] = []
    #expect(
      try server.run { _ in
        got += second.read() ?? []
        return got == [42, 43]
      })
  }

  /// Without descriptors accepting rests, without a busy loop, and goes on when there are some again. In a process of its own:
  /// the limit is the process's.
  @Test func withoutDescriptorsAcceptingRests() async {
    await #expect(processExitsWith: .success) {
      for choice in testedChoices {
        var server = try EchoServer(choice)
        let sockets = Sockets(try (0..<5).map { _ in try Client(port: server.port) })
        var limit = rlimit()
        #expect(tern_get_open_files(&limit) == 0)
        var none = limit
        none.rlim_cur = 3
        #expect(tern_set_open_files(&none) == 0)
        var turns = 0
        let end = tern_monotonic() + 60_000_000
        while tern_monotonic() < end {
          try server.turn(timeout: 30_000_000)
          turns += 1
        }
        #expect(tern_set_open_files(&limit) == 0)
        #expect(server.accepted == 0)
        #expect(turns < 20)
        #expect(try server.run { $0.accepted == 5 })
        sockets.close()
      }
    }
  }

  @Test func errorsAndAddresses() throws {
    let fd = try Reactor.listen(address: "127.0.0.1", port: 0, backlog: 1)
    let port = try Reactor.localPort(of: fd)
    do throws(ReactorError) {
      _ = try Reactor.listen(address: "127.0.0.1", port: port, backlog: 1)
      Issue.record("bound twice")
    } catch {
      #expect(error.isAddressInUse)
    }
    #expect(throws: ReactorError.self) {
      _ = try Reactor.listen(address: "localhost", port: 0, backlog: 1)
    }
    _ = tern_close(fd)
    #expect(!Machine.availableCPUs.isEmpty)
    #expect(Machine.raiseOpenFiles(to: 64) >= 64)
    #expect(try Reactor(.auto).backend == (UringProbe.isUsable() ? .uring : .epoll))
  }
}
