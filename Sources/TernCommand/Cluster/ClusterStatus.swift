internal import RESP

/// What `CLUSTER REBALANCE STATUS` says.
struct ClusterStatus: Equatable {
  /// The job that is on its way, else the one that ended last.
  struct Job: Equatable {
    /// Its name.
    var id = ""
    /// `resize`, `rebalance` or `move`.
    var operation = ""
    /// `handover` or `incremental`.
    var mode = ""
    /// `opening`, `moving`, `saving`, `paused`, `success` …
    var state = ""
    /// How much is done, from 0 to 100.
    var percent = 0.0
    /// Slots that have moved.
    var slotsDone = 0
    /// Slots that are to move.
    var slotsTotal = 0
    /// Keys that have gone along.
    var keys = 0
    /// Their bytes.
    var byteCount = 0
    /// Slots a second.
    var rate = 0
    /// Milliseconds; nil if that cannot be told.
    var timeLeft: Int?
    /// Microseconds since it was begun, or that it took.
    var duration = 0
    /// The longest time in which a slot was held by nobody, in microseconds.
    var longestPause = 0
    /// What the server has to say of it.
    var message = ""

    /// Whether it is not on its way any more.
    var isEnded: Bool { ["success", "cancelled", "failed"].contains(state) }
  }

  /// A shard.
  struct Shard: Equatable {
    /// Counts from 1.
    var number = 0
    /// 40 hexadecimal digits.
    var id = ""
    /// `host:port`
    var address = ""
    /// `available`, `modifying`, `creating` or `deleting`.
    var status = ""
    /// How many slots it owns.
    var slots = 0
    /// How many keys it holds.
    var keys = 0
    /// Bytes that they take.
    var memory = 0
    /// Commands a second.
    var operations = 0

    /// As much of the id as tells shards apart.
    var shortID: String { String(id.prefix(ShardName.shownCount)) }
  }

  /// The job; nil if there never was one.
  var job: Job?
  /// Slots a second at most; 0 = as fast as can be.
  var speed = 0
  /// Since when the topology is not on disk, in milliseconds since 1970; 0 = it is.
  var unsavedSince = 0
  /// Why it is not.
  var unsavedReason = ""
  /// By number; those that come and those that go are among them.
  var shards: [Shard] = []

  /// Asks a server.
  static func ask(_ client: inout ClusterClient) throws(ClusterFailure) -> ClusterStatus {
    let reply = try client.ask(["CLUSTER", "REBALANCE", "STATUS"])
    guard let status = ClusterStatus(reply) else {
      throw .refused(
        "the server's status is not understood: is its version another than this tool's?")
    }
    return status
  }

  /// What a reply says; nil if it is no status.
  init?(_ reply: Reply) {
    guard let shards = reply["shards"]?.elements else { return nil }
    self.shards = shards.map(Shard.init)
    speed = reply["speed"]?.integer ?? 0
    unsavedSince = reply["topology-unsaved-since"]?.integer ?? 0
    unsavedReason = reply["topology-unsaved-reason"]?.text ?? ""
    let job = Job(reply)
    if !job.id.isEmpty { self.job = job }
  }

  /// Nothing is known yet.
  init() {}
}

extension ClusterStatus.Job {
  fileprivate init(_ reply: Reply) {
    id = reply["job"]?.text ?? ""
    operation = reply["operation"]?.text ?? ""
    mode = reply["mode"]?.text ?? ""
    state = reply["state"]?.text ?? ""
    percent = reply["percent"]?.text.flatMap { Double($0) } ?? 0
    slotsDone = reply["slots-done"]?.integer ?? 0
    slotsTotal = reply["slots-total"]?.integer ?? 0
    keys = reply["keys-done"]?.integer ?? 0
    byteCount = reply["bytes-done"]?.integer ?? 0
    rate = reply["slots-per-second"]?.integer ?? 0
    timeLeft = reply["time-left-ms"]?.integer.flatMap { $0 < 0 ? nil : $0 }
    duration = reply["duration-usec"]?.integer ?? 0
    longestPause = reply["longest-pause-usec"]?.integer ?? 0
    message = reply["message"]?.text ?? ""
  }
}

extension ClusterStatus.Shard {
  fileprivate init(_ reply: Reply) {
    number = reply["shard"]?.integer ?? 0
    id = reply["id"]?.text ?? ""
    address = reply["address"]?.text ?? ""
    status = reply["status"]?.text ?? ""
    slots = reply["slots"]?.integer ?? 0
    keys = reply["keys"]?.integer ?? 0
    memory = reply["memory-bytes"]?.integer ?? 0
    operations = reply["ops-per-second"]?.integer ?? 0
  }

  /// Host and port of its address; nil if that is none.
  var endpoint: (host: String, port: UInt16)? {
    guard let colon = address.lastIndex(of: ":"),
      let port = UInt16(address[address.index(after: colon)...])
    else { return nil }
    var host = address[..<colon]
    if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
    return (String(host), port)
  }
}
