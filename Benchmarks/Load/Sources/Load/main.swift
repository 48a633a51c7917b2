import Glibc

/// Reads the command line, as pairs.
func options() throws(Broken) -> Options {
  var options = Options()
  var words = CommandLine.arguments.dropFirst()
  while let name = words.popFirst() {
    if name == "--fill" {
      options.fills = true
      continue
    }
    guard let text = words.popFirst() else { throw Broken("\(name) needs a value") }
    if name == "--prefix" {
      options.prefix = text
      continue
    }
    guard let number = Double(text) else { throw Broken("\(name) \(text) is no number") }
    switch name {
    case "--port": options.port = Int(number)
    case "--keys": options.keys = Int(number)
    case "--value": options.valueByteCount = Int(number)
    case "--clients": options.clients = Int(number)
    case "--rate": options.rate = Int(number)
    case "--seconds": options.seconds = number
    case "--writes": options.writePercent = Int(number)
    case "--bucket-ms": options.bucketMilliseconds = Int(number)
    case "--seed": options.seed = UInt64(number)
    default: throw Broken("unknown option \(name)")
    }
  }
  return options
}

do throws(Broken) {
  let options = try options()
  if options.fills {
    try Load.fill(options)
  } else {
    let load = try Load(options)
    try load.run()
    print(load.report())
  }
} catch {
  let line = "load: \(error.reason)\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
  exit(1)
}
