import Board
import Memory
import Testing

@testable import Edge

/// Each time limit towards clients: over when it has to be, and never for one that does its part.
@Suite struct ClientTimeTests {
    static let second: UInt64 = 1_000_000_000

    /// Sends pieces, one after each interval.
    static func send(
        _ pieces: [[UInt8]], every interval: UInt64, by end: ScriptedEnd, in world: SimulatedWorld
    ) {
        for (index, piece) in pieces.enumerated() {
            world.at(UInt64(index + 1) * interval) { end.send(piece) }
        }
    }

    /// How long a condition takes to come true, in simulated nanoseconds.
    static func time(_ simulated: SimulatedEdge, until condition: () -> Bool) -> UInt64 {
        let begin = simulated.traffic.world.now
        let isTrue = simulated.turn(until: condition)
        #expect(isTrue)
        return simulated.traffic.world.now - begin
    }

    // MARK: handshake

    static func secureEdge() throws -> SimulatedEdge {
        try DirectedTests.edge(
            options: "timeout: { handshake: 2s }", listener: "https://127.0.0.1:8443")
    }

    @Test(arguments: ["", "hel"])
    func `a handshake that does not end is over in time`(beginning: String) throws {
        let simulated = try Self.secureEdge()
        let client = ScarcityTests.ask(simulated, beginning)
        #expect(simulated.turn { simulated.edge.clients.count == 1 })
        let time = Self.time(simulated) { simulated.edge.clients.count == 0 }
        #expect(time > 1_700_000_000 && time < 2_100_000_000)
        #expect(client.bytes.isEmpty && simulated.board.total(.handshakeFailures) == 1)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a handshake that ended in time is the end of its time`() throws {
        let simulated = try Self.secureEdge()
        let client = ScarcityTests.ask(simulated, "")
        Self.send(
            [Array("hel".utf8), Array("lo".utf8)], every: Self.second * 9 / 10, by: client,
            in: simulated.traffic.world)
        simulated.turn(for: 10 * Self.second)
        #expect(!client.isOver && simulated.board.total(.handshakes) == 1)
        client.send(DirectedTests.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        ScarcityTests.finish(simulated, client)
    }

    // MARK: header

    @Test func `a head that trickles is refused in time`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { header: 2s }")
        let client = ScarcityTests.ask(simulated, "")
        let head = Array(DirectedTests.get("/1/length/5?" + String(repeating: "x", count: 99)).utf8)
        Self.send(
            head.map { [$0] }, every: Self.second / 10, by: client, in: simulated.traffic.world)
        let time = Self.time(simulated) { client.text.hasPrefix("HTTP/1.1 408") }
        #expect(time > 2 * Self.second && time < 2_300_000_000)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a head has its whole time, on each request of a connection`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { header: 2s, idle: 20s }")
        let client = ScarcityTests.ask(simulated, "")
        let head = Array(DirectedTests.get().utf8)
        for round in 1...3 {
            simulated.turn(for: 10 * Self.second)
            client.send(Array(head.prefix(20)))
            simulated.turn(for: Self.second * 3 / 2)
            client.send(Array(head.dropFirst(20)))
            #expect(
                simulated.turn { client.text.components("HTTP/1.1 200").count == round + 1 })
        }
        ScarcityTests.finish(simulated, client)
    }

    // MARK: body

    @Test(arguments: ["none", "request"])
    func `a body that stops is refused in time`(buffering: String) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body: 2s }")
        let client = ScarcityTests.ask(simulated, "")
        client.send(Array(DirectedTests.post("/1/length/5", 100).dropLast(50)))
        let time = Self.time(simulated) { client.text.hasPrefix("HTTP/1.1 408") }
        #expect(time > 2 * Self.second && time < 2_300_000_000)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: ["none", "request"])
    func `a body that goes on in time may take long`(buffering: String) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body: 2s, body_rate: 0B/s }")
        simulated.traffic.requestBytes[1] = 10
        let client = ScarcityTests.ask(simulated, "")
        let request = DirectedTests.post("/1/length/5", 10)
        client.send(Array(request.dropLast(10)))
        Self.send(
            request.suffix(10).map { [$0] }, every: Self.second * 3 / 2, by: client,
            in: simulated.traffic.world)
        let time = Self.time(simulated) { !client.bytes.isEmpty }
        #expect(client.text.hasPrefix("HTTP/1.1 200") && time > 15 * Self.second)
        ScarcityTests.finish(simulated, client)
    }

    /// A body of 40,000 bytes, so many every half second, where 1,000 a second are asked for.
    @Test(arguments: ["none", "request"], [(100, "408"), (1000, "200")])
    func `a body has to come as fast as it must, and no faster`(
        buffering: String, pace: (bytes: Int, status: String)
    ) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body: 5s, body_rate: 1000B/s }")
        simulated.traffic.requestBytes[1] = 40_000
        let client = ScarcityTests.ask(simulated, "")
        let request = DirectedTests.post("/1/length/5", 40_000)
        client.send(Array(request.dropLast(40_000)))
        let body = Array(request.suffix(40_000))
        let pieces = stride(from: 0, to: 40_000, by: pace.bytes).map {
            Array(body[$0..<$0 + pace.bytes])
        }
        Self.send(pieces, every: Self.second / 2, by: client, in: simulated.traffic.world)
        #expect(simulated.turn { simulated.edge.exchanges.count == 1 })
        let time = Self.time(simulated) { simulated.edge.exchanges.count == 0 }
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 \(pace.status)"))
        // The first look is after five seconds.
        #expect(pace.status == "200" ? time > 19 * Self.second : time < 7 * Self.second)
        ScarcityTests.finish(simulated, client)
    }

    // MARK: idle

    @Test func `a connection may wait so long for its next request, and no longer`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { idle: 2s }")
        let client = ScarcityTests.ask(simulated, "")
        for round in 1...6 {
            simulated.turn(for: Self.second * 3 / 2)
            #expect(!client.isOver)
            client.send(DirectedTests.get())
            #expect(
                simulated.turn { client.text.components("HTTP/1.1 200").count == round + 1 })
        }
        let time = Self.time(simulated) { simulated.edge.clients.count == 0 }
        #expect(time > 1_700_000_000 && time < 2_300_000_000)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a connection is not idle while it is served, however long that takes`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { idle: 2s }")
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        for piece in ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "o", "k"] {
            simulated.turn(for: 10 * Self.second)
            endpoint()!.send(piece)
        }
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nok") })
        ScarcityTests.finish(simulated, client)
    }

    // MARK: tunnel

    @Test func `a tunnel may be silent so long, whichever side speaks`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { tunnel: 1m }")
        let (client, endpoint) = DirectedTests.tunnel(simulated)
        for _ in 0..<4 {
            simulated.turn(for: 50 * Self.second)
            client.send("x")
            simulated.turn(for: 50 * Self.second)
            endpoint.send("y")
        }
        #expect(simulated.turn { client.text.hasSuffix("yyyy") && endpoint.text.hasSuffix("xxxx") })
        #expect(!client.isOver)
        let time = Self.time(simulated) { simulated.edge.clients.count == 0 }
        #expect(time > 59 * Self.second && time < 61 * Self.second)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
