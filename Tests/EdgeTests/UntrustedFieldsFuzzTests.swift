import Board
import Configuration
import Fuzzing
import Glibc
import HTTP
import Memory
import Testing

@testable import Edge

/// An address as the C library reads it: 16 bytes, IPv4 in its mapped form.
private func read(_ text: String) -> [UInt8]? {
    guard !text.utf8.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    if unsafe inet_pton(AF_INET, text, &bytes) == 1 {
        return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255] + bytes.prefix(4)
    }
    return unsafe inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
}

/// An element of a list without the brackets and the port that it may have; nil for another form.
private func bare(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    let colons = text.indices.filter { text[$0] == 0x3a }
    guard text.first == 0x5b else {
        guard colons.count == 1 else { return text }
        return colons[0] < text.endIndex - 1 ? text[..<colons[0]] : nil
    }
    guard let bracket = text.lastIndex(of: 0x5d) else { return nil }
    let port = text[(bracket + 1)...]
    let isPort = port.first == 0x3a && port.count > 1 && !port.dropFirst().contains(0x3a)
    return port.isEmpty || isPort ? text[(text.startIndex + 1)..<bracket] : nil
}

/// `10.0.0.0/8` or `fd00::/8`.
private func isTrusted(_ address: [UInt8]) -> Bool {
    address[0] == 0xfd || address.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10])
}

/// The client that a list names: from its end on, the first address that is not trusted, else the
/// last that was readable.
func fuzzForwardedFor(_ values: [[UInt8]], _ found: IPAddress?) -> String? {
    var wanted: [UInt8]?
    let elements = values.flatMap { $0.split(separator: 0x2c) }
    for element in elements.reversed() {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        var text = element.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        if text.isEmpty { continue }
        guard let bare = bare(text), let address = read(String(decoding: bare, as: UTF8.self))
        else { break }
        wanted = address
        if !isTrusted(address) { break }
    }
    let bytes = found.map { address in
        [address.high, address.low].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }
    return bytes == wanted ? nil : "names \(found.debugDescription)"
}

/// The three parts of a said exception, by splitting and decoding.
func fuzzException(_ text: [UInt8], said: ([UInt8]) -> [[UInt8]]) -> String? {
    var parts = text.split(separator: 0x3b, maxSplits: 2, omittingEmptySubsequences: false)
    while parts.count < 3 { parts.append([]) }
    let wanted = parts.map { part in
        var rest = part
        var decoded: [UInt8] = []
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            let isHex = digits.utf8.count == 2 && digits.allSatisfy { $0.isASCII && $0.isHexDigit }
            if byte == 0x25, isHex, let value = UInt8(digits, radix: 16) {
                decoded.append(value)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }
    let found = said(text)
    return found == wanted ? nil : "says \(found)"
}

@Suite struct UntrustedFieldsFuzzTests {
    @Test func `mutated lists of proxies name the client that a plain reader finds`() throws {
        let simulated = try SimulatedEdge(
            seed: 1, service: DirectedTests.upstream, endpoints: 1, capacity: 1, kind: .upstream,
            options: "trusted_proxies: [10.0.0.0/8, \"fd00::/8\"]")
        let samples = [
            "X-Forwarded-For: 1.2.3.4, 10.0.0.1", "x-forwarded-for: 2001:db8::1,fd00::5, 10.1.1.1",
            "X-Forwarded-For: 10.0.0.2\r\nX-Forwarded-For: 10.0.0.3,\t10.0.0.4",
            "X-Forwarded-For: unknown, 10.0.0.1", "X-Forwarded-For: 5.6.7.8, , 10.0.0.1,",
            "X-Forwarded-For: ::ffff:10.0.0.9, 1.2.3.4 evil, 10.0.0.1",
        ]
        let fragments = [
            ",", ", ", " ", "\t", "10.0.0.7", "1.1.1.1", "fd00::1", "::", ":", ".", "01", "256",
            "\r\nX-Forwarded-For: ", "é", "%", "[::1]", ":80", "0", "f",
        ]
        var named = 0
        let found = complaint(seed: 32, samples: samples, fragments: fragments) { text, _ in
            let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\n".utf8) + text + Array("\r\n\r\n".utf8)
            var head = RequestHead(fieldCapacity: 40)
            var parser = RequestHeadParser()
            guard case .complete = parser.parse(bytes.span, limits: HeadLimits(), into: &head)
            else { return nil }
            var values: [[UInt8]] = []
            for index in 0..<head.fields.count where head.fields[index].code == .xForwardedFor {
                values.append(Array(bytes[head.fields[index].value.indices]))
            }
            let client = simulated.edge.settings.client(namedIn: head, from: bytes.span).address
            if client != nil { named += 1 }
            return fuzzForwardedFor(values, client)
        }
        #expect(found == nil)
        #expect(named > 500)
    }

    @Test func `mutated exceptions say what splitting and decoding them says`() {
        let samples = [
            "ValueError;no%3B such;Traceback%0A x", "A", ";;", "%41;%zz;%", "a;b;c;d%3", "",
        ]
        let fragments = [";", "%", "%3b", "%3B", "%0", "%00", "%ff", "%25", "é", "%é1", "a"]
        #expect(
            complaint(seed: 33, samples: samples, fragments: fragments) { text, _ in
                fuzzException(text, said: said)
            } == nil)
    }

    private func said(_ text: [UInt8]) -> [[UInt8]] {
        let scratch = TextScratch(capacity: 4096)
        let exception = SaidException(text.span)
        var parts: [[UInt8]] = []
        for part in [exception.type, exception.message, exception.traceback] {
            let bytes = scratch.fill { _ = exception.write(part, to: &$0) }
            parts.append(bytes.indices.map { bytes[$0] })
        }
        return parts
    }

    @Test func `the checkers find readers that are wrong`() {
        let list = [Array("1.2.3.4, 10.0.0.1".utf8)]
        #expect(fuzzForwardedFor(list, IPAddress(ipv4: 0x0102_0304)) == nil)
        #expect(fuzzForwardedFor(list, IPAddress(ipv4: 0x0a00_0001)) != nil)
        #expect(fuzzForwardedFor(list, nil) != nil)
        #expect(fuzzException(Array("a;b".utf8)) { [$0, [], []] } != nil)
    }
}
