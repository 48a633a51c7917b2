// The commands on bits, documented. See Documentation.swift for the notation.

extension Documentation {
  /// The commands on bits.
  static let bitmaps = #"""
    bitcount
      = Counts the ones among the bits of a string.
      ^ 7.0.0 `BYTE|BIT` came.
      key:key#0 index:block? ( start:integer end:integer index_unit:oneof@7.0.0? ( byte:pure-token=BYTE bit:pure-token=BIT ) )
    bitfield
      = Reads and writes integers of any width among the bits of a string.
      key:key#0 operation:oneof?* ( encoding_offset:block=GET ( encoding:string offset:integer ) write:block ( wrap_sat_fail:oneof=OVERFLOW? (
        wrap:pure-token=WRAP sat:pure-token=SAT fail:pure-token=FAIL ) write_operation:oneof ( encoding_offset_value:block=SET ( encoding:string
        offset:integer value:integer ) encoding_offset_increment:block=INCRBY ( encoding:string offset:integer increment:integer ) ) ) )
    bitfield_ro
      = Reads integers of any width among the bits of a string.
      key:key#0 encoding_offset:block=GET?*+ ( encoding:string offset:integer )
    bitop
      = Combines the bits of several strings into another one.
      operation:string destkey:key#0 key:key#1*
    bitpos
      = Finds the first zero or one among the bits of a string.
      ^ 7.0.0 `BYTE|BIT` came.
      key:key#0 bit:integer index:block? ( start:integer end_index:block? ( end:integer index_unit:oneof@7.0.0? ( byte:pure-token=BYTE bit:pure-token=BIT
        ) ) )
    getbit
      = Reads one bit of a string.
      key:key#0 offset:integer
    setbit
      = Writes one bit of a string.
      key:key#0 offset:integer value:integer
    """#
}
