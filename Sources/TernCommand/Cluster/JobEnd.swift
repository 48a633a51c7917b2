internal import RESP

/// How a job has ended, as an event tells it.
struct JobEnd: Equatable {
  /// What the end was.
  enum Outcome: String, Equatable {
    case success, cancelled, failed
  }

  /// The job's name.
  let job: String
  /// `resize`, `rebalance` or `move`.
  let operation: String
  /// `handover` or `incremental`.
  let mode: String
  /// What the end was.
  let outcome: Outcome
  /// Why it failed; else empty.
  let reason: String
  /// What else there is to say, as that the topology could not be saved; else empty.
  let note: String
  /// Slots that have moved.
  let slots: Int
  /// Slots that were to.
  let slotsTotal: Int
  /// Keys that went along.
  let keys: Int
  /// Their bytes.
  let byteCount: Int
  /// How many flips it took.
  let flips: Int
  /// Microseconds.
  let duration: Int
  /// Nanoseconds.
  let longestPause: Int

  /// What an event says; nil if it tells no job's end.
  init?(_ event: Reply) {
    switch event["event"]?.text {
    case "migration-finished": outcome = .success
    case "migration-cancelled": outcome = .cancelled
    case "migration-failed": outcome = .failed
    default: return nil
    }
    func number(_ name: String) -> Int { event[name]?.integer ?? 0 }
    job = event["job"]?.text ?? ""
    operation = event["operation"]?.text ?? ""
    mode = event["mode"]?.text ?? ""
    reason = event["reason"]?.text ?? ""
    note = event["note"]?.text ?? ""
    (slots, slotsTotal) = (number("slots"), number("slots-total"))
    (keys, byteCount) = (number("keys"), number("bytes"))
    (flips, duration) = (number("flips"), number("duration-usec"))
    longestPause = number("longest-pause-nsec")
  }

  /// In one sentence, without a full stop.
  var summary: String {
    switch outcome {
    case .success:
      (slotsTotal == 0
        ? "\(operation) done in \(took): no slot had to move"
        : "\(operation) done in \(took): \(moved), longest pause \(pause)")
        + (note.isEmpty ? "" : "; \(note)")
    case .cancelled:
      "\(operation) cancelled after \(took): \(moved) of \(Quantity.count(slotsTotal)), which stay moved"
    case .failed:
      "\(operation) failed after \(took): \(reason); \(moved) of \(Quantity.count(slotsTotal)), which stay moved"
    }
  }

  private var took: String { Quantity.duration(microseconds: duration) }
  private var pause: String { Quantity.duration(microseconds: (longestPause + 999) / 1000) }

  private var moved: String {
    outcome == .success
      ? "\(Quantity.counted(slots, "slot")), \(Quantity.counted(keys, "key")), \(Quantity.bytes(byteCount))"
      : Quantity.counted(slots, "slot")
  }

  /// For `--json`.
  var json: JSON {
    .object([
      .init("job", .text(job)), .init("operation", .text(operation)), .init("mode", .text(mode)),
      .init("outcome", .text(outcome.rawValue)), .init("reason", .text(reason)),
      .init("note", .text(note)),
      .init("slots", .integer(slots)), .init("slots_total", .integer(slotsTotal)),
      .init("keys", .integer(keys)), .init("bytes", .integer(byteCount)),
      .init("flips", .integer(flips)), .init("duration_usec", .integer(duration)),
      .init("longest_pause_nsec", .integer(longestPause)),
    ])
  }
}
