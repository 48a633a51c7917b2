// Hand-over (DESIGN §4) as a model small enough to be explored whole: one slot, three shards, each
// on a worker of its own, three moves back to back (1 → 2 → 3 → 1), two clients.
//
// A *world* is everything that matters at one instant. A *step* is one thing that one thread does
// between two points at which another thread may come in between: taking a map from the board,
// emptying a mailbox, pushing a table, publishing a map. `steps` gives every step that some thread
// may do next, and so the exploration sees every order of deliveries and every interleaving.
//
//     authority ──prepare──▶ target      control messages: one queue a worker, read in turns
//        ▲ ◀─────ready───────┘
//        │ ──handOver──────▶ source      take ─▶ push ─▶ publish ─▶ answer again, one turn
//        ├ ◀──released────────┤ table
//        └ ◀──adopted── target ◀┘        mailbox: read in turns and before every MOVED
//
// The rules that the model follows, each of which a `Mutation` breaks:
//  a. owning is holding the table;
//  b. the published map lies on one board, for all workers;
//  c. who is about to answer MOVED takes the board's map, then empties its mailbox, decides again,
//     and starts again if the board's epoch has moved meanwhile;
//  d. the source takes, pushes and publishes in one turn, and only then answers;
//  e. flips are made one after another: the next one is prepared when the source has said that its
//     map is out *and* the target that it has adopted. Adoption alone is not enough: between the
//     push and the publication the target may adopt, say so, and be told to hand over again.
//
// A client sends each command to a shard of any number, as one with any old map would.
import Sharding

/// One way of breaking the rules of hand-over.
enum HandOverMutation: CaseIterable, Hashable, Sendable {
  /// (a) The shard that the map names serves, table or not.
  case mapConfersOwnership
  /// (a) The source keeps what it hands over, and owns it as before.
  case copyInsteadOfMove
  /// (a) What is adopted is laid over what an earlier stay left behind.
  case mergeOnAdopt
  /// (a) The target is importing until it is told that the slot is its own.
  case importingUntilTold
  /// (b) Each worker points by a copy of the map that it is sent.
  case copyOfTheMap
  /// (c) The mailbox is not looked into before MOVED.
  case noSecondLook
  /// (c) The mailbox is looked into, but nothing is decided again.
  case lookWithoutDeciding
  /// (c) First the mailbox, then the map, and nothing is compared.
  case mapAfterLook
  /// (c) Nobody looks whether the map is still the board's.
  case mapNotComparedAgain
  /// (d) Commands are answered between the taking of the table and its push.
  case answerBeforePush
  /// (d) Commands are answered between the push and the publication.
  case answerBeforePublish
  /// (d) The map is published before the table is pushed.
  case publishBeforePush
  /// (e) A flip has the epoch of the one before.
  case flipWithoutEpoch
  /// (e) The next flip starts when the map is out, whether the table has been adopted or not.
  case nextFlipWithoutAdoption
  /// (e) The next flip starts when the table has been adopted, whether the map is out or not.
  case nextFlipWithoutPublication
}

/// What must hold of every step.
enum HandOverCheck: Hashable, Sendable {
  /// I2: at most one shard serves.
  case twoOwners
  /// There is exactly one table, held, in a mailbox or in the hands of the source.
  case oneTable
  /// I1: what is read is what was written last.
  case lastWrite
  /// I3: at most one redirect after the last flip that was published.
  case redirects
  /// I3: at the instant of a MOVED, the shard that it names has the table, or finds it at its next
  /// look, or is in the turn that hands it over.
  case movedToOwner
  /// I3: nobody says MOVED and means himself.
  case movedToSelf
  /// I3: after a MOVED no shard answers with an older topology.
  case topology
  /// I4: the epoch grows with every flip.
  case epoch
  /// The source of a flip has the table when it is told to hand it over.
  case sourceHolds
  /// When nothing is left to do, every flip was made and every command answered.
  case finished
}

/// Where to point.
struct ModelMap: Hashable {
  /// The map's version.
  var epoch: UInt8
  /// The shard that it names, from 0.
  var owner: Int
}

/// Everything that matters at one instant.
struct HandOverWorld: Hashable {
  /// From the first shard through all of them and back.
  static let moves = [(source: 0, target: 1), (source: 1, target: 2), (source: 2, target: 0)]
  /// What the clients do, one command after the other.
  static let scripts: [[Command]] = [[.write(1), .write(0)], [.read, .read]]

  /// A command on the slot's one key; 0 is the value of an absent one.
  enum Command: Hashable {
    /// Stores the value.
    case write(UInt8)
    /// Reads it.
    case read
  }

