import Memory
import Testing

@testable import Signals

@Suite struct EventLineTests {
    private static func build(
        _ format: EventLine.Format, _ body: (inout EventLine) -> Void
    ) -> String {
        var line = EventLine(format: format)
        line.begin(.info, "ready", wall: SampleRequest.wall)
        body(&line)
        line.end()
        return String(decoding: array(line.bytes), as: UTF8.self)
    }

    private static func fill(_ line: inout EventLine) {
        line.add("pid", 812)
        line.add("listen", texts: ["http://127.0.0.1:1", "x\"y"])
        line.add("seconds", seconds: 400_000_000)
        line.add("note", text: "two words")
        line.add("word", "plain" as StaticString)
        line.add("dev", true)
        line.add("change", -5)
        line.add("id", RequestID.none)
        line.add("remote", PeerAddress(ipv4: 0x7F00_0001))
    }

    @Test func `a line is one JSON object`() {
        #expect(
            Self.build(.json, Self.fill) == """
                {"time":"2026-11-22T08:00:01.237Z","level":"info","event":"ready","pid":812,\
                "listen":["http://127.0.0.1:1","x\\"y"],"seconds":0.400000,"note":"two words",\
                "word":"plain","dev":true,"change":-5,"id":"00000000000000000000000000",\
                "remote":"127.0.0.1"}

                """)
    }

    @Test func `on a terminal a line is words`() {
        #expect(
            Self.build(.text, Self.fill) == """
                2026-11-22T08:00:01.237Z info ready pid=812 listen=["http://127.0.0.1:1","x\\"y"] \
                seconds=0.400000 note="two words" word=plain dev=true change=-5 \
                id=00000000000000000000000000 remote=127.0.0.1

                """)
    }

    @Test(arguments: [0x41, 0x0A, 0xFF], [EventLine.Format.json, .text])
    func `however much is added, the line stays whole and bounded`(
        byte: UInt8, format: EventLine.Format
    ) throws {
        let long = [UInt8](repeating: byte, count: 40_000)
        let line = Self.build(format) {
            for _ in 0..<10 {
                $0.add("a", long.span)
                $0.add("list", texts: [String](repeating: "abc", count: 5000))
                for number in 0..<200 { $0.add("n", number) }
            }
        }
        #expect(line.utf8.count <= EventLine.bytesMax)
        #expect(line.utf8.filter { $0 == 0x0A }.count == 1)
        #expect(line.utf8.last == 0x0A)
        if format == .json { #expect(try object(line)["event"] as? String == "ready") }
    }

    @Test func `what a child prints carries its source`() throws {
        var line = EventLine()
        line.output(
            of: Array("web/3".utf8).span, Array("a\u{1B}[31m\"b".utf8).span,
            wall: SampleRequest.wall)
        let read = try object(String(decoding: array(line.bytes), as: UTF8.self))
        #expect(read["event"] as? String == "output")
        #expect(read["source"] as? String == "web/3")
        #expect(read["text"] as? String == "a\u{1B}[31m\"b")
    }
}

@Suite struct LineSplitterTests {
    private static func lines(_ pieces: [[UInt8]]) -> [[UInt8]] {
        var splitter = LineSplitter()
        var lines: [[UInt8]] = []
        for piece in pieces { splitter.take(piece.span) { lines.append(array($0)) } }
        splitter.end { lines.append(array($0)) }
        return lines
    }

    @Test func `every cut of the output gives the same lines`() {
        let output = Array("one\ntwo\r\n\n\nthr\u{20AC}e\nlast".utf8)
        let expected = ["one", "two", "thr\u{20AC}e", "last"].map { Array($0.utf8) }
        for cut in 0...output.count {
            #expect(Self.lines([Array(output[..<cut]), Array(output[cut...])]) == expected)
        }
        #expect(Self.lines(output.map { [$0] }) == expected)
    }

    @Test func `a line without end comes in bounded pieces and loses nothing`() {
        let output = (0..<50_000).map { UInt8(0x61 + $0 % 26) }
        let lines = Self.lines(
            stride(from: 0, to: output.count, by: 999).map {
                Array(output[$0..<min($0 + 999, output.count)])
            })
        #expect(lines.allSatisfy { $0.count <= LineSplitter.lineBytesMax })
        #expect(lines.flatMap { $0 } == output)
    }

    @Test func `bytes that are no text lose nothing either`() {
        let output = [UInt8](repeating: 0x80, count: 30_000)
        #expect(Self.lines([output]).flatMap { $0 } == output)
    }
}
