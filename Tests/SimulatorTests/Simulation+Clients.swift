// Clients: with maps that are as old as may be, following redirects, several commands under way; and
// transactors, which watch a key, read it, and write in MULTI.
import Sharding

/// One client.
struct SimulatedClient {
  /// Whether it does WATCH … EXEC, one at a time, and nothing else.
  let isTransactor: Bool
  /// Where it believes each slot to be.
  var map: [Int] = []
  /// The operations that it waits for.
  var outstanding: [Int] = []
  /// Operations to be sent again at a later time.
  var retries: [(at: Int, operation: Int, asked: Int?)] = []
  var transaction: Transaction?
  var asleepUntil = 0

  init(isTransactor: Bool) { self.isTransactor = isTransactor }
}

/// WATCH, GET, MULTI, SET, SET, EXEC on one connection.
struct Transaction {
  let first: SimulatedKey
  let second: SimulatedKey
  /// Where it is tried; ASKING goes before MULTI, without WATCH, if an ASK led there.
  var shard: Int
  var isAsking = false
  /// The operations under way, by what they are for.
  var waitingFor: [Int] = []
  /// When it is tried (again), if it is not under way.
  var startsAt: Int
  /// EXEC's writes.
  var writes: [(key: SimulatedKey, value: Int)] = []
  /// When the commands behind WATCH were sent.
  var invoked = 0
  /// Where it is to be tried next, if something went wrong.
  var next: (shard: Int, isAsking: Bool)?
  /// Whether GET has been answered.
  var hasRead = false
}

/// A command of a client, until it is answered for good.
struct Operation {
  let command: SimulatedCommand
  /// -1 for a shard's.
  let client: Int
  /// When it was first sent.
  let invoked: Int
  /// What it is of: the operator's command.
  let ticket: Int?
  /// How often it was answered MOVED since the last flip was published.
  var redirects = 0
  /// How often it was sent.
  var attempts = 0
  /// For a question about topology: it may not be older than this.
  var leastEpoch = 0

  init(command: SimulatedCommand, client: Int, at time: Int, ticket: Int? = nil) {
    self.command = command
    self.client = client
    self.invoked = time
    self.ticket = ticket
  }
}

extension Simulation {
  /// Sends an operation over a connection.
  mutating func send(_ operation: Int, _ connection: Int, isAsking: Bool) {
    let last = connections[connection].requests.last?.due ?? now
    operations[operation].attempts += 1
    connections[connection].pending.append(operation)
    connections[connection].requests.append(
      SimulatedRequest(
        operation: operation, command: operations[operation].command, isAsking: isAsking,
        due: due(after: last)))
  }

  /// Reads one reply, or sends something.
  mutating func stepClient(_ client: Int) {
    // Shards wait for replies, too.
    if numbers.chance(150), receive(by: clients.count + numbers.below(Simulation.portCount)) {
      return
    }
    if clients[client].asleepUntil > now { return }
    if numbers.chance(options.clientSleepiness) {
      clients[client].asleepUntil = now + numbers.below(700)
      return
    }
    if receive(by: client) { return }
    if clients[client].isTransactor { return stepTransactor(client) }
    if let first = clients[client].retries.firstIndex(where: { $0.at <= now }) {
      let (_, operation, asked) = clients[client].retries.remove(at: first)
      let slot = operations[operation].command.keys[0].slot
      return send(
        operation, client, to: asked ?? clients[client].map[slot], isAsking: asked != nil)
    }
    if !isHealing, clients[client].outstanding.count < 4 {
      let command = drawCommand()
      operations.append(Operation(command: command, client: client, at: now))
      clients[client].outstanding.append(operations.count - 1)
      let slot = command.keys[0].slot
      send(operations.count - 1, client, to: clients[client].map[slot], isAsking: false)
    }
  }

  private mutating func send(_ operation: Int, _ client: Int, to shard: Int, isAsking: Bool) {
    send(operation, client * Simulation.portCount + shard, isAsking: isAsking)
  }

  /// A slot to do something with, most likely a busy one.
  mutating func drawSlot() -> Int {
    numbers.below(numbers.chance(800) ? options.busySlotCount : Simulation.slots.count)
  }

