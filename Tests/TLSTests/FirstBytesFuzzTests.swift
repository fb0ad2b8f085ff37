import Fuzzing
import Testing

@testable import TLS

/// What a connection's first bytes are called does not change its mind as more of them come, but
/// for what is refused then: TLS and HTTP exclude each other by the first byte.
func fuzzFirstBytes(
    _ text: [UInt8], isTLS: ([UInt8]) -> Bool, isHTTP: ([UInt8]) -> Bool
) -> String? {
    var wasTLS = true
    var wasHTTP = true
    for count in 1...max(1, min(text.count, 48)) {
        let start = Array(text.prefix(count))
        let (tls, http) = (isTLS(start), isHTTP(start))
        guard !tls || !http else { return "both, after \(count)" }
        guard !tls || wasTLS else { return "TLS after \(count), not before" }
        guard !http || wasHTTP else { return "HTTP after \(count), not before" }
        (wasTLS, wasHTTP) = (tls, http)
        let letter = start.first.map { $0 | 0x20 } ?? 0
        guard !tls || start[0] == 0x16 && (count < 2 || start[1] == 3) else {
            return "takes for TLS what is no handshake record of version 3"
        }
        guard !http || (0x61...0x7a).contains(letter) else {
            return "takes for HTTP what begins with no letter"
        }
    }
    return nil
}

@Suite struct FirstBytesFuzzTests {
    private static let samples = [
        "GET / HTTP/1.1\r\n", "M-SEARCH * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0", "\u{16}\u{3}\u{3}\0P\u{1}\0", "SSH-2.0-OpenSSH\r\n", "",
    ]
    private static let fragments = [
        "\u{16}", "\u{3}", "\u{1}", "\0", " ", "-", "GET", "\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    ]

    @Test func `mutated first bytes are TLS, HTTP or neither, and stay it`() {
        let found = complaint(
            seed: 24, samples: Self.samples, fragments: Self.fragments
        ) { text, _ in
            if let wrong = fuzzFirstBytes(
                text, isTLS: { FirstBytes.looksLikeTLS($0.span) },
                isHTTP: { FirstBytes.looksLikeHTTP($0.span) })
            {
                return wrong
            }
            let kind = FirstBytes(of: text.span)
            let wanted: FirstBytes =
                FirstBytes.looksLikeTLS(text.span)
                ? .tls : FirstBytes.looksLikeHTTP(text.span) ? .http : .other
            return kind == wanted ? nil : "\(kind) is not \(wanted)"
        }
        #expect(found == nil)
    }

    @Test func `the checker finds one that changes its mind, and one that takes too much`() {
        let late = fuzzFirstBytes([0x16, 3, 1], isTLS: { $0.count > 1 }, isHTTP: { _ in false })
        #expect(late == "TLS after 2, not before")
        let kind = fuzzFirstBytes([0x31], isTLS: { _ in false }, isHTTP: { _ in true })
        #expect(kind == "takes for HTTP what begins with no letter")
    }
}
