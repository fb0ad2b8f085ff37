import Board
import Memory
import Testing

@testable import Edge

/// What clients are told, and what they wait for, when the edge's blocks are used up.
@Suite struct ScarcityTests {
    /// Takes all blocks but a few.
    static func hoard(_ simulated: SimulatedEdge, leaving small: Int, _ large: Int) -> [BlockID] {
        let pool = simulated.edge.pool
        var hoard: [BlockID] = []
        for (size, count) in [(BlockSize.small, small), (.large, large)] {
            while true {
                let block = pool.take(size)
                guard !block.isNone else { break }
                hoard.append(block)
            }
            for _ in 0..<count { pool.give(hoard.removeLast()) }
        }
        return hoard
    }

    /// Makes the endpoint one that a test answers for, on the connection that came last.
    static func scriptEndpoint(_ simulated: SimulatedEdge) -> () -> ScriptedEnd? {
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world)
            return endpoint
        }
        return { endpoint }
    }

    static func ask(_ simulated: SimulatedEdge, _ text: String) -> ScriptedEnd {
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(text)
        return client
    }

    static func finish(_ simulated: SimulatedEdge, _ client: ScriptedEnd) {
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    static let longField = "X-Long: " + String(repeating: "l", count: 5000) + "\r\n"

    @Test(arguments: [false, true])
    func `an answer waits for a block for its head, however long the head is`(isLong: Bool) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { first_byte: 1s } }")
        let endpoint = Self.scriptEndpoint(simulated)
        let client = Self.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        // One is left, for what is received.
        let hoard = Self.hoard(simulated, leaving: isLong ? 4 : 0, 1)
        let field = isLong ? Self.longField : ""
        endpoint()!.send("HTTP/1.1 200 OK\r\n\(field)Content-Length: 2\r\n\r\nok")
        simulated.turn(for: 2_000_000_000)
        #expect(client.bytes.isEmpty && !client.isOver)
        hoard.forEach { simulated.edge.pool.give($0) }
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nok") })
        #expect(client.text.hasPrefix("HTTP/1.1 200"))
        Self.finish(simulated, client)
    }

    @Test func `an answer waits for a block to tell its client to go on`() throws {
        let simulated = try DirectedTests.edge()
        let endpoint = Self.scriptEndpoint(simulated)
        let client = Self.ask(
            simulated,
            "PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        let hoard = Self.hoard(simulated, leaving: 0, 1)
        endpoint()!.send("HTTP/1.1 100 Continue\r\n\r\n")
        simulated.turn(for: 1_000_000_000)
        #expect(client.bytes.isEmpty && !client.isOver)
        hoard.forEach { simulated.edge.pool.give($0) }
        #expect(simulated.turn { client.text == "HTTP/1.1 100 Continue\r\n\r\n" })
        client.send("body")
        #expect(simulated.turn { endpoint()!.text.hasSuffix("body") })
        endpoint()!.send("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(simulated.turn { client.text.contains("HTTP/1.1 204") })
        Self.finish(simulated, client)
    }

    @Test func `a client whose head has to grow waits for a block, and is not called slow`() throws
    {
        let simulated = try DirectedTests.edge()
        simulated.traffic.world.pieceMax = 3000
        let hoard = Self.hoard(simulated, leaving: 100, 0)
        let client = Self.ask(
            simulated, "GET /1/length/5 HTTP/1.1\r\nHost: a.example\r\n\(Self.longField)\r\n")
        simulated.turn(for: 1_000_000_000)
        #expect(client.bytes.isEmpty && !client.isOver)
        hoard.forEach { simulated.edge.pool.give($0) }
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 200"))
        #expect(simulated.traffic.world.now - begin < 1_000_000_000)
        Self.finish(simulated, client)
    }

    @Test func `a head that finds no block is not called too long`() throws {
        let simulated = try DirectedTests.edge()
        simulated.traffic.world.pieceMax = 1 << 20
        let hoard = Self.hoard(simulated, leaving: 100, 0)
        let field = "X-Long: " + String(repeating: "l", count: 3000) + "\r\n"
        let client = Self.ask(
            simulated, "GET /1/length/5 HTTP/1.1\r\nHost: a.example\r\n\(field)\r\n")
        #expect(simulated.turn { client.isOver || !client.bytes.isEmpty })
        #expect(client.isOver && client.bytes.isEmpty)
        #expect(simulated.board.total(.headsRejected) == 0)
        #expect(simulated.board.total(.connectionsRefused) == 1)
        hoard.forEach { simulated.edge.pool.give($0) }
        Self.finish(simulated, client)
    }
}

extension ScarcityTests {
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
        let hoard = Self.hoard(simulated, leaving: 8, 6)
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
}

/// When the want lasts until somebody's time is over.
extension ScarcityTests {
    @Test(arguments: [EndpointKind.upstream, .ours])
    func `an answer that waits for a block is not late, and its worker is not stuck`(
        kind: EndpointKind
    ) throws {
        let whom = kind == .ours ? "demo: true, workers: 1" : "upstreams: [\"unix:/worker/1\"]"
        let simulated = try DirectedTests.edge(
            "{ \(whom), timeout: { request: 2s } }", capacity: 1, kind: kind)
        let endpoint = Self.scriptEndpoint(simulated)
        let client = Self.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        let hoard = Self.hoard(simulated, leaving: 2, 0)
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 500"))
        #expect(simulated.board.total(.timeouts) == 0)
        #expect(simulated.table.endpoint(0).status.state == .ready)
        hoard.forEach { simulated.edge.pool.give($0) }
        Self.finish(simulated, client)
    }

    @Test func `a head whose rest waits for a block is not called slow`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { header: 2s }")
        simulated.traffic.world.pieceMax = 3000
        let hoard = Self.hoard(simulated, leaving: 100, 0)
        let client = Self.ask(
            simulated, "GET / HTTP/1.1\r\nHost: a.example\r\n\(Self.longField)\r\n")
        #expect(simulated.turn { client.isOver || !client.bytes.isEmpty })
        #expect(client.bytes.isEmpty && simulated.board.total(.headsRejected) == 0)
        hoard.forEach { simulated.edge.pool.give($0) }
        Self.finish(simulated, client)
    }

    @Test(arguments: ["none", "request"])
    func `a body that waits for a block is not called slow`(buffering: String) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body: 2s }")
        let client = Self.ask(simulated, "")
        let request = DirectedTests.post("/1/length/5", 100)
        client.send(Array(request.dropLast(100)))
        #expect(simulated.turn { simulated.edge.exchanges.count == 1 })
        simulated.turn(for: 100_000_000)
        let hoard = Self.hoard(simulated, leaving: 2, 0)
        client.send(Array(request.suffix(100)))
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 500"))
        hoard.forEach { simulated.edge.pool.give($0) }
        Self.finish(simulated, client)
    }
}
