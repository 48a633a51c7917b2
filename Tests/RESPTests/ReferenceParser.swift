import RESP

/// The protocol's rules once more, slow and plain: all bytes at once, one after another. What the parser is compared with.
func reference(_ bytes: [UInt8], limits: ProtocolLimits = ProtocolLimits()) -> Outcome {
  var outcome = Outcome()
  var rest = bytes[...]
  do throws(ProtocolError) {
    while let first = rest.first {
      if first == UInt8(ascii: "*") {
        guard let request = try referenceMultibulk(&rest, limits) else { break }
        if !request.isEmpty { outcome.requests.append(request) }
      } else {
        guard let line = try referenceLine(&rest, end: 10, skip: 0, limits, .tooBigInline) else {
          break
        }
        let words = try referenceWords(line.last == 13 ? Array(line.dropLast()) : line)
        if !words.isEmpty { outcome.requests.append(words) }
      }
    }
  } catch {
    outcome.error = error
  }
  return outcome
}

/// Takes a line off, with its end and `skip` bytes behind that.
private func referenceLine(
  _ rest: inout ArraySlice<UInt8>, end: UInt8, skip: Int, _ limits: ProtocolLimits,
  _ error: ProtocolError.Kind
) throws(ProtocolError) -> [UInt8]? {
  guard let index = rest.prefix(limits.maxInlineLength + 1).firstIndex(of: end) else {
    if rest.count > limits.maxInlineLength { throw ProtocolError(error) }
    return nil
  }
  guard rest.endIndex - index > skip else { return nil }
  let line = Array(rest[..<index])
  rest = rest[(index + 1 + skip)...]
  return line
}

private func referenceNumber(_ text: ArraySlice<UInt8>) -> Int64? {
  let string = String(decoding: text, as: UTF8.self)
  guard let number = Int64(string), String(number) == string else { return nil }
  return number
}

private func referenceMultibulk(
  _ rest: inout ArraySlice<UInt8>, _ limits: ProtocolLimits
) throws(ProtocolError) -> [[UInt8]]? {
  guard let head = try referenceLine(&rest, end: 13, skip: 1, limits, .tooBigMultibulkCount) else {
    return nil
  }
  guard let count = referenceNumber(head.dropFirst()), count <= limits.maxMultibulkLength else {
    throw ProtocolError(.invalidMultibulkLength)
  }
  if count > 10, !limits.isAuthenticated { throw ProtocolError(.unauthenticatedMultibulkLength) }
  var arguments: [[UInt8]] = []
  while arguments.count < count {
    guard let line = try referenceLine(&rest, end: 13, skip: 1, limits, .tooBigBulkCount) else {
      return nil
    }
    let type = line.first ?? 13
    guard type == UInt8(ascii: "$") else { throw ProtocolError(.expectedDollar, byte: type) }
    guard let length = referenceNumber(line.dropFirst()), length >= 0,
      length <= limits.maxBulkLength
    else {
      throw ProtocolError(.invalidBulkLength)
    }
    if length > 16384, !limits.isAuthenticated { throw ProtocolError(.unauthenticatedBulkLength) }
    guard rest.count >= 2, rest.count - 2 >= length else { return nil }
    arguments.append(Array(rest.prefix(Int(length))))
    rest = rest.dropFirst(Int(length) + 2)
  }
  return arguments
}

/// The words of a line, by a state machine.
private func referenceWords(_ line: [UInt8]) throws(ProtocolError) -> [[UInt8]] {
  enum State { case between, word, double, single, closed }
  var state = State.between
  var words: [[UInt8]] = []
  var word: [UInt8] = []
  var rest = line[...]
  let spaces: [UInt8] = [9, 10, 11, 12, 13, 32]
  while let byte = rest.popFirst() {
    switch state {
    case .closed:
      if !spaces.contains(byte) { throw ProtocolError(.unbalancedQuotes) }
      state = .between
    case .between, .word:
      if state == .between, spaces.contains(byte) { continue }
      if [32, 9, 10, 13].contains(byte) {
        words.append(word)
        word = []
        state = .between
      } else if byte == UInt8(ascii: "\"") {
        state = .double
      } else if byte == UInt8(ascii: "'") {
        state = .single
      } else {
        word.append(byte)
        state = .word
      }
    case .double:
      if byte == UInt8(ascii: "\"") {
        words.append(word)
        word = []
        state = .closed
      } else if byte == UInt8(ascii: "\\"), let next = rest.first {
        let hex = String(decoding: rest.dropFirst().prefix(2), as: UTF8.self)
        if next == UInt8(ascii: "x"), hex.utf8.count == 2, !hex.contains("+"), !hex.contains("-"),
          let value = UInt8(hex, radix: 16)
        {
          word.append(value)
          rest = rest.dropFirst(3)
        } else {
          let escapes: [Character: UInt8] = ["n": 10, "r": 13, "t": 9, "b": 8, "a": 7]
          word.append(escapes[Character(Unicode.Scalar(next))] ?? next)
          rest = rest.dropFirst()
        }
      } else {
        word.append(byte)
      }
    case .single:
      if byte == UInt8(ascii: "'") {
        words.append(word)
        word = []
        state = .closed
      } else if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "'") {
        word.append(UInt8(ascii: "'"))
        rest = rest.dropFirst()
      } else {
        word.append(byte)
      }
    }
  }
  switch state {
  case .word: words.append(word)
  case .double, .single: throw ProtocolError(.unbalancedQuotes)
  case .between, .closed: break
  }
  return words
}