  /// A command with keys in one slot.
  mutating func drawCommand() -> SimulatedCommand {
    let slot = drawSlot()
    func key(_ rank: Int) -> SimulatedKey { SimulatedKey(slot: slot, rank: rank) }
    nextValue += 2
    let plain = numbers.below(3)
    switch numbers.below(16) {
    case 0, 1, 2: return .get(key(numbers.below(4)))
    case 3: return .get(key(SimulatedKey.deleted))
    case 4, 5, 6, 7: return .set(key(plain), nextValue)
    case 8: return .set(key(SimulatedKey.deleted), nextValue)
    case 9, 10: return .delete(key(SimulatedKey.deleted))
    case 11, 12: return .increment(key(SimulatedKey.counter))
    case 13: return .getTwo(key(plain), key((plain + 1) % 3))
    case 14: return .getTwo(key(0), key(2))
    default: return .setTwo(key(plain), nextValue, key((plain + 1) % 3), nextValue + 1)
    }
  }

  // MARK: Replies

  private mutating func receive(by client: Int) -> Bool {
    let first = numbers.below(Simulation.portCount)
    for offset in 0..<Simulation.portCount {
      let connection = client * Simulation.portCount + (first + offset) % Simulation.portCount
      guard let reply = connections[connection].replies.first, reply.due <= now else { continue }
      connections[connection].replies.removeFirst()
      let expected = connections[connection].pending.removeFirst()
      if expected != reply.operation { fail(.replyOrder, "\(expected) \(reply.operation)") }
      if client >= clients.count {
        finishRestore(reply.operation, reply.reply)
      } else if clients[client].transaction?.waitingFor.contains(reply.operation) ?? false {
        receiveInTransaction(client, reply.operation, reply.reply)
      } else {
        receive(reply.reply, to: reply.operation, client, at: connections[connection].shard)
      }
      return true
    }
    return false
  }

  private mutating func receive(
    _ reply: SimulatedReply, to operation: Int, _ client: Int, at shard: Int
  ) {
    if operations[operation].attempts > 160 {
      fail(.liveness, "\(operations[operation]) is sent for ever")
    }
    switch reply {
    case .values(let values): finish(operation, values, client)
    case .moved(let slot, let target, let epoch):
      clients[client].map[slot] = target
      if numbers.chance(300) { askTopology(client, at: shard, leastEpoch: epoch) }
      send(operation, client, to: target, isAsking: false)
    case .ask(_, let target):
      if numbers.chance(options.askLag) {
        // A client that was stopped for a while follows an old ASK.
        clients[client].retries.append((now + numbers.below(600), operation, target))
      } else {
        send(operation, client, to: target, isAsking: true)
      }
    case .tryAgain, .clusterDown:
      clients[client].retries.append((now + 5 + numbers.below(30), operation, nil))
    case .closed:
      hit(.closedPort)
      // Another shard tells.
      readMap(client, board)
      if case .topology = operations[operation].command { return finish(operation, [], client) }
      clients[client].retries.append((now + 5, operation, nil))
    case .topology(let map):
      if map.epoch.number < operations[operation].leastEpoch {
        fail(
          .topology, "epoch \(map.epoch.number) after \(operations[operation].leastEpoch)")
      }
      readMap(client, map)
      clients[client].outstanding.removeAll { $0 == operation }
    // Commands that nobody waits for any more: what is left of a transaction.
    case .queued, .execAborted, .execNull, .busyKey, .scanned: break
    }
  }

  private mutating func readMap(_ client: Int, _ map: ClusterMap) {
    for slot in Simulation.slots.indices {
      if let owner = map.owner(of: Simulation.slots[slot]) {
        clients[client].map[slot] = Int(owner.number) - 1
      }
    }
  }

  private mutating func askTopology(_ client: Int, at shard: Int, leastEpoch: Int) {
    var operation = Operation(command: .topology, client: client, at: now)
    operation.leastEpoch = leastEpoch
    operations.append(operation)
    clients[client].outstanding.append(operations.count - 1)
    send(operations.count - 1, client, to: shard, isAsking: false)
  }

