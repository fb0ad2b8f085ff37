import HTTP
import Memory
import Testing

private func get(_ line: String) -> String { "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n" }
private func line(_ line: String) -> String { "\(line)\r\nHost: a\r\n\r\n" }

let refusedRequests: [(String, Refusal)] = [
    // the request line
    (line(" GET / HTTP/1.1"), .oddMethod), (line("get / HTTP/1.1"), .oddMethod),
    (line("GE(T / HTTP/1.1"), .oddMethod), (line("GET\t/ HTTP/1.1"), .oddMethod),
    (line("G\u{e9} / HTTP/1.1"), .oddMethod), (line("GET"), .oddMethod),
    (line("GET1 / HTTP/1.1"), .oddMethod), (line("\u{16}\u{3}\u{1}"), .oddMethod),
    (String(repeating: "A", count: 33) + " / HTTP/1.1\r\n\r\n", .oddMethod),
    (line("CONNECT a:443 HTTP/1.1"), .connectMethod), (line("CONNECT / HTTP/1.1"), .connectMethod),
    (line("GET  / HTTP/1.1"), .oddTarget), (line("GET /a\tb HTTP/1.1"), .oddTarget),
    (line("GET /\u{1}"), .oddTarget), (line("GET /\u{7f} HTTP/1.1"), .oddTarget),
    (line("GET /#f HTTP/1.1"), .oddTarget), (line("GET /\u{e9} HTTP/1.1"), .oddTarget),
    (line("GET a HTTP/1.1"), .oddTarget), (line("GET a:443 HTTP/1.1"), .oddTarget),
    (line("GET ?q HTTP/1.1"), .oddTarget), (line("GET /\r\nX"), .oddTarget),
    (line("GET /a\\b HTTP/1.1"), .backslashInPath),
    (line("GET ftp://a/ HTTP/1.1"), .oddScheme), (line("GET http:/a HTTP/1.1"), .oddTarget),
    (line("GET / HTTP/2.0"), .badVersion), (line("GET / HTTP/0.9"), .badVersion),
    (line("GET / HTTP/1.1 "), .badVersion), (line("GET / HTTP/1.10"), .badVersion),
    (line("GET / HTTP/1."), .badVersion), (line("GET / http/1.1"), .badVersion),
    (line("GET / HTTP/01.1"), .badVersion), (line("GET / HTTQ/1.1"), .badVersion),
    (line("GET / a HTTP/1.1"), .badVersion), (line("GET /  HTTP/1.1"), .badVersion),
    (line("GET / HTTP/1.2"), .unsupportedVersion), (line("GET / HTTP/1.9"), .unsupportedVersion),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .oddTarget),
    // line ends
    ("\nGET / HTTP/1.1\r\n", .bareLineFeed), ("\rGET / HTTP/1.1\r\n", .bareCarriageReturn),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
    ("GET / HTTP/1.1\rHost: a\r\n\r\n", .bareCarriageReturn),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
    ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", .bareCarriageReturn),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
    ("GET / HTTP/1.1\r\nHost: a\r\n\rX", .bareCarriageReturn),
    (get("X: a\nY: b"), .bareLineFeed), (get("X\n: a"), .bareLineFeed),
    // field lines
    (get("X"), .lineWithoutColon), (get(": x"), .emptyName), (get("X : a"), .blankBeforeColon),
    (get("X\t: a"), .blankBeforeColon), (get("Transfer-Encoding : chunked"), .blankBeforeColon),
    (get(" X: a"), .foldedLine), (get("X: a\r\n b"), .foldedLine),
    (get("X: a\r\n\tb"), .foldedLine),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", .foldedLine),
    (get("X\u{0}: a"), .oddName), (get("X(: a"), .oddName), (get("X\u{e9}: a"), .oddName),
    (get("\u{b}X: a"), .oddName), (get("X\"Y: a"), .oddName), (get("X/: a"), .oddName),
    (get("X: a\u{0}b"), .controlInValue), (get("X: \u{1}"), .controlInValue),
    (get("X: a\u{b}"), .controlInValue), (get("X: \u{7f}"), .controlInValue),
    (get("Transfer-Encoding: \u{b}chunked"), .controlInValue),
    // Host
    ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("GET / HTTP/1.1\r\nX: a\r\n\r\n", .missingHost),
    ("GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
    (get("Host: a"), .repeatedHost), (get("host: b"), .repeatedHost),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .repeatedHost),
    // Content-Length
    (get("Content-Length: 5\r\nContent-Length: 5"), .repeatedLength),
    (get("Content-Length: 5\r\nX: y\r\ncontent-length: 6"), .repeatedLength),
    (get("Content-Length: 5, 5"), .badLength), (get("Content-Length: +5"), .badLength),
    (get("Content-Length: -1"), .badLength), (get("Content-Length:"), .badLength),
    (get("Content-Length:  5"), .badLength), (get("Content-Length: 5 "), .badLength),
    (get("Content-Length:\t5"), .badLength), (get("Content-Length: 5\t"), .badLength),
    (get("Content-Length: 5 5"), .badLength), (get("Content-Length: 0x5"), .badLength),
    (get("Content-Length: 5a"), .badLength), (get("Content-Length: 1e3"), .badLength),
    (get("Content-Length: 5.0"), .badLength), (get("Content-Length: \"5\""), .badLength),
    (get("Content-Length: 9999999999999999999"), .badLength),
    (get("Content-Length: 18446744073709551621"), .badLength),
    // Transfer-Encoding
    (get("Content-Length: 5\r\nTransfer-Encoding: chunked"), .lengthAndCoding),
    (get("Transfer-Encoding: chunked\r\nContent-Length: 0"), .lengthAndCoding),
    (get("Transfer-Encoding: gzip\r\nContent-Length: 0"), .lengthAndCoding),
    (get("Transfer-Encoding: chunked, chunked"), .badCoding),
    (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), .badCoding),
    (get("Transfer-Encoding: chunked, gzip"), .badCoding),
    (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), .badCoding),
    (get("Transfer-Encoding:"), .badCoding), (get("Transfer-Encoding: ,chunked"), .badCoding),
    (get("Transfer-Encoding: chunked,"), .badCoding),
    (get("Transfer-Encoding: \"chunked\""), .badCoding),
    (get("Transfer-Encoding: chunked;a=b"), .badCoding),
    (get("Transfer-Encoding: chunked x"), .badCoding),
    (get("Transfer-Encoding: x chunked"), .badCoding),
    (get("Transfer-Encoding:  chunked"), .badCoding),
    (get("Transfer-Encoding: chunked "), .badCoding),
    (get("Transfer-Encoding:\tchunked"), .badCoding),
    (get("Transfer-Encoding: chun\u{e9}ked"), .badCoding),
    (get("Transfer-Encoding: gzip"), .unknownCoding),
    (get("Transfer-Encoding: gzip, chunked"), .unknownCoding),
    (get("Transfer-Encoding: gzip;q=1, chunked"), .unknownCoding),
    (get("Transfer-Encoding: identity"), .unknownCoding),
    (get("Transfer-Encoding: xchunked"), .unknownCoding),
    (get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), .unknownCoding),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .codingInOldVersion),
    // Connection and Expect
    (get("Connection: \"close\""), .badConnection), (get("Connection: a b"), .badConnection),
    (get("Connection: a;b"), .badConnection),
    (
        get("Connection: " + (0..<40).map { "x\($0)" }.joined(separator: ",")),
        .tooManyConnectionOptions
    ),
    (get("Expect: 200-ok"), .badExpectation), (get("Expect: y 100-continue"), .badExpectation),
    (get("Expect: 100-continue\r\nExpect: 100-continue"), .badExpectation),
    (get("Expect:"), .badExpectation),
]

