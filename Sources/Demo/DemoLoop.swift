import HTTP
import Linux
import Memory

/// How a worker's process is to end.
enum DemoEnding: Equatable {
    case exit(Int32)
    case kill
}

/// The demo worker's event loop: it polls all its connections and works on `concurrency` requests
/// at once, in the order in which their heads were whole, whatever edge they came from.
final class DemoLoop {
    /// Connections: one for each edge and generation, or each request in hand of an edge.
    static let connectionsMax = 1024
    /// Bytes an answer may have waiting to be sent before more are made.
    static let outputBytesMax = 256 << 10
    /// The longest head: what the edge may accept and add.
    static let headLimits = HeadLimits(
        headBytes: 63 << 10, fieldCount: FieldTable.countMax, targetBytes: 60 << 10)
    /// Nothing may happen for so long before a draining worker ends: what an edge sent before it
    /// knew is served.
    static let quietNanoseconds: UInt64 = 50_000_000

    let worker: DemoWorker
    let pool: BlockPool
    let connections: SlotTable<DemoConnection>
    var head = RequestHead(fieldCapacity: FieldTable.countMax)
    var trailers = FieldTable(capacity: FieldTable.countMax)
    var scratch = ByteScratch(capacity: 512 << 10)
    /// The only global state of the app: requests this process has begun.
    var count: UInt64 = 0
    var active = 0
    var waiting: [(index: Int, generation: UInt32)] = []
    var now = Clock.monotonic
    var costs = DemoCosts()
    var ending: DemoEnding?

    let poller: Poller
    private let listener: Descriptor
    private let control: MessageSocket
    private let busy: SharedRegion
    private var isDraining = false
    private var quietSince: UInt64 = 0

    private enum Token {
        static let listener: UInt64 = 0
        static let control: UInt64 = 1
        static let signals: UInt64 = 2
        static let firstConnection: UInt64 = 16
    }

    /// Tells the master at once that it is ready.
    init(
        _ worker: DemoWorker, listener: consuming Descriptor, control: consuming MessageSocket,
        busy: SharedRegion
    ) throws(SystemError) {
        self.worker = worker
        let parallel = worker.concurrency
        pool = BlockPool(
            smallCount: Self.connectionsMax + 64 * parallel, largeCount: 64 + 64 * parallel)
        connections = SlotTable(capacity: Self.connectionsMax)
        poller = try Poller()
        try poller.addLevel(listener.number, token: Token.listener)
        try poller.addLevel(control.number, token: Token.control)
        self.listener = listener
        self.control = control
        self.busy = busy
        let ready: JSONValue = ["event": "ready", "pid": .whole(ProcessTraits.pid)]
        _ = try self.control.send(ready.bytes)
    }

    /// Ends a wait when this descriptor is readable.
    func watch(_ descriptor: Int32) throws(SystemError) {
        try poller.addLevel(descriptor, token: Token.signals)
    }

    /// Finishes what is in hand, then ends.
    func drain() {
        isDraining = true
        quietSince = now
    }

    /// Waits for something to do and does it.
    ///
    /// - Parameter longest: the longest wait in milliseconds; -1: as long as it takes.
    func turn(longest: Int32 = -1) throws(SystemError) {
        let events = try poller.wait(milliseconds: patience(longest))
        now = Clock.monotonic
        if events > 0 { quietSince = now }
        for index in 0..<events {
            let event = poller.event(index)
            switch event.token {
            case Token.listener: try acceptAll()
            case Token.control: try hearMaster()
            case Token.signals: break
            default: notice(event.token, event.readiness)
            }
        }
        wakeSleepers()
        beginWaiting()
        try report()
        let isQuiet = now - quietSince >= Self.quietNanoseconds
        if isDraining, active == 0, waiting.isEmpty, isQuiet { ending = ending ?? .exit(0) }
    }

