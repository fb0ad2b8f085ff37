public import Board
import Memory

/// A waiting request that got its place.
public struct Served: Equatable, Sendable {
    /// What the edge called it.
    public let token: UInt64
    public let lease: Lease
    /// How long it waited, in nanoseconds.
    public let waited: UInt64
}

/// Chooses endpoints for the requests of one edge, over all its services, with one queue over all
/// edges behind it.
///
/// The edge calls `choose`; on `allFull` (and on `noneAvailable`, where workers are to come)
/// `wait`. Once a loop turn it takes `nextServed` until nil, `nextExpired` until nil, and writes
/// the eventfds of `takeWakes`. When its own eventfd was written it calls `noteWake`.
///
/// Order: a new request goes behind all that wait, and of those the oldest is served first. Two
/// requests that come within the same moment at different edges may swap, and one that can only go
/// where it was tried already is passed over.
public struct Balancer: ~Copyable {
    private let table: Table
    private let edge: EdgeIdentity
    /// In place, so that none is ever copied.
    private let pools: SlotTable<EndpointPool>
    private let waits: [UInt64]
    private var queue: WaitQueue
    private var wakes: UInt64 = 0
    /// Position among `pools` by service index, `unknown` for services this edge does not serve.
    private var positions: [UInt16]

    private static let unknown = UInt16.max

    /// - Parameters:
    ///   - waiters: requests that can wait at this edge, over all services.
    ///   - seed: for choices by chance; any number, another one in each edge.
    public init(
        table: Table, edge: EdgeIdentity, services: [ServicePlan], waiters: Int, seed: UInt64
    ) {
        precondition(services.count < Int(Self.unknown) && waiters > 0)
        self.table = table
        self.edge = edge
        pools = SlotTable(capacity: max(services.count, 1))
        for plan in services {
            _ = pools.insert(EndpointPool(plan, table: table, edge: edge, seed: seed))
        }
        waits = services.map(\.wait)
        queue = WaitQueue(
            table: table, edge: edge, services: services.map(\.service), capacity: waiters)
        positions = Array(repeating: Self.unknown, count: table.layout.services)
        for (position, plan) in services.enumerated() {
            positions[plan.service] = UInt16(position)
        }
    }

    private func position(_ service: Int) -> Int {
        let position = positions[service]
        precondition(position != Self.unknown)
        return Int(position)
    }

    // MARK: choosing

    /// Chooses an endpoint for a request that has just come, or is tried again; behind those who
    /// wait.
    ///
    /// - Parameters:
    ///   - service: the service's index in the table.
    ///   - keyHash: for `consistent-hash`; see `hash(of:)`.
    public mutating func choose(
        service: Int, now: UInt64, keyHash: UInt64 = 0, tried: TriedEndpoints = TriedEndpoints()
    ) -> Choice {
        guard table.service(service).waitingEdges == 0 else { return .allFull }
        return pools[position(service)].choose(now: now, keyHash: keyHash, tried: tried)
    }

    /// Whether an endpoint of the service may yet become ready: one is starting, ready, draining or
    /// down. Without any, waiting has no point.
    public func hasHope(service: Int) -> Bool {
        (0..<table.endpointHighWater).contains { index in
            let slot = table.endpoint(index)
            switch slot.status.state {
            case .starting, .ready, .draining, .down: return slot.service == service
            case .free, .failed, .retired: return false
            }
        }
    }

    /// Counts a request for the retry budget; once for each, not for its retries.
    public mutating func countRequest(service: Int) {
        pools[position(service)].budget.deposited()
    }

    /// Whether a request that was tried `attempts` times may be tried again; counts the retry if
    /// so.
    public mutating func mayRetry(service: Int, attempts: Int) -> Bool {
        pools[position(service)].budget.withdraw(afterAttempts: attempts)
    }

    /// Learns what became of a request at an endpoint; before `release`, and for a trial always.
    public mutating func report(
        _ lease: Lease, _ outcome: EndpointOutcome, now: UInt64
    ) -> HealthChange? {
        pools[position(Int(lease.service))].report(lease, outcome, now: now)
    }