  /// What the authority tells a worker.
  enum Order: Hashable {
    /// Say when you are ready to be given the slot.
    case prepare
    /// Give the slot away, and publish this map.
    case handOver(ModelMap)
    /// `answerBeforePush`: the rest of a hand-over, in a later turn.
    case push(UInt8, ModelMap)
    /// `answerBeforePublish`: the rest of a hand-over, in a later turn.
    case publish(ModelMap)
    /// `importingUntilTold`: the slot is yours.
    case own
    /// `copyOfTheMap`: a newer map.
    case map(ModelMap)
  }

  /// What a worker is in the middle of.
  enum Activity: Hashable {
    /// Nothing.
    case none
    /// It is about to answer MOVED to a client, and has taken this map.
    case tookMap(client: Int, ModelMap)
    /// The same, and its mailbox is empty.
    case looked(client: Int, ModelMap)
    /// `mapAfterLook`: its mailbox is empty, and it has no map yet.
    case lookedFirst(client: Int)
    /// It has taken the table, and is to push and publish.
    case took(UInt8, ModelMap)
    /// It has pushed the table, and is to publish.
    case pushed(ModelMap)
    /// `publishBeforePush`: it has published, and is to push.
    case published(UInt8, ModelMap)
  }

  /// Where a client's command is.
  enum Place: Hashable {
    /// Not sent.
    case none
    /// On its way to a shard.
    case sent(Int)
    /// In the hands of a worker.
    case inHand
  }

  /// One client.
  struct Client: Hashable {
    /// Which command of its script is next.
    var next = 0
    var place = Place.none
    /// The redirects of this command since it was sent or the last flip was published.
    var redirects = 0
  }

  /// How far the flip in progress has come, as the authority knows it.
  enum Flip: Hashable {
    case unprepared, preparing
    case releasing(isReleased: Bool, isAdopted: Bool)
  }

  /// What workers tell the authority.
  enum Answer: Hashable {
    /// The target has room, and is awake.
    case ready
    /// The source has published the map.
    case released
    /// The target holds the table.
    case adopted
  }

  /// What each shard holds: a table with one value.
  var held: [UInt8?] = [0, nil, nil]
  /// The tables in each worker's mailbox.
  var mail: [[UInt8]] = [[], [], []]
  /// The orders to each worker.
  var orders: [[Order]] = [[], [], []]
  var activities: [Activity] = [.none, .none, .none]
  var board = ModelMap(epoch: 1, owner: 0)
  var clients = Array(repeating: Client(), count: scripts.count)
  /// The move that is being made, and how far it is.
  var move = 0
  var flip = Flip.unprepared
  /// What has been answered to the authority and not yet read, in any order.
  var answers: Set<Answer> = []
  /// The value that was written last.
  var lastWrite: UInt8 = 0
  /// `importingUntilTold`: which shards are importing.
  var isImporting = [false, false, false]
  /// `copyOfTheMap`: what each worker points by.
  var copies: [ModelMap] = []
  /// `mergeOnAdopt`: what each shard has left of earlier stays.
  var leftovers: [UInt8] = [0, 0, 0]
  /// What was broken on the way here.
  var broken: HandOverCheck?
}

/// The steps from a world, under the rules or with one of them broken.
struct HandOverModel {
  /// What is broken, if anything.
  let mutation: HandOverMutation?

  /// Before the first step.
  var start: HandOverWorld {
    var world = HandOverWorld()
    if mutation == .copyOfTheMap { world.copies = Array(repeating: world.board, count: 3) }
    return world
  }

  /// Whatever may happen next, with a name for whoever reads how a check was broken.
  func steps(from world: HandOverWorld) -> [(name: String, world: HandOverWorld)] {
    var steps: [(name: String, world: HandOverWorld)] = []
    func step(_ name: String, _ change: (inout HandOverWorld) -> Void) {
      var next = world
      change(&next)
      if next.broken == nil { next.broken = broken(in: next, after: world) }
      steps.append((name, next))
    }
    for (client, state) in world.clients.enumerated() {
      switch state.place {
      case .none where state.next < HandOverWorld.scripts[client].count:
        for shard in 0..<3 {
          step("client \(client) sends to \(shard)") {
            $0.clients[client].place = .sent(shard)
            $0.clients[client].redirects = 0
          }
        }
      case .sent(let shard) where world.activities[shard] == .none:
        step("shard \(shard) gets client \(client)'s command") {
          decide(client, at: shard, &$0, elsewhere: { beginRefusal(of: client, at: shard, &$0) })
        }
      case .none, .sent, .inHand: break
      }
    }
    for shard in 0..<3 {
      switch world.activities[shard] {
      case .none:
        if !world.mail[shard].isEmpty { step("\(shard) adopts") { look(shard, &$0) } }
        if let order = world.orders[shard].first {
          step("\(shard) reads \(order)") {
            $0.orders[shard].removeFirst()
            obey(order, at: shard, &$0)
          }
        }
      case let activity:
        step("\(shard) goes on from \(activity)") { goOn(activity, at: shard, &$0) }
      }
    }
    for answer in [HandOverWorld.Answer.ready, .released, .adopted]
    where world.answers.contains(answer) {
      step("the authority reads \(answer)") {
        $0.answers.remove(answer)
        listen(answer, &$0)
      }
    }
    if world.flip == .unprepared, world.move < HandOverWorld.moves.count {
      step("the authority prepares move \(world.move)") {
        $0.flip = .preparing
        $0.orders[HandOverWorld.moves[$0.move].target].append(.prepare)
      }
    }
    return steps
  }
}

