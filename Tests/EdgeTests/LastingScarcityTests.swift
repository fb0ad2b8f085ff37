import Board
import Memory
import Testing

@testable import Edge

/// A want of blocks that lasts.
@Suite struct LastingScarcityTests {
    /// What may become of a request where there is no block: the truth, or a closed connection.
    static let truths = [
        "500 Internal Server Error", "got no answer, but the end", "was broken off",
    ]

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `with hardly any blocks all requests end, and nobody is blamed who is not at fault`(
        seed: UInt64
    ) throws {
        let (service, kind) = SimulationTests.services[Int(seed) % 3]
        let simulated = try SimulatedEdge(
            seed: seed, service: service, endpoints: 3, capacity: 4, kind: kind)
        let traffic = simulated.traffic
        let hoard = ScarcityTests.hoard(simulated, leaving: 8, 6)
        for _ in 0..<12 {
            let requests = (0..<4).map { _ in
                traffic.makeRequest(AnswerKind.allCases.filter(\.isGood))
            }
            let client = SimulatedClient(
                traffic, requests, isPipelining: false, givesUpAfter: nil)
            traffic.world.at(UInt64.random(in: 0...20_000_000, using: &traffic.world.random)) {
                client.begin(traffic.world)
            }
        }
        var isOver = false
        traffic.world.at(600_000_000_000) { isOver = true }
        #expect(simulated.turn { isOver && simulated.edge.clients.count == 0 })
        hoard.forEach { simulated.edge.pool.give($0) }
        simulated.run()
        let lies = traffic.complaints.filter { complaint in
            !Self.truths.contains { complaint.contains($0) }
        }
        #expect(lies == [])
        #expect(!traffic.answered.isEmpty)
    }

    // MARK: until somebody's time is over

    @Test(arguments: [EndpointKind.upstream, .ours])
    func `an answer that waits for a block is not late, and its worker is not stuck`(
        kind: EndpointKind
    ) throws {
        let whom = kind == .ours ? "demo: true, workers: 1" : "upstreams: [\"unix:/worker/1\"]"
        let simulated = try DirectedTests.edge(
            "{ \(whom), timeout: { request: 2s } }", capacity: 1, kind: kind)
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        let hoard = ScarcityTests.hoard(simulated, leaving: 0, 0)
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(simulated.turn { client.isOver })
        #expect(simulated.board.total(.timeouts) == 0)
        #expect(simulated.table.endpoint(0).failures.loadRelaxed() == 0)
        #expect(simulated.table.endpoint(0).status.state == .ready)
        hoard.forEach { simulated.edge.pool.give($0) }
        ScarcityTests.finish(simulated, client)
    }

    @Test func `a head whose rest waits for a block is not called slow`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { header: 2s }")
        simulated.traffic.world.pieceMax = 3000
        let hoard = ScarcityTests.hoard(simulated, leaving: 100, 0)
        let client = ScarcityTests.ask(
            simulated, "GET / HTTP/1.1\r\nHost: a.example\r\n\(ScarcityTests.longField)\r\n")
        #expect(simulated.turn { client.isOver || !client.bytes.isEmpty })
        #expect(client.bytes.isEmpty && simulated.board.total(.headsRejected) == 0)
        hoard.forEach { simulated.edge.pool.give($0) }
        ScarcityTests.finish(simulated, client)
    }

    @Test func `a head whose endpoint's block cannot grow is not called too long`() throws {
        let simulated = try DirectedTests.edge()
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        let hoard = ScarcityTests.hoard(simulated, leaving: 4, 0)
        endpoint()!.send(
            "HTTP/1.1 200 OK\r\n\(ScarcityTests.longField)Content-Length: 2\r\n\r\nok")
        simulated.turn(for: 1_000_000_000)
        #expect(client.bytes.isEmpty && !client.isOver)
        hoard.forEach { simulated.edge.pool.give($0) }
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nok") })
        ScarcityTests.finish(simulated, client)
    }
}
