public import Memory

/// Who sent a request, through which door, and what it is called.
public struct RequestOrigin: ~Escapable {
    /// The client's address as text, IPv6 without brackets; behind a trusted proxy for our own
    /// workers, the address that proxy names.
    public let address: Span<UInt8>
    /// The client's address as text where a trusted proxy, whose own is `address`, names one; else
    /// empty.
    public let named: Span<UInt8>
    public let port: UInt16
    /// The client spoke TLS (or a trusted proxy says so).
    public let isSecure: Bool
    public let serverPort: UInt16
    /// Our own `address:port`, which stands in for `Host` where an HTTP/1.0 client sent none; read
    /// only then.
    public let authority: Span<UInt8>
    public let requestID: Span<UInt8>
    /// The peer is one of `trusted_proxies`: what it says about its own client is kept and added
    /// to.
    public let isTrusted: Bool
    /// A trusted peer's `Forwarded` names the same client and is kept; else it is made anew.
    public let keepsForwarded: Bool

    @_lifetime(copy address, copy named, copy authority, copy requestID)
    public init(
        address: Span<UInt8>, named: Span<UInt8>, port: UInt16, isSecure: Bool,
        serverPort: UInt16, authority: Span<UInt8>, requestID: Span<UInt8>, isTrusted: Bool,
        keepsForwarded: Bool = true
    ) {
        self.address = address
        self.named = named
        self.port = port
        self.isSecure = isSecure
        self.serverPort = serverPort
        self.authority = authority
        self.requestID = requestID
        self.isTrusted = isTrusted
        self.keepsForwarded = keepsForwarded
    }
}

/// How a request's line and fields are sent on.
public struct RequestForwarding: Sendable {
    /// Leading bytes of the path that a route strips; what is left gets its slash back.
    public var strippedBytes = 0
    /// It goes to a worker of our own, which gets `proxy-peer`; programs and servers get
    /// `Forwarded` and `X-Forwarded-*`.
    public var toOwnWorker = false
    /// Leaves out fields with `_` in their name.
    public var dropsUnderscores = false
    /// The body goes on in chunks, so that `Trailer` keeps its meaning.
    public var keepsTrailer = false

    public init() {}
}

/// How a request's head ends: its framing, and what is said to the next hop alone.
public struct RequestEnd: Sendable {
    /// How the body is framed on the upstream connection: not `untilClose`.
    public var framing: BodyFraming
    /// The method means something by its body, so that an empty one gets its length said (RFC 9110
    /// section 8.6).
    public var saysLength = false
    /// Passes `Expect: 100-continue` on.
    public var forwardsExpectation = false
    /// Passes `Upgrade: websocket` on.
    public var upgrades = false
    /// Asks the upstream to close behind its answer.
    public var closes = false

    public init(framing: BodyFraming) { self.framing = framing }
}

/// A request's head is written in parts, because the last ones are known late: the line,
/// `proxy-peer` with the worker's place, the fields, and the end with the body's framing.
///
/// Check `isOverfull` afterwards: the head is longer than the one that came by the fields this
/// proxy adds.
extension ByteWriter {
    /// Writes the request line.
    ///
    /// - Parameter bytes: the span `head` was parsed from.
    public mutating func write(
        requestLine head: borrowing RequestHead, from bytes: Span<UInt8>,
        as forwarding: RequestForwarding
    ) {
        write(bytes.extracting(head.methodName))
        write(" ")
        write(targetOf: head, from: bytes, strippedBytes: forwarding.strippedBytes)
        write(" HTTP/1.1\r\n")
    }