    /// Says that the endpoint's process is gone, before the master knows: its socket refused. It
    /// gets nothing more.
    public func markDown(_ endpoint: EndpointReference) {
        table.markDown(endpoint)
    }

    /// Gives a place back. When nobody waits this costs one load more.
    public mutating func release(_ lease: Lease) {
        let service = Int(lease.service)
        pools[position(service)].release(lease)
        guard table.service(service).waitingEdges != 0 else { return }
        offer(service, endpoint: Int(lease.endpoint.index))
    }

    /// Gives a place back at an endpoint that took no connection at this moment: this edge passes it
    /// over until the next look for room, so that nobody is sent there again and again.
    public mutating func releaseFull(_ lease: Lease, now: UInt64) {
        pools[position(Int(lease.service))].noteFull(lease.endpoint, now: now)
        release(lease)
    }

    /// Offers a freed place to the oldest waiter of all edges.
    private mutating func offer(_ service: Int, endpoint: Int) {
        guard let oldest = table.oldestWaiting(service) else { return }
        if oldest.slot == edge.slot {
            queue.call(position(service), .place(at: endpoint))
        } else {
            wake(oldest.slot, service: service, endpoint: UInt64(endpoint))
        }
    }

    private mutating func wake(_ slot: Int, service: Int, endpoint: UInt64) {
        table.passBaton(service: service, to: slot, endpoint: endpoint)
        wakes |= 1 << UInt64(slot)
    }

    /// The edges whose eventfd is to be written now, as a mask; each is returned once.
    public mutating func takeWakes() -> UInt64 {
        defer { wakes = 0 }
        return wakes
    }

    // MARK: waiting

    /// Lets a request wait; nil if the queue is full.
    ///
    /// - Parameters:
    ///   - token: what `nextServed` and `nextExpired` call it by.
    ///   - since: when it began to wait: now, or earlier for one whose place was of no use, which
    ///     stands where it stood, and no longer than it may.
    /// - Returns: the waiter, for `cancel`.
    public mutating func wait(
        service: Int, token: UInt64, since: UInt64, keyHash: UInt64 = 0,
        tried: TriedEndpoints = TriedEndpoints()
    ) -> Int? {
        let line = position(service)
        let waiter = queue.insert(
            into: line, token: token, since: since, deadline: since &+ waits[line],
            keyHash: keyHash, tried: tried)
        // A place that was freed before the others could see this waiter is found now.
        if waiter != nil { queue.call(line, .look) }
        return waiter
    }

    /// Takes a request out of the queue: its client is gone.
    public mutating func cancel(_ waiter: Int) {
        _ = queue.remove(waiter)
    }

    /// Requests of this edge that wait, of one service.
    public func waiting(service: Int) -> Int { queue.lines[position(service)].count }

    /// True while any request waits here: the edge then calls `look` now and then.
    public var hasWaiters: Bool { !queue.waitingLines.isEmpty }

    /// True while `nextServed` has something to try: the edge does not sleep then.
    public var hasErrands: Bool { queue.nextCalled != nil }

    /// Looks for room for all who wait, as once in 100 ms while there are any: for an endpoint
    /// whose pause is over, and should a wake-up have died with its sender.
    public mutating func look() {
        for line in queue.waitingLines { queue.call(Int(line), .look) }
    }

    /// Takes up what other edges offered; to be called when this edge's eventfd was written.
    public mutating func noteWake() {
        for line in 0..<pools.count {
            switch table.takeBaton(service: pools[line].service, edge: edge) {
            case nil: continue
            case Table.anyEndpoint?: queue.call(line, .room)
            case .some(let endpoint): queue.call(line, .place(at: Int(endpoint)))
            }
        }
    }

    /// The next waiter that gets a place; to be called until nil, in each loop turn.
    public mutating func nextServed(now: UInt64) -> Served? {
        while let line = queue.nextCalled {
            if let served = serve(line, now: now) { return served }
            queue.setErrand(.nothing, of: line)
        }
        return nil
    }

