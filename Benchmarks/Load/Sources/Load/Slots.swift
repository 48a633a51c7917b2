/// The table of CRC16 (XMODEM).
private let table: [UInt16] = (0..<256).map { byte in
  var crc = UInt16(byte) << 8
  for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
  return crc
}

/// The hash slot of a key, by its hash tag where it has one.
func slot(of key: [UInt8]) -> Int {
  var part = key[...]
  if let open = key.firstIndex(of: UInt8(ascii: "{")),
    let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
  {
    part = key[(open + 1)..<close]
  }
  var crc: UInt16 = 0
  for byte in part { crc = crc << 8 ^ table[Int(crc >> 8 ^ UInt16(byte))] }
  return Int(crc & 16383)
}
