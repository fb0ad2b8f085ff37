import HTTP
import Memory
import Testing

private let id = bytes("ID")
private let date = bytes("DATE")

/// Sends a response on and returns the head that the client would get.
private func forwarded(
    _ text: String, version: Version = .http11, keepsAlive: Bool = true, isHead: Bool = false,
    edits: FieldEdits = FieldEdits()
) -> String {
    let response = bytes(text)
    var parser = ResponseHeadParser()
    var head = ResponseHead(fieldCapacity: 64)
    let context = ResponseContext(isHead: isHead, allowsUpgrade: true)
    let step = parser.parse(response.span, limits: HeadLimits(), context: context, into: &head)
    guard case .complete = step else { return "\(step)" }
    let forwarding = ResponseForwarding(head, clientVersion: version, keepsAlive: keepsAlive)
    return lines { writer in
        guard !head.isInformational else {
            return writer.write(informational: head, from: response.span, edits: edits)
        }
        let marks = ResponseMarks(requestID: id.span, date: date.span)
        writer.write(
            response: head, from: response.span, as: forwarding, marks: marks, edits: edits)
    }
}

private func lines(_ body: (inout ByteWriter) -> Void) -> String {
    String(decoding: written(body), as: UTF8.self).replacing("\r\n", with: "\n")
}

