/// What of a shard's address clients are told to connect to, in redirects and topology replies: the
/// values of `cluster-preferred-endpoint-type`.
public enum EndpointType: String, Hashable, Sendable, CaseIterable {
  /// The host: the IP address.
  case ip
  /// The announced name.
  case hostname
  /// Nothing but a port: the host that the client is connected to already.
  case unknown = "unknown-endpoint"
}

extension EndpointAddress {
  /// What clients are told to connect to; nil = the host that they are connected to already.
  public func endpoint(_ type: EndpointType) -> String? {
    switch type {
    case .ip: host
    // Redis's sign for a name that should be there and is not: no client can connect to it.
    case .hostname: hostname ?? "?"
    case .unknown: nil
    }
  }
}
