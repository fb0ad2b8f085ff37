internal import Board
internal import Linux
internal import Routing
internal import Signals

/// The edges: performs what `EdgeFleet` decides.
///
/// An edge's role sheet has: `edge` (its number), `slot` and `slot_generation` (its place in shared
/// memory and which life of it), `generation` (of the configuration), `service.NAME` (each
/// service's index in the table), `listener.N` (`NUMBER PORT URL` of the socket `fd.listener.N`,
/// NUMBER being the listener's place in the configuration), `user`, `group`, `groups`;
/// `fd.control`, `fd.configuration`, `fd.certificates` (with any), `fd.access` (with an access
/// log), `fd.errors`, `fd.table`, `fd.board`, `fd.rings`, `fd.readers`, `fd.keys`, `fd.wake.S` for
/// each edge slot and `fd.reader_wake.R` for each reader of the rings.
final class EdgeKeeper {
    /// What edges of one generation are started with.
    struct Outfit {
        let generation: Int
        let plan: MasterPlan
        let listeners: [ListenerSockets.Listener]
        /// Each service's index in the table.
        let services: [(name: String, index: Int)]
        fileprivate let configuration: OpenFile
        fileprivate let certificates: OpenFile?
        /// Nil: no access log.
        fileprivate var access: OpenFile?
    }

    private final class Edge {
        let identity: EdgeIdentity
        let generation: Int
        let process: ProcessHold
        var channel: Channel?
        var output: OutputReader?
        /// We ended it.
        var isKilled = false

        init(_ identity: EdgeIdentity, _ generation: Int, _ process: ProcessHold) {
            self.identity = identity
            self.generation = generation
            self.process = process
        }
    }

    private let site: MasterSite
    private let logs: LogFiles
    private(set) var fleet = EdgeFleet(slots: SharedMemory.edgeSlots)
    private var edges: [Int: Edge] = [:]
    private var outfits: [Int: Outfit] = [:]
    /// When orphaned places are looked at next.
    private var orphansAt: UInt64?
    private var retired = false

    /// Called when every edge of a generation could accept, for the first time.
    var prepared: (Int) -> Void = { _ in }
    /// Called when a take-over or a stop is done: who is to accept does, and nobody else.
    var settled: () -> Void = {}
    /// Called when a generation could not be started.
    var failed: (Int) -> Void = { _ in }
    /// Called when the last edge of a generation has ended.
    var ended: (Int) -> Void = { _ in }
    /// Called when an edge asks for a worker's end.
    var killWorker: (EndpointReference) -> Void = { _ in }
    /// Whether a worker is at work in a place; false when it is gone.
    var isBusy: (EndpointReference, Int) -> Bool = { _, _ in false }
    /// What a request in flight was for.
    var names: (RequestInFlight) -> RequestNames = { _ in
        RequestNames(service: [], endpoint: [])
    }

    init(_ site: MasterSite, logs: LogFiles) {
        self.site = site
        self.logs = logs
    }

    var isEmpty: Bool { edges.isEmpty }
    var deadline: UInt64? { [fleet.deadline, orphansAt].compactMap { $0 }.min() }
    /// Edge slots that nobody has.
    var freeSlots: Int { SharedMemory.edgeSlots - edges.count }

    // MARK: what the master says

    /// Makes what the edges of a generation are started with.
    func outfit(
        generation: Int, plan: MasterPlan, logs: LogFiles, listeners: [ListenerSockets.Listener],
        services: [(name: String, index: Int)]
    ) throws(SystemError) -> Outfit {
        var certificates: OpenFile?
        if !plan.certificates.isEmpty {
            certificates = OpenFile(
                owning: try MemoryFile.sealed(name: "certificates", plan.certificates))
        }
        return Outfit(
            generation: generation, plan: plan, listeners: listeners, services: services,
            configuration: OpenFile(
                owning: try MemoryFile.sealed(name: "configuration", plan.lines)),
            certificates: certificates, access: logs.access)
    }

    func begin(_ outfit: Outfit) {
        outfits[outfit.generation] = outfit
        perform(
            fleet.begin(
                generation: outfit.generation, count: outfit.plan.options.front.edges,
                now: Clock.monotonic))
    }

    /// A prepared generation accepts; edges of all others end with their last connection, at latest
    /// after `limit` nanoseconds.
    func takeOver(by generation: Int, limit: UInt64) {
        let now = Clock.monotonic
        perform(fleet.takeOver(by: generation, now: now, deadline: now + limit))
    }

    func withdraw(generation: Int) {
        perform(fleet.withdraw(generation: generation, now: Clock.monotonic))
    }

    func stop(limit: UInt64) {
        let now = Clock.monotonic
        perform(fleet.stop(now: now, deadline: now + limit))
    }

