import HTTP
import Memory
import Testing

/// Cases of each kind; a debug build does fewer.
#if DEBUG
    private let caseCount = 4_000
#else
    private let caseCount = 100_000
#endif

private let requestCorpus =
    [
        "GET /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: X, close\r\n"
            + "X: 1\r\n\r\nhello",
        "PUT http://h:1/p HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Expect: 100-continue\r\n\r\n",
    ] + refusedRequests.map(\.0).filter { $0.utf8.count < 300 }

private let responseCorpus =
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 204\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] + faultyResponses.map(\.0)

private let chunkCorpus = (goodChunks.map(\.0) + faultyChunks.map(\.0)).filter {
    $0.utf8.count < 300
}

private let fragments = [
    "\r\n", "\r", "\n", ":", " ", "\t", ",", ";", "\0", "\u{7f}", "0", "1", "f", "HTTP/1.1",
    "chunked",
    "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "\r\n\r\n", "close",
    "Connection: ", "[::1]", "é", "?", "/", "//", "\\", "-", "+", "\"",
].map(bytes)

/// Changes a sample in one to four places.
private func mutated(_ sample: [UInt8], by random: inout Seeded) -> [UInt8] {
    var text = sample
    for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0...text.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: text.insert(contentsOf: fragments.randomElement(using: &random)!, at: place)
        case 1 where place < text.count: text.remove(at: place)
        case 2 where place < text.count: text[place] = UInt8.random(in: 0...255, using: &random)
        case 3 where place < text.count:
            let end = min(text.count, place + Int.random(in: 1...12, using: &random))
            text.insert(
                contentsOf: text[place..<end], at: Int.random(in: 0...place, using: &random))
        default: text.removeSubrange(place..<min(text.count, place + 3))
        }
    }
    return text
}

private func cuts(_ count: Int, _ random: inout Seeded) -> [Int] {
    if Int.random(in: 0..<8, using: &random) == 0 { return Array(0...count) }
    return (0..<3).map { _ in Int.random(in: 0...count, using: &random) }.sorted()
}

/// What a property found wrong, or nil.
typealias Violation = String

/// No trap, no dependence on cuts, and what is accepted says the same after it was sent on.
///
/// - Parameter parse: the parser, to be replaced by a broken one when the checker itself is tried.
func fuzzRequest(
    _ text: [UInt8], cuts: [Int], parse: ([UInt8], [Int]) -> RequestOutcome
) -> Violation? {
    let limits = HeadLimits()
    let whole = parse(text, [])
    guard parse(text, cuts) == whole else { return "depends on cuts \(cuts)" }
    guard let summary = whole.summary else { return nil }
    let head = text[0..<summary.length]
    for index in head.indices where head[index] == 0x0a && (index == 0 || head[index - 1] != 0x0d) {
        return "accepts a bare LF"
    }
    guard !head.contains(0), summary.length <= limits.headBytes else { return "accepts NUL" }
    guard let sent = sent(Array(head), { $0.place = 1 }) else { return "is refused when sent on" }
    guard let again = parse(sent, []).summary else { return "is not accepted after forwarding" }
    guard again.length == sent.count, again.framing.hasBody == summary.framing.hasBody,
        !summary.framing.hasBody || again.framing == summary.framing,
        again.method == summary.method, again.query == summary.query,
        again.path == (summary.path.isEmpty && summary.form == .absolute ? "/" : summary.path)
    else { return "says something else after forwarding: \(again)" }
    return nil
}

func fuzzResponse(
    _ text: [UInt8], cuts: [Int], parse: ([UInt8], [Int]) -> ResponseOutcome
) -> Violation? {
    let whole = parse(text, [])
    guard parse(text, cuts) == whole else { return "depends on cuts \(cuts)" }
    guard let summary = whole.summary else { return nil }
    guard summary.status >= 100, summary.status <= 599 else { return "accepts a bad status" }
    let head = text[0..<summary.length]
    for index in head.indices where head[index] == 0x0a && head[index - 1] != 0x0d {
        return "accepts a bare LF"
    }
    return head.contains(0) ? "accepts NUL" : nil
}

