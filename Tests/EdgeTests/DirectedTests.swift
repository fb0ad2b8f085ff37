import Board
import Memory
import Testing

@testable import Edge

/// Faults that were met once, each in the order of events that showed it.
@Suite struct DirectedTests {
    static let upstream = "{ upstreams: [\"unix:/worker/1\"], queue: { wait: 1s } }"

    static func edge(
        _ service: String = upstream, endpoints: Int = 1, capacity: Int = 32,
        kind: EndpointKind = .upstream, options: String = "", limits: String = "",
        spool: String = "/tmp", listener: String = "http://127.0.0.1:8080", logs: Bool = false
    ) throws -> SimulatedEdge {
        let simulated = try SimulatedEdge(
            seed: 1, service: service, endpoints: endpoints, capacity: capacity, kind: kind,
            options: options, limits: limits, spool: spool, listener: listener, logs: logs)
        // The number of every request without a body.
        simulated.traffic.requestBytes[1] = 0
        return simulated
    }

    static func get(_ path: String = "/1/length/5") -> String {
        "GET \(path) HTTP/1.1\r\nHost: a.example\r\n\r\n"
    }

    @Test func `an endpoint that takes no connection is asked once a look, and holds nobody up`()
        throws
    {
        let simulated = try Self.edge(endpoints: 2)
        let world = simulated.traffic.world
        let paths = (1...2).map { Array("/worker/\($0)".utf8) }
        func ask() -> [ScriptedEnd] {
            (0..<4).map { _ in
                let client = ScriptedEnd(world)
                client.connect()
                client.send(Self.get())
                return client
            }
        }
        world.fullServers = [paths[0]]
        let lucky = ask()
        #expect(simulated.turn { lucky.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200") } })
        // Nobody takes any: those that came first wait no longer than they may.
        world.fullServers = Set(paths)
        simulated.edge.closeIdleUpstreams()
        let unlucky = ask()
        let begin = world.now
        #expect(simulated.turn { unlucky.allSatisfy { $0.text.hasPrefix("HTTP/1.1 503") } })
        #expect(world.now - begin < 1_200_000_000)
        // They take some again.
        let late = ask()
        simulated.turn(for: 300_000_000)
        #expect(late.allSatisfy { $0.bytes.isEmpty })
        world.fullServers = []
        #expect(simulated.turn { late.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200") } })
        (lucky + unlucky + late).forEach { $0.end() }
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

extension DirectedTests {
    static func post(_ path: String, _ count: Int) -> [UInt8] {
        Array("POST \(path) HTTP/1.1\r\nHost: a.example\r\nContent-Length: \(count)\r\n\r\n".utf8)
            + body(1, count)
    }

    @Test(arguments: ["none", "request"], [1, 3000, 200_000])
    func `a client that sends everything and its end at once gets its answers`(
        buffering: String, count: Int
    ) throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }")
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        world.delayMax = 0
        simulated.traffic.requestBytes[1] = count
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.post("/1/length/5", count) + Self.post("/1/length/7", count))
        client.end()
        #expect(simulated.turn { client.isOver })
        #expect(client.text.components("HTTP/1.1 200").count == 3)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a body that breaks off is no request`() throws {
        let simulated = try Self.edge()
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(Array(Self.post("/1/length/5", 500).dropLast()))
        client.end()
        #expect(simulated.turn { client.isOver })
        #expect(client.bytes == [])
        simulated.run()
        #expect(simulated.traffic.complaints == [] && simulated.traffic.reached.isEmpty)
    }
}

