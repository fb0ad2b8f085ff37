package import Configuration

/// What the master and the edges have to agree on: listeners, how many edges, shared capacities,
/// drain.
public struct FrontOptions: Sendable, Equatable {
    public struct Listener: Sendable, Equatable {
        public var url: ListenURL
        /// `redirect: https`: every request is answered by a redirect to the https listener.
        public var redirectsToHTTPS: Bool
        /// Connections the kernel keeps until they are accepted, for each edge's socket.
        public var backlog: Int
        /// One socket an edge (SO_REUSEPORT) instead of one for all.
        public var reusesPort: Bool
    }

    /// In the order of the file; a listener's number is its place here.
    public var listeners: [Listener]
    /// How many edge processes.
    public var edges: Int
    /// Client connections of all edges together.
    public var connections: Int
    /// Slots for services in shared memory.
    public var services: Int
    /// Slots for endpoints in shared memory.
    public var endpoints: Int
    /// How long a stop waits for requests, in nanoseconds.
    public var drain: UInt64
    /// How long edges of an old generation may live after a reload, in nanoseconds.
    public var drainAfterReload: UInt64

    /// The connections one edge takes: its share, rounded up.
    public var connectionsPerEdge: Int { (connections + edges - 1) / edges }

    /// The port that a redirect to https names, nil when no listener speaks https.
    public var redirectPort: UInt16? { listeners.first { $0.url.scheme == .https }?.url.port }
}

extension FrontOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        listeners = configuration.names("listen[]").map { number in
            Listener(
                url: configuration.value(Self.url, number)!,
                redirectsToHTTPS: configuration.value(Self.redirect, number) != nil,
                backlog: configuration.value(Self.backlog, number),
                reusesPort: configuration.value(Self.reusePort, number))
        }
        edges = configuration.value(Self.edgeCount)!
        connections = configuration.value(Self.connectionsMax)
        services = configuration.value(Self.servicesMax)
        endpoints = configuration.value(Self.endpointsMax)
        drain = configuration.value(Self.drainTime)
        drainAfterReload = configuration.value(Self.drainReloadTime)
    }
}

extension FrontOptions {
    /// Most edges there can be: shared memory has 64 edge slots, and a reload needs those of two
    /// generations.
    package static let edgesMax = 32
    /// Most edges that `auto` takes, so that four generations fit into the slots.
    package static let automaticEdgesMax = 16
    /// Most listeners: each costs every edge a socket. A file has a handful.
    package static let listenersMax = 64

    package enum Redirect: String, CaseIterable, Sendable { case https }

    package static let url = Setting(
        "listen[].url", .automatic(or: .listenURL),
        "where to listen; auto is https and http on the loopback addresses, "
            + "443 and 80 where both may be bound, else 8443 and 8080",
        example: "https://*:443")
    static let redirect = Setting(
        optional: "listen[].redirect", SettingType<Redirect>.choice,
        "answer every request on this listener with a redirect to https", example: "https")
    static let backlog = Setting(
        "listen[].backlog", .integer(1...65_535), default: "1024",
        "connections the kernel keeps until an edge accepts them", example: "4096")
    static let reusePort = Setting(
        "listen[].reuse_port", .boolean, default: "true",
        "one listening socket for each edge, so that the kernel spreads connections",
        example: "false")
    package static let edgeCount = Setting(
        "edges", .automatic(or: .integer(1...edgesMax)), default: "auto",
        "data-plane processes; auto is one for each core this machine gives us", example: "4")
    /// Client connections that nobody has to write down.
    package static let connectionsDefault = 20_000
    package static let connectionsMax = Setting(
        "limits.connections", .integer(1...10_000_000), default: "\(connectionsDefault)",
        "client connections at once, over all edges; each edge takes its share, rounded up",
        example: "50000")
    package static let servicesMax = Setting(
        "limits.services", .integer(1...4096), default: "512",
        "services there can be, also over reloads: the size of a table in shared memory",
        example: "64")
    package static let endpointsMax = Setting(
        "limits.endpoints", .integer(1...65_536), default: "4096",
        "workers and upstreams of all services: the size of a table in shared memory",
        example: "256")
    static let drainTime = Setting(
        "timeout.drain", .duration(0...Nanoseconds.most), default: "30s",
        "how long a stop waits for requests to end", example: "1m")
    static let drainReloadTime = Setting(
        "timeout.drain_reload", .duration(0...Nanoseconds.most), default: "10m",
        "how long long streams and WebSockets may go on in edges of the old configuration",
        example: "1h")

    package static let keys = Keys(
        [
            url.declaration, redirect.declaration, backlog.declaration, reusePort.declaration,
            edgeCount.declaration, connectionsMax.declaration, servicesMax.declaration,
            endpointsMax.declaration, drainTime.declaration, drainReloadTime.declaration,
        ],
        shapes: [
            Shape(
                "listen[]", "the addresses to listen on", shorthand: .value(of: "url"),
                takesOne: true, isRequired: true, counts: 1...listenersMax)
        ],
        later: ["listen[].proxy_protocol", "listen[].tls", "listen[].mode", "listen[].http2"])
}
