public import Configuration

/// How an edge treats its clients.
public struct EdgeOptions: Sendable, Equatable {
    /// Times towards clients, in nanoseconds.
    public struct Timeouts: Sendable, Equatable {
        /// From accept to the end of the TLS handshake.
        public var handshake: UInt64
        /// From a request's first byte to the end of its head.
        public var header: UInt64
        /// Between two reads of a request body, and without a byte taken of a response.
        public var body: UInt64
        /// Between two requests on a connection.
        public var idle: UInt64
        /// Without a byte either way in an upgraded connection.
        public var tunnel: UInt64
        /// The slowest a request body may come, in bytes a second, beyond `body` once.
        public var bodyRate: Int
    }

    public struct Limits: Sendable, Equatable {
        /// Connections of one client address, over all edges.
        public var connectionsPerAddress: Int
        /// Bytes of a request head.
        public var headerBytes: Int
        /// Fields of a request head.
        public var headerFields: Int
        /// Bytes of a request target.
        public var targetBytes: Int
        /// Bytes of a request body; a service may have its own limit.
        public var bodyBytes: Int
        /// Bytes of a buffered request body that stay in memory.
        public var bodyMemoryBytes: Int
        /// Bytes of a response that stay in memory while the client is slow.
        public var responseMemoryBytes: Int
        /// Bytes of a response that go to a file while the client is slow.
        public var responseFileBytes: Int
        /// Bytes of a response head from a worker or upstream.
        public var upstreamHeaderBytes: Int
    }

    public var timeouts: Timeouts
    public var limits: Limits
    /// Peers whose `X-Forwarded-*`, `Forwarded` and request ids are believed.
    public var trustedProxies: [CIDR]
}

extension EdgeOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        timeouts = Timeouts(
            handshake: configuration.value(Self.handshake),
            header: configuration.value(Self.header), body: configuration.value(Self.body),
            idle: configuration.value(Self.idle), tunnel: configuration.value(Self.tunnel),
            bodyRate: configuration.value(Self.bodyRate))
        limits = Limits(
            connectionsPerAddress: configuration.value(Self.connectionsPerAddress),
            headerBytes: configuration.value(Self.headerSize),
            headerFields: configuration.value(Self.headerCount),
            targetBytes: configuration.value(Self.targetSize),
            bodyBytes: configuration.value(Self.bodySize),
            bodyMemoryBytes: configuration.value(Self.bodyMemory),
            responseMemoryBytes: configuration.value(Self.responseMemory),
            responseFileBytes: configuration.value(Self.responseFile),
            upstreamHeaderBytes: configuration.value(Self.upstreamHeader))
        trustedProxies = configuration.entries(Self.trusted).map(\.value)
    }
}

extension EdgeOptions {
    private static let bytesMost = 1 << 40

    static let handshake = Setting(
        "timeout.handshake", .duration(), default: "10s",
        "from a connection's accept to the end of its TLS handshake", example: "5s")
    static let header = Setting(
        "timeout.header", .duration(), default: "10s",
        "from the first byte of a request to the end of its head", example: "5s")
    static let body = Setting(
        "timeout.body", .duration(), default: "30s",
        "how long a client may send nothing of its request body, or take nothing of its response",
        example: "1m")
    static let bodyRate = Setting(
        "timeout.body_rate", .rate(0...(1 << 30)), default: "500B/s",
        "the slowest a request body may come, as a mean, once it takes longer than timeout.body; "
            + "0B/s turns it off",
        example: "1KiB/s")
    static let idle = Setting(
        "timeout.idle", .duration(), default: "60s",
        "how long a connection may wait for its next request", example: "75s")
    static let tunnel = Setting(
        "timeout.tunnel", .duration(), default: "1h",
        "how long a WebSocket or other tunnel may be silent", example: "10m")
    static let connectionsPerAddress = Setting(
        "limits.connections_per_address", .integer(1...10_000_000), default: "1000",
        "connections at once from one client address", example: "100")
    static let headerSize = Setting(
        "limits.header", .size(1024...(48 << 10)), default: "32KiB",
        "bytes of a request head; beyond it 431", example: "48KiB")
    static let headerCount = Setting(
        "limits.headers", .integer(1...1000), default: "100",
        "fields of a request head; beyond it 431", example: "200")
    static let targetSize = Setting(
        "limits.target", .size(128...(32 << 10)), default: "8KiB",
        "bytes of a request target; beyond it 414", example: "16KiB")
    static let bodySize = Setting(
        "limits.body", .size(0...bytesMost), default: "64MiB",
        "bytes of a request body; beyond it 413", example: "1GiB")
    static let bodyMemory = Setting(
        "limits.body_memory", .size(4096...(1 << 30)), default: "64KiB",
        "how much of a buffered request body stays in memory; the rest goes to a file",
        example: "256KiB")
    static let responseMemory = Setting(
        "limits.response_memory", .size(4096...(1 << 30)), default: "256KiB",
        "how much of a response waits in memory for a slow client", example: "1MiB")
    static let responseFile = Setting(
        "limits.response_file", .size(0...bytesMost), default: "1GiB",
        "how much of a response waits in a file for a slow client", example: "0B")
    static let upstreamHeader = Setting(
        "limits.upstream_header", .size(1024...(64 << 10)), default: "64KiB",
        "bytes of a response head; beyond it 502", example: "32KiB")
    static let trusted = Setting(
        each: "trusted_proxies[]", .cidr,
        """
        peers whose X-Forwarded-*, Forwarded and X-Request-Id are believed; where X-Forwarded-For \
        and Forwarded name different clients the former counts; an X-Request-Id is kept when it \
        is a ULID (26 characters), and replaced when it is anything else, such as a UUID
        """,
        example: "10.0.0.0/8")

    package static let keys = Keys(
        [
            handshake.declaration, header.declaration, body.declaration, bodyRate.declaration,
            idle.declaration, tunnel.declaration, connectionsPerAddress.declaration,
            headerSize.declaration, headerCount.declaration, targetSize.declaration,
            bodySize.declaration, bodyMemory.declaration, responseMemory.declaration,
            responseFile.declaration, upstreamHeader.declaration, trusted.declaration,
        ],
        shapes: [
            Shape("timeout", "times towards clients"),
            Shape("limits", "how much of everything there may be"),
            Shape("trusted_proxies", "peers whose word about the client is believed"),
        ])
}