    func stopNow() { perform(fleet.stopNow(now: Clock.monotonic)) }

    func tick(now: UInt64) {
        perform(fleet.tick(now: now))
        if let due = orphansAt, due <= now { reclaimOrphans(now: now) }
    }

    /// Hands the reopened logs to every edge of these generations.
    func reopenLogs(upTo generation: Int) {
        for number in outfits.keys where number <= generation {
            outfits[number]?.access = logs.access
        }
        var numbers: [Int32] = []
        if let access = logs.access { numbers.append(access.number) }
        numbers.append(site.log.number)
        let order: JSONValue = [
            "command": "logs", "access": .bool(logs.access != nil), "errors": true,
        ]
        for edge in edges.values where edge.generation <= generation {
            edge.channel?.send(order, descriptors: numbers)
        }
    }

    /// The edges for `status`, in the order of their slots.
    func status() -> [(edge: EdgeFleet.Edge, pid: Int32, restarts: Int)] {
        fleet.edges.values.sorted { ($0.generation, $0.index) < ($1.generation, $1.index) }
            .map { edge in
                (
                    edge, edges[edge.slot]?.process.pid ?? 0,
                    fleet.restarts(generation: edge.generation, index: edge.index)
                )
            }
    }

    // MARK: performing

    private func perform(_ actions: [EdgeFleet.Action]) {
        for action in actions {
            switch action {
            case .launch(let generation, let index, let slot): launch(generation, index, slot)
            case .accept(let slot): tell(slot, "accept")
            case .drain(let slot): tell(slot, "drain")
            case .stop(let slot): tell(slot, "stop")
            case .stopNow(let slot): tell(slot, "stop_now")
            case .kill(let slot): kill(slot)
            case .recover: break  // done when its end is seen, before the fleet is told
            case .prepared(let generation): prepared(generation)
            case .settled: settled()
            case .failed(let generation): failed(generation)
            case .ended(let generation):
                outfits[generation] = nil
                site.log.info("generation_ended") { line in line.add("generation", generation) }
                ended(generation)
            case .tooMany(let generation):
                site.log.warning("generation_cut") { line in
                    line.add("generation", generation)
                    line.add("text", text: "more than 4 generations of edges; the oldest ends now")
                }
            }
        }
    }

    private func tell(_ slot: Int, _ command: String) {
        guard let edge = edges[slot] else { return }
        if edge.channel?.send(["command": .string(command)]) != true { kill(slot) }
    }

    private func kill(_ slot: Int) {
        edges[slot]?.isKilled = true
        edges[slot]?.process.send(SignalNumber.kill)
    }

    private func launch(_ generation: Int, _ index: Int, _ slot: Int) {
        guard let outfit = outfits[generation] else {
            preconditionFailure("generation \(generation) has no outfit")
        }
        let identity: EdgeIdentity
        do throws(BoardError) {
            identity = try site.memory.table.openEdge(
                number: index, configuration: UInt64(generation), slot: slot)
        } catch {
            preconditionFailure("the fleet and the table disagree about slot \(slot): \(error)")
        }
        do throws(SystemError) {
            try start(identity, index, outfit)
        } catch {
            site.log.error("edge_failed") { line in
                line.add("edge", index)
                line.add("error", text: error.description)
            }
            // It may run already, without a way to speak to it.
            edges.removeValue(forKey: slot)?.process.end()
            recover(identity)
            perform(fleet.launchFailed(slot: slot, now: Clock.monotonic))
        }
    }

    private func start(
        _ identity: EdgeIdentity, _ index: Int, _ outfit: Outfit
    ) throws(SystemError) {
        let control = try ChannelEnds()
        let printed = try OutputEnds()
        var role = RoleLaunch(role: "edge", environment: MasterSite.environment)
        role.output = printed.theirs.number
        role.run(as: outfit.plan.account)
        role.set("edge", index)
        role.set("slot", identity.slot)
        role.set("slot_generation", identity.generation)
        role.set("generation", outfit.generation)
        for service in outfit.services { role.set("service.\(service.name)", service.index) }
        role.give(control.theirs.number, as: "control")
        role.give(outfit.configuration.number, as: "configuration")
        if let file = outfit.certificates { role.give(file.number, as: "certificates") }
        give(outfit.listeners, to: &role, index, of: outfit.plan.options.front.edges)
        if let access = outfit.access { role.give(access.number, as: "access") }
        role.give(site.log.number, as: "errors")
        let memory = site.memory
        role.give(memory.tableFile.number, as: "table")
        role.give(memory.boardFile.number, as: "board")
        role.give(memory.ringsFile.number, as: "rings")
        role.give(memory.readersFile.number, as: "readers")
        role.give(memory.keysFile.number, as: "keys")
        for (slot, wake) in memory.wakes.enumerated() { role.give(wake.number, as: "wake.\(slot)") }
        for (reader, wake) in memory.readerWakes.enumerated() {
            role.give(wake.number, as: "reader_wake.\(reader)")
        }
        let edge = Edge(identity, outfit.generation, ProcessHold(try role.start()))
        edges[identity.slot] = edge
        edge.channel = try Channel(
            control.ours, on: site.loop,
            received: { [unowned self] in hear($0, from: identity.slot) })
        let site = site
        edge.output = try OutputReader(printed.ours, on: site.loop) { text in
            site.log.output(of: "edge/\(index)", text)
        }
        site.children.register(edge.process.pid) { [unowned self] in exited(edge, index, $0) }
    }

