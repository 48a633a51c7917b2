internal import ArgumentParser
internal import Server

// What steers jobs that are on their way: a word to the server, and a line that says what that means.

/// `tern cluster cancel`: all jobs end where they are.
struct Cancel: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Call off all jobs; slots that have moved stay moved.",
    discussion: """
      No slot is left half moved. Shards that a resize had added stay.

      EXAMPLES
        tern cluster cancel
        tern cluster cancel && tern cluster rebalance   make shares equal again
      """)

  @OptionGroup var cluster: ClusterOptions

  func run() throws {
    try cluster.steer(["CANCEL"], "cancelled", "jobs are being called off")
  }
}

/// `tern cluster pause`: no more slots are moved for now.
struct Pause: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Have jobs wait, until 'tern cluster resume'.",
    discussion: """
      The hand-over on its way is finished, no other begins. Jobs that are asked for \
      meanwhile wait too.

      EXAMPLES
        tern cluster pause
      """)

  @OptionGroup var cluster: ClusterOptions

  func run() throws {
    try cluster.steer(["PAUSE"], "paused", "jobs wait until 'tern cluster resume'")
  }
}

/// `tern cluster resume`: jobs go on.
struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Have jobs go on after 'tern cluster pause'.",
    discussion: """
      EXAMPLES
        tern cluster resume
      """)

  @OptionGroup var cluster: ClusterOptions

  func run() throws { try cluster.steer(["RESUME"], "resumed", "jobs go on") }
}

/// `tern cluster speed`: how fast slots may move.
struct Speed: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Limit how many slots move in a second; 0 = as fast as can be.",
    discussion: """
      Holds for jobs on their way and for later ones.

      EXAMPLES
        tern cluster speed 500
        tern cluster speed 0
      """)

  @Argument(help: "Slots a second.")
  var slots: Int

  @OptionGroup var cluster: ClusterOptions

  func validate() throws {
    guard (0...Int(Int32.max)).contains(slots) else {
      throw ValidationError("The speed is 0 or more slots a second.")
    }
  }

  func run() throws {
    let meaning =
      slots == 0
      ? "slots move as fast as can be" : "at most \(Quantity.counted(slots, "slot")) a second"
    try cluster.steer(["SPEED", "\(slots)"], "set", meaning)
  }
}

extension ClusterOptions {
  /// Says a word to the rebalancer, then what that means.
  func steer(_ words: [String], _ outcome: String, _ meaning: String) throws(ClusterFailure) {
    var client = try connect()
    _ = try client.ask(["CLUSTER", "REBALANCE"] + words)
    let text = json ? JSON.object([.init("outcome", .text(outcome))]).pretty : meaning
    Standard.write(text + "\n", to: 1)
  }
}
