// The commands of transactions, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands of transactions.
  static let transactions = #"""
    discard
      = Forgets what was queued since MULTI.
    exec
      = Runs what was queued since MULTI.
    multi
      = Begins to queue commands for EXEC.
    unwatch
      = Forgets all watched keys.
    watch
      = Lets the next EXEC fail if one of the keys changes before it.
      key:key#0*
    """#
}
