import HTTP
import Memory
import Testing

/// A request head with one more line in it.
private func get(_ line: String) -> String { "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n" }

@Suite struct RequestHeadTests {
    @Test func `reads a plain request whole`() throws {
        let text = bytes(
            "GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com:8080\r\nX-One:  1 \r\nEmpty:\r\n\r\nrest")
        let head = try #require(parseRequest(text).summary)
        #expect(head.length == text.count - 4)
        #expect(head.method == "GET" && head.code == .get)
        #expect(head.path == "/a/b" && head.query == "c=d&e" && head.form == .origin)
        #expect(head.host == "example.com:8080" && head.hostName == "example.com")
        #expect(head.port == 8080 && head.version == .http11 && head.framing == .none)
        #expect(head.keepsAlive && !head.expectsContinue && head.upgrade == .none)
        #expect(
            head.fields == [
                FieldText(name: "Host", value: "example.com:8080", isHopByHop: false),
                FieldText(name: "X-One", value: "1", isHopByHop: false),
                FieldText(name: "Empty", value: "", isHopByHop: false),
            ])
    }

    @Test(arguments: [
        ("GET", HTTP.Method.get), ("HEAD", .head), ("POST", .post), ("PUT", .put),
        ("DELETE", .delete), ("OPTIONS", .options), ("TRACE", .trace), ("PATCH", .patch),
        ("PURGE", .other), ("M-SEARCH", .other), ("GETS", .other), ("UPDATEREDIRECTREF", .other),
    ])
    func `tells methods apart`(name: String, code: HTTP.Method) throws {
        let head = parseRequest(bytes("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n")).summary
        #expect(head?.code == code && head?.method == name)
    }

    @Test(
        arguments: [
            ("/", TargetForm.origin, "/", nil), ("/?", .origin, "/", ""),
            ("//x", .origin, "//x", nil), ("/a?b?c\\d", .origin, "/a", "b?c\\d"),
            ("/%2e%2E/\"<>^`{|}", .origin, "/%2e%2E/\"<>^`{|}", nil),
            ("http://b", .absolute, "", nil), ("http://b?q", .absolute, "", "q"),
            ("HTTP://b:81/p?q", .absolute, "/p", "q"), ("https://b/", .absolute, "/", nil),
        ] as [(String, TargetForm, String, String?)])
    func `takes targets apart`(
        target: String, form: TargetForm, path: String, query: String?
    ) throws {
        let text = bytes("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try #require(parseRequest(text).summary)
        #expect(head.form == form && head.path == path && head.query == query)
        #expect(head.hostName == (form == .absolute ? "b" : "a"))
    }

    @Test func `an asterisk is for OPTIONS alone`() {
        let text = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parseRequest(bytes(text)).summary?.form == .asterisk)
        #expect(
            parseRequest(bytes("GET * HTTP/1.1\r\nHost: a\r\n\r\n")) == .refused(.oddTarget))
    }

    @Test(arguments: [
        "a", "a:80", "example.com.", "a_b-c~d.E", "127.0.0.1:65535", "[::1]", "[::]:1",
        "[2001:db8:0:0:0:0:0:1]:8443", "[fe80::1:2]", "[::ffff:10.0.0.1]", "[1:2:3:4:5:6:1.2.3.4]",
        "[1::]",
    ])
    func `accepts a host`(host: String) {
        let head = parseRequest(bytes("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")).summary
        #expect(head?.host == host)
    }

    @Test(arguments: [
        "", ":80", "a:", "a:0", "a:65536", "a:+1", "a:8a", "a:80:80", "u@a", "u:p@a", "a,b", "a b",
        "a/b", "a%41", "a?b", "a#b", "a\\b", ".a", "a..b", ".", "[", "[]", "[:]", "[::1", "::1",
        "[::1]a", "[::1]:", "[1::2::3]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3]", "[12345::]", "[::g]",
        "[::1%25eth0]", "[v1.a]", "[::1.2.3]", "[::256.1.1.1]", "[1:2:3:4:5:6:7:1.2.3.4]", "é",
        "[1:]", "[1:2:3:4:5:6:7::8]x", "a\"", String(repeating: "a", count: 255),
    ])
    func `refuses a host`(host: String) {
        let field = "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"
        #expect(parseRequest(bytes(field)) == .refused(.badHost))
    }

    @Test(arguments: [
        "http://", "http:///p", "http://u@a/", "http://a:b/", "https://a,b/", "http://?q",
    ])
    func `refuses an absolute target's host`(target: String) {
        let text = "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parseRequest(bytes(text)) == .refused(.badAuthority))
    }

    @Test func `a bad Host is refused behind an absolute target as well`() {
        let text = "GET http://a/ HTTP/1.1\r\nHost: b,c\r\n\r\n"
        #expect(parseRequest(bytes(text)) == .refused(.badHost))
    }

    @Test func `HTTP 1.0 needs no Host and keeps its connection only when asked`() throws {
        let plain = try #require(parseRequest(bytes("GET / HTTP/1.0\r\n\r\n")).summary)
        #expect(plain.version == .http10 && plain.host.isEmpty && !plain.keepsAlive)
        let kept = parseRequest(bytes("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"))
        #expect(kept.summary?.keepsAlive == true)
    }

    @Test(arguments: [
        ("Connection: close", false), ("Connection: foo, CLOSE", false),
        ("Connection: keep-alive", true), ("Connection: ,, ,x", true),
        ("Connection: close, keep-alive", false), ("X: close", true),
    ])
    func `keeps an HTTP 1.1 connection unless told to close`(line: String, keeps: Bool) {
        #expect(parseRequest(bytes(get(line))).summary?.keepsAlive == keeps)
    }

    @Test(arguments: [
        ("Content-Length: 5", BodyFraming.length(5)), ("Content-Length: 0", .none),
        ("content-length:7", .length(7)), ("Content-Length: 007", .length(7)),
        ("CONTENT-LENGTH: 999999999999999999", .length(999_999_999_999_999_999)),
        ("Transfer-Encoding: chunked", .chunked), ("transfer-encoding:CHUNKED", .chunked),
        ("X: y", .none),
    ])
    func `finds how the body is framed`(line: String, framing: BodyFraming) {
        #expect(parseRequest(bytes(get(line))).summary?.framing == framing)
    }

    @Test func `a client may wait for 100 when it has a body`() {
        let body = get("Expect: 100-Continue\r\nContent-Length: 1")
        #expect(parseRequest(bytes(body)).summary?.expectsContinue == true)
        #expect(parseRequest(bytes(get("Expect: 100-continue"))).summary?.expectsContinue == false)
        let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        #expect(parseRequest(bytes(old)).summary?.expectsContinue == false)
    }

    @Test(arguments: [
        ("Upgrade: websocket\r\nConnection: Upgrade", Upgrade.webSocket),
        ("Upgrade: WebSocket\r\nConnection: keep-alive, upgrade", .webSocket),
        ("Upgrade: websocket", .none), ("Upgrade: h2c\r\nConnection: upgrade", .other),
        ("Upgrade: websocket, h2c\r\nConnection: upgrade", .other),
        ("Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: upgrade", .other),
        ("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1", .other),
    ])
    func `an upgrade is WebSocket, something else, or none`(lines: String, upgrade: Upgrade) {
        #expect(parseRequest(bytes(get(lines))).summary?.upgrade == upgrade)
    }

    @Test func `fields named by Connection end here, but not those the proxy owns`() throws {
        let lines =
            "Connection: X-One, host, cookie, x-forwarded-for\r\nx-one: 1\r\nCookie: c\r\n"
            + "X-Forwarded-For: 1\r\nX-Two: 2\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy: p"
        let head = try #require(parseRequest(bytes(get(lines))).summary)
        let ending = head.fields.filter(\.isHopByHop).map(\.name)
        #expect(ending == ["Connection", "x-one", "Cookie", "Keep-Alive", "TE", "Proxy"])
    }

    @Test func `a few empty lines before a request are skipped`() {
        let text = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parseRequest(bytes(text)).summary?.length == text.utf8.count)
        let many = String(repeating: "\r\n", count: RequestHeadParser.emptyLinesMax + 1)
        #expect(parseRequest(bytes(many)) == .refused(.tooManyEmptyLines))
    }

    @Test func `a parser that ended a head is ready for the next one`() {
        let one = bytes("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        let both = one + bytes("GET /22 HTTP/1.1\r\nHost: b\r\n\r\n")
        var parser = RequestHeadParser()
        var head = RequestHead(fieldCapacity: 4)
        let first = parser.parse(both.span, limits: HeadLimits(), into: &head)
        #expect(first == .complete(one.count))
        let rest = Array(both[one.count...])
        #expect(!parser.hasBegun)
        let second = parser.parse(rest.span, limits: HeadLimits(), into: &head)
        #expect(second == .complete(rest.count))
        #expect(rest.text(head.path) == "/22" && head.fields.count == 1)
    }
}
