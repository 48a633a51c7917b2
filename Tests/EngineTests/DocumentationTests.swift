import Testing

@testable import Engine

@Suite struct DocumentationTests {
  /// Whoever adds a command documents it, in the file of its family beside `Documentation.swift`.
  @Test func everyCommandIsDocumented() {
    for command in CommandTable.all {
      let docs = Documentation.all[command.name]
      #expect(docs?.summary.hasSuffix(".") == true, "\(command.name) is not documented")
    }
  }

  /// Arguments that are keys point at the table's key specifications, and all of these are pointed at.
  @Test func keysBelongToSpecifications() {
    func indices(_ arguments: [DocumentedArgument]) -> Set<Int> {
      arguments.reduce(into: []) { found, argument in
        if let index = argument.keySpecification { found.insert(index) }
        found.formUnion(indices(argument.parts))
      }
    }
    for command in CommandTable.all {
      let found = indices(Documentation.all[command.name]?.arguments ?? [])
      // What SORT's options name counts as unknown keys; RESTORE-ASKING and the like have theirs.
      #expect(found == Set(command.specifications.indices), "\(command.name)")
    }
  }

  @Test func typesAndFlagsAreRedis() {
    let types: Set = [
      "string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block",
    ]
    func check(_ argument: DocumentedArgument, of name: String) {
      #expect(types.contains(argument.type), "\(name): \(argument)")
      #expect(!argument.name.isEmpty)
      #expect(argument.type != "pure-token" || argument.token != nil, "\(name): \(argument)")
      let isMade = argument.type == "oneof" || argument.type == "block"
      #expect(isMade == !argument.parts.isEmpty, "\(name): \(argument)")
      for part in argument.parts { check(part, of: name) }
    }
    for (name, docs) in Documentation.all {
      for argument in docs.arguments { check(argument, of: name) }
      #expect((docs.flag == "deprecated") == (docs.deprecatedSince != nil))
      #expect((docs.deprecatedSince == nil) == (docs.replacedBy == nil))
    }
  }

  @Test func notation() throws {
    var found: [String: Documentation] = [:]
    Documentation.read(
      """
      a|b
        = Does it.
        ^ 1.2.3 It may do more.
        ! deprecated 2.0.0 `C` with `D`
        - complexity
        key:key#0 ip:port:string=ADDR@1.0.0~2.0.0?*+
          x:oneof ( empty:pure-token="" star:pure-token="~*" )
      """, into: &found)
    let docs = try #require(found["a|b"])
    #expect(docs.summary == "Does it.")
    #expect(docs.history.map(\.version) == ["1.2.3"])
    #expect(docs.history.map(\.change) == ["It may do more."])
    #expect(docs.flag == "deprecated" && docs.deprecatedSince == "2.0.0")
    #expect(docs.replacedBy == "`C` with `D`")
    #expect(!docs.tellsComplexity)
    #expect(docs.arguments.map(\.name) == ["key", "ip:port", "x"])
    #expect(docs.arguments.map(\.type) == ["key", "string", "oneof"])
    #expect(docs.arguments[0].keySpecification == 0)
    #expect(docs.arguments[1].token == "ADDR" && docs.arguments[1].since == "1.0.0")
    #expect(docs.arguments[1].deprecatedSince == "2.0.0")
    #expect(docs.arguments[1].flags == ["optional", "multiple", "multiple_token"])
    #expect(docs.arguments[2].parts.map(\.token) == ["", "~*"])
  }

  /// The vectors of FIPS 180-4, and every length around the padding's edge.
  @Test func sha1() {
    #expect(SHA1([]).text == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    #expect(SHA1(Array("abc".utf8)).text == "a9993e364706816aba3e25717850c26c9cd0d89d")
    let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    #expect(SHA1(Array(long.utf8)).text == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
    let texts = (50..<70).map { SHA1(Array(repeating: 97, count: $0)).text }
    #expect(Set(texts).count == 20)
    #expect(
      SHA1(Array(repeating: 97, count: 64)).text == "0098ba824b5c16427bd7a1122a5a442a25ec644d")
    #expect(SHA1(SHA1([]).bytes) != SHA1([]))
  }
}
