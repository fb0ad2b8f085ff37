import HTTP
import Memory
import Testing

/// The elements of a `Forwarded` value: `address scheme`, `!` where the syntax is broken.
private func elements(_ text: [UInt8]) -> [String] {
    var chain = ForwardedChain(ByteRange(start: 0, count: text.count))
    var found: [String] = []
    while let element = chain.next(in: text.span) {
        let shown = text.text(element.address) + " " + text.text(element.scheme)
        found.append(element.isBroken ? "!" : shown)
    }
    return found
}

private func addresses(_ text: [UInt8]) -> [String] {
    var chain = ForwardedForChain(ByteRange(start: 0, count: text.count))
    var found: [String] = []
    while let range = chain.next(in: text.span) { found.append(text.text(range)) }
    return found
}

private let corpus = [
    "for=192.0.2.1;proto=https;by=203.0.113.4", "for=\"[2001:db8::1]:4711\", For=1.1.1.1",
    "for=unknown, for=_hidden;proto=http", "host=\"a\\\"b\";for=1.1.1.1", ",,for=\"1.1.1.1:80\"",
].map(bytes)

private let pieces = [
    ",", ";", "=", "\"", "\\", " ", "for=", "[", "]", ":", "_x", "proto=\"", "\t",
]
.map(bytes)

/// Whatever a client sends, a proxy that appends its own element names it, or nobody is named.
func fuzzForwarded(_ text: [UInt8]) -> Violation? {
    let whole = elements(text)
    guard whole.count <= text.count else { return "makes up elements" }
    guard whole.dropLast().allSatisfy({ $0 != "!" }) else { return "goes on behind broken syntax" }
    let appended = elements(text + bytes(", for=192.0.2.9;proto=https")).last
    guard appended == "192.0.2.9 https" || appended == "!" else {
        return "names \(appended ?? "nobody")"
    }
    let listed = addresses(text + bytes(", 192.0.2.9")).last
    return listed == "192.0.2.9" ? nil : "the list names \(listed ?? "nobody")"
}

@Suite struct ForwardedChainTests {
    @Test(arguments: [
        ("for=192.0.2.1", ["192.0.2.1 "]),
        ("For=192.0.2.1;PROTO=https;by=203.0.113.4", ["192.0.2.1 https"]),
        ("for=192.0.2.43, for=198.51.100.17;proto=http", ["192.0.2.43 ", "198.51.100.17 http"]),
        ("for=\"[2001:db8:cafe::17]\"", ["2001:db8:cafe::17 "]),
        ("for=\"[2001:db8:cafe::17]:4711\";proto=\"https\"", ["2001:db8:cafe::17 https"]),
        ("for=\"192.0.2.1:47011\"", ["192.0.2.1 "]), ("for=192.0.2.1:_port", ["192.0.2.1 "]),
        // Kinder than the grammar.
        ("for=[::1]:55 ; proto=https , for=::1", ["::1 https", "::1 "]),
        // Not addresses, as whoever reads them sees.
        ("for=unknown;proto=https", ["unknown https"]), ("for=\"_gazonk\"", ["_gazonk "]),
        ("for=\"1.1.1.1\\\"\"", ["1.1.1.1\\\" "]),
        // No address.
        ("proto=https", [" https"]), ("for=\"\"", [" "]), ("for=\"[::1\"", [" "]),
        ("for=\"[::1]:\"", [" "]), ("for=\"[::1]55\"", [" "]), ("for=\"1.1.1.1:\"", [" "]),
        ("for=1.1.1.1;for=2.2.2.2", [" "]),
        ("by=\"a,b;for=6.6.6.6\";for=1.1.1.1", ["1.1.1.1 "]),
        (" ,, for=1.1.1.1 ,", ["1.1.1.1 "]), ("", []), (" , ", []),
        // Broken.
        ("for=1.1.1.1, for=\"2.2.2.2, for=3.3.3.3", ["1.1.1.1 ", "!"]),
        ("for=1.1.1.1 for=2.2.2.2", ["!"]), ("for=\"1.1.1.1\"x, for=2.2.2.2", ["!"]),
        ("for", ["!"]), ("for=", ["!"]), ("=1.1.1.1", ["!"]), ("for =1.1.1.1", ["!"]),
        ("for=1.1.1.1;", ["!"]), ("for=1.1.1.1\"", ["!"]), ("for=\"a\\", ["!"]),
    ])
    func `each element says whom it had the request from`(text: String, expected: [String]) {
        #expect(elements(bytes(text)) == expected)
    }

    @Test(arguments: [
        ("10.1.1.1:55", ["10.1.1.1"]), ("[::1]:55, ::1", ["::1", "::1"]),
        ("1.1.1.1,2.2.2.2 ,, [2001:db8::1]", ["1.1.1.1", "2.2.2.2", "2001:db8::1"]),
        ("unknown, 1.1.1.1 x", ["unknown", "1.1.1.1 x"]), ("1.1.1.1:, [::1", ["", ""]),
    ])
    func `addresses in a list may have ports`(text: String, expected: [String]) {
        #expect(addresses(bytes(text)) == expected)
    }

    @Test func `mutated chains keep the properties`() {
        var random = Seeded(4)
        for number in 0..<20_000 {
            var text = corpus[number % corpus.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text.insert(contentsOf: pieces.randomElement(using: &random)!, at: place)
                case 1 where place < text.count:
                    text[place] = UInt8.random(in: 0...255, using: &random)
                default: text.removeSubrange(place..<min(text.count, place + 3))
                }
            }
            let found = fuzzForwarded(text)
            #expect(found == nil, "\(String(decoding: text, as: UTF8.self).debugDescription)")
            if found != nil { return }
        }
    }
}
