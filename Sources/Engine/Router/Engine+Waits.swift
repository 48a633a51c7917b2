internal import RESP
internal import Storage

// What a client of the router waits for, and for how long. A command that cannot run at this moment (its slot's table is under way, its keys
// are on both sides of a slot that is moved key by key, its shard's clients are paused) is tried again, soon at first and more seldom the longer it
// lasts. Most waits end by themselves. One does not: keys of one command on two shards, while whoever moves the slot does nothing more. After
// `router-tryagain-timeout` its client is told so, as a client of the shards is told at once.
//
// What has waited and has not begun ends with its client's connection.

extension Engine {
  /// The longest pause between two tries, in milliseconds.
  private static let longestPause: Int64 = 50

  /// What is answered where keys of one command stay on two shards.
  static let keysApart = Array(
    "-TRYAGAIN Keys of this command are on two shards: their slot is being moved key by key. Try again later\r\n"
      .utf8)

  /// When a client's request that cannot run now is tried again, in Unix milliseconds.
  mutating func nextTry(of index: Int32) -> Int64 {
    let round = ownRound(of: index)
    if round.waitingSince == 0 { round.waitingSince = now }
    return now &+ min(max((now &- round.waitingSince) / 8, 1), Self.longestPause)
  }

  /// Whether a client has waited as long as it may for keys to come together. What it has sent behind a command that was given up does
  /// not wait as long again.
  mutating func givesUp(_ index: Int32) -> Bool {
    let limit = Int64(settings.routerTryAgainTimeout)
    let round = ownRound(of: index)
    let hasWaited = limit == 0 || round.waitingSince > 0 && now - round.waitingSince >= limit
    if hasWaited { round.gaveUpAt = now }
    return hasWaited || round.gaveUpAt > 0 && now - round.gaveUpAt < limit
  }

  /// A round goes on when time has passed; that of a client who has gone ends.
  mutating func makeLate(_ index: Int32, _ round: Round, until time: Int64) {
    if sessions[index].wish.contains(.ended) {
      abandon(index)
      return list(index)
    }
    router.nextLate = min(router.nextLate, time)
    if round.isListed { return }
    round.isListed = true
    router.late.append((ClientID(index: index), sessions[index].id))
  }

  /// Whether a client's round waits for time to pass.
  func isLate(_ index: Int32) -> Bool { sessions[index].round?.isListed ?? false }

  /// Goes on with rounds that wait for time to pass. Called once a turn; O(such rounds) where the time of one has come.
  mutating func finishLate() {
    if router.late.isEmpty || router.nextLate > now { return }
    router.nextLate = .max
    for one in router.late.takeAll() {
      let index = one.client.index
      guard sessions.contains(index), sessions[index].id == one.clientNumber,
        let round = sessions[index].round
      else { continue }
      if round.state.notBefore > now {
        router.nextLate = min(router.nextLate, round.state.notBefore)
        router.late.append(one)
        continue
      }
      round.isListed = false
      router.ready.append(one)
    }
  }
}