    /// Milliseconds until the next thing that is due by the clock, rounded up.
    private func patience(_ longest: Int32) -> Int32 {
        var dueAt = costs.dueAt ?? .max
        if isDraining { dueAt = min(dueAt, max(now, quietSince) + Self.quietNanoseconds) }
        if active > 0 {
            for index in 0..<connections.highWater where connections.isUsed(index) {
                guard let request = connections[index].request, request.dueAt > 0 else { continue }
                dueAt = min(dueAt, request.dueAt)
            }
        }
        guard dueAt < .max else { return longest }
        let rest = dueAt > now ? (dueAt - now + 999_999) / 1_000_000 : 0
        let wait = Int32(clamping: rest)
        return longest >= 0 ? min(wait, longest) : wait
    }

    private func acceptAll() throws(SystemError) {
        while !connections.isFull {
            guard case .accepted(let number, _) = StreamSocket.accept(listener.number) else {
                return
            }
            let index = connections.insert(DemoConnection(Descriptor(owning: number)))
            let generation = UInt64(connections.generation(at: index))
            let token = generation << 32 | (UInt64(index) + Token.firstConnection)
            try poller.add(number, token: token, writable: true)
        }
    }

    private func notice(_ token: UInt64, _ readiness: Readiness) {
        let index = Int(token & 0xffff_ffff) - Int(Token.firstConnection)
        guard connections.holds(index, generation: UInt32(token >> 32)) else { return }
        if readiness.contains(.readable) { connections[index].isReadable = true }
        if !readiness.isDisjoint(with: [.peerClosed, .hungUp, .failed]) {
            connections[index].isReadable = true
            connections[index].hasPeerEnded = true
        }
        if !readiness.isDisjoint(with: [.hungUp, .failed]) { connections[index].hasHungUp = true }
        serve(index)
    }

    private func wakeSleepers() {
        guard active > 0 else { return }
        for index in 0..<connections.highWater where connections.isUsed(index) {
            guard let dueAt = connections[index].request?.dueAt, dueAt > 0, dueAt <= now else {
                continue
            }
            serve(index)
        }
    }

    /// Begins requests that wait for their turn.
    func beginWaiting() {
        while active < worker.concurrency, !waiting.isEmpty {
            let next = waiting.removeFirst()
            guard connections.holds(next.index, generation: next.generation) else { continue }
            guard !connections[next.index].hasHungUp else {
                close(next.index)
                continue
            }
            connections[next.index].phase = .idle
            if readHead(next.index, isCalled: true) { serve(next.index) }
        }
    }

    /// Says whether a place's request is being worked on.
    func setBusy(_ place: Int?, _ isBusy: Bool) {
        guard let place else { return }
        busy.byte(at: worker.busyOffset + place).storeReleasing(isBusy ? 1 : 0)
    }

    private func hearMaster() throws(SystemError) {
        switch try control.receive() {
        case .packet(let bytes, _):
            if JSONValue(parsing: bytes)?["command"]?.text == "drain" { drain() }
        case .nothing: break
        case .closed: ending = .exit(0)
        }
    }

    /// Tells the master what the worker costs, once a second when it has changed.
    private func report() throws(SystemError) {
        guard let dueAt = costs.dueAt, dueAt <= now else { return }
        costs.dueAt = nil
        let pid = ProcessTraits.pid
        let cost: JSONValue = [
            "event": "cost", "requests": .whole(costs.requests),
            "busy_seconds": .number(Double(costs.busyNanoseconds) / 1e9),
            "rss_bytes": .whole(ProcessTraits.residentBytes(of: pid) ?? 0),
        ]
        _ = try control.send(cost.bytes)
    }
}

/// What the worker has cost so far.
struct DemoCosts {
    /// Between two reports.
    static let intervalNanoseconds: UInt64 = 1_000_000_000

    var requests: UInt64 = 0
    var busyNanoseconds: UInt64 = 0
    /// When to report; nil when nothing has changed.
    var dueAt: UInt64?

    mutating func add(_ nanoseconds: UInt64, now: UInt64) {
        requests += 1
        busyNanoseconds += nanoseconds
        if dueAt == nil { dueAt = now + Self.intervalNanoseconds }
    }
}
