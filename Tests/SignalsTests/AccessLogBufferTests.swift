import Memory
import Testing

@testable import Signals

/// A descriptor that takes what a seed says, and remembers it.
private struct FakeLog {
    var taken: [UInt8] = []
    var random: Seeded

    /// One attempt as an edge makes it.
    mutating func write(_ buffer: inout AccessLogBuffer, now: UInt64, share: UInt64) {
        let waiting = array(buffer.bytesToWrite)
        switch share {
        case 0: buffer.blocked(now: now)
        case 1: buffer.failed(now: now)
        case 2:
            let count = Int(random.next() % UInt64(waiting.count + 1))
            taken += waiting.prefix(count)
            buffer.wrote(count, now: now)
        default:
            taken += waiting
            buffer.wrote(waiting.count, now: now)
        }
    }
}

@Suite struct AccessLogBufferTests {
    private static func add(_ buffer: inout AccessLogBuffer, number: Int, now: UInt64) {
        var sample = SampleRequest()
        sample.set(\.target, "/\(number)")
        sample.withText { buffer.add(sample.facts, sample.result, $0, now: now) }
    }

    private static func numbers(_ bytes: [UInt8]) throws -> [Int] {
        try bytes.split(separator: 0x0A).map {
            let line = try object(String(decoding: $0, as: UTF8.self))
            return Int((line["target"] as? String ?? "").dropFirst()) ?? -1
        }
    }

    @Test func `a line is due after a second, or when 64 KiB wait`() {
        var buffer = AccessLogBuffer(format: .json)
        #expect(buffer.dueAt == nil)
        Self.add(&buffer, number: 1, now: 5)
        #expect(buffer.isDue(now: 1_000_000_004) == false)
        #expect(buffer.isDue(now: 1_000_000_005) == true)
        #expect(buffer.dueAt == 1_000_000_005)
        var count = 1
        while buffer.bytesToWrite.count < AccessLogBuffer.flushBytes {
            #expect(buffer.isDue(now: 6) == false)
            Self.add(&buffer, number: count, now: 6)
            count += 1
        }
        #expect(buffer.isDue(now: 6) == true)
    }

    /// Texts that need no escape, and those that need the longest.
    @Test(
        arguments: [RequestLine.Format.json, .combined], [0x61, 0x01, 0xFF] as [UInt8])
    func `a line for a pipe is cut until it fits`(
        format: RequestLine.Format, byte: UInt8
    ) throws {
        func long(_ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }
        var sample = SampleRequest()
        sample.set(\.method, long(64))
        sample.set(\.host, long(255))
        sample.set(\.target, long(8192))
        sample.set(\.referer, long(4096))
        sample.set(\.userAgent, long(4096))
        sample.service = long(255)
        sample.endpoint = long(255)
        sample.sni = long(255)
        var buffer = AccessLogBuffer(format: format)
        buffer.lineBytesAtMost = RequestLine.shortLineBytesMax
        sample.withText { buffer.add(sample.facts, sample.result, $0, now: 1) }
        // The next one is as long as ever.
        let plain = SampleRequest()
        plain.withText { buffer.add(plain.facts, plain.result, $0, now: 1) }
        let lines = array(buffer.bytesToWrite).split(separator: 0x0A)
        #expect(lines.count == 2 && lines[0].count < RequestLine.shortLineBytesMax)
        #expect(lines[0].count > RequestLine.shortLineBytesMax / 4)
        #expect(String(decoding: lines[1], as: UTF8.self) + "\n" == plain.line(format))
        if format == .json {
            let whole = try object(String(decoding: lines[0], as: UTF8.self))
            #expect(Set(whole.keys) == Set(try object(plain.line(.json)).keys))
        }
    }

    /// Every seed: whole lines in order, and those that are missing are exactly the counted ones.
    @Test(arguments: 0..<20)
    func `whatever the descriptor does, lines stay whole, in order and counted`(seed: UInt64) throws
    {
        var buffer = AccessLogBuffer(format: .json)
        var log = FakeLog(random: Seeded(state: seed))
        var random = Seeded(state: seed &+ 1000)
        var now: UInt64 = 0
        let total = 3000
        for number in 0..<total {
            Self.add(&buffer, number: number, now: now)
            now += random.next() % 20_000_000
            if buffer.isDue(now: now) {
                log.write(&buffer, now: now, share: random.next() % (seed % 2 == 0 ? 4 : 3))
            }
        }
        while !buffer.isEmpty { log.write(&buffer, now: now, share: 3) }
        let numbers = try Self.numbers(log.taken)
        #expect(numbers == numbers.sorted())
        #expect(Set(numbers).count == numbers.count)
        #expect(!numbers.contains(-1))
        #expect(numbers.count + Int(buffer.lost) == total)
    }

    @Test func `a full disk loses the newest lines and says so once a minute`() throws {
        var buffer = AccessLogBuffer(format: .json)
        var now: UInt64 = 0
        for number in 0..<2000 {
            Self.add(&buffer, number: number, now: now)
            if buffer.isDue(now: now) { buffer.failed(now: now) }
        }
        #expect(buffer.lost > 0)
        let first = buffer.lossToReport(now: now)
        #expect(first == buffer.lost)
        Self.add(&buffer, number: 2000, now: now)
        now += 59_000_000_000
        #expect(buffer.lossToReport(now: now) == 0)
        now += 1_000_000_000
        #expect(buffer.lossToReport(now: now) == 1)
        now += 60_000_000_000
        #expect(buffer.lossToReport(now: now) == 0)
        // What is kept is the oldest, without a gap.
        let numbers = try Self.numbers(array(buffer.bytesToWrite))
        #expect(numbers == Array(0..<numbers.count))
    }

    @Test func `a descriptor that blocks is left alone for a while`() {
        var buffer = AccessLogBuffer(format: .json)
        Self.add(&buffer, number: 1, now: 0)
        let now: UInt64 = 1_000_000_000
        #expect(buffer.isDue(now: now) == true)
        buffer.blocked(now: now)
        #expect(buffer.isDue(now: now) == false)
        #expect(buffer.dueAt == now + 20_000_000)
        #expect(buffer.isDue(now: now + 20_000_000) == true)
    }

    @Test func `another file begins with a whole line`() throws {
        var buffer = AccessLogBuffer(format: .json)
        for number in 0..<3 { Self.add(&buffer, number: number, now: 0) }
        let all = array(buffer.bytesToWrite)
        buffer.wrote(all.count / 3 + 10, now: 0)
        buffer.reopened()
        #expect(try Self.numbers(array(buffer.bytesToWrite)) == [2])
        #expect(buffer.lost == 1)
        #expect(buffer.isDue(now: 1_000_000_000) == true)
        let rest = buffer.bytesToWrite.count
        buffer.wrote(rest - 1, now: 0)
        buffer.reopened()
        #expect(buffer.isEmpty == true)
        #expect(buffer.lost == 2)
    }
}
