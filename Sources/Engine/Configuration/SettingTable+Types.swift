// The table of settings: types, tls. See `Setting`.

extension SettingTable {
  /// When small collections become large ones.
  static let types: [Setting] = [
    .accepted(
      "hash-max-listpack-entries", alias: "hash-max-ziplist-entries", .integer(0...Int.max), "512",
      "that data type is not there yet"),
    .accepted(
      "hash-max-listpack-value", alias: "hash-max-ziplist-value", .memory(0...int64), "64",
      "that data type is not there yet"),
    .accepted(
      "hll-sparse-max-bytes", .memory(0...int64), "3000",
      "that data type is not there yet"),
    .accepted(
      "list-compress-depth", .integer(0...int32), "0",
      "that data type is not there yet"),
    .accepted(
      "list-max-listpack-size", alias: "list-max-ziplist-size", .integer(-int32 - 1...int32), "-2",
      "that data type is not there yet"),
    .accepted(
      "set-max-intset-entries", .integer(0...Int.max), "512",
      "that data type is not there yet"),
    .accepted(
      "stream-node-max-bytes", .memory(0...int64), "4096",
      "that data type is not there yet"),
    .accepted(
      "stream-node-max-entries", .integer(0...Int.max), "100",
      "that data type is not there yet"),
    .accepted(
      "zset-max-listpack-entries", alias: "zset-max-ziplist-entries", .integer(0...Int.max), "128",
      "that data type is not there yet"),
    .accepted(
      "zset-max-listpack-value", alias: "zset-max-ziplist-value", .memory(0...int64), "64",
      "that data type is not there yet"),
  ]
}

extension SettingTable {
  /// Encryption.
  static let tls: [Setting] = [
    .accepted(
      "tls-auth-clients", .choice(["no", "yes", "optional"]), "yes",
      "there is no TLS yet"),
    .accepted(
      "tls-ca-cert-dir", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-ca-cert-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-cert-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-ciphers", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-ciphersuites", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-client-cert-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-client-key-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-client-key-file-pass", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-cluster", .flag, "no",
      "there is no TLS yet"),
    .accepted(
      "tls-dh-params-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-key-file", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-key-file-pass", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-port", .special(.noTLSPort), "0",
      "there is no TLS yet"),
    .accepted(
      "tls-prefer-server-ciphers", .flag, "no",
      "there is no TLS yet"),
    .accepted(
      "tls-protocols", .text, "",
      "there is no TLS yet"),
    .accepted(
      "tls-replication", .flag, "no",
      "there is no TLS yet"),
    .accepted(
      "tls-session-cache-size", .integer(0...int32), "20480",
      "there is no TLS yet"),
    .accepted(
      "tls-session-cache-timeout", .integer(0...int32), "300",
      "there is no TLS yet"),
    .accepted(
      "tls-session-caching", .flag, "yes",
      "there is no TLS yet"),
  ]
}
