import Configuration
import Fuzzing
import HTTP
import Memory
import Testing

@testable import Routing

private let rules = forwarding([
    { $0.path = "/admin/" }, { $0.path = "/api/admin" }, { $0.path = "/api/" },
    {
        $0.host = try? HostPattern("a.example")
        $0.path = "/caf%C3%A9/"
    },
    {
        $0.host = try? HostPattern("*.example")
        $0.strip = "/x y/"
        $0.path = "/x%20y/"
    },
    { $0.path = "/s/" }, { $0.host = try? HostPattern("a.example") },
])

private let samples = [
    "/admin/x a.example", "/api/admin b.example", "/api/../admin/ h", "/%61dmin//x a.example:80",
    "/caf%c3%a9/%2e%2e/x A.Example.", "/x%20y/..;a=b/z b.example", "/x/%2fadmin/./ example",
    "/s/%5c..%2f/%00/ [::1]", "/ a.example", "/api/%252e%252e/admin h",
]
private let fragments = [
    "/", "//", ".", "..", "/../", "/./", "%2f", "%2F", "%5c", "%2e", "%2E%2e", "%00", "%", "%61",
    ";", "..;", "admin", "/api", "x%20y", "a.example", " ", "A.", "?", "%25", "\\",
]

/// Whether a list of bytes begins with others.
private func begins(_ text: [UInt8], _ start: [UInt8]) -> Bool { text.starts(with: start) }

/// A plain, slow account of what paths mean, apart from `PathViews` on purpose.
private enum Reference {
    static func escape(_ text: ArraySlice<UInt8>) -> UInt8? {
        let three = Array(text.prefix(3))
        guard three.count == 3, three[0] == 0x25 else { return nil }
        let digits = String(decoding: three[1...], as: UTF8.self)
        return digits.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
            ? UInt8(digits, radix: 16) : nil
    }

    /// Escapes decoded, but for those of `/`, `\` and NUL.
    static func plain(_ path: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        var rest = path[...]
        while let byte = rest.first {
            if let decoded = escape(rest), ![0x2f, 0x5c, 0].contains(decoded) {
                text.append(decoded)
                rest = rest.dropFirst(3)
            } else {
                text.append(byte)
                rest = rest.dropFirst()
            }
        }
        return text
    }

    /// What the eight kinds of servers make of a plain view; nil where it climbs above the root.
    static func readings(_ plain: [UInt8]) -> [[UInt8]?] {
        (0..<8).map { number in
            var text: [UInt8] = []
            var rest = plain[...]
            while let byte = rest.first {
                let decoded = number & 1 != 0 ? escape(rest) : nil
                let isEscaped = decoded == 0x2f || decoded == 0x5c
                text.append(isEscaped || number & 1 != 0 && byte == 0x5c ? 0x2f : byte)
                rest = rest.dropFirst(isEscaped ? 3 : 1)
            }
            return resolved(text, looseDots: number & 2 != 0, keepsEmpty: number & 4 != 0)
        }
    }

    private static func resolved(
        _ text: [UInt8], looseDots: Bool, keepsEmpty: Bool
    ) -> [UInt8]? {
        let segments = text.split(separator: 0x2f, omittingEmptySubsequences: false)
        var kept: [[UInt8]] = []
        for (place, segment) in segments.enumerated() where place > 0 {
            let isLast = place == segments.count - 1
            let name = looseDots ? segment.prefix { $0 != 0x3b } : segment
            switch String(decoding: name, as: UTF8.self) {
            case ".": if isLast { kept.append([]) }
            case "..":
                guard kept.popLast() != nil else { return nil }
                if isLast { kept.append([]) }
            default:
                if !segment.isEmpty || keepsEmpty || isLast { kept.append(Array(segment)) }
            }
        }
        return kept.isEmpty ? [0x2f] : kept.flatMap { [0x2f] + $0 }
    }

    static func prefix(_ rule: RouteRule) -> [UInt8] {
        var name = plain(Array((rule.path ?? "/").utf8))
        while name.last == 0x2f { name.removeLast() }
        return name
    }

    /// The first rule whose host and prefix fit.
    static func route(_ view: [UInt8], _ host: String) -> Int? {
        rules.firstIndex { rule in
            let start = prefix(rule)
            return (rule.host.map { fits($0, host) } ?? true)
                && (view == start || begins(view, start + [0x2f]))
        }
    }

    private static func fits(_ pattern: HostPattern, _ host: String) -> Bool {
        guard pattern.isWildcard else { return host == pattern.name }
        guard let dot = host.firstIndex(of: "."), dot > host.startIndex else { return false }
        return host[host.index(after: dot)...] == pattern.name
    }
}

/// A path that is passed leads to one route in every reading, one that is refused does not.
private func fuzzRoute(_ path: [UInt8], _ host: String, _ found: RouteMatch) -> String? {
    var name = host.lowercased()
    if name.count > 1, name.hasSuffix(".") { name.removeLast() }
    let plain = Reference.plain(path)
    let wanted = Reference.route(plain, name)
    let readings = Reference.readings(plain)
    let agree = readings.allSatisfy { $0 != nil && Reference.route($0!, name) == wanted }
    switch found {
    case .denied: return "denies what nothing denies"
    case .none: return agree && wanted == nil ? nil : "finds no route for \(readings)"
    case .route(let number, let stripped):
        guard agree, wanted == number else { return "passes what is read as \(readings)" }
        let start = Reference.plain(Array(path.prefix(stripped)))
        guard stripped == 0 || start == Array("/x y".utf8) && number == 4 else {
            return "strips \(start)"
        }
        guard stripped == 0 || stripped == path.count || path[stripped] == 0x2f else {
            return "strips a part of a segment"
        }
        return nil
    case .ambiguous:
        let count = wanted.map { Reference.prefix(rules[$0]).count } ?? 0
        let rest = Reference.readings(Array(plain.dropFirst(count)))
        return agree && !rest.contains(nil) ? "refuses what has one meaning" : nil
    }
}