    /// The next request that has waited too long; to be called until nil.
    public mutating func nextExpired(now: UInt64) -> UInt64? {
        for line in queue.waitingLines {
            guard let first = queue.first(of: Int(line)), queue[first].deadline <= now else {
                continue
            }
            return queue.remove(first).token
        }
        return nil
    }

    /// When the next request will have waited too long; nil if none waits.
    public var nextDeadline: UInt64? {
        var next: UInt64?
        for line in queue.waitingLines {
            guard let first = queue.first(of: Int(line)) else { continue }
            next = min(next ?? .max, queue[first].deadline)
        }
        return next
    }

    // MARK: serving

    /// Does a line's errand: one waiter served, or nil when nothing more is to be had.
    private mutating func serve(_ line: Int, now: UInt64) -> Served? {
        let service = pools[line].service
        switch queue.lines[line].errand {
        case .nothing: return nil
        case .look:
            guard isOldest(line) else { return nil }
            return serveAnywhere(line, now: now)
        case .room:
            guard queue.first(of: line) != nil else {
                handOver(service, endpoint: Table.anyEndpoint, after: nil)
                return nil
            }
            return serveAnywhere(line, now: now)
        case .place(let endpoint):
            queue.setErrand(.nothing, of: line)
            return serve(line, at: endpoint, now: now)
        }
    }

    private func isOldest(_ line: Int) -> Bool {
        table.oldestWaiting(pools[line].service)?.slot == edge.slot
    }

    /// Gives one place at an endpoint to the first waiter that may go there, or offers it to the
    /// next edge.
    private mutating func serve(_ line: Int, at endpoint: Int, now: UInt64) -> Served? {
        var next = queue.first(of: line)
        while let waiter = next {
            if let lease = pools[line].take(hint: endpoint, now: now, tried: queue[waiter].tried) {
                return finish(waiter, lease, now: now)
            }
            // Full or gone for one that tried nothing: full or gone for all.
            if queue[waiter].tried.count == 0 { return nil }
            next = queue.next(after: waiter)
        }
        handOver(
            pools[line].service, endpoint: UInt64(endpoint), after: queue.oldest(of: line))
        return nil
    }

    /// Looks for room for the first waiter that can have any; then for the next, or for the edge
    /// whose turn it is.
    private mutating func serveAnywhere(_ line: Int, now: UInt64) -> Served? {
        var next = queue.first(of: line)
        while let waiter = next {
            let choice = pools[line].choose(
                now: now, keyHash: queue[waiter].keyHash, tried: queue[waiter].tried)
            if case .endpoint(let lease) = choice {
                let served = finish(waiter, lease, now: now)
                passOn(line)
                return served
            }
            if queue[waiter].tried.count == 0 { return nil }
            next = queue.next(after: waiter)
        }
        handOver(
            pools[line].service, endpoint: Table.anyEndpoint, after: queue.oldest(of: line))
        return nil
    }

    private mutating func finish(_ waiter: Int, _ lease: Lease, now: UInt64) -> Served {
        let waiter = queue.remove(waiter)
        return Served(token: waiter.token, lease: lease, waited: now &- min(now, waiter.since))
    }

    /// After one was served and there may be more room: go on here, or wake the edge that has the
    /// oldest waiter now.
    private mutating func passOn(_ line: Int) {
        if queue.first(of: line) != nil && isOldest(line) {
            queue.setErrand(.room, of: line)
        } else {
            queue.setErrand(.nothing, of: line)
            handOver(pools[line].service, endpoint: Table.anyEndpoint, after: nil)
        }
    }

    /// Wakes the edge with the oldest waiter, or with the oldest after `since`: edges that could
    /// use nothing pass on towards younger waiters alone, so that they do not wake each other for
    /// ever.
    private mutating func handOver(_ service: Int, endpoint: UInt64, after since: UInt64?) {
        guard table.service(service).waitingEdges & ~edge.bit != 0,
            let next = table.oldestWaiting(
                service, after: since.map { (slot: edge.slot, since: $0) }),
            next.slot != edge.slot
        else { return }
        wake(next.slot, service: service, endpoint: endpoint)
    }
}
