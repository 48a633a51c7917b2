import Sharding
import Testing

/// Plays the shards, the disk and the clients to a rebalancer, and holds every action against what
/// must be true. What it checks:
///
/// - a slot that has an owner in the map has exactly one, the one whose tables it were pushed to;
/// - each map's epoch is above the last one's, and so is the target's of a flip;
/// - one flip is on its way at most, its slots are the source's when it begins and when it is released;
/// - a shard that leaves owns nothing, no (number, generation) and no node id comes twice;
/// - a job that was accepted ends exactly once, and when it ends well a file with all it did is on
///   disk.
struct RebalancerRig {
  var rebalancer: Rebalancer
  var now: Int64 = 1_700_000_000_000_000

  /// Who holds the table of each slot.
  var holders: [ShardID?]
  /// The epoch of the map published last.
  var epoch: ConfigEpoch
  var open: Set<ShardID>
  var seen: Set<ShardID>
  var retired: Set<ShardID> = []
  /// Ports that may be closed if nobody is connected, and shards that somebody is connected to.
  var askedToClose: Set<ShardID> = []
  var connected: Set<ShardID> = []
  var running: Set<JobID> = []
  var outcomes: [JobID: JobOutcome] = [:]
  var rejections: [String] = []
  var accepted: [JobID] = []
  var events: [ClusterEvent] = []
  /// What the disk has, and what is being written.
  var disk: Topology
  var writing: Topology?

  // What shards have been asked and not answered yet.
  var opening: [ShardID] = []
  var preparing: Rebalancer.Flip?
  var migrating: Rebalancer.Flip?
  var handingOver: (flip: Rebalancer.Flip, map: ClusterMap)?
  var adopting: Rebalancer.Flip?
  var flips: [Rebalancer.Flip] = []

  private var nameCount = 10_000
  private var publishedCount = 0
  /// The flip whose map is being published.
  private var handedOver: Rebalancer.Flip?

  init(shards: Int, owners: SlotOwners? = nil) {
    let map = ClusterMap.uniform(
      epoch: ConfigEpoch(1), shards: (1...shards).map { .test($0) })
    let topology = Topology(
      hashSeed: HashSeed(1, 2), epoch: map.epoch, lastGeneration: 1, shards: map.shards,
      owners: owners ?? map.owners)
    self.init(topology)
  }

  init(_ topology: Topology) {
    rebalancer = Rebalancer(topology: topology, now: now)
    holders = (0..<HashSlot.count).map { slot in
      topology.owners[HashSlot(UInt16(slot))].map { topology.shards[$0].id }
    }
    epoch = topology.epoch
    open = Set(topology.shards.map(\.id))
    seen = open
    disk = topology
  }

  var flipIsRunning: Bool {
    preparing != nil || migrating != nil || handingOver != nil || adopting != nil
  }

  /// A name that was not used before.
  mutating func name() -> NodeID {
    nameCount += 1
    return .test(nameCount)
  }

  mutating func jobID() -> JobID { JobID(name()) }

  mutating func newShards(_ count: Int) -> Rebalancer.NewShards {
    let names = (0..<max(0, count)).map { _ in name() }
    return .init(nodeIDs: names) { number in
      EndpointAddress(host: "127.0.0.1", port: 7000 + number)
    }
  }

  func share(of shard: ShardID) -> Int { holders.count { $0 == shard } }

  /// The shares of all shards in the map, by number.
  var shares: [Int] { rebalancer.topology.shards.map { share(of: $0.id) } }

  // MARK: Begins

  @discardableResult
  mutating func resize(_ shards: Int, _ mode: MigrationMode = .handOver) -> JobID {
    let id = jobID()
    send(
      .resize(
        id, shards: shards, mode: mode,
        new: newShards(rebalancer.newShardCount(for: shards))))
    return id
  }

