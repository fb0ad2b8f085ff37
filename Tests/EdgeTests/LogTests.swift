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
}
