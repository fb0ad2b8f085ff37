import Board
import Linux
import Memory
import Signals
import Testing

@testable import Edge

/// What an edge writes down is true.
@Suite struct LogTests {
    static let worker = "{ demo: true, workers: 2 }"

    /// Sends requests on one connection each until every one is over.
    static func ask(_ simulated: SimulatedEdge, _ text: String, count: Int = 1) -> [ScriptedEnd] {
        (0..<count).map { _ in
            let client = ScriptedEnd(simulated.traffic.world)
            client.connect()
            client.send(text)
            client.end()
            #expect(simulated.turn { client.isOver })
            return client
        }
    }

    @Test(arguments: ["cutBody", "rubbish", "conflict"])
    func `a worker that lives is not taken out for what its app answers`(kind: String) throws {
        let simulated = try DirectedTests.edge(
            Self.worker, endpoints: 2, kind: .ours, logs: true)
        _ = Self.ask(simulated, DirectedTests.get("/1/\(kind)/5"), count: 20)
        for index in 0..<2 {
            let endpoint = simulated.table.endpoint(index)
            #expect(endpoint.failures.loadRelaxed() == 0)
            #expect(endpoint.pausedUntil.loadRelaxed() == 0)
        }
        let lines = simulated.accessLines
        #expect(lines.count == 20)
        #expect(lines.allSatisfy { $0["outcome"]?.text == "upstream_failed" })
        #expect(simulated.errorLines.allSatisfy { $0["event"]?.text == "bad_answer" })
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a worker that lives and closes before any answer is taken out`() throws {
        let simulated = try DirectedTests.edge(
            Self.worker, endpoints: 2, kind: .ours, logs: true)
        _ = Self.ask(simulated, DirectedTests.get("/1/silent/5"), count: 12)
        let paused = (0..<2).count { simulated.table.endpoint($0).pausedUntil.loadRelaxed() > 0 }
        #expect(paused == 1)
        let down = try #require(simulated.errorLines.first)
        #expect(down["event"]?.text == "upstream_down" && down["reason"]?.text == "failures")
        #expect(down["service"]?.text == "web")
        #expect(simulated.accessLines.allSatisfy { $0["outcome"]?.text == "upstream_failed" })
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: ["cutBody", "silent"])
    func `a worker that has died is left to the master, and the log says so`(kind: String) throws {
        let simulated = try DirectedTests.edge(
            Self.worker, endpoints: 2, kind: .ours, logs: true)
        simulated.traffic.world.endedProcesses = [1, 2]
        _ = Self.ask(simulated, DirectedTests.get("/1/\(kind)/5"), count: 12)
        #expect((0..<2).allSatisfy { simulated.table.endpoint($0).failures.loadRelaxed() == 0 })
        #expect(simulated.accessLines.allSatisfy { $0["outcome"]?.text == "worker_died" })
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    /// The bytes behind an answer's head.
    private static func body(_ client: ScriptedEnd) -> Int {
        client.text.components("\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n").utf8.count
    }

    @Test(arguments: [
        ("GET /denied HTTP/1.1\r\nHost: a\r\n\r\n", 403),
        ("HEAD /denied HTTP/1.1\r\nHost: a\r\n\r\n", 403),
        ("GET /1/silent/5 HTTP/1.1\r\nHost: a\r\n\r\n", 502),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("GET / HTTP/1.1\r\n\r\n", 400),
    ])
    func `an answer of the proxy's own counts its bytes`(request: String, status: Int) throws {
        let simulated = try DirectedTests.edge(
            options: "routes: [{ path: /denied, deny: [0.0.0.0/0], to: web }, { to: web }]",
            logs: true)
        let client = Self.ask(simulated, request)[0]
        #expect(client.text.hasPrefix("HTTP/1.1 \(status) "))
        let line = try #require(simulated.accessLines.first)
        #expect(line["status"]?.whole == status)
        #expect(line["response_bytes"]?.whole == Self.body(client))
        #expect((Self.body(client) == 0) == request.hasPrefix("HEAD"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a head that does not end is logged from its first byte on`() throws {
        let simulated = try DirectedTests.edge(options: "timeout: { header: 5s }", logs: true)
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        simulated.turn(for: 3_000_000_000)
        client.send("GET / HT")
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasPrefix("HTTP/1.1 408 "))
        let line = try #require(simulated.accessLines.first)
        #expect((4.9...5.2).contains(try #require(line["duration"]?.double)))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a request that waited in vain says for how long`() throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], queue: { wait: 1s } }", capacity: 1, logs: true)
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = { ScriptedEnd(world) }
        let clients = (0..<3).map { _ in ScriptedEnd(world) }
        for client in clients {
            client.connect()
            client.send(DirectedTests.get())
            simulated.turn(for: 100_000_000)
        }
        clients[1].reset()
        #expect(simulated.turn { clients[2].text.hasPrefix("HTTP/1.1 503 ") })
        let lines = simulated.accessLines
        let waits = lines.map { $0["queue"]?.double ?? -1 }
        // One has left before its time, and one has waited for all of it.
        #expect(lines.map { $0["status"]?.whole } == [0, 503])
        #expect((0.05...0.2).contains(waits[0]) && (0.99...1.1).contains(waits[1]))
        clients[0].reset()
        clients[2].end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `connections that an address may not have are said once a minute`() throws {
        let simulated = try DirectedTests.edge(
            options: "timeout: { idle: 10m }", limits: ", connections_per_address: 2", logs: true)
        let clients = (0..<5).map { _ in ScriptedEnd(simulated.traffic.world) }
        for client in clients {
            client.connect()
            simulated.turn(for: 10_000_000)
        }
        #expect(clients.filter(\.hasBroken).count == 3)
        #expect(simulated.errorLines.map { $0["count"]?.whole } == [1])
        simulated.turn(for: 61_000_000_000)
        let lines = simulated.errorLines
        #expect(lines.map { $0["count"]?.whole } == [1, 2])
        #expect(lines.allSatisfy { $0["event"]?.text == "connections_refused" })
        #expect(lines.allSatisfy { $0["reason"]?.text == "limits.connections_per_address" })
        #expect(simulated.board.total(.connectionsRefused) == 3)
        for client in clients { client.end() }
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an edge that is full says so`() throws {
        let simulated = try DirectedTests.edge(logs: true)
        let clients = (0..<70).map { _ in ScriptedEnd(simulated.traffic.world) }
        for client in clients { client.connect() }
        #expect(simulated.turn { simulated.edge.clients.isFull })
        simulated.turn(for: 10_000_000)
        let lines = simulated.errorLines
        #expect(lines.map { $0["event"]?.text } == ["accepting_paused"])
        #expect(lines.first?["reason"]?.text == "limits.connections")
        for client in clients { client.end() }
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
