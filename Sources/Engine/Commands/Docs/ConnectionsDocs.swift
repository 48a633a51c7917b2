// The commands about the connection itself, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands about the connection itself.
  static let connections = #"""
    auth
      = Tells the server who the client is.
      ^ 6.0.0 A user may be named before the password.
      username:string@6.0.0? password:string
    echo
      = Gives the message back.
      message:string
    hello
      = Chooses the protocol's version and introduces the client.
      ^ 6.2.0 May come without a version, and changes nothing then.
      arguments:block? ( protover:integer username_password:block=AUTH? ( username:string password:string ) clientname:string=SETNAME? )
    ping
      = Answers, to show that the server lives.
      message:string?
    quit
      = Closes this connection.
    reset
      = Makes this connection as it was when it was new.
    select
      = Chooses a database.
      index:integer
    """#
}
