internal import Board
internal import Linux
internal import Signals

/// The plug-in host: started before the first edge, restarted with back-off, replaced when its
/// plug-ins change.
///
/// Its role sheet has `reader` (its number among the readers of the rings), `folder`, `runtime`,
/// `past` (the figures of one that was killed), `user`, `group`, `groups`; `fd.control`,
/// `fd.configuration`, `fd.errors`, `fd.rings` (read-only), `fd.readers`, `fd.wake`.
final class PluginKeeper {
    private final class Host {
        let process: ProcessHold
        let reader: Int
        let plan: MasterPlan
        let startedAt: UInt64
        var channel: Channel?
        var output: OutputReader?
        var isReady = false
        /// Killed when it is over.
        var deadline: UInt64?

        init(_ process: ProcessHold, reader: Int, plan: MasterPlan) {
            self.process = process
            self.reader = reader
            self.plan = plan
            startedAt = Clock.monotonic
        }
    }

    private let site: MasterSite
    private var current: Host?
    /// The one before, which goes on until the current one listens.
    private var former: Host?
    private var leaving: [Host] = []
    private var wanted: MasterPlan?
    private var policy = RestartPolicy.attendant
    private var restartAt: UInt64?
    private var isStopping = false
    /// What to do once the host that was asked for is ready, or has not become so in time.
    private var waiting: (() -> Void)?
    private var waitUntil: UInt64?
    /// Who waits for figures, and until when.
    private var asked: [(JSONValue) -> Void] = []
    private var askedUntil: UInt64?
    /// What the host told last of its plug-ins: a successor that takes over from a killed one goes
    /// on counting from there.
    private var figures: JSONValue?

    /// How long the first edge waits for the host, in nanoseconds.
    private static let readyLimit: UInt64 = 5_000_000_000
    /// How long a host has to deliver what is queued and to end its plug-ins: 2 s, and 1 s each for
    /// end of file, TERM and KILL (contract, section 6), with something to spare. Nanoseconds.
    private static let stopLimit: UInt64 = 6_000_000_000
    /// How long a host has to kill its plug-ins and to end, in nanoseconds. It needs a turn.
    private static let endLimit: UInt64 = 1_000_000_000
    /// How long `status` waits for the host's figures, in nanoseconds.
    private static let statusLimit: UInt64 = 1_000_000_000

    init(_ site: MasterSite) { self.site = site }

    var isEmpty: Bool { current == nil && former == nil && leaving.isEmpty }

    var deadline: UInt64? {
        ([restartAt, waitUntil, askedUntil] + leaving.map(\.deadline)).compactMap { $0 }.min()
    }

    /// Starts the host that a plan needs, replacing the one there is when its plug-ins differ;
    /// `ready` is called when plug-ins listen, or need not be waited for any longer.
    func adopt(_ plan: MasterPlan, ready: @escaping () -> Void) {
        let isSame = wanted?.plugins == plan.plugins && wanted?.logs == plan.logs
        wanted = plan
        site.memory.rings.setListened(UInt64(plan.listened.rawValue))
        guard !isSame || (current == nil && !plan.plugins.isEmpty) else {
            // What was muted gets another chance with each reload.
            current?.channel?.send(["command": "unmute"])
            return ready()
        }
        if plan.plugins.isEmpty {
            retireCurrent()
            return ready()
        }
        waiting = ready
        waitUntil = Clock.monotonic + Self.readyLimit
        policy = .attendant
        figures = nil
        restartAt = nil
        start()
    }

    /// Lets the host deliver what is queued and end.
    func stop() {
        isStopping = true
        restartAt = nil
        waiting = nil
        waitUntil = nil
        retireCurrent()
    }

    func stopNow() {
        stop()
        // It kills all that its plug-ins have started, which nobody else could.
        let latest = Clock.monotonic + Self.endLimit
        for host in leaving {
            guard host.channel?.send(["command": "stop_now"]) == true else {
                host.process.send(SignalNumber.kill)
                continue
            }
            host.deadline = latest
        }
    }

    func tick(now: UInt64) {
        if let due = restartAt, due <= now {
            restartAt = nil
            start()
        }
        if let due = waitUntil, due <= now { goOn() }
        if let due = askedUntil, due <= now { answer(unknown) }
        for host in leaving where (host.deadline ?? .max) <= now {
            host.deadline = nil
            host.process.send(SignalNumber.kill)
        }
    }

