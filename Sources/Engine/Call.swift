internal import RESP
internal import Storage

/// One command on its way: what a handler gets. Lent for the time of the call.
struct Call: ~Escapable {
  /// The arguments, the command's name first.
  let arguments: Arguments
  /// What is being run.
  let id: CommandID
  /// The hash slot of the first key; −1 if the command has none.
  let slot: Int
  /// The hash of the first key.
  let hash: KeyHash

  @inline(__always)
  @_lifetime(copy arguments)
  init(_ arguments: Arguments, id: CommandID, slot: Int, hash: KeyHash) {
    self.arguments = arguments
    self.id = id
    self.slot = slot
    self.hash = hash
  }

  /// How many arguments there are, the name included.
  @inline(__always)
  var count: Int { arguments.count }

  /// The bytes of an argument.
  @inline(__always)
  subscript(_ index: Int) -> RawSpan {
    @_lifetime(copy self)
    get { arguments[index] }
  }
}
