import Board
import Configuration
import Testing

@testable import Routing

@Suite struct QueueTests {
    @Test(arguments: [
        ("upstreams: ['http://10.0.0.1'], queue: { wait: 9s }, pool: { timeout: 2s }", 2),
        ("upstreams: ['http://10.0.0.1'], queue: { wait: 1s }, pool: { timeout: 2s }", 1),
        ("upstreams: ['http://10.0.0.1']", 2),
        ("demo: true, queue: { wait: 9s }", 9),
    ])
    func `a request waits for an upstream no longer than for a connection of its pool`(
        service: String, seconds: UInt64
    ) throws {
        let schema = Schema([FrontOptions.keys, ServiceOptions.keys, RouteOptions.keys])
        let yaml = "listen: ['http://127.0.0.1:0']\nservices: { web: { \(service) } }"
        let (configuration, diagnostics) = schema.read(
            yaml: Array(yaml.utf8), file: "test.yaml", folder: "/tmp", environment: [:])
        #expect(!diagnostics.hasErrors, "\(diagnostics)")
        let options = try #require(ServiceOptions.all(configuration.effective).first)
        #expect(ServicePlan(service: 0, options).wait == seconds * 1_000_000_000)
    }

    @Test func `a freed place goes to the oldest waiter, at whatever edge`() throws {
        var stage = try Stage(edges: 2)
        try stage.add()
        let one = stage.edge(0)
        let other = stage.edge(1)
        let lease = try #require(one.take())
        _ = one.wait(11, now: 20)
        _ = other.wait(21, now: 10)
        #expect(one.nextServed(now: 30) == nil && other.nextServed(now: 30) == nil)
        one.release(lease)
        #expect(one.nextServed(now: 30) == nil)
        #expect(one.takeWakes() == stage.edges[1].bit && one.takeWakes() == 0)
        // A new request goes behind.
        #expect(one.choose(now: 31) == .allFull)
        other.noteWake()
        let served = try #require(other.nextServed(now: 40))
        #expect(served.token == 21 && served.waited == 30)
        #expect(other.nextServed(now: 40) == nil)
        other.release(served.lease)
        #expect(other.takeWakes() == stage.edges[0].bit)
        one.noteWake()
        let last = try #require(one.nextServed(now: 50))
        #expect(last.token == 11)
        one.release(last.lease)
        #expect(one.takeWakes() == 0 && !one.hasWaiters)
        #expect(other.take() != nil)
    }

    @Test func `the queue's length bounds all edges together`() throws {
        var stage = try Stage(edges: 2, queueLimit: 2)
        try stage.add()
        let one = stage.edge(0)
        let other = stage.edge(1)
        _ = try #require(one.take())
        #expect(one.wait(1, now: 1) != nil)
        let second = try #require(other.wait(2, now: 1))
        #expect(one.wait(3, now: 1) == nil)
        other.cancel(second)
        #expect(one.wait(4, now: 1) != nil)
        #expect(stage.table.waiting(stage.service) == 2)
    }

    @Test func `who waits too long is told, in order`() throws {
        var stage = try Stage(edges: 1)
        try stage.add()
        let balancer = stage.edge(0)
        _ = try #require(balancer.take())
        for token: UInt64 in 1...3 {
            _ = balancer.wait(token, now: token * 100)
        }
        let wait: UInt64 = 1_000_000_000
        #expect(balancer.nextDeadline == wait + 100)
        #expect(balancer.nextExpired(now: wait + 99) == nil)
        #expect(balancer.nextExpired(now: wait + 200) == 1)
        #expect(balancer.nextExpired(now: wait + 200) == 2)
        #expect(balancer.nextExpired(now: wait + 200) == nil)
        #expect(balancer.waiting == 1)
    }

    @Test
    func `an endpoint that takes no connection is passed over, and who met it keeps its turn`()
        throws
    {
        var stage = try Stage(edges: 1)
        try stage.add(capacity: 8)
        let balancer = stage.edge(0)
        let moment: UInt64 = 50_000_000
        let first = try #require(balancer.take(now: 10))
        balancer.releaseFull(first, now: 10)
        #expect(balancer.choose(now: 11) == .allFull)
        _ = balancer.wait(2, now: 12)
        _ = balancer.wait(1, now: 10)
        #expect(balancer.nextServed(now: 12) == nil && !balancer.hasErrands)
        balancer.look()
        #expect(balancer.nextServed(now: moment + 9) == nil)
        // Each try that fails ends the search, and changes no order.
        for round: UInt64 in 1...2 {
            balancer.look()
            let served = try #require(balancer.nextServed(now: 10 + round * moment))
            #expect(served.token == 1)
            balancer.releaseFull(served.lease, now: 10 + round * moment)
            _ = balancer.wait(1, now: 10)
            #expect(balancer.nextServed(now: 10 + round * moment) == nil)
        }
        balancer.look()
        #expect(balancer.nextServed(now: 10 + 3 * moment)?.token == 1)
        #expect(balancer.nextServed(now: 10 + 3 * moment)?.token == 2)
    }

    @Test func `requests wait for the first worker to be ready`() throws {
        let stage = try Stage(edges: 2)
        let one = stage.edge(0)
        let other = stage.edge(1)
        #expect(one.choose(now: 1) == .noneAvailable)
        _ = one.wait(1, now: 1)
        _ = other.wait(2, now: 2)
        #expect(one.nextServed(now: 3) == nil && other.nextServed(now: 3) == nil)
        let endpoint = try stage.table.addEndpoint(
            EndpointPlan(
                service: stage.service, kind: .ours, capacity: 2, number: 1,
                address: .unix(path: [47])))
        #expect(stage.table.setState(.ready, of: endpoint) == stage.edges[0].bit)
        one.noteWake()
        #expect(one.nextServed(now: 4)?.token == 1)
        #expect(one.nextServed(now: 4) == nil)
        // There is room for the other edge's as well.
        #expect(one.takeWakes() == stage.edges[1].bit)
        other.noteWake()
        #expect(other.nextServed(now: 5)?.token == 2)
    }

    @Test func `a waiter that tried the free endpoint lets the next one have it`() throws {
        var stage = try Stage(edges: 2)
        for _ in 0..<2 { try stage.add() }
        let one = stage.edge(0)
        let other = stage.edge(1)
        let first = try #require(one.take())
        let second = try #require(one.take())
        var tried = TriedEndpoints()
        tried.insert(first.endpoint)
        _ = one.wait(1, now: 1, tried: tried)
        _ = other.wait(2, now: 2)
        one.release(first)
        #expect(one.nextServed(now: 3) == nil)
        #expect(one.takeWakes() == stage.edges[1].bit)
        other.noteWake()
        #expect(other.nextServed(now: 3)?.token == 2)
        one.release(second)
        #expect(one.nextServed(now: 3)?.token == 1)
    }

    @Test func `a wake-up that comes too late is passed on`() throws {
        var stage = try Stage(edges: 2)
        try stage.add()
        let one = stage.edge(0)
        let other = stage.edge(1)
        let lease = try #require(one.take())
        let gone = try #require(other.wait(1, now: 1))
        _ = one.wait(2, now: 2)
        _ = one.nextServed(now: 2)
        one.release(lease)
        #expect(one.takeWakes() == stage.edges[1].bit)
        other.cancel(gone)
        other.noteWake()
        #expect(other.nextServed(now: 3) == nil)
        #expect(other.takeWakes() == stage.edges[0].bit)
        one.noteWake()
        #expect(one.nextServed(now: 4)?.token == 2)
    }
}
