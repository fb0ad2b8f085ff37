public import Memory

/// The request methods this proxy tells apart (RFC 9110 section 9).
public enum Method: UInt8, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch
    /// Any other name of capital letters.
    case other

    /// Whether a request of this method asks for nothing to be changed (RFC 9110 section 9.2.1).
    @inlinable public var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        default: false
        }
    }

    /// Whether sending the request twice has the effect of sending it once (RFC 9110 section
    /// 9.2.2).
    @inlinable public var isIdempotent: Bool { isSafe || self == .put || self == .delete }
}

/// The two versions that are served.
public enum Version: UInt8, Sendable {
    case http10, http11
}

/// How the end of a body is found (RFC 9112 section 6.3).
public enum BodyFraming: Equatable, Sendable {
    /// There is no body.
    case none
    /// So many bytes.
    case length(UInt64)
    case chunked
    /// The body ends when the connection does; responses only.
    case untilClose
}

/// What form a request target has (RFC 9112 section 3.2); authority form is for CONNECT and
/// refused.
public enum TargetForm: UInt8, Sendable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`
    case absolute
    /// `*`, for OPTIONS
    case asterisk
}

/// What protocol the client asks to change to, with `Upgrade` and `Connection: upgrade` in
/// HTTP/1.1.
public enum Upgrade: UInt8, Sendable {
    case none
    /// `websocket` alone, with GET and without a body (RFC 6455 section 4.1).
    case webSocket
    /// Something else (h2c, TLS …), which this proxy never passes on.
    case other
}

/// How much of a head is accepted; from `limits` of the configuration.
public struct HeadLimits: Sendable {
    /// Bytes of the whole head with its last empty line (`limits.header`,
    /// `limits.upstream_header`).
    public var headBytes: Int
    /// Fields (`limits.headers`); a table's capacity bounds it as well.
    public var fieldCount: Int
    /// Bytes of the request target (`limits.target`).
    public var targetBytes: Int

    public init(headBytes: Int = 32 << 10, fieldCount: Int = 100, targetBytes: Int = 8 << 10) {
        precondition(headBytes > 0 && fieldCount > 0 && targetBytes > 0)
        precondition(headBytes <= Self.headBytesMax)
        self.headBytes = headBytes
        self.fieldCount = fieldCount
        self.targetBytes = targetBytes
    }

    /// No head is longer than this, whatever is configured: ranges stay far inside 32 bits.
    public static let headBytesMax = 16 << 20
}

/// A request's head as ranges of the bytes it was parsed from; made once, reused for every request.
///
/// All values count from the first byte of the span given to the parser. Valid after `.complete`
/// alone.
public struct RequestHead: ~Copyable {
    public internal(set) var method = Method.other
    public internal(set) var methodName = ByteRange.empty
    /// The target as sent.
    public internal(set) var target = ByteRange.empty
    public internal(set) var targetForm = TargetForm.origin
    /// The path as sent, nothing decoded or normalised; empty for `*` and for an absolute target
    /// without one, which means `/`.
    public internal(set) var path = ByteRange.empty
    /// What follows the first `?`, without it.
    public internal(set) var query = ByteRange.empty
    /// True also when the query is empty: `/path?`.
    public internal(set) var hasQuery = false
    public internal(set) var version = Version.http11
    /// The effective host with its port: of an absolute target, else of `Host` (RFC 9112 section
    /// 3.2.2); empty for HTTP/1.0 without either.
    public internal(set) var host = ByteRange.empty
    /// `host` without the port; an IPv6 address has its brackets.
    public internal(set) var hostName = ByteRange.empty
    /// The port in `host`, or 0.
    public internal(set) var hostPort: UInt16 = 0
    /// Never `untilClose`.
    public internal(set) var framing = BodyFraming.none
    /// Whether the client wants the connection kept (RFC 9112 section 9.3).
    public internal(set) var keepsAlive = false
    /// `Connection` names fields: they end here in the trailers too (RFC 9110 section 7.6.1), which
    /// come when the names are gone, so that none goes on.
    public internal(set) var endsTrailers = false
    /// Whether the client waits for `100 Continue` before its body.
    public internal(set) var expectsContinue = false
    public internal(set) var upgrade = Upgrade.none
    public internal(set) var fields: FieldTable

    /// - Parameter fieldCapacity: the most fields (`limits.headers`).
    public init(fieldCapacity: Int) { fields = FieldTable(capacity: fieldCapacity) }

    /// Forgets everything and keeps the memory.
    public mutating func reset() {
        method = .other
        methodName = .empty
        target = .empty
        targetForm = .origin
        path = .empty
        query = .empty
        hasQuery = false
        version = .http11
        host = .empty
        hostName = .empty
        hostPort = 0
        framing = .none
        keepsAlive = false
        endsTrailers = false
        expectsContinue = false
        upgrade = .none
        fields.removeAll()
    }
}
