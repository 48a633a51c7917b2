/// The classes of keyspace events (`notify-keyspace-events`), and the two kinds of channels that they go to.
public struct KeyspaceEvents: OptionSet, Sendable {
  /// The set as bits, in the order of `letters`.
  public let rawValue: UInt16

  /// A set from its bits.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The letters of the classes, by bit: first those that `A` stands for, then the others.
  private static let letters = Array("g$lshzxetdnKEm")

  /// Commands over keys of any type.
  public static let generic = KeyspaceEvents(rawValue: 1 << 0)
  /// Commands on strings.
  public static let string = KeyspaceEvents(rawValue: 1 << 1)
  /// Keys whose time is up.
  public static let expired = KeyspaceEvents(rawValue: 1 << 6)
  /// Keys that had to go for want of memory.
  public static let evicted = KeyspaceEvents(rawValue: 1 << 7)
  /// Keys that were not there before.
  public static let new = KeyspaceEvents(rawValue: 1 << 10)
  /// To a channel named after the key.
  public static let toKeyspace = KeyspaceEvents(rawValue: 1 << 11)
  /// To a channel named after the event.
  public static let toKeyevent = KeyspaceEvents(rawValue: 1 << 12)
  /// Keys that were asked for and are not there.
  public static let keyMiss = KeyspaceEvents(rawValue: 1 << 13)
  /// What `A` stands for.
  public static let all = KeyspaceEvents(rawValue: 1 << 10 - 1)

  /// The classes of these letters; nil if one stands for none.
  public init?(_ text: String) {
    var found: KeyspaceEvents = []
    for letter in text {
      if letter == "A" {
        found.formUnion(.all)
      } else if let place = Self.letters.firstIndex(of: letter) {
        found.insert(KeyspaceEvents(rawValue: 1 << UInt16(place)))
      } else {
        return nil
      }
    }
    self = found
  }

  /// Letters that make the same set.
  var text: String { String(Self.letters.indices.filter(has).map { Self.letters[$0] }) }

  /// The letters as CONFIG GET shows them: beside `A` Redis forgets the `n`.
  var shown: String {
    let classes =
      isSuperset(of: .all) ? "A" : String((0..<11).filter(has).map { Self.letters[$0] })
    return classes + String((11..<14).filter(has).map { Self.letters[$0] })
  }

  private func has(_ place: Int) -> Bool { rawValue >> UInt16(place) & 1 == 1 }
}
