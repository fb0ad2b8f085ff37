import HTTP
import Memory
import Testing

/// How a test sends a request on.
struct Sending {
    var line = RequestForwarding()
    var end: RequestEnd
    /// The place in a worker of our own.
    var place: UInt16?
}

/// Sends a request on and returns the head that an upstream would get.
func sent(
    _ request: [UInt8], address: String = "192.0.2.1", named: String = "", isSecure: Bool = true,
    isTrusted: Bool = false, keepsForwarded: Bool = true, edits: FieldEdits = FieldEdits(),
    _ change: (inout Sending) -> Void = { _ in }
) -> [UInt8]? {
    var parser = RequestHeadParser()
    var head = RequestHead(fieldCapacity: 128)
    let step = parser.parse(request.span, limits: HeadLimits(), into: &head)
    guard case .complete = step else { return nil }
    var sending = Sending(end: RequestEnd(framing: head.framing))
    sending.line.keepsTrailer = head.framing == .chunked
    sending.end.saysLength = head.method == .post || head.method == .put
    change(&sending)
    sending.line.toOwnWorker = sending.place != nil
    let (place, authority, id) = (bytes(address), bytes("10.0.0.1:8443"), bytes("ID"))
    let client = bytes(named)
    return written { writer in
        let origin = RequestOrigin(
            address: place.span, named: client.span, port: 51234, isSecure: isSecure,
            serverPort: 8443, authority: authority.span, requestID: id.span, isTrusted: isTrusted,
            keepsForwarded: keepsForwarded)
        writer.write(requestLine: head, from: request.span, as: sending.line)
        if let place = sending.place {
            writer.write(peerPlace: place)
            writer.write(peerOf: head, from: request.span, origin: origin, as: sending.line)
        }
        writer.write(
            requestFields: head, from: request.span, origin: origin, as: sending.line,
            edits: edits)
        writer.write(requestEnd: sending.end)
    }
}

/// As `sent`, as text with plain line ends.
func forwarded(
    _ text: String, address: String = "192.0.2.1", named: String = "", isSecure: Bool = true,
    isTrusted: Bool = false, keepsForwarded: Bool = true, edits: FieldEdits = FieldEdits(),
    _ change: (inout Sending) -> Void = { _ in }
) -> String {
    let result = sent(
        bytes(text), address: address, named: named, isSecure: isSecure, isTrusted: isTrusted,
        keepsForwarded: keepsForwarded, edits: edits, change)
    return String(decoding: result ?? bytes("refused"), as: UTF8.self)
        .replacing("\r\n", with: "\n")
}

