import Sharding
import Testing

/// The checksum as its definition has it: bit by bit.
private func bitwise(_ bytes: some Sequence<UInt8>) -> UInt16 {
  var crc: UInt16 = 0
  for byte in bytes {
    crc ^= UInt16(byte) << 8
    for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
  }
  return crc
}

/// The slot as the cluster specification has it.
private func slotByDefinition(_ key: [UInt8]) -> UInt16 {
  if let open = key.firstIndex(of: UInt8(ascii: "{")),
    let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
  {
    return bitwise(key[(open + 1)..<close]) % 16384
  }
  return bitwise(key) % 16384
}

private func slot(_ key: [UInt8]) -> UInt16 { HashSlot.of(key.span.bytes).number }
private func slot(_ key: String) -> UInt16 { slot(Array(key.utf8)) }

@Suite struct HashSlotTests {
  @Test func knownVectors() {
    #expect(bitwise("123456789".utf8) == 0x31C3)
    #expect(slot("123456789") == 0x31C3 % 16384)
    #expect(slot("foo") == 12182)
    #expect(slot("bar") == 5061)
    #expect(slot("hello") == 866)
    #expect(slot("") == 0)
    #expect(slot("{user1000}.following") == slot("user1000"))
    #expect(slot("{user1000}.followers") == slot("{user1000}.following"))
  }

  @Test func hashTags() {
    // An empty tag, an unclosed one, one closed before it is opened: the whole key counts.
    for key in ["foo{}{bar}", "{}", "{", "}", "}{", "foo{bar", "a}b{c", "{}x", "12345678{", "}a{"] {
      #expect(slot(key) == bitwise(key.utf8) % 16384, "\(key)")
    }
    #expect(slot("foo{{bar}}zap") == slot("{bar"))
    #expect(slot("foo{bar}{zap}") == slot("bar"))
    #expect(slot("{a}") == slot("a"))
    #expect(slot("a}b{c}d") == slot("c"))
  }

  @Test func everyPlaceOfATag() {
    for length in 2...20 {
      for open in 0..<length {
        for close in 0..<length where close != open {
          var key = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
          key[open] = UInt8(ascii: "{")
          key[close] = UInt8(ascii: "}")
          #expect(slot(key) == slotByDefinition(key), "\(text(key))")
        }
      }
    }
  }

  @Test func everyLengthAgainstTheDefinition() {
    var numbers = Numbers(seed: 1)
    for length in 0...64 {
      for round in 0..<40 {
        var key = (0..<length).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        // Some of one repeated byte, and some next to '{' in value.
        if round == 0 { key = Array(repeating: 0xFF, count: length) }
        if round == 1 { key = Array(repeating: 0, count: length) }
        if round == 2 { key = Array(repeating: UInt8(ascii: "{"), count: length) }
        if round == 3 { key = key.map { [0x7A, 0x7C, 0xFB, 0x7D][Int($0 & 3)] } }
        #expect(slot(key) == slotByDefinition(key), "\(key)")
      }
    }
    for length in [65, 127, 128, 255, 256, 1000, 4099] {
      let key = (0..<length).map { _ in UInt8.random(in: 0...255, using: &numbers) }
      #expect(slot(key) == slotByDefinition(key), "\(key)")
    }
  }

  /// A checksum is linear: that every single bit is right makes every key of the length right.
  @Test func everyBit() {
    for length in 1...33 {
      for bit in 0..<(8 * length) {
        var key = Array(repeating: UInt8(0), count: length)
        key[bit / 8] = 1 << (bit % 8)
        #expect(slot(key) == bitwise(key) % 16384, "length \(length), bit \(bit)")
      }
    }
  }

  /// A key in the middle of a buffer does not see its neighbours.
  @Test func unaligned() {
    var numbers = Numbers(seed: 2)
    let buffer = (0..<64).map { _ in UInt8.random(in: 0...255, using: &numbers) }
    for start in 0..<16 {
      for length in 0...40 {
        let key = buffer.span.bytes.extracting(start..<(start + length))
        #expect(
          HashSlot.of(key).number == slotByDefinition(Array(buffer[start..<(start + length)])))
      }
    }
  }

  @Test func numbers() {
    #expect(HashSlot.count == 16384)
    #expect(HashSlot(exactly: -1) == nil)
    #expect(HashSlot(exactly: 0)?.number == 0)
    #expect(HashSlot(exactly: 16383)?.index == 16383)
    #expect(HashSlot(exactly: 16384) == nil)
    #expect(HashSlot(1) < HashSlot(2))
  }

  @Test func slotsOfKeys() {
    var slots = KeySlots.none
    slots.insert(HashSlot(7))
    slots.insert(HashSlot(7))
    #expect(slots == .one(HashSlot(7)))
    slots.insert(HashSlot(8))
    #expect(slots == .several)
    slots.insert(HashSlot(8))
    #expect(slots == .several)
  }
}