    private func give(
        _ listeners: [ListenerSockets.Listener], to role: inout RoleLaunch, _ edge: Int,
        of edges: Int
    ) {
        var number = 0
        for (position, listener) in listeners.enumerated() {
            for bound in listener.bound {
                // One socket for all, or those that are this edge's.
                let positions =
                    listener.options.reusesPort
                    ? SocketShares.positions(
                        edge: edge, edges: edges, sockets: bound.sockets.count)
                    : Array(bound.sockets.indices)
                for socket in positions {
                    let port = bound.address.port ?? 0
                    role.set("listener.\(number)", "\(position) \(port) \(listener.url)")
                    role.give(bound.sockets[socket].number, as: "listener.\(number)")
                    number += 1
                }
            }
        }
    }

    // MARK: what edges say

    private func hear(_ message: JSONValue, from slot: Int) {
        switch message["event"]?.text {
        case "ready": perform(fleet.ready(slot: slot, now: Clock.monotonic))
        case "accepting": perform(fleet.accepting(slot: slot))
        case "stopped": perform(fleet.stopped(slot: slot))
        case "kill_worker":
            guard let index = message["endpoint"]?.whole.flatMap({ UInt32(exactly: $0) }),
                let generation = message["generation"]?.whole.flatMap({ UInt32(exactly: $0) })
            else { return }
            killWorker(EndpointReference(index: index, generation: generation))
        default: break
        }
    }

    private func exited(_ edge: Edge, _ index: Int, _ end: ProcessEnd?) {
        // What it said last may still be there: that a worker has to go.
        edge.channel?.drainPackets()
        edge.output?.read()
        let slot = edge.identity.slot
        edges[slot] = nil
        let phase = fleet.edges[slot]?.phase ?? .stopping
        let isLeaving = phase == .draining || phase == .stopping
        let isExpected = isLeaving && (edge.isKilled || end == .exited(code: 0))
        let missing = recover(edge.identity)
        site.log.write(isExpected ? .debug : .error, "edge_exited") { line in
            line.add("edge", index)
            line.add("generation", edge.generation)
            line.add("pid", Int(edge.process.pid))
            line.add("status", text: end?.description ?? "unknown")
            if missing > 0 { line.add("requests_lost", missing) }
        }
        perform(fleet.exited(slot: slot, now: Clock.monotonic))
        if fleet.edges[slot]?.phase == .starting, !isExpected {
            site.log.info("edge_restarted") { line in line.add("edge", index) }
        }
    }

    /// Puts right what a dead edge left in shared memory, before its slot gets another.
    ///
    /// - Returns: requests whose end nobody had told of.
    @discardableResult
    private func recover(_ identity: EdgeIdentity) -> Int {
        let memory = site.memory
        let recovery = memory.table.recover(
            identity, ringHead: memory.rings.head(of: identity.slot))
        let missing = site.signals.raiseMissing(
            recovery.requests, edgeSlot: identity.slot, names: names)
        memory.board.clearGauges(edgeSlot: identity.slot)
        memory.wake(edges: recovery.wakes)
        if recovery.placesOrphaned > 0 {
            orphansAt = Clock.monotonic + Table.orphanGraceNanoseconds
        }
        return missing
    }

    private func reclaimOrphans(now: UInt64) {
        let (left, wakes) = site.memory.table.reclaimOrphans(isBusy: isBusy)
        site.memory.wake(edges: wakes)
        orphansAt = left > 0 ? now + Table.orphanGraceNanoseconds : nil
    }
}

/// The files that edges write to.
final class LogFiles {
    /// Nil: no access log.
    private(set) var access: OpenFile?

    /// Goes over to the files of another configuration.
    func adopt(_ other: LogFiles) { access = other.access }

    /// Opens the access log, anew when it is open.
    func open(_ options: LogOptions) throws(SystemError) {
        switch options.access {
        case nil: access = nil
        case .standardOutput: access = OpenFile(owning: try FileSystem.log(on: 1))
        case .standardError: access = OpenFile(owning: try FileSystem.log(on: 2))
        case .file(let path): access = try OpenFile(log: path)
        }
    }
}
