import Board
import Memory
import Testing

@testable import Routing

@Suite struct BalancingTests {
    /// Requests each endpoint got when `count` are sent through the edges in turn, each given back
    /// at once.
    private func spread(
        _ stage: Stage, _ balance: ServiceOptions.Balance, count: Int,
        key: (Int) -> UInt64 = { _ in 0 }
    ) -> [Int] {
        let pools = stage.edges.indices.map { stage.pool($0, balance) }
        var counts = Array(repeating: 0, count: stage.endpoints.count)
        var random = RandomSource(seed: 5)
        for turn in 0..<count {
            let edge = random.next(below: pools.count)
            guard let lease = pools[edge].choose(key: key(turn)) else { continue }
            counts[Int(lease.endpoint.index)] += 1
            pools[edge].release(lease)
        }
        return counts
    }

    @Test(arguments: [(1, 1), (2, 4), (3, 7), (8, 64)])
    func `round-robin over any number of edges differs by one at most`(
        edges: Int, endpoints: Int
    ) throws {
        var stage = try Stage(edges: edges)
        for _ in 0..<endpoints { try stage.add() }
        for count in [1, endpoints - 1, endpoints, 3 * endpoints + 2, 1001] where count > 0 {
            let counts = spread(stage, .roundRobin, count: count)
            #expect(counts.reduce(0, +) == count)
            let most = counts.max() ?? 0
            let least = counts.min() ?? 0
            #expect(most - least <= 1)
        }
    }

    @Test func `a full endpoint loses its turn and its neighbour gets no more for it`() throws {
        var stage = try Stage(edges: 2)
        for _ in 0..<4 { try stage.add() }
        let holder = stage.pool(0, .roundRobin)
        guard let held = holder.choose() else { throw BoardError.full("test") }
        var counts = spread(stage, .roundRobin, count: 300)
        #expect(counts.remove(at: Int(held.endpoint.index)) == 0)
        #expect(counts == [100, 100, 100])
    }

    @Test(arguments: [ServiceOptions.Balance.roundRobin, .randomTwo])
    func `weights are shares`(balance: ServiceOptions.Balance) throws {
        var stage = try Stage(edges: 2)
        for weight: UInt32 in [1, 2, 5, 0] { try stage.add(capacity: 0, weight: weight) }
        let counts = spread(stage, balance, count: 8000)
        #expect(counts[3] == 0)
        let slack = balance == .roundRobin ? 1 : 300
        for (count, share) in zip(counts, [1000, 2000, 5000]) {
            #expect(abs(count - share) <= slack)
        }
    }

    @Test func `a weighted turn is spread over the round`() {
        #expect(WeightSchedule.positions([5, 5, 5]) == [])
        let turns = WeightSchedule.positions([4, 2, 2])
        #expect(turns.count == 4 && turns.filter { $0 == 0 }.count == 2)
        #expect(turns[0] != turns[1] || turns[0] != 0)
        #expect(WeightSchedule.positions([1000, 1, 1000]).count <= 1 << 14)
        #expect(WeightSchedule.divisor([12, 18, 30]) == 6)
    }

    @Test(arguments: [5, 32, 64])
    func `least-connections takes the emptiest`(endpoints: Int) throws {
        var stage = try Stage(edges: 2)
        for _ in 0..<endpoints { try stage.add(capacity: 20) }
        let pools = [stage.pool(0, .leastConnections), stage.pool(1, .leastConnections)]
        var loads = Array(repeating: 0, count: endpoints)
        for turn in 0..<endpoints * 4 {
            guard let lease = pools[turn % 2].choose() else { throw BoardError.full("test") }
            let index = Int(lease.endpoint.index)
            if endpoints <= wholeLookMax { #expect(loads[index] == loads.min()) }
            loads[index] += 1
        }
        let spread = (loads.max() ?? 0) - (loads.min() ?? 0)
        #expect(spread <= (endpoints <= wholeLookMax ? 1 : 4))
    }

    @Test func `least-connections weighs`() throws {
        var stage = try Stage(edges: 1)
        for weight: UInt32 in [1, 3] { try stage.add(capacity: 0, weight: weight) }
        let pool = stage.pool(0, .leastConnections)
        var counts = [0, 0]
        for _ in 0..<40 {
            guard let lease = pool.choose() else { throw BoardError.full("test") }
            counts[Int(lease.endpoint.index)] += 1
        }
        #expect(abs(counts[0] - 10) <= 1 && abs(counts[1] - 30) <= 1)
    }

    @Test func `random-two keeps loads together`() throws {
        var stage = try Stage(edges: 2)
        for _ in 0..<10 { try stage.add(capacity: 0) }
        let pools = [stage.pool(0, .randomTwo), stage.pool(1, .randomTwo)]
        var loads = Array(repeating: 0, count: 10)
        for turn in 0..<1000 {
            guard let lease = pools[turn % 2].choose() else { throw BoardError.full("test") }
            loads[Int(lease.endpoint.index)] += 1
        }
        #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 8)
    }

    @Test func `least-time prefers the faster, and tries the slow again when time has passed`()
        throws
    {
        var stage = try Stage(edges: 2)
        for _ in 0..<3 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .leastTime)
        var counts = [0, 0, 0]
        var now: UInt64 = 1 << 40
        func serve(_ pool: TestPool) throws {
            guard let lease = pool.choose(now: now) else { throw BoardError.full("test") }
            let index = Int(lease.endpoint.index)
            counts[index] += 1
            let latency: UInt64 = [50_000_000, 1_000_000, 1_000_000][index]
            _ = pool.report(lease, .answered(latency: latency), now: now)
            pool.release(lease)
            now += 1_000_000
        }
        for _ in 0..<1000 { try serve(pool) }
        #expect(counts[0] < 20 && counts[1] > 300 && counts[2] > 300)
        let before = counts[0]
        now += 60_000_000_000
        let other = stage.pool(1, .leastTime)
        for _ in 0..<10 { try serve(other) }
        #expect(counts[0] > before)
    }

