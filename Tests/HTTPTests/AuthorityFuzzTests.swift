import Fuzzing
import Glibc
import Memory
import Testing

@testable import HTTP

private let samples = [
    "example.com", "a.b-c_d~e.:8443", "[::1]:80", "[2001:db8:0:1:1:1:1:1]", "10.0.0.1:65535",
    "[::ffff:10.0.0.5]:1", "[::1.02.3.4]", "[1:2:3:4:5:6:7::]", "a..b", ":80", "[::1", "user@h",
    "a:00080", ".",
]
private let fragments = [
    ":", "::", ".", "[", "]", "0", "1", "255", "256", "a", "F", "g", "-", "_", "~", "%", "@", ",",
    " ", "\0", "é", "65536", "010", "fe80", ":0", "1.2.3.4",
]

/// A plain reader of `host` and `host:port`, apart from the product's on purpose.
private func read(_ text: [UInt8]) -> (nameBytes: Int, port: UInt16)? {
    let count: Int
    if text.first == UInt8(ascii: "[") {
        guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        let address = String(decoding: text[1..<close], as: UTF8.self)
        guard address.allSatisfy({ $0.isASCII && $0.isHexDigit || $0 == ":" || $0 == "." }) else {
            return nil
        }
        var place = in6_addr()
        guard unsafe inet_pton(AF_INET6, address, &place) == 1 else { return nil }
        count = close + 1
    } else {
        count = text.firstIndex(of: UInt8(ascii: ":")) ?? text.count
        var labels = text[..<count].split(
            separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if labels.count > 1, labels.last!.isEmpty { labels.removeLast() }
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~".utf8)
        guard count <= 254, labels.allSatisfy({ !$0.isEmpty && allowed.isSuperset(of: $0) })
        else { return nil }
    }
    let rest = text[count...]
    if rest.isEmpty { return (count, 0) }
    let digits = rest.dropFirst()
    guard rest.first == UInt8(ascii: ":"), (1...5).contains(digits.count),
        digits.allSatisfy({ (0x30...0x39).contains($0) }),
        let port = Int(String(decoding: digits, as: UTF8.self)), (1...65535).contains(port)
    else { return nil }
    return (count, UInt16(port))
}

/// What a plain reader takes is taken, and nothing else, wherever in a head it stands.
func fuzzAuthority(
    _ text: [UInt8], before: Int, after: [UInt8],
    parse: (ByteRange, [UInt8]) -> (name: ByteRange, port: UInt16)?
) -> String? {
    let whole = [UInt8](repeating: 0x61, count: before) + text + after
    let found = parse(ByteRange(start: before, count: text.count), whole)
    let wanted = read(text)
    guard (found == nil) == (wanted == nil) else {
        return found == nil ? "refuses an authority" : "takes what is none"
    }
    guard let found, let wanted else { return nil }
    guard found.port == wanted.port, Int(found.name.start) == before,
        Int(found.name.count) == wanted.nameBytes
    else { return "reads another host or port" }
    return nil
}

@Suite struct AuthorityFuzzTests {
    private func parse(_ range: ByteRange, _ bytes: [UInt8]) -> (ByteRange, UInt16)? {
        Authority(range, in: bytes.span).map { ($0.name, $0.port) }
    }

    @Test func `mutated authorities mean what a plain reader says`() {
        #expect(
            complaint(seed: 21, samples: samples, fragments: fragments) { text, random in
                fuzzAuthority(
                    text, before: Int.random(in: 0...9, using: &random),
                    after: Bool.random(using: &random) ? [] : Array("b:9".utf8), parse: parse)
            } == nil)
    }

    @Test func `the checker finds a reader that looks behind the end, and one that is kind`() {
        let long = fuzzAuthority(bytes("h"), before: 3, after: bytes("b:9")) { range, bytes in
            parse(ByteRange(start: Int(range.start), count: Int(range.count) + 3), bytes)
        }
        #expect(long == "reads another host or port")
        let kind = fuzzAuthority(bytes("a..b"), before: 0, after: []) { range, _ in (range, 0) }
        #expect(kind == "takes what is none")
    }
}
