/// Numbers as people read them.
enum Quantity {
  /// `1,234,567`
  static func count(_ number: Int) -> String {
    var digits = Array("\(number.magnitude)")
    var place = digits.count - 3
    while place > 0 {
      digits.insert(",", at: place)
      place -= 3
    }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// `999`, `1.2k`, `34.5M`: three digits and a letter.
  static func short(_ number: Int) -> String {
    scaled(Double(number), by: 1000, ["", "k", "M", "G", "T"])
  }

  /// `512 B`, `1.5 KiB`, `2.0 GiB`
  static func bytes(_ number: Int) -> String {
    scaled(Double(number), by: 1024, [" B", " KiB", " MiB", " GiB", " TiB"])
  }

  /// `85 µs`, `21.4 ms`, `3.2 s`, `2 min 5 s`, `1 h 40 min`
  static func duration(microseconds: Int) -> String {
    let seconds = microseconds / 1_000_000
    return switch microseconds {
    case ..<1000: "\(microseconds) µs"
    case ..<1_000_000: "\(tenths(Double(microseconds) / 1e3)) ms"
    case ..<60_000_000: "\(tenths(Double(microseconds) / 1e6)) s"
    case ..<3_600_000_000: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
  }

  /// With one decimal.
  static func tenths(_ number: Double) -> String {
    let tenths = (number * 10).rounded()
    guard tenths.magnitude < 1e15 else { return "?" }
    let whole = Int(tenths)
    return "\(whole < 0 ? "-" : "")\(whole.magnitude / 10).\(whole.magnitude % 10)"
  }

  /// `1 slot`, `2 slots`
  static func counted(_ number: Int, _ noun: String) -> String {
    "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
  }

  private static func scaled(_ number: Double, by step: Double, _ units: [String]) -> String {
    var (left, unit) = (number, 0)
    // From 999.95 on, one decimal would show four digits.
    while left >= (unit == 0 ? step : step - 0.05), unit < units.count - 1 {
      left /= step
      unit += 1
    }
    return (unit == 0 ? "\(Int(left))" : tenths(left)) + units[unit]
  }
}
