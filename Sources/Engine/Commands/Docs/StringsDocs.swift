// The commands on strings, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands on strings.
  static let strings = #"""
    append
      = Adds bytes at the end of a string, and makes the key if it is not there.
      key:key#0 value:string
    decr
      = Takes one from the integer at a key.
      key:key#0
    decrby
      = Takes a number from the integer at a key.
      key:key#0 decrement:integer
    get
      = Gives the string at a key.
      key:key#0
    getdel
      = Gives the string at a key and deletes the key.
      key:key#0
    getex
      = Gives the string at a key and sets or takes away its expiry.
      key:key#0 expiration:oneof? ( seconds:integer=EX milliseconds:integer=PX unix-time-seconds:unix-time=EXAT unix-time-milliseconds:unix-time=PXAT
        persist:pure-token=PERSIST )
    getrange
      = Gives a part of the string at a key.
      key:key#0 start:integer end:integer
    getset
      = Replaces the string at a key and gives the old one.
      ! deprecated 6.2.0 `SET` with the `!GET` argument
      key:key#0 value:string
    incr
      = Adds one to the integer at a key.
      key:key#0
    incrby
      = Adds a number to the integer at a key.
      key:key#0 increment:integer
    incrbyfloat
      = Adds a decimal number to the number at a key.
      key:key#0 increment:double
    lcs
      = Finds the longest common subsequence of two strings.
      key1:key#0 key2:key#0 len:pure-token=LEN? idx:pure-token=IDX? len:integer=MINMATCHLEN? withmatchlen:pure-token=WITHMATCHLEN?
    mget
      = Gives the strings at several keys.
      key:key#0*
    mset
      = Sets several keys at once.
      key_value:block* ( key:key#0 value:string )
    msetnx
      = Sets several keys at once if none of them is there.
      key_value:block* ( key:key#0 value:string )
    psetex
      = Sets a key with an expiry in milliseconds.
      key:key#0 milliseconds:integer value:string
    set
      = Sets a key to a string, whatever it held before.
      ^ 2.6.12 `EX`, `PX`, `NX` and `XX` came.
      ^ 6.0.0 `KEEPTTL` came.
      ^ 6.2.0 `GET`, `EXAT` and `PXAT` came.
      ^ 7.0.0 `NX` and `GET` may be used together.
      key:key#0 value:string condition:oneof@2.6.12? ( nx:pure-token=NX xx:pure-token=XX ) get:pure-token=GET@6.2.0? expiration:oneof? (
        seconds:integer=EX@2.6.12 milliseconds:integer=PX@2.6.12 unix-time-seconds:unix-time=EXAT@6.2.0 unix-time-milliseconds:unix-time=PXAT@6.2.0
        keepttl:pure-token=KEEPTTL@6.0.0 )
    setex
      = Sets a key with an expiry in seconds.
      key:key#0 seconds:integer value:string
    setnx
      = Sets a key if it is not there.
      key:key#0 value:string
    setrange
      = Overwrites a part of the string at a key.
      key:key#0 offset:integer value:string
    strlen
      = Tells the length of the string at a key.
      key:key#0
    substr
      = Gives a part of the string at a key; an old name.
      ! deprecated 2.0.0 `GETRANGE`
      key:key#0 start:integer end:integer
    """#
}
