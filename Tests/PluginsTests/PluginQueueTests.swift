import Foundation
import Signals
import Testing

@testable import Plugins

@Suite struct PluginQueueTests {
    /// A line whose body names its number, as the host adds it.
    static func body(_ number: Int) -> [UInt8] { Array(#","n":\#(number)}"#.utf8) + [0x0A] }

    /// The sequence number and the name of the next line.
    static func next(_ queue: inout PluginQueue) throws -> (seq: Int, number: Int)? {
        var bytes: [UInt8] = []
        guard queue.next(into: &bytes) else { return nil }
        let line = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] ?? [:]
        return (line["seq"] as? Int ?? -1, line["n"] as? Int ?? -1)
    }

    @Test func `the newest is lost when it is full, and the gap is seen`() throws {
        var queue = PluginQueue(length: 2, whenFull: .newest)
        for number in 1...5 { queue.add(.requestFinished, Self.body(number)) }
        #expect(queue.dropped == 3)
        #expect(try #require(try Self.next(&queue)) == (1, 1))
        queue.add(.requestFinished, Self.body(6))
        #expect(try #require(try Self.next(&queue)) == (2, 2))
        #expect(try #require(try Self.next(&queue)) == (6, 6))
        #expect(try Self.next(&queue) == nil)
    }

    @Test func `the oldest is lost where that was asked for`() throws {
        var queue = PluginQueue(length: 2, whenFull: .oldest)
        for number in 1...5 { queue.add(.requestFinished, Self.body(number)) }
        #expect(try #require(try Self.next(&queue)) == (4, 4))
        #expect(try #require(try Self.next(&queue)) == (5, 5))
        #expect(queue.dropped == 3)
    }

    @Test func `a queue of one line that drops its oldest counts right`() throws {
        var queue = PluginQueue(length: 1, whenFull: .oldest)
        for number in 1...4 { queue.add(.requestFinished, Self.body(number)) }
        #expect(try #require(try Self.next(&queue)) == (4, 4))
    }

    @Test func `what was lost in the ring is a gap too`() throws {
        var queue = PluginQueue(length: 10, whenFull: .newest)
        queue.add(.requestFinished, Self.body(1))
        queue.lose(7)
        queue.add(.requestFinished, Self.body(9))
        #expect(try #require(try Self.next(&queue)) == (1, 1))
        #expect(try #require(try Self.next(&queue)) == (9, 9))
    }

    @Test func `a restart begins with 1 and keeps what waits`() throws {
        var queue = PluginQueue(length: 10, whenFull: .newest)
        queue.add(.requestFinished, Self.body(1))
        _ = try Self.next(&queue)
        queue.lose(3)
        queue.add(.requestFinished, Self.body(5))
        queue.restart()
        #expect(try #require(try Self.next(&queue)) == (1, 5))
        #expect(queue.dropped == 3)
    }

    @Test func `bytes are bounded whatever the length is`() {
        var queue = PluginQueue(length: 1_000_000, whenFull: .newest)
        let big = [UInt8](repeating: 0x20, count: 1 << 20)
        for _ in 0..<40 { queue.add(.requestFinished, big) }
        #expect(queue.count == 16)
        #expect(queue.dropped == 24)
    }

    /// Order, and exactly one of delivered, waiting and lost, for any mixture; numbers equal what
    /// was raised.
    private static func violations(seed: UInt64, losesSilently: Bool = false) throws -> Int {
        var random = Seeded(state: seed)
        var queue = PluginQueue(
            length: 1 + Int(random.next() % 30), whenFull: seed % 2 == 0 ? .newest : .oldest)
        var raised = 0
        var violations = 0
        var last = 0
        var delivered = 0
        for _ in 0..<2000 {
            switch random.next() % 8 {
            case 0..<4:
                raised += 1
                queue.add(.requestFinished, body(raised))
            case 4:
                let lost = Int(random.next() % 5)
                raised += lost
                if !losesSilently { queue.lose(UInt64(lost)) }
            default:
                guard let line = try next(&queue) else { continue }
                delivered += 1
                if line.seq != line.number || line.seq <= last { violations += 1 }
                last = line.seq
            }
        }
        if delivered + queue.count + Int(queue.dropped) != raised { violations += 1 }
        return violations
    }

    @Test(arguments: 0..<20)
    func `nothing is delivered twice, out of order or lost unseen`(seed: UInt64) throws {
        #expect(try Self.violations(seed: seed) == 0)
    }

    @Test func `the checker above finds a loss that is not counted`() throws {
        #expect(try Self.violations(seed: 1, losesSilently: true) > 0)
    }
}

struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
