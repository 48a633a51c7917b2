/// A job's progress in a line.
enum ProgressBar {
  /// How many characters the bar itself has.
  static let width = 20

  /// `[########............]  41.0 %`
  static func bar(percent: Double) -> String {
    let share = min(max(percent.isFinite ? percent : 0, 0), 100)
    let filled = Int(share * Double(width) / 100)
    let number = Quantity.tenths(share)
    return "[" + String(repeating: "#", count: filled)
      + String(repeating: ".", count: width - filled) + "] "
      + String(repeating: " ", count: max(0, 5 - number.count)) + number + " %"
  }

  /// The bar, then slots, keys, bytes, rate and time left: within 100 columns.
  static func line(_ job: ClusterStatus.Job) -> String {
    var parts = [
      "\(job.slotsDone)/\(job.slotsTotal) slots", "\(Quantity.short(job.keys)) keys",
      Quantity.bytes(job.byteCount), "\(Quantity.short(job.rate)) slots/s",
    ]
    if job.state == "moving" || job.state == "saving" {
      if let left = job.timeLeft {
        parts.append(Quantity.duration(microseconds: left * 1000) + " left")
      }
    } else {
      parts.append(job.state)
    }
    return "\(job.operation) \(bar(percent: job.percent))  " + parts.joined(separator: ", ")
  }
}