  @discardableResult
  mutating func move(
    _ ranges: [SlotRange], to shard: Int, source: Int? = nil, _ mode: MigrationMode = .handOver
  ) -> JobID {
    let id = jobID()
    let shards = rebalancer.topology.shards
    let target = shards.first { $0.id.number == UInt16(shard) }?.nodeID ?? .test(99_999)
    send(
      .move(
        [.init(job: id, slots: ranges, target: target)],
        source: source.flatMap { number in shards.first { $0.id.number == UInt16(number) }?.id },
        mode: mode))
    return id
  }

  // MARK: In and out

  /// Tells the rebalancer something, and takes in what it wants done.
  mutating func send(_ input: Rebalancer.Input) {
    for action in rebalancer.handle(input, now: now) { take(action) }
    // Nobody is connected anywhere, unless a test says so.
    for shard in askedToClose.filter({ !connected.contains($0) }) {
      askedToClose.remove(shard)
      for action in rebalancer.handle(.portUnused(shard), now: now) { take(action) }
    }
    // The map is what was published last, or what a flip that was released will have everybody see.
    #expect(rebalancer.map.epoch == epoch)
    #expect(rebalancer.topology.epoch == epoch)
  }

  private mutating func take(_ action: Rebalancer.Action) {
    switch action {
    case .accepted(let ids):
      for id in ids {
        #expect(running.insert(id).inserted)
        accepted.append(id)
      }
    case .rejected(let text):
      #expect(!text.isEmpty)
      rejections.append(text)
    case .openShard(let shard, let takesOver):
      #expect(seen.insert(shard.id).inserted, "\(shard.id) comes twice")
      if let takesOver {
        #expect(takesOver.number == shard.id.number)
        #expect(retired.remove(takesOver) != nil)
        open.remove(takesOver)
      }
      #expect(!open.contains { $0.number == shard.id.number })
      open.insert(shard.id)
      opening.append(shard.id)
    case .retireShard(let id):
      #expect(!holders.contains(id), "a shard leaves with slots")
      #expect(retired.insert(id).inserted)
    case .mayClose(let id):
      #expect(retired.contains(id))
      askedToClose.insert(id)
    case .closeShard(let id):
      #expect(!holders.contains(id))
      #expect(rebalancer.map.index(of: id) == nil)
      retired.remove(id)
      open.remove(id)
      opening.removeAll { $0 == id }
    case .prepare(let flip):
      begin(flip)
      preparing = flip
    case .migrate(let flip):
      #expect(preparing == nil && handingOver == nil && adopting == nil)
      #expect(flip.slotCount == 1)
      migrating = flip
    case .handOver(let flip, let map):
      #expect(preparing == nil && migrating == nil && adopting == nil)
      if flip.source == nil || flip.target == nil { begin(flip) }
      checkHolders(flip)
      #expect(map.epoch > epoch)
      if let target = flip.target {
        #expect(map.index(of: target).map { map.shards[$0].epoch } == map.epoch)
      }
      handingOver = (flip, map)
    case .publish(let map):
      #expect(!flipIsRunning)
      published(map)
    case .save(let topology):
      #expect(writing == nil)
      writing = topology
      // It can be read again, but for what is a setting.
      var kept = topology
      kept.endpoints = .ip
      #expect((try? NodesFile.decode(NodesFile.encode(topology))) == kept)
    case .event(let event):
      #expect(event.id > events.last?.id ?? 0)
      events.append(event)
    case .finished(let id, let outcome):
      #expect(running.remove(id) != nil, "a job ends twice, or was never begun")
      outcomes[id] = outcome
    }
  }