/// Tunnels.
extension DirectedTests {
    /// A tunnel that stands, with both its ends.
    static func tunnel(
        _ simulated: SimulatedEdge
    ) -> (client: ScriptedEnd, endpoint: ScriptedEnd) {
        let world = simulated.traffic.world
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) { end in
                guard end.text.hasSuffix("\r\n\r\n"), !end.text.contains("\r\n\r\nx") else {
                    return
                }
                end.send(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        + "Connection: Upgrade\r\n\r\n")
            }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(
            "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\n") && !client.bytes.isEmpty })
        return (client, endpoint!)
    }

    @Test func `a tunnel goes on when its endpoint takes bytes again, and passes the end on`()
        throws
    {
        let simulated = try Self.edge()
        let (client, endpoint) = Self.tunnel(simulated)
        endpoint.stall()
        let upload = [UInt8](repeating: 120, count: 500_000)
        let before = endpoint.bytes.count
        client.send(upload)
        client.end()
        simulated.turn(for: 3_000_000_000)
        #expect(endpoint.bytes.count < before + 500_000)
        endpoint.resume()
        #expect(simulated.turn { endpoint.hasEnded })
        #expect(endpoint.bytes.count == before + 500_000)
        endpoint.send("bye")
        endpoint.end()
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasSuffix("bye"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [false, true], [false, true])
    func `a tunnel whose endpoint breaks ends, also with a client that takes nothing`(
        isStalled: Bool, sends: Bool
    ) throws {
        let simulated = try Self.edge()
        let (client, endpoint) = Self.tunnel(simulated)
        if isStalled {
            client.stall()
            endpoint.send([UInt8](repeating: 1, count: 300_000))
            simulated.turn(for: 1_000_000_000)
        }
        let begin = simulated.traffic.world.now
        endpoint.reset()
        if sends { client.send([UInt8](repeating: 2, count: 50_000)) }
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < (isStalled ? 31_000_000_000 : 1_000_000_000))
        client.resume()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

/// Connections to endpoints.
extension DirectedTests {
    /// Makes every endpoint answer the first request of a connection, and close on the second.
    static func closeOnSecondRequest(_ simulated: SimulatedEdge, endpoints: Int) {
        let world = simulated.traffic.world
        for number in 1...endpoints {
            world.servers[Array("/worker/\(number)".utf8)] = {
                var requests = 0
                return ScriptedEnd(world) { end in
                    requests += 1
                    if requests == 1 {
                        end.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    } else {
                        end.end()
                    }
                }
            }
        }
    }

    @Test func `stale idle connections lose no request and blame no endpoint`() throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], retry: { attempts: 0 } }", endpoints: 2)
        Self.closeOnSecondRequest(simulated, endpoints: 2)
        simulated.traffic.world.pieceMax = 1 << 20
        for round in 0..<20 {
            let clients = (0..<3).map { _ in ScriptedEnd(simulated.traffic.world) }
            for client in clients {
                client.connect()
                client.send(Self.get())
                client.end()
            }
            #expect(simulated.turn { clients.allSatisfy(\.isOver) })
            #expect(clients.allSatisfy { $0.text.hasSuffix("ok") }, "round \(round)")
        }
        for index in 0..<2 {
            #expect(simulated.table.endpoint(index).failures.loadRelaxed() == 0)
        }
        #expect(simulated.board.total(.retries) == 0)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 2"])
    func `a request is not sent again after the first byte of an answer`(beginning: String) throws {
        let simulated = try Self.edge(endpoints: 2)
        var requests = 0
        let world = simulated.traffic.world
        for number in 1...2 {
            world.servers[Array("/worker/\(number)".utf8)] = {
                ScriptedEnd(world) { end in
                    requests += 1
                    end.send(beginning)
                    end.end()
                }
            }
        }
        world.pieceMax = 1 << 20
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        #expect(simulated.turn { client.text.contains("HTTP/1.1 502") })
        #expect(requests == 1)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that was slow once may wait for the rest of its answer`() throws {
        let simulated = try Self.edge(options: "timeout: { body: 2s }")
        let world = simulated.traffic.world
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) { end in
                end.send("HTTP/1.1 200 OK\r\nContent-Length: 300005\r\n\r\n")
                end.send([UInt8](repeating: 1, count: 300_000))
            }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        client.stall()
        simulated.turn(for: 1_000_000_000)
        client.resume()
        simulated.turn(for: 10_000_000_000)
        endpoint?.send("LAST!")
        #expect(simulated.turn { client.text.hasSuffix("LAST!") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that does not take its answer is left after a time`() throws {
        let simulated = try Self.edge(options: "timeout: { body: 2s }")
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(Self.get("/1/length/300000"))
        client.stall()
        #expect(simulated.turn { simulated.edge.clients.count == 1 })
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < 3_000_000_000)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an edge that ran out of descriptors accepts again, and does not spin`() throws {
        let simulated = try Self.edge()
        let world = simulated.traffic.world
        world.exhaustedAccepts = 1
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        // Nothing is left to be done at once.
        for _ in 0..<2000 { _ = simulated.edge.turn() }
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
