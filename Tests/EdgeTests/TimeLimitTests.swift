import Board
import Memory
import Testing

@testable import Edge

/// What each time limit counts, and what happens when it is over.
@Suite struct TimeLimitTests {
    static let service =
        "{ upstreams: [\"unix:/worker/1\"], timeout: { request: 2s }, queue: { wait: 10s } }"

    @Test func `a client that takes its answer slowly does not use up the request's time`() throws {
        let simulated = try DirectedTests.edge(Self.service)
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.stall()
        client.send(DirectedTests.get("/1/length/500000"))
        simulated.turn(for: 10_000_000_000)
        client.resume()
        #expect(simulated.turn { client.bytes.count > 500_000 })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that sends its body slowly does not use up the request's time`() throws {
        let simulated = try DirectedTests.edge(
            Self.service, options: "timeout: { body_rate: 0B/s }")
        simulated.traffic.requestBytes[1] = 1000
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        let bytes = DirectedTests.post("/1/length/5", 1000)
        client.send(Array(bytes.dropLast(500)))
        simulated.turn(for: 10_000_000_000)
        client.send(Array(bytes.suffix(500)))
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an endpoint that is stuck uses it up, also after its client was slow`() throws {
        let simulated = try DirectedTests.edge(Self.service)
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = {
            ScriptedEnd(world) { end in
                end.send("HTTP/1.1 200 OK\r\nContent-Length: 300005\r\n\r\n")
                end.send([UInt8](repeating: 1, count: 300_000))
            }
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.stall()
        client.send(DirectedTests.get())
        simulated.turn(for: 10_000_000_000)
        client.resume()
        let begin = world.now
        #expect(simulated.turn { client.isOver })
        #expect(client.bytes.count > 300_000)
        #expect((1_000_000_000..<2_500_000_000).contains(world.now - begin))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a worker that is to be killed is given nothing more, and is asked for once`() throws
    {
        let simulated = try DirectedTests.edge(
            "{ demo: true, workers: 1, timeout: { request: 1s } }", capacity: 1, kind: .ours)
        let world = simulated.traffic.world
        var connections = 0
        world.servers[Array("/worker/1".utf8)] = {
            connections += 1
            return ScriptedEnd(world)
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(DirectedTests.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 504") })
        let next = ScriptedEnd(world)
        next.connect()
        next.send(DirectedTests.get())
        simulated.turn(for: 1_000_000_000)
        #expect(connections == 1 && next.bytes.isEmpty)
        #expect(simulated.table.endpoint(0).status.state == .down)
        #expect(simulated.board.total(.timeouts) == 1)
        client.end()
        next.reset()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an endpoint of another configuration is not used`() throws {
        let simulated = try DirectedTests.edge(kind: [.upstream, .tls])
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(DirectedTests.get())
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 503") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `no time runs for the body of a request that waits for a place again`() throws {
        let simulated = try DirectedTests.edge(
            Self.service, endpoints: 2, capacity: 1, options: "timeout: { body: 1s }")
        let world = simulated.traffic.world
        var ends: [ScriptedEnd] = []
        var isGone = false
        for number in 1...2 {
            world.servers[Array("/worker/\(number)".utf8)] = {
                let end = ScriptedEnd(world) { end in
                    if end.text.hasPrefix("PUT"), !isGone {
                        // Gone, before the client has sent any of the body.
                        isGone = true
                        _ = simulated.table.setState(
                            .down, of: simulated.table.endpoint(number - 1).reference)
                        end.end()
                    } else if end.text.hasSuffix("body") {
                        end.send("HTTP/1.1 204 No Content\r\n\r\n")
                    }
                }
                ends.append(end)
                return end
            }
        }
        // One of them is at work.
        let first = ScriptedEnd(world)
        first.connect()
        first.send(DirectedTests.get())
        #expect(simulated.turn { ends.contains { !$0.bytes.isEmpty } })
        let second = ScriptedEnd(world)
        second.connect()
        second.send("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n")
        simulated.turn(for: 1_900_000_000)
        #expect(second.bytes.isEmpty)
        first.reset()
        simulated.turn(for: 500_000_000)
        second.send("body")
        #expect(simulated.turn { second.text.hasPrefix("HTTP/1.1 204") })
        second.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

extension TimeLimitTests {
    @Test func `a reused connection that takes no more of a body uses the request's time up`()
        throws
    {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: request, timeout: { request: 2s } }")
        let world = simulated.traffic.world
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, DirectedTests.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(simulated.turn { client.text.hasSuffix("ok") })
        let first = endpoint()!
        first.stall()
        client.send(DirectedTests.post("/1/length/5", 500_000))
        let begin = world.now
        #expect(simulated.turn { client.text.contains("HTTP/1.1 504") })
        #expect(first === endpoint()! && world.now - begin < 3_000_000_000)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that waits to be told to go on is not slow`() throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { request: 40s } }",
            options: "timeout: { body: 2s }")
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let text =
            "PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        let client = ScarcityTests.ask(simulated, text)
        simulated.turn(for: 20_000_000_000)
        #expect(client.bytes.isEmpty)
        endpoint()!.send("HTTP/1.1 100 Continue\r\n\r\n")
        #expect(simulated.turn { client.text == "HTTP/1.1 100 Continue\r\n\r\n" })
        // Now it is.
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { client.text.contains("HTTP/1.1 408") })
        #expect(simulated.traffic.world.now - begin < 3_000_000_000)
        // And an endpoint that says nothing at all has the request's time.
        let other = ScarcityTests.ask(simulated, text)
        #expect(simulated.turn { other.text.contains("HTTP/1.1 504") })
        other.end()
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
