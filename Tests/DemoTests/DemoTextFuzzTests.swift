import Fuzzing
import Memory
import Testing

@testable import Demo

/// A query means what splitting it says, bounds included.
private func fuzzQuery(_ text: [UInt8]) -> String? {
    func value(_ name: String) -> [UInt8]? {
        for part in text.split(separator: 0x26) where part.starts(with: Array((name + "=").utf8)) {
            return Array(part.dropFirst(name.utf8.count + 1))
        }
        return nil
    }
    func whole(_ text: [UInt8], _ most: UInt64) -> UInt64? {
        guard !text.isEmpty, text.count <= 18, text.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return UInt64(String(decoding: text, as: UTF8.self)).flatMap { $0 <= most ? $0 : nil }
    }
    func nanoseconds(_ text: [UInt8]) -> UInt64? {
        let point = text.firstIndex(of: 0x2e) ?? text.count
        let part = Array(text[min(point + 1, text.count)...])
        guard let seconds = whole(Array(text[..<point]), 60), part.count <= 9 else { return nil }
        guard point < text.count else { return seconds * 1_000_000_000 }
        guard whole(part, .max) != nil else { return nil }
        let padded = part + [UInt8](repeating: 0x30, count: 9 - part.count)
        return whole(padded, .max).map { seconds * 1_000_000_000 + $0 }
            .flatMap { $0 <= 60_000_000_000 ? $0 : nil }
    }
    let query = QueryParameters(text.span)
    let size = query.number("size", default: 7, in: 3...1 << 30)
    let wanted = value("size").map { whole($0, 1 << 30).flatMap { $0 >= 3 ? $0 : nil } } ?? 7
    guard size == wanted else { return "size is \(size.debugDescription)" }
    let seconds = query.nanoseconds("seconds", default: 5)
    guard seconds == value("seconds").map(nanoseconds) ?? 5 else {
        return "seconds are \(seconds.debugDescription)"
    }
    return nil
}

/// What the echo sends is frames of a server, whole and within the rules, whatever it got and
/// however it was cut; nothing follows a close.
func fuzzWebSocket(
    _ bytes: [UInt8], cuts: [Int], echo: ([UInt8], [Int]) -> (replies: [UInt8], hasEnded: Bool)
) -> String? {
    let (replies, hasEnded) = echo(bytes, [])
    let parts = echo(bytes, cuts)
    guard parts == (replies, hasEnded) else { return "depends on cuts \(cuts)" }
    var rest = replies[...]
    var isClosed = false
    while let first = rest.popFirst() {
        guard !isClosed else { return "speaks after its close" }
        guard [0x81, 0x82, 0x88, 0x8a].contains(first), let short = rest.popFirst() else {
            return "sends a frame of kind \(first)"
        }
        let more = short == 126 ? 2 : short == 127 ? 8 : 0
        guard short < 128, rest.count >= more else { return "sends a mask, or half a length" }
        let length = more == 0 ? Int(short) : rest.prefix(more).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(more)
        guard length <= rest.count, more == 0 || length > (more == 2 ? 125 : 65535) else {
            return "sends a length of \(length) for \(rest.count) bytes"
        }
        let payload = Array(rest.prefix(length))
        rest = rest.dropFirst(length)
        guard first < 0x88 || length <= 125, length <= bytes.count else { return "sends too much" }
        guard first != 0x81 || String(validating: payload, as: UTF8.self) != nil else {
            return "sends text that is none"
        }
        isClosed = first == 0x88
        guard !isClosed || length == 2 else { return "closes without a code" }
    }
    return isClosed == hasEnded ? nil : "has ended without a close, or goes on behind it"
}

