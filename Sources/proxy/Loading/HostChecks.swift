import Configuration
import Linux
import Routing
import Signals
import Supervision
import TLS

/// Checks a resolved configuration against this machine: files, folders, users, limits.
struct HostChecks {
    let configuration: Configuration
    let host: HostFacts
    private(set) var found: [Diagnostic] = []
    /// What is wrong with an interpreter, where that was tried already; many services share one.
    private var interpreterFaults: [String: String?] = [:]

    init(_ configuration: Configuration, host: HostFacts) {
        self.configuration = configuration
        self.host = host
    }

    static func check(_ configuration: Configuration, host: HostFacts) -> [Diagnostic] {
        var checks = HostChecks(configuration, host: host)
        checks.checkUsers()
        checks.checkSocketPaths()
        checks.checkFolders()
        checks.checkLogs()
        checks.checkOpenFiles()
        for name in configuration.names("services.*") { checks.checkService(name) }
        checks.checkPlugins()
        return checks.found
    }

    private mutating func add(_ finding: Diagnostic) { found.append(finding) }

    /// A finding that is not the configuration's fault.
    private mutating func addRefused(_ finding: Diagnostic) {
        found.append(finding)
        found[found.count - 1].isPermission = true
    }

    // MARK: users

    private mutating func checkUsers() {
        checkUser(
            ["user"], configuration.value(MasterOptions.user) ?? nil,
            configuration.value(MasterOptions.group) ?? nil, groupPath: ["group"])
        for name in configuration.names("services.*") {
            checkUser(
                ["services", name, "user"], configuration.value(PoolOptions.user, name) ?? nil,
                configuration.value(PoolOptions.group, name) ?? nil,
                groupPath: ["services", name, "group"])
        }
    }

    private mutating func checkUser(
        _ path: [String], _ user: String?, _ group: String?, groupPath: [String]
    ) {
        if let user {
            if Account.named(user) == nil {
                add(finding(path, "there is no user \(user) on this machine"))
            } else if !host.isRoot, user != host.userName {
                add(
                    finding(
                        path, "not started as root, so everything runs as \(host.userName)",
                        severity: .warning))
            } else if host.isRoot, Account.named(user)?.user == 0 {
                let who = path.count == 1 ? "edges and workers run" : "its workers run"
                add(
                    finding(
                        path,
                        "\(who) as root, and who breaks into one has the whole machine; "
                            + "name another user",
                        severity: .warning))
            }
        }
        if let group, Account.groupNumber(named: group) == nil {
            add(finding(groupPath, "there is no group \(group) on this machine"))
        }
    }

    // MARK: paths

    private mutating func checkSocketPaths() {
        let most = SocketAddress.unixPathBytesMax
        if let socket = configuration.value(MasterOptions.adminSocket) ?? nil,
            socket.utf8.count > most
        {
            add(
                finding(
                    configuration.isWritten("admin", "socket")
                        ? ["admin", "socket"] : ["directories", "runtime"],
                    "\(quoted(socket)) has \(socket.utf8.count) bytes; "
                        + "a socket path has at most \(most)"))
        }
        guard let runtime = configuration.value(DirectoryOptions.runtime) ?? nil else { return }
        if let fault = RuntimeFolder.fault(of: runtime) {
            add(finding(["directories", "runtime"], fault))
        }
        for name in configuration.names("services.*") {
            guard let workers = configuration.value(ServiceOptions.workerCount, name) ?? nil else {
                continue
            }
            // The longest one there can be: the last slot, and a number of nine digits. The pool
            // cuts long names.
            let path = "\(runtime)/workers/\(name.prefix(40))-\(workers).999999999.sock"
            guard path.utf8.count > most else { continue }
            add(
                finding(
                    ["services", name],
                    "its workers' sockets, such as \(quoted(path)), get \(path.utf8.count) bytes; "
                        + "a socket path has at most \(most); shorten directories.runtime"))
            return
        }
    }

