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
        let text = Array("a\u{1B}[31m\"b".utf8)
        let count = line.output(
            of: Array("web/3".utf8).span, text.span, wall: SampleRequest.wall)
        #expect(count == text.count)
        let read = try object(String(decoding: array(line.bytes), as: UTF8.self))
        #expect(read["event"] as? String == "output")
        #expect(read["source"] as? String == "web/3")
        #expect(read["text"] as? String == "a\u{1B}[31m\"b")
    }

    @Test(arguments: ["x", "\"", "\u{1B}", "é", "\u{85}", "🐟", "a\"é\u{01}🐟"])
    func `what a child prints is in several lines where one is too long`(piece: String) throws {
        let text = String(repeating: piece, count: 16_000 / piece.utf8.count)
        let bytes = Array(text.utf8)
        var line = EventLine(bytesAtMost: 4096)
        var found = ""
        var done = 0
        while done < bytes.count {
            let count = line.output(
                of: Array("web/3".utf8).span, bytes.span.extracting(done..<bytes.count),
                wall: SampleRequest.wall)
            try #require(count > 0)
            #expect(line.bytes.count <= 4096)
            // None is much shorter than it could be.
            if done + count < bytes.count { #expect(line.bytes.count > 4000) }
            let read = try object(String(decoding: array(line.bytes), as: UTF8.self))
            found += read["text"] as? String ?? "?"
            done += count
        }
        #expect(found == text)
    }

    @Test(arguments: ["x", "\n", "é", "\u{85}"])
    func `of a traceback the end stays`(piece: String) throws {
        let text = String(repeating: piece, count: 9000) + "KeyError: 'tea'"
        var line = EventLine(bytesAtMost: 4096)
        line.begin(.error, "app_failed", wall: SampleRequest.wall)
        line.add("traceback", endOf: text)
        line.end()
        #expect((4000...4096).contains(line.bytes.count))
        let read = try object(String(decoding: array(line.bytes), as: UTF8.self))
        #expect(text.hasSuffix(try #require(read["traceback"] as? String)))
        #expect((read["traceback"] as? String)?.hasSuffix("KeyError: 'tea'") == true)
    }
}
