// What an entry's access clock says: 24 bits of its header, by one of two rules.
//
//   recency    seconds of the last use, modulo 2^24
//   frequency  [23..8 time of the last use, in sixteenths of a minute, modulo 2^16][7..0 logarithmic counter of uses]
//
// Counters decay by minutes; the finer time tells apart what was used equally often, which most keys of a cache are. It goes
// round after 68 hours: a key that nobody asked for in so long looks, for as long as its counter takes to decay, as if it were wanted.
//
// A command says which one by the clock that it brings: with `AccessClock.countsUse` set it is a fresh frequency (the
// time of now and the counter of a new key), and such a clock equals no entry's. So a read costs one comparison
// under either rule: equal, and nothing is to do.

/// The rules of access clocks.
public enum AccessClock {
  /// The counter of a new key: it must not be the next to go.
  public static var initialCount: UInt32 { 5 }
  /// Set in a clock that counts uses.
  static var countsUse: UInt32 { 1 << 31 }

  /// The clock of that second.
  public static func recency(seconds: Int64) -> UInt32 {
    UInt32(truncatingIfNeeded: seconds) & Entry.clockLimit
  }

  /// The clock of a new key in that second, for commands under a policy that counts uses.
  public static func frequency(seconds: Int64) -> UInt32 {
    countsUse | frequency(seconds: seconds, count: initialCount)
  }

  /// An entry's clock with that counter.
  public static func frequency(seconds: Int64, count: UInt32) -> UInt32 {
    UInt32(truncatingIfNeeded: (seconds / 15 * 4 + seconds % 15 * 4 / 15) & 0xffff) &<< 8
      | (count & 0xff)
  }

  /// Seconds since the last use. What lies ahead by less than an hour was written a moment ago, by a clock that was set back;
  /// beyond, the clock has gone round.
  public static func idleSeconds(_ then: UInt32, at now: UInt32) -> UInt32 {
    let most = Entry.clockLimit
    if then > now { return then - now < 3600 ? 0 : now + most - then }
    return now - then
  }
}

/// How uses are counted: a counter of 8 bits that grows ever more seldom, and loses one in every so many minutes without use.
public struct FrequencyRule: Sendable {
  /// How seldom: 10 is 255 after a million uses.
  public var logFactor = 10
  /// Minutes without use that cost one; 0 = none.
  public var decayMinutes = 1
  /// Decides whether a use counts.
  var draw: Draw

  /// The usual rule.
  public init(seed: UInt64) { draw = Draw(seed: seed) }

  /// The counter of an entry's clock at a moment, a clock too.
  func count(_ clock: UInt32, at now: UInt32) -> UInt32 {
    let count = clock & 0xff
    guard decayMinutes > 0 else { return count }
    let minutes = FrequencyRule.periods(from: clock, to: now) / FrequencyRule.periodsPerMinute
    let lost = minutes / UInt32(clamping: decayMinutes)
    return lost > count ? 0 : count - lost
  }

  /// The steps of a frequency's time.
  static var periodsPerMinute: UInt32 { 16 }

  /// Steps between two clocks.
  static func periods(from then: UInt32, to now: UInt32) -> UInt32 {
    ((now &>> 8) &- (then &>> 8)) & 0xffff
  }

  /// The clock after a use.
  mutating func used(_ clock: UInt32, at now: UInt32) -> UInt32 {
    var count = count(clock, at: now)
    if count < 255 {
      let above = count > AccessClock.initialCount ? Int(count - AccessClock.initialCount) : 0
      // One in (above × factor + 1) uses counts.
      if draw.below(above * max(0, logFactor) + 1) == 0 { count += 1 }
    }
    return now & 0xff_ff00 | count
  }
}

extension Keyspace {
  /// How uses are counted.
  public var frequencyRule: FrequencyRule {
    get { state.pointee.frequency }
    set { state.pointee.frequency = newValue }
  }

  /// The access clock, 24 bits.
  public func accessClock(of ref: EntryRef) -> UInt32 { ref.entry.clock }

  /// The counter of uses, as it has decayed until `clock`.
  public func useCount(of ref: EntryRef, at clock: UInt32) -> UInt32 {
    state.pointee.frequency.count(ref.entry.clock, at: clock)
  }

  /// An entry was used at that clock; written only where that changes it. The clock `UInt32.max` leaves it as it is.
  @inline(__always)
  public mutating func touch(_ ref: EntryRef, _ clock: UInt32) {
    if ref.entry.clock != clock { advance(ref.entry, clock) }
  }

  @inline(never)
  private func advance(_ entry: Entry, _ clock: UInt32) {
    if clock != .max { entry.clock = self.clock(clock, after: entry) }
  }

  /// The clock of an entry that takes the place of `old` by a command that brought `clock`.
  @inline(__always)
  func clock(_ clock: UInt32, after old: Entry?) -> UInt32 {
    clock <= Entry.clockLimit ? clock : counted(clock, after: old)
  }

  @inline(never)
  private func counted(_ clock: UInt32, after old: Entry?) -> UInt32 {
    guard let old else { return clock & Entry.clockLimit }
    return state.pointee.frequency.used(old.clock, at: clock & Entry.clockLimit)
  }

  /// Sets an entry's access clock, whatever the rule.
  public mutating func setAccessClock(of ref: EntryRef, _ clock: UInt32) {
    ref.entry.clock = clock & Entry.clockLimit
  }
}
