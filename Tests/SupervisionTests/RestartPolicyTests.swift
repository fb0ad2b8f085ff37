import Testing

@testable import Supervision

@Suite struct RestartPolicyTests {
    @Test func `the first time there is no wait and then it doubles to a ceiling`() {
        var policy = RestartPolicy(step: 100, longest: 1000, stable: 5000)
        let waits = (0..<7).map { _ in policy.waitAfter(lifetime: 10) }
        #expect(waits == [0, 100, 200, 400, 800, 1000, 1000])
    }

    @Test func `a stable life is forgiven`() {
        var policy = RestartPolicy(step: 100, longest: 1000, stable: 5000)
        for _ in 0..<5 { _ = policy.waitAfter(lifetime: 10) }
        #expect(policy.waitAfter(lifetime: 5000) == 0)
        #expect(policy.failures == 1)
        #expect(policy.waitAfter(lifetime: 10) == 100)
    }

    @Test func `years of failing overflow nothing`() {
        var policy = RestartPolicy.worker
        var last: UInt64 = 0
        for _ in 0..<10_000 { last = policy.waitAfter(lifetime: 0) }
        #expect(last == 30_000_000_000)
    }
}

@Suite struct SocketSharesTests {
    @Test func `every socket has an edge and no socket has two`() {
        for sockets in 0...12 {
            for edges in 1...12 {
                let shares = (0..<edges).map {
                    SocketShares.positions(edge: $0, edges: edges, sockets: sockets)
                }
                #expect(shares.flatMap { $0 }.sorted() == Array(0..<sockets))
            }
        }
    }

    @Test func `edge i keeps socket i`() {
        for edge in 0..<4 {
            #expect(SocketShares.positions(edge: edge, edges: 4, sockets: 4) == [edge])
        }
        #expect(SocketShares.positions(edge: 1, edges: 2, sockets: 4) == [1, 3])
    }
}

@Suite struct GenerationPlanTests {
    @Test func `only what changed is touched`() {
        let plan = GenerationPlan(
            from: [("web", "a"), ("api", "b"), ("old", "c")],
            to: [("api", "b"), ("web", "changed"), ("new", "d")])
        #expect(plan.kept == ["api"])
        #expect(plan.replaced == ["web"])
        #expect(plan.added == ["new"])
        #expect(plan.removed == ["old"])
        #expect(!plan.isEmpty)
        #expect(plan.summary == "web replaced, new added, old removed")
    }

    @Test func `the same settings in another order change nothing`() {
        let plan = GenerationPlan(
            from: [("web", "a"), ("api", "b")], to: [("api", "b"), ("web", "a")])
        #expect(plan.isEmpty)
        #expect(plan.summary.isEmpty)
    }
}
