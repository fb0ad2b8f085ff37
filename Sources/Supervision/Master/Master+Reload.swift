internal import Configuration
internal import Linux
internal import Routing
internal import Signals

/// A wish for a new configuration, and who waits for the answer.
struct ReloadRequest {
    /// Kept app workers are rolled too.
    var rollsApps: Bool
    /// Nil: a signal asked.
    var client: AdminSocket.Client?
}

extension Master {
    /// Reads the configuration anew and goes over to it; on any error the old one serves on.
    func reload(_ request: ReloadRequest) {
        guard phase == .serving else {
            request.client?.fail(
                MasterFailure(
                    .failed, phase == .stopping ? "the proxy is stopping" : "the proxy is starting")
            )
            return
        }
        guard changeover == nil else {
            reloadAgain.append(request)
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
        say(reading.warnings)
        let wanted = plan.options.front.edges
        guard wanted <= edges.freeSlots else {
            throw MasterFailure(
                .failed,
                "edges: \(wanted) new edges need as many free slots and \(edges.freeSlots) of "
                    + "\(SharedMemory.edgeSlots) are; wait until old edges have ended")
        }
        warnOfFixed(plan)
        do throws(SystemError) {
            // A log that cannot be opened is an error like any other.
            try LogFiles().open(plan.logs)
        } catch {
            throw MasterFailure(error, while: "logs.access.path")
        }
        let prepared = try listeners.prepare(plan.options.front)
        let preparation = try services.prepare(plan, mayFail: false) { [unowned self] in advance() }
        let changeover = Changeover(
            plan: plan, generation: generation + 1, isStart: false, preparation: preparation,
            prepared: prepared, request: request)
        self.changeover = changeover
        services.begin(preparation)
        advance()
    }

    /// What is fixed for the life of a proxy, because shared memory and folders are made at its
    /// start.
    private func warnOfFixed(_ new: MasterPlan) {
        var changed: [String] = []
        if new.options.directories != plan.options.directories { changed.append("directories") }
        if new.options.adminSocket != plan.options.adminSocket { changed.append("admin.socket") }
        if new.options.front.services != plan.options.front.services {
            changed.append("limits.services")
        }
        if new.options.front.endpoints != plan.options.front.endpoints {
            changed.append("limits.endpoints")
        }
        if new.options.front.connectionsPerEdge > plan.options.front.connectionsPerEdge {
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
            do throws(SystemError) {
                try log.open(plan.logs)
                try logFiles.open(plan.logs)
                // The new edges were started with the old files.
                edges.reopenLogs()
                plugins.reopenLogs()
            } catch {
                log.error("logs_failed") { line in line.add("error", text: error.description) }
            }
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
        if request.rollsApps {
            roll(changes.kept, request.client, result)
        } else {
            request.client?.succeed(result)
        }
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
        request?.client?.fail(failure)
    }

    /// Goes on with what was asked for meanwhile; several wishes are one.
    func continueReloads() {
        guard phase == .serving, changeover == nil, !reloadAgain.isEmpty else { return }
        let waiting = reloadAgain
        reloadAgain = []
        for request in waiting.dropLast() { reloadAgain.append(request) }
        if let last = waiting.last { reload(last) }
    }

    /// Replaces the workers of every service by others with the code of now.
    func rollApps(_ client: AdminSocket.Client?) {
        guard phase == .serving else {
            client?.fail(MasterFailure(.failed, "the proxy is not serving"))
            return
        }
        roll(services.units.map(\.name), client, ["generation": .whole(generation)])
    }

    private func roll(_ names: [String], _ client: AdminSocket.Client?, _ result: JSONValue) {
        services.roll(names) { names, failures in
            guard failures.isEmpty else {
                client?.fail(MasterFailure(.failed, failures.joined(separator: "; ")))
                return
            }
            var members = result.members ?? []
            members.append(.init(name: "rolled", value: .array(names.map { .string($0) })))
            client?.succeed(.object(members))
        }
    }
}
