internal import Configuration
internal import Linux
internal import Routing
internal import Signals

/// A wish for a new configuration, and who waits for the answer: nobody, when a signal asked.
struct ReloadRequest {
    /// Who waits for the new configuration.
    var clients: [AdminSocket.Client] = []
    /// Who waits for kept app workers to be rolled, too.
    var rollers: [AdminSocket.Client] = []

    /// Several wishes are one.
    mutating func join(_ other: ReloadRequest) {
        clients += other.clients
        rollers += other.rollers
    }

    func fail(_ failure: MasterFailure) {
        for client in clients + rollers { client.fail(failure) }
    }
}

extension Master {
    /// Reads the configuration anew and goes over to it; on any error the old one serves on.
    func reload(_ request: ReloadRequest) {
        guard phase != .stopping else {
            return request.fail(MasterFailure(.failed, "the proxy is stopping"))
        }
        guard changeover == nil else {
            // The file may have changed since it was read: once more, when this one is over.
            reloadAgain = reloadAgain ?? ReloadRequest()
            reloadAgain?.join(request)
            return
        }
        do throws(MasterFailure) {
            try begin(request)
        } catch {
            reject(error, request)
        }
    }

    private func begin(_ request: ReloadRequest) throws(MasterFailure) {
        let reading: MasterReading
        switch manner.read() {
        case .success(let good): reading = good
        case .failure(let failure): throw failure
        }
        let plan = try MasterPlan(reading)
        try refuseMoved(plan)
        restoreFiles()
        // What is there may be somebody else's by now.
        try Self.prepareFolders(plan.options.directories, account: plan.account)
        say(reading.warnings)
        try go(over: plan, request)
    }

    /// How long after an attempt to renew certificates the next may come, in nanoseconds: weeks are
    /// left, and what is in the way is seldom gone in less.
    private static let renewalWait: UInt64 = 3_600_000_000_000

    /// Certificates of our own are made anew in time, and served as after a reload; the file of the
    /// configuration is not read.
    func renewCertificates(now: UInt64) {
        let wall = Int64(clamping: Clock.wall / 1_000_000_000)
        guard phase == .serving, changeover == nil, let due = plan.reading.renewAt, due <= wall,
            now >= renewalAt
        else { return }
        renewalAt = now + Self.renewalWait
        do throws(MasterFailure) {
            let reading: MasterReading
            switch manner.renew(plan.reading, wall) {
            case .success(let good): reading = good
            case .failure(let failure): throw failure
            }
            log.info("certificate_renewed") { line in
                line.add("folder", text: "\(plan.options.directories.state)/ca")
            }
            say(reading.warnings)
            let renewed = try MasterPlan(reading)
            try refuseMoved(renewed)
            try go(over: renewed, ReloadRequest())
        } catch {
            log.error("certificate_renewal_failed") { line in
                line.add("error", text: error.message)
            }
        }
    }

    /// Starts what a plan brings; `advance` goes on.
    private func go(over plan: MasterPlan, _ request: ReloadRequest) throws(MasterFailure) {
        let wanted = plan.options.front.edges
        guard wanted <= edges.freeSlots else {
            throw MasterFailure(
                .failed,
                "edges: \(wanted) new edges need as many free slots and \(edges.freeSlots) of "
                    + "\(SharedMemory.edgeSlots) are; wait until old edges have ended")
        }
        warnOfFixed(plan)
        let logs = try Self.logFiles(plan.logs)
        let prepared = try listeners.prepare(plan.options.front)
        let preparation = try services.prepare(plan, mayFail: false) { [unowned self] in advance() }
        let changeover = Changeover(
            plan: plan, generation: generation + 1, isStart: false, preparation: preparation,
            prepared: prepared, logs: logs, request: request)
        self.changeover = changeover
        services.begin(preparation)
        advance()
    }

    /// A log that cannot be opened is an error like any other.
    private static func logFiles(_ options: LogOptions) throws(MasterFailure) -> LogFiles {
        let logs = LogFiles()
        try options.openingAccess { () throws(SystemError) in try logs.open(options) }
        try options.openingErrors { () throws(SystemError) in
            _ = try EventLog.file(options.error)
        }
        return logs
    }