  private mutating func begin(_ flip: Rebalancer.Flip) {
    #expect(!flipIsRunning, "two flips at once")
    #expect(flip.number == (flips.last?.number ?? 0) + 1)
    flips.append(flip)
    checkHolders(flip)
    #expect(flip.source.map(open.contains) ?? true)
    #expect(flip.target.map(open.contains) ?? true)
    if let target = flip.target { #expect(!opening.contains(target)) }
  }

  private func checkHolders(_ flip: Rebalancer.Flip) {
    #expect(!flip.slots.isEmpty && flip.source != flip.target)
    #expect(flip.slots.slots.allSatisfy { holders[$0.index] == flip.source })
  }

  private mutating func published(_ map: ClusterMap) {
    #expect(map.epoch > epoch)
    epoch = map.epoch
    publishedCount += 1
    // All slots are looked at now and then, and those of a flip each time.
    let changed = handedOver.map { $0.slots.slots } ?? []
    #expect(changed.allSatisfy { map.owner(of: $0) == holders[$0.index] })
    if publishedCount % 16 == 0 || handedOver == nil { checkAll(map) }
    handedOver = nil
  }

  /// The map points to those who hold something, and to nobody else.
  func checkAll(_ map: ClusterMap) {
    var wrong = 0
    for (slot, holder) in holders.enumerated() {
      if map.owner(of: HashSlot(UInt16(slot))) != holder { wrong += 1 }
    }
    #expect(wrong == 0, "the map points to somebody who has nothing")
    #expect(map.shards.allSatisfy { open.contains($0.id) })
  }

  // MARK: What shards and disks do

  /// The next thing that is waited for happens. False if nothing is.
  mutating func happen() -> Bool {
    if let shard = opening.first {
      opening.removeFirst()
      send(.shardOpened(shard))
    } else if let flip = preparing {
      preparing = nil
      send(.ready(flip: flip.number))
    } else if let flip = migrating {
      migrating = nil
      send(.progress(flip: flip.number, keys: 10, bytes: 1000, done: true))
    } else if handingOver != nil {
      release()
    } else if adopting != nil {
      adopt()
    } else if writing != nil {
      save()
    } else {
      return false
    }
    return true
  }

  mutating func release() {
    guard let (flip, map) = handingOver else { return }
    handingOver = nil
    for slot in flip.slots.slots { holders[slot.index] = flip.target }
    handedOver = flip
    published(map)
    adopting = flip.target == nil ? nil : flip
    send(.released(flip: flip.number))
  }

  mutating func adopt() {
    guard let flip = adopting else { return }
    adopting = nil
    send(.adopted(flip: flip.number, keys: 5, bytes: 500, pause: 700))
  }

  /// The source lets go and the target adopts, and the target's word comes first, before the source has published.
  mutating func overtake(_ flip: Rebalancer.Flip, _ map: ClusterMap) {
    handingOver = nil
    for slot in flip.slots.slots { holders[slot.index] = flip.target }
    handedOver = flip
    send(.adopted(flip: flip.number, keys: 5, bytes: 500, pause: 700))
    published(map)
    send(.released(flip: flip.number))
  }

  mutating func refuse(_ refusal: Rebalancer.FlipRefusal) {
    guard let flip = preparing ?? migrating ?? handingOver?.flip else { return }
    preparing = nil
    migrating = nil
    handingOver = nil
    send(.refused(flip: flip.number, refusal))
  }

  mutating func save() {
    disk = writing ?? disk
    writing = nil
    send(.saved)
  }

  mutating func failToSave() {
    writing = nil
    send(.saveFailed(reason: "no space left on device"))
  }

  /// Time passes until something is due. False if nothing ever is.
  mutating func wait() -> Bool {
    guard let deadline = rebalancer.nextDeadline else { return false }
    now = max(now + 1, deadline)
    send(.tick)
    return true
  }

  /// Everything that is waited for happens, and time passes, until no job is left. A running job
  /// that never ends is an error.
  mutating func run(limit: Int = 200_000) {
    for _ in 0..<limit {
      if happen() { continue }
      if running.isEmpty { return }
      guard wait() else { break }
    }
    Issue.record("jobs do not end: \(running)")
  }
}

extension [SlotRange] {
  /// The slots of these ranges, one by one.
  fileprivate var slots: [HashSlot] {
    flatMap { ($0.first.number...$0.last.number).map { HashSlot($0) } }
  }
}

/// The range from `first` to `last`.
func slots(_ first: UInt16, _ last: UInt16) -> SlotRange {
  SlotRange(HashSlot(first), HashSlot(last))
}
