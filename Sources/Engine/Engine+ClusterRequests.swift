internal import RESP
internal import Sharding
internal import Storage

// Changes of who owns which slot (`ClusterRequest`): how one begins here, and how its client is answered.

extension Engine {
  /// Changes that one EXEC may ask for: redis-cli's repair asks for four.
  static let clusterRequestLimit = 64

  /// Sends changes on their way to the authority; the client waits, and nothing of it runs meanwhile.
  ///
  /// In EXEC the others of its queue are run first: `answer` is written in the place of the command, all changes of the queue go as one
  /// request, and the whole reply is held until they are made. If they are refused the connection is closed instead: what was written
  /// would not be true.
  mutating func park(for request: ClusterRequest, answer: String = "OK") {
    park(forAll: [request], answer: answer)
  }

  /// The same of several changes at once.
  mutating func park(forAll requests: [ClusterRequest], answer: String = "OK") {
    if isInTransaction, let transaction = sessions[current].transaction {
      if transaction.clusterRequests.count + requests.count > Self.clusterRequestLimit {
        return fail("ERR Too many changes of the cluster in one transaction")
      }
      transaction.clusterRequests += requests
      return reply.append(text: "+\(answer)\r\n")
    }
    sessions[current].mode.insert(.parked)
    ask(requests, for: current)
  }

  /// Puts changes among those that the server takes to the authority.
  mutating func ask(_ requests: [ClusterRequest], for index: Int32) {
    clusterRequests.append(
      PendingClusterRequest(
        client: ClientID(index: index), clientNumber: sessions[index].id, requests: requests))
  }

  /// The changes that were asked for here since the last call, for the authority.
  public mutating func takeClusterRequests() -> [PendingClusterRequest] {
    clusterRequests.takeAll()
  }

  /// The authority has answered a client: so is the client, and what it sent meanwhile is run.
  mutating func complete(_ pending: PendingClusterRequest) {
    let index = pending.client.index
    // The client may be gone, and another one in its place.
    guard sessions.contains(index), sessions[index].id == pending.clientNumber,
      sessions[index].mode.contains(.parked)
    else { return }
    if current >= 0 || isStopped {
      clusterAnswersWhileBusy.append(pending)
      return
    }
    if let transaction = sessions[index].transaction, transaction.controlsUnderWay > 0 {
      if case .refused(let reason) = pending.outcome {
        logLines.append("EXEC of client \(pending.clientNumber) could not be kept: \(reason)")
        abandon(index)
      }
      return releaseReplies(of: index)
    }
    sessions[index].mode.remove(.parked)
    beginAnswer(to: index)
    switch pending.outcome {
    case .done: reply.ok()
    case .epoch(let epoch): reply.append(text: "+BUMPED \(epoch.number)\r\n")
    case .reply(let tree): write(tree)
    case .refused(let reason): fail(text: reason)
    }
    endAnswer(to: index)
    goOn(index)
  }

  /// Answers what the authority and other servers have answered while requests were run. Called once a turn.
  mutating func finishAnswers() {
    for pending in clusterAnswersWhileBusy.takeAll() { complete(pending) }
    finishMigrations()
  }

  /// One of the changes that an EXEC has asked for is in force; with the last of them its reply may leave.
  mutating func releaseReplies(of index: Int32) {
    guard let transaction = sessions[index].transaction else { return }
    transaction.controlsUnderWay -= 1
    if transaction.controlsUnderWay > 0 { return }
    sessions[index].transaction = nil
    sessions[index].wish.remove(.held)
    sessions[index].mode.remove(.parked)
    goOn(index)
  }
}
