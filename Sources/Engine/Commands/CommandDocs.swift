internal import RESP

// COMMAND DOCS: the command table and the documentation, in the form of Redis 7.

extension Engine {
  /// COMMAND DOCS [name …]: unknown names are left out.
  mutating func commandDocs(_ call: Call) -> Effect {
    var wanted: [Command] = []
    if call.count == 2 {
      wanted = lookup.available.filter { $0.container == nil }
    } else {
      for i in 2..<call.count {
        if let command = lookup.command(fullName: call[i]) { wanted.append(command) }
      }
    }
    reply.mapHeader(wanted.count, reply.version)
    for command in wanted { document(command) }
    return .none
  }

  /// A command's name and its documentation.
  private mutating func document(_ command: Command) {
    let docs = Documentation.all[command.name] ?? Documentation()
    let subcommands = CommandTable.all.filter { $0.container == command.id }
    reply.bulk(text: command.name)
    var count = 3 + (docs.tellsComplexity ? 1 : 0) + (docs.flag == nil ? 0 : 1)
    count += (docs.deprecatedSince == nil ? 0 : 1) + (docs.replacedBy == nil ? 0 : 1)
    count += (docs.history.isEmpty ? 0 : 1) + (docs.arguments.isEmpty ? 0 : 1)
    reply.mapHeader(count + (subcommands.isEmpty ? 0 : 1), reply.version)
    field("summary", docs.summary)
    field("since", command.since)
    field("group", command.group.rawValue)
    if docs.tellsComplexity { field("complexity", command.complexity) }
    if let flag = docs.flag {
      reply.bulk("doc_flags")
      simpleSet([flag])
    }
    if let since = docs.deprecatedSince { field("deprecated_since", since) }
    if let replacement = docs.replacedBy { field("replaced_by", replacement) }
    if !docs.history.isEmpty {
      reply.bulk("history")
      reply.setHeader(docs.history.count, reply.version)
      for (version, change) in docs.history {
        reply.arrayHeader(2)
        reply.bulk(text: version)
        reply.bulk(text: change)
      }
    }
    if !docs.arguments.isEmpty { document(docs.arguments) }
    if !subcommands.isEmpty {
      reply.bulk("subcommands")
      reply.mapHeader(subcommands.count, reply.version)
      for subcommand in subcommands { document(subcommand) }
    }
  }

  private mutating func document(_ arguments: [DocumentedArgument]) {
    reply.bulk("arguments")
    reply.arrayHeader(arguments.count)
    for argument in arguments {
      var count = 2 + (argument.keySpecification == nil ? 0 : 1) + (argument.token == nil ? 0 : 1)
      count += (argument.since == nil ? 0 : 1) + (argument.deprecatedSince == nil ? 0 : 1)
      count += (argument.flags.isEmpty ? 0 : 1) + (argument.parts.isEmpty ? 0 : 1)
      reply.mapHeader(count, reply.version)
      field("name", argument.name)
      field("type", argument.type)
      if let keys = argument.keySpecification {
        reply.bulk("key_spec_index")
        reply.integer(Int64(keys))
      }
      if let token = argument.token { field("token", token) }
      if let since = argument.since { field("since", since) }
      if let since = argument.deprecatedSince { field("deprecated_since", since) }
      if !argument.flags.isEmpty {
        reply.bulk("flags")
        simpleSet(argument.flags)
      }
      if !argument.parts.isEmpty { document(argument.parts) }
    }
  }

  private mutating func field(_ name: StaticString, _ text: String) {
    reply.bulk(name)
    reply.bulk(text: text)
  }
}
