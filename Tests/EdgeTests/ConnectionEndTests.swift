import Board
import Memory
import Testing

@testable import Edge

/// How connections end.
extension DirectedTests {
    @Test func `a client that does not take its refusal is refused once, and left`() throws {
        let simulated = try Self.edge(options: "timeout: { body: 2s }")
        let world = simulated.traffic.world
        let client = ScriptedEnd(world)
        client.connect()
        world.streams[client.stream]!.outgoing.capacity = 20
        client.stall()
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(simulated.turn { simulated.edge.clients.count == 1 })
        let begin = world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(world.now - begin < 5_000_000_000)
        #expect(simulated.board.total(.headsRejected) == 1)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a connection that cannot be watched is counted in and out`() throws {
        let simulated = try Self.edge()
        simulated.traffic.world.unwatchable = 1
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        #expect(simulated.turn { client.isOver })
        #expect(simulated.board.total(.connections) == 0)
        #expect(simulated.board.total(.connectionsAccepted) == 1)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `what the kernel has when the idle time is over is still answered`() throws {
        let simulated = try Self.edge(options: "timeout: { idle: 2s }")
        let world = simulated.traffic.world
        let client = ScriptedEnd(world)
        client.connect()
        #expect(simulated.turn { simulated.edge.clients.count == 1 })
        // It is there, and its event comes after the deadline.
        world.streams[client.stream]!.incoming.bytes = Array(Self.get().utf8)
        #expect(simulated.turn { client.isOver || client.text.hasPrefix("HTTP/1.1 200") })
        #expect(!client.isOver)
        // Then nothing more comes.
        #expect(simulated.turn { client.isOver })
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an answer waits for a block for its last chunk`() throws {
        let simulated = try Self.edge()
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) {
                $0.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        #expect(simulated.turn { client.text.hasSuffix("2\r\nok\r\n") })
        let pool = simulated.edge.pool
        var taken: [BlockID] = []
        while true {
            let block = pool.take(.large)
            if block.isNone { break }
            taken.append(block)
        }
        // One is left, for what is received.
        pool.give(taken.removeLast())
        endpoint?.send("0\r\n\r\n")
        simulated.turn(for: 1_000_000_000)
        for block in taken { pool.give(block) }
        #expect(simulated.turn { client.text.hasSuffix("0\r\n\r\n") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [false, true])
    func `a half-closed client gets its late answer, and one that is gone holds nothing up`(
        isGone: Bool
    ) throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], timeout: { first_byte: 4m } }")
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, Self.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        if isGone { client.vanish() } else { client.end() }
        simulated.turn(for: 100_000_000_000)
        #expect(simulated.edge.clients.count == (isGone ? 0 : 1))
        if !isGone {
            endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(simulated.turn { client.isOver })
            #expect(client.text.hasSuffix("\r\n\r\nok"))
        }
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a tunnel whose client has half-closed and is gone does not wait for its time`()
        throws
    {
        let simulated = try Self.edge()
        let (client, endpoint) = Self.tunnel(simulated)
        client.vanish()
        #expect(simulated.turn { endpoint.hasEnded })
        simulated.turn(for: 100_000_000_000)
        #expect(simulated.edge.clients.count == 0)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a stop waits for the answer that is under way, and for no other request`() throws {
        let simulated = try Self.edge()
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, Self.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nha") })
        // The head has said that the connection is kept; the next request is here in time.
        client.send(Self.get())
        simulated.turn(for: 100_000_000)
        simulated.edge.drain(within: 30_000_000_000, closesIdle: true)
        endpoint()!.send("lf")
        #expect(simulated.turn { client.text.contains("half") })
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { endpoint()!.text.components("\r\n\r\n").count == 2 })
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < 1_000_000_000)
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasSuffix("Connection: close\r\n\r\nnext"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a stop closes a connection that was kept when its answer is over`() throws {
        let simulated = try Self.edge()
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, Self.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        endpoint()!.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        #expect(simulated.turn { client.text.hasSuffix("\r\n\r\nha") })
        simulated.edge.drain(within: 30_000_000_000, closesIdle: true)
        simulated.turn(for: 1_000_000_000)
        #expect(!client.isOver)
        endpoint()!.send("lf")
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        #expect(simulated.traffic.world.now - begin < 1_000_000_000)
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasSuffix("\r\n\r\nhalf"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a worker whose client goes over an interim answer is read to its end`() throws {
        let simulated = try Self.edge("{ demo: true, workers: 1 }", capacity: 1, kind: .ours)
        let world = simulated.traffic.world
        world.delayMax = 0
        let endpoint = ScarcityTests.scriptEndpoint(simulated)
        let client = ScarcityTests.ask(simulated, Self.get())
        #expect(simulated.turn { endpoint()?.bytes.isEmpty == false })
        endpoint()!.send(
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        // Its event comes behind the answer's.
        world.streams[client.stream]!.outgoing.isBroken = true
        simulated.turn(for: 1_000_000_000)
        #expect(simulated.edge.clients.count == 0 && simulated.edge.upstreams.count == 0)
        #expect(simulated.table.inFlight(0, capacity: 1) == 0)
        #expect(simulated.table.endpoint(0).status.state == .ready)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
