import Board

@testable import Routing

/// A table with a service, its endpoints and some edges, each with a balancer of its own.
struct Stage {
    let table: Table
    let service: Int
    let edges: [EdgeIdentity]
    var endpoints: [EndpointReference] = []

    init(edges count: Int, queueLimit: Int = 1000, endpointsMax: Int = 64) throws {
        table = try Table.create(
            TableLayout(
                services: 2, endpoints: endpointsMax, edgeSlots: 8, requestsPerEdge: 4)
        ).table
        let table = table
        _ = try table.addService(name: "other", queueLimit: 1)
        service = try table.addService(name: "web", queueLimit: queueLimit)
        edges = try (0..<count).map { try table.openEdge(number: $0, configuration: 1) }
    }

    /// Adds an endpoint that is ready.
    mutating func add(
        capacity: Int = 1, weight: UInt32 = 1, kind: EndpointKind = .ours
    ) throws {
        let number = endpoints.count
        let endpoint = try table.addEndpoint(
            EndpointPlan(
                service: service, kind: kind, capacity: capacity, weight: weight,
                number: number,
                address: .ipv4(
                    address: [10, 0, 0, UInt8(number & 255)], port: 80 + UInt16(number >> 8))))
        _ = table.setState(.ready, of: endpoint)
        endpoints.append(endpoint)
    }

    func plan(
        _ balance: ServiceOptions.Balance = .roundRobin, failures: Int = 3,
        attempts: Int = 1, budget: Double = 0.2
    ) -> ServicePlan {
        ServicePlan(
            service: service, balance: balance,
            health: .init(failures: failures, window: 10_000_000_000, pause: 10_000_000_000),
            retry: .init(attempts: attempts, budget: budget), wait: 1_000_000_000)
    }

    func pool(_ edge: Int, _ balance: ServiceOptions.Balance, failures: Int = 3) -> TestPool {
        TestPool(
            EndpointPool(
                plan(balance, failures: failures), table: table, edge: edges[edge],
                seed: UInt64(edge) + 1))
    }

    func edge(_ edge: Int, _ balance: ServiceOptions.Balance = .roundRobin) -> TestEdge {
        TestEdge(
            Balancer(
                table: table, edge: edges[edge], services: [plan(balance)], waiters: 100,
                seed: UInt64(edge)), service: service)
    }
}

/// A pool that can be named in expectations.
final class TestPool {
    private var pool: EndpointPool

    init(_ pool: consuming EndpointPool) { self.pool = pool }

    func choose(now: UInt64, keyHash: UInt64, tried: TriedEndpoints) -> Choice {
        pool.choose(now: now, keyHash: keyHash, tried: tried)
    }

    /// The lease at the endpoint chosen; nil if there was none.
    func choose(
        now: UInt64 = 1, key: UInt64 = 0, tried: TriedEndpoints = TriedEndpoints()
    ) -> Lease? {
        if case .endpoint(let lease) = pool.choose(now: now, keyHash: key, tried: tried) {
            return lease
        }
        return nil
    }

    func report(_ lease: Lease, _ outcome: EndpointOutcome, now: UInt64) -> HealthChange? {
        pool.report(lease, outcome, now: now)
    }

    func release(_ lease: Lease) { pool.release(lease) }
}

/// A balancer that can be named in expectations.
final class TestEdge {
    private var balancer: Balancer
    private let service: Int

    init(_ balancer: consuming Balancer, service: Int) {
        self.balancer = balancer
        self.service = service
    }

    func choose(now: UInt64 = 1, key: UInt64 = 0) -> Choice {
        balancer.choose(service: service, now: now, keyHash: key)
    }

    func take(now: UInt64 = 1) -> Lease? {
        if case .endpoint(let lease) = choose(now: now) { return lease }
        return nil
    }

    func wait(
        _ token: UInt64, now: UInt64, key: UInt64 = 0, tried: TriedEndpoints = TriedEndpoints()
    ) -> Int? {
        balancer.wait(service: service, token: token, since: now, keyHash: key, tried: tried)
    }

    func cancel(_ waiter: Int) { balancer.cancel(waiter) }
    func release(_ lease: Lease) { balancer.release(lease) }
    func releaseFull(_ lease: Lease, now: UInt64) { balancer.releaseFull(lease, now: now) }
    func noteWake() { balancer.noteWake() }
    func look() { balancer.look() }
    func nextServed(now: UInt64) -> Served? { balancer.nextServed(now: now) }
    func nextExpired(now: UInt64) -> UInt64? { balancer.nextExpired(now: now) }
    func takeWakes() -> UInt64 { balancer.takeWakes() }
    var nextDeadline: UInt64? { balancer.nextDeadline }
    var hasErrands: Bool { balancer.hasErrands }
    var hasWaiters: Bool { balancer.hasWaiters }
    var waiting: Int { balancer.waiting(service: service) }
}
