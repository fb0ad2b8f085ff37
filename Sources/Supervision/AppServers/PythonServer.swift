internal import Board
internal import Linux
internal import Routing
internal import Signals

/// Workers of a Python app: a zygote imports it once and forks them on our word.
///
/// A new zygote takes over only when it has imported the app; its predecessor is let go then, and
/// the workers of the predecessor become our own children and go on until they are replaced.
final class PythonServer: AppServer {
    private unowned let pool: Pool
    private let app: String
    /// The zygote that forks.
    private var current: Zygote?
    /// The one that is importing.
    private var candidate: Zygote?
    /// Workers to be forked once there is a zygote, or room in its channel.
    private var waiting: [Worker] = []
    /// Workers to be killed as soon as their process is known, and until when the zygote has to
    /// name it.
    private var doomed: [WorkerKey: UInt64] = [:]
    private var policy = RestartPolicy.worker
    private var restartAt: UInt64?
    private var retryAt: UInt64?
    /// The processes of workers, each a child of our zygote or, after its end, of ours.
    private var adopted: [Int32: Worker] = [:]
    /// Worker processes that have ended, of which nobody has said how.
    private var gone: [Int32: UInt64] = [:]
    private var watches: [Int32: Loop.Watch] = [:]
    private var isClosed = false

    /// How long to wait for the zygote's word on how a worker ended, in nanoseconds.
    private static let wordWait: UInt64 = 200_000_000
    /// How long the zygote may take to name a worker that is to be killed, in nanoseconds. A fork
    /// needs milliseconds, and some hundred of an app with gigabytes; one that is stopped never
    /// comes back, and is killed, so that it holds neither a stop nor a replacement up.
    private static let forkLimit: UInt64 = 2_000_000_000
    /// Until a full channel is tried again, in nanoseconds.
    private static let retryWait: UInt64 = 10_000_000

    init(_ pool: Pool, app: String) {
        self.pool = pool
        self.app = app
    }

    private var site: MasterSite { pool.site }

    var deadline: UInt64? {
        ([candidate?.deadline, restartAt, retryAt].compactMap { $0 } + Array(gone.values)
            + Array(doomed.values)).min()
    }

    // MARK: the zygote

    func prepare() { startZygote() }

    func renew() { startZygote() }

    private func startZygote() {
        restartAt = nil
        if let candidate {
            // One that is importing older code is not waited for.
            candidate.kill()
            self.candidate = nil
        }
        do throws(SystemError) {
            // Each time: what lies in `/tmp` for long may be gone.
            try PythonHost.write(to: site.hostFolder)
            let zygote = try Zygote(
                interpreter: interpreter, host: site.hostFolder, environment: environment,
                account: pool.plan.account, on: site, source: pool.name,
                received: { [weak self] zygote, message in self?.hear(message, from: zygote) },
                ended: { [weak self] zygote, end in self?.ended(zygote, end) })
            zygote.deadline = Clock.monotonic + pool.plan.startLimit
            candidate = zygote
            zygote.channel?.send(order)
        } catch {
            fail("cannot start \(interpreter): \(error)", traceback: "")
        }
    }

    private var order: JSONValue {
        [
            "command": "import", "service": .string(pool.name), "app": .string(app),
            "dir": .string(pool.plan.folder), "interface": "auto",
            "threads": .whole(pool.plan.capacity),
        ]
    }

    /// The configuration has found it; without one there is only the system's.
    private var interpreter: String { pool.plan.python ?? "python3" }

    private var environment: [String] {
        let known = MasterSite.environment.first { $0.hasPrefix("PYTHONPATH=") }?.dropFirst(11)
        let path = known.map { "\(site.hostFolder):\($0)" } ?? site.hostFolder
        return pool.environment(adding: ["PYTHONPATH=\(path)"])
    }

    private func hear(_ message: JSONValue, from zygote: Zygote) {
        switch message["event"]?.text {
        case "imported": imported(message, zygote)
        case "import_failed", "failed":
            guard zygote === candidate else { return }
            zygote.hasFailed = true
            candidate = nil
            fail(
                message["error"]?.text ?? "the import failed",
                traceback: message["traceback"]?.text ?? "")
        case "forked": forked(message)
        case "fork_failed": worker(of: message).map(giveUp)
        case "exited":
            guard let pid = pid(of: message) else { return }
            let status = message["status"]?.whole.flatMap { Int32(exactly: $0) }
            ended(pid, status.map { ProcessEnd(raw: $0) })
        default: break
        }
    }

