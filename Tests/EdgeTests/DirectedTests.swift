import Board
import Testing

@testable import Edge

/// Faults that were met once, each in the order of events that showed it.
@Suite struct DirectedTests {
    static let upstream = "{ upstreams: [\"unix:/worker/1\"], queue: { wait: 1s } }"

    static func edge(
        _ service: String = upstream, endpoints: Int = 1, capacity: Int = 32,
        kind: EndpointKind = .upstream, options: String = ""
    ) throws -> SimulatedEdge {
        let simulated = try SimulatedEdge(
            seed: 1, service: service, endpoints: endpoints, capacity: capacity, kind: kind,
            options: options)
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
