// CLIENT and its subcommands, documented. See Documentation.swift for the notation.

extension Documentation {
  /// CLIENT and its subcommands.
  static let clients = #"""
    client
      = Looks at connections and changes them.
    client|caching
      = Says whether the keys of the next command are tracked.
      mode:oneof ( yes:pure-token=YES no:pure-token=NO )
    client|getname
      = Gives the name of this connection.
    client|getredir
      = Tells which client gets the invalidations of this connection.
    client|help
      = Lists the subcommands.
    client|id
      = Gives the id of this connection.
    client|info
      = Describes this connection.
    client|kill
      = Closes connections.
      ^ 2.8.12 Filters came.
      ^ 2.8.12 The filter `ID` came.
      ^ 3.2.0 `TYPE master` came.
      ^ 5.0.0 `TYPE replica` came; `slave` means the same.
      ^ 6.2.0 The filter `LADDR` came.
      filter:oneof ( ip:port:string~2.8.12 new-format:oneof* ( client-id:integer=ID@2.8.12? normal_master_slave_pubsub:oneof=TYPE@2.8.12? (
        normal:pure-token=NORMAL master:pure-token=MASTER@3.2.0 slave:pure-token=SLAVE replica:pure-token=REPLICA@5.0.0 pubsub:pure-token=PUBSUB )
        username:string=USER? ip:port:string=ADDR? ip:port:string=LADDR@6.2.0? yes/no:string=SKIPME? ) )
    client|list
      = Describes the open connections.
      ^ 2.8.12 The field `id` came.
      ^ 5.0.0 `TYPE` came.
      ^ 6.0.0 The field `user` came.
      ^ 6.2.0 The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and `ID`, came.
      ^ 7.0.0 The fields `resp`, `multi-mem`, `rbs` and `rbp` came.
      ^ 7.0.3 The field `ssub` came.
      normal_master_replica_pubsub:oneof=TYPE@5.0.0? ( normal:pure-token=NORMAL master:pure-token=MASTER replica:pure-token=REPLICA
        pubsub:pure-token=PUBSUB ) id:block=ID@6.2.0? ( client-id:integer* )
    client|no-evict
      = Keeps this connection from being closed for want of memory.
      enabled:oneof ( on:pure-token=ON off:pure-token=OFF )
    client|no-touch
      = Keeps this connection's commands from counting as uses of the keys.
      enabled:oneof ( on:pure-token=ON off:pure-token=OFF )
    client|pause
      = Lets the commands of clients wait for some time.
      ^ 6.2.0 The modes came, `WRITE` among them.
      timeout:integer mode:oneof@6.2.0? ( write:pure-token=WRITE all:pure-token=ALL )
    client|reply
      = Says whether this connection gets replies.
      on_off_skip:oneof ( on:pure-token=ON off:pure-token=OFF skip:pure-token=SKIP )
    client|setname
      = Gives this connection a name.
      connection-name:string
    client|tracking
      = Says whether the client is told of changes to the keys it has read.
      status:oneof ( on:pure-token=ON off:pure-token=OFF ) client-id:integer=REDIRECT? prefix:string=PREFIX?*+ bcast:pure-token=BCAST?
        optin:pure-token=OPTIN? optout:pure-token=OPTOUT? noloop:pure-token=NOLOOP?
    client|trackinginfo
      = Tells how this connection is tracked.
    client|unblock
      = Ends another client's wait in a blocking command.
      client-id:integer timeout_error:oneof? ( timeout:pure-token=TIMEOUT error:pure-token=ERROR )
    client|unpause
      = Lets the commands of clients go on.
    client|setinfo
      = Says which library, of which version, speaks on this connection.
      attr:oneof ( libname:string=LIB-NAME libver:string=LIB-VER )
    """#
}
