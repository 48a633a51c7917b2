internal import Glibc
internal import RESP
internal import Reactor

/// A connection to one port of a running cluster, in RESP3: one request, then its reply.
struct ClusterClient {
  private let socket: ClientSocket
  private let address: String
  private let patience: Int
  private var received: [UInt8] = []
  private let parser = ReplyParser(maxByteCount: 64 << 20)

  /// Connects and says hello. `patience`: milliseconds that connecting and every reply may take.
  static func connect(
    host: String, port: UInt16, password: String?, patience: Int
  ) throws(ClusterFailure) -> ClusterClient {
    let address = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    var client = ClusterClient(
      socket: try open(address, host, port, patience), address: address, patience: patience)
    let hello = ["HELLO", "3"] + (password.map { ["AUTH", "default", $0] } ?? [])
    do throws(ClusterFailure) { _ = try client.ask(hello) } catch {
      guard case .refused(let text) = error else { throw error }
      throw .unreachable("\(address) \(greeting(text))")
    }
    return client
  }

  private static func open(
    _ address: String, _ host: String, _ port: UInt16, _ patience: Int
  ) throws(ClusterFailure) -> ClientSocket {
    do throws(ReactorError) {
      return try ClientSocket(host: host, port: port, milliseconds: patience)
    } catch {
      throw .unreachable(
        "cannot connect to \(address): \(error) (--host and --port say where the cluster is)"
      )
    }
  }

  /// What an error at the greeting means.
  private static func greeting(_ text: String) -> String {
    switch text.prefix(while: { $0 != " " }) {
    case "NOAUTH": "asks for a password: --password, or the environment variable TERN_PASSWORD"
    case "WRONGPASS": "refuses the password"
    default: "refuses the connection: \(text)"
    }
  }

  /// The reply to a request. An error reply is thrown as `refused`, without its `ERR`.
  mutating func ask(_ words: [String]) throws(ClusterFailure) -> Reply {
    do throws(ReactorError) { try socket.write(Self.request(words), milliseconds: patience) } catch
    {
      throw .unreachable("\(address): \(error)")
    }
    while true {
      if let reply = try takeReply() {
        if case .error = reply {
          let text = reply.text ?? ""
          throw .refused(text.hasPrefix("ERR ") ? String(text.dropFirst(4)) : text)
        }
        return reply
      }
      try receive()
    }
  }

  private mutating func receive() throws(ClusterFailure) {
    do throws(ReactorError) { try socket.read(into: &received, milliseconds: patience) } catch {
      throw .unreachable(
        error.errno == ECONNRESET
          ? "\(address) has closed the connection" : "\(address) does not answer: \(error)")
    }
  }

  /// The next whole reply of what was received. Pushes, which nothing asked for, are passed over.
  private mutating func takeReply() throws(ClusterFailure) -> Reply? {
    while !received.isEmpty {
      do throws(ReplyParser.Failure) {
        guard let (reply, byteCount) = try parser.parse(received) else { return nil }
        received.removeFirst(byteCount)
        if case .push = reply { continue }
        return reply
      } catch { throw .unreachable("\(address) does not speak RESP: is it a Tern cluster's port?") }
    }
    return nil
  }

  /// The words as an array of bulk strings.
  private static func request(_ words: [String]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words {
      bytes += "$\(word.utf8.count)\r\n".utf8
      bytes += word.utf8
      bytes += "\r\n".utf8
    }
    return bytes
  }
}

extension Reply {
  /// The value of a map's field; nil if there is none, or if this is no map.
  subscript(name: String) -> Reply? {
    guard case .map(let pairs) = self else { return nil }
    return pairs.first { $0.key.text == name }?.value
  }

  /// An integer, also one written as a text.
  var integer: Int? {
    if case .integer(let number) = self { return Int(clamping: number) }
    return text.flatMap { Int($0) }
  }
}
