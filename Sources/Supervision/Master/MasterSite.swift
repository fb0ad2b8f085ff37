internal import Board
internal import Linux
internal import Signals

/// What every part of the master works with: its loop, log, shared memory, folders and children.
final class MasterSite {
    let loop: Loop
    let log: EventLog
    let memory: SharedMemory
    let children = ChildTable()
    let signals: MasterSignals
    /// `directories.runtime`.
    let runtime: String
    /// Whom edges run as; nil: as the master.
    var edgeAccount: Account?
    /// Edges of the configuration that serves: how many may connect to a worker at once.
    var edges = 1

    init(loop: Loop, log: EventLog, memory: SharedMemory, runtime: String) {
        self.loop = loop
        self.log = log
        self.memory = memory
        self.runtime = runtime
        signals = MasterSignals(memory)
    }

    private var lastLife = 0

    /// A number that nothing else has in the life of this master: what is named with it can be
    /// removed without asking whose it is now.
    func takeLife() -> Int {
        lastLife += 1
        return lastLife
    }

    /// The folder of the worker sockets, through which edges pass and that nobody can list.
    var socketFolder: String { RuntimeFolder.sockets(in: runtime) }
    /// The folder of the Python host.
    var hostFolder: String { RuntimeFolder.host(in: runtime) }

    /// The environment that children begin with: ours, without what was meant for us alone.
    static let environment: [String] = ProcessTraits.environment.filter { entry in
        !["NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "WATCHDOG_"]
            .contains { entry.hasPrefix($0) }
    }
}

/// Who is told when which child has ended.
final class ChildTable {
    private var handlers: [Int32: (ProcessEnd) -> Void] = [:]

    /// Has `ended` called once when the child has been reaped.
    func register(_ pid: Int32, ended: @escaping (ProcessEnd) -> Void) { handlers[pid] = ended }

    /// Somebody waits for this child already.
    func isKnown(_ pid: Int32) -> Bool { handlers[pid] != nil }

    /// Nobody waits for the child any more.
    func forget(_ pid: Int32) { handlers[pid] = nil }

    /// Reaps every child that has ended; orphans that nobody waits for are only laid to rest.
    func reap() {
        while let (pid, end) = ChildProcess.reapAny() { handlers.removeValue(forKey: pid)?(end) }
    }
}

/// The signals that the master raises, into its own ring.
final class MasterSignals {
    private let memory: SharedMemory
    private var writer: SignalWriter

    init(_ memory: SharedMemory) {
        self.memory = memory
        writer = SignalWriter(memory.rings, ring: memory.rings.masterRing)
    }

    func workerStarted(service: String, slot: Int, pid: Int32) {
        let name = Array(service.utf8)
        writer.workerStarted(
            slot: UInt32(slot), pid: UInt32(pid), service: name.span, wall: Clock.wall)
    }

    func workerReady(service: String, slot: Int, pid: Int32, after duration: UInt64) {
        let name = Array(service.utf8)
        writer.workerReady(
            slot: UInt32(slot), pid: UInt32(pid), duration: duration, service: name.span,
            wall: Clock.wall)
    }

    func workerExited(
        service: String, slot: Int, pid: Int32, lived: UInt64, reason: WorkerEnd, status: Int32
    ) {
        let name = Array(service.utf8)
        writer.workerExited(
            slot: UInt32(slot), pid: UInt32(pid), lived: lived, reason: reason,
            status: UInt16(truncatingIfNeeded: status), service: name.span, wall: Clock.wall)
    }

    func configurationReloaded(generation: Int, differences: String) {
        let text = Array(differences.utf8)
        writer.configurationReloaded(
            generation: UInt64(generation), differences: text.span, wall: Clock.wall)
    }

    func configurationRejected(generation: Int, diagnostics: String) {
        let text = Array(diagnostics.utf8)
        writer.configurationRejected(
            generation: UInt64(generation), diagnostics: text.span, wall: Clock.wall)
    }

    /// Raises what an edge that died had not, into its own ring, and wakes every reader: the edge
    /// may have taken a reader's flag without writing its eventfd.
    func raiseMissing(
        _ requests: [RequestInFlight], edgeSlot: Int, names: (RequestInFlight) -> RequestNames
    ) -> Int {
        var ring = SignalWriter(memory.rings, ring: edgeSlot)
        let missing = ring.raiseMissing(
            requests, wall: Clock.wall, now: Clock.monotonic, names: names)
        memory.wake(readers: .max)
        return missing
    }

    /// Wakes the readers that sleep, once a turn.
    func flush() { memory.wake(readers: writer.takeSleepers(memory.readers)) }
}
