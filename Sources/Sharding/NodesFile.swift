// `nodes.conf`: the topology as text, in the spirit of Redis's file of that name.
//
//     tern-nodes 1
//     07c3…40 digits…e6 10.0.0.1:7001@17001,a.example shard 1 generation 1 epoch 3 slots 0-5460 5462
//     2b99…40 digits…01 10.0.0.1:7002@17002 shard 2 generation 1 epoch 4 slots 5461 5463-16383
//     vars currentEpoch 4 lastGeneration 1 hashSeed 00112233445566778899aabbccddeeff [name value …]
//     checksum 8c5d0f4e1a2b3c4d
//
// One space between words, every line ended by a line feed, nothing behind the last one. What is
// decoded is exactly what would be encoded again: numbers without leading zeros, shards by
// ascending number, ranges ascending and as long as they can be. The checksum (FNV-1a, 64 bits) is
// over all the bytes in front of its line; it is there against torn and edited files, not against
// an adversary.
//
// Decoding never traps and takes time and memory in proportion to the input, of which it takes at
// most `maxByteCount`.

/// The codec of `nodes.conf`.
public enum NodesFile {
  /// What this code writes, and the only version it reads.
  public static let version = 1

  /// No file is longer, in bytes: 16384 shards, each with one slot and a long host and hostname,
  /// take 11 MB.
  public static let maxByteCount = 16 << 20

  /// The variables that the file has always, in this order, in front of all others.
  enum Variable: String, CaseIterable {
    /// `Topology.epoch`, `Topology.lastGeneration` and `Topology.hashSeed`.
    case currentEpoch, lastGeneration, hashSeed
  }

  /// The topology as the bytes of a file. It must be one that a map takes, and its generations no
  /// later than `lastGeneration`.
  public static func encode(_ topology: Topology) -> [UInt8] {
    precondition(
      topology.shards.allSatisfy { $0.id.generation <= topology.lastGeneration },
      "a shard's generation is after the last one")
    precondition(
      Set(topology.variables.map(\.name)).count == topology.variables.count,
      "two variables have the same name")
    // Asserts what is asked of shards and owners.
    let map = topology.map
    var bytes: [UInt8] = []
    bytes.append("tern-nodes \(version)\n")
    for (index, shard) in topology.shards.enumerated() {
      bytes.append(shard.nodeID)
      bytes.append(" ")
      bytes.append(shard.address)
      bytes.append(" shard \(shard.id.number) generation \(shard.id.generation)")
      bytes.append(" epoch \(shard.epoch.number) slots")
      for range in map.ranges(ofShardAt: index) {
        bytes.append(" ")
        bytes.append(range)
      }
      bytes.append("\n")
    }
    bytes.append("vars currentEpoch \(topology.epoch.number)")
    bytes.append(" lastGeneration \(topology.lastGeneration) hashSeed ")
    bytes.append(hexadecimal: topology.hashSeed.first)
    bytes.append(hexadecimal: topology.hashSeed.second)
    for variable in topology.variables { bytes.append(" \(variable.name) \(variable.value)") }
    bytes.append("\n")
    let sum = checksum(bytes[...])
    bytes.append("checksum ")
    bytes.append(hexadecimal: sum)
    bytes.append("\n")
    return bytes
  }

  /// The topology that `bytes` are the file of.
  public static func decode(_ bytes: [UInt8]) throws(NodesFileError) -> Topology {
    guard bytes.count <= maxByteCount else { throw NodesFileError(line: 1, reason: .tooLong) }
    var decoder = NodesFileDecoder(bytes: bytes)
    return try decoder.topology()
  }

  /// FNV-1a, 64 bits: any single changed byte changes it.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return sum
  }
}

/// Why a file is no `nodes.conf`.
public struct NodesFileError: Error, Hashable, Sendable {
  /// What is wrong with a line.
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    /// The file is longer than any such file can be.
    case tooLong = "the file is longer than any such file can be"
    /// The file ends in the middle of a line, or before its checksum.
    case truncated = "the file ends in the middle of a line, or before its checksum"
    /// This is not a nodes.conf of Tern.
    case notANodesFile = "this is not a nodes.conf of Tern"
    /// The file has a version that this program does not know.
    case unknownVersion = "the file has a version that this program does not know"
    /// The checksum does not fit the lines above it.
    case badChecksum = "the checksum does not fit the lines above it"
    /// There is something after the checksum.
    case afterTheEnd = "there is something after the checksum"
    /// The line is not made as its kind of line is.
    case badLine = "the line is not made as its kind of line is"
    /// The node id is not 40 hexadecimal digits.
    case badNodeID = "the node id is not 40 hexadecimal digits"
    /// The address is not host:port@busport[,hostname].
    case badAddress = "the address is not host:port@busport[,hostname]"
    /// The shard's number is not one from 1 to 65535.
    case badShardNumber = "the shard's number is not one from 1 to 65535"
    /// The generation is not a number from 1 on.
    case badGeneration = "the generation is not a number from 1 on"
    /// The epoch is not a number.
    case badEpoch = "the epoch is not a number"
    /// The slots are not ranges of slots, ascending and apart from each other.
    case badSlots = "the slots are not ranges of slots, ascending and apart from each other"
    /// A variable is not a name and a word.
    case badVariable = "a variable is not a name and a word"
    /// The hash seed is not 32 hexadecimal digits.
    case badHashSeed = "the hash seed is not 32 hexadecimal digits"
    /// The shards are not in the order of their numbers, or one comes twice.
    case shardsOutOfOrder = "the shards are not in the order of their numbers, or one comes twice"
    /// Another shard has the same node id.
    case duplicateNodeID = "another shard has the same node id"
    /// Another shard has the same address.
    case duplicateAddress = "another shard has the same address"
    /// The variable comes twice.
    case duplicateVariable = "the variable comes twice"
    /// Another shard owns one of the slots.
    case overlappingSlots = "another shard owns one of the slots"
    /// A variable is missing or not in its place.
    case missingVariable = "a variable is missing or not in its place"
    /// A shard's epoch is after the current one.
    case epochAfterCurrent = "a shard's epoch is after the current one"
    /// A shard's generation is after the last one.
    case generationAfterLast = "a shard's generation is after the last one"
    /// There is no shard.
    case noShards = "there is no shard"
    /// There are more shards than slots.
    case tooManyShards = "there are more shards than slots"
  }

  /// The line, from 1.
  public let line: Int
  /// What is wrong with it.
  public let reason: Reason
}

extension NodesFileError: CustomStringConvertible {
  /// The line and what is wrong with it, in words.
  public var description: String { "nodes.conf, line \(line): \(reason.rawValue)" }
}
