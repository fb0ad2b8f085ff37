public import Memory

/// What is known about a request when its head has been read. Text lies in `RequestText`.
public struct RequestFacts: Equatable, Sendable {
    public var id: RequestID
    /// The start of the request, Unix nanoseconds.
    public var wall: UInt64
    public var remote: PeerAddress
    public var remotePort: UInt16
    public var scheme: Scheme
    public var version: Version
    public var tls: TLSFacts
    /// Which request of its connection this is, from 1.
    public var connectionRequests: UInt32
    /// The connection's number, unique within its edge.
    public var connection: UInt64
    /// Where the parts lie in `RequestText.head`; empty for what is absent or was not readable.
    public var method = ByteRange.empty
    public var target = ByteRange.empty
    public var host = ByteRange.empty
    public var referer = ByteRange.empty
    public var userAgent = ByteRange.empty
    /// The id and the remote address as text, where they were written already; empty elsewhere.
    public var idText = ByteRange.empty
    public var remoteText = ByteRange.empty

    /// How the client is connected.
    public enum Scheme: UInt8, Sendable {
        /// Only the killed edge knew.
        case unknown = 0
        case http
        case https
    }

    /// The protocol of the request.
    public enum Version: UInt8, Sendable {
        /// The request line could not be read.
        case unknown = 0
        case http10
        case http11
        case http2

        /// As in a request line.
        public var word: StaticString {
            switch self {
            case .unknown: "-"
            case .http10: "HTTP/1.0"
            case .http11: "HTTP/1.1"
            case .http2: "HTTP/2"
            }
        }
    }

    /// Facts of a request, whose ranges are set afterwards.
    @inlinable
    public init(
        id: RequestID, wall: UInt64, remote: PeerAddress, remotePort: UInt16, scheme: Scheme,
        version: Version, tls: TLSFacts, connection: UInt64, connectionRequests: UInt32
    ) {
        self.id = id
        self.wall = wall
        self.remote = remote
        self.remotePort = remotePort
        self.scheme = scheme
        self.version = version
        self.tls = tls
        self.connection = connection
        self.connectionRequests = connectionRequests
    }
}

/// How a request went; complete when it has ended.
public struct RequestResult: Equatable, Sendable {
    /// The status sent to the client, 0 when none was.
    public var status: UInt16 = 0
    /// Bytes of the request's body without framing.
    public var requestBytes: UInt64 = 0
    /// Bytes of the answer's body without framing.
    public var responseBytes: UInt64 = 0
    /// Nanoseconds from the start of the request to its end.
    public var duration: UInt64 = 0
    /// Nanoseconds spent waiting for a place; `never` when none was asked for.
    public var queue: UInt64 = Self.never
    /// Nanoseconds spent connecting; `never` when no connection was needed or made.
    public var connect: UInt64 = Self.never
    /// Nanoseconds from the start to the first byte of the answer; `never` when none came.
    public var firstByte: UInt64 = Self.never
    /// The worker's slot, from 1; 0 when none answered.
    public var worker: UInt32 = 0
    /// The worker's process id; 0 when none answered.
    public var pid: UInt32 = 0
    /// How often another endpoint was tried.
    public var retries: UInt16 = 0
    public var outcome: Outcome = .ok
    public var failure: Failure?

    /// A time that was never reached.
    public static let never = UInt64.max

    @inlinable
    public init() {}
}

/// The text that facts point into, and the names that belong to it; borrowed for one call.
public struct RequestText: ~Escapable {
    /// What the ranges of `RequestFacts` refer to: the request's head as received.
    public let head: Span<UInt8>
    /// The name of the service, empty when no route matched.
    public let service: Span<UInt8>
    /// The endpoint's name, `web/3` or `10.0.0.5:8080`; empty when none was chosen.
    public let endpoint: Span<UInt8>
    /// The server name of the TLS handshake, empty when there was none.
    public let sni: Span<UInt8>

    @inlinable
    @_lifetime(copy head, copy service, copy endpoint, copy sni)
    public init(
        head: Span<UInt8>, service: Span<UInt8>, endpoint: Span<UInt8>, sni: Span<UInt8>
    ) {
        self.head = head
        self.service = service
        self.endpoint = endpoint
        self.sni = sni
    }

    /// The bytes at `range` of the head.
    @inlinable
    @_lifetime(copy self)
    public func part(_ range: ByteRange) -> Span<UInt8> {
        head.extracting(range.indices)
    }
}
