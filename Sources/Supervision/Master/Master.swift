internal import Board
internal import Configuration
internal import Linux
internal import Routing
internal import Signals

/// The master: reads the configuration, binds the listeners, and starts, replaces and ends
/// everything else.
///
/// It never touches a request. Decisions are values (`EdgeFleet`, `PoolState`, `GenerationPlan`);
/// this is the loop that performs them. The walk: `run` → `start` (Master+Start) → `turn` until
/// `isOver`; a reload goes through `Changeover` (Master+Reload), a stop through `stop`
/// (Master+Stop); `status` and the other commands come in by `AdminSocket`.
package final class Master {
    /// How the master is run: where its configuration comes from and who watches.
    package struct Manner {
        /// Reads and checks everything anew: at start and for each reload.
        package var read: () -> Result<MasterReading, MasterFailure>
        /// Makes a reading's certificates of our own anew where that is due at a time (Unix
        /// seconds); everything else stays as it was read.
        package var renew: (MasterReading, Int64) -> Result<MasterReading, MasterFailure>
        /// The command line was `--app`: a few friendly lines belong to the start on a terminal.
        package var isApp: Bool
        package var version: String

        package init(
            isApp: Bool, version: String,
            renew: @escaping (MasterReading, Int64) -> Result<MasterReading, MasterFailure>,
            read: @escaping () -> Result<MasterReading, MasterFailure>
        ) {
            self.isApp = isApp
            self.version = version
            self.renew = renew
            self.read = read
        }
    }

    let manner: Manner
    let startedAt = Clock.monotonic
    let startedWall = Clock.wall
    let log: EventLog
    let logFiles = LogFiles()
    let loop: Loop
    let site: MasterSite
    let listeners = ListenerSockets()
    let edges: EdgeKeeper
    let services: ServiceKeeper
    let resolver: Resolver
    let plugins: PluginKeeper
    let admin: AdminSocket
    /// Those of the worker sockets and of the Python host.
    let ownFolders: [OwnFolder]
    /// Those that this start has made; kept once it has served.
    let newFolders: NewFolders
    private let signalQueue: SignalQueue
    private var signalWatch: Loop.Watch?

    /// The configuration that serves.
    var plan: MasterPlan
    var generation = 0
    /// A change of configuration under way; the start is the first.
    var changeover: Changeover?
    /// A reload was asked for while another, or the start, was under way.
    var reloadAgain: ReloadRequest?
    /// A roll was asked for by a signal while the proxy started.
    var rollsWhenReady = false
    /// Who waits for the end.
    var stopAnswers: [AdminSocket.Client] = []
    var phase = Phase.starting
    /// Set when the start cannot be done.
    var failure: MasterFailure?
    /// How far a stop is: 0 edges, 1 everything else, 2 done.
    var stopStep = 0
    /// A second signal asked for the end.
    var isStoppingNow = false
    private var housekeepingAt: UInt64 = 0
    /// Certificates of our own are not made anew before that, whatever came of the last time.
    var renewalAt: UInt64 = 0
    private var isOver = false
    /// What is in the way of making files again; said once.
    var restoreFailure: String?
    /// Started with `nohup` or the like: it outlives its terminal.
    private let ignoresHangup = SignalQueue.isIgnored(SignalNumber.hup)

    enum Phase { case starting, serving, stopping }

    /// How long the end of what a failed start began is waited for, in nanoseconds: it was killed,
    /// and needs milliseconds.
    private static let endLimit: UInt64 = 5_000_000_000
    /// How often what nobody waits for is looked after, in nanoseconds.
    private static let housekeepingInterval: UInt64 = 1_000_000_000
    /// How often the TLS ticket keys change, in nanoseconds: a ticket is good for two periods at
    /// most.
    private static let ticketInterval: UInt64 = 12 * 3_600_000_000_000

    /// Runs until it is told to end, and gives the exit code; what went wrong is on standard error.
    package static func run(_ manner: Manner) -> Int32 {
        do throws(MasterFailure) {
            let master = try Master(manner)
            defer { master.cleanUp() }
            do throws(MasterFailure) {
                try master.start()
                try master.serve()
            } catch {
                master.endAtOnce()
                throw error
            }
            return 0
        } catch {
            let text =
                error.diagnostics.isEmpty ? "proxy: \(error.message)\n" : error.diagnostics.report
            _ = Descriptor.writeNow(Array(text.utf8).span, to: 2)
            return error.code.rawValue
        }
    }

    private init(_ manner: Manner) throws(MasterFailure) {
        self.manner = manner
        let reading: MasterReading
        switch manner.read() {
        case .success(let good): reading = good
        case .failure(let failure): throw failure
        }
        plan = try MasterPlan(reading)
        log = EventLog()
        do throws(SystemError) {
            // Before anything is made that could be interrupted.
            signalQueue = try SignalQueue([
                SignalNumber.hup, SignalNumber.int, SignalNumber.quit, SignalNumber.term,
                SignalNumber.usr1, SignalNumber.usr2, SignalNumber.child,
            ])
            // A log's pipe without a reader, or a limit on file sizes, is an error of that write
            // alone.
            for signal in [SignalNumber.pipe, SignalNumber.fileSize] { SignalQueue.ignore(signal) }
            try ProcessTraits.becomeSubreaper()
            _ = try ResourceLimit.raise(.openFiles, to: Self.openFilesWanted)
            loop = try Loop()
        } catch {
            throw MasterFailure(error, while: "cannot start")
        }
        let folders = plan.options.directories
        newFolders = NewFolders(plan.options)
        try Self.prepareFolders(folders, account: plan.account)
        admin = try Self.makeAdmin(plan.options, on: loop)
        let memory = try SharedMemory(plan.options.front)
        site = MasterSite(loop: loop, log: log, memory: memory, runtime: folders.runtime)
        edges = EdgeKeeper(site, logs: logFiles)
        resolver = Resolver(site)
        services = ServiceKeeper(site, resolver: resolver)
        plugins = PluginKeeper(site)
        ownFolders = try Self.prepareRuntime(site, admin)
        log.hidesProgress = log.isTerminal
        say(reading.warnings)
        for notice in reading.notices { log.info("notice") { $0.add("text", text: notice) } }
    }

    private static func makeAdmin(
        _ options: MasterOptions, on loop: Loop
    ) throws(MasterFailure) -> AdminSocket {
        do throws(MasterFailure) {
            return try AdminSocket(path: options.adminSocket, on: loop)
        } catch {
            let runtime = options.directories.runtime
            guard error.code == .taken, RuntimeFolder.isInUse(runtime) else { throw error }
            throw MasterFailure(
                .taken, "\(error.message) and directories.runtime, for \(runtime) is in use too")
        }
    }

    /// Says what is odd in a configuration that is good.
    func say(_ warnings: [Diagnostic]) {
        for warning in warnings {
            log.warning("notice") { line in line.add("text", text: warning.description) }
        }
    }

    /// Descriptors the master itself may need: sockets of every listener and edge, three for each
    /// worker. Children inherit the limit, and edges need one for each connection.
    private static let openFilesWanted: UInt64 = 1 << 20

    // MARK: the loop

    private func serve() throws(MasterFailure) {
        do throws(SystemError) {
            try watchSignals()
            while !isOver && failure == nil {
                try loop.turn(until: deadline)
                tick(now: Clock.monotonic)
            }
        } catch {
            throw MasterFailure(error, while: "the loop broke")
        }
        if let failure { throw failure }
    }

    private func watchSignals() throws(SystemError) {
        guard signalWatch == nil else { return }
        signalWatch = try loop.watch(signalQueue.descriptor.number) { [unowned self] in
            takeSignals()
        }
    }

    /// The start failed: everything that was started is killed and waited for, for `endLimit` at
    /// most. What then still lives sees the end of its channels.
    private func endAtOnce() {
        phase = .stopping
        stopStep = 2
        edges.stopNow()
        services.stopNow()
        plugins.stopNow()
        resolver.stop()
        let latest = Clock.monotonic + Self.endLimit
        do throws(SystemError) {
            try watchSignals()
            while ChildProcess.hasAny, Clock.monotonic < latest {
                try loop.turn(until: min(deadline ?? latest, latest))
                tick(now: Clock.monotonic)
            }
        } catch {
            return
        }
    }

    private var deadline: UInt64? {
        [
            edges.deadline, services.deadline, resolver.deadline, plugins.deadline,
            changeover.flatMap { services.deadline($0.preparation) }, housekeepingAt,
        ].compactMap { $0 }.min()
    }

    private func tick(now: UInt64) {
        edges.tick(now: now)
        services.tick(now: now)
        if let changeover { services.tick(changeover.preparation, now: now) }
        resolver.tick(now: now)
        plugins.tick(now: now)
        site.signals.flush()
        if phase == .stopping { continueStop() }
        guard now >= housekeepingAt else { return }
        housekeepingAt = now + Self.housekeepingInterval
        restoreFiles()
        services.review()
        services.reclaim()
        rotateTicketKeys()
        renewCertificates(now: now)
    }

    private func rotateTicketKeys() {
        let keys = site.memory.keys
        let wall = Clock.wall
        guard wall >= keys.rotated + Self.ticketInterval,
            let fresh = try? Randomness.bytes(80)
        else { return }
        keys.rotate(next: fresh.span, now: wall)
        log.debug("ticket_keys_rotated")
    }

    private func takeSignals() {
        while let signal = signalQueue.next() {
            switch signal {
            case SignalNumber.child: site.children.reap()
            case SignalNumber.hup: hangUp()
            case SignalNumber.usr1: reopenLogs()
            case SignalNumber.usr2: rollApps()
            case SignalNumber.term, SignalNumber.int, SignalNumber.quit: stop()
            default: break
            }
        }
    }

    /// HUP: a reload, but for an app without a file whose terminal is gone: whoever closed the
    /// window has ended what ran in it, and there is no file to read anew.
    private func hangUp() {
        let isOver = manner.isApp && !ignoresHangup
        guard isOver, (0...2).contains(where: { ProcessTraits.isDeadTerminal($0) }) else {
            return reload(ReloadRequest())
        }
        // The kernel and the shell may both say it, and that is no wish to end at once.
        if phase != .stopping { stop() }
    }

    /// Everything has ended: the loop ends with this turn.
    func end() { isOver = true }

    private func reopenLogs() { if openLogs() { log.info("logs_reopened") } }

    /// Opens each log anew and hands it on; one that cannot be opened stays as it is. False when
    /// there is such a one.
    @discardableResult
    func openLogs() -> Bool {
        func open(_ key: String, _ body: () throws(MasterFailure) -> Void) -> Bool {
            do throws(MasterFailure) {
                try body()
                return true
            } catch {
                log.error("logs_failed") { line in
                    line.add("key", text: key)
                    line.add("error", text: error.message)
                }
                return false
            }
        }
        let hasErrors = open("logs.error.path") { () throws(MasterFailure) in
            try plan.logs.openingErrors { () throws(SystemError) in try log.open(plan.logs) }
        }
        let hasAccess = open("logs.access.path") { () throws(MasterFailure) in
            try plan.logs.openingAccess { () throws(SystemError) in try logFiles.open(plan.logs) }
        }
        if let changeover, changeover.predecessor == nil {
            let logs = changeover.plan.logs
            _ = open("logs.access.path") { () throws(MasterFailure) in
                try logs.openingAccess { () throws(SystemError) in
                    try changeover.logs.open(logs)
                }
            }
        }
        // Those that are being prepared have just opened theirs, which may be others.
        let newest = changeover?.plan.logs == plan.logs ? changeover?.generation : nil
        edges.reopenLogs(upTo: newest ?? generation)
        plugins.reopenLogs()
        return hasErrors && hasAccess
    }
}
