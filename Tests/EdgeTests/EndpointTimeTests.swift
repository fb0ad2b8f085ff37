import Board
import Memory
import Testing

@testable import Edge

/// Each time limit of the endpoint's side; `timeout.request` has its tests in `TimeLimitTests`.
@Suite struct EndpointTimeTests {
    static let second = ClientTimeTests.second

    // MARK: connect

    @Test func `a connection that is not made in time is given up`() throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { connect: 2s } }")
        simulated.traffic.world.connectDelays[Array("/worker/1".utf8)] = 1000 * Self.second
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        let time = ClientTimeTests.time(simulated) { client.text.contains("connection_timeout") }
        #expect(client.text.hasPrefix("HTTP/1.1 504"))
        #expect(time > 2 * Self.second && time < 2_300_000_000)
        ScarcityTests.finish(simulated, client)
    }

    @Test func `and the request goes elsewhere, where there is somewhere else`() throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { connect: 2s } }", endpoints: 2)
        simulated.traffic.world.connectDelays[Array("/worker/1".utf8)] = 1000 * Self.second
        let clients = (0..<2).map { _ in ScarcityTests.ask(simulated, DirectedTests.get()) }
        let time = ClientTimeTests.time(simulated) {
            clients.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200") }
        }
        #expect(time > 2 * Self.second && time < 2_300_000_000)
        #expect(simulated.board.total(.retries) == 1)
        clients[0].end()
        ScarcityTests.finish(simulated, clients[1])
    }

    @Test func `a connection that is made in time is the end of its time`() throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { connect: 2s } }")
        simulated.traffic.world.connectDelays[Array("/worker/1".utf8)] = Self.second * 3 / 2
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        simulated.turn(for: 10 * Self.second)
        endpoint()!.send("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 204") })
        ScarcityTests.finish(simulated, client)
    }

    // MARK: first byte

    static let impatient = "{ upstreams: [\"unix:/worker/1\"], timeout: { first_byte: 2s } }"

    @Test func `an answer has to begin in time, and an interim one is no beginning`() throws {
        let simulated = try DirectedTests.edge(Self.impatient)
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        simulated.traffic.world.at(Self.second) {
            endpoint()!.send("HTTP/1.1 103 Early Hints\r\n\r\n")
        }
        let time = ClientTimeTests.time(simulated) { client.text.contains("HTTP/1.1 504") }
        #expect(time > 1_700_000_000 && time < 2_300_000_000)
        #expect(client.text.hasPrefix("HTTP/1.1 103"))
        ScarcityTests.finish(simulated, client)
    }

    @Test func `an answer that began in time may take long`() throws {
        let simulated = try DirectedTests.edge(Self.impatient)
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        let pieces = ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "l", "o", "n", "g"]
        ClientTimeTests.send(
            pieces.map { Array($0.utf8) }, every: Self.second * 3 / 2, by: endpoint()!,
            in: simulated.traffic.world)
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nlong") })
        ScarcityTests.finish(simulated, client)
    }

    @Test func `a body that comes slowly does not use up the time of the first byte`() throws {
        let simulated = try DirectedTests.edge(
            Self.impatient, options: "timeout: { body_rate: 0B/s }")
        simulated.traffic.requestBytes[1] = 10
        let client = ScarcityTests.ask(simulated, "")
        let request = DirectedTests.post("/1/length/5", 10)
        client.send(Array(request.dropLast(10)))
        ClientTimeTests.send(
            request.suffix(10).map { [$0] }, every: Self.second, by: client,
            in: simulated.traffic.world)
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        ScarcityTests.finish(simulated, client)
    }

    @Test func `a worker that does not begin in time has until the request's time is over`() throws
    {
        let simulated = try DirectedTests.edge(
            "{ demo: true, workers: 1, timeout: { first_byte: 2s, request: 5s } }", capacity: 1,
            kind: .ours)
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 504") })
        #expect(simulated.board.total(.timeouts) == 0)
        #expect(simulated.table.endpoint(0).status.state == .ready)
        // The place is not free: it still works on it.
        #expect(simulated.table.inFlight(0, capacity: 1) == 1 && !endpoint()!.isOver)
        let time = ClientTimeTests.time(simulated) { simulated.board.total(.timeouts) == 1 }
        #expect(time > 2_500_000_000 && time < 3_300_000_000)
        #expect(simulated.table.endpoint(0).status.state == .down)
        ScarcityTests.finish(simulated, client)
    }
}
