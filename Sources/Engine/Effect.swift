/// What a command has done to the keyspace (DESIGN §6): the byte that every handler returns.
///
/// Behind the one test `listeners ≠ 0` the change log takes the command's deterministic form from it (`Changes/`). No write path goes
/// around it.
public enum Effect: UInt8, Sendable {
  /// Nothing was changed.
  case none
  /// The command, as the client sent it, says exactly what was changed.
  case verbatim
  /// The command's outcome depends on time, chance or state; the log takes another form (`SET k v PXAT t`).
  case rewritten
}
