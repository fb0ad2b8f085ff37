internal import Board
internal import Linux
internal import Memory
internal import Routing
internal import Signals

/// The workers of one service from one plan: performs what `PoolState` decides.
final class Pool {
    let plan: PoolPlan
    /// The service's index in the table.
    let service: Int
    let site: MasterSite
    private(set) var state: PoolState
    private var server: (any AppServer)!
    private(set) var workers: [WorkerKey: Worker] = [:]
    private var endpoints: [WorkerKey: EndpointReference] = [:]
    /// Requests that incarnations of each slot had that have ended.
    private var requestsBefore: [Int: UInt64] = [:]
    private var queue: [PoolState.Action] = []
    private var isPerforming = false
    private(set) var hasSettled = false
    private(set) var hasEnded = false
    private var hasBegun = false
    /// What the app is, for people: `app.py → app (Flask, WSGI)`.
    private(set) var description: String?
    /// Why the last start of workers failed, one line; for the one who waits for them.
    private(set) var lastFailure: String?

    private let busy: BusyBytes
    let busyFile: OpenFile
    private var rooms: [Int]

    /// Called once, when a worker is ready or all have failed.
    var settled: (Bool) -> Void = { _ in }
    /// Called when the code could not be loaded: one line, and the traceback.
    var loadFailed: (String, String) -> Void = { _, _ in }
    /// Called when a roll that was asked for is over; with a line when it failed.
    var rolled: (String?) -> Void = { _ in }
    /// Called when nobody is left.
    var ended: () -> Void = {}
    /// Who waits for the end of the roll. One that begins meanwhile takes its place: its code is
    /// newer.
    private var rollWaiters: [(String?) -> Void] = []

    init(_ plan: PoolPlan, service: Int, site: MasterSite) throws(MasterFailure) {
        self.plan = plan
        self.service = service
        self.site = site
        state = PoolState(
            workers: plan.workers, startLimit: plan.startLimit, drainLimit: plan.drainLimit)
        // A worker, its successor, and what still drains of the rolls before.
        let count = plan.workers * 4
        do {
            let busy = try BusyBytes.create(workers: count)
            self.busy = busy.bytes
            busyFile = OpenFile(owning: Descriptor(owning: busy.descriptor))
        } catch {
            throw MasterFailure(.failed, "cannot make shared memory: \(error)")
        }
        rooms = Array((0..<count).reversed())
        server = makeAppServer(self)
    }

    var name: String { plan.name }
    var isRolling: Bool { state.isRollUnderWay }
    var deadline: UInt64? { [state.deadline, server.deadline].compactMap { $0 }.min() }

    // MARK: what the master says

    func begin() { server.prepare() }

    func drain(cause: PoolState.Cause) {
        // What replaces the workers has newer code than the roll would have brought.
        endRoll(cause == .replaced ? nil : Self.stopText)
        perform(state.drain(now: Clock.monotonic, cause: cause))
    }

    func killAll() {
        endRoll(Self.stopText)
        perform(state.killAll())
    }

    private static let stopText = "the proxy is stopping"

    /// Loads the code anew and replaces the workers one by one; `done` gets a line when that
    /// failed.
    func roll(done: @escaping (String?) -> Void) {
        rollWaiters.append(done)
        server.renew()
    }

    private func endRoll(_ failure: String?) {
        guard !rollWaiters.isEmpty else { return }
        let waiters = rollWaiters
        rollWaiters = []
        rolled(failure)
        for waiter in waiters { waiter(failure) }
    }

    func tick(now: UInt64) {
        server.tick(now: now)
        perform(state.tick(now: now))
    }

    /// Kills the worker behind an endpoint; false when it is not of this pool.
    func kill(_ reference: EndpointReference, cause: PoolState.Cause) -> Bool {
        guard let key = endpoints.first(where: { $0.value == reference })?.key else { return false }
        perform(state.killed(key, cause: cause))
        return true
    }

    /// Whether a worker is at work on the request in a place; nil when the endpoint is not of this
    /// pool.
    func isBusy(_ reference: EndpointReference, place: Int) -> Bool? {
        guard let key = endpoints.first(where: { $0.value == reference })?.key else { return nil }
        guard let worker = workers[key] else { return false }
        return busy.isBusy(worker: worker.room, place: place)
    }

    /// Puts right what edges did to the endpoints: one that an edge marked down because its socket
    /// refused, although its process lives, is shown again if it accepts, and replaced if it does
    /// not.
    func review() {
        for (key, reference) in endpoints {
            guard let worker = workers[key], state.isReady(key),
                site.memory.table.endpoint(Int(reference.index)).status.state == .down
            else { continue }
            if accepts(worker) {
                let wakes = site.memory.table.setState(.ready, of: reference)
                site.memory.wake(edges: wakes)
            } else {
                perform(state.killed(key, cause: .timeout))
            }
        }
    }