func fuzzChunked(
    _ text: [UInt8], cuts: [Int], decode: ([UInt8], [Int]) -> BodySummary
) -> Violation? {
    let whole = decode(text, [])
    let parts = decode(text, cuts)
    guard parts == whole else { return "depends on cuts \(cuts): \(parts) \(whole)" }
    guard case .ended(let count) = whole.ending else { return nil }
    guard count <= text.count, whole.data.count < count else { return "makes up bytes" }
    let again = written { writer in
        if whole.data.count > 0 {
            writer.write(chunkSize: whole.data.count)
            writer.write(whole.data.span)
            writer.writeChunkEnd()
        }
        writer.writeLastChunk()
    }
    guard decode(again, []).data == whole.data else { return "says something else when sent on" }
    return nil
}

@Suite struct FuzzTests {
    @Test func `mutated requests keep the properties`() {
        var random = Seeded(1)
        for number in 0..<caseCount {
            let text = mutated(bytes(requestCorpus[number % requestCorpus.count]), by: &random)
            let cuts = cuts(text.count, &random)
            let found = fuzzRequest(text, cuts: cuts) { parseRequest($0, cuts: $1) }
            #expect(found == nil, "\(String(decoding: text, as: UTF8.self).debugDescription)")
            if found != nil { return }
        }
    }

    @Test func `mutated responses keep the properties`() {
        var random = Seeded(2)
        for number in 0..<caseCount {
            let text = mutated(bytes(responseCorpus[number % responseCorpus.count]), by: &random)
            let cuts = cuts(text.count, &random)
            let found = fuzzResponse(text, cuts: cuts) { parseResponse($0, cuts: $1) }
            #expect(found == nil, "\(String(decoding: text, as: UTF8.self).debugDescription)")
            if found != nil { return }
        }
    }

    @Test func `mutated chunked bodies keep the properties`() {
        var random = Seeded(3)
        for number in 0..<caseCount {
            let text = mutated(bytes(chunkCorpus[number % chunkCorpus.count]), by: &random)
            let cuts = cuts(text.count, &random)
            let found = fuzzChunked(text, cuts: cuts) { decodeBody($0, .chunked, cuts: $1) }
            #expect(found == nil, "\(String(decoding: text, as: UTF8.self).debugDescription)")
            if found != nil { return }
        }
    }

    @Test func `the checkers find a parser that forgets what it read before a cut`() {
        let request = bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let forgetful = fuzzRequest(request, cuts: [5]) { text, cuts in
            parseRequest(Array(text[(cuts.last ?? 0)...]))
        }
        #expect(forgetful?.hasPrefix("depends on cuts") == true)
        let body = bytes("5\r\nhello\r\n0\r\n\r\n")
        let restarting = fuzzChunked(body, cuts: [4]) { text, cuts in
            decodeBody(Array(text[(cuts.last ?? 0)...]), .chunked)
        }
        #expect(restarting?.hasPrefix("depends on cuts") == true)
    }

    @Test func `the checkers find a parser that is too kind`() {
        let request = bytes("GET / HTTP/1.1\r\nHost: a\r\nX: b\nContent-Length: 5\r\n\r\n")
        let kind = fuzzRequest(request, cuts: []) { text, _ in
            let fixed = String(decoding: text, as: UTF8.self).replacing("b\nC", with: "b\r\nC")
            guard var summary = parseRequest(bytes(fixed)).summary else { return .incomplete }
            summary.length = text.count
            return .complete(summary)
        }
        #expect(kind == "accepts a bare LF")
        let padded = bytes("5 \r\nhello\r\n0\r\n\r\n")
        let generous = fuzzChunked(padded, cuts: []) { text, _ in
            BodySummary(data: text, trailers: [], ending: .ended(text.count))
        }
        #expect(generous == "makes up bytes")
    }
}
