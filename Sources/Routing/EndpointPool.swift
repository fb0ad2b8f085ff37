public import Board
import Memory

/// What a choice came to.
@frozen
public enum Choice: Equatable, Sendable {
    /// A place was taken there, to be given back exactly once.
    case endpoint(Lease)
    /// Every endpoint that could take the request has as much as it can do: wait.
    case allFull
    /// No endpoint is ready, or all that are were tried.
    case noneAvailable
}

/// One edge's view of one service: chooses endpoints, takes places, and judges health by what
/// became of requests.
///
/// No allocation but when the set of ready endpoints changes. `Balancer` puts the queue in front of
/// it.
struct EndpointPool: ~Copyable {
    private let table: Table
    private let edge: EdgeIdentity
    private let balance: ServiceOptions.Balance
    private let health: PassiveHealth
    private var members: PoolMembers
    private var state: BalancingState
    var budget: RetryBudget
    /// The service's index in the table.
    let service: Int

    /// Nanoseconds without a further try at an endpoint that took no connection. Less than the time
    /// between two looks for room.
    private static let fullNanoseconds: UInt64 = 50_000_000

    init(_ plan: ServicePlan, table: Table, edge: EdgeIdentity, seed: UInt64) {
        self.table = table
        self.edge = edge
        service = plan.service
        balance = plan.balance
        health = PassiveHealth(options: plan.health)
        budget = RetryBudget(plan.retry)
        members = PoolMembers(table: table, service: plan.service)
        state = BalancingState(random: RandomSource(seed: seed))
        // Different edges begin their ties at different endpoints.
        state.last = edge.slot
    }

    /// Chooses an endpoint and takes a place there.
    mutating func choose(now: UInt64, keyHash: UInt64, tried: TriedEndpoints) -> Choice {
        if members.refresh() { readAnew() }
        guard members.count > 0 else { return .noneAvailable }
        let query = ChoiceQuery(now: now, keyHash: keyHash, tried: tried)
        var attempt = 0
        while let position = balance.position(
            among: members, state: &state, query: query, attempt: attempt)
        {
            if members.isAvailable(position, query),
                case .taken(let lease) = take(position, now: now)
            {
                return .endpoint(lease)
            }
            attempt += 1
        }
        return lookThroughAll(query)
    }

    /// Takes a place at a certain endpoint, if this service has it, the request may go there, and
    /// there is room.
    mutating func take(hint: Int, now: UInt64, tried: TriedEndpoints) -> Lease? {
        guard hint < table.layout.endpoints else { return nil }
        let slot = table.endpoint(hint)
        let status = slot.status
        let until = slot.pausedUntil.loadRelaxed()
        guard status.isReady, slot.service == service, slot.weight > 0, until == 0,
            !tried.contains(slot.reference), !members.isFull(index: hint, now: now),
            case .taken(let lease) = table.take(
                hint, expecting: status, service: UInt16(service), for: edge)
        else { return nil }
        return lease
    }

    private mutating func readAnew() {
        if balance == .consistentHash { state.points = HashPoints(members.identities) }
        if state.last >= members.count { state.last = 0 }
    }

    /// Takes a place; at an endpoint whose pause is over only as the one trial.
    @inline(__always)
    private func take(_ position: Int, now: UInt64) -> Taking {
        let index = members.index(position)
        let slot = table.endpoint(index)
        let isTrial = slot.pausedUntil.loadRelaxed() != 0
        if isTrial && !slot.trial.compareExchange(expected: 0, desired: edge.mark) { return .full }
        let taking = table.take(
            index, expecting: members.status(position), service: UInt16(service), for: edge)
        guard isTrial else { return taking }
        guard case .taken(var lease) = taking else {
            slot.trial.storeSequential(0)
            return taking
        }
        lease.isTrial = true
        return .taken(lease)
    }

    /// Tries every endpoint once, from the one after the last choice on. When all are paused,
    /// pauses do not count.
    private mutating func lookThroughAll(_ query: ChoiceQuery) -> Choice {
        let ignoresPauses = !(0..<members.count).contains { members.isRunning($0) }
        var foundFull = false
        for step in 1...members.count {
            let position = (state.last + step) % members.count
            guard !query.tried.contains(members.reference(position)) else { continue }
            guard !members.isFull(position, now: query.now) else {
                foundFull = true
                continue
            }
            let taking: Taking
            if ignoresPauses {
                taking = table.take(
                    members.index(position), expecting: members.status(position),
                    service: UInt16(service), for: edge)
            } else if members.isAvailable(position, query) {
                taking = take(position, now: query.now)
            } else {
                continue
            }
            switch taking {
            case .taken(let lease):
                state.last = position
                return .endpoint(lease)
            case .full: foundFull = true
            case .gone: continue
            }
        }
        return foundFull ? .allFull : .noneAvailable
    }

    /// Learns what became of a request. To be called before the lease is given back.
    mutating func report(
        _ lease: Lease, _ outcome: EndpointOutcome, now: UInt64
    ) -> HealthChange? {
        let slot = table.endpoint(Int(lease.endpoint.index))
        guard slot.reference == lease.endpoint else { return nil }
        switch outcome {
        case .answered(let latency):
            slot.latency.storeRelaxed(
                LatencyEstimate(word: slot.latency.loadRelaxed())
                    .adding(nanoseconds: latency, at: now))
            guard lease.isTrial else { return nil }
            slot.failures.storeRelaxed(0)
            slot.pausedUntil.storeSequential(0)
            slot.trial.storeSequential(0)
            return .up(lease.endpoint)
        case .failed:
            if lease.isTrial {
                slot.pausedUntil.storeSequential(now &+ health.options.pause)
                slot.trial.storeSequential(0)
                return nil
            }
            guard health.countFailure(slot, now: now) else { return nil }
            if members.refresh() { readAnew() }
            return health.pause(slot, among: members, now: now)
        case .unknown: return nil
        }
    }

    /// Passes an endpoint over for a moment: it took no connection, and would not take the next.
    mutating func noteFull(_ endpoint: EndpointReference, now: UInt64) {
        members.noteFull(Int(endpoint.index), until: now &+ Self.fullNanoseconds)
    }

    /// Gives the place back; a trial that nothing was learned of may be made again.
    @inline(__always)
    func release(_ lease: Lease) {
        if lease.isTrial {
            let trial = table.endpoint(Int(lease.endpoint.index)).trial
            _ = trial.compareExchange(expected: edge.mark, desired: 0)
        }
        table.release(lease, of: edge)
    }
}