    /// Writes what `proxy-peer` says behind the place: `SCHEME REMOTE REMOTE_PORT SERVER_PORT
    /// PREFIX`, the client's protocol where that is not HTTP/1.1, and CRLF.
    public mutating func write(
        peerOf head: borrowing RequestHead, from bytes: Span<UInt8>, origin: RequestOrigin,
        as forwarding: RequestForwarding
    ) {
        write(origin.isSecure ? " https " : " http ")
        write(origin.address)
        write(" ")
        write(decimal: UInt64(origin.port))
        write(" ")
        write(decimal: UInt64(origin.serverPort))
        write(" ")
        let prefix = bytes.extracting(head.strippedPrefix(forwarding.strippedBytes, in: bytes))
        if prefix.count > 0 { write(prefix) } else { write("-") }
        if head.version != .http11 { write(" HTTP/1.0") }
        write("\r\n")
    }

    /// Begins `proxy-peer` with the place in the worker; what `write(peerOf:…)` wrote follows.
    public mutating func write(peerPlace place: UInt16) {
        write("proxy-peer: ")
        write(decimal: UInt64(place))
    }

    /// Writes the fields that go on, and those this proxy adds.
    ///
    /// - Parameter edits: what the route sets and removes.
    public mutating func write(
        requestFields head: borrowing RequestHead, from bytes: Span<UInt8>, origin: RequestOrigin,
        as forwarding: RequestForwarding, edits: FieldEdits
    ) {
        write(field: "X-Request-Id", origin.requestID)
        if !edits.sets(.host) {
            write(
                field: "Host", head.host.isEmpty ? origin.authority : bytes.extracting(head.host))
        }
        var dropped = FieldNameSet.rewrittenInRequests
        if !forwarding.toOwnWorker || !origin.isTrusted { dropped = dropped.union(.forwarding) }
        if !forwarding.keepsTrailer { dropped.insert(.trailer) }
        write(
            fields: head.fields, from: bytes, dropping: dropped,
            dropsUnderscores: forwarding.dropsUnderscores, edits: edits)
        edits.write(to: &self)
        if !forwarding.toOwnWorker {
            let prefix = bytes.extracting(
                head.strippedPrefix(forwarding.strippedBytes, in: bytes))
            if !edits.governs(.forwarded) { writeForwarded(head, from: bytes, origin) }
            writeXForwarded(head, from: bytes, origin, prefix: prefix, edits)
        }
        if !edits.governs(.via) { write("Via: 1.1 proxy\r\n") }
    }

    /// Writes the target in origin form (`*` stays as it is).
    public mutating func write(
        targetOf head: borrowing RequestHead, from bytes: Span<UInt8>, strippedBytes: Int = 0
    ) {
        guard head.targetForm != .asterisk else { return write("*") }
        let path = bytes.extracting(head.path).extracting(droppingFirst: strippedBytes)
        if path.count == 0 || path[0] != 0x2f { write("/") }
        write(path)
        if head.hasQuery {
            write("?")
            write(bytes.extracting(head.query))
        }
    }

