// Hops of router clients, at the worker that they have come to; and the clients themselves.
import Sharding

extension Simulation {
  /// Runs the next hop of a batch, or says why not.
  mutating func serve(_ batch: HopBatch, isBehindLook: Bool, worker index: Int) {
    workers[index].activity = .none
    if isBehindLook { look(worker: index) }
    var batch = batch
    guard let outcome = outcome(of: batch, isBehindLook: isBehindLook, worker: index) else {
      workers[index].activity = .serving(batch, isBehindLook: true)
      return
    }
    trace(
      "worker \(index): \(batch.hops[batch.next].number) of router client \(batch.client): \(outcome)"
    )
    batch.hops[batch.next].outcome = outcome
    batch.next += 1
    if case .done = outcome {} else { batch.isBroken = true }
    if batch.isAnswered {
      leave(batch, with: batch.origin)
    } else {
      workers[index].activity = .serving(batch, isBehindLook: false)
    }
  }

  /// What becomes of the next hop; nil if that cannot be said before a look into the mailbox.
  private mutating func outcome(
    of batch: HopBatch, isBehindLook: Bool, worker index: Int
  ) -> HopOutcome? {
    let hop = batch.hops[batch.next]
    if batch.isBroken, mutation != .hopsBehindBouncedRun {
      hit(.cameBackBehind)
      return .again
    }
    if !isHealing, !isBehindLook, batch.next > 0, numbers.chance(20) {
      // The replies are long.
      hit(.gaveBackRest)
      return .again
    }
    if let half = hop.half, case .scan(let cursor) = hop.command {
      if !isBehindLook {
        refreshMap(worker: index)
        if !workers[index].mail.isEmpty { return nil }
      }
      return scanHalf(cursor, half, worker: index)
    }
    if mutation == .askedHopNotDecided, let asked = hop.asked, worker(of: asked) == index {
      return run(hop, at: asked, isAsking: true, worker: index)
    }
    var way = wayHere(hop.command, asked: hop.asked, worker: index)
    if way == nil {
      if mutation == .hopServedByOldOwner, let expected = hop.expected {
        return run(hop, at: expected, isAsking: false, worker: index)
      }
      if !isBehindLook {
        refreshMap(worker: index)
        if !workers[index].mail.isEmpty { return nil }
      }
      way = wayByMap(hop.command.slot, worker: index)
    }
    switch way {
    case .here(let shard, let isAsking):
      if isAsking { hit(.askedHop) }
      if isBehindLook { hit(.lookFoundForHop) }
      return run(hop, at: shard, isAsking: isAsking, worker: index)
    case .there(_, .some(let asked)):
      hit(.hopAsk)
      return .ask(asked)
    case .later:
      hit(.hopLater)
      return .later
    case .there, .down, nil:
      hit(.hopElsewhere)
      return .elsewhere
    }
  }

  /// Runs a router client's command as a shard.
  mutating func run(_ hop: Hop, at shard: Int, isAsking: Bool, worker index: Int) -> HopOutcome {
    checkOrder(of: hop)
    if case .scan(let cursor) = hop.command { return scan(cursor, worker: index) }
    return .done(execute(hop.command, at: shard, isAsking: isAsking))
  }

  /// I5, when a router client's command is served: no write is late, nothing comes behind a later
  /// write, and what is done to a key is done in order.
  private mutating func checkOrder(of hop: Hop) {
    let number = hop.number
    let client = routerClients[hop.client]
    if number < client.lastWrite || (!hop.command.isRead && number < client.lastServed) {
      fail(
        .effectOrder,
        "command \(number) of router client \(hop.client) is served behind \(client.lastServed), the last write is \(client.lastWrite): \(hop.command)"
      )
    }
    for key in hop.command.keys {
      if number < client.lastOfKey[key.index] {
        fail(
          .effectOrder,
          "command \(number) of router client \(hop.client) is served behind \(client.lastOfKey[key.index]): \(hop.command)"
        )
      }
      routerClients[hop.client].lastOfKey[key.index] = number
    }
    routerClients[hop.client].lastServed = max(client.lastServed, number)
    if !hop.command.isRead { routerClients[hop.client].lastWrite = max(client.lastWrite, number) }
  }
}

// MARK: Clients

extension Simulation {
  /// A router client reads one reply, or sends a pipeline.
  mutating func stepRouterClient(_ client: Int) {
    if let first = routerClients[client].replies.first, first.due <= now {
      routerClients[client].replies.removeFirst()
      let expected = routerClients[client].pending.removeFirst()
      if expected != first.operation { fail(.replyOrder, "\(expected) \(first.operation)") }
      return receive(first.reply, to: first.operation, routerClient: client)
    }
    if routerClients[client].isWalker { return stepWalker(client) }
    guard !isHealing, routerClients[client].pending.count < 8 else { return }
    let last = routerClients[client].requests.last?.due ?? now
    let due = due(after: last)
    // Some pipelines only read.
    let onlyReads = numbers.chance(400)
    for _ in 0..<(1 + numbers.below(6)) {
      var command = drawCommand()
      while onlyReads, !command.isRead { command = drawCommand() }
      send(command, routerClient: client, due: due)
    }
  }

  /// Sends a command to the router's port.
  mutating func send(_ command: SimulatedCommand, routerClient client: Int, due: Int) {
    operations.append(Operation(command: command, client: -1, at: now))
    routerClients[client].sentCount += 1
    routerClients[client].pending.append(operations.count - 1)
    let hop = Hop(
      client: client, number: routerClients[client].sentCount, operation: operations.count - 1,
      command: command)
    routerClients[client].requests.append((due, hop))
  }

  private mutating func receive(
    _ reply: SimulatedReply, to operation: Int, routerClient client: Int
  ) {
    switch reply {
    case .values(let values): record(operations[operation], values)
    case .scanned(let keys, let cursor): goOn(keys, cursor, client)
    // Not served, and an error for the client.
    case .clusterDown: break
    case .moved, .ask, .tryAgain, .closed, .queued, .execAborted, .execNull, .busyKey, .topology:
      fail(.routerTold, "router client \(client) is told \(reply)")
    }
  }
}
