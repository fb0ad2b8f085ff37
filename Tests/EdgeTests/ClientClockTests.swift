import Board
import Memory
import Signals
import Testing

@testable import Edge

/// The clocks of a client run while it is the client's turn and nothing comes of it.
@Suite struct ClientClockTests {
    static let second: UInt64 = 1_000_000_000
    static let never = UInt64.max

    /// A client whose stream holds so much that the kernel tells of room only after 4.4 s, at the
    /// 30 KB/s of `takeSlowly`.
    static func connect(_ simulated: SimulatedEdge, capacity: Int = 400_000) -> ScriptedEnd {
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        simulated.traffic.world.streams[client.stream]!.outgoing.capacity = capacity
        return client
    }

    static func takeSlowly(_ client: ScriptedEnd, until moment: UInt64 = never) {
        client.take(3000, every: second / 10, until: moment)
    }

    @Test(arguments: ["none", "request"])
    func `a client that takes its answer slowly gets all of it`(buffering: String) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body: 3s }", limits: ", response_memory: 64KiB")
        let client = Self.connect(simulated)
        Self.takeSlowly(client)
        client.send(DirectedTests.get("/1/length/1000000"))
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { client.bytes.count > 1_000_000 || client.isOver })
        #expect(client.bytes.count > 1_000_000 && !client.isOver)
        #expect(simulated.traffic.world.now - begin > 30 * Self.second)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [true, false])
    func `a client that takes no more of its answer is left`(kernelTells: Bool) throws {
        let simulated = try DirectedTests.edge(options: "timeout: { body: 3s }")
        let world = simulated.traffic.world
        world.tellsUnacknowledged = kernelTells
        let client = Self.connect(simulated)
        let stop = world.now + 20 * Self.second
        Self.takeSlowly(client, until: stop)
        client.send(DirectedTests.get("/1/length/1000000"))
        #expect(simulated.turn { client.isOver })
        let end = stop + 6 * Self.second
        // Where nobody can tell what it takes, only what is written counts.
        let allowed = kernelTells ? stop + 3 * Self.second..<end : world.now..<stop
        #expect(allowed.contains(world.now), "\(world.now)")
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that takes what is before its refusal slowly gets that too`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { body: 3s }")
        let client = Self.connect(simulated)
        client.send(DirectedTests.get("/1/length/399900"))
        client.stall()
        simulated.turn(for: Self.second)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        Self.takeSlowly(client)
        #expect(simulated.turn { client.isOver })
        #expect(client.text.contains("HTTP/1.1 400"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test
    func `an answer's file is read back by a block that the client frees, where none is left`()
        throws
    {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: request }",
            options: "timeout: { body: 3s }", limits: ", response_memory: 4096B")
        simulated.traffic.world.pieceMax = 2000
        let client = Self.connect(simulated, capacity: 100_000)
        client.stall()
        client.send(DirectedTests.get("/1/length/500000"))
        simulated.turn(for: Self.second)
        let taken = ScarcityTests.hoard(simulated, leaving: 0, 0)
        client.resume()
        #expect(simulated.turn { client.bytes.count > 500_000 || client.isOver })
        #expect(client.bytes.count > 500_000)
        for block in taken { simulated.edge.pool.give(block) }
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

/// Connections without a request, and tunnels.
extension ClientClockTests {
    @Test func `a client that still takes its last answer is not idle`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { idle: 3s }")
        let world = simulated.traffic.world
        let client = Self.connect(simulated)
        Self.takeSlowly(client)
        client.send(DirectedTests.get("/1/length/390000"))
        #expect(simulated.turn { client.bytes.count > 390_000 || client.isOver })
        #expect(!client.isOver)
        client.send(DirectedTests.get())
        #expect(simulated.turn { client.text.components("HTTP/1.1 200").count == 3 })
        // Nothing is left for it to take.
        let begin = world.now
        #expect(simulated.turn { client.isOver })
        #expect(world.now - begin < 6 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that takes nothing of its last answer is idle`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { idle: 3s }")
        let client = Self.connect(simulated)
        client.stall()
        client.send(DirectedTests.get("/1/length/390000"))
        #expect(simulated.turn { simulated.edge.clients.count == 1 })
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < 7 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [true, false])
    func `a connection that was to be closed lingers while its answer is taken`(
        takes: Bool
    ) throws {
        let simulated = try DirectedTests.edge(options: "timeout: { body: 3s }")
        let world = simulated.traffic.world
        let client = Self.connect(simulated)
        client.stall()
        client.send(DirectedTests.get("/1/length/390000"))
        simulated.turn(for: Self.second)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        if takes { Self.takeSlowly(client) }
        let begin = world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(client.text.contains("HTTP/1.1 400") == takes)
        #expect(takes || world.now - begin < 6 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an early answer is not lost to a reset by the body that still comes`() throws {
        let simulated = try DirectedTests.edge()
        let client = Self.connect(simulated)
        client.send(
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n")
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 413") && client.hasEnded })
        simulated.turn(for: Self.second)
        #expect(simulated.edge.clients.count == 1)
        client.send([UInt8](repeating: 1, count: 1000))
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < 2 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [true, false])
    func `a tunnel is not silent while one side takes what was passed`(byClient: Bool) throws {
        let simulated = try DirectedTests.edge(options: "timeout: { tunnel: 3s }")
        let world = simulated.traffic.world
        let (client, endpoint) = DirectedTests.tunnel(simulated)
        let (giver, taker) = byClient ? (endpoint, client) : (client, endpoint)
        world.streams[taker.stream]!.outgoing.capacity = 400_000
        let before = taker.bytes.count
        Self.takeSlowly(taker)
        giver.send([UInt8](repeating: 120, count: 1_000_000))
        #expect(simulated.turn { taker.bytes.count == before + 1_000_000 || client.isOver })
        #expect(taker.bytes.count == before + 1_000_000 && !client.isOver)
        let begin = world.now
        #expect(simulated.turn { client.isOver })
        #expect(world.now - begin < 7 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `what a broken endpoint left in a tunnel may be taken slowly`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { body: 3s }")
        let world = simulated.traffic.world
        let (client, endpoint) = DirectedTests.tunnel(simulated)
        world.streams[client.stream]!.outgoing.capacity = 400_000
        Self.takeSlowly(client)
        let before = client.bytes.count
        endpoint.send([UInt8](repeating: 1, count: 450_000))
        simulated.turn(for: 2 * Self.second)
        let passed = Int(simulated.edge.exchanges[0].result.responseBytes)
        #expect(passed > 400_000)
        endpoint.reset()
        #expect(simulated.turn { client.isOver })
        #expect(client.bytes.count >= before + passed)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
