// What one core does without sockets: a LocalShard of a million keys (16-byte keys, 16-byte values), asked for keys
// drawn uniformly.
//
//     swift run -c release --package-path Benchmarks LocalShardBench [keys] [rounds] [get|set|typed]
//
// Requests are made before they are measured, so that only parsing, table and replies are. Replies are taken after every
// batch of 16, as a server takes them at the end of a turn.

import Engine
import Glibc
import Tern

/// How many requests one `receive` brings.
let batch = 16
/// How many requests one round has.
let requestCount = 1 << 20

/// Numbers from a seed.
struct Numbers {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func below(_ limit: Int) -> Int {
    Int(next().multipliedFullWidth(by: UInt64(limit)).high)
  }
}

/// Nanoseconds of this process's CPU time: on a shared machine the wall clock measures the others.
func cpuNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// `key:000000001234`, 16 bytes.
func append(key: Int, to bytes: inout [UInt8]) {
  bytes += Array("key:".utf8)
  var divisor = 100_000_000_000
  for _ in 0..<12 {
    bytes.append(UInt8(48 + key / divisor % 10))
    divisor /= 10
  }
}

let value = Array("value-of-16-byte".utf8)

/// Requests of one kind, all of the same length.
func requests(keyCount: Int, isSet: Bool, seed: UInt64, inOrder: Bool = false) -> [UInt8] {
  var numbers = Numbers(state: seed)
  var bytes: [UInt8] = []
  let count = inOrder ? keyCount : requestCount
  bytes.reserveCapacity(count * (isSet ? 64 : 40))
  for i in 0..<count {
    bytes += Array((isSet ? "*3\r\n$3\r\nSET\r\n$16\r\n" : "*2\r\n$3\r\nGET\r\n$16\r\n").utf8)
    append(key: inOrder ? i : numbers.below(keyCount), to: &bytes)
    bytes += [13, 10]
    if isSet { bytes += Array("$16\r\n".utf8) + value + [13, 10] }
  }
  return bytes
}

/// Gives the shard requests in batches and takes the replies; how many bytes these were.
func play(_ bytes: [UInt8], _ requestByteCount: Int, _ shard: inout LocalShard, _ client: ClientID)
  -> Int
{
  let all = bytes.span.bytes
  let step = requestByteCount * batch
  var offset = 0
  var replied = 0
  while offset < all.byteCount {
    let end = min(offset + step, all.byteCount)
    shard.receive(all.extracting(offset..<end), from: client)
    while true {
      let count = shard.reply(to: client).byteCount
      if count == 0 { break }
      shard.replied(count, to: client)
      replied += count
    }
    offset = end
  }
  return replied
}

/// One line of the table.
func report(_ name: String, _ nanoseconds: [Double]) {
  if nanoseconds.isEmpty { return }
  let sorted = nanoseconds.sorted()
  let median = sorted[sorted.count / 2]
  func fixed(_ value: Double, _ width: Int) -> String {
    let hundredths = Int((value * 100).rounded())
    let text =
      "\(hundredths / 100)." + (hundredths % 100 < 10 ? "0" : "") + "\(hundredths % 100)"
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
  let padded = name + String(repeating: " ", count: max(0, 34 - name.count))
  print("\(padded)\(fixed(median, 8))\(fixed(sorted[0], 8))\(fixed(1000 / median, 9))")
}

let keyCount =
  CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1_000_000 : 1_000_000
let rounds = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 9 : 9

/// Only this kind, for a profile.
let only = CommandLine.arguments.count > 3 ? CommandLine.arguments[3] : ""

var shard = try LocalShard()
shard.setTime(milliseconds: 1_700_000_000_000)
guard let client = shard.connect() else { exit(1) }
let getByteCount = 4 + 9 + 5 + 18
let setByteCount = getByteCount + 5 + 18

let filling = requests(keyCount: keyCount, isSet: true, seed: 1, inOrder: true)
_ = play(filling, setByteCount, &shard, client)
precondition(shard.keyCount == keyCount, "not all keys are there")
print(
  "\(keyCount) keys, \(shard.keyspaceByteCount / keyCount) bytes each; \(rounds) rounds of \(requestCount)"
)
print("                                    ns/command     min    M/s")

var gets: [Double] = []
var sets: [Double] = []
var typedGets: [Double] = []
var typedSets: [Double] = []
var keys: [UInt8] = []
for round in 0..<rounds {
  let seed = UInt64(round) + 100
  let getBytes = requests(keyCount: keyCount, isSet: false, seed: seed)
  let setBytes = requests(keyCount: keyCount, isSet: true, seed: seed + 1000)
  keys.removeAll(keepingCapacity: true)
  var numbers = Numbers(state: seed + 2000)
  for _ in 0..<requestCount { append(key: numbers.below(keyCount), to: &keys) }

  if only.isEmpty || only == "get" {
    let start = cpuNanoseconds()
    let replied = play(getBytes, getByteCount, &shard, client)
    gets.append(Double(cpuNanoseconds() - start) / Double(requestCount))
    precondition(replied == requestCount * 23, "a reply is missing")
  }
  if only.isEmpty || only == "set" {
    let start = cpuNanoseconds()
    let stored = play(setBytes, setByteCount, &shard, client)
    sets.append(Double(cpuNanoseconds() - start) / Double(requestCount))
    precondition(stored == requestCount * 5, "a reply is missing")
  }
  guard only.isEmpty || only == "typed" else { continue }
  var start = cpuNanoseconds()
  var found = 0
  for i in 0..<requestCount {
    found += shard.get(keys.span.bytes.extracting(i * 16..<(i * 16 + 16))) { $0?.byteCount ?? 0 }
  }
  typedGets.append(Double(cpuNanoseconds() - start) / Double(requestCount))
  precondition(found == requestCount * 16, "a value is missing")

  start = cpuNanoseconds()
  for i in 0..<requestCount {
    shard.set(keys.span.bytes.extracting(i * 16..<(i * 16 + 16)), value.span.bytes)
  }
  typedSets.append(Double(cpuNanoseconds() - start) / Double(requestCount))
}
report("GET, RESP, batches of \(batch)", gets)
report("SET, RESP, batches of \(batch)", sets)
report("get, typed, one by one", typedGets)
report("set, typed, one by one", typedSets)