@Suite struct RequestWritingTests {
    @Test func `a server gets the request with its client's host and what we know of the client`() {
        let text =
            "GET /a?b HTTP/1.1\r\nHost: example.com:8443\r\nX-One:1\r\nAccept: x\r\n"
            + "Keep-Alive: 5\r\nConnection: X-Two\r\nX-Two: 2\r\nX-Forwarded-For: 6.6.6.6\r\n"
            + "Forwarded: for=6.6.6.6\r\nX-Request-Id: theirs\r\nproxy-peer: 0 http\r\n"
            + "X-Three:  3 \r\n\r\n"
        #expect(
            forwarded(text) == """
                GET /a?b HTTP/1.1
                X-Request-Id: ID
                Host: example.com:8443
                X-One: 1
                Accept: x
                X-Three: 3
                Forwarded: for=192.0.2.1;proto=https;host="example.com:8443"
                X-Forwarded-For: 192.0.2.1
                X-Forwarded-Proto: https
                X-Forwarded-Host: example.com:8443
                X-Forwarded-Port: 8443
                Via: 1.1 proxy


                """)
    }

    @Test func `our own worker gets one field that says who the client is, and no other does`() {
        let text =
            "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Forwarded-For: 6.6.6.6\r\n"
            + "X_Forwarded_For: 7.7.7.7\r\nX-A_B: c\r\nProxy-Peer: 9\r\n\r\n"
        let result = forwarded(text, address: "2001:db8::1") {
            $0.place = 7
            $0.line.strippedBytes = 4
            $0.line.dropsUnderscores = true
        }
        #expect(
            result == """
                POST /x HTTP/1.1
                proxy-peer: 7 https 2001:db8::1 51234 8443 /api
                X-Request-Id: ID
                Host: a
                Via: 1.1 proxy
                Content-Length: 3


                """)
    }

    @Test func `our own worker is told of a client that speaks HTTP/1.0`() {
        let text = "GET /api/x HTTP/1.0\r\nHost: a\r\n\r\n"
        let result = forwarded(text) { $0.place = 0 }
        #expect(result.contains("proxy-peer: 0 https 192.0.2.1 51234 8443 - HTTP/1.0\n"))
        #expect(result.hasPrefix("GET /api/x HTTP/1.1\n"))
    }

    @Test func `what a trusted proxy says is kept and added to`() {
        let text =
            "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.1.1.1\r\n"
            + "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
            + "X-Forwarded-For: 3.3.3.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"
            + "X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /p\r\nVia: 1.0 x\r\n\r\n"
        #expect(
            forwarded(text, address: "::1", named: "1.1.1.1", isTrusted: true) == """
                GET / HTTP/1.1
                X-Request-Id: ID
                Host: a
                Via: 1.0 x
                Forwarded: for=1.1.1.1, for="[::1]";proto=https;host="a"
                X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, ::1
                X-Forwarded-Proto: https
                X-Forwarded-Host: b
                X-Forwarded-Port: 443
                X-Forwarded-Prefix: /p
                Via: 1.1 proxy


                """)
    }

    @Test(arguments: [
        ("X-Forwarded-For: 9.9.9.9\r\nForwarded: for=6.6.6.6\r\n", false),
        ("X-Forwarded-For: 9.9.9.9\r\n", true), ("Forwarded: for=9.9.9.9;proto=https\r\n", true),
    ])
    func `both ways to name the client say the same`(fields: String, keepsForwarded: Bool) {
        let result = forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n", address: "::1", named: "9.9.9.9",
            isTrusted: true, keepsForwarded: keepsForwarded)
        #expect(
            result.contains(
                "\nForwarded: for=9.9.9.9;proto=https, for=\"[::1]\";proto=https;host=\"a\"\n"))
        #expect(result.contains("\nX-Forwarded-For: 9.9.9.9, ::1\n"))
        #expect(result.contains("\nX-Forwarded-Proto: https\n"))
    }

    @Test(arguments: [
        ("/api/x?q", 4, "/x?q", "/api"), ("/api/x", 5, "/x", "/api"), ("/api", 4, "/", "/api"),
        ("/api?q", 4, "/?q", "/api"), ("/x", 0, "/x", nil), ("http://h", 0, "/", nil),
        ("http://h?", 0, "/?", nil), ("/x", 1, "/x", nil),
    ])
    func `strips a prefix off the path`(target: String, count: Int, sent: String, prefix: String?) {
        let text = "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n"
        let result = forwarded(text) { $0.line.strippedBytes = count }
        #expect(result.hasPrefix("GET \(sent) HTTP/1.1\n"))
        if let prefix { #expect(result.contains("\nX-Forwarded-Prefix: \(prefix)\n")) }
        #expect(result.contains("X-Forwarded-Prefix") == (prefix != nil))
    }

    @Test func `an asterisk stays, and an old client without Host gets ours`() {
        let options = forwarded("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(options.hasPrefix("OPTIONS * HTTP/1.1\n"))
        let old = forwarded("GET / HTTP/1.0\r\n\r\n")
        #expect(old.contains("\nHost: 10.0.0.1:8443\n") && old.contains(";proto=https\n"))
    }

    @Test(arguments: [
        ("GET", BodyFraming.none, ""), ("POST", .none, "Content-Length: 0\n"),
        ("PUT", .length(0), "Content-Length: 0\n"), ("GET", .length(5), "Content-Length: 5\n"),
        ("POST", .chunked, "Transfer-Encoding: chunked\n"),
    ])
    func `the body is framed as asked, whatever the client did`(
        method: String, framing: BodyFraming, field: String
    ) {
        let text = "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTrailer: T\r\n\r\n"
        let result = forwarded(text) {
            $0.end.framing = framing
            $0.line.keepsTrailer = framing == .chunked
        }
        #expect(result.hasSuffix("Via: 1.1 proxy\n\(field)\n"))
        #expect(result.contains("Trailer: T\n") == (framing == .chunked))
    }

    @Test func `upgrade, close and expectation are passed on when asked`() {
        let text =
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: k\r\n\r\n"
        let upgrade = forwarded(text) { $0.end.upgrades = true }
        #expect(upgrade.hasSuffix("Connection: Upgrade\nUpgrade: websocket\n\n"))
        #expect(upgrade.contains("\nSec-WebSocket-Key: k\n"))
        #expect(!forwarded(text).lowercased().contains("upgrade"))
        #expect(forwarded(text) { $0.end.closes = true }.hasSuffix("Connection: close\n\n"))
        let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        #expect(!forwarded(body).contains("Expect"))
        let waiting = forwarded(body) { $0.end.forwardsExpectation = true }
        #expect(waiting.hasSuffix("Content-Length: 1\nExpect: 100-continue\n\n"))
    }

    @Test func `a route sets and removes fields`() throws {
        var edits = FieldEdits()
        try edits.set(bytes("X-New").span, to: bytes("new value").span)
        try edits.set(bytes("Host").span, to: bytes("inner").span)
        try edits.set(bytes("accept").span, to: bytes("json").span)
        try edits.remove(bytes("cookie").span)
        try edits.remove(bytes("x-old").span)
        let text =
            "GET / HTTP/1.1\r\nHost: a\r\nX-Old: 1\r\nAccept: x\r\nX-Older: 2\r\nCookie: c\r\n"
            + "X-NEW: 3\r\n\r\n"
        let result = forwarded(text, edits: edits) { $0.place = 0 }
        #expect(
            result.hasSuffix(
                "X-Request-Id: ID\nX-Older: 2\nX-New: new value\nHost: inner\naccept: json\n"
                    + "Via: 1.1 proxy\n\n"))
    }

    @Test func `a route sets and removes what the proxy would say of the client`() throws {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        let names = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]
        for name in names + ["X-Forwarded-Port", "Via"] {
            let others = forwarded(text).split(separator: "\n").filter {
                !$0.hasPrefix("\(name): ")
            }
            var removing = FieldEdits()
            try removing.remove(bytes(name).span)
            #expect(forwarded(text, edits: removing).split(separator: "\n") == others)
            var setting = FieldEdits()
            try setting.set(bytes(name).span, to: bytes("mine").span)
            let lines = forwarded(text, edits: setting).split(separator: "\n")
            #expect(lines.filter { $0.hasPrefix("\(name): ") } == ["\(name): mine"])
        }
    }

    @Test func `a route cannot set what would break messages`() {
        var edits = FieldEdits()
        let value = bytes("x")
        #expect(throws: FieldEditError.badName) { try edits.set(bytes("a b").span, to: value.span) }
        #expect(throws: FieldEditError.badName) { try edits.remove(bytes("").span) }
        #expect(throws: FieldEditError.badValue) {
            try edits.set(bytes("a").span, to: bytes("x\r\ny").span)
        }
        for name in ["Content-Length", "transfer-encoding", "Connection", "proxy-peer"] {
            #expect(throws: FieldEditError.reserved) { try edits.remove(bytes(name).span) }
        }
        #expect(edits.isEmpty)
    }
}