  private mutating func finish(_ operation: Int, _ values: [Int], _ client: Int) {
    clients[client].outstanding.removeAll { $0 == operation }
    record(operations[operation], values)
  }

  /// Has the history take in what a client has got for an operation.
  mutating func record(_ done: Operation, _ values: [Int]) {
    switch done.command {
    case .get(let key): history.read(key, values[0], done.invoked, now)
    case .getTwo(let first, let second):
      history.read(first, values[0], done.invoked, now)
      history.read(second, values[1], done.invoked, now)
    case .set(let key, let value): history.write(key, value, done.invoked, now)
    case .setTwo(let first, let value, let second, let other):
      history.write(first, value, done.invoked, now)
      history.write(second, other, done.invoked, now)
    case .increment(let key): acknowledgedIncrements[key.index] += 1
    case .delete, .watch, .unwatch, .multi, .exec, .restore, .topology, .scan: break
    }
  }

  // MARK: Transactions

  private mutating func stepTransactor(_ client: Int) {
    guard var transaction = clients[client].transaction else {
      guard !isHealing, numbers.chance(300) else { return }
      let slot = drawSlot()
      clients[client].transaction = Transaction(
        first: SimulatedKey(slot: slot, rank: numbers.below(3)),
        second: SimulatedKey(slot: slot, rank: numbers.below(3)),
        shard: clients[client].map[slot], startsAt: now)
      return
    }
    guard transaction.waitingFor.isEmpty, transaction.startsAt <= now else { return }
    if let next = transaction.next {
      transaction.shard = next.shard
      transaction.isAsking = next.isAsking
      transaction.next = nil
      transaction.hasRead = false
    }
    let connection = client * Simulation.portCount + transaction.shard
    func send(_ command: SimulatedCommand, isAsking: Bool = false) {
      operations.append(Operation(command: command, client: client, at: now))
      transaction.waitingFor.append(operations.count - 1)
      self.send(operations.count - 1, connection, isAsking: isAsking)
    }
    if !transaction.hasRead, !transaction.isAsking {
      send(.unwatch)
      send(.watch(transaction.first))
      send(.get(transaction.first))
    } else {
      nextValue += 2
      transaction.writes = [(transaction.first, nextValue), (transaction.second, nextValue + 1)]
      transaction.invoked = now
      send(.multi, isAsking: transaction.isAsking)
      for (key, value) in transaction.writes { send(.set(key, value)) }
      send(.exec)
    }
    clients[client].transaction = transaction
  }

  private mutating func receiveInTransaction(
    _ client: Int, _ operation: Int, _ reply: SimulatedReply
  ) {
    guard var transaction = clients[client].transaction else { return }
    transaction.waitingFor.removeAll { $0 == operation }
    let slot = transaction.first.slot
    switch reply {
    case .moved(_, let target, _):
      clients[client].map[slot] = target
      transaction.next = (target, false)
    case .ask(_, let target): transaction.next = (target, true)
    case .tryAgain, .clusterDown:
      transaction.startsAt = now + 5 + numbers.below(30)
      transaction.next = (clients[client].map[slot], false)
    case .closed:
      readMap(client, board)
      transaction.next = (clients[client].map[slot], false)
    case .execNull:
      clients[client].transaction = nil
      return
    case .execAborted:
      if transaction.next == nil { transaction.next = (clients[client].map[slot], false) }
    case .queued, .busyKey, .topology, .scanned: break
    case .values:
      switch operations[operation].command {
      case .get:
        transaction.hasRead = true
        // Some think for a while.
        if numbers.chance(500) { transaction.startsAt = now + numbers.below(900) }
      case .exec:
        for (key, value) in transaction.writes where key != transaction.second || value % 2 == 0 {
          history.write(key, value, transaction.invoked, now)
        }
        clients[client].transaction = nil
        return
      default: break
      }
    }
    // Somewhere else or later, from the beginning; the new connection has nothing of the old one.
    if transaction.next != nil { transaction.hasRead = false }
    operations[operation].attempts = 0
    clients[client].transaction = transaction
  }
}