    private mutating func checkFolders() {
        let folders = [
            ("runtime", configuration.value(DirectoryOptions.runtime) ?? nil),
            ("state", configuration.value(DirectoryOptions.state) ?? nil),
            ("spool", configuration.value(DirectoryOptions.spool) ?? nil),
        ]
        for case (let name, let folder?) in folders {
            // The nearest one that is there: the rest is made.
            var place = folder
            while place != "/", (try? FileSystem.status(of: place)) == nil {
                place = absolutePath("..", in: place)
            }
            guard (try? FileSystem.status(of: place))?.isFolder == false else { continue }
            add(finding(["directories", name], "\(place) is no folder"))
        }
        guard host.isRoot, let state = configuration.value(DirectoryOptions.state) ?? nil,
            let spool = configuration.value(DirectoryOptions.spool) ?? nil,
            let user = configuration.value(MasterOptions.user) ?? nil,
            let account = Account.named(
                user, group: configuration.value(MasterOptions.group) ?? nil),
            let fault = SpoolFolder.fault(of: spool, for: account, state: state)
        else { return }
        addRefused(finding(["directories", "spool"], fault))
    }

    private mutating func checkLogs() {
        let logs = [
            (["logs", "access", "path"], configuration.value(LogOptions.accessPath) ?? nil),
            (["logs", "error", "path"], configuration.value(LogOptions.errorPath)),
        ]
        for case (let path, let file?) in logs where file.hasPrefix("/") {
            let folder = absolutePath("..", in: file)
            if let fault = folderFault(folder) {
                add(finding(path, "\(fault); mkdir -p \(folder)"))
            } else if let status = try? FileSystem.status(of: file) {
                if status.isFolder {
                    add(finding(path, "\(file) is a folder"))
                } else if let error = FileSystem.writeFault(file, isFolder: false) {
                    addRefused(finding(path, "\(file) cannot be written: \(Self.reason(error))"))
                }
            } else if let error = FileSystem.writeFault(folder, isFolder: true) {
                addRefused(
                    finding(
                        path,
                        "\(file) cannot be made in \(folder): \(Self.reason(error))"))
            }
        }
    }

    private func folderFault(_ folder: String) -> String? {
        do {
            return try FileSystem.status(of: folder).isFolder
                ? nil : "\(folder) is no folder"
        } catch {
            return "the folder \(folder) is not there"
        }
    }

    // MARK: services

    private mutating func checkService(_ name: String) {
        let dir = configuration.value(PoolOptions.dir, name) ?? nil
        var isThere = true
        if let dir, let fault = folderFault(dir) {
            isThere = false
            add(
                finding(
                    configuration.isWritten("services", name, "dir")
                        ? ["services", name, "dir"] : ["services", name], fault))
        } else if let dir, let account = host.account(of: name, configuration),
            let barrier = Interpreter.barrier(on: dir, for: account)
        {
            isThere = false
            add(
                finding(
                    configuration.isWritten("services", name, "dir")
                        ? ["services", name, "dir"] : ["services", name],
                    "\(dir) cannot be entered by \(account.name), whom it runs as: \(barrier); "
                        + "open it with chmod, or set user"))
        }
        if configuration.has("services", name, "app"), let dir {
            checkPython(name, dir, isThere: isThere)
        }
        let words = configuration.entries(ServiceOptions.commandWord, name).map(\.value)
        if isThere, let program = words.first, let dir, let fault = programFault(program, dir) {
            add(finding(["services", name, "command"], fault))
        }
        for number in configuration.names("services.*.upstreams[]", name) {
            guard let ca = configuration.value(ServiceOptions.ca, name, number) ?? nil else {
                continue
            }
            if let fault = Self.authorityFault(ca) {
                add(finding(["services", name, "upstreams", number, "ca"], fault))
            }
        }
    }

    private mutating func checkPython(_ name: String, _ dir: String, isThere: Bool) {
        let isWritten = configuration.isWritten("services", name, "python")
        let path = ["services", name, isWritten ? "python" : "app"]
        let python = configuration.value(PoolOptions.python, name) ?? nil
        // Resolved ones are absolute, and there.
        if let python, python.hasPrefix("/"),
            (try? FileSystem.status(of: python))?.isFolder == false
        {
            if let fault = interpreterFault(python, host.account(of: name, configuration)) {
                add(finding(path, fault))
            }
        } else if isThere || isWritten {
            add(
                finding(
                    path,
                    Interpreter.complaint(python, folder: configuration.folder, dir: dir)))
        }
    }

