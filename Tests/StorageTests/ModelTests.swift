import Testing

@testable import Storage

/// What a key should hold.
private struct Model: Equatable {
  var value: Bytes
  var expiry: Int64?
}

/// Random operations against a dictionary.
@Suite struct ModelTests {
  @Test(arguments: 1...6) func randomOperations(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Draw(seed: seed)
    var keyspace = try Keyspace(seed: testSeed)
    let slots = [0, 63, 64, 9000, 16383]
    for slot in slots { try keyspace.own(slot, by: Int32(slot % 3)) }
    var models = [[Bytes: Model]](repeating: [:], count: slots.count)
    let keyCount = [20, 200, 3000][Int(seed % 3)]
    let lengths = [0, 1, 3, 4, 7, 8, 9, 16, 44, 45, 100, 1000, 16383, 16384, 20000]
    for step in 0..<12000 {
      let index = draw.below(slots.count)
      let slot = slots[index]
      // Phases of growth and of shrinkage.
      let growing = step / 3000 % 2 == 0
      var key = bytes("key:\(draw.below(keyCount))")
      if key.last == 55 { key += Bytes(repeating: 120, count: 300) }
      let length = lengths[draw.below(step % 50 == 0 ? lengths.count : 11)]
      let value = Bytes(repeating: UInt8(truncatingIfNeeded: step), count: length)
      let known = models[index][key]
      switch draw.below(growing ? 14 : 24) {
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
      case 8, 9:
        let time = draw.below(3) == 0 ? nil : Int64(draw.below(1000))
        try keyspace.expire(slot, key, time)
        models[index][key]?.expiry = time
      case 10:
        let value = keyspace.value(slot, key)
        #expect(value == known?.value)
        if let ref = keyspace.find(slot, key) {
          let expiry = keyspace.expiry(of: ref)
          #expect(expiry == known?.expiry)
          let own = keyspace.key(of: ref).array
          #expect(own == key)
        }
      case 11 where draw.below(200) == 0:
        keyspace.clear(slot)
        models[index] = [:]
      case 12:
        _ = keyspace.bury(workUnits: 3)
      default:
        let removed = keyspace.remove(slot, key)
        #expect(removed == (known != nil))
        models[index][key] = nil
      }
      if step % 500 == 0 { keyspace.checkInvariants() }
    }
    keyspace.checkInvariants()
    for (index, slot) in slots.enumerated() {
      let keys = keyspace.keyCount(of: slot)
      let expiring = keyspace.expiringCount(of: slot)
      #expect(keys == models[index].count)
      #expect(expiring == models[index].values.count { $0.expiry != nil })
      for (key, model) in models[index] {
        let value = keyspace.value(slot, key)
        let expiry = keyspace.find(slot, key).flatMap {
          $0.entry.has(EntryShape.expiry) ? $0.entry.expiry : nil
        }
        #expect(value == model.value)
        #expect(expiry == model.expiry)
      }
      for key in models[index].keys {
        let removed = keyspace.remove(slot, key)
        #expect(removed)
      }
      let left = keyspace.byteCount(of: slot)
      #expect(left == 0)
    }
    keyspace.buryAll()
    keyspace.checkInvariants()
    let left = keyspace.byteCount
    #expect(left == 0)
  }
}
