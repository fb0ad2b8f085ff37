import Configuration
import Linux
import Supervision

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
    /// Starts an interpreter once, as an account (nil: as we are); what is wrong with it, or nil.
    var interpreterFault: @Sendable (_ program: String, _ account: Account?) -> String?
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
                // Without listening: that would take connections away from listeners of our own.
                return (try? ListeningSocket.checkFree(address)) != nil
                    || PortOwner.isThisProcess(address)
            },
            interpreterFault: Interpreter.fault(of:as:),
            openFiles: { wanted in
                (try? ResourceLimit.raise(.openFiles, to: wanted)) ?? 0
            })
    }
}

extension HostFacts {
    /// Whom a service's app runs as; nil: as we are.
    func account(of service: String, _ configuration: Configuration) -> Account? {
        guard isRoot else { return nil }
        let user = configuration.value(PoolOptions.user, service) ?? nil
        let group = configuration.value(PoolOptions.group, service) ?? nil
        let general = configuration.value(MasterOptions.user) ?? nil
        guard let name = user ?? general else { return nil }
        let isOwn = user != nil || group != nil
        let generalGroup = configuration.value(MasterOptions.group) ?? nil
        return Account.named(name, group: isOwn ? group : generalGroup)
    }
}
