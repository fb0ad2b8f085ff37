import HTTP
import Memory
import Testing

private func ok(_ lines: String) -> String { "HTTP/1.1 200 OK\r\n\(lines)\r\n\r\n" }

let faultyResponses: [(String, ResponseFault)] = [
    ("HTTP/2.0 200 OK\r\n\r\n", .badVersion), ("HTTP/1.2 200 OK\r\n\r\n", .badVersion),
    ("http/1.1 200 OK\r\n\r\n", .badVersion), ("ICY 200 OK\r\n\r\n", .badVersion),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", .badVersion), ("HTTP/1.1\t200 OK\r\n\r\n", .badVersion),
    ("HTTP/1.1  200 OK\r\n\r\n", .badStatus), ("HTTP/1.1 20 OK\r\n\r\n", .badStatus),
    ("HTTP/1.1 2000 OK\r\n\r\n", .badStatus), ("HTTP/1.1 099 OK\r\n\r\n", .badStatus),
    ("HTTP/1.1 600 OK\r\n\r\n", .badStatus), ("HTTP/1.1 -20 OK\r\n\r\n", .badStatus),
    ("HTTP/1.1 2xx OK\r\n\r\n", .badStatus), ("HTTP/1.1 200\tOK\r\n\r\n", .badStatus),
    ("HTTP/1.1 200\n\r\n", .bareLineFeed), ("HTTP/1.1 200 O\u{0}\r\n\r\n", .badReason),
    ("HTTP/1.1 200 OK\n\r\n", .bareLineFeed), ("HTTP/1.1 200 OK\rX", .bareCarriageReturn),
    (ok("X"), .lineWithoutColon), (ok(": a"), .emptyName), (ok("X : a"), .blankBeforeColon),
    (ok("X(: a"), .oddName), (ok("X: a\r\n b"), .foldedLine), (ok("X: \u{0}"), .controlInValue),
    (ok("X: a\nY: b"), .bareLineFeed), (ok("X: a\rY: b"), .bareCarriageReturn),
    (ok("Content-Length: 1\r\nContent-Length: 1"), .repeatedLength),
    (ok("Content-Length: 1, 1"), .badLength), (ok("Content-Length: +1"), .badLength),
    (ok("Content-Length:"), .badLength),
    (ok("Content-Length: 1\r\nTransfer-Encoding: chunked"), .lengthAndCoding),
    (ok("Transfer-Encoding: gzip"), .badCoding),
    (ok("Transfer-Encoding: gzip, chunked"), .badCoding),
    (ok("Transfer-Encoding: chunked, chunked"), .badCoding), (ok("Transfer-Encoding:"), .badCoding),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .codingInOldVersion),
    ("HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n", .bodyInInformational),
    ("HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n", .bodyInInformational),
    ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", .unsolicitedUpgrade),
]

@Suite struct ResponseHeadTests {
    @Test(arguments: faultyResponses)
    func `a bad answer has its fault`(text: String, fault: ResponseFault) {
        #expect(parseResponse(bytes(text)) == .faulty(fault))
    }

    @Test func `reads a plain response whole`() throws {
        let text = bytes(
            "HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length:  12 \r\n\r\nrest")
        let head = try #require(parseResponse(text).summary)
        #expect(head.length == text.count - 4 && head.status == 404)
        #expect(head.reason == "Not Found" && head.version == .http11)
        #expect(head.framing == .length(12) && head.contentLength == 12 && head.keepsAlive)
        #expect(head.fields.map(\.value) == ["x", "12"])
    }

    @Test(arguments: ["HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"])
    func `a reason may be missing`(text: String) {
        #expect(parseResponse(bytes(text)).summary?.reason == "")
    }

    @Test(arguments: [
        ("HTTP/1.1 200 X\r\n\r\n", BodyFraming.untilClose, false),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", .chunked, true),
        ("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n", .length(0), true),
        ("HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\n", .length(3), false),
        ("HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: (\r\n\r\n", .length(3), false),
        ("HTTP/1.0 200 X\r\nContent-Length: 3\r\n\r\n", .length(3), false),
        ("HTTP/1.0 200 X\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n", .length(3), true),
        ("HTTP/1.1 204 X\r\n\r\n", .none, true),
        ("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", .none, true),
        ("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", .none, true),
        ("HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n", .none, false),
        ("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", .none, false),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", .none, true),
    ])
    func `finds how the body is framed`(text: String, framing: BodyFraming, keeps: Bool) {
        let head = parseResponse(bytes(text)).summary
        #expect(head?.framing == framing && head?.keepsAlive == keeps)
    }

    @Test func `an answer to HEAD has no body but may say how long it would be`() throws {
        let text = bytes("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        let context = ResponseContext(isHead: true, allowsUpgrade: false)
        let head = try #require(parseResponse(text, context: context).summary)
        #expect(head.framing == .none && head.contentLength == 12 && head.keepsAlive)
    }

    @Test func `101 is good when it was asked for and names its protocol`() {
        let context = ResponseContext(isHead: false, allowsUpgrade: true)
        let good = bytes("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n")
        #expect(parseResponse(good, context: context).summary?.status == 101)
        let bare = bytes("HTTP/1.1 101 X\r\n\r\n")
        #expect(parseResponse(bare, context: context) == .faulty(.upgradeWithoutProtocol))
        for other in ["h2c", "websocket, h2c", "websocket\r\nUpgrade: h2c", ""] {
            let text = bytes("HTTP/1.1 101 X\r\nUpgrade: \(other)\r\n\r\n")
            #expect(parseResponse(text, context: context) == .faulty(.otherUpgrade))
        }
    }

    @Test func `a head over its limits is refused before its end has come`() {
        let text = bytes("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n")
        let short = HeadLimits(headBytes: text.count)
        #expect(parseResponse(text, limits: short) == .faulty(.headTooLong))
        #expect(parseResponse(text, limits: HeadLimits(fieldCount: 1)) == .faulty(.tooManyFields))
        #expect(ResponseFault.headTooLong.isTooLong && ResponseFault.tooManyFields.isTooLong)
        #expect(!ResponseFault.badStatus.isTooLong)
    }

    @Test func `interim responses are counted and their number is limited`() {
        let text = bytes("HTTP/1.1 100 Continue\r\n\r\n")
        var parser = ResponseHeadParser()
        var head = ResponseHead(fieldCapacity: 4)
        let limits = HeadLimits()
        for _ in 0..<ResponseHeadParser.informationalMax {
            let step = parser.parse(text.span, limits: limits, context: plainContext, into: &head)
            #expect(step == .complete(text.count))
        }
        let half = parser.parse(
            text.span.extracting(first: 9), limits: limits, context: plainContext, into: &head)
        #expect(half == .incomplete)
        let last = parser.parse(text.span, limits: limits, context: plainContext, into: &head)
        #expect(last == .faulty(.endlessInformational))
    }

    @Test(arguments: ResponseFault.allCases)
    func `each fault says what was wrong in one line`(fault: ResponseFault) {
        let rule = "\(fault.rule)"
        #expect(rule.count > 10 && !rule.contains("\n"))
    }
}
