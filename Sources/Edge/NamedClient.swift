import Configuration
import HTTP
import Memory

/// Whom a chain of trusted proxies names as its client: the last address that is no trusted proxy's
/// own; where all are, the first of them. What names no address ends the chain: nobody knows who
/// said what stands before it.
struct NamedClient: Equatable {
    private(set) var address: IPAddress?
    /// Whether it asked over TLS; nil where that is not said.
    private(set) var isSecure: Bool?
    private var hasBegun = false
    /// The chain's syntax is broken somewhere.
    fileprivate(set) var isBroken = false

    /// Takes the next element of the chain, from its oldest on.
    mutating func add(_ next: IPAddress?, isSecure: Bool?, isTrusted: Bool) {
        if hasBegun, isTrusted {
            address = address ?? next
        } else {
            address = next
            self.isSecure = isSecure
        }
        hasBegun = true
    }
}

extension EdgeSettings {
    /// The client that is named in `X-Forwarded-For`.
    func client(namedIn head: borrowing RequestHead, from bytes: Span<UInt8>) -> NamedClient {
        var client = NamedClient()
        for index in 0..<head.fields.count where head.fields[index].code == .xForwardedFor {
            var chain = ForwardedForChain(head.fields[index].value)
            while let range = chain.next(in: bytes) {
                let address = IPAddress(bytes.extracting(range.indices))
                client.add(address, isSecure: nil, isTrusted: isTrusted(address))
            }
        }
        return client
    }

    /// The client that is named in `Forwarded`.
    func client(forwardedIn head: borrowing RequestHead, from bytes: Span<UInt8>) -> NamedClient {
        var client = NamedClient()
        for index in 0..<head.fields.count where head.fields[index].code == .forwarded {
            var chain = ForwardedChain(head.fields[index].value)
            while let element = chain.next(in: bytes) {
                let address = IPAddress(bytes.extracting(element.address.indices))
                if element.isBroken { client.isBroken = true }
                let scheme = bytes.extracting(element.scheme.indices)
                client.add(
                    address, isSecure: scheme.count > 0 ? scheme.isSecureScheme : nil,
                    isTrusted: isTrusted(address))
            }
        }
        return client
    }

    private func isTrusted(_ address: IPAddress?) -> Bool {
        guard let address else { return false }
        return trusts(address)
    }
}

extension Span<UInt8> {
    /// Whether a peer's word for a scheme says TLS: `https` or `wss`, or a list that begins so.
    var isSecureScheme: Bool { begins(with: "https") || begins(with: "wss") }
}

extension IPAddress {
    /// Reads an address without brackets.
    init?(_ bytes: Span<UInt8>) {
        // The longest is an IPv6 address that ends in an IPv4 one.
        guard (2...45).contains(bytes.count) else { return nil }
        var text = ""
        for index in bytes.indices { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
        self.init(text)
    }
}
