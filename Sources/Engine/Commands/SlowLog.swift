internal import RESP
internal import Storage

// SLOWLOG: the commands of this shard that took long.

extension Engine {
  /// SLOWLOG GET [count]; −1 = all.
  mutating func slowLogGet(_ call: Call) -> Effect {
    if call.count > 3 { return subcommandSyntaxError(call) }
    var count = 10
    if call.count == 3 {
      guard let number = call[2].integer(), number >= -1 else {
        return failing("ERR count should be greater than or equal to -1")
      }
      count = number == -1 ? .max : Int(number)
    }
    let isOfAll = sessions[current].shard == Session.endpoint
    var commands: [SlowCommand] = []
    for place in shownPlaces { commands += diaries[place].slowLog.last(count) }
    if shownPlaces.count > 1 {
      commands.sort { $0.processNumber > $1.processNumber }
      commands = Array(commands.prefix(min(count, settings.slowlogMaxLength)))
    }
    reply.arrayHeader(commands.count)
    for command in commands {
      reply.arrayHeader(6)
      reply.integer(isOfAll ? command.processNumber : Int64(command.number))
      reply.integer(command.second)
      reply.integer(Int64(clamping: command.microseconds))
      reply.arrayHeader(command.arguments.count)
      for argument in command.arguments { reply.bulk(bytes: argument) }
      reply.bulk(text: command.address)
      reply.bulk(text: command.name)
    }
    return .none
  }

  /// SLOWLOG LEN; at the router no more than GET shows.
  mutating func slowLogLength(_ call: Call) -> Effect {
    let count = shownPlaces.reduce(0) { $0 + diaries[$1].slowLog.count }
    reply.integer(Int64(min(count, settings.slowlogMaxLength)))
    return .none
  }

  /// SLOWLOG RESET.
  mutating func slowLogReset(_ call: Call) -> Effect {
    for place in shownPlaces { diaries[place].slowLog.removeAll() }
    reply.ok()
    return .none
  }

  /// SLOWLOG HELP.
  mutating func slowLogHelp(_ call: Call) -> Effect {
    help(
      "SLOWLOG",
      [
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name", "LEN", "    Return the length of the slowlog.", "RESET",
        "    Reset the slowlog.",
      ])
  }
}