@Suite struct RoutingFuzzTests {
    private func request(_ text: [UInt8]) -> (path: [UInt8], host: String, bytes: [UInt8])? {
        let parts = text.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let bytes =
            Array("GET ".utf8) + parts[0] + Array(" HTTP/1.1\r\nHost: ".utf8) + parts[1]
            + Array("\r\n\r\n".utf8)
        var head = RequestHead(fieldCapacity: 4)
        var parser = RequestHeadParser()
        guard
            case .complete(bytes.count) = parser.parse(
                bytes.span, limits: HeadLimits(), into: &head), head.targetForm == .origin
        else { return nil }
        return (
            Array(bytes[head.path.indices]),
            String(decoding: bytes[head.hostName.indices], as: UTF8.self), bytes
        )
    }

    @Test func `mutated paths and hosts lead to one route in every reading, or are refused`() {
        var table = table(rules)
        var matched = 0
        var refused = 0
        let found = complaint(seed: 22, samples: samples, fragments: fragments) { text, _ in
            guard let (path, host, bytes) = request(text) else { return nil }
            var head = RequestHead(fieldCapacity: 4)
            var parser = RequestHeadParser()
            _ = parser.parse(bytes.span, limits: HeadLimits(), into: &head)
            let peer = IPAddress(ipv4: 1)
            let match = table.match(head, in: bytes.span, peer: peer)
            // Nothing of one request is left for the next.
            guard table.match(head, in: bytes.span, peer: peer) == match else {
                return "another answer the second time"
            }
            if case .route = match { matched += 1 }
            if match == .ambiguous { refused += 1 }
            return fuzzRoute(path, host, match)
        }
        #expect(found == nil)
        #expect(matched > 500 && refused > 200)
    }

    @Test(arguments: [
        ("/api/../admin/", RouteMatch.route(2, strippedBytes: 0), "passes"),
        ("/admin/", .route(2, strippedBytes: 0), "passes"), ("/admin", .none, "finds no route"),
        ("/api/x", .ambiguous, "refuses"), ("/api/x", .route(2, strippedBytes: 4), "strips"),
    ])
    func `the checker finds a table that is wrong`(
        path: String, match: RouteMatch, complaint: String
    ) {
        #expect(fuzzRoute(Array(path.utf8), "h", match)?.hasPrefix(complaint) == true)
    }
}

/// Keys for consistent hashing.
extension RoutingFuzzTests {
    private static let heads = [
        "Cookie: sid=1; b=2", "Cookie: a=1;sid=x=y; sid=2", "Cookie: SID=1\r\nCookie: sid=5",
        "X-User: 7\r\nx-user: 8", "Cookie: ;; sid", "Cookie: sid=\r\nX-USER:", "Cookie: asid=3",
    ]

    /// The value of the first cookie of that name, by splitting.
    private func cookie(_ lines: [(name: String, value: [UInt8])]) -> [UInt8]? {
        for line in lines where line.name == "cookie" {
            for part in line.value.split(separator: 0x3b) {
                let pair = part.drop { $0 == 0x20 }
                guard let equals = pair.firstIndex(of: 0x3d) else { continue }
                if pair[..<equals].elementsEqual("sid".utf8) { return Array(pair[(equals + 1)...]) }
            }
        }
        return nil
    }

    private func hash(_ value: [UInt8]) -> UInt64 {
        mixed(value.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
    }

    @Test func `mutated cookies and fields are hashed by the value a plain reader finds`() {
        let client = IPAddress(ipv4: 9)
        var found = 0
        let fragments = [
            "sid=", "sid", ";", "; ", "=", "==", "Cookie: ", "\r\n", "X-User: ", " ", "\t", "é",
        ]
        let wrong = complaint(seed: 23, samples: Self.heads, fragments: fragments) { text, _ in
            let bytes =
                Array("GET / HTTP/1.1\r\nHost: h\r\n".utf8) + text
                + Array("\r\n\r\n".utf8)
            var head = RequestHead(fieldCapacity: 40)
            var parser = RequestHeadParser()
            guard case .complete = parser.parse(bytes.span, limits: HeadLimits(), into: &head)
            else { return nil }
            let lines = (0..<head.fields.count).map { index in
                let field = head.fields[index]
                return (
                    name: String(decoding: bytes[field.name.indices], as: UTF8.self).lowercased(),
                    value: Array(bytes[field.value.indices])
                )
            }
            let fallback = KeyHash(.client).hash(head, in: bytes.span, client: client)
            let value = cookie(lines)
            if value != nil { found += 1 }
            guard
                KeyHash(.cookie("sid")).hash(head, in: bytes.span, client: client)
                    == value.map(hash) ?? fallback
            else { return "another cookie than \(value.debugDescription)" }
            let user = lines.first { $0.name == "x-user" }?.value
            guard
                KeyHash(.header("X-User")).hash(head, in: bytes.span, client: client)
                    == user.map(hash) ?? fallback
            else { return "another field than \(user.debugDescription)" }
            return nil
        }
        #expect(wrong == nil)
        #expect(found > 500)
    }
}