    /// Refuses another place for what is made at the start: nobody would find the proxy there.
    /// Nor another user: old and new edges share worker sockets and the spool, which have one
    /// owner.
    private func refuseMoved(_ plan: MasterPlan) throws(MasterFailure) {
        let (old, new) = (self.plan.options, plan.options)
        guard plan.account?.user == self.plan.account?.user,
            plan.account?.group == self.plan.account?.group
        else {
            throw MasterFailure(
                .configuration, "user, group: they are fixed while the proxy runs; restart it")
        }
        let places = [
            ("admin.socket", old.adminSocket, new.adminSocket),
            ("directories.runtime", old.directories.runtime, new.directories.runtime),
            ("directories.state", old.directories.state, new.directories.state),
            ("directories.spool", old.directories.spool, new.directories.spool),
        ]
        let moved = places.filter { $0.1 != $0.2 }.map { "\($0.0) from \($0.1) to \($0.2)" }
        guard !moved.isEmpty else { return }
        throw MasterFailure(
            .configuration,
            "a reload cannot move \(moved.joined(separator: ", nor ")); restart the proxy")
    }

    /// What is fixed for the life of a proxy, because shared memory is made at its start.
    private func warnOfFixed(_ new: MasterPlan) {
        var changed: [String] = []
        if new.options.front.services != plan.options.front.services {
            changed.append("limits.services")
        }
        if new.options.front.endpoints != plan.options.front.endpoints {
            changed.append("limits.endpoints")
        }
        if new.options.front.connectionsPerEdge > site.memory.connectionsPerEdge {
            changed.append("limits.connections of an edge, upwards")
        }
        guard !changed.isEmpty else { return }
        log.warning("restart_needed") { line in
            line.add("keys", texts: changed)
            line.add("text", text: "these count from the next start of the proxy on")
        }
    }

    /// The new configuration serves: says so, and rolls what was asked for.
    func reloaded(_ changeover: Changeover, from old: MasterPlan) {
        if old.logs != plan.logs {
            // The error log is only now another one.
            openLogs()
        }
        let changes = changeover.preparation.changes
        let apps = changes.isEmpty ? "app code unchanged" : changes.summary
        log.info("config_reloaded") { line in
            line.add("generation", generation)
            line.add("services", text: apps)
            line.add("seconds", seconds: Clock.monotonic - changeover.startedAt)
        }
        site.signals.configurationReloaded(generation: generation, differences: apps)
        guard let request = changeover.request else { return }
        let result: JSONValue = ["generation": .whole(generation), "services": .string(apps)]
        for client in request.clients { client.succeed(result) }
        guard !request.rollers.isEmpty else { return }
        roll(
            changes.kept, request.rollers,
            changes.isEmpty ? ["generation": .whole(generation)] : result)
    }

    /// The old configuration serves on: says why.
    func reject(_ failure: MasterFailure, _ request: ReloadRequest?) {
        let text =
            failure.diagnostics.isEmpty
            ? failure.message : failure.diagnostics.map(\.description).joined(separator: "\n")
        log.error("config_rejected") { line in
            line.add("generation", generation)
            line.add("error", text: failure.message)
            if !failure.diagnostics.isEmpty {
                line.add("diagnostics", texts: failure.diagnostics.map(\.description))
            }
        }
        site.signals.configurationRejected(generation: generation, diagnostics: text)
        request?.fail(failure)
    }

    /// Goes on with what was asked for meanwhile.
    func continueReloads() {
        guard let request = reloadAgain else { return }
        reloadAgain = nil
        reload(request)
    }

    /// Replaces the workers of every service by others with the code of now; during the start, when
    /// that is over: the code may have changed since it was loaded.
    func rollApps() {
        switch phase {
        case .starting:
            guard !rollsWhenReady else { return }
            rollsWhenReady = true
            log.info("roll_postponed") { line in
                line.add("text", text: "the proxy is starting; workers are rolled when it is ready")
            }
        case .serving: roll(services.units.map(\.name), [], .null)
        case .stopping: break
        }
    }

    private func roll(_ names: [String], _ clients: [AdminSocket.Client], _ result: JSONValue) {
        services.roll(names) { [unowned self, generation] names, failures in
            var members = result.members ?? []
            members.append(.init(name: "rolled", value: .array(names.map { .string($0) })))
            for client in clients {
                if failures.isEmpty {
                    client.succeed(.object(members))
                } else if phase == .stopping {
                    client.fail(MasterFailure(.failed, "the proxy is stopping"))
                } else {
                    client.fail(
                        MasterFailure(
                            .failed,
                            "the configuration was read and serves as generation "
                                + "\(generation), but workers could not be replaced, and the "
                                + "old ones serve on: " + failures.joined(separator: "; ")))
                }
            }
        }
    }
}
