// The commands on keys of any type, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands on keys of any type.
  static let keys = #"""
    copy
      = Copies a value to another key.
      source:key#0 destination:key#1 destination-db:integer=DB? replace:pure-token=REPLACE?
    del
      = Deletes keys.
      key:key#0*
    dump
      = Gives a value in a form that RESTORE takes.
      key:key#0
    exists
      = Counts those of the keys that are there.
      ^ 3.0.3 Takes several keys.
      key:key#0*
    expire
      = Lets a key expire after so many seconds.
      ^ 7.0.0 `NX`, `XX`, `GT` and `LT` came.
      key:key#0 seconds:integer condition:oneof@7.0.0? ( nx:pure-token=NX xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
    expireat
      = Lets a key expire at a Unix time in seconds.
      ^ 7.0.0 `NX`, `XX`, `GT` and `LT` came.
      key:key#0 unix-time-seconds:unix-time condition:oneof@7.0.0? ( nx:pure-token=NX xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
    expiretime
      = Tells the Unix time in seconds at which a key expires.
      key:key#0
    keys
      = Lists all keys that match a pattern.
      pattern:pattern
    migrate
      = Moves keys to another server.
      ^ 3.0.0 `COPY` and `REPLACE` came.
      ^ 3.0.6 `KEYS` came.
      ^ 4.0.7 `AUTH` came.
      ^ 6.0.0 `AUTH2` came.
      host:string port:integer key_or_empty_string:oneof ( key:key#0 empty_string:pure-token="" ) destination-db:integer timeout:integer
        copy:pure-token=COPY@3.0.0? replace:pure-token=REPLACE@3.0.0? authentication:oneof? ( password:string=AUTH@4.0.7?
        username_password:block=AUTH2@6.0.0? ( username:string password:string ) ) key:key#1=KEYS@3.0.6?*
    move
      = Moves a key to another database.
      key:key#0 db:integer
    object
      = Looks at how values are kept.
    object|encoding
      = Names the form in which a value is kept.
      key:key#0
    object|freq
      = Tells how often a key is used, as a logarithmic count.
      key:key#0
    object|help
      = Lists the subcommands.
    object|idletime
      = Tells for how many seconds a key was not used.
      key:key#0
    object|refcount
      = Tells how many refer to a value.
      key:key#0
    persist
      = Takes a key's expiry away.
      key:key#0
    pexpire
      = Lets a key expire after so many milliseconds.
      ^ 7.0.0 `NX`, `XX`, `GT` and `LT` came.
      key:key#0 milliseconds:integer condition:oneof@7.0.0? ( nx:pure-token=NX xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
    pexpireat
      = Lets a key expire at a Unix time in milliseconds.
      ^ 7.0.0 `NX`, `XX`, `GT` and `LT` came.
      key:key#0 unix-time-milliseconds:unix-time condition:oneof@7.0.0? ( nx:pure-token=NX xx:pure-token=XX gt:pure-token=GT lt:pure-token=LT )
    pexpiretime
      = Tells the Unix time in milliseconds at which a key expires.
      key:key#0
    pttl
      = Tells for how many milliseconds a key has yet to live.
      ^ 2.8.0 -2 for a key that is not there.
      key:key#0
    randomkey
      = Draws a key by chance.
    rename
      = Gives a key another name, whatever had it before.
      key:key#0 newkey:key#1
    renamenx
      = Gives a key another name if nothing has it.
      ^ 3.2.0 Both names may be the same.
      key:key#0 newkey:key#1
    restore
      = Makes a key of what DUMP gave.
      ^ 3.0.0 `REPLACE` came.
      ^ 5.0.0 `ABSTTL` came.
      ^ 5.0.0 `IDLETIME` and `FREQ` came.
      key:key#0 ttl:integer serialized-value:string replace:pure-token=REPLACE@3.0.0? absttl:pure-token=ABSTTL@5.0.0? seconds:integer=IDLETIME@5.0.0?
        frequency:integer=FREQ@5.0.0?
    scan
      = Lists the keys a few at a time.
      ^ 6.0.0 `TYPE` came.
      cursor:integer pattern:pattern=MATCH? count:integer=COUNT? type:string=TYPE@6.0.0?
    sort
      = Sorts the elements of a list or set, and gives or stores them.
      key:key#0 pattern:pattern#1=BY? offset_count:block=LIMIT? ( offset:integer count:integer ) pattern:pattern#1=GET?*+ order:oneof? (
        asc:pure-token=ASC desc:pure-token=DESC ) sorting:pure-token=ALPHA? destination:key#2=STORE?
    sort_ro
      = Sorts the elements of a list or set, and gives them.
      key:key#0 pattern:pattern#1=BY? offset_count:block=LIMIT? ( offset:integer count:integer ) pattern:pattern#1=GET?*+ order:oneof? (
        asc:pure-token=ASC desc:pure-token=DESC ) sorting:pure-token=ALPHA?
    touch
      = Counts keys that are there, as being used now.
      key:key#0*
    ttl
      = Tells for how many seconds a key has yet to live.
      ^ 2.8.0 -2 for a key that is not there.
      key:key#0
    type
      = Names the type of the value at a key.
      key:key#0
    unlink
      = Deletes keys; the memory of big values is freed later.
      key:key#0*
    wait
      = Waits until replicas have what this connection has written.
      numreplicas:integer timeout:integer
    waitaof
      = Waits until what this connection has written is on disk, here and at replicas.
      numlocal:integer numreplicas:integer timeout:integer
    """#
}