    private func imported(_ message: JSONValue, _ zygote: Zygote) {
        guard zygote === candidate, !isClosed else { return }
        candidate = nil
        zygote.deadline = nil
        current?.channel?.drainPackets()
        // That may have been the end of the last worker, and with it of the pool.
        guard !isClosed else { return zygote.kill() }
        current?.retire()
        current = zygote
        giveUpForks()
        site.log.info("app_imported") { line in
            line.add("service", text: pool.name)
            line.add("app", text: message["description"]?.text ?? app)
            line.add("pid", Int(zygote.process.pid))
            line.add("seconds", seconds: Clock.monotonic - zygote.startedAt)
        }
        for warning in message["warnings"]?.elements ?? [] {
            site.log.warning("app_warning") { line in
                line.add("service", text: pool.name)
                line.add("text", text: warning.text ?? "")
            }
        }
        pool.prepared(message["description"]?.text)
        forkWaiting()
    }

    private func ended(_ zygote: Zygote, _ end: ProcessEnd?) {
        zygote.retire()
        if zygote === candidate {
            candidate = nil
            if !zygote.hasFailed {
                fail(
                    "the interpreter ended while importing \(app): \(end?.description ?? "?")",
                    traceback: "")
            }
        } else if zygote === current {
            current = nil
            guard !isClosed else { return }
            site.log.warning("zygote_exited") { line in
                line.add("service", text: pool.name)
                line.add("pid", Int(zygote.process.pid))
                line.add("status", text: end?.description ?? "unknown")
            }
            giveUpForks()
            // The pool, which is ending, waited for nobody else.
            guard !isClosed else { return }
            // Its workers go on; once there is another they are replaced one by one.
            scheduleRestart(lifetime: Clock.monotonic - zygote.startedAt)
        }
    }

    /// Workers that a zygote was asked for and that it will not tell us of any more. Should it have
    /// forked one, that one sees its channel closed and ends.
    private func giveUpForks() {
        for worker in pool.workers.values
        where worker.pid == 0 && !waiting.contains(where: { $0 === worker }) {
            giveUp(worker)
        }
    }

    /// A worker's process will not be named any more.
    private func giveUp(_ worker: Worker) {
        doomed[worker.key] = nil
        pool.exited(worker, nil)
    }

    /// It was to name a worker and did not: it is stopped, or stuck. What its end leads to happens
    /// when it is seen.
    private func endStuckZygote() {
        // Its word may have come in this turn.
        current?.channel?.drainPackets()
        let now = Clock.monotonic
        let isStuck = doomed.values.contains { $0 <= now }
        // Once is enough: those that are left are given up with the zygote.
        for (key, due) in doomed where due <= now { doomed[key] = .max }
        guard isStuck, let current else { return }
        site.log.error("zygote_stuck") { line in
            line.add("service", text: pool.name)
            line.add("pid", Int(current.process.pid))
            line.add("text", text: "it was asked for a worker and does not answer; it is killed")
        }
        current.process.send(SignalNumber.kill)
    }

    private func fail(_ message: String, traceback: String) {
        // Without any zygote there is no way back but another try.
        if current == nil && !isClosed { scheduleRestart(lifetime: 0) }
        pool.preparationFailed(message, traceback: traceback)
    }

    private func scheduleRestart(lifetime: UInt64) {
        restartAt = Clock.monotonic + policy.waitAfter(lifetime: lifetime)
    }

    // MARK: workers

    func makeAddress(_ key: WorkerKey) throws(SystemError) -> WorkerAddress {
        try pool.bindSocket(key, kind: .ours)
    }

    func launch(_ worker: Worker) throws(SystemError) {
        waiting.append(worker)
        forkWaiting()
    }

    private func forkWaiting() {
        retryAt = nil
        while let worker = waiting.first, let channel = current?.channel {
            do throws(SystemError) {
                guard try fork(worker, by: channel) else {
                    retryAt = Clock.monotonic + Self.retryWait
                    return
                }
                waiting.removeFirst()
            } catch {
                waiting.removeFirst()
                pool.exited(worker, nil)
            }
        }
    }

    /// Asks the zygote for a worker; false when its channel is full.
    private func fork(_ worker: Worker, by channel: Channel) throws(SystemError) -> Bool {
        let control = try ChannelEnds()
        let output = try OutputEnds()
        guard let listener = worker.listener else { throw SystemError("listen", number: 9) }
        let order: JSONValue = [
            "command": "fork", "worker": .whole(worker.key.slot),
            "incarnation": .whole(worker.key.incarnation), "places": .whole(placesMax),
            "busy_offset": .whole(BusyBytes.offset(worker: worker.room)),
        ]
        let isSent = channel.send(
            order,
            descriptors: [
                listener.number, control.theirs.number, output.theirs.number,
                pool.busyFile.number,
            ])
        guard isSent else { return false }
        worker.listener = nil
        try pool.attach(worker, control: control.ours, output: output.ours) {
            [unowned self, unowned worker] pid in adopt(worker, pid)
        }
        return true
    }

