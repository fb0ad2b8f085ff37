import Board
import Memory
import Testing

@testable import Routing

/// Several edges on one table, driven by chance: requests come, finish, give up; workers go and
/// come; wake-ups arrive late.
///
/// Checked at every step: no more requests at a worker than it can do. With prompt wake-ups: the
/// one served is the oldest of all. When everything has settled: nobody waits while a worker has
/// room.
private final class Simulation {
    enum Fault: CaseIterable { case none, lostWakes, greedyNewcomers, forgottenPlaces }

    private var stage: Stage
    private var random: RandomSource
    private let fault: Fault
    private let isPrompt: Bool
    private var now: UInt64 = 1
    private var nextToken: UInt64 = 1
    /// Wake-ups on their way, as a mask.
    private var signals: UInt64 = 0
    private var leases: [(edge: Int, lease: Lease)] = []
    private var inWork: [UInt32: Int] = [:]
    private var waiting: [UInt64: (edge: Int, waiter: Int)] = [:]
    private(set) var violations: [String] = []
    private(set) var served = 0
    private let capacity = 2

    init(seed: UInt64, fault: Fault, isPrompt: Bool) throws {
        stage = try Stage(edges: 3)
        random = RandomSource(seed: seed)
        self.fault = fault
        self.isPrompt = isPrompt
        for _ in 0..<3 { try stage.add(capacity: capacity) }
    }

    func run(steps: Int, balance: ServiceOptions.Balance) throws {
        let balancers = (0..<3).map { stage.edge($0, balance) }
        for _ in 0..<steps {
            now += UInt64(random.next(below: 1000)) + 1
            let edge = random.next(below: 3)
            switch random.next(below: 20) {
            case 0..<8: arrive(edge, balancers)
            case 8..<15: finish(balancers)
            case 15: giveUp(balancers)
            case 16: changeWorker()
            case 17:
                while let token = balancers[edge].nextExpired(now: now) { waiting[token] = nil }
            default: deliver(edge, balancers)
            }
            turn(edge, balancers)
            if isPrompt { settle(balancers) }
        }
        for endpoint in stage.endpoints { signals |= stage.table.setState(.ready, of: endpoint) }
        settle(balancers)
        checkQuiet()
    }

    private func arrive(_ edge: Int, _ balancers: [TestEdge]) {
        let token = nextToken
        nextToken += 1
        let pool = stage.pool(edge, .roundRobin)
        let choice =
            fault == .greedyNewcomers
            ? pool.choose(now: now, keyHash: token, tried: TriedEndpoints())
            : balancers[edge].choose(now: now, key: mixed(token))
        if case .endpoint(let lease) = choice {
            if !waiting.isEmpty { violations.append("a newcomer overtook") }
            enter(edge, lease)
        } else if let waiter = balancers[edge].wait(token, now: now, key: mixed(token)) {
            waiting[token] = (edge, waiter)
        }
    }

    private func enter(_ edge: Int, _ lease: Lease) {
        inWork[lease.endpoint.index, default: 0] += 1
        if inWork[lease.endpoint.index, default: 0] > capacity {
            violations.append("more requests than places")
        }
        leases.append((edge, lease))
    }

    private func finish(_ balancers: [TestEdge]) {
        guard !leases.isEmpty else { return }
        let (edge, lease) = leases.remove(at: random.next(below: leases.count))
        // Forgets that the request goes on: the checker has to see it.
        let isForgotten = fault == .forgottenPlaces && random.next(below: 8) == 0
        if !isForgotten { inWork[lease.endpoint.index, default: 0] -= 1 }
        balancers[edge].release(lease)
    }

    private func giveUp(_ balancers: [TestEdge]) {
        guard let token = waiting.keys.min(), let entry = waiting.removeValue(forKey: token) else {
            return
        }
        balancers[entry.edge].cancel(entry.waiter)
    }

    private func changeWorker() {
        let endpoint = stage.endpoints[random.next(below: 3)]
        signals |= stage.table.setState(
            random.next(below: 2) == 0 ? .ready : .draining, of: endpoint)
    }

    private func deliver(_ edge: Int, _ balancers: [TestEdge]) {
        guard signals & stage.edges[edge].bit != 0 else { return }
        signals &= ~stage.edges[edge].bit
        balancers[edge].noteWake()
    }

    private func turn(_ edge: Int, _ balancers: [TestEdge]) {
        while let next = balancers[edge].nextServed(now: now) {
            served += 1
            if isPrompt, let oldest = waiting.keys.min(), oldest < next.token {
                violations.append("\(next.token) was served before \(oldest)")
            }
            waiting[next.token] = nil
            enter(edge, next.lease)
        }
        let wakes = balancers[edge].takeWakes()
        if fault != .lostWakes { signals |= wakes }
    }

    /// Delivers everything that is on its way, until nothing is.
    private func settle(_ balancers: [TestEdge]) {
        for _ in 0..<200 {
            for edge in 0..<3 {
                deliver(edge, balancers)
                turn(edge, balancers)
            }
            if signals == 0 { return }
        }
        violations.append("wake-ups never end")
    }

    private func checkQuiet() {
        let room = stage.endpoints.contains {
            stage.table.endpoint(Int($0.index)).status.isReady
                && stage.table.inFlight(Int($0.index), capacity: capacity) < capacity
        }
        if room && !waiting.isEmpty { violations.append("someone waits while there is room") }
        if stage.table.waiting(stage.service) != waiting.count {
            violations.append("the board counts other waiters")
        }
    }
}

@Suite struct QueueSimulationTests {
    private func run(
        seed: UInt64, fault: Simulation.Fault, isPrompt: Bool, balance: ServiceOptions.Balance
    ) throws -> (violations: [String], served: Int) {
        let simulation = try Simulation(seed: seed, fault: fault, isPrompt: isPrompt)
        try simulation.run(steps: 3000, balance: balance)
        return (simulation.violations, simulation.served)
    }

    @Test(arguments: 1...10, [true, false])
    func `nobody is forgotten, overtaken, or let in beyond the places`(
        seed: UInt64, isPrompt: Bool
    ) throws {
        let balance = ServiceOptions.Balance.allCases[Int(seed) % 5]
        let result = try run(seed: seed, fault: .none, isPrompt: isPrompt, balance: balance)
        #expect(result.violations == [])
        #expect(result.served > 100)
    }

    @Test func `each checker finds its fault`() throws {
        for (fault, message) in [
            (Simulation.Fault.lostWakes, "someone waits while there is room"),
            (.greedyNewcomers, "a newcomer overtook"),
            (.forgottenPlaces, "more requests than places"),
        ] {
            let found = try (1...5).contains { seed in
                try run(
                    seed: seed, fault: fault, isPrompt: fault != .greedyNewcomers,
                    balance: .roundRobin
                )
                .violations.contains(message)
            }
            #expect(found, "\(fault)")
        }
    }
}
