import CLinux
import Testing

@testable import Linux

/// A pipe that keeps every write apart (`O_DIRECT`, pipe(2)): one read gives one write.
private struct PacketPipe: ~Copyable {
    let reader: Descriptor
    let writer: Descriptor

    init() throws {
        var numbers: [Int32] = [-1, -1]
        guard unsafe pipe2(&numbers, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0 else {
            throw SystemError("pipe2")
        }
        reader = Descriptor(owning: numbers[0])
        writer = Descriptor(owning: numbers[1])
    }

    /// What was written, a piece for each write.
    func writes() throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        while let piece = try reader.readAvailable(atMost: 1 << 20) { found.append(piece) }
        return found
    }
}

@Suite struct LogFileTests {
    private static func line(_ length: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(ascii: "x"), count: length - 1) + [0x0A]
    }

    /// Between two writes lines of others may come.
    @Test(arguments: [1, 2, 100, 999, 1500, 2048, 4095, 4096])
    func `a pipe gets whole lines with each write`(length: Int) throws {
        let pipe = try PacketPipe()
        let bytes = (0..<max(3, 10_000 / length)).flatMap { _ in Self.line(length) }
        #expect(LogFile.write(bytes.span, to: pipe.writer.number) == .bytes(bytes.count))
        let writes = try pipe.writes()
        #expect(writes.allSatisfy { $0.count <= 4096 && $0.count.isMultiple(of: length) })
        #expect(writes.flatMap { $0 } == bytes)
    }

    @Test func `a line that is too long for that is written all the same`() throws {
        let pipe = try PacketPipe()
        let bytes = Self.line(10) + Self.line(9000) + Self.line(10)
        #expect(LogFile.write(bytes.span, to: pipe.writer.number) == .bytes(bytes.count))
        #expect(try pipe.writes().map(\.count) == [10, 4096, 4096, 818])
    }

    @Test func `a pipe that has become full has whole lines`() throws {
        let pipe = try PacketPipe()
        let bytes = (0..<2000).flatMap { _ in Self.line(1500) }
        guard case .bytes(let count) = LogFile.write(bytes.span, to: pipe.writer.number) else {
            Issue.record("nothing was written")
            return
        }
        #expect(count < bytes.count && count.isMultiple(of: 1500))
    }

    @Test func `lines are short for pipes and sockets alone`() throws {
        let pipe = try PacketPipe()
        let ends = try MessageSocket.Pair()
        let file = try MemoryFile.shared(name: "log", size: 0)
        #expect(LogFile.lineBytesMax(of: pipe.writer.number) == 4096)
        #expect(LogFile.lineBytesMax(of: ends.one.number) == 4096)
        #expect(LogFile.lineBytesMax(of: file.number) == .max)
        #expect(LogFile.lineBytesMax(of: -1) == .max)
    }
}
