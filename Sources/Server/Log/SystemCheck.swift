public import Engine
internal import Glibc

/// What about the machine stands in a server's way: each as a sentence that says what to do.
public enum SystemCheck {
  /// What the machine says of itself; nil = unknown.
  struct Machine {
    /// `/proc/sys/vm/overcommit_memory`.
    var overcommit: String?
    /// `/sys/kernel/mm/transparent_hugepage/enabled`.
    var hugePages: String?
    /// `/proc/sys/net/core/somaxconn`.
    var longestQueue: String?
    /// Descriptors that the process may open.
    var openFiles: Int?
  }

  /// The warnings for this machine, after the limit of open files was raised as far as it can be.
  public static func warnings(for settings: Settings) -> [String] {
    warnings(
      for: settings,
      Machine(
        overcommit: Files.read("/proc/sys/vm/overcommit_memory"),
        hugePages: Files.read("/sys/kernel/mm/transparent_hugepage/enabled"),
        longestQueue: Files.read("/proc/sys/net/core/somaxconn"),
        openFiles: ProcessState.raiseOpenFiles(settings)))
  }

  /// The warnings for a machine.
  static func warnings(for settings: Settings, _ machine: Machine) -> [String] {
    var warnings: [String] = []
    if let openFiles = machine.openFiles, openFiles < ProcessState.neededOpenFiles(settings) {
      warnings.append(
        "the limit of open files is \(openFiles): maxclients \(settings.maxClients) needs \(ProcessState.neededOpenFiles(settings)) and is \(ProcessState.mostClients(settings, openFiles: openFiles)) instead. Raise it with 'ulimit -n' or LimitNOFILE"
      )
    }
    if number(machine.overcommit) == 0 {
      warnings.append(
        "vm.overcommit_memory is 0: allocations may fail while memory is low. Set it with 'sysctl vm.overcommit_memory=1'"
      )
    }
    if machine.hugePages?.contains("[always]") == true {
      warnings.append(
        "transparent huge pages are 'always': memory grows and latency suffers. Set them with 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled'"
      )
    }
    if let queue = number(machine.longestQueue), queue < settings.tcpBacklog {
      warnings.append(
        "tcp-backlog \(settings.tcpBacklog) cannot be had: net.core.somaxconn is \(queue). Raise it with sysctl"
      )
    }
    return warnings
  }

  private static func number(_ text: String?) -> Int? {
    text.flatMap { Int($0.filter { $0.isNumber }) }
  }
}
