import Configuration
import Linux
import Routing
import Signals
import Supervision

/// Decides everything that the file leaves to the master: cores, folders, users, interpreters,
/// `auto`.
struct Resolution {
    let host: HostFacts
    private(set) var notices: [String] = []

    init(host: HostFacts) { self.host = host }

    /// Sets what is missing; what was written stays.
    mutating func resolve(_ configuration: inout Configuration) {
        resolveListeners(&configuration)
        if configuration.values.node(["edges"])?.text == "auto" {
            configuration.set(
                ["edges"], to: String(min(host.cores, FrontOptions.automaticEdgesMax)))
        }
        resolveUser(&configuration)
        resolveFolders(&configuration)
        for name in configuration.names("services.*") { resolve(service: name, &configuration) }
        lowerConnections(&configuration)
        configuration.fill(from: .proxy)
    }

    /// `auto` becomes the loopback names with the ports that may be bound.
    private mutating func resolveListeners(_ configuration: inout Configuration) {
        let numbers = configuration.names("listen[]")
        guard
            let number = numbers.first(where: {
                configuration.values.node(["listen", $0, "url"])?.text == "auto"
            })
        else { return }
        let usual = [443, 80].allSatisfy { host.mayListen("127.0.0.1", $0) }
        let ports = usual ? ["443", "80"] : ["8443", "8080"]
        notices.append(
            usual
                ? "listen: auto took ports 443 and 80 on the loopback addresses"
                : "listen: auto took ports 8443 and 8080 on the loopback addresses, "
                    + "since 443 and 80 may not be bound")
        configuration.set(["listen", number, "url"], to: "https://localhost:\(ports[0])")
        let last = numbers.compactMap { Int($0) }.max() ?? 0
        configuration.set(["listen", String(last + 1), "url"], to: "http://localhost:\(ports[1])")
    }

    /// A default that this machine's limit of open files has no room for is lowered, not refused.
    private mutating func lowerConnections(_ configuration: inout Configuration) {
        guard !configuration.isWritten("limits", "connections"),
            let files = OpenFiles(configuration)
        else { return }
        let limit = host.openFiles(UInt64(files.needed))
        let possible = files.connections(within: limit)
        guard limit < UInt64(files.needed), possible >= OpenFiles.connectionsMin else { return }
        configuration.set(["limits", "connections"], to: String(possible))
        notices.append(
            "limits.connections is \(possible) instead of \(files.connections), "
                + "since an edge may open only \(limit) files; raise it with ulimit -n")
    }

    private func resolveUser(_ configuration: inout Configuration) {
        guard host.isRoot, !configuration.isWritten("user"), !configuration.has("user"),
            Account.named("nobody") != nil
        else { return }
        configuration.set(["user"], to: "nobody")
    }

    private func resolveFolders(_ configuration: inout Configuration) {
        func set(_ path: [String], _ value: String) {
            guard configuration.values.node(path) == nil else { return }
            configuration.set(path, to: absolutePath(value, in: "/"))
        }
        let variables = host.environment.filter { $0.value.hasPrefix("/") }
        let home = variables["HOME"] ?? "/tmp/proxy-\(ProcessTraits.effectiveUser)"
        set(
            ["directories", "runtime"],
            host.isRoot
                ? "/run/proxy"
                : variables["XDG_RUNTIME_DIR"].map { "\($0)/proxy" }
                    ?? "/tmp/proxy-\(ProcessTraits.effectiveUser)")
        set(
            ["directories", "state"],
            host.isRoot
                ? "/var/lib/proxy"
                : (variables["XDG_DATA_HOME"] ?? "\(home)/.local/share") + "/proxy")
        let state = configuration.values.node(["directories", "state"])?.text ?? "/"
        set(["directories", "spool"], "\(state)/spool")
        let runtime = configuration.values.node(["directories", "runtime"])?.text ?? "/"
        set(["admin", "socket"], "\(runtime)/admin.sock")
    }

    private mutating func resolve(service name: String, _ configuration: inout Configuration) {
        let path = ["services", name]
        let kinds = ServiceOptions.Kind.allCases.filter {
            configuration.has("services", name, $0.rawValue)
        }
        guard kinds.count == 1 else { return }
        func set(_ key: String, _ value: String) {
            guard !configuration.isWritten(path + [key]),
                configuration.values.node(path + [key]) == nil
            else { return }
            configuration.set(path + [key], to: value)
        }
        set("buffer", kinds[0] == .app ? "request" : "none")
        if kinds[0] != .upstreams { set("workers", String(max(2, host.cores))) }
        if kinds[0] == .app || kinds[0] == .command { set("dir", configuration.folder) }
        guard kinds[0] == .app, let folder = configuration.value(PoolOptions.dir, name) ?? nil
        else {
            return
        }
        let written = configuration.value(PoolOptions.python, name) ?? nil
        if let program = Interpreter.find(
            written, folder: configuration.folder, dir: folder, environment: host.environment,
            for: host.account(of: name, configuration))
        {
            configuration.set(path + ["python"], to: program)
            let dead = Interpreter.deadVenvs(dir: folder, environment: host.environment)
            if written == nil, !dead.isEmpty {
                let why = dead.map { folder in
                    Interpreter.lostProgram(inVenv: folder)
                        ?? "there is no bin/python in \(folder)"
                }
                notices.append(
                    "services.\(name) runs with \(program), since "
                        + why.joined(separator: " and "))
            }
        }
    }
}