    /// Ends a request's head.
    public mutating func write(requestEnd end: RequestEnd) {
        switch end.framing {
        case .none, .length(0):
            if end.saysLength { write(framing: .length(0)) }
        case .length, .chunked:
            write(framing: end.framing)
            if end.forwardsExpectation { write("Expect: 100-continue\r\n") }
        case .untilClose: preconditionFailure("a request cannot end with its connection")
        }
        if end.upgrades {
            write("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        } else if end.closes {
            write("Connection: close\r\n")
        }
        write("\r\n")
    }

    /// `Forwarded` (RFC 7239): what a trusted proxy said, and our own client behind it. The scheme
    /// is the client's everywhere, as in `X-Forwarded-Proto`.
    private mutating func writeForwarded(
        _ head: borrowing RequestHead, from bytes: Span<UInt8>, _ origin: RequestOrigin
    ) {
        write("Forwarded: ")
        if origin.isTrusted {
            if origin.keepsForwarded, head.fields.first(.forwarded) != nil {
                writeValues(of: .forwarded, head, from: bytes)
            } else if origin.named.count > 0 {
                writeElement(for: origin.named, origin)
                write(", ")
            }
        }
        writeElement(for: origin.address, origin)
        if !head.host.isEmpty {
            write(";host=\"")
            write(bytes.extracting(head.host))
            write("\"")
        }
        write("\r\n")
    }

    private mutating func writeElement(for address: Span<UInt8>, _ origin: RequestOrigin) {
        let isIPv6 = address.contains(Characters.colon)
        write(isIPv6 ? "for=\"[" : "for=")
        write(address)
        if isIPv6 { write("]\"") }
        write(origin.isSecure ? ";proto=https" : ";proto=http")
    }

    /// The `X-Forwarded` fields, each but where the route sets or removes it.
    private mutating func writeXForwarded(
        _ head: borrowing RequestHead, from bytes: Span<UInt8>, _ origin: RequestOrigin,
        prefix: Span<UInt8>, _ edits: FieldEdits
    ) {
        if !edits.governs(.xForwardedFor) {
            write("X-Forwarded-For: ")
            if origin.isTrusted, head.fields.first(.xForwardedFor) != nil {
                writeValues(of: .xForwardedFor, head, from: bytes)
            } else if origin.named.count > 0 {
                write(origin.named)
                write(", ")
            }
            write(origin.address)
            write("\r\n")
        }
        if !edits.governs(.xForwardedProto) {
            write(
                origin.isSecure ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n")
        }
        if !edits.governs(.xForwardedHost) {
            write("X-Forwarded-Host: ")
            if !writeTrusted(.xForwardedHost, head, from: bytes, origin) {
                write(head.host.isEmpty ? origin.authority : bytes.extracting(head.host))
            }
            write("\r\n")
        }
        if !edits.governs(.xForwardedPort) {
            write("X-Forwarded-Port: ")
            if !writeTrusted(.xForwardedPort, head, from: bytes, origin) {
                write(decimal: UInt64(origin.serverPort))
            }
            write("\r\n")
        }
        let hasTrustedPrefix = origin.isTrusted && head.fields.first(.xForwardedPrefix) != nil
        guard prefix.count > 0 || hasTrustedPrefix, !edits.governs(.xForwardedPrefix) else {
            return
        }
        write("X-Forwarded-Prefix: ")
        _ = writeTrusted(.xForwardedPrefix, head, from: bytes, origin)
        write(prefix)
        write("\r\n")
    }

    /// Writes the values of all fields of that name, each with a comma behind it.
    private mutating func writeValues(
        of code: FieldName, _ head: borrowing RequestHead, from bytes: Span<UInt8>
    ) {
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            guard field.code == code, !field.value.isEmpty else { continue }
            write(bytes.extracting(field.value))
            write(", ")
        }
    }

    /// Writes what a trusted proxy said, if it did.
    private mutating func writeTrusted(
        _ code: FieldName, _ head: borrowing RequestHead, from bytes: Span<UInt8>,
        _ origin: RequestOrigin
    ) -> Bool {
        guard origin.isTrusted, let field = head.fields.first(code), !field.value.isEmpty else {
            return false
        }
        write(bytes.extracting(field.value))
        return true
    }
}

extension RequestHead {
    /// What a route strips off the path, without a slash at its end.
    func strippedPrefix(_ count: Int, in bytes: Span<UInt8>) -> ByteRange {
        var end = Int(path.start) + min(count, Int(path.count))
        while end > Int(path.start), bytes[end - 1] == 0x2f { end -= 1 }
        return ByteRange(start: Int(path.start), count: end - Int(path.start))
    }
}

extension Span<UInt8> {
    func contains(_ byte: UInt8) -> Bool {
        for index in indices where self[index] == byte { return true }
        return false
    }
}

extension FieldNameSet {
    /// Names that this proxy writes anew in every request.
    static var rewrittenInRequests: FieldNameSet {
        FieldNameSet(bits: bit(.host) | bit(.contentLength) | bit(.expect) | bit(.xRequestID))
    }

    /// Names that say who the client is.
    static var forwarding: FieldNameSet {
        FieldNameSet(
            bits: bit(.forwarded) | bit(.xForwardedFor) | bit(.xForwardedProto)
                | bit(.xForwardedHost) | bit(.xForwardedPort) | bit(.xForwardedPrefix))
    }
}