@Suite struct RequestRefusalTests {
    @Test(arguments: refusedRequests)
    func `refuses what is ambiguous`(text: String, refusal: Refusal) {
        #expect(parseRequest(bytes(text)) == .refused(refusal))
    }

    @Test(
        arguments: [
            (Refusal.badHost, 400), (.badVersion, 400), (.lengthAndCoding, 400),
            (.connectMethod, 400),
            (.headTooSlow, 408), (.bodyTooLarge, 413), (.targetTooLong, 414), (.headTooLong, 431),
            (.tooManyFields, 431), (.unknownCoding, 501), (.unsupportedVersion, 505),
        ] as [(Refusal, UInt16)])
    func `each refusal has its status`(refusal: Refusal, status: UInt16) {
        #expect(refusal.status == status)
    }

    @Test(arguments: Refusal.allCases)
    func `each refusal names its rule in one line`(refusal: Refusal) {
        let rule = "\(refusal.rule)"
        #expect(rule.count > 10 && !rule.contains("\n"))
    }

    @Test func `a target over its limit is refused before its end has come`() {
        let limits = HeadLimits(headBytes: 1000, targetBytes: 10)
        let fits = "GET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parseRequest(bytes(fits), limits: limits).summary?.path == "/234567890")
        #expect(
            parseRequest(bytes("GET /2345678901"), limits: limits) == .refused(.targetTooLong))
        #expect(parseRequest(bytes("GET /234567890"), limits: limits) == .incomplete)
    }

    @Test func `a head over its limit is refused before its end has come`() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        let count = text.utf8.count
        let exact = HeadLimits(headBytes: count)
        let short = HeadLimits(headBytes: count - 1)
        #expect(parseRequest(bytes(text), limits: exact).summary?.length == count)
        #expect(parseRequest(bytes(text), limits: short) == .refused(.headTooLong))
        let begun = bytes(text).prefix(count - 2)
        #expect(parseRequest(Array(begun), limits: exact) == .incomplete)
        #expect(
            parseRequest(Array(begun), limits: HeadLimits(headBytes: count - 2))
                == .refused(.headTooLong))
    }

    @Test func `a field over the limit is refused when it begins`() {
        let limits = HeadLimits(fieldCount: 2)
        let text = "GET / HTTP/1.1\r\nHost: a\r\nB: b\r\n"
        #expect(parseRequest(bytes(text + "\r\n"), limits: limits).summary?.fields.count == 2)
        #expect(parseRequest(bytes(text + "C"), limits: limits) == .refused(.tooManyFields))
        #expect(parseRequest(bytes(text + "C"), capacity: 2) == .refused(.tooManyFields))
    }
}