// MARK: Commands

extension HandOverModel {
  /// What `shard` is to the slot.
  private func state(of shard: Int, in world: HandOverWorld) -> SlotState {
    if mutation == .importingUntilTold, world.isImporting[shard] { return .importingByPresence }
    if mutation == .mapConfersOwnership, world.board.owner == shard { return .held }
    return world.held[shard] != nil ? .held : .elsewhere
  }

  /// Serves the client's command, or lets `elsewhere` say what is done with it.
  private func decide(
    _ client: Int, at shard: Int, _ world: inout HandOverWorld,
    elsewhere: (inout HandOverWorld) -> Void
  ) {
    guard verdict(state(of: shard, in: world), asking: false, keys: .here) == .serve else {
      world.clients[client].place = .inHand
      return elsewhere(&world)
    }
    switch HandOverWorld.scripts[client][world.clients[client].next] {
    case .write(let value):
      world.held[shard] = value
      world.lastWrite = value
    case .read:
      if world.held[shard] ?? 0 != world.lastWrite { world.broken = .lastWrite }
    }
    world.activities[shard] = .none
    world.clients[client].place = .none
    world.clients[client].next += 1
  }

  /// The map that `shard` points by.
  private func map(of shard: Int, in world: HandOverWorld) -> ModelMap {
    mutation == .copyOfTheMap ? world.copies[shard] : world.board
  }

  private func beginRefusal(of client: Int, at shard: Int, _ world: inout HandOverWorld) {
    if mutation == .mapAfterLook {
      look(shard, &world)
      decide(client, at: shard, &world) { $0.activities[shard] = .lookedFirst(client: client) }
    } else {
      world.activities[shard] = .tookMap(client: client, map(of: shard, in: world))
    }
  }

  private func answerMoved(
    to client: Int, at shard: Int, by map: ModelMap, _ world: inout HandOverWorld
  ) {
    world.activities[shard] = .none
    world.clients[client].place = .sent(map.owner)
    world.clients[client].redirects += 1
    let isServed =
      state(of: map.owner, in: world) == .held || !world.mail[map.owner].isEmpty
      || isHandingOver(map.owner, in: world)
    if world.clients[client].redirects > 1 {
      world.broken = .redirects
    } else if !isServed {
      world.broken = .movedToOwner
    } else if map.owner == shard {
      world.broken = .movedToSelf
    } else if (0..<3).contains(where: { self.map(of: $0, in: world).epoch < map.epoch }) {
      world.broken = .topology
    }
  }
}

// MARK: Workers

extension HandOverModel {
  /// Whether `shard` has taken the table in this turn and its map is not out yet.
  private func isHandingOver(_ shard: Int, in world: HandOverWorld) -> Bool {
    switch world.activities[shard] {
    case .took, .pushed: true
    case .none, .tookMap, .looked, .lookedFirst, .published: false
    }
  }
}

extension HandOverModel {
  /// Adopts whatever lies in the mailbox.
  private func look(_ shard: Int, _ world: inout HandOverWorld) {
    for table in world.mail[shard] {
      world.held[shard] = mutation == .mergeOnAdopt && table == 0 ? world.leftovers[shard] : table
      world.isImporting[shard] = mutation == .importingUntilTold
      world.answers.insert(.adopted)
    }
    world.mail[shard] = []
  }

  private func push(_ table: UInt8, by map: ModelMap, _ world: inout HandOverWorld) {
    world.mail[map.owner].append(table)
  }

  private func publish(_ map: ModelMap, _ world: inout HandOverWorld) {
    world.board = map
    for client in world.clients.indices { world.clients[client].redirects = 0 }
    world.answers.insert(.released)
    if mutation == .copyOfTheMap {
      for shard in 0..<3 { world.orders[shard].append(.map(map)) }
    }
  }

