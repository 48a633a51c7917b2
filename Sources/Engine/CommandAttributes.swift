/// What a command may do and where it may run: the flags of Redis's `COMMAND INFO`, in the order in which Redis lists them.
public struct CommandFlags: OptionSet, Sendable {
  /// The set as bits; bit order is reply order.
  public let rawValue: UInt32

  /// A set from its bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Changes the keyspace.
  public static let write = CommandFlags(rawValue: 1 << 0)
  /// Reads the keyspace only.
  public static let readonly = CommandFlags(rawValue: 1 << 1)
  /// Refused while memory is at its limit.
  public static let denyoom = CommandFlags(rawValue: 1 << 2)
  /// An operator's command.
  public static let admin = CommandFlags(rawValue: 1 << 3)
  /// Not allowed in scripts.
  public static let noscript = CommandFlags(rawValue: 1 << 4)
  /// Allowed while a data set is being loaded.
  public static let loading = CommandFlags(rawValue: 1 << 5)
  /// Allowed on a replica whose data may be stale.
  public static let stale = CommandFlags(rawValue: 1 << 6)
  /// Constant or logarithmic time.
  public static let fast = CommandFlags(rawValue: 1 << 7)
  /// Allowed before authentication.
  public static let noAuth = CommandFlags(rawValue: 1 << 8)
  /// Not allowed inside MULTI.
  public static let noMulti = CommandFlags(rawValue: 1 << 9)
  /// Allowed while a script runs too long.
  public static let allowBusy = CommandFlags(rawValue: 1 << 10)
  /// Runs as if ASKING had been sent before it.
  public static let asking = CommandFlags(rawValue: 1 << 11)
  /// Names keys also where only its options tell.
  public static let movableKeys = CommandFlags(rawValue: 1 << 12)
  /// Not shown in the slow log; what it runs is.
  public static let skipSlowLog = CommandFlags(rawValue: 1 << 13)
  /// Not allowed while a replica loads a data set beside its old one.
  public static let noAsyncLoading = CommandFlags(rawValue: 1 << 14)

  /// Redis's names of the flags, by bit.
  static let names = [
    "write", "readonly", "denyoom", "admin", "noscript", "loading", "stale", "fast", "no_auth",
    "no_multi", "allow_busy", "asking", "movablekeys", "skip_slowlog", "no_async_loading",
  ]

  /// The names of the flags in this set, in Redis's order.
  var list: [String] {
    Self.names.indices.filter { rawValue >> $0 & 1 == 1 }.map { Self.names[$0] }
  }
}

/// The ACL categories of a command, in the order in which Redis lists them. `fast`/`slow`, `read`/`write` and `admin`/`dangerous` follow from the flags.
public struct CommandCategories: OptionSet, Sendable {
  /// The set as bits; bit order is reply order.
  public let rawValue: UInt32

  /// A set from its bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  // In Redis's order, all of them: replies show them in it.

  /// Commands over keys of any type.
  public static let keyspace = CommandCategories(rawValue: 1 << 0)
  /// Commands that read.
  public static let read = CommandCategories(rawValue: 1 << 1)
  /// Commands that write.
  public static let write = CommandCategories(rawValue: 1 << 2)
  /// Commands on sets.
  public static let set = CommandCategories(rawValue: 1 << 3)
  /// Commands on sorted sets.
  public static let sortedSet = CommandCategories(rawValue: 1 << 4)
  /// Commands on lists.
  public static let list = CommandCategories(rawValue: 1 << 5)
  /// Commands on hashes.
  public static let hash = CommandCategories(rawValue: 1 << 6)
  /// Commands on strings.
  public static let string = CommandCategories(rawValue: 1 << 7)
  /// Commands on strings as arrays of bits.
  public static let bitmap = CommandCategories(rawValue: 1 << 8)
  /// Commands on estimates of set sizes.
  public static let hyperLogLog = CommandCategories(rawValue: 1 << 9)
  /// Commands on places.
  public static let geo = CommandCategories(rawValue: 1 << 10)
  /// Commands on streams.
  public static let stream = CommandCategories(rawValue: 1 << 11)
  /// Commands about messages.
  public static let pubsub = CommandCategories(rawValue: 1 << 12)
  /// Operator's commands.
  public static let admin = CommandCategories(rawValue: 1 << 13)
  /// Constant or logarithmic time.
  public static let fast = CommandCategories(rawValue: 1 << 14)
  /// Everything else.
  public static let slow = CommandCategories(rawValue: 1 << 15)
  /// Commands that may wait.
  public static let blocking = CommandCategories(rawValue: 1 << 16)
  /// Commands that can harm a running system.
  public static let dangerous = CommandCategories(rawValue: 1 << 17)
  /// Commands about the connection.
  public static let connection = CommandCategories(rawValue: 1 << 18)
  /// Commands about transactions.
  public static let transaction = CommandCategories(rawValue: 1 << 19)
  /// Commands about scripts.
  public static let scripting = CommandCategories(rawValue: 1 << 20)

