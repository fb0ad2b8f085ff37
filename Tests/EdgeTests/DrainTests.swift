import Board
import Linux
import Memory
import Testing

@testable import Edge

/// What becomes of requests whose time is over because the edge ends.
@Suite struct DrainTests {
    @Test(arguments: [EndpointKind.upstream, .ours])
    func `a received request without an answer is told so`(kind: EndpointKind) throws {
        let simulated = try DirectedTests.edge(
            kind == .ours ? "{ demo: true, workers: 1 }" : DirectedTests.upstream, capacity: 1,
            kind: kind, logs: true)
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = { ScriptedEnd(world) }
        let clients = (0..<3).map { _ in ScriptedEnd(world) }
        for client in clients.dropLast() {
            client.connect()
            client.send(DirectedTests.get())
            simulated.turn(for: 50_000_000)
        }
        clients[2].connect()
        clients[2].send(Array(DirectedTests.post("/1/length/5", 500).dropLast()))
        simulated.turn(for: 50_000_000)
        #expect(clients.allSatisfy { $0.bytes.isEmpty })
        simulated.edge.drain(within: 0, closesIdle: true)
        let goesOn = simulated.edge.turn()
        #expect(!goesOn)
        // It would end here; what it has sent still arrives.
        simulated.edge.drainDeadline = TimerWheel.never
        simulated.turn(for: 50_000_000)
        #expect(clients[0].text.hasPrefix("HTTP/1.1 504 ") && clients[0].hasEnded)
        #expect(clients[0].text.contains("error=http_response_timeout\r\n"))
        #expect(clients[1].text.hasPrefix("HTTP/1.1 503 ") && clients[1].hasEnded)
        #expect(clients[1].text.contains("error=connection_limit_reached\r\n"))
        for client in clients.dropLast() {
            #expect(client.text.contains("\r\nConnection: close\r\n"))
        }
        // What was not received in full is no request that could be answered.
        #expect(clients[2].bytes.isEmpty && clients[2].isOver)
        let statuses = simulated.accessLines.compactMap { $0["status"]?.whole }
        #expect(statuses.sorted() == [0, 503, 504])
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
