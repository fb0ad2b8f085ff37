internal import Board
internal import Configuration
internal import Linux
internal import Routing
internal import Signals

/// A change of configuration on its way: what it brings is started first, and counts only when all
/// of it is there.
final class Changeover {
    let plan: MasterPlan
    let generation: Int
    let isStart: Bool
    let preparation: ServiceKeeper.Preparation
    let prepared: [ListenerSockets.Listener]
    /// What its edges write to.
    let logs: LogFiles
    let request: ReloadRequest?
    let startedAt = Clock.monotonic
    /// Plug-ins have been told to listen to what it brings; edges are started when they do.
    var hasPlugins = false
    /// The new edges have been started.
    var hasEdges = false
    /// The new edges have nothing more to wait for. At the start they accept by then.
    var isPrepared = false
    /// The configuration that it follows, from when it counts on: old edges are being told.
    var predecessor: MasterPlan?

    init(
        plan: MasterPlan, generation: Int, isStart: Bool,
        preparation: ServiceKeeper.Preparation, prepared: [ListenerSockets.Listener],
        logs: LogFiles, request: ReloadRequest?
    ) {
        self.plan = plan
        self.generation = generation
        self.isStart = isStart
        self.preparation = preparation
        self.prepared = prepared
        self.logs = logs
        self.request = request
    }
}

extension Master {
    /// Binds and starts everything; ready is said later, from the loop.
    func start() throws(MasterFailure) {
        connectParts()
        do throws(SystemError) {
            try log.open(plan.logs)
            try logFiles.open(plan.logs)
            try admin.begin()
        } catch {
            throw MasterFailure(error, while: "cannot open the logs")
        }
        if ProcessTraits.isRoot && plan.account == nil {
            log.warning("notice") { line in
                line.add("text", text: "everything runs as root; set user")
            }
        }
        site.edgeAccount = plan.account
        site.edges = plan.options.front.edges
        generation = 1
        let prepared = try listeners.prepare(plan.options.front)
        let preparation = try services.prepare(plan, mayFail: true) { [unowned self] in
            advance()
        }
        let changeover = Changeover(
            plan: plan, generation: 1, isStart: true, preparation: preparation,
            prepared: prepared, logs: logFiles, request: nil)
        self.changeover = changeover
        try listeners.adopt(prepared)
        services.begin(preparation)
        // Plug-ins listen before the first request can come.
        plugins.adopt(plan) { [unowned self] in startEdges(changeover) }
    }

    private func connectParts() {
        admin.received = { [unowned self] in obey($0, $1) }
        edges.prepared = { [unowned self] generation in
            guard let changeover, changeover.generation == generation else { return }
            // At the start requests may wait for workers; later they stay with the old edges.
            guard !changeover.isStart else { return edges.takeOver(by: generation, limit: 0) }
            changeover.isPrepared = true
            advance()
        }
        edges.settled = { [unowned self] in settled() }
        edges.failed = { [unowned self] generation in
            guard let changeover, changeover.generation == generation else { return }
            abandon(
                changeover,
                MasterFailure(.failed, "the new edges did not start; the error log says why"))
        }
        edges.ended = { [unowned self] _ in
            if let oldest = edges.fleet.livingGenerations.first {
                services.generationsChanged(oldest: oldest)
            }
            if phase == .stopping { continueStop() }
        }
        edges.killWorker = { [unowned self] in services.kill($0) }
        edges.isBusy = { [unowned self] in services.isBusy($0, place: $1) }
        edges.names = { [unowned self] request in
            let table = site.memory.table
            return RequestNames(
                service: Array(table.name(ofService: request.service).utf8),
                endpoint: request.endpoint.map {
                    Array(table.name(ofEndpoint: Int($0.index)).utf8)
                } ?? [])
        }
        services.stopped = { [unowned self] in continueStop() }
    }

    func startEdges(_ changeover: Changeover) {
        guard phase != .stopping, self.changeover === changeover, !changeover.hasEdges else {
            return
        }
        changeover.hasEdges = true
        do throws(SystemError) {
            let outfit = try edges.outfit(
                generation: changeover.generation, plan: changeover.plan, logs: changeover.logs,
                listeners: changeover.prepared, services: changeover.preparation.services)
            edges.begin(outfit)
        } catch {
            abandon(changeover, MasterFailure(error, while: "cannot start edges"))
        }
    }

