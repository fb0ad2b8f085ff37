import Board
import Testing

@testable import Edge

/// `timeout.request`: what the client takes of it does not count.
extension DirectedTests {
    static let kinds: [(String, EndpointKind)] = [
        ("{ upstreams: [\"unix:/worker/1\"], timeout: { request: 2s } }", .upstream),
        ("{ demo: true, workers: 1, timeout: { request: 2s } }", .ours),
    ]

    @Test(arguments: kinds)
    func `a slow download is not the endpoint's time`(service: String, kind: EndpointKind) throws {
        let simulated = try Self.edge(service, capacity: 1, kind: kind)
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send(Self.get("/1/length/300000"))
        for _ in 0..<4 {
            client.stall()
            simulated.turn(for: 5_000_000_000)
            client.resume()
            simulated.turn(for: 10_000_000)
        }
        #expect(simulated.turn { client.bytes.count > 300_000 })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
        #expect(simulated.board.total(.timeouts) == 0)
    }

    @Test(arguments: kinds)
    func `a slow upload is not the endpoint's time`(service: String, kind: EndpointKind) throws {
        let simulated = try Self.edge(
            service, capacity: 1, kind: kind, options: "timeout: { body_rate: 0B/s }")
        simulated.traffic.requestBytes[1] = 10
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        let request = Self.post("/1/length/5", 10)
        client.send(Array(request.dropLast(10)))
        for byte in request.suffix(10) {
            simulated.turn(for: 1_000_000_000)
            client.send([byte])
        }
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 200") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
        #expect(simulated.board.total(.timeouts) == 0)
    }

    @Test(arguments: ["upload", "download"])
    func `what the endpoint takes counts, also after a slow client`(direction: String) throws {
        let simulated = try Self.edge(Self.kinds[0].0)
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = {
            ScriptedEnd(world) { end in
                guard direction == "download" else { return }
                end.send("HTTP/1.1 200 OK\r\nContent-Length: 300005\r\n\r\n")
                end.send([UInt8](repeating: 1, count: 300_000))
            }
        }
        let client = ScriptedEnd(world)
        client.connect()
        if direction == "upload" {
            let request = Self.post("/1/length/5", 10)
            client.send(Array(request.dropLast()))
            simulated.turn(for: 4_000_000_000)
            client.send(Array(request.suffix(1)))
        } else {
            client.send(Self.get())
            client.stall()
            simulated.turn(for: 4_000_000_000)
            client.resume()
        }
        let count = client.bytes.count
        let begin = world.now
        if direction == "upload" {
            #expect(count == 0 && simulated.turn { client.text.hasPrefix("HTTP/1.1 504") })
        } else {
            #expect(simulated.turn { client.isOver } && client.bytes.count > count)
        }
        #expect(1_500_000_000..<2_500_000_000 ~= world.now - begin)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
