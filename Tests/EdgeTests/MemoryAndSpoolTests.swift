import Board
import CLinux
import Linux
import Memory
import Testing

@testable import Edge

/// What waits in the edge, in memory and in files, and what happens when there is no room.
@Suite struct MemoryAndSpoolTests {
    @Test func `small pieces that wait take little more memory than their bytes`() throws {
        let simulated = try DirectedTests.edge()
        let (client, endpoint) = DirectedTests.tunnel(simulated)
        simulated.traffic.world.pieceMax = 20
        client.stall()
        endpoint.stall()
        client.send([UInt8](repeating: 1, count: 60_000))
        endpoint.send([UInt8](repeating: 2, count: 60_000))
        var most = 0
        var isOver = false
        simulated.traffic.world.at(5_000_000_000) { isOver = true }
        _ = simulated.turn {
            most = max(most, simulated.edge.pool.taken)
            return isOver
        }
        #expect(most <= 10)
        client.reset()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test
    func `small pieces of a body for a slow endpoint take little more memory than their bytes`()
        throws
    {
        let simulated = try DirectedTests.edge()
        let world = simulated.traffic.world
        world.pieceMax = 20
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) { $0.stall() }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(DirectedTests.post("/1/length/5", 60_000))
        var most = 0
        var isOver = false
        world.at(5_000_000_000) { isOver = true }
        _ = simulated.turn {
            most = max(most, simulated.edge.pool.taken)
            return isOver
        }
        #expect(most <= 10)
        client.reset()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    static let buffering = "{ upstreams: [\"unix:/worker/1\"], buffer: request }"

    /// An edge with a client that takes nothing of its big answer, until the answer's file is full
    /// or the answer in it.
    static func stall(
        _ simulated: SimulatedEdge, path: String
    ) -> ScriptedEnd {
        let client = ScriptedEnd(simulated.traffic.world)
        simulated.traffic.world.capacityMax = 1000
        simulated.traffic.world.pieceMax = 1 << 20
        client.connect()
        client.stall()
        client.send(DirectedTests.get(path))
        simulated.turn(for: 3_000_000_000)
        return client
    }

    @Test(arguments: ["length", "chunked"])
    func `an answer's file does not grow beyond its limit, and the answer goes on with room`(
        kind: String
    ) throws {
        let simulated = try DirectedTests.edge(
            Self.buffering, limits: ", response_memory: 64KiB, response_file: 200KiB")
        let client = Self.stall(simulated, path: "/1/\(kind)/3000000")
        let written = simulated.edge.spools[0].written
        #expect(written >= 200 << 10 && written <= (200 + 65) << 10)
        client.resume()
        var most: UInt64 = 0
        let isWhole = simulated.turn {
            if simulated.edge.spools.count > 0 {
                most = max(most, simulated.edge.spools[0].written)
            }
            return client.bytes.count >= 3_000_000 && simulated.edge.exchanges.count == 0
        }
        #expect(isWhole && most <= (200 + 65) << 10)
        simulated.turn(for: 1_000_000_000)
        var reader = MessageReader()
        reader.bytes = client.bytes
        guard case .message(let message) = reader.next() else { throw TestFailure(text: "cut") }
        #expect(message.body == body(1, 3_000_000))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an answer whose file cannot be read back is cut, and the edge goes on`() throws {
        var folder = Array("/tmp/proxy-spool-XXXXXX".utf8CString)
        #expect(unsafe mkdtemp(&folder) != nil)
        let path = folder.dropLast().map { UInt8(bitPattern: $0) }
        defer { unsafe rmdir(folder) }
        let simulated = try DirectedTests.edge(
            Self.buffering, limits: ", response_memory: 64KiB",
            spool: String(decoding: path, as: UTF8.self))
        let client = Self.stall(simulated, path: "/1/length/300000")
        #expect(simulated.edge.spools.count == 1)
        // The disk loses what is in the file.
        for descriptor in 3..<Int32(1024) {
            var link = [CChar](repeating: 0, count: 256)
            let count = unsafe readlink("/proc/self/fd/\(descriptor)", &link, 255)
            guard count > path.count else { continue }
            if link[..<path.count].map({ UInt8(bitPattern: $0) }) == path {
                #expect(ftruncate(descriptor, 0) == 0)
            }
        }
        client.resume()
        #expect(simulated.turn { client.isOver })
        let next = ScriptedEnd(simulated.traffic.world)
        next.connect()
        next.send(DirectedTests.get())
        #expect(simulated.turn { next.text.hasPrefix("HTTP/1.1 200") })
        next.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `an answer stays whole when blocks run out for a while, and the edge does not spin`()
        throws
    {
        let simulated = try DirectedTests.edge()
        let world = simulated.traffic.world
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) {
                $0.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            }
            return endpoint
        }
        world.pieceMax = 1 << 20
        let client = ScriptedEnd(world)
        client.connect()
        client.send(DirectedTests.get())
        #expect(simulated.turn { client.text.hasSuffix("\r\n1\r\nx\r\n") })
        // One block of each size is left.
        let pool = simulated.edge.pool
        var hoard: [BlockID] = []
        for size in [BlockSize.small, .large] {
            while true {
                let block = pool.take(size)
                guard !block.isNone else { break }
                hoard.append(block)
            }
            pool.give(hoard.removeLast())
        }
        endpoint!.send("1388\r\n" + String(repeating: "y", count: 5000) + "\r\n0\r\n\r\n")
        simulated.turn(for: 1_000_000_000)
        hoard.forEach { pool.give($0) }
        #expect(simulated.turn { client.text.hasSuffix("0\r\n\r\n") })
        var reader = MessageReader()
        reader.bytes = client.bytes
        guard case .message(let message) = reader.next() else { throw TestFailure(text: "bad") }
        #expect(message.body.count == 5001)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

extension MemoryAndSpoolTests {
    @Test func `a head of nearly limits.header fits, whatever is long in it`() throws {
        let simulated = try DirectedTests.edge()
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        let head = "GET /1/length/5 HTTP/1.1\r\nHost: a.example\r\nReferer: "
        let long = String(repeating: "r", count: (32 << 10) - head.utf8.count - 4)
        client.send(head + long + "\r\n\r\n")
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 200"))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}

extension MemoryAndSpoolTests {
    @Test(arguments: ["none", "request"])
    func `a tunnel whose client takes nothing slows its endpoint`(buffering: String) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }")
        simulated.traffic.world.pieceMax = 1 << 20
        let (client, endpoint) = DirectedTests.tunnel(simulated)
        client.stall()
        endpoint.send([UInt8](repeating: 2, count: 2_000_000))
        simulated.turn(for: 3_000_000_000)
        let waiting = simulated.edge.clients[0].outbound.count
        #expect(waiting <= EdgeLimits.unsentBytesMax + BlockSize.large.bytes)
        client.resume()
        #expect(simulated.turn { client.bytes.count > 2_000_000 })
        client.reset()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
