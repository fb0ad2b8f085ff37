import Board
import Memory
import Testing

@testable import Edge

/// When a client is given up that sends its request's body slowly, or not at all.
@Suite struct BodyClockTests {
    static let second: UInt64 = 1_000_000_000

    /// What a client sends of its body, and when.
    struct Sending: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Seconds since its head, and bytes.
        var pieces: [(at: Int, count: Int)]
        /// Bytes that are announced; as many as there are unless said.
        var announced: Int?
        var rate = "500B/s"
        /// The second in which it is refused.
        var refused: Int?

        static func drip(_ count: Int, every seconds: Int, _ times: Int) -> [(Int, Int)] {
            (1...times).map { ($0 * seconds, count) }
        }
    }

    static let sendings = [
        Sending(testDescription: "begins after 6 s", pieces: [(6, 1000)]),
        Sending(testDescription: "begins after 29 s", pieces: [(29, 1)]),
        Sending(testDescription: "2000 B, a hole of 12 s", pieces: [(0, 2000), (12, 1000)]),
        Sending(testDescription: "a byte, a hole of 29 s", pieces: [(0, 1), (29, 1000)]),
        Sending(testDescription: "slow within timeout.body", pieces: Sending.drip(1, every: 2, 14)),
        Sending(
            testDescription: "at its rate, in the longest gaps",
            pieces: Sending.drip(14_500, every: 29, 5)),
        Sending(
            testDescription: "at its rate, second by second",
            pieces: Sending.drip(500, every: 1, 120)),
        Sending(
            testDescription: "without a rate, a byte in 29 s",
            pieces: Sending.drip(1, every: 29, 10), rate: "0B/s"),
        Sending(testDescription: "silent", pieces: [], announced: 10, refused: 30),
        Sending(
            testDescription: "silent after much", pieces: [(1, 100_000)], announced: 100_001,
            refused: 31),
        Sending(
            testDescription: "silent after a byte, without a rate", pieces: [(20, 1)],
            announced: 2, rate: "0B/s", refused: 50),
        Sending(
            testDescription: "a byte in 10 s", pieces: Sending.drip(1, every: 10, 10),
            refused: 30),
        // A second of it earns 0.8 s: the 30 s are used up with the 146th piece.
        Sending(
            testDescription: "400 B/s", pieces: Sending.drip(400, every: 1, 400), refused: 146),
    ]

    @Test(arguments: sendings, ["none", "request"])
    func `a body has timeout.body for each gap, and timeout.body_rate beyond it`(
        sending: Sending, buffering: String
    ) throws {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }",
            options: "timeout: { body_rate: \(sending.rate) }")
        let world = simulated.traffic.world
        let total = sending.announced ?? sending.pieces.reduce(0) { $0 + $1.count }
        simulated.traffic.requestBytes[1] = total
        let client = ScriptedEnd(world)
        client.connect()
        let bytes = DirectedTests.post("/1/length/5", total)
        var next = bytes.count - total
        client.send(Array(bytes[..<next]))
        let begin = world.now
        for piece in sending.pieces {
            let part = Array(bytes[next..<next + piece.count])
            next += piece.count
            world.at(UInt64(piece.at) * Self.second) { client.send(part) }
        }
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix(sending.refused == nil ? "HTTP/1.1 200" : "HTTP/1.1 408"))
        if let refused = sending.refused {
            let seconds = Double(world.now - begin) / Double(Self.second)
            #expect((Double(refused)..<Double(refused) + 1.1).contains(seconds), "\(seconds) s")
        }
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    /// An edge whose endpoint says 100 after so many seconds to a request that asks for it, and
    /// answers when the body has come.
    private static func expecting(
        after seconds: UInt64, buffering: String = "none"
    ) throws -> (simulated: SimulatedEdge, client: ScriptedEnd) {
        let simulated = try DirectedTests.edge(
            "{ upstreams: [\"unix:/worker/1\"], buffer: \(buffering) }")
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = {
            var isAsked = false
            return ScriptedEnd(world) { end in
                if !isAsked, end.text.contains("100-continue") {
                    isAsked = true
                    world.at(seconds * second) { end.send("HTTP/1.1 100 Continue\r\n\r\n") }
                }
                if end.text.hasSuffix("body") { end.send("HTTP/1.1 204 No Content\r\n\r\n") }
            }
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(
            "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n"
                + "Expect: 100-continue\r\n\r\n")
        return (simulated, client)
    }

    @Test(arguments: [true, false])
    func `no time runs while a client waits to be told to go on, and all of it after`(
        sends: Bool
    ) throws {
        let (simulated, client) = try Self.expecting(after: 100)
        let world = simulated.traffic.world
        let begin = world.now
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 100") })
        #expect(world.now - begin >= 100 * Self.second)
        if sends {
            simulated.turn(for: 29 * Self.second)
            client.send("body")
        }
        let answer = sends ? "HTTP/1.1 204" : "HTTP/1.1 408"
        #expect(simulated.turn { client.text.contains(answer) || client.isOver })
        #expect(client.text.contains(answer))
        #expect(world.now - begin < 131 * Self.second)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a client that goes on without being told has its time from there`() throws {
        let (simulated, client) = try Self.expecting(after: 1000)
        simulated.turn(for: 50 * Self.second)
        client.send("b")
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 408") })
        #expect(simulated.traffic.world.now - begin >= 29 * Self.second)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `a body that is collected has its time from our own 100 on`() throws {
        let (simulated, client) = try Self.expecting(after: 0, buffering: "request")
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 100") })
        let begin = simulated.traffic.world.now
        #expect(simulated.turn { client.text.contains("HTTP/1.1 408") })
        let seconds = (simulated.traffic.world.now - begin) / Self.second
        #expect((29...30).contains(seconds))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `who is answered before the body has come need not send the rest`() throws {
        let simulated = try DirectedTests.edge()
        let world = simulated.traffic.world
        world.servers[Array("/worker/1".utf8)] = {
            var hasBegun = false
            return ScriptedEnd(world) { end in
                guard !hasBegun else { return }
                hasBegun = true
                end.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
                for number in 1...6 {
                    world.at(UInt64(number) * 20 * Self.second) { end.send("\(number)") }
                }
            }
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(Array(DirectedTests.post("/", 100).dropLast(50)))
        #expect(simulated.turn { client.isOver })
        #expect(client.text.hasSuffix("123456"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test(arguments: [1000, 1])
    func `what comes of an unfinished record counts`(rate: Int) throws {
        let simulated = try DirectedTests.edge()
        let world = simulated.traffic.world
        simulated.traffic.requestBytes[1] = 80_000
        let client = ScriptedEnd(world)
        client.connect()
        let bytes = DirectedTests.post("/1/length/5", 80_000)
        let head = bytes.count - 80_000
        client.send(Array(bytes[..<head]))
        #expect(simulated.turn { simulated.edge.upstreams.count == 1 })
        // From here on records of 40,000 bytes.
        simulated.edge.clients[0].set(.hasSession)
        world.streams[client.stream]!.incoming.recordsBegin = head
        world.streams[client.stream]!.incoming.recordSize = 40_000
        let begin = world.now
        for step in 0..<80 {
            let part = Array(bytes[(head + step * rate)..<(head + (step + 1) * rate)])
            world.at(UInt64(step) * Self.second) { client.send(part) }
        }
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix(rate == 1000 ? "HTTP/1.1 200" : "HTTP/1.1 408"))
        #expect(rate == 1000 || world.now - begin < 31 * Self.second)
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }

    @Test func `no time runs while we have no memory for what has come`() throws {
        let simulated = try DirectedTests.edge()
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        simulated.traffic.requestBytes[1] = 1000
        let bytes = DirectedTests.post("/1/length/5", 1000)
        client.send(Array(bytes.dropLast(1000)))
        #expect(simulated.turn { simulated.edge.upstreams.count == 1 })
        simulated.turn(for: Self.second)
        let taken = ScarcityTests.hoard(simulated, leaving: 0, 0)
        client.send(Array(bytes.suffix(1000)))
        simulated.turn(for: 70 * Self.second)
        for block in taken { simulated.edge.pool.give(block) }
        #expect(simulated.turn { !client.bytes.isEmpty })
        #expect(client.text.hasPrefix("HTTP/1.1 200"))
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
