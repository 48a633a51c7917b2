import Testing

@testable import Storage

/// What a key should hold.
private struct Model: Equatable {
  var value: Bytes
  var expiry: Int64?
}

/// Random operations against a dictionary, with hashes of several qualities.
@Suite struct ModelTests {
  @Test(
    arguments: zip(
      UInt64(1)...8,
      [
        ~0, ~0, ~0, ~0,
        0,  // all hashes equal
        0xf << 60 | 0xff,  // 16 places, many tags
        0xff << 25,  // equal in the first 31 bits: the deepest directory
        0x8000_0000_fe00_0000,
      ] as [UInt64]))
  func randomOperations(seed: UInt64, mask: UInt64) throws {
    print("seed \(seed), mask \(mask)")
    var draw = Draw(seed: seed)
    let slots = [0, 63, 64, 9000, 16383, Keyspace.slotCount + 7]
    var keyspace = try Keyspace(seed: testSeed)
    keyspace.forceHashes(mask: mask, readKeys: false)
    for slot in slots.dropLast() { keyspace.own(slot, by: Int32(slot % 3)) }
    var models = [[Bytes: Model]](repeating: [:], count: slots.count)
    let keyCount = [20, 200, mask == ~0 ? 3000 : 400][Int(seed % 3)]
    let lengths = [0, 1, 3, 4, 7, 8, 9, 16, 32, 44, 45, 100, 1000, 16383, 16384, 20000]
    for step in 0..<10000 {
      let index = draw.below(slots.count)
      let slot = slots[index]
      // Phases of growth and of shrinkage.
      let growing = step / 2500 % 2 == 0
      var key = bytes("key:\(draw.below(keyCount))")
      if key.last == 55 { key += Bytes(repeating: 120, count: 300) }
      let length = lengths[draw.below(step % 50 == 0 ? lengths.count : 12)]
      let value = Bytes(repeating: UInt8(truncatingIfNeeded: step), count: length)
      let known = models[index][key]
      switch draw.below(growing ? 15 : 24) {
      case 0..<6:
        let time = Int64(draw.below(1000))
        let expiry: StringExpiry = [.clear, .keep, .at(time)][draw.below(3)]
        try keyspace.set(slot, key, value, expiry: expiry)
        let new: Int64? =
          switch expiry {
          case .clear: nil
          case .keep: known?.expiry
          case .at(let time): time
          }
        models[index][key] = Model(value: value, expiry: new)
      case 6:
        let number = Int64(bitPattern: draw.next()) >> Int64(draw.below(64))
        try keyspace.set(slot, key, number, expiry: .keep)
        models[index][key] = Model(value: bytes("\(number)"), expiry: known?.expiry)
      case 7:
        let length = try keyspace.append(slot, key, value)
        models[index][key]?.value += value
        #expect(length == models[index][key]?.value.count)
      case 8:
        let time = draw.below(3) == 0 ? nil : Int64(draw.below(1000))
        try keyspace.expire(slot, key, time)
        models[index][key]?.expiry = time
      case 9:
        let offset = draw.below(60)
        let length = try keyspace.overwrite(slot, key, offset, value)
        if var old = models[index][key]?.value {
          if old.count < offset + value.count {
            old += Bytes(repeating: 0, count: offset + value.count - old.count)
          }
          old.replaceSubrange(offset..<offset + value.count, with: value)
          models[index][key]?.value = old
          #expect(length == old.count)
        }
      case 10:
        let value = keyspace.value(slot, key)
        #expect(value == known?.value)
        let expiry = keyspace.expiry(slot, key)
        #expect(expiry == known?.expiry)
      case 11 where draw.below(200) == 0:
        keyspace.clear(slot)
        models[index] = [:]
      case 12:
        _ = keyspace.bury(workUnits: 3)
      case 13 where draw.below(20) == 0:
        // Out and in again, for another shard.
        let owner = keyspace.owner(of: slot)
        let table = keyspace.take(slot)!
        let count = table.keyCount
        #expect(count == models[index].count)
        keyspace.adopt(table, as: slot, by: owner < 0 ? owner : (owner + 1) % 5)
      default:
        let removed = keyspace.remove(slot, key)
        #expect(removed == (known != nil))
        models[index][key] = nil
      }
      if step % 500 == 0 { keyspace.checkInvariants() }
    }
    keyspace.checkInvariants()
    for (index, slot) in slots.enumerated() {
      let count = keyspace.keyCount(of: slot)
      #expect(count == models[index].count)
      let expiring = keyspace.expiringCount(of: slot)
      #expect(expiring == models[index].values.count { $0.expiry != nil })
      let keys = keyspace.keys(slot)
      #expect(keys.count == models[index].count)
      #expect(Set(keys) == Set(models[index].keys))
      for (key, model) in models[index] {
        let value = keyspace.value(slot, key)
        #expect(value == model.value)
        let expiry = keyspace.expiry(slot, key)
        #expect(expiry == model.expiry)
      }
      for key in models[index].keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
        let removed = keyspace.remove(slot, key)
        #expect(removed)
        if removed && key.last == 48 { keyspace.checkInvariants() }
      }
      let left = keyspace.byteCount(of: slot)
      #expect(left == 0)
    }
    keyspace.buryAll()
    keyspace.checkInvariants()
    let left = keyspace.byteCount + keyspace.buriedByteCount
    #expect(left == 0)
  }
}
