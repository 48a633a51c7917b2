// A worker's turns: commands, refusals in three steps, letters.
import Sharding

extension Simulation {
  /// Does what comes next, as far as no other thread can come in between.
  mutating func stepWorker(_ index: Int) {
    if workers[index].asleepUntil > now { return }
    if numbers.chance(options.sleepiness) {
      workers[index].asleepUntil = now + 20 + numbers.below(150)
      return
    }
    switch workers[index].activity {
    case .refusing(let connection, let map, let hasLooked):
      refuse(connection, by: map, hasLooked: hasLooked, worker: index)
    case .releasing(let tables, let flip, let map, let isPushed, let isPublished):
      // A thread may lose its processor anywhere, and here it matters.
      if options.sleepiness > 0, isPushed || isPublished, numbers.chance(60) {
        workers[index].asleepUntil = now + numbers.below(400)
        return
      }
      release(
        tables, flip, map, isPushed: isPushed, isPublished: isPublished, worker: index)
    case .routing(let client, let isBehindLook):
      route(client, isBehindLook: isBehindLook, worker: index)
    case .serving(let batch, let isBehindLook):
      serve(batch, isBehindLook: isBehindLook, worker: index)
    case .none:
      switch numbers.below(8) {
      case 0 where !workers[index].mail.isEmpty: look(worker: index)
      case 1, 2:
        guard let first = workers[index].orders.firstIndex(where: { $0.due <= now }) else {
          return takeCommand(worker: index)
        }
        let order = workers[index].orders.remove(at: first)
        obey(order.order, ticket: order.ticket, worker: index)
      case 3...5 where beginRouterWork(worker: index): break
      default: takeCommand(worker: index)
      }
    }
  }

  private mutating func takeCommand(worker index: Int) {
    let first = numbers.below(connections.count)
    for offset in connections.indices {
      let connection = (first + offset) % connections.count
      guard worker(of: connections[connection].shard) == index,
        let request = connections[connection].requests.first, request.due <= now
      else { continue }
      switch resolve(connection) {
      case .reply(let reply): answer(reply, connection)
      case .wait:
        if !request.hasWaited { hit(.waitedForKeyInFlight) }
        connections[connection].requests[0].hasWaited = true
        continue
      case .refuse:
        workers[index].activity = .refusing(
          connection: connection, map(at: connections[connection].shard),
          hasLooked: mutation == .noSecondLook)
      }
      return
    }
  }

  /// Sends the reply to a connection's first command.
  private mutating func answer(_ reply: SimulatedReply, _ connection: Int) {
    let request = connections[connection].requests.removeFirst()
    let last = connections[connection].replies.last?.due ?? now
    connections[connection].replies.append((request.operation, reply, due(after: last)))
    trace(
      "shard \(connections[connection].shard + 1) answers \(request.operation) \(request.command): \(label(reply))"
    )
  }

  private func label(_ reply: SimulatedReply) -> String {
    if case .topology = reply { return "topology" }
    return "\(reply)"
  }

  // MARK: No worker says no before it has looked

  private mutating func refuse(
    _ connection: Int, by map: ClusterMap, hasLooked: Bool, worker index: Int
  ) {
    let shard = connections[connection].shard
    if !hasLooked {
      let before = workers[index].mail
      look(worker: index)
      switch resolve(connection) {
      case .reply(let reply):
        for letter in before {
          switch letter {
          case .tables: hit(.lookFoundTable)
          case .slice: hit(.lookFoundSlice)
          case .giveBack, .returned: break
          }
        }
        workers[index].activity = .none
        answer(reply, connection)
      case .wait:
        workers[index].activity = .none
        connections[connection].requests[0].hasWaited = true
      case .refuse:
        workers[index].activity = .refusing(connection: connection, map, hasLooked: true)
      }
      return
    }
    let current = self.map(at: shard)
    if current.epoch != map.epoch, mutation != .mapNotComparedAgain, mutation != .noSecondLook {
      hit(.mapMovedMeanwhile)
      workers[index].activity = .refusing(connection: connection, current, hasLooked: false)
      return
    }
    workers[index].activity = .none
    // The same as before, unless the port was closed or `MIGRATE` has heard of its target.
    switch resolve(connection) {
    case .refuse(let verdict, let slot): sayNo(verdict, slot, connection, by: map)
    case .reply(let reply): answer(reply, connection)
    case .wait: connections[connection].requests[0].hasWaited = true
    }
  }

