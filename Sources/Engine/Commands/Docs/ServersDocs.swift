// The commands about the server, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands about the server.
  static let servers = #"""
    acl
      = Says who may do what.
    acl|cat
      = Lists the categories, or the commands of one.
      categoryname:string?
    acl|deluser
      = Deletes users.
      username:string*
    acl|dryrun
      = Tells whether a user might run a command, and does not run it.
      username:string command:string arg:string?*
    acl|genpass
      = Makes a random password.
      bits:integer?
    acl|getuser
      = Gives the rules of a user.
      ^ 6.2.0 Patterns of channels came.
      ^ 7.0.0 Selectors came; patterns of keys and channels are given as rules.
      username:string
    acl|help
      = Lists the subcommands.
    acl|list
      = Gives the rules of all users, as a file has them.
    acl|load
      = Reads the file of users again.
    acl|log
      = Lists what was refused of late.
      operation:oneof? ( count:integer reset:pure-token=RESET )
    acl|save
      = Writes the file of users.
    acl|setuser
      = Makes a user or changes its rules.
      ^ 6.2.0 Patterns of channels came.
      ^ 7.0.0 Selectors, and rules for keys, came.
      username:string rule:string?*
    acl|users
      = Lists the names of all users.
    acl|whoami
      = Gives the name of this connection's user.
    bgrewriteaof
      = Has the append-only file written anew, beside the work.
    bgsave
      = Has all keys written to disk, beside the work.
      ^ 3.2.2 `SCHEDULE` came.
      schedule:pure-token=SCHEDULE@3.2.2?
    command
      = Describes the commands.
    command|count
      = Counts the commands.
    command|docs
      = Documents commands.
      command-name:string?*
    command|getkeys
      = Finds the keys in a command with its arguments.
    command|getkeysandflags
      = Finds the keys in a command with its arguments, and what is done with them.
    command|help
      = Lists the subcommands.
    command|info
      = Describes some commands, or all.
      ^ 7.0.0 May come without names, and describes all commands then.
      command-name:string?*
    command|list
      = Lists the names of commands.
      filterby:oneof=FILTERBY? ( module-name:string=MODULE category:string=ACLCAT pattern:pattern=PATTERN )
    config
      = Looks at settings and changes them.
    config|get
      = Gives the settings whose names match.
      ^ 7.0.0 Takes several patterns.
      parameter:block* ( parameter:string )
    config|help
      = Lists the subcommands.
    config|resetstat
      = Sets what INFO counts to zero.
    config|rewrite
      = Writes the settings in force to the configuration file.
    config|set
      = Changes settings.
      ^ 7.0.0 Takes several settings.
      parameter_value:block* ( parameter:string value:string )
    dbsize
      = Counts the keys.
    debug
      = Helps those who test servers and clients.
      ! syscmd
    failover
      = Hands the primary's part over to a replica.
      target:block=TO? ( host:string port:integer force:pure-token=FORCE? ) abort:pure-token=ABORT? milliseconds:integer=TIMEOUT?
    flushall
      = Deletes all keys of all databases.
      ^ 4.0.0 `ASYNC` came.
      ^ 6.2.0 `SYNC` came.
      async:oneof? ( async:pure-token=ASYNC@4.0.0 sync:pure-token=SYNC@6.2.0 )
    flushdb
      = Deletes all keys of the database.
      ^ 4.0.0 `ASYNC` came.
      ^ 6.2.0 `SYNC` came.
      async:oneof? ( async:pure-token=ASYNC@4.0.0 sync:pure-token=SYNC@6.2.0 )
    info
      = Gives figures about the server.
      ^ 7.0.0 Takes several sections.
      section:string?*
    lastsave
      = Tells when all keys were last written to disk.
    latency
      = Looks at what took long.
    latency|doctor
      = Says in words what took long, and what might help.
    latency|graph
      = Draws how long an event took.
      event:string
    latency|help
      = Lists the subcommands.
    latency|histogram
      = Gives how the times of commands are distributed.
      command:string?*
    latency|history
      = Gives how long an event took, sample by sample.
      event:string
    latency|latest
      = Gives the last sample of every event.
    latency|reset
      = Forgets the samples of events.
      event:string?*
    lolwut
      = Draws a picture and tells the version.
      - complexity
      version:integer=VERSION?
    memory
      = Looks at memory.
    memory|doctor
      = Says in words what is wrong with the memory.
    memory|help
      = Lists the subcommands.
    memory|malloc-stats
      = Gives the allocator's own figures.
    memory|purge
      = Has the allocator give memory back to the system.
    memory|stats
      = Gives figures about memory.
    memory|usage
      = Tells how much memory a key takes.
      key:key#0 count:integer=SAMPLES?
    module
      = Looks after modules.
    module|help
      = Lists the subcommands.
    module|list
      = Lists the modules.
    module|load
      = Loads a module.
      path:string arg:string?*
    module|loadex
      = Loads a module with settings of its own.
      path:string configs:block=CONFIG?*+ ( name:string value:string ) args:block=ARGS?* ( arg:string )
    module|unload
      = Unloads a module.
      name:string
    monitor
      = Shows every command that the server runs.
      - complexity
    psync
      = Begins replication or goes on with it; for servers.
      - complexity
      replicationid:string offset:integer
    replconf
      = Arranges replication; for servers.
      ! syscmd
    replicaof
      = Makes the server a replica, or a primary.
      args:oneof ( host-port:block ( host:string port:integer ) no-one:block ( no:pure-token=NO one:pure-token=ONE ) )
    restore-asking
      = Makes a key of what DUMP gave, in a slot that is being imported.
      ^ 3.0.0 `REPLACE` came.
      ^ 5.0.0 `ABSTTL` came.
      ^ 5.0.0 `IDLETIME` and `FREQ` came.
      ! syscmd
      key:key#0 ttl:integer serialized-value:string replace:pure-token=REPLACE@3.0.0? absttl:pure-token=ABSTTL@5.0.0? seconds:integer=IDLETIME@5.0.0?
        frequency:integer=FREQ@5.0.0?
    role
      = Tells the server's part in replication.
    save
      = Writes all keys to disk, and does nothing else meanwhile.
    shutdown
      = Ends the server.
      ^ 7.0.0 `NOW`, `FORCE` and `ABORT` came.
      nosave_save:oneof? ( nosave:pure-token=NOSAVE save:pure-token=SAVE ) now:pure-token=NOW@7.0.0? force:pure-token=FORCE@7.0.0?
        abort:pure-token=ABORT@7.0.0?
    slaveof
      = Makes the server a replica, or a primary; an old name.
      ! deprecated 5.0.0 `REPLICAOF`
      args:oneof ( host-port:block ( host:string port:integer ) no-one:block ( no:pure-token=NO one:pure-token=ONE ) )
    slowlog
      = Looks at the commands that took long.
    slowlog|get
      = Lists commands that took long.
      ^ 4.0.0 The client's address and name came.
      count:integer?
    slowlog|help
      = Lists the subcommands.
    slowlog|len
      = Counts the commands that are kept for having taken long.
    slowlog|reset
      = Forgets the commands that took long.
    swapdb
      = Exchanges two databases.
      index1:integer index2:integer
    sync
      = Begins replication; for servers.
      - complexity
    time
      = Tells the server's time.
    """#
}
