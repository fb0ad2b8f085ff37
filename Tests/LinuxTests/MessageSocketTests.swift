import CLinux
import Testing

@testable import Linux

@Suite struct MessageSocketTests {
    @Test func `packets keep their bounds and carry descriptors`() throws {
        let pair = try MessageSocket.Pair()
        let file = try MemoryFile.sealed(name: "carried", Array("content".utf8))
        #expect(try pair.one.send(Array("a".utf8)) == .sent)
        #expect(
            try pair.one.send(Array("bc".utf8), descriptors: [file.number, file.number]) == .sent)
        guard case .packet(let first, let none) = try pair.other.receive() else {
            Issue.record("nothing came")
            return
        }
        #expect(first == Array("a".utf8))
        #expect(none.count == 0)
        guard case .packet(let second, var carried) = try pair.other.receive() else {
            Issue.record("nothing came")
            return
        }
        #expect(second == Array("bc".utf8))
        #expect(carried.count == 2)
        guard let copy = carried.next() else { throw SystemError("recvmsg", number: EBADF) }
        #expect(copy.number != file.number)
        #expect(try copy.readAll() == Array("content".utf8))
        #expect(clinux_fcntl(copy.number, F_GETFD, 0) == FD_CLOEXEC)
        guard case .nothing = try pair.other.receive() else {
            Issue.record("something came")
            return
        }
    }

    @Test func `descriptors that nobody takes are closed`() throws {
        let pair = try MessageSocket.Pair()
        let ends = try OutputPipe.pipe()
        #expect(try pair.one.send([1], descriptors: [ends.writer.number]) == .sent)
        guard case .packet(_, let carried) = try pair.other.receive() else {
            Issue.record("nothing came")
            return
        }
        #expect(carried.count == 1)
        _ = consume carried
        let (reader, writer) = ends.release()
        close(writer)
        var pipe = OutputPipe(owning: Descriptor(owning: reader))
        #expect(pipe.lines() == [])
        let isClosed = pipe.isClosed
        #expect(isClosed)
    }

    @Test func `a closed end is seen by the other one`() throws {
        let pair = try MessageSocket.Pair()
        let (one, other) = pair.release()
        close(other)
        let end = MessageSocket(owning: Descriptor(owning: one))
        #expect(try end.send([1]) == .closed)
        guard case .closed = try end.receive() else {
            Issue.record("not closed")
            return
        }
    }

    @Test func `an end that does not read is full at some time and loses nothing`() throws {
        let pair = try MessageSocket.Pair()
        var sent = 0
        while try pair.one.send([UInt8](repeating: 7, count: 60_000)) == .sent, sent < 10_000 {
            sent += 1
        }
        #expect(sent > 0 && sent < 10_000)
        var received = 0
        while case .packet(let bytes, _) = try pair.other.receive() {
            #expect(bytes.count == 60_000)
            received += 1
        }
        #expect(received == sent)
    }
}

@Suite struct OutputPipeTests {
    private static func lines(of text: String, cutAt cut: Int) throws -> [String] {
        let ends = try OutputPipe.pipe()
        let bytes = Array(text.utf8)
        let cut = min(cut, bytes.count)
        let (reader, number) = ends.release()
        let writer = Descriptor(owning: number)
        var pipe = OutputPipe(owning: Descriptor(owning: reader))
        try writer.writeAll(Array(bytes[..<cut]))
        var result = pipe.lines()
        try writer.writeAll(Array(bytes[cut...]))
        close(writer.release())
        while !pipe.isClosed { result += pipe.lines() }
        return result
    }

    @Test(arguments: 0...14)
    func `lines are the same wherever the stream is cut`(cut: Int) throws {
        #expect(try Self.lines(of: "one\r\ntwo\n\nlast", cutAt: cut) == ["one", "two", "", "last"])
    }

    @Test func `a line without end comes in pieces`() throws {
        let size = OutputPipe.lineBytesMax
        let text = String(repeating: "x", count: size + 10)
        let lines = try Self.lines(of: text, cutAt: 5)
        #expect(lines.map(\.utf8.count) == [size, 10])
    }

    @Test func `a pipe with nothing in it does not wait`() throws {
        let ends = try OutputPipe.pipe()
        let (reader, writer) = ends.release()
        var pipe = OutputPipe(owning: Descriptor(owning: reader))
        #expect(pipe.lines() == [])
        let isClosed = pipe.isClosed
        #expect(!isClosed)
        close(writer)
    }
}