@Suite struct ResponseWritingTests {
    @Test func `the client gets what the upstream said, without what was meant for us`() {
        let text =
            "HTTP/1.1 404 Nope\r\nServer: s\r\nDate: today\r\nContent-Length: 3\r\n"
            + "X-Request-Id: no\r\n"
            + "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 2\r\nproxy-exception: E\r\n\r\n"
        #expect(
            forwarded(text) == """
                HTTP/1.1 404 Nope
                Server: s
                Date: today
                X-Request-Id: ID
                Via: 1.1 proxy
                Content-Length: 3


                """)
    }

    private static let tail = "Date: DATE\nX-Request-Id: ID\nVia: 1.1 proxy\n"

    @Test(arguments: [
        ("HTTP/1.0 200\r\n\r\n", Version.http11, true, "Transfer-Encoding: chunked\n"),
        ("HTTP/1.0 200\r\n\r\n", .http10, true, "Connection: close\n"),
        (
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", .http10, true,
            "Connection: close\n"
        ),
        (
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", .http11, false,
            "Transfer-Encoding: chunked\nConnection: close\n"
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", .http10, true,
            "Content-Length: 0\nConnection: keep-alive\n"
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 9\r\n\r\n", .http11, false,
            "Content-Length: 9\nConnection: close\n"
        ),
    ])
    func `framing and connection are the client's own`(
        text: String, version: Version, keeps: Bool, fields: String
    ) {
        let result = forwarded(text, version: version, keepsAlive: keeps)
        #expect(result == "HTTP/1.1 200 OK\n\(Self.tail)\(fields)\n")
    }

    @Test func `a length without a body is passed on where it has a meaning`() {
        let head = "HTTP/1.1 200\r\nContent-Length: 9\r\n\r\n"
        #expect(forwarded(head, isHead: true).contains("Content-Length: 9\n"))
        let notModified = "HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n"
        #expect(forwarded(notModified).contains("Content-Length: 9\n"))
        let empty = "HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n"
        #expect(!forwarded(empty).contains("Content-Length"))
    }

    @Test func `interim responses and upgrades keep what they are for`() {
        #expect(
            forwarded("HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: a\r\n\r\n")
                == "HTTP/1.1 103 Early Hints\nLink: x\n\n")
        let upgrade = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n\r\n"
        #expect(
            forwarded(upgrade)
                == "HTTP/1.1 101 S\nA: b\n\(Self.tail)Connection: Upgrade\nUpgrade: websocket\n\n")
        #expect(lines { $0.writeContinue() } == "HTTP/1.1 100 Continue\n\n")
    }

    @Test func `a route sets a date`() throws {
        var edits = FieldEdits()
        try edits.set(bytes("Date").span, to: bytes("D").span)
        let result = forwarded("HTTP/1.1 204 N\r\nDate: x\r\n\r\n", edits: edits)
        #expect(result == "HTTP/1.1 204 N\nDate: D\nX-Request-Id: ID\nVia: 1.1 proxy\n\n")
    }

    @Test func `a route removes what the proxy would add`() throws {
        var edits = FieldEdits()
        try edits.remove(bytes("via").span)
        try edits.remove(bytes("Date").span)
        let result = forwarded("HTTP/1.1 204 N\r\nDate: x\r\nVia: y\r\n\r\n", edits: edits)
        #expect(result == "HTTP/1.1 204 N\nX-Request-Id: ID\n\n")
    }

    @Test func `an error says its status, word and request id`() {
        var answer = ErrorAnswer(
            LocalResponse(status: 503, keepsAlive: true), word: "connection_limit_reached",
            retryAfter: 1)
        let head = """
            HTTP/1.1 503 Service Unavailable
            Date: DATE
            X-Request-Id: ID
            Content-Type: text/plain
            Content-Length: 60
            Proxy-Status: proxy; error=connection_limit_reached
            Retry-After: 1


            """
        let body = "503 Service Unavailable\nconnection_limit_reached\nrequest ID\n"
        let marks = ResponseMarks(requestID: id.span, date: date.span)
        #expect(body.utf8.count == 60)
        #expect(lines { $0.write(error: answer, detail: Span(), marks: marks) } == head + body)
        answer.isHead = true
        #expect(lines { $0.write(error: answer, detail: Span(), marks: marks) } == head)
    }

    @Test func `a refused request is told the rule and that its connection ends`() throws {
        let marks = ResponseMarks(requestID: id.span, date: date.span)
        let text = lines {
            $0.write(error: ErrorAnswer(.badHost), detail: Refusal.badHost.rule.bytes, marks: marks)
        }
        #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\n"))
        #expect(text.contains("\nConnection: close\n"))
        let rule = "\(Refusal.badHost.rule)"
        let body = "400 Bad Request\nhttp_request_error\n\(rule)\nrequest ID\n"
        #expect(text.hasSuffix("\n\n" + body))
        #expect(text.contains("\nContent-Length: \(body.utf8.count)\n"))
    }

    @Test(arguments: [
        ("GET /a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", "https://h:8443/a?b"),
        ("GET http://H HTTP/1.1\r\nHost: h\r\n\r\n", "https://H:8443/"),
        ("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "https://[::1]:8443/"),
        ("GET / HTTP/1.0\r\n\r\n", "https://10.0.0.1:8443/"),
    ])
    func `a redirect keeps host and target`(text: String, location: String) {
        let request = bytes(text)
        var parser = RequestHeadParser()
        var head = RequestHead(fieldCapacity: 4)
        _ = parser.parse(request.span, limits: HeadLimits(), into: &head)
        let (address, authority) = (bytes("1.2.3.4"), bytes("10.0.0.1:80"))
        let template = bytes("https://{host}:8443{target}")
        let result = lines {
            let origin = RequestOrigin(
                address: address.span, named: Span(), port: 1, isSecure: false, serverPort: 80,
                authority: authority.span, requestID: id.span, isTrusted: false)
            $0.write(
                redirect: LocalResponse(
                    status: 308, keepsAlive: true, clientVersion: head.version),
                to: template.span, of: head, from: request.span, origin: origin, date: date.span)
        }
        #expect(result.hasPrefix("HTTP/1.1 308 Permanent Redirect\n"))
        #expect(result.hasSuffix("Location: \(location)\nContent-Length: 0\n\n"))
        #expect(result.contains("Connection: keep-alive\n") == (head.version == .http10))
    }

    @Test func `a configured answer has one date, its own where it gives one`() throws {
        var edits = FieldEdits()
        try edits.set(bytes("date").span, to: bytes("yesterday").span)
        let marks = ResponseMarks(requestID: id.span, date: date.span)
        let response = LocalResponse(status: 200, keepsAlive: true)
        let dates = [FieldEdits(), edits].map { edits in
            lines { $0.write(fixed: response, bodyBytes: 0, edits: edits, marks: marks) }
                .split(separator: "\n").filter { $0.lowercased().hasPrefix("date: ") }
        }
        #expect(dates[0].count == 1 && dates[1] == ["date: yesterday"])
    }

    @Test func `a configured answer has its fields`() throws {
        var edits = FieldEdits()
        try edits.set(bytes("X-A").span, to: bytes("b").span)
        let marks = ResponseMarks(requestID: id.span, date: date.span)
        let response = LocalResponse(status: 200, keepsAlive: true)
        #expect(
            lines { $0.write(fixed: response, bodyBytes: 5, edits: edits, marks: marks) }
                == "HTTP/1.1 200 OK\nDate: DATE\nX-Request-Id: ID\nX-A: b\nContent-Length: 5\n\n")
        let none = LocalResponse(status: 204, keepsAlive: true)
        let empty = lines { $0.write(fixed: none, bodyBytes: 0, edits: FieldEdits(), marks: marks) }
        #expect(empty == "HTTP/1.1 204 No Content\nDate: DATE\nX-Request-Id: ID\n\n")
    }

    @Test(
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        ] as [(UInt64, String)])
    func `writes dates`(seconds: UInt64, text: String) {
        #expect(lines { $0.write(httpDate: seconds) } == text)
        #expect(text.utf8.count == ByteWriter.httpDateBytes)
    }

    @Test func `chunks are framed, and trailers follow the last one`() {
        let text = written {
            $0.write(chunkSize: 5)
            $0.write("hello")
            $0.writeChunkEnd()
            $0.writeLastChunk()
        }
        #expect(decodeBody(text, .chunked).data == bytes("hello"))
        #expect(written { $0.writeLastChunk() }.count == ChunkFraming.lastChunkBytes)
        #expect(written { $0.write(chunkSize: .max) }.count <= ChunkFraming.sizeLineBytesMax)
        let body = bytes("0\r\nX-A:1\r\nHost: h\r\nX-B: 2\r\n\r\n")
        var decoder = BodyDecoder(.chunked)
        var table = FieldTable(capacity: 4)
        #expect(decoder.next(body.span, trailers: &table) == .end(consumed: body.count))
        #expect(
            lines { $0.writeLastChunk(trailers: table, from: body.span, edits: FieldEdits()) }
                == "0\nX-A: 1\nX-B: 2\n\n")
    }

    @Test func `what a route sets or removes passes in no trailer and in no interim response`()
        throws
    {
        var edits = FieldEdits()
        try edits.remove(bytes("X-Secret").span)
        try edits.set(bytes("X-Role").span, to: bytes("guest").span)
        try edits.set(bytes("Server").span, to: bytes("s").span)
        let fields = "x-secret: 1\r\nX-A: a\r\nX-ROLE:admin\r\nServer: x\r\nX_Role: admin\r\n\r\n"
        let body = bytes("0\r\n" + fields)
        var decoder = BodyDecoder(.chunked)
        var table = FieldTable(capacity: 8)
        #expect(decoder.next(body.span, trailers: &table) == .end(consumed: body.count))
        #expect(
            lines { $0.writeLastChunk(trailers: table, from: body.span, edits: edits) }
                == "0\nX-A: a\nX_Role: admin\n\n")
        let toWorker = lines {
            $0.writeLastChunk(
                trailers: table, from: body.span, dropsUnderscores: true, edits: edits)
        }
        #expect(toWorker == "0\nX-A: a\n\n")
        #expect(
            forwarded("HTTP/1.1 103 Early Hints\r\n" + fields, edits: edits)
                == "HTTP/1.1 103 Early Hints\nX-A: a\nX_Role: admin\n\n")
    }
}
