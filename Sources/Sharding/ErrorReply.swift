/// The errors of a cluster, as they go to a client, byte for byte those of Redis.
public enum ErrorReply {
  /// A command's keys are in several slots.
  public static let crossSlot = Array(
    "-CROSSSLOT Keys in request don't hash to the same slot\r\n".utf8)
  /// Nobody has the slot.
  public static let clusterDown = Array("-CLUSTERDOWN Hash slot not served\r\n".utf8)
  /// Some slot is nobody's, and the cluster is to be whole.
  public static let clusterIsDown = Array("-CLUSTERDOWN The cluster is down\r\n".utf8)
  /// A command's keys are on both sides of a migration.
  public static let tryAgain = Array(
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n".utf8)
}
