internal import Board
internal import Linux
internal import Signals

/// Workers that are programs of any kind, each under a guard that ends its process group when the
/// master dies.
///
/// The program is told where to listen by `{socket}` or `{port}` in its words, or gets the socket
/// itself as descriptor 3 with `LISTEN_FDS=1`. It is ready when it accepts a connection.
final class CommandServer: AppServer {
    private unowned let pool: Pool
    private let words: [String]
    private enum Way { case socket, port, inherited }
    private let way: Way
    /// The folder that programs make their sockets in: theirs, and open to the edges' group alone.
    private let folder: String
    private var probes: [WorkerKey: Probe] = [:]
    /// When guards are killed that have not ended their programs until then.
    private var guardEnds: [WorkerKey: UInt64] = [:]

    /// How long a guard has to end its program and itself, in nanoseconds. It needs a turn.
    private static let guardLimit: UInt64 = 1_000_000_000
    /// Between two looks at a program that is starting, in nanoseconds.
    private static let probeInterval: UInt64 = 50_000_000

    private struct Probe {
        var dueAt: UInt64
        /// A connection that waits to be accepted, of a program that was given the socket.
        var waiting: OpenFile?
    }

    init(_ pool: Pool, words: [String]) {
        self.pool = pool
        self.words = words
        folder = "\(pool.site.socketFolder)/\(pool.site.takeLife())"
        way =
            words.contains { $0.contains("{socket}") }
            ? .socket : words.contains { $0.contains("{port}") } ? .port : .inherited
    }

    var deadline: UInt64? { (probes.values.map(\.dueAt) + guardEnds.values).min() }

    func prepare() { pool.prepared(nil) }
    func renew() { pool.prepared(nil) }
    func close() { if way == .socket { try? FileSystem.removeFolder(folder) } }

    // MARK: where it listens

    func makeAddress(_ key: WorkerKey) throws(SystemError) -> WorkerAddress {
        switch way {
        case .inherited:
            let address = try pool.bindSocket(key, kind: .command)
            if let listener = address.listener {
                try ListeningSocket.makeBlocking(listener.number)
            }
            return address
        case .socket:
            try FileSystem.makeFolder(folder, mode: 0o2710)
            if let account = pool.plan.account {
                let group = pool.site.edgeAccount?.group ?? account.group
                try FileSystem.changeOwner(folder, user: account.user, group: group)
                // A change of owner takes the bit away that hands the group on to sockets.
                try FileSystem.changeMode(folder, 0o2710)
            }
            let path = "\(folder)/\(key.slot).\(key.incarnation).sock"
            guard path.utf8.count <= SocketAddress.unixPathBytesMax else {
                throw SystemError("bind", number: 36)
            }
            return WorkerAddress(
                endpoint: .unix(path: Array(path.utf8)), kind: .command, path: path)
        case .port:
            let port = try Self.freePort()
            return WorkerAddress(
                endpoint: .ipv4(address: [127, 0, 0, 1], port: port), kind: .command, port: port)
        }
    }

    private static func freePort() throws(SystemError) -> UInt16 {
        let any = SocketAddress(address: "127.0.0.1", port: 0)!
        return try ListeningSocket(tcp: any, sharesPort: false).address.port!
    }

    // MARK: life