  private mutating func sayNo(
    _ verdict: Verdict, _ slot: Int, _ connection: Int, by map: ClusterMap
  ) {
    let request = connections[connection].requests[0]
    checkMultiBehindAsking(connection)
    if case .exec = request.command {
      hit(.execMoved)
      endMulti(connection)
    } else if connections[connection].queue != nil {
      connections[connection].isAborted = true
    }
    switch verdict {
    case .serve: preconditionFailure("what is served is not refused")
    case .moved:
      guard let owner = map.owner(of: Simulation.slots[slot]) else {
        hit(.unassigned)
        return answer(.clusterDown, connection)
      }
      let target = Int(owner.number) - 1
      hit(.moved)
      if request.isAsking, shards[connections[connection].shard].stays[slot].incoming != nil {
        hit(.staleAskingAboveCursor)
      }
      checkMoved(connection, slot, to: target)
      answer(.moved(slot: slot, to: target, epoch: Int(map.epoch.number)), connection)
    case .ask(let id):
      hit(.ask)
      let target = Int(id.number) - 1
      checkAsk(request.command.keys, connections[connection].shard, slot, to: target)
      answer(.ask(slot: slot, to: target), connection)
    case .tryAgain:
      hit(.tryAgain)
      answer(.tryAgain, connection)
    case .clusterDown:
      hit(.unassigned)
      answer(.clusterDown, connection)
    }
  }

  // MARK: Letters

  /// Leaves a letter with the worker of a shard.
  mutating func push(_ letter: Letter, to shard: Int, first: Bool = false) {
    let index = worker(of: shard)
    workers[index].mail.insert(letter, at: first ? 0 : workers[index].mail.count)
  }

  /// Reads whatever lies in the mailbox.
  mutating func look(worker index: Int) {
    let letters = workers[index].mail
    workers[index].mail = []
    for letter in letters { read(letter) }
  }

  private mutating func read(_ letter: Letter) {
    switch letter {
    case .tables(let tables, let flip): adopt(tables, flip)
    case .slice(let slot, let target, let ranks, let values):
      guard shards[target].stays[slot].incoming != nil else { return }
      touched.append(slot)
      for (rank, value) in zip(ranks, values) {
        shards[target].stays[slot].incoming?.table.values[rank] = value
      }
      shards[target].stays[slot].incoming?.cursor = ranks.upperBound
    case .giveBack(let slot, let target, let flip):
      guard let incoming = shards[target].stays[slot].incoming else { return }
      touched.append(slot)
      dirtyWatchers(of: slot, at: target)
      shards[target].stays[slot].departures += 1
      shards[target].stays[slot].incoming = nil
      let table = mutation == .cancelWithoutReturn ? SimulatedTable() : incoming.table
      push(
        .returned(slot: slot, source: incoming.source, table, flip), to: incoming.source)
    case .returned(let slot, let source, let table, let flip):
      touched.append(slot)
      for rank in 0..<(shards[source].stays[slot].outgoing?.cursor ?? 0) {
        shards[source].stays[slot].table?.values[rank] = table.values[rank]
      }
      shards[source].stays[slot].outgoing = nil
      lastOpen[slot] = now
      hit(.givenBack)
      tell(.refused(flip: flip.number, .noMemory), worker: worker(of: source))
    }
  }

  private mutating func adopt(
    _ tables: [(slot: Int, table: SimulatedTable)], _ flip: Rebalancer.Flip
  ) {
    guard let target = flip.target.flatMap({ port(of: $0) }) else {
      preconditionFailure("the target of a flip has left")
    }
    for (slot, table) in tables {
      touched.append(slot)
      var table = table
      let incoming = shards[target].stays[slot].incoming
      if let incoming, isOwn(incoming, flip) { table = incoming.table }
      if let leftover = shards[target].stays[slot].leftover {
        for rank in table.values.indices where table.values[rank] == 0 {
          table.values[rank] = leftover.values[rank]
        }
      }
      shards[target].stays[slot].table = table
      shards[target].stays[slot].incoming = nil
      if incoming != nil { lastOpen[slot] = now }
      if table.values[SimulatedKey.counter] > 0 { hit(.counterMoved) }
      if table.values[SimulatedKey.deleted] == 0,
        versions[slot * SimulatedKey.count + SimulatedKey.deleted] > 0
      {
        hit(.deletedKeyMoved)
      }
    }
    hit(.handOver)
    if tables.count > 1 { hit(.batchOfSlots) }
    workers[worker(of: target)].view += 1
    trace("\(flip.number) adopted")
    tellAdopted(flip, worker: worker(of: target))
  }

  /// Whether what came key by key belongs to this flip. What another move left behind is replaced by
  /// the table that comes.
  private func isOwn(_ incoming: Incoming, _ flip: Rebalancer.Flip) -> Bool {
    switch incoming.way {
    // Whatever node IMPORTING named: since then the slot may have moved, and gone on from there.
    case .presence: flip.mustBeEmpty
    case .cursor: flip.source.flatMap { port(of: $0) } == incoming.source
    }
  }
}