    @Test func `equal keys go to the same endpoint in every edge, and different ones everywhere`()
        throws
    {
        var stage = try Stage(edges: 2)
        for _ in 0..<8 { try stage.add(capacity: 0) }
        let pools = [stage.pool(0, .consistentHash), stage.pool(1, .consistentHash)]
        var counts = Array(repeating: 0, count: 8)
        for key in 0..<8000 {
            guard let one = pools[0].choose(key: mixed(UInt64(key))),
                let other = pools[1].choose(key: mixed(UInt64(key)))
            else { throw BoardError.full("test") }
            #expect(one.endpoint == other.endpoint)
            counts[Int(one.endpoint.index)] += 1
        }
        for count in counts { #expect(count > 700 && count < 1300) }
    }

    @Test func `when an endpoint goes only its keys move, and when it comes back they return`()
        throws
    {
        var stage = try Stage(edges: 1)
        for _ in 0..<10 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .consistentHash)
        func homes(_ pool: TestPool) -> [UInt32] {
            (0..<2000).map { pool.choose(key: mixed(UInt64($0)))?.endpoint.index ?? 99 }
        }
        let before = homes(pool)
        _ = stage.table.setState(.draining, of: stage.endpoints[4])
        let without = homes(pool)
        for (old, new) in zip(before, without) {
            #expect(new != 4 && (old == new || old == 4))
        }
        _ = stage.table.setState(.ready, of: stage.endpoints[4])
        #expect(homes(pool) == before)
    }

    @Test(arguments: 1...6)
    func `hashing by weight`(seed: UInt64) {
        let points = HashPoints([
            (mixed(seed), 1), (mixed(seed + 100), 2), (mixed(seed + 200), 5),
        ])
        var counts = [0, 0, 0]
        for key in 0..<8000 {
            if let position = points.position(of: mixed(UInt64(key))) { counts[position] += 1 }
        }
        for (count, share) in zip(counts, [1000, 2000, 5000]) {
            #expect(Double(abs(count - share)) < Double(share) * 0.6)
        }
        #expect(HashPoints([]).position(of: 3) == nil)
    }

    @Test(arguments: ServiceOptions.Balance.allCases)
    func `each algorithm finds the one that is left, and says what it found instead`(
        balance: ServiceOptions.Balance
    ) throws {
        var stage = try Stage(edges: 1)
        let pool = stage.pool(0, balance)
        #expect(pool.choose(now: 1, keyHash: 7, tried: TriedEndpoints()) == .noneAvailable)
        for _ in 0..<40 { try stage.add() }
        var held: [Lease] = []
        while let lease = pool.choose(key: UInt64(held.count)) { held.append(lease) }
        #expect(Set(held.map(\.endpoint)).count == 40)
        #expect(pool.choose(now: 1, keyHash: 7, tried: TriedEndpoints()) == .allFull)
        pool.release(held[13])
        #expect(pool.choose()?.endpoint == held[13].endpoint)
        var tried = TriedEndpoints()
        tried.insert(held[13].endpoint)
        pool.release(held[13])
        #expect(pool.choose(now: 1, keyHash: 7, tried: tried) == .allFull)
        for endpoint in stage.endpoints where endpoint != held[13].endpoint {
            _ = stage.table.setState(.draining, of: endpoint)
        }
        #expect(pool.choose(now: 1, keyHash: 7, tried: tried) == .noneAvailable)
        #expect(pool.choose()?.endpoint == held[13].endpoint)
    }

    @Test func `a new incarnation is not taken for the one that was tried`() throws {
        var stage = try Stage(edges: 1, endpointsMax: 1)
        try stage.add()
        let pool = stage.pool(0, .roundRobin)
        var tried = TriedEndpoints()
        tried.insert(stage.endpoints[0])
        #expect(pool.choose(tried: tried) == nil)
        stage.table.retire(stage.endpoints[0])
        #expect(stage.table.reclaimEndpoints().count == 1)
        try stage.add()
        #expect(pool.choose(tried: tried) != nil)
    }
}
