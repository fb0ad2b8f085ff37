import Foundation
import Memory
import Testing

@testable import Signals

@Suite struct RequestLineTests {
    @Test func `the JSON line has all keys of the contract in their order`() {
        #expect(
            SampleRequest().line(.json) == """
                {"time":"2026-11-22T08:00:01.237Z","id":"01JD0000000000000000000001",\
                "remote":"127.0.0.1","remote_port":51234,"scheme":"https","host":"shop.example",\
                "method":"GET","target":"/worker?a=1","protocol":"HTTP/1.1","status":200,\
                "request_bytes":0,"response_bytes":1234,"duration":0.001234,"queue":0.000000,\
                "connect":null,"first_byte":1.000001,"service":"web","endpoint":"web/3","worker":3,\
                "pid":812,"retries":0,"connection":17,"connection_requests":3,"referer":null,\
                "user_agent":"curl/8.5.0","tls":{"version":"TLSv1.3","cipher":\
                "TLS_AES_128_GCM_SHA256","group":"X25519","resumed":false,"sni":"shop.example",\
                "alpn":"http/1.1"},"outcome":"ok","error":null}

                """)
    }

    @Test func `a head that could not be read has the same keys, null`() throws {
        var sample = SampleRequest()
        sample.facts.method = .empty
        sample.facts.target = .empty
        sample.facts.host = .empty
        sample.facts.userAgent = .empty
        sample.facts.version = .unknown
        sample.facts.tls = .none
        sample.facts.scheme = .http
        sample.service = []
        sample.endpoint = []
        sample.result = RequestResult()
        sample.result.status = 400
        sample.result.outcome = .rejected
        sample.result.failure = .httpRequestError
        let full = try object(SampleRequest().line(.json))
        let line = try object(sample.line(.json))
        #expect(Set(line.keys) == Set(full.keys))
        for key in [
            "method", "target", "host", "user_agent", "protocol", "tls", "service", "endpoint",
            "worker", "pid", "queue", "connect", "first_byte",
        ] { #expect(line[key] is NSNull, "\(key)") }
        #expect(line["outcome"] as? String == "rejected")
        #expect(line["error"] as? String == "http_request_error")
        #expect(
            sample.line(.combined) == """
                127.0.0.1 - - [22/Nov/2026:08:00:01 +0000] "-" 400 0 "-" "-" 0.000000 - \
                01JD0000000000000000000001

                """)
    }

    @Test func `the combined line ends with duration, endpoint and id`() {
        #expect(
            SampleRequest().line(.combined) == """
                127.0.0.1 - - [22/Nov/2026:08:00:01 +0000] "GET /worker?a=1 HTTP/1.1" 200 1234 "-" \
                "curl/8.5.0" 0.001234 web/3 01JD0000000000000000000001

                """)
    }

    /// Text as attackers send it, and what a JSON parser has to read from the line.
    static let hostile: [([UInt8], String)] = [
        (Array("a\nb".utf8), "a\nb"), (Array("a\r\n{\"x\":1}".utf8), "a\r\n{\"x\":1}"),
        (Array("\",\"status\":200,\"x\":\"".utf8), "\",\"status\":200,\"x\":\""),
        (Array("\\\"\\".utf8), "\\\"\\"), ([0x00, 0x1B, 0x5B, 0x7F], "\u{0}\u{1B}[\u{7F}"),
        ([0xC2, 0x9B, 0x41], "\u{9B}A"), (Array("grüße 漢字 🙂".utf8), "grüße 漢字 🙂"),
        ([0x41, 0xFF, 0x42], "A\u{FFFD}B"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"),
        ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xF0, 0x9F, 0x99], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xE2, 0x80, 0xA8], "\u{2028}"),
        ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
    ]

    @Test(arguments: hostile)
    func `no text breaks out of its JSON string or its line`(bytes: [UInt8], expected: String)
        throws
    {
        var sample = SampleRequest()
        sample.set(\.userAgent, bytes)
        let line = sample.line(.json)
        #expect(try object(line)["user_agent"] as? String == expected)
        #expect(line.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        #expect(line.utf8.last == 0x0A)
    }

    @Test(arguments: hostile)
    func `no text breaks out of its place in a combined line`(bytes: [UInt8], _: String) throws {
        var sample = SampleRequest()
        sample.set(\.target, bytes)
        sample.set(\.referer, bytes)
        sample.endpoint = bytes
        let line = sample.line(.combined)
        #expect(line.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(line.utf8.filter { $0 == 0x22 }.count == 6)
        #expect(line.hasSuffix(" 01JD0000000000000000000001\n"))
    }

    @Test func `random bytes in every text make one line of valid JSON`() throws {
        var random = Seeded(state: 11)
        for _ in 0..<300 {
            var sample = SampleRequest()
            for part in [\RequestFacts.method, \.target, \.host, \.referer, \.userAgent] {
                let size = Int(random.next() % 40)
                sample.set(part, (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            }
            sample.sni = (0..<9).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let line = sample.line(.json)
            #expect(try object(line).count == 28)
            #expect(line.utf8.filter { $0 == 0x0A }.count == 1)
        }
    }

    @Test func `long text is cut, and the longest line has the stated size`() throws {
        var sample = SampleRequest()
        let long = [UInt8](repeating: 0x01, count: 100_000)
        for part in [\RequestFacts.method, \.target, \.host, \.referer, \.userAgent] {
            sample.set(part, long)
        }
        sample.service = long
        sample.endpoint = long
        sample.sni = long
        sample.facts.remote = PeerAddress(ipv6High: .max, low: .max)
        sample.facts.tls.cipher = 0xCCA9
        sample.facts.connection = .max
        sample.facts.connectionRequests = .max
        sample.result.requestBytes = .max
        sample.result.responseBytes = .max
        sample.result.duration = .max
        sample.result.queue = .max - 1
        sample.result.connect = .max - 1
        sample.result.firstByte = .max - 1
        sample.result.worker = .max
        sample.result.pid = .max
        sample.result.retries = .max
        sample.result.outcome = .upstreamFailed
        sample.result.failure = .httpResponseHeaderSectionSize
        let json = sample.line(.json)
        #expect(json.utf8.count <= RequestLine.lineBytesMax)
        #expect((try object(json)["target"] as? String)?.count == RequestLine.targetBytesMax)
        #expect(sample.line(.combined).utf8.count <= RequestLine.lineBytesMax)
    }

    @Test(arguments: [
        (3, "ab"), (4, "ab\u{20AC}"), (5, "ab\u{20AC}"), (6, "ab\u{20AC}c"), (2, "ab"), (1, "a"),
    ])
    func `a character is never cut in two`(limit: Int, expected: String) throws {
        let bytes = Array("ab\u{20AC}cd".utf8)
        let cut = limit == 4 ? "ab" : limit == 3 ? "ab" : expected
        #expect(text { $0.writeJSON(bytes.span, cutAt: limit) } == "\"\(cut)\"")
    }

    @Test func `pieces that are no UTF-8 are cut where the limit says`() {
        let bytes = [UInt8](repeating: 0x80, count: 10)
        #expect(text { $0.writeJSON(bytes.span, cutAt: 2) } == "\"\\ufffd\\ufffd\"")
    }
}