    private func forked(_ message: JSONValue) {
        guard let pid = pid(of: message) else { return }
        guard let worker = worker(of: message) else { return }
        adopt(worker, pid)
    }

    /// A worker's process is named: by its zygote, or by itself, whoever was heard first.
    ///
    /// Both run the app's code, so neither is believed: a stranger's number would have us, who may
    /// be root, kill the stranger.
    private func adopt(_ worker: Worker, _ pid: Int32) {
        guard worker.pid == 0, adopted[pid] == nil, !site.children.isKnown(pid) else { return }
        do throws(SystemError) {
            let parents = [current?.process.pid, ProcessTraits.pid].compactMap { $0 }
            let held = try ChildProcess(
                pid: pid, childOf: parents, user: pool.plan.account?.user)
            hold(worker, ProcessHold(held))
        } catch {
            guard error.number == 3 else { return refuse(worker, pid) }
            // It has ended already; its zygote is about to say how.
            gone[pid] = Clock.monotonic + Self.wordWait
        }
        adopted[pid] = worker
        pool.started(worker, pid: pid)
        if doomed.removeValue(forKey: worker.key) != nil { kill(worker) }
    }

    private func hold(_ worker: Worker, _ process: ProcessHold) {
        let pid = process.pid
        worker.process = process
        // When its zygote dies it becomes our child, and nobody else says that it has ended.
        site.children.register(pid) { [weak self] end in self?.ended(pid, end) }
        watches[pid] = try? site.loop.watch(process.number) { [unowned self] in
            watches[pid] = nil
            gone[pid] = Clock.monotonic + Self.wordWait
        }
    }

    private func refuse(_ worker: Worker, _ pid: Int32) {
        site.log.warning("worker_refused") { line in
            line.add("service", text: pool.name)
            line.add("worker", worker.key.slot)
            line.add("pid", Int(pid))
            line.add("text", text: "the process it is said to be is none of this app's")
        }
    }

    /// A worker's process has ended; nil when nobody can say how.
    private func ended(_ pid: Int32, _ end: ProcessEnd?) {
        gone[pid] = nil
        guard let worker = adopted.removeValue(forKey: pid) else { return }
        if worker.process != nil { site.children.forget(pid) }
        watches[pid] = nil
        pool.exited(worker, end)
    }

    func drain(_ worker: Worker) { pool.tellToDrain(worker) }

    func kill(_ worker: Worker) {
        if let index = waiting.firstIndex(where: { $0 === worker }) {
            waiting.remove(at: index)
            pool.exited(worker, nil)
        } else if let process = worker.process {
            process.send(SignalNumber.kill)
        } else {
            doomed[worker.key] = Clock.monotonic + Self.forkLimit
            // A zygote that does not fork any more will not tell us of it.
            if current == nil { giveUp(worker) }
        }
    }

    private func pid(of message: JSONValue) -> Int32? {
        message["pid"]?.whole.flatMap { Int32(exactly: $0) }
    }

    private func worker(of message: JSONValue) -> Worker? {
        guard let slot = message["worker"]?.whole, let life = message["incarnation"]?.whole else {
            return nil
        }
        return pool.workers[WorkerKey(slot: slot, incarnation: life)]
    }

    // MARK: time

    func tick(now: UInt64) {
        if let due = candidate?.deadline, due <= now {
            let zygote = candidate
            candidate = nil
            zygote?.kill()
            fail(
                "\(app) was not imported within \(Self.text(pool.plan.startLimit)) "
                    + "(timeout.start): its import hangs, or needs more time", traceback: "")
        }
        if let due = restartAt, due <= now { startZygote() }
        if let due = retryAt, due <= now { forkWaiting() }
        for (pid, due) in gone where due <= now { ended(pid, nil) }
        if doomed.values.contains(where: { $0 <= now }) { endStuckZygote() }
    }

    /// A time limit as one would write it.
    private static func text(_ nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    func close() {
        isClosed = true
        restartAt = nil
        retryAt = nil
        waiting = []
        candidate?.kill()
        candidate = nil
        current?.retire()
        current = nil
        adopted = [:]
        watches = [:]
        gone = [:]
        doomed = [:]
    }
}

/// The Python host's files, which travel inside the binary.
enum PythonHost {
    /// Writes the host to `folder`, for every user to read.
    static func write(to folder: String) throws(SystemError) {
        try FileSystem.makeFolder(folder, mode: 0o755)
        for file in EmbeddedFiles.all {
            let path = "\(folder)/\(file.path)"
            if let slash = path.lastIndex(of: "/") {
                try FileSystem.makeFolder(String(path[..<slash]), mode: 0o755)
            }
            // In one step: somebody may be reading it.
            try FileSystem.write(file.bytes, to: "\(path).new", mode: 0o644)
            try FileSystem.rename("\(path).new", to: path)
        }
    }
}
