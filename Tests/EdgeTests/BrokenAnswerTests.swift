import Board
import Memory
import Testing

@testable import Edge

/// Answers that cannot be completed, and requests that a drain finds received.
extension DirectedTests {
    /// An endpoint that begins an answer in chunks and never ends it.
    private static func unending(_ simulated: SimulatedEdge, _ chunks: Int) -> () -> Void {
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = {
            ScriptedEnd(world) {
                $0.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in 0..<chunks {
                    $0.send("2710\r\n" + String(repeating: "x", count: 10_000) + "\r\n")
                }
            }
        }
        return { simulated.edge.drain(within: 1_000_000_000, closesIdle: false) }
    }

    @Test func `an answer that ends with its connection breaks when a drain cuts it`() throws {
        let simulated = try Self.edge()
        let drain = Self.unending(simulated, 1)
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send("GET /1/length/5 HTTP/1.0\r\nHost: a.example\r\n\r\n")
        #expect(simulated.turn { client.text.hasSuffix("xxx") })
        drain()
        #expect(simulated.turn { client.isOver })
        #expect(client.hasBroken)
    }

    @Test func `an answer that ends with its connection breaks when its client takes too long`()
        throws
    {
        let simulated = try Self.edge(options: "timeout: { body: 2s }")
        let world = simulated.traffic.world
        _ = Self.unending(simulated, 40)
        let client = ScriptedEnd(world)
        client.connect()
        client.send("GET /1/length/5 HTTP/1.0\r\nHost: a.example\r\n\r\n")
        #expect(simulated.turn { client.text.contains("xxx") })
        client.stall()
        #expect(simulated.turn { simulated.edge.clients.count == 0 })
        client.resume()
        #expect(simulated.turn { client.isOver })
        #expect(client.hasBroken)
    }

    @Test func `an answer whose body is faulty from the first byte on is seen to have begun`()
        throws
    {
        let simulated = try Self.edge()
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        world.servers[Array("/worker/1".utf8)] = {
            ScriptedEnd(world) {
                $0.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n")
            }
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(!client.text.hasSuffix("0\r\n\r\n"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [true, false])
    func `requests that were received one behind the other are all answered by a drain`(
        closesIdle: Bool
    ) throws {
        let simulated = try Self.edge()
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        let client = ScriptedEnd(world)
        client.connect()
        client.send(String(repeating: Self.get(), count: 5))
        #expect(simulated.turn { client.text.contains("HTTP/1.1 200") })
        simulated.edge.drain(within: 60_000_000_000, closesIdle: closesIdle)
        #expect(simulated.turn { client.isOver })
        #expect(client.text.components("HTTP/1.1 200").count == 6)
        #expect(client.text.components("onnection: close").count == 2)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a stop closes a connection whose last request was not whole`() throws {
        let simulated = try Self.edge(options: "timeout: { header: 3s }")
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get() + "GET /1/len")
        #expect(simulated.turn { simulated.edge.exchanges.count == 1 })
        simulated.edge.drain(within: 60_000_000_000, closesIdle: true)
        let begin = world.now
        #expect(simulated.turn { client.isOver })
        #expect(world.now - begin < 4_000_000_000)
        #expect(client.text.components("HTTP/1.1 200").count == 2)
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
