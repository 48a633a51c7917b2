/// The version of the reply format that a client asked for with `HELLO`. Requests look the same in both.
public enum RESPVersion: UInt8, Sendable {
  /// What every client speaks at first.
  case two = 2
  /// With maps, sets, doubles, booleans, nulls, pushes.
  case three = 3
}
