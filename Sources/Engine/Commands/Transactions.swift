internal import RESP
internal import Storage

// MULTI, EXEC, DISCARD, WATCH, UNWATCH.

extension Engine {
  /// MULTI: what follows is queued.
  mutating func multi(_ call: Call) -> Effect {
    if sessions[current].mode.contains(.multi) {
      return failing("ERR MULTI calls can not be nested")
    }
    _ = transactionOfCurrent()
    sessions[current].mode.insert(.multi)
    reply.ok()
    return .none
  }

  /// DISCARD: the queue is forgotten, and what was watched.
  mutating func discard(_ call: Call) -> Effect {
    if !sessions[current].mode.contains(.multi) { return failing("ERR DISCARD without MULTI") }
    discard(current)
    reply.ok()
    return .none
  }

  /// WATCH key [key …]: EXEC does nothing if one of them changes before it.
  mutating func watch(_ call: Call) -> Effect {
    if sessions[current].mode.contains(.multi) {
      return failing("ERR WATCH inside MULTI is not allowed")
    }
    let transaction = transactionOfCurrent()
    for i in 1..<call.count {
      if transaction.isConflicted { break }
      let hash = i == 1 ? call.hash : KeyHash(call[i], seed: hashSeed)
      watch(call.slot, hash, call[i], in: transaction)
    }
    if transaction.byteCount > settings.clientQueryBufferLimit {
      abandon(current)
      return .none
    }
    reply.ok()
    return .none
  }

  /// UNWATCH: whatever has happened to watched keys is forgiven.
  mutating func unwatch(_ call: Call) -> Effect {
    unwatch(current)
    sessions[current].transaction?.isConflicted = false
    if !sessions[current].mode.contains(.multi) { sessions[current].transaction = nil }
    reply.ok()
    return .none
  }

  /// EXEC: runs the queue, one command after the other with nothing between them, and answers an array of their replies. Its slot was
  /// looked at before (`admitsInMulti`).
  mutating func exec(_ call: Call) -> Effect {
    guard sessions[current].mode.contains(.multi), let transaction = sessions[current].transaction
    else { return failing("ERR EXEC without MULTI") }
    // A watched key whose time is up has changed, whether or not anyone has looked at it since.
    for watched in transaction.watched where !transaction.isConflicted {
      _ = live(Int(watched.slot), watched.hash, watched.key.rawBytes)
    }
    if transaction.isAborted {
      discard(current)
      return failing("EXECABORT Transaction discarded because of previous errors.")
    }
    if transaction.isConflicted {
      discard(current)
      reply.nullArray(reply.version)
      return .none
    }
    unwatch(current)
    var queue = CommandQueue()
    swap(&queue, &transaction.queue)
    isInTransaction = true
    reply.arrayHeader(queue.requests.count)
    // All its keys are in one slot, which may be one that is being imported.
    let table =
      queue.slot < 0 || queue.isCrossSlot
      ? -1 : self.table(of: queue.slot, at: sessions[current].shard) ?? queue.slot
    for i in queue.requests.indices {
      if i % 16 == 0, table >= 0 { prefetch(queue, from: i, in: table) }
      run(queue, i, in: table)
    }
    isInTransaction = false
    // The array is no error, whatever is in it.
    hasFailed = false
    discard(current)
    if !transaction.controls.isEmpty || !transaction.clusterRequests.isEmpty { hold(transaction) }
    return .none
  }

  /// Asks for what the next commands of a queue will need.
  private func prefetch(_ queue: borrowing CommandQueue, from first: Int, in table: Int) {
    let end = min(first + 16, queue.requests.count)
    for i in first..<end where queue.requests[i].slot >= 0 {
      keyspace.prefetchBucket(table, queue.requests[i].hash)
    }
    for i in first..<end where queue.requests[i].slot >= 0 {
      keyspace.prefetchEntry(table, queue.requests[i].hash)
    }
  }

  /// One command of a queue, from handler to statistics.
  private mutating func run(_ queue: borrowing CommandQueue, _ index: Int, in table: Int) {
    let request = queue.requests[index]
    // Without a table the slots are several of one shard, and none of them open.
    let call = Call(
      queue.arguments(of: index), id: request.id,
      slot: request.slot < 0 || table < 0 ? Int(request.slot) : table,
      hash: request.hash)
    if request.bulkCount > 0 { large = queue.large(of: index) }
    runAdmitted(call, byteCount: Int(request.byteCount))
    if request.bulkCount > 0 { large = [] }
  }

  /// A command off the way of ordinary ones, from handler to statistics: one of a queue, or one in an open table.
  mutating func runAdmitted(_ call: Call, byteCount: Int) {
    let before = reply.queue.byteCount
    let command = Int(call.id.rawValue)
    hasFailed = false
    _ = listeners == 0 ? dispatch(call) : heard(call)
    statistics.commands[command].calls &+= 1
    if hasFailed { statistics.commands[command].failed &+= 1 }
    statistics.commandCount &+= 1
    let time = clock.nanoseconds()
    let spent = time &- lastNanoseconds
    lastNanoseconds = time
    statistics.commands[command].nanoseconds &+= spent
    latencies.record(spent, row: call.id.rawValue | untrackedLatency)
    var cost = spent
    if spent >= slowTime {
      note(call, spent)
      if spent >= Self.longTime { cost = self.cost(ofLong: spent) }
    }
    if call.slot >= 0 {
      keyspace.charge(
        call.slot, cpu: cost, bytesIn: UInt64(truncatingIfNeeded: byteCount),
        bytesOut: UInt64(truncatingIfNeeded: reply.queue.byteCount &- before))
    }
  }

  /// EXEC's commands have changed the whole process: the client waits until that is in force everywhere, and so does its reply.
  private mutating func hold(_ transaction: Transaction) {
    sessions[current].transaction = transaction
    sessions[current].mode.insert(.parked)
    sessions[current].wish.insert(.held)
    transaction.controlsUnderWay = transaction.controls.count
    for control in transaction.controls {
      controlRequests.append(
        PendingControl(
          client: ClientID(index: current), clientNumber: sessions[current].id, request: control))
    }
    transaction.controls = []
    if !transaction.clusterRequests.isEmpty {
      transaction.controlsUnderWay += 1
      ask(transaction.clusterRequests, for: current)
      transaction.clusterRequests = []
    }
    transaction.forgottenSlots = []
  }

  /// The session's transaction, a new one if it has none.
  private mutating func transactionOfCurrent() -> Transaction {
    if let transaction = sessions[current].transaction { return transaction }
    let transaction = Transaction()
    sessions[current].transaction = transaction
    return transaction
  }
}