@Suite struct DemoTextFuzzTests {
    @Test func `mutated queries mean what splitting them says`() {
        let samples = [
            "size=1000", "a=b&size=5&size=6", "seconds=1.5&size=3", "seconds=60.000000000",
            "seconds=.5", "size=&seconds=", "size=999999999999999999", "seconds=0.0000000001",
            "seconds=59.999999999&&size",
        ]
        let fragments = [
            "&", "=", "size=", "seconds=", ".", "0", "9", "60", "-", "+", "%30", " ", "e1", "é",
            "000000000", "size",
        ]
        #expect(
            complaint(seed: 29, samples: samples, fragments: fragments) { text, _ in
                fuzzQuery(text)
            } == nil)
    }

    @Test func `mutated frames are echoed by the rules, or end the echo`() {
        func frame(_ head: [UInt8], _ payload: String) -> [UInt8] {
            let bytes = Array(payload.utf8)
            return [head[0], 0x80 | UInt8(bytes.count), 1, 2, 3, 4]
                + bytes.indices.map { bytes[$0] ^ UInt8($0 & 3 + 1) }
        }
        let conversations = [
            frame([0x81], "héllo") + frame([0x89], "x"), frame([0x01], "a") + frame([0x80], "b"),
            frame([0x82], String(repeating: "z", count: 120)), frame([0x88], "\u{3}"),
            frame([0x89], "") + frame([0x88], "") + frame([0x81], "late"),
            [0x82, 0xfe, 0, 126, 0, 0, 0, 0] + [UInt8](repeating: 7, count: 126),
            [0x88, 0x82, 0, 0, 0, 0, 3, 232], [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        ]
        var random = Mutations(seed: 30)
        let pieces: [[UInt8]] = [
            [0x81], [0x80], [0x88], [0x89], [0xfe], [0xff], [0], [0, 0, 0, 0], [0xc3],
            frame([0x00], "x"), frame([0x81], "y"),
        ]
        for number in 0..<fuzzCases {
            let text = random.change(conversations[number % conversations.count], with: pieces)
            let found = fuzzWebSocket(text, cuts: random.cuts(text.count), echo: echo)
            #expect(found == nil, "\(text)")
            if found != nil { return }
        }
    }

    private func echo(_ bytes: [UInt8], _ cuts: [Int]) -> ([UInt8], Bool) {
        var echo = WebSocketEcho()
        var start = 0
        for cut in cuts + [bytes.count] {
            echo.receive(bytes.span.extracting(start..<cut))
            start = cut
        }
        return (echo.replies, echo.hasEnded)
    }

    @Test func `mutated peers are read by their blanks, or count as not sent`() {
        let samples = [
            "3 https 2001:db8::1 5 443 -", "63 http 127.0.0.1 9 80 /p", "64 http a 1 1 -", "1 x",
            "7 \u{301}http \u{301} 1", "",
        ]
        let fragments = [" ", "\u{301}", "0", "64", "-1", "+5", "\t", "é", "http", "\0", "  "]
        let found = complaint(seed: 31, samples: samples, fragments: fragments) { text, _ in
            let facts = PeerFacts(text.span)
            guard let place = facts.place else {
                return facts == PeerFacts() ? nil : "keeps a part of what is malformed"
            }
            guard (0..<64).contains(place) else { return "place \(place)" }
            guard !facts.scheme.utf8.contains(0x20), !facts.remote.utf8.contains(0x20) else {
                return "a blank in \(facts)"
            }
            let again = PeerFacts(Array("\(place) \(facts.scheme) \(facts.remote)".utf8).span)
            return again == facts ? nil : "reads \(again) for \(facts)"
        }
        #expect(found == nil)
    }

    @Test func `the checker finds an echo that is wrong`() {
        let ping: [UInt8] = [0x89, 0x80, 0, 0, 0, 0]
        #expect(fuzzWebSocket(ping, cuts: []) { _, _ in ([0x81, 1, 0xff], false) } != nil)
        #expect(
            fuzzWebSocket(ping, cuts: []) { _, _ in ([0x88, 2, 3, 232, 0x8a, 0], true) }
                == "speaks after its close")
        let forgetful = fuzzWebSocket(ping, cuts: [1]) { bytes, cuts in
            echo(Array(bytes[(cuts.last ?? 0)...]), [])
        }
        #expect(forgetful?.hasPrefix("depends on cuts") == true)
    }
}