  private func obey(
    _ order: HandOverWorld.Order, at shard: Int, _ world: inout HandOverWorld
  ) {
    switch order {
    case .prepare:
      world.answers.insert(.ready)
    case .handOver(let map):
      guard let table = world.held[shard] else {
        world.broken = .sourceHolds
        return
      }
      if mutation != .copyInsteadOfMove { world.held[shard] = nil }
      world.leftovers[shard] = mutation == .mergeOnAdopt ? table : 0
      switch mutation {
      case .answerBeforePush: world.orders[shard].append(.push(table, map))
      case .answerBeforePublish:
        push(table, by: map, &world)
        world.orders[shard].append(.publish(map))
      default: world.activities[shard] = .took(table, map)
      }
    case .push(let table, let map):
      push(table, by: map, &world)
      world.activities[shard] = .pushed(map)
    case .publish(let map):
      publish(map, &world)
    case .own:
      world.isImporting[shard] = false
    case .map(let map):
      world.copies[shard] = map
    }
  }

  private func goOn(
    _ activity: HandOverWorld.Activity, at shard: Int, _ world: inout HandOverWorld
  ) {
    switch activity {
    case .none: break
    case .tookMap(let client, let map):
      if mutation == .noSecondLook { return answerMoved(to: client, at: shard, by: map, &world) }
      look(shard, &world)
      if mutation == .lookWithoutDeciding {
        world.activities[shard] = .looked(client: client, map)
      } else {
        decide(client, at: shard, &world) { $0.activities[shard] = .looked(client: client, map) }
      }
    case .looked(let client, let map):
      let now = self.map(of: shard, in: world)
      if now.epoch == map.epoch || mutation == .mapNotComparedAgain || mutation == .mapAfterLook {
        answerMoved(to: client, at: shard, by: map, &world)
      } else {
        world.activities[shard] = .tookMap(client: client, now)
      }
    case .lookedFirst(let client):
      world.activities[shard] = .looked(client: client, world.board)
    case .took(let table, let map) where mutation == .publishBeforePush:
      publish(map, &world)
      world.activities[shard] = .published(table, map)
    case .took(let table, let map):
      push(table, by: map, &world)
      world.activities[shard] = .pushed(map)
    case .pushed(let map):
      publish(map, &world)
      world.activities[shard] = .none
    case .published(let table, let map):
      push(table, by: map, &world)
      world.activities[shard] = .none
    }
  }
}

// MARK: The authority, and what must hold

extension HandOverModel {
  private func listen(_ answer: HandOverWorld.Answer, _ world: inout HandOverWorld) {
    let move = HandOverWorld.moves[world.move]
    switch (answer, world.flip) {
    case (.ready, .preparing):
      let epoch = mutation == .flipWithoutEpoch ? world.board.epoch : world.board.epoch + 1
      world.orders[move.source].append(.handOver(ModelMap(epoch: epoch, owner: move.target)))
      world.flip = .releasing(
        isReleased: mutation == .nextFlipWithoutPublication,
        isAdopted: mutation == .nextFlipWithoutAdoption)
    case (.released, .releasing(_, let isAdopted)):
      world.flip = .releasing(isReleased: true, isAdopted: isAdopted)
    case (.adopted, .releasing(let isReleased, _)):
      if mutation == .importingUntilTold { world.orders[move.target].append(.own) }
      world.flip = .releasing(isReleased: isReleased, isAdopted: true)
    // Answers that nobody waited for come late.
    case (.ready, _), (.released, _), (.adopted, _): break
    }
    if world.flip == .releasing(isReleased: true, isAdopted: true) {
      world.move += 1
      world.flip = .unprepared
    }
  }

  private func broken(in world: HandOverWorld, after before: HandOverWorld) -> HandOverCheck? {
    if (0..<3).filter({ state(of: $0, in: world) == .held }).count > 1 { return .twoOwners }
    if world.board != before.board, world.board.epoch <= before.board.epoch { return .epoch }
    var tables = world.held.count { $0 != nil } + world.mail.reduce(0) { $0 + $1.count }
    for shard in 0..<3 {
      switch world.activities[shard] {
      case .took, .published: tables += 1
      case .none, .tookMap, .looked, .lookedFirst, .pushed: break
      }
      for case .push in world.orders[shard] { tables += 1 }
    }
    return tables == 1 ? nil : .oneTable
  }

  /// Whether a world from which no step leads on is as it should be.
  func isFinished(_ world: HandOverWorld) -> Bool {
    world.move == HandOverWorld.moves.count && world.board.owner == 0
      && world.held == [world.lastWrite, nil, nil]
      && zip(world.clients, HandOverWorld.scripts).allSatisfy { $0.next == $1.count }
  }
}
