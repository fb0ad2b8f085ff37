import Board
import Linux
import Memory
import Signals
import Testing

@testable import Edge

/// Bodies in the smallest pieces there are.
extension DirectedTests {
    static func smallChunks(_ head: String, _ count: Int) -> [UInt8] {
        var bytes = Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8)
        for byte in body(1, count) { bytes += Array("1\r\n".utf8) + [byte, 13, 10] }
        return bytes + Array("0\r\n\r\n".utf8)
    }

    @Test(arguments: ["none", "request"])
    func `a body in chunks of one byte leaves the others their turn`(buffering: String) throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            limits: ", body_memory: 4KiB")
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        simulated.traffic.requestBytes[1] = 100_000
        let client = ScriptedEnd(world)
        client.connect()
        client.send(
            Self.smallChunks("POST /1/length/5 HTTP/1.1\r\nHost: a.example\r\n", 100_000))
        var seen: UInt64 = 0
        var most: UInt64 = 0
        let isAnswered = simulated.turn {
            let count =
                simulated.edge.exchanges.count > 0
                ? simulated.edge.exchanges[0].result.requestBytes : 0
            most = max(most, count - min(seen, count))
            seen = count
            return client.text.hasPrefix("HTTP/1.1 200")
        }
        #expect(isAnswered && most <= 2 * UInt64(EdgeLimits.piecesPerTurn))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: ["none", "request"])
    func `an answer in chunks of one byte leaves the others their turn`(buffering: String) throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }")
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        world.servers[Array("/worker/1".utf8)] = {
            ScriptedEnd(world) { $0.send(Self.smallChunks("HTTP/1.1 200 OK\r\n", 60_000)) }
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        var seen: UInt64 = 0
        var most: UInt64 = 0
        let isOver = simulated.turn {
            let count =
                simulated.edge.exchanges.count > 0
                ? simulated.edge.exchanges[0].result.responseBytes : 0
            most = max(most, count - min(seen, count))
            seen = count
            return seen == 0 && most > 0
        }
        #expect(isOver && most <= 2 * UInt64(EdgeLimits.piecesPerTurn))
        #expect(simulated.turn { client.bytes.suffix(5) == Array("0\r\n\r\n".utf8)[...] })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `small chunks that overflow to a file are written there by the block`() throws {
        let simulated = try Self.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: request }",
            options: "timeout: { body: 1h }", limits: ", response_memory: 4KiB")
        let world = simulated.traffic.world
        world.pieceMax = 1 << 20
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) {
                $0.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Self.get())
        client.stall()
        #expect(simulated.turn { endpoint != nil && !endpoint!.bytes.isEmpty })
        let chunk = "3e8\r\n" + String(repeating: "x", count: 1000) + "\r\n"
        var written: UInt64 = 0
        var growths: [UInt64] = []
        for _ in 0..<300 {
            endpoint!.send(chunk)
            simulated.turn(for: 10_000_000)
            let spools = simulated.edge.spools
            let now = spools.count > 0 ? spools[0].written : 0
            if now > written { growths.append(now - written) }
            written = now
        }
        #expect(growths.count >= 3 && growths.allSatisfy { $0 >= BlockSize.large.bytes })
        // Whoever takes it all has it all, also what has only gathered; and then each as it comes.
        client.resume()
        let wire = 300 * chunk.utf8.count
        #expect(
            simulated.turn { client.bytes.count > wire && client.bytes.suffix(3) == [120, 13, 10] })
        let count = client.bytes.count
        endpoint!.send(chunk)
        #expect(simulated.turn { client.bytes.count == count + chunk.utf8.count })
        endpoint!.send("0\r\n\r\n")
        #expect(simulated.turn { client.bytes.suffix(5) == Array("0\r\n\r\n".utf8)[...] })
        var reader = MessageReader()
        reader.bytes = client.bytes
        guard case .message(let message) = reader.next() else { throw TestFailure(text: "bad") }
        #expect(message.body == [UInt8](repeating: 120, count: 301_000))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