    /// Asks for the plug-ins' figures. A host that does not answer, because it hangs, starts or
    /// ends, holds nobody up: its plug-ins are `unknown` then.
    func status(_ answer: @escaping (JSONValue) -> Void) {
        guard let current, current.isReady, current.channel?.send(["command": "status"]) == true
        else { return answer(unknown) }
        asked.append(answer)
        askedUntil = askedUntil ?? Clock.monotonic + Self.statusLimit
    }

    private func answer(_ figures: JSONValue) {
        askedUntil = nil
        let answers = asked
        asked = []
        for answer in answers { answer(figures) }
    }

    private func unknownFigures(_ host: Host) -> JSONValue {
        .array(host.plan.plugins.map { ["name": .string($0.name)] })
    }

    private var unknown: JSONValue {
        .array(
            (current?.plan.plugins ?? []).map { plugin in
                [
                    "name": .string(plugin.name), "pid": .null, "state": "unknown",
                    "delivered": .null, "dropped": .null, "failures": .null,
                ]
            })
    }

    func reopenLogs() {
        current?.channel?.send(["command": "logs"], descriptors: [site.log.number])
    }

    private func goOn() {
        if let former { leave(former) }
        former = nil
        waitUntil = nil
        let ready = waiting
        waiting = nil
        ready?()
    }

    private func retireCurrent() {
        for host in [former, current] { if let host { leave(host) } }
        former = nil
        current = nil
    }

    private func leave(_ host: Host) {
        host.deadline = Clock.monotonic + Self.stopLimit
        leaving.append(host)
        if host.channel?.send(["command": "stop"]) != true { host.process.send(SignalNumber.kill) }
    }

    private func start() {
        guard let plan = wanted, !plan.plugins.isEmpty, !isStopping else { return }
        do throws(SystemError) {
            let used = Set((leaving + [former, current].compactMap { $0 }).map(\.reader))
            guard let reader = site.memory.readerWakes.indices.first(where: { !used.contains($0) })
            else { throw SystemError("eventfd", number: 11) }
            let control = try ChannelEnds()
            let printed = try OutputEnds()
            let configuration = try MemoryFile.sealed(name: "configuration", plan.lines)
            var role = RoleLaunch(role: "plugins", environment: MasterSite.environment)
            role.output = printed.theirs.number
            role.run(as: plan.account)
            role.set("reader", reader)
            role.set("folder", plan.folder)
            role.set("runtime", site.runtime)
            if let figures { role.set("past", String(decoding: figures.bytes, as: UTF8.self)) }
            role.give(control.theirs.number, as: "control")
            role.give(configuration.number, as: "configuration")
            role.give(site.log.number, as: "errors")
            role.give(site.memory.ringsReadOnlyFile.number, as: "rings")
            role.give(site.memory.readersFile.number, as: "readers")
            role.give(site.memory.readerWakes[reader].number, as: "wake")
            // One that we cannot listen to sees its channel closed, and ends.
            let host = Host(ProcessHold(try role.start()), reader: reader, plan: plan)
            host.channel = try Channel(
                control.ours, on: site.loop,
                received: { [unowned self, unowned host] in hear($0, from: host) })
            let site = site
            host.output = try OutputReader(printed.ours, on: site.loop) { text in
                site.log.output(of: "plugins", text)
            }
            site.children.register(host.process.pid) { [unowned self] in ended(host, $0) }
            if let current {
                if let former { leave(former) }
                former = current
            }
            current = host
        } catch {
            site.log.error("plugin_host_failed") { line in
                line.add("error", text: error.description)
            }
            restartAt = Clock.monotonic + policy.waitAfter(lifetime: 0)
        }
    }

    private func hear(_ message: JSONValue, from host: Host) {
        switch message["event"]?.text {
        case "ready":
            host.isReady = true
            if host === current { goOn() }
        case "status": answer(message["plugins"] ?? .array([]))
        case "figures": if host === current { figures = message["plugins"] }
        default: break
        }
    }

    private func ended(_ host: Host, _ end: ProcessEnd?) {
        host.channel?.drainPackets()
        host.output?.read()
        leaving.removeAll { $0 === host }
        if former === host { former = nil }
        guard host === current else { return }
        answer(unknown)
        current = nil
        guard !isStopping else { return }
        // Also where it had nothing to tell: its plug-ins are started again.
        figures = figures ?? unknownFigures(host)
        site.log.error("plugin_host_exited") { line in
            line.add("pid", Int(host.process.pid))
            line.add("status", text: end?.description ?? "unknown")
        }
        let now = Clock.monotonic
        restartAt = now + policy.waitAfter(lifetime: now - host.startedAt)
    }
}
