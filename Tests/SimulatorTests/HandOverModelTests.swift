import Sharding
import Testing

/// What an exploration found.
struct Exploration {
  /// How many worlds there are, or were looked at before one was broken.
  var worldCount = 0
  /// The check that does not hold in some world.
  var broken: HandOverCheck?
  /// The shortest way there.
  var path: [String] = []

  /// Explores all worlds, the nearest first, until a check is broken.
  init(_ model: HandOverModel) {
    var worlds = [model.start]
    var cameFrom: [(world: Int, name: String)] = [(-1, "")]
    var known: Set = [model.start]
    var current = 0
    while current < worlds.count {
      let steps = model.steps(from: worlds[current])
      if steps.isEmpty && !model.isFinished(worlds[current]) {
        broken = .finished
        path = Exploration.path(to: current, cameFrom)
        break
      }
      for (name, world) in steps where known.insert(world).inserted {
        worlds.append(world)
        cameFrom.append((current, name))
        if world.broken != nil {
          broken = world.broken
          path = Exploration.path(to: worlds.count - 1, cameFrom)
          break
        }
      }
      if broken != nil { break }
      current += 1
    }
    worldCount = worlds.count
  }

  private static func path(to world: Int, _ cameFrom: [(world: Int, name: String)]) -> [String] {
    var path: [String] = []
    var world = world
    while cameFrom[world].world >= 0 {
      path.append(cameFrom[world].name)
      world = cameFrom[world].world
    }
    return path.reversed()
  }
}

@Suite struct HandOverModelTests {
  /// No loop, no two owners, no lost table or write, in whatever order things happen.
  @Test func handOverHoldsInEveryWorld() {
    let exploration = Exploration(HandOverModel(mutation: nil))
    #expect(exploration.broken == nil, "\(exploration.path.joined(separator: "\n"))")
    // A model that stands still holds, too.
    #expect(exploration.worldCount > 10_000)
    print("hand-over: \(exploration.worldCount) worlds")
  }

  /// Each rule is needed: without it the exploration finds the check named here.
  @Test(arguments: [
    (HandOverMutation.mapConfersOwnership, HandOverCheck.twoOwners),
    (.copyInsteadOfMove, .oneTable),
    (.mergeOnAdopt, .lastWrite),
    (.importingUntilTold, .movedToOwner),
    (.copyOfTheMap, .movedToOwner),
    (.noSecondLook, .movedToOwner),
    (.lookWithoutDeciding, .movedToSelf),
    (.mapAfterLook, .movedToOwner),
    (.mapNotComparedAgain, .movedToOwner),
    (.answerBeforePush, .movedToOwner),
    (.answerBeforePublish, .movedToOwner),
    (.publishBeforePush, .movedToOwner),
    (.flipWithoutEpoch, .epoch),
    (.nextFlipWithoutAdoption, .sourceHolds),
    (.nextFlipWithoutPublication, .epoch),
  ])
  func everyMutationIsFound(_ mutation: HandOverMutation, by check: HandOverCheck) {
    let exploration = Exploration(HandOverModel(mutation: mutation))
    #expect(exploration.broken == check, "\(exploration.path.joined(separator: "\n"))")
    print(
      "\(mutation): \(exploration.broken.map { "\($0)" } ?? "not found"),",
      "\(exploration.path.count) steps, \(exploration.worldCount) worlds")
  }

  /// The list of the test above is whole.
  @Test func allMutationsAreTried() { #expect(HandOverMutation.allCases.count == 15) }
}