    private mutating func interpreterFault(_ program: String, _ account: Account?) -> String? {
        let trial = "\(program)\n\(account.map { "\($0)" } ?? "")"
        let fault = interpreterFaults[trial] ?? host.interpreterFault(program, account)
        interpreterFaults[trial] = .some(fault)
        return fault
    }

    private func programFault(_ program: String, _ dir: String) -> String? {
        guard program.contains("/") else {
            return Interpreter.search(program, host.environment) == nil
                ? "there is no program \(program) in PATH" : nil
        }
        let file = absolutePath(program, in: dir)
        if (try? FileSystem.status(of: file)) == nil { return "\(file) is not there" }
        return Interpreter.isProgram(file)
            ? nil : "\(file) cannot be executed; chmod +x it"
    }

    // MARK: plug-ins

    private mutating func checkPlugins() {
        for number in configuration.names("plugins[]") {
            let words = configuration.entries(PluginOptions.commandWord, number).map(\.value)
            guard let program = words.first,
                let fault = programFault(program, configuration.folder)
            else { continue }
            // No error: a plug-in never holds the proxy up, and this one is tried again and again.
            add(finding(["plugins", number, "command"], fault, severity: .warning))
        }
    }

    // MARK: limits

    private mutating func checkOpenFiles() {
        guard let files = OpenFiles(configuration) else { return }
        let limit = host.openFiles(UInt64(files.needed))
        guard limit < UInt64(files.needed) else { return }
        let possible = files.connections(within: limit)
        guard possible > 0 else {
            return add(
                finding(
                    ["limits", "connections"],
                    "this machine's limit of \(limit) open files has no room for any connection: "
                        + "an edge needs at least \(OpenFiles.neededLeast); raise the limit "
                        + "(ulimit -n \(files.needed), or LimitNOFILE= in the systemd unit)"))
        }
        guard configuration.isWritten("limits", "connections") else {
            return add(
                finding(
                    ["limits", "connections"],
                    "this machine's limit of \(limit) open files has room for \(possible) "
                        + "connections, and with fewer than \(OpenFiles.connectionsMin) the proxy "
                        + "starts only if they are set; raise the limit (ulimit -n, or "
                        + "LimitNOFILE= in the systemd unit), or set limits.connections to "
                        + "\(possible)"))
        }
        add(
            finding(
                ["limits", "connections"],
                "\(files.connections) connections over \(files.edges) edges need \(files.needed) "
                    + "open files in each, and the limit is \(limit); raise it "
                    + "(ulimit -n \(files.needed), or LimitNOFILE= in the systemd unit), "
                    + "or set limits.connections to \(possible)"))
    }

    private func finding(
        _ path: [String], _ message: String, severity: Diagnostic.Severity = .error
    ) -> Diagnostic {
        Diagnostic(
            file: configuration.file, position: configuration.valuePosition(path),
            severity: severity, key: joinedPath(path), message: message)
    }

    /// Why a file cannot be read, or nil.
    static func readFault(_ path: String) -> String? {
        do {
            if try FileSystem.status(of: path).isFolder { return "\(path) is a folder" }
            _ = try FileSystem.read(path)
            return nil
        } catch {
            return "\(path) cannot be read: \(reason(error))"
        }
    }

    /// Why a file is of no use as the authorities of an upstream, or nil.
    private static func authorityFault(_ path: String) -> String? {
        if let fault = readFault(path) { return fault }
        do {
            let trust = TLSTrust.authorities(pem: try FileSystem.read(path), label: path)
            _ = try TLSClientContext(trust: trust)
            return nil
        } catch {
            return "\(error); a PEM file with certificates of CAs is wanted"
        }
    }

    /// The kernel's words without the call: `Permission denied`.
    static func reason(_ error: SystemError) -> String {
        String("\(error)".drop { $0 != ":" }.dropFirst(2))
    }
}