  /// Redis's names of the categories, by bit.
  static let names = [
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
    "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous",
    "connection", "transaction", "scripting",
  ]

  /// The names of the categories in this set, in Redis's order, without `@`.
  var list: [String] {
    Self.names.indices.filter { rawValue >> $0 & 1 == 1 }.map { Self.names[$0] }
  }
}

/// What a command does to the keys it names (Redis's key specification flags).
public struct KeyUse: OptionSet, Sendable {
  /// The set as bits; bit order is reply order.
  public let rawValue: UInt16

  /// A set from its bits.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Reads and writes the value.
  public static let readWrite = KeyUse(rawValue: 1 << 0)
  /// Reads only.
  public static let readOnly = KeyUse(rawValue: 1 << 1)
  /// Overwrites without reading.
  public static let overwrite = KeyUse(rawValue: 1 << 2)
  /// Removes the key.
  public static let remove = KeyUse(rawValue: 1 << 3)
  /// Returns or uses the user's data.
  public static let access = KeyUse(rawValue: 1 << 4)
  /// Changes the user's data, maybe depending on it.
  public static let update = KeyUse(rawValue: 1 << 5)
  /// Adds data, leaving what is there.
  public static let insert = KeyUse(rawValue: 1 << 6)
  /// Deletes data explicitly.
  public static let delete = KeyUse(rawValue: 1 << 7)
  /// What is done depends on the options.
  public static let variable = KeyUse(rawValue: 1 << 8)
  /// There may be keys that the specification does not find.
  public static let incomplete = KeyUse(rawValue: 1 << 9)

  /// Redis's names of the flags, by bit.
  static let names = [
    "RW", "RO", "OW", "RM", "access", "update", "insert", "delete", "variable_flags", "incomplete",
  ]

  /// The names of the flags in this set, in Redis's order.
  var list: [String] {
    Self.names.indices.filter { rawValue >> $0 & 1 == 1 }.map { Self.names[$0] }
  }
}

/// Where a command's keys stand among its arguments: every `step`-th from `first` to `last` (negative: from the end).
public struct KeySpecification: Sendable {
  /// Index of the first key; 0 = the command names no keys.
  public var first: Int8
  /// Index of the last key as `COMMAND INFO` shows it; −1 = the last argument.
  public var last: Int8
  /// Distance from key to key.
  public var step: Int8
  /// What is done to the keys.
  public var use: KeyUse
  /// Redis's note on the specification, if it has one.
  public var note: String?
  /// The word that the keys stand behind, up to the last argument; then `first` is where it is looked for, negative from the end.
  public var keyword: String? = nil
  /// Only the command itself knows where these keys are.
  public var isUnknown = false

  /// No keys.
  public static let none = KeySpecification(first: 0, last: 0, step: 0, use: [])

  /// One key at index `first`.
  public static func one(_ use: KeyUse, at first: Int8 = 1, note: String? = nil) -> Self {
    KeySpecification(first: first, last: first, step: 1, use: use, note: note)
  }

  /// The first two arguments, which have specifications of their own.
  public static let two = KeySpecification(first: 1, last: 2, step: 1, use: [])

