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

/// What slow clients may hold.
extension ScarcityTests {
    /// Clients that take nothing of big answers, each of which has come as far as it may.
    private static func crowd(_ simulated: SimulatedEdge, _ count: Int) -> [ScriptedEnd] {
        let world = simulated.traffic.world
        world.capacityMax = 1000
        world.pieceMax = 1 << 20
        let crowd = (0..<count).map { _ in
            let client = ScriptedEnd(world)
            client.connect()
            client.stall()
            client.send(DirectedTests.get("/1/length/1000000"))
            return client
        }
        simulated.turn(for: 3_000_000_000)
        return crowd
    }

    @Test(arguments: ["request", "none"])
    func `clients that take nothing hold no more than small blocks once large ones are scarce`(
        buffering: String
    ) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }")
        let pool = simulated.edge.pool
        // All but what is left over when others are as greedy as they may be.
        var greedy: [BlockID] = []
        while !pool.isScarce { greedy.append(pool.take(.large)) }
        let before = pool.takenLarge
        let crowd = Self.crowd(simulated, 10)
        #expect(simulated.edge.exchanges.count == 10)
        #expect(pool.takenLarge == before)
        #expect(pool.taken - greedy.count <= 8 * 10)
        // Others are served, also with what must be in one piece.
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(
            "GET /1/length/5 HTTP/1.1\r\nHost: a.example\r\n\(Self.longField)\r\n")
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        // And all of them, when they go on.
        crowd.forEach { $0.resume() }
        #expect(simulated.turn { simulated.edge.exchanges.count == 0 })
        simulated.turn(for: 1_000_000_000)
        for end in crowd {
            var reader = MessageReader()
            reader.bytes = end.bytes
            guard case .message(let message) = reader.next() else {
                throw TestFailure(text: "cut")
            }
            #expect(message.body == body(1, 1_000_000))
        }
        greedy.forEach { pool.give($0) }
        crowd.forEach { $0.end() }
        Self.finish(simulated, client)
    }

    @Test func `bodies that come slowly hold no more than small blocks once large ones are scarce`()
        throws
    {
        let simulated = try DirectedTests.edge(MemoryAndSpoolTests.buffering)
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        simulated.traffic.requestBytes[1] = 200_000
        let pool = simulated.edge.pool
        var greedy: [BlockID] = []
        while !pool.isScarce { greedy.append(pool.take(.large)) }
        let before = pool.takenLarge
        let whole = DirectedTests.post("/1/length/5", 200_000)
        let crowd = (0..<10).map { _ in
            let client = ScriptedEnd(world)
            client.connect()
            client.send(Array(whole.prefix(150_000)))
            return client
        }
        simulated.turn(for: 1_000_000_000)
        #expect(simulated.edge.exchanges.count == 10)
        #expect(pool.takenLarge == before)
        #expect(pool.taken - greedy.count <= 8 * 10)
        crowd.forEach { $0.send(Array(whole.dropFirst(150_000))) }
        #expect(simulated.turn { crowd.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200") } })
        greedy.forEach { pool.give($0) }
        crowd.forEach { $0.end() }
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
