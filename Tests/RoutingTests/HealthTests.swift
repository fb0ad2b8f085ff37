import Board
import Memory
import Testing

@testable import Routing

@Suite struct HealthTests {
    private let second: UInt64 = 1_000_000_000

    /// Fails one request at a certain endpoint.
    private func fail(
        _ pool: TestPool, at index: Int, now: UInt64
    ) throws -> HealthChange? {
        for _ in 0..<100 {
            guard let lease = pool.choose(now: now) else { break }
            defer { pool.release(lease) }
            if Int(lease.endpoint.index) == index { return pool.report(lease, .failed, now: now) }
        }
        throw BoardError.full("the endpoint was not chosen")
    }

    @Test
    func `failures within the window, by any edge, take an endpoint out; one trial brings it back`()
        throws
    {
        var stage = try Stage(edges: 2)
        for _ in 0..<2 { try stage.add(capacity: 0, kind: .upstream) }
        let pools = [stage.pool(0, .roundRobin), stage.pool(1, .roundRobin)]
        var now = 100 * second
        #expect(try fail(pools[0], at: 0, now: now) == nil)
        #expect(try fail(pools[1], at: 0, now: now + second) == nil)
        let change = try fail(pools[0], at: 0, now: now + 2 * second)
        #expect(change == .down(stage.endpoints[0], until: now + 12 * second))
        now += 3 * second
        for edge in 0..<2 {
            for _ in 0..<10 {
                #expect(pools[edge].choose(now: now)?.endpoint == stage.endpoints[1])
            }
        }
        now += 9 * second
        let leases = (0..<6).compactMap { pools[$0 % 2].choose(now: now) }
        let trials = leases.filter { $0.endpoint == stage.endpoints[0] }
        #expect(trials.count == 1 && trials[0].isTrial)
        let edge = leases.firstIndex(of: trials[0]).map { $0 % 2 } ?? 0
        #expect(
            pools[edge].report(trials[0], .answered(latency: 5), now: now)
                == .up(stage.endpoints[0]))
        pools[edge].release(trials[0])
        let after = (0..<4).compactMap { pools[$0 % 2].choose(now: now)?.endpoint }
        #expect(Set(after).count == 2)
    }

    @Test func `failures that lie too far apart do not count together`() throws {
        var stage = try Stage(edges: 1)
        for _ in 0..<2 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .roundRobin)
        for step in 0..<9 {
            #expect(try fail(pool, at: 0, now: UInt64(step) * 6 * second + second) == nil)
        }
    }

    @Test func `a failed trial starts the pause again, one without an end may be made again`()
        throws
    {
        var stage = try Stage(edges: 1)
        for _ in 0..<2 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .roundRobin, failures: 1)
        _ = try fail(pool, at: 0, now: second)
        func trial(_ now: UInt64) -> Lease? {
            for _ in 0..<4 {
                guard let lease = pool.choose(now: now) else { return nil }
                if lease.isTrial { return lease }
                pool.release(lease)
            }
            return nil
        }
        let first = try #require(trial(12 * second))
        #expect(trial(12 * second) == nil)
        pool.release(first)
        let second = try #require(trial(12 * self.second))
        #expect(pool.report(second, .failed, now: 12 * self.second) == nil)
        pool.release(second)
        #expect(trial(13 * self.second) == nil)
        #expect(trial(23 * self.second) != nil)
    }

    /// Fails every request; says the largest number of endpoints that were out while requests could
    /// not be placed.
    private func storm(endpoints: Int, edges: Int, checksLast: Bool) throws -> Bool {
        var stage = try Stage(edges: edges)
        for _ in 0..<endpoints { try stage.add(capacity: 0) }
        let pools = (0..<edges).map { stage.pool($0, .roundRobin, failures: 1) }
        for step in 0..<200 {
            let edge = step % edges
            if !checksLast {
                for endpoint in stage.endpoints {
                    stage.table.endpoint(Int(endpoint.index)).pausedUntil.storeRelaxed(.max)
                }
            }
            guard let lease = pools[edge].choose(now: second) else { return false }
            _ = pools[edge].report(lease, .failed, now: second)
            pools[edge].release(lease)
            let running = stage.endpoints.filter {
                stage.table.endpoint(Int($0.index)).pausedUntil.loadRelaxed() == 0
            }
            if running.isEmpty { return false }
        }
        return true
    }

    @Test(arguments: [(1, 1), (2, 1), (2, 3), (5, 4)])
    func `the last one is never taken out`(endpoints: Int, edges: Int) throws {
        #expect(try storm(endpoints: endpoints, edges: edges, checksLast: true))
        #expect(try !storm(endpoints: endpoints, edges: edges, checksLast: false))
    }

    @Test func `when all that are left are paused, pauses do not count`() throws {
        var stage = try Stage(edges: 1)
        for _ in 0..<2 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .roundRobin, failures: 1)
        _ = try fail(pool, at: 0, now: second)
        stage.table.markDown(stage.endpoints[1])
        #expect(pool.choose(now: 2 * second)?.endpoint == stage.endpoints[0])
    }

    @Test func `an outcome of an incarnation that is gone says nothing about its successor`() throws
    {
        var stage = try Stage(edges: 1)
        for _ in 0..<2 { try stage.add(capacity: 0) }
        let pool = stage.pool(0, .roundRobin, failures: 1)
        let chosen = pool.choose(now: second)
        let lease = try #require(chosen)
        let old = Lease(
            endpoint: EndpointReference(index: lease.endpoint.index, generation: 99),
            place: lease.place, service: lease.service)
        #expect(pool.report(old, .failed, now: second) == nil)
    }

    @Test(arguments: [(0.2, 1000, 210), (0.0, 1000, 0), (1.0, 50, 60), (0.2, 0, 10)])
    func `retries are a share of the requests, and a small reserve`(
        budget: Double, requests: Int, most: Int
    ) {
        var bucket = RetryBudget(.init(attempts: 1, budget: budget))
        var retries = 0
        for _ in 0..<requests {
            bucket.deposited()
            if bucket.withdraw(afterAttempts: 1) { retries += 1 }
        }
        for _ in 0..<20 where bucket.withdraw(afterAttempts: 1) { retries += 1 }
        #expect(retries <= most && retries >= most - 15)
    }

    @Test func `no request is tried more often than allowed`() {
        var bucket = RetryBudget(.init(attempts: 2, budget: 1))
        #expect((1...3).map { bucket.withdraw(afterAttempts: $0) } == [true, true, false])
        var none = RetryBudget(.init(attempts: 0, budget: 1))
        let mayRetry = none.withdraw(afterAttempts: 1)
        #expect(!mayRetry)
    }

    @Test func `the latency estimate follows, and fades`() {
        let start: UInt64 = 1 << 42
        var word = LatencyEstimate(word: 0).adding(nanoseconds: 8_000_000, at: start)
        #expect(LatencyEstimate(word: word).microseconds(at: start) == 8000)
        for _ in 0..<40 {
            word = LatencyEstimate(word: word).adding(nanoseconds: 1_000_000, at: start)
        }
        let settled = LatencyEstimate(word: word).microseconds(at: start)
        #expect(settled >= 1000 && settled < 1010)
        #expect(LatencyEstimate(word: word).microseconds(at: start + 5 * second) <= settled / 2)
        #expect(LatencyEstimate(word: word).microseconds(at: start + 500 * second) == 0)
    }
}
