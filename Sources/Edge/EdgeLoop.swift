import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals
import TLS

/// One data-plane process: everything an edge owns, and its one loop.
///
/// Read `run` first, then in the order of `house.md` section 3. There is one thread and no lock; whatever is called
/// from here returns. State lies in tables of slots; a slot's number names a connection or a request within the edge.
struct EdgeLoop<World: Network & ~Copyable>: ~Copyable {
    var network: World
    let settings: EdgeSettings
    let identity: EdgeIdentity
    let table: Table
    let counters: MetricsBlock

    let pool: BlockPool
    let clients: SlotTable<ClientConnection>
    let exchanges: SlotTable<Exchange>
    let upstreams: SlotTable<UpstreamConnection>
    let bodies: SlotTable<BodyStore>
    let spools: SlotTable<SpoolFile>
    let idle: IdleConnections
    let addresses: AddressCounter
    var timers: TimerWheel
    var ready: ReadyList
    var ledger: RequestLedger
    var requestIDs: RequestIDGenerator
    var journal: EdgeJournal

    /// Monotonic and Unix nanoseconds of this turn.
    var now: UInt64
    var wall: UInt64
    /// The reused results of parsing; valid only until the next head is parsed.
    var requestHead: RequestHead
    var responseHead: ResponseHead
    var trailers: FieldTable
    /// Whether the peer of the request just parsed is a trusted proxy.
    var isTrustedPeer = false
    /// Small texts of the moment: an address, a request id, the date of this second, a chunk's framing.
    var addressText = ByteScratch(capacity: 64)
    var idText = ByteScratch(capacity: 32)
    var date = ByteScratch(capacity: 32)
    var framing = ByteScratch(capacity: 32)
    var dateSecond: UInt64 = 0

    var connectionNumber: UInt64 = 0
    var isAccepting = false
    /// `TimerWheel.never` unless accepting pauses for a time.
    var acceptingResumesAt = TimerWheel.never
    var isDraining = false
    /// When a drain ends whatever still runs.
    var drainDeadline = TimerWheel.never
    /// Connections wait for memory until this moment.
    var starvedUntil = TimerWheel.never
    /// What was starved of memory, to be gone on with.
    var starved: ReadyList

    /// Turns the loop until the edge has nothing left to do.
    mutating func run() {
        isAccepting = true
        setListening(true)
        while turn() {}
    }

    /// One turn: waits once, reads the clock once, deals with every event, goes on with what is left, fires timers.
    ///
    /// - Returns: false when the edge is to end.
    mutating func turn() -> Bool {
        let count = network.wait(nanoseconds: waitTime())
        readClocks()
        for index in 0..<count {
            let (bits, readiness) = network.event(index)
            dispatch(Token(bits: bits), readiness)
        }
        goOn()
        fireTimers()
        resumeAcceptingIfDue()
        journal.flush(now: now, wall: wall)
        return !isDone()
    }

    private mutating func readClocks() {
        now = network.monotonic
        wall = network.wall
        let second = wall / 1_000_000_000
        guard second != dateSecond else { return }
        dateSecond = second
        date.removeAll()
        date.writer.write(httpDate: second)
    }

    private func waitTime() -> UInt64? {
        if ready.count > 0 { return 0 }
        var deadline = min(acceptingResumesAt, min(drainDeadline, starvedUntil))
        if let due = journal.dueAt { deadline = min(deadline, due) }
        if let wait = timers.wait(now: now) { deadline = min(deadline, now + wait) }
        guard deadline != TimerWheel.never else { return nil }
        return deadline > now ? deadline - now : 0
    }

    private mutating func dispatch(_ token: Token, _ readiness: Readiness) {
        switch token.kind {
        case .client:
            guard holds(clients, token) else { return }
            clientReady(token.index, readiness)
        case .upstream:
            guard holds(upstreams, token) else { return }
            upstreamReady(token.index, readiness)
        case .listener: accept(token.index)
        case .wake: placesMayBeFree()
        case .control: takeOrders()
        }
    }

    private func holds<Element>(_ slots: borrowing SlotTable<Element>, _ token: Token) -> Bool {
        slots.isUsed(token.index)
            && slots.generation(at: token.index) & 0x0fff_ffff == token.generation
    }

    /// Goes on with the connections that used up their share, each once.
    private mutating func goOn() {
        if starvedUntil <= now {
            starvedUntil = TimerWheel.never
            while starved.count > 0 { resume(starved.removeFirst()) }
        }
        for _ in 0..<ready.count {
            let token = ready.removeFirst()
            switch token.kind {
            case .client:
                guard holds(clients, token) else { continue }
                clients[token.index].clear(.queued)
                continueClient(token.index)
            case .upstream:
                guard holds(upstreams, token) else { continue }
                upstreams[token.index].clear(.queued)
                continueUpstream(token.index)
            case .listener, .wake, .control: break
            }
        }
    }

    private mutating func resume(_ token: Token) {
        if token.kind == .client, holds(clients, token) { queue(client: token.index) }
        if token.kind == .upstream, holds(upstreams, token) { queue(upstream: token.index) }
    }

    /// The budget of blocks is used up: this connection goes on a little later, when others have given some back.
    mutating func pauseForMemory(_ token: Token) {
        if starvedUntil == TimerWheel.never {
            starvedUntil = now + EdgeLimits.starvedPauseNanoseconds
        }
        if !starved.isFull { starved.append(token) }
    }

    private mutating func isDone() -> Bool {
        guard isDraining else { return false }
        if clients.count == 0 { return true }
        guard drainDeadline <= now else { return false }
        closeEverything()
        return true
    }
}
