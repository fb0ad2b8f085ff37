import Foundation
import Memory

@testable import Signals

/// Runs `body` on a writer of `capacity` bytes and returns what it wrote.
func written(capacity: Int = 200_000, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
    var scratch = ByteScratch(capacity: capacity)
    body(&scratch.writer)
    return array(scratch.bytes)
}

func text(capacity: Int = 200_000, _ body: (inout ByteWriter) -> Void) -> String {
    String(decoding: written(capacity: capacity, body), as: UTF8.self)
}

func array(_ span: Span<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    for index in span.indices { bytes.append(span[index]) }
    return bytes
}

/// A generator whose numbers follow from its seed.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A request as an edge knows it, its text in one array.
struct SampleRequest {
    var facts: RequestFacts
    var result = RequestResult()
    var head: [UInt8] = []
    var service = Array("web".utf8)
    var endpoint = Array("web/3".utf8)
    var sni = Array("shop.example".utf8)

    /// 2026-11-22T08:00:01.237456789Z
    static let wall: UInt64 = 1_795_334_401_237_456_789

    init() {
        facts = RequestFacts(
            id: RequestID(Array("01JD0000000000000000000001".utf8).span)!, wall: Self.wall,
            remote: PeerAddress(ipv4: 0x7F00_0001), remotePort: 51234, scheme: .https,
            version: .http11,
            tls: TLSFacts(
                version: 0x0304, cipher: 0x1301, group: 29, isResumed: false, alpn: .http1),
            connection: 17, connectionRequests: 3)
        result.status = 200
        result.requestBytes = 0
        result.responseBytes = 1234
        result.duration = 1_234_567
        result.queue = 999
        result.firstByte = 1_000_001_000
        result.worker = 3
        result.pid = 812
        set(\.method, "GET")
        set(\.target, "/worker?a=1")
        set(\.host, "shop.example")
        set(\.userAgent, "curl/8.5.0")
    }

    mutating func set(_ part: WritableKeyPath<RequestFacts, ByteRange>, _ text: String) {
        set(part, Array(text.utf8))
    }

    mutating func set(_ part: WritableKeyPath<RequestFacts, ByteRange>, _ text: [UInt8]) {
        facts[keyPath: part] = ByteRange(start: head.count, count: text.count)
        head += text
    }

    func withText<Result>(_ body: (RequestText) -> Result) -> Result {
        body(
            RequestText(
                head: head.span, service: service.span, endpoint: endpoint.span, sni: sni.span))
    }

    func line(_ format: RequestLine.Format) -> String {
        var line = RequestLine()
        return text { writer in
            withText { line.write(format, facts, result, $0, to: &writer) }
        }
    }

    func finishedRecord() -> [UInt8] {
        written { writer in
            withText { writer.writeFinished(facts, result, $0, wall: Self.wall + 5_000_000) }
        }
    }
}

/// Reads one JSON object by a parser that is not ours.
func object(_ text: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
}