  /// The arguments behind a word.
  public static func behind(_ keyword: String, from first: Int8, _ use: KeyUse) -> Self {
    var keys = KeySpecification(first: first, last: -1, step: 1, use: use)
    keys.keyword = keyword
    return keys
  }

  /// Keys that no rule finds.
  public static func unknown(_ use: KeyUse, note: String) -> Self {
    KeySpecification(first: 0, last: 0, step: 0, use: use, note: note, isUnknown: true)
  }

  /// What BY and GET of SORT name.
  public static let sortPatterns = KeySpecification.unknown(
    [.readOnly, .access],
    note:
      "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
  )

  /// Every `step`-th argument from the first on.
  public static func all(_ use: KeyUse, at first: Int8 = 1, step: Int8 = 1) -> Self {
    KeySpecification(first: first, last: -1, step: step, use: use)
  }
}

/// Whom a command concerns (DESIGN §9).
public enum CommandView: Sendable {
  /// The shard of the port, as a Redis Cluster node.
  case shard
  /// The whole process; changes go through a control request.
  case process
}

/// How a command behaves at the endpoint that fronts all shards (DESIGN §5).
public enum RouterBehaviour: Sendable {
  /// Answered where it arrives: it concerns the connection or the process.
  case local
  /// Goes to the shard of its key.
  case byKey
  /// Its keys are dealt out to their shards, and the replies merged so.
  case fanOut(ReplyMerge)
  /// Goes to every shard, and the replies are merged so.
  case allShards(ReplyMerge)
}

/// How the replies of several shards become one.
public enum ReplyMerge: Sendable {
  /// Arrays put together in the order of the request's keys.
  case inRequestOrder
  /// `OK` if all said so, else the first error.
  case allSucceeded
  /// The sum of the integers.
  case sum
  /// A merge of the command's own.
  case special
}

/// Redis's groups of commands.
public enum CommandGroup: String, Sendable {
  case string, generic, connection, server, cluster, bitmap, transactions
}

/// Everything that is known of one command or subcommand. One line of `CommandTable.all`.
public struct Command: Sendable {
  /// Its id, which is its index in the table.
  public let id: CommandID
  /// Its name in lower case; `container|subcommand` for a subcommand.
  public let name: String
  /// Number of arguments with the name; negative: at least so many.
  public let arity: Int8
  /// What it may do.
  public let flags: CommandFlags
  /// Its ACL categories.
  public let categories: CommandCategories
  /// Where its keys are, in one range; see `CommandFlags.movableKeys`.
  public let keys: KeySpecification
  /// The same in Redis's own words, where one range does not say all.
  public let specifications: [KeySpecification]
  /// Whom it concerns.
  public let view: CommandView
  /// How the router treats it.
  public let router: RouterBehaviour
  /// Redis's hints to clients that deal commands out.
  public let tips: [String]
  /// Its group.
  public let group: CommandGroup
  /// The Redis version that brought it.
  public let since: String
  /// Its cost.
  public let complexity: String
  /// The container that it is a subcommand of.
  public let container: CommandID?

  init(
    _ id: CommandID, _ name: String, _ arity: Int8, _ flags: CommandFlags,
    _ categories: CommandCategories, keys: KeySpecification = .none,
    specifications: [KeySpecification]? = nil, view: CommandView = .shard,
    router: RouterBehaviour = .local, tips: [String] = [], _ group: CommandGroup, since: String,
    _ complexity: String, of container: CommandID? = nil
  ) {
    self.id = id
    self.name = name
    self.arity = arity
    self.flags = flags
    var all = categories
    if flags.contains(.write) { all.insert(.write) }
    if flags.contains(.readonly) { all.insert(.read) }
    if flags.contains(.admin) { all.formUnion([.admin, .dangerous]) }
    all.insert(flags.contains(.fast) ? .fast : .slow)
    self.categories = all
    self.keys = keys
    self.specifications = specifications ?? (keys.first == 0 ? [] : [keys])
    self.view = view
    self.router = router
    self.tips = tips
    self.group = group
    self.since = since
    self.complexity = complexity
    self.container = container
  }
}
