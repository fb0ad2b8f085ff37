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
/// Read `run` first, then in the order of `house.md` section 3. There is one thread and no lock;
/// whatever is called from here returns. State lies in tables of slots; a slot's number names a
/// connection or a request within the edge.
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
    var addresses: AddressCounter
    var timers: TimerWheel
    var ready: ReadyList
    var ledger: RequestLedger
    var requestIDs: RequestIDGenerator
    var journal: EdgeJournal
    var routes: RouteTable
    /// How each service's requests are hashed, for consistent-hash.
    let keyHashes: [KeyHash]
    var balancer: Balancer
    let orders: Orders

    /// Nearly 3 KB that would be copied 13 times a request.
    private let place = Immobile()

    /// Monotonic and Unix nanoseconds of this turn.
    var now: UInt64
    var wall: UInt64
    /// The reused results of parsing; valid only until the next head is parsed.
    var requestHead: RequestHead
    var responseHead: ResponseHead
    var trailers: FieldTable
    /// Whether the peer of the request just parsed is a trusted proxy.
    var isTrustedPeer = false
    /// Who sent the request just parsed, and whether over https: the peer, or what a trusted proxy
    /// says.
    var clientAddress = IPAddress(ipv4: 0)
    var isSecureClient = false
    /// Whether `Forwarded` names the same client as what was believed, so that it may go on.
    var keepsForwarded = true
    /// Small texts of the moment: an address, the client behind it, our own authority, a request
    /// id, the date of this second, a chunk's framing.
    let addressText = TextScratch(capacity: 64)
    let clientText = TextScratch(capacity: 64)
    let authorityText = TextScratch(capacity: 64)
    let idText = TextScratch(capacity: 32)
    let date = TextScratch(capacity: 32)
    let framing = TextScratch(capacity: 32)
    var dateSecond: UInt64 = 0
    /// The name of the endpoint being written about, and what it said its app raised.
    let plainText = TextScratch(capacity: BlockSize.large.bytes)
    /// The head of an answer that does not fit into a block with what is added to it.
    let longHeadText = TextScratch(capacity: EdgeLimits.longHeadBytesMax)
    let serverNameText = TextScratch(capacity: 256)
    let exceptionText = TextScratch(capacity: 8192)
    var endpointNames: EndpointNames
    /// The next moments at which descriptors or the spool may be complained about again.
    var exhaustedReportAt: UInt64 = 0
    var spoolReportAt: UInt64 = 0
    var scarceReportAt: UInt64 = 0
    /// Connections that were closed at once, for their address or for want of memory, and pauses at
    /// `limits.connections`; the next moment at which one of them is said.
    var addressReport = RareReport()
    var memoryReport = RareReport()
    var pauseReport = RareReport()
    var limitReportsAt = TimerWheel.never

    var connectionNumber: UInt64 = 0
    var isAccepting = false
    /// `TimerWheel.never` unless accepting pauses for a time.
    var acceptingResumesAt = TimerWheel.never
    var isDraining = false
    /// When a drain ends whatever still runs.
    var drainDeadline = TimerWheel.never
    /// How long a connection may wait for its next request: `timeout.idle`, and in a stop no time.
    var idleTime: UInt64
    /// Connections wait for memory until this moment.
    var starvedUntil = TimerWheel.never
    /// When free places are looked for again, while requests wait.
    var looksAt = TimerWheel.never
    /// What was starved of memory, to be gone on with.
    var starved: ReadyList

    /// - Parameter seed: random numbers, for request ids and hash tables.
    init(
        network: consuming World, settings: consuming EdgeSettings,
        routes: consuming RouteTable, services: [ServiceOptions], identity: EdgeIdentity,
        table: Table, counters: MetricsBlock, journal: consuming EdgeJournal,
        balancer: consuming Balancer, capacities: EdgeCapacities, orders: consuming Orders,
        seed: (UInt64, UInt64)
    ) {
        now = network.monotonic
        wall = network.wall
        pool = BlockPool(
            smallCount: capacities.smallBlocks, largeCount: capacities.largeBlocks)
        clients = SlotTable(capacity: capacities.clients)
        exchanges = SlotTable(capacity: capacities.clients)
        upstreams = SlotTable(capacity: capacities.upstreams)
        bodies = SlotTable(capacity: capacities.clients)
        spools = SlotTable(capacity: capacities.clients)
        idle = IdleConnections(endpoints: table.layout.endpoints)
        addresses = AddressCounter(table, edge: identity)
        timers = TimerWheel(
            capacity: 2 * capacities.clients + capacities.upstreams, now: now)
        ready = ReadyList(capacity: capacities.clients + capacities.upstreams)
        starved = ReadyList(capacity: capacities.clients + capacities.upstreams)
        ledger = RequestLedger(table, edge: identity)
        requestIDs = RequestIDGenerator(seed: seed)
        endpointNames = EndpointNames(endpoints: table.layout.endpoints)
        requestHead = RequestHead(fieldCapacity: settings.requestLimits.fieldCount)
        responseHead = ResponseHead(fieldCapacity: FieldTable.countMax)
        trailers = FieldTable(capacity: settings.requestLimits.fieldCount)
        idleTime = settings.options.timeouts.idle
        self.network = network
        self.settings = settings
        self.routes = routes
        keyHashes = services.map { KeyHash($0.hash) }
        self.identity = identity
        self.table = table
        self.counters = counters
        self.journal = journal
        self.balancer = balancer
        self.orders = orders
    }

    /// Turns the loop until the edge has nothing left to do.
    mutating func run() {
        tell(["event": "ready"])
        while turn() {}
        journal.close(now: now, wall: wall)
    }

    /// One turn: waits once, reads the clock once, deals with every event, goes on with what is
    /// left, fires timers.
    ///
    /// - Returns: false when the edge is to end.
    mutating func turn() -> Bool {
        let count = network.wait(nanoseconds: waitTime())
        readClocks()
        if count > 1 { lookAtIdle(count) }
        for index in 0..<count {
            let (bits, readiness) = network.event(index)
            dispatch(Token(bits: bits), readiness)
        }
        goOn()
        if pool.isScarce, now >= scarceReportAt { reportScarcity() }
        fireTimers()
        serveQueue()
        resumeAcceptingIfDue()
        if limitReportsAt <= now { reportLimits() }
        journal.flush(now: now, wall: wall)
        return !isDone()
    }

    /// Deals with the events of idle connections to endpoints before any request can be given one:
    /// bytes that stand there already would be taken for its answer.
    private mutating func lookAtIdle(_ count: Int) {
        for index in 0..<count {
            let token = Token(bits: network.event(index).token)
            guard token.isUpstream, upstreams.isUsed(token.index),
                upstreams[token.index].phase == .idle, holds(upstreams, token)
            else { continue }
            idleReady(token.index)
        }
    }

    private mutating func readClocks() {
        now = network.monotonic
        wall = network.wall
        let second = wall / 1_000_000_000
        guard second != dateSecond else { return }
        dateSecond = second
        date.fill { $0.write(httpDate: second) }
    }

    private func waitTime() -> UInt64? {
        if ready.count > 0 || balancer.hasErrands { return 0 }
        var deadline = min(min(acceptingResumesAt, looksAt), min(drainDeadline, starvedUntil))
        deadline = min(deadline, limitReportsAt)
        if let due = journal.dueAt { deadline = min(deadline, due) }
        if let due = balancer.nextDeadline { deadline = min(deadline, due) }
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
        case .wake:
            EventCounter.clear(orders.wake)
            balancer.noteWake()
        case .control: takeOrders()
        }
    }

    private func holds<Element>(_ slots: SlotTable<Element>, _ token: Token) -> Bool {
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

    /// The budget of blocks is used up: this connection goes on a little later, when others have
    /// given some back.
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
