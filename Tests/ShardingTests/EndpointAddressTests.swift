import Sharding
import Testing

@Suite struct EndpointAddressTests {
  @Test func whatNoClientShouldSeeIsRefused() {
    for host in ["", "?", "a b", "a,b", "a@b", "a\nb", "ä", String(repeating: "a", count: 256)] {
      #expect(EndpointAddress(host: host, port: 1) == nil, "\(host)")
      #expect(EndpointAddress(host: "h", port: 1, hostname: host) == nil, "\(host)")
    }
    #expect(EndpointAddress(host: "h", port: 0) == nil)
    #expect(EndpointAddress(host: "h", port: 1, hostname: "a:b") == nil)
    for host in ["127.0.0.1", "::1", "fe80::1%eth0", String(repeating: "a", count: 255)] {
      #expect(EndpointAddress(host: host, port: 65535) != nil, "\(host)")
    }
  }

  @Test func everyBusPortIsOne() {
    let wrong = (1...UInt16.max).filter { port in
      let busPort = EndpointAddress(host: "h", port: port)?.busPort
      return busPort != (port <= 55535 ? port + 10000 : port - 10000)
    }
    #expect(wrong.isEmpty)
  }

  @Test func nodeIDs() {
    let digits = "00112233445566778899aabbccddeeff01234567"
    #expect(NodeID(hexadecimal: Array(digits.utf8))?.description == digits)
    #expect(NodeID(hexadecimal: Array(digits.uppercased().utf8)) == nil)
    #expect(NodeID(hexadecimal: Array(digits.dropLast().utf8)) == nil)
    #expect(NodeID(hexadecimal: Array((digits + "0").utf8)) == nil)
    #expect(NodeID(hexadecimal: Array((digits.dropLast() + "g").utf8)) == nil)
    let bytes: [UInt8] = (0..<20).map { $0 * 11 }
    let id = NodeID(bytes.span.bytes)
    #expect(id.flatMap { NodeID(hexadecimal: Array("\($0)".utf8)) } == id)
    #expect(NodeID([UInt8](repeating: 0, count: 19).span.bytes) == nil)
    #expect(NodeID([UInt8](repeating: 0, count: 21).span.bytes) == nil)
  }
}
