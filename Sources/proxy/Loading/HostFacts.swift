import Configuration
import Linux

/// What the resolution of a configuration asks of the machine, so that a test can answer in its
/// place.
struct HostFacts: Sendable {
    /// Processors this process may use.
    var cores: Int
    /// Whether we may become another user.
    var isRoot: Bool
    /// Who we are, for people.
    var userName: String
    var environment: [String: String]
    /// The folder a relative path on the command line starts from.
    var workingFolder: String
    /// Whether an address and port can be listened on, alone or beside sockets of our own. Asked
    /// without listening, which would take connections away from a proxy that serves.
    var mayListen: @Sendable (_ address: String, _ port: UInt16) -> Bool
    /// Raises the limit of open files as far as it goes towards `wanted`, and says what it is now.
    var openFiles: @Sendable (_ wanted: UInt64) -> UInt64

    /// This machine, and this process.
    static func current() -> HostFacts {
        var environment: [String: String] = [:]
        for entry in ProcessTraits.environment {
            guard let equals = entry.firstIndex(of: "=") else { continue }
            environment[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        let user = ProcessTraits.effectiveUser
        return HostFacts(
            cores: Cores.available, isRoot: ProcessTraits.isRoot,
            userName: Account.userName(of: user) ?? "user \(user)", environment: environment,
            workingFolder: (try? FileSystem.target(ofLink: "/proc/self/cwd")) ?? "/",
            mayListen: { address, port in
                guard let address = SocketAddress(address: address, port: port) else {
                    return false
                }
                return (try? ListeningSocket(bound: address).number) != nil
            },
            openFiles: { wanted in
                (try? ResourceLimit.raise(.openFiles, to: wanted)) ?? 0
            })
    }
}
