import RESP
import Synchronization

/// The order of effects over shards (I5), through the router's port: one client writes pairs of keys of different slots in one pipeline after
/// another, the first key first; another one looks at them the other way round, and never finds the second ahead of the first.
final class PipelineOrder: Sendable {
  private let world: World
  private let port: Int
  private let first: String
  private let second: String
  private let looked = Atomic<Int>(0)

  /// Pairs a pipeline.
  private static let pairs = 8

  init(_ world: World, port: Int) {
    self.world = world
    self.port = port
    first = "order:{\(world.tags[0].tag)}"
    second = "order:{\(world.tags[world.tags.count - 1].tag)}"
  }

  /// How often both were looked at.
  var looks: Int { looked.load(ordering: .relaxed) }

  @Sendable func write() throws(Broken) {
    let wire = try Wire(port: port)
    var value = 0
    while !world.isStopping {
      for _ in 0..<Self.pairs {
        value += 1
        wire.output += request(["SET", first, "\(value)"]) + request(["SET", second, "\(value)"])
      }
      try wire.flush()
      for _ in 0..<2 * Self.pairs {
        let line = try wire.line()
        if line != Array("+OK".utf8)[...] {
          throw Broken("SET is answered \(String(decoding: line, as: UTF8.self))")
        }
      }
    }
  }

  @Sendable func look() throws(Broken) {
    let wire = try Wire(port: port)
    while !world.isStopping {
      let later = try value(of: second, wire)
      let earlier = try value(of: first, wire)
      if later > earlier {
        throw Broken("\(second) is \(later), and \(first), which was written before, \(earlier)")
      }
      looked.add(1, ordering: .relaxed)
    }
  }

  private func value(of key: String, _ wire: Wire) throws(Broken) -> Int {
    let reply = try wire.ask("GET", key)
    if reply == .null { return 0 }
    guard let text = reply.text, let value = Int(text) else {
      throw Broken("GET \(key) answers \(reply)")
    }
    return value
  }
}