    private func accepts(_ worker: Worker) -> Bool {
        let address: SocketAddress? =
            if let path = worker.address.path { try? SocketAddress.unix(path: path) } else {
                worker.address.port.flatMap { SocketAddress(address: "127.0.0.1", port: $0) }
            }
        return address.map { ListeningSocket.accepts($0) } ?? false
    }

    // MARK: what the server says

    /// The code is loaded: workers can be started from it.
    func prepared(_ description: String?) {
        self.description = description ?? self.description
        if hasBegun {
            perform(state.roll(now: Clock.monotonic))
        } else {
            hasBegun = true
            perform(state.begin(now: Clock.monotonic))
        }
    }

    /// The code could not be loaded; workers that run go on.
    func preparationFailed(_ message: String, traceback: String) {
        lastFailure = message
        loadFailed(message, traceback)
        endRoll(message)
    }

    func started(_ worker: Worker, pid: Int32) {
        worker.pid = pid
        if let reference = endpoints[worker.key] {
            site.memory.table.setProcess(pid, of: reference)
        }
        site.signals.workerStarted(service: name, slot: worker.key.slot, pid: pid)
        site.log.debug("worker_started") { line in
            line.add("service", text: name)
            line.add("worker", worker.key.slot)
            line.add("pid", Int(pid))
        }
    }

    func ready(_ worker: Worker) {
        guard !state.isReady(worker.key), workers[worker.key] === worker else { return }
        let took = Clock.monotonic - worker.startedAt
        site.signals.workerReady(
            service: name, slot: worker.key.slot, pid: worker.pid, after: took)
        site.log.info("worker_ready") { line in
            line.add("service", text: name)
            line.add("worker", worker.key.slot)
            line.add("pid", Int(worker.pid))
            line.add("seconds", seconds: took)
        }
        perform(state.ready(worker.key, now: Clock.monotonic))
    }

    /// What a worker says it costs: totals of this incarnation.
    func cost(_ worker: Worker, busySeconds: Double, residentBytes: Int) {
        guard let reference = endpoints[worker.key] else { return }
        let slot = site.memory.table.endpoint(Int(reference.index))
        guard slot.reference == reference, busySeconds >= 0, busySeconds < 1e9 else { return }
        slot.busyNanoseconds.storeRelaxed(UInt64(busySeconds * 1e9))
        slot.residentBytes.storeRelaxed(UInt64(max(0, residentBytes)))
    }

    /// A worker's process has ended; nil when nobody can say how.
    func exited(_ worker: Worker, _ end: ProcessEnd?) {
        guard workers[worker.key] === worker else { return }
        workers[worker.key] = nil
        worker.output?.read()
        let cause = state.cause(worker.key)
        report(worker, end, cause)
        giveBack(worker)
        let served = requests(worker)
        requestsBefore[worker.key.slot, default: 0] += served
        perform(state.exited(worker.key, hasServed: served > 0, now: Clock.monotonic))
    }

    /// Requests that a worker was given.
    private func requests(_ worker: Worker) -> UInt64 {
        guard let reference = endpoints[worker.key] else { return 0 }
        let all = site.memory.table.requests(Int(reference.index))
        return all - min(all, worker.requestsBefore)
    }

    private func report(
        crashLoop key: WorkerKey, _ lives: Int, _ lasting: UInt64, _ wait: UInt64
    ) {
        site.log.error("worker_crash_loop") { line in
            line.add("service", text: name)
            line.add("worker", key.slot)
            line.add("ended", lives)
            line.add("within_seconds", seconds: lasting)
            line.add("next_start_seconds", seconds: wait)
            line.add("ready_workers", state.readyCount)
            line.add("error", text: lastFailure ?? "")
        }
    }

    private func report(_ worker: Worker, _ end: ProcessEnd?, _ cause: PoolState.Cause?) {
        let lived = Clock.monotonic - worker.startedAt
        let (reason, status): (WorkerEnd, Int32) =
            switch (cause, end) {
            case (.timeout, .signalled(let number)), (.start, .signalled(let number)):
                (.timeout, number)
            case (.timeout, _), (.start, _): (.timeout, 0)
            case (.replaced, _): (.reload, 0)
            case (.stop, _): (.stop, 0)
            case (nil, .signalled(let number)): (.signal, number)
            case (nil, .exited(let code)): (.exit, code)
            case (nil, nil): (.exit, 0)
            }
        site.signals.workerExited(
            service: name, slot: worker.key.slot, pid: worker.pid, lived: lived, reason: reason,
            status: status)
        let isExpected = cause == .replaced || cause == .stop
        site.log.write(isExpected ? .debug : .warning, "worker_exited") { line in
            line.add("service", text: name)
            line.add("worker", worker.key.slot)
            line.add("pid", Int(worker.pid))
            line.add("reason", reason.word)
            line.add("status", text: end?.description ?? "unknown")
        }
        if !isExpected {
            let what = end?.description ?? "it ended"
            lastFailure =
                cause == .start
                ? "worker \(name)/\(worker.key.slot) was not ready in time"
                : "worker \(name)/\(worker.key.slot): \(what)"
        }
    }

