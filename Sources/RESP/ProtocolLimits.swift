/// What a client may claim before it is cut off, in one place. Every limit has a test at limit − 1, limit and limit + 1.
public struct ProtocolLimits: Sendable, Equatable {
  /// The longest bulk string of a request in bytes (`proto-max-bulk-len`).
  public var maxBulkLength: Int
  /// The most arguments a request may have; Redis 7 takes what fits an `Int32`. That needs no lower bound: ranges need 8 bytes for every 6 that were sent, whatever was claimed.
  public private(set) var maxMultibulkLength: Int
  /// The most bytes that a line (an inline request, or the line of a length) may have before its end.
  public var maxInlineLength: Int
  /// The most bytes of a request that may wait in a session's buffer (`client-query-buffer-limit`). Never above `Int32.max`: ranges have 32 bits.
  public private(set) var queryBufferLimit: Int
  /// Whether the client has shown who it is, or need not. A client that still has to gets at most 10 arguments of 16 KiB, and its requests are parsed one at a time, because each may change this.
  public var isAuthenticated: Bool

  /// Redis's defaults, unless told otherwise.
  public init(
    maxBulkLength: Int = 512 << 20, maxMultibulkLength: Int = Int(Int32.max),
    maxInlineLength: Int = 64 << 10, queryBufferLimit: Int = 1 << 30, isAuthenticated: Bool = true
  ) {
    self.maxBulkLength = maxBulkLength
    self.maxMultibulkLength = min(maxMultibulkLength, Int(Int32.max))
    self.maxInlineLength = maxInlineLength
    self.queryBufferLimit = min(queryBufferLimit, Int(Int32.max))
    self.isAuthenticated = isAuthenticated
  }

  /// The most arguments of a request of a client that has not authenticated.
  public static var unauthenticatedMultibulkLength: Int { 10 }
  /// The longest bulk of a client that has not authenticated, in bytes.
  public static var unauthenticatedBulkLength: Int { 16384 }
  /// A bulk of which so many bytes are still to come is received apart, into its final allocation.
  public static var largeByteCount: Int { 32 << 10 }
}