    /// Goes one step on with a changeover, if what it waits for is there.
    func advance() {
        guard let changeover, changeover.predecessor == nil, phase != .stopping else { return }
        if let message = changeover.preparation.failure {
            return abandon(changeover, MasterFailure(.failed, message))
        }
        guard changeover.preparation.hasSettled else { return }
        if !changeover.hasPlugins && !changeover.isStart {
            changeover.hasPlugins = true
            // Requests reach new edges only when everything behind them is there.
            return plugins.adopt(changeover.plan) { [unowned self] in startEdges(changeover) }
        }
        if changeover.isPrepared { commit(changeover) }
    }

    /// The new configuration counts; what is left is that edges do as they are told.
    private func commit(_ changeover: Changeover) {
        if !changeover.isStart {
            do throws(MasterFailure) {
                try listeners.adopt(changeover.prepared)
            } catch {
                return abandon(changeover, error)
            }
        }
        changeover.predecessor = plan
        plan = changeover.plan
        generation = changeover.generation
        logFiles.adopt(changeover.logs)
        site.edges = plan.options.front.edges
        site.edgeAccount = plan.account
        services.commit(changeover.preparation, plan: plan, generation: generation)
        guard changeover.isStart else {
            return edges.takeOver(by: generation, limit: plan.options.front.drainAfterReload)
        }
        self.changeover = nil
        sayReady(changeover)
        if rollsWhenReady { rollApps() }
        continueReloads()
    }

    /// Who is to accept does, and nobody else.
    private func settled() {
        listeners.closeLeaving()
        guard let changeover, phase != .stopping else { return }
        if changeover.isStart {
            changeover.isPrepared = true
            advance()
        } else if let old = changeover.predecessor {
            self.changeover = nil
            reloaded(changeover, from: old)
            continueReloads()
        }
    }

    private func sayReady(_ changeover: Changeover) {
        phase = .serving
        log.hidesProgress = false
        let urls = listeners.listeners.map(\.url)
        let took = Clock.monotonic - startedAt
        if ProcessTraits.isTerminal(2) {
            let text = StartupText(
                version: manner.version, urls: urls, nanoseconds: took,
                app: manner.isApp ? appLine(changeover) : nil,
                stateFolder: plan.options.directories.state,
                hasDevelopmentCertificate: changeover.plan.reading.renewAt != nil)
            _ = Descriptor.writeNow(Array(text.text.utf8).span, to: 2)
        } else {
            sayReady(urls, took, in: EventLog())
        }
        // The ready line is on standard error; a log that lies elsewhere has it too.
        if plan.logs.error != .standardError { sayReady(urls, took, in: log) }
        _ = try? ServiceNotification.send("READY=1")
    }

    private func sayReady(_ urls: [String], _ took: UInt64, in log: EventLog) {
        log.info("ready") { line in
            line.add("pid", Int(ProcessTraits.pid))
            line.add("listen", texts: urls)
            line.add("seconds", seconds: took)
        }
    }

    private func appLine(_ changeover: Changeover) -> StartupText.App? {
        for case (let options, .pool(let pool)) in changeover.plan.services {
            return StartupText.App(
                description: changeover.preparation.descriptions.first ?? options.name,
                workers: pool.workers, threads: pool.capacity, python: pool.python,
                folder: ProcessTraits.folder)
        }
        return nil
    }

    /// Gives a changeover up: at the start everything ends, later the old configuration serves on.
    func abandon(_ changeover: Changeover, _ failure: MasterFailure) {
        self.changeover = nil
        services.withdraw(changeover.preparation)
        guard !changeover.isStart else {
            self.failure = failure
            reloadAgain?.fail(failure)
            return
        }
        if changeover.hasEdges { edges.withdraw(generation: changeover.generation) }
        plugins.adopt(plan) {}
        reject(failure, changeover.request)
        continueReloads()
    }
}
