import Board
import Memory
import Testing

@testable import Edge

/// Endpoints that say what they should not, when they should not.
@Suite struct HostileEndpointTests {
    /// An edge whose endpoint answers each request with `answer`.
    private func edge(
        _ service: String = DirectedTests.upstream, kind: EndpointKind = .upstream,
        routes: String = "", answer: @escaping (ScriptedEnd) -> String
    ) throws -> (SimulatedEdge, () -> ScriptedEnd?) {
        let simulated = try DirectedTests.edge(service, kind: kind, options: routes)
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        world.capacityMax = 1 << 20
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) { end in
                guard end.text.hasSuffix("\r\n\r\n") else { return }
                end.send(answer(end))
            }
            return endpoint
        }
        return (simulated, { endpoint })
    }

    private func ask(_ simulated: SimulatedEdge, _ text: String) -> ScriptedEnd {
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(text)
        return client
    }

    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    private static let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"

    /// The event of the request comes first where the endpoint's is reported; else its bytes came
    /// after the wait.
    @Test(arguments: [
        ("GET", true), ("HEAD", true), ("PUT", true), ("DELETE", true), ("PUT", false),
        ("DELETE", false), ("POST", false),
    ])
    func `what stands on an idle connection is nobody's answer`(
        method: String, isReported: Bool
    ) throws {
        let (simulated, endpoint) = try edge { _ in
            method == "HEAD" ? "HTTP/1.1 204 No Content\r\n\r\n" : Self.ok
        }
        let world = simulated.traffic.world
        let first = ask(simulated, DirectedTests.get())
        #expect(simulated.turn { first.bytes.count > 50 })
        simulated.turn(for: 100_000_000)
        let idle = try #require(endpoint())
        let victim = ScriptedEnd(world)
        victim.connect()
        simulated.turn(for: 100_000_000)
        world.deliver(
            "\(method) /victim HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            on: victim.stream)
        world.deliver(Self.evil, on: idle.stream, isReported: isReported)
        #expect(simulated.turn { victim.text.hasPrefix("HTTP/1.1 20") })
        simulated.turn(for: 100_000_000)
        #expect(victim.text.hasPrefix(method == "HEAD" ? "HTTP/1.1 204" : "HTTP/1.1 200"))
        #expect(!victim.text.contains("EVIL") && !victim.text.contains("Content-Length: 4"))
        #expect(!idle.text.contains("victim") && endpoint()?.text.contains("victim") == true)
        first.end()
        victim.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [
        ("Upgrade: h2c\r\n", 502), ("Upgrade: websocket, h2c\r\n", 502), ("", 502),
        ("Upgrade: websocket\r\nUpgrade: h2c\r\n", 502), ("Upgrade: WebSocket\r\n", 101),
    ])
    func `an endpoint changes to the protocol that was asked for, or to none`(
        field: String, status: Int
    ) throws {
        let (simulated, endpoint) = try edge { end in
            "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\(field)\r\n"
        }
        let client = ask(
            simulated,
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        #expect(simulated.turn { client.text.contains("\r\n\r\n") })
        #expect(client.text.hasPrefix("HTTP/1.1 \(status) "))
        #expect(client.text.contains("http_protocol_error") == (status == 502))
        client.end()
        endpoint()?.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    private static let routes = """
        routes: [{ to: web, set_headers: { request: { X-Role: guest }, response: { X-Set: 1 } },
          remove_headers: { request: [X-Admin], response: [X-Secret] } }]
        """

    @Test(arguments: [
        ("{ upstreams: [\"unix:/worker/1\"] }", EndpointKind.upstream, "X_Admin"),
        ("{ app: \"a:b\", buffer: none }", .ours, ""),
    ])
    func `what a route sets or removes passes in no trailer and in no interim answer`(
        service: String, kind: EndpointKind, underscored: String
    ) throws {
        let (simulated, endpoint) = try edge(service, kind: kind, routes: Self.routes) { _ in
            "HTTP/1.1 103 E\r\nX-Secret: 1\r\nX-Set: 2\r\nLink: l\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Secret: 3\r\n\r\n"
                + "2\r\nok\r\n0\r\nX-Secret: 4\r\nx-set: 5\r\nX-Sum: s\r\n\r\n"
        }
        let client = ask(
            simulated,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                + "X-Admin: 1\r\nX-Role: admin\r\nX_Admin: 2\r\nProxy: p\r\nTE: t\r\n"
                + "X-Sum: r\r\n\r\n")
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\n") && client.text.contains("ok") })
        let sent = try #require(endpoint()?.text)
        let kept = underscored.isEmpty ? "" : "\(underscored): 2\r\n"
        #expect(sent.hasSuffix("1\r\nx\r\n0\r\n\(kept)X-Sum: r\r\n\r\n"))
        #expect(sent.components("X-Role").count == 2 && sent.contains("X-Role: guest\r\n"))
        #expect(client.text.hasPrefix("HTTP/1.1 103 E\r\nLink: l\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(client.text.hasSuffix("2\r\nok\r\n0\r\nX-Sum: s\r\n\r\n"))
        #expect(!client.text.contains("Secret") && client.text.components("X-Set: 1").count == 2)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [true, false])
    func `fields that Connection names end here in the trailers too`(isNamed: Bool) throws {
        let option = isNamed ? "Connection: X-Hop\r\n" : "Connection: keep-alive\r\n"
        let (simulated, endpoint) = try edge { _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\(option)\r\n"
                + "2\r\nok\r\n0\r\nX-Hop: 1\r\n\r\n"
        }
        let client = ask(
            simulated,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Hop\r\n"
                + "\(option)\r\n1\r\nx\r\n0\r\nX-Hop: 2\r\n\r\n")
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\n") && client.text.contains("ok") })
        #expect(endpoint()?.text.contains("X-Hop") == !isNamed)
        #expect(client.text.contains("X-Hop") == !isNamed)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [
        (65_536, 200), (65_500, 200), (65_300, 200), (65_537, 502), (70_000, 502),
    ])
    func `an answer's head may be as long as the limit says`(bytes: Int, status: Int) throws {
        let lead = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
        let value = String(repeating: "y", count: bytes - lead.utf8.count - 4)
        let (simulated, _) = try edge { _ in lead + value + "\r\n\r\nok" }
        let client = ask(simulated, DirectedTests.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 \(status)") })
        if status == 200 {
            #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nok") })
            #expect(client.text.contains("\r\nX: \(value)\r\n"))
        } else {
            #expect(
                simulated.turn { client.text.contains("http_response_header_section_size") })
        }
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