    func launch(_ worker: Worker) throws(SystemError) {
        let control = try ChannelEnds()
        let output = try OutputEnds()
        var role = RoleLaunch(role: "guard", environment: MasterSite.environment)
        role.run(as: pool.plan.account)
        role.set("service", pool.name)
        role.set("worker", worker.key.slot)
        role.set("folder", pool.plan.folder)
        // Its socket is for it and the edges' group, which the folder hands on.
        if way == .socket, pool.plan.account != pool.site.edgeAccount { role.set("umask", "007") }
        role.run(words.map { filled($0, for: worker) }, environment: environment(of: worker))
        role.give(control.theirs.number, as: "control")
        if let listener = worker.listener { role.give(listener.number, as: "listener") }
        role.output = output.theirs.number
        let process = ProcessHold(try role.start())
        worker.process = process
        let pool = pool
        let source = "\(pool.name)/\(worker.key.slot)"
        worker.output = try OutputReader(output.ours, on: pool.site.loop) { [unowned pool] text in
            pool.site.log.output(of: source, text)
        }
        var program: ProcessHold?
        var programEnd: ProcessEnd?
        worker.channel = try Channel(
            control.ours, on: pool.site.loop,
            received: { [unowned pool, unowned worker] message in
                switch message["event"]?.text {
                case "started":
                    // Our child once its guard has ended.
                    let parents = [process.pid, ProcessTraits.pid]
                    guard let pid = message["pid"]?.whole.flatMap({ Int32(exactly: $0) }),
                        let held = try? ChildProcess(
                            pid: pid, childOf: parents, user: pool.plan.account?.user)
                    else { return }
                    program = ProcessHold(held)
                    pool.started(worker, pid: pid)
                case "exited":
                    programEnd = message["status"]?.whole.flatMap { Int32(exactly: $0) }
                        .map { ProcessEnd(raw: $0) }
                case "failed":
                    pool.site.log.error("worker_failed") { line in
                        line.add("service", text: pool.name)
                        line.add("worker", worker.key.slot)
                        line.add("error", text: message["error"]?.text ?? "")
                    }
                    programEnd = .exited(code: 127)
                default: break
                }
            })
        pool.site.children.register(process.pid) { [unowned pool, weak self] end in
            worker.channel?.drainPackets()
            // A guard that was killed could not end its program.
            if programEnd == nil { program?.sendToGroup(SignalNumber.kill) }
            self?.probes[worker.key] = nil
            self?.guardEnds[worker.key] = nil
            pool.exited(worker, programEnd ?? end)
        }
        probes[worker.key] = Probe(dueAt: Clock.monotonic + Self.probeInterval)
    }

    func drain(_ worker: Worker) {
        if worker.channel?.send(["command": "drain"]) != true { kill(worker) }
    }

    func kill(_ worker: Worker) {
        // The guard ends the whole group, then itself; one that does not hear, or hears and does
        // nothing, is ended with its program.
        guard worker.channel?.send(["command": "kill"]) == true else {
            worker.process?.send(SignalNumber.kill)
            return
        }
        guardEnds[worker.key] = Clock.monotonic + Self.guardLimit
    }

    // MARK: readiness

    func tick(now: UInt64) {
        for (key, due) in guardEnds where due <= now {
            guardEnds[key] = nil
            pool.workers[key]?.process?.send(SignalNumber.kill)
        }
        for (key, probe) in probes where probe.dueAt <= now {
            guard let worker = pool.workers[key] else {
                probes[key] = nil
                continue
            }
            if accepts(worker) {
                probes[key] = nil
                worker.listener = nil
                pool.ready(worker)
            } else {
                probes[key]?.dueAt = now + Self.probeInterval
            }
        }
    }

    private func accepts(_ worker: Worker) -> Bool {
        guard worker.pid != 0 else { return false }
        guard let listener = worker.listener, let path = worker.address.path else {
            let address =
                worker.address.path.flatMap { try? SocketAddress.unix(path: $0) }
                ?? worker.address.port.flatMap { SocketAddress(address: "127.0.0.1", port: $0) }
            return address.map { ListeningSocket.accepts($0) } ?? false
        }
        // We hold a copy of its socket, so a connection that waits there has not been accepted.
        if probes[worker.key]?.waiting == nil {
            guard let address = try? SocketAddress.unix(path: path),
                let connection = try? ListeningSocket.connect(to: address)
            else { return false }
            probes[worker.key]?.waiting = OpenFile(owning: connection)
            return false
        }
        return !ListeningSocket.hasWaiting(listener.number)
    }

    // MARK: words

    private func filled(_ word: String, for worker: Worker) -> String {
        word.replacing("{socket}", with: worker.address.path ?? "")
            .replacing("{port}", with: worker.address.port.map { "\($0)" } ?? "")
            .replacing("{worker}", with: "\(worker.key.slot)")
    }

    private func environment(of worker: Worker) -> [String] {
        pool.environment(adding: ["PROXY_WORKER=\(worker.key.slot)"])
    }
}

extension Pool {
    /// The environment of a service's programs: ours, the user's own names, what the configuration
    /// sets, and `more`.
    func environment(adding more: [String]) -> [String] {
        var entries = MasterSite.environment
        func set(_ entry: String) {
            let name = entry.prefix { $0 != "=" }
            entries.removeAll { $0.hasPrefix("\(name)=") }
            entries.append(entry)
        }
        if let account = plan.account {
            set("HOME=\(account.home)")
            set("USER=\(account.name)")
            set("LOGNAME=\(account.name)")
        }
        for entry in more { set(entry) }
        for variable in plan.environment { set("\(variable.name)=\(variable.value)") }
        return entries
    }
}