    // MARK: performing

    private func perform(_ actions: [PoolState.Action]) {
        queue += actions
        guard !isPerforming else { return }
        isPerforming = true
        defer { isPerforming = false }
        while !queue.isEmpty { perform(queue.removeFirst()) }
    }

    private func perform(_ action: PoolState.Action) {
        switch action {
        case .publish(let key, .starting): make(key)
        case .publish(let key, let visibility): publish(key, visibility)
        case .launch(let key): launch(key)
        case .drain(let key): if let worker = workers[key] { server.drain(worker) }
        case .kill(let key): if let worker = workers[key] { server.kill(worker) }
        case .settled(let isReady):
            hasSettled = true
            if !isReady {
                site.log.error("service_failed") { line in
                    line.add("service", text: name)
                    line.add("error", text: lastFailure ?? "no worker could be started")
                }
            }
            settled(isReady)
        case .crashLoop(let key, let lives, let lasting, let wait):
            report(crashLoop: key, lives, lasting, wait)
        case .rolled: endRoll(nil)
        case .rollFailed:
            endRoll(lastFailure ?? "a new worker did not become ready; the old ones stay")
        case .ended:
            server.close()
            hasEnded = true
            ended()
        }
    }

    /// Makes a worker's socket and its endpoint.
    private func make(_ key: WorkerKey) {
        do throws(SystemError) {
            guard let room = rooms.popLast() else { throw SystemError("mmap", number: 12) }
            let address: WorkerAddress
            do throws(SystemError) {
                address = try server.makeAddress(key)
            } catch {
                rooms.append(room)
                throw error
            }
            let worker = Worker(
                key: key, address: address, room: room,
                requestsBefore: requestsBefore[key.slot] ?? 0, startedAt: Clock.monotonic)
            workers[key] = worker
            endpoints[key] = try? site.memory.table.addEndpoint(
                EndpointPlan(
                    service: service, kind: address.kind, capacity: plan.capacity,
                    number: key.slot, address: address.endpoint,
                    restarts: UInt64(state.restarts(slot: key.slot)),
                    requestsBefore: worker.requestsBefore))
            if endpoints[key] == nil { lastFailure = "limits.endpoints are used up" }
        } catch {
            lastFailure = "worker \(name)/\(key.slot): \(error)"
            site.log.error("worker_failed") { line in
                line.add("service", text: name)
                line.add("worker", key.slot)
                line.add("error", text: error.description)
            }
        }
    }

    private func publish(_ key: WorkerKey, _ visibility: PoolState.Visibility) {
        guard let reference = endpoints[key] else { return }
        let table = site.memory.table
        switch visibility {
        case .starting: break
        case .ready: site.memory.wake(edges: table.setState(.ready, of: reference))
        case .draining: _ = table.setState(.draining, of: reference)
        case .down, .failed:
            _ = table.setState(visibility == .down ? .down : .failed, of: reference)
            // Its number may be somebody else's by now.
            if workers[key] == nil { table.setProcess(0, of: reference) }
        case .gone:
            table.retire(reference)
            endpoints[key] = nil
        }
    }

    private func launch(_ key: WorkerKey) {
        guard let worker = workers[key], endpoints[key] != nil else {
            if let worker = workers.removeValue(forKey: key) { giveBack(worker) }
            queue += state.exited(key, now: Clock.monotonic)
            return
        }
        do throws(SystemError) {
            try server.launch(worker)
        } catch {
            lastFailure = "worker \(name)/\(key.slot): \(error)"
            site.log.error("worker_failed") { line in
                line.add("service", text: name)
                line.add("worker", key.slot)
                line.add("error", text: error.description)
            }
            workers[key] = nil
            giveBack(worker)
            queue += state.exited(key, now: Clock.monotonic)
        }
    }

    private func giveBack(_ worker: Worker) {
        busy.clear(worker: worker.room)
        rooms.append(worker.room)
        if let path = worker.address.path { try? FileSystem.remove(path) }
    }
}
