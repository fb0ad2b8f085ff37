import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals

/// A listener, as far as its connections depend on it.
struct ListenerSettings: BitwiseCopyable {
    var isSecure: Bool
    var port: UInt16
    /// Every request is answered with a redirect to https.
    var redirects: Bool
}

/// What a route does with a request.
enum RouteKind: UInt8, BitwiseCopyable {
    case forward, redirect, respond
}

/// A service, as far as its requests depend on it. Times in nanoseconds.
struct ServiceSettings: BitwiseCopyable {
    /// Its index in the shared table.
    var slot: Int
    var kind: EndpointKind
    /// Workers of ours that are Python: field names with underscores are left out.
    var dropsUnderscores: Bool
    /// Requests are read whole before a worker is taken, and answers taken off it at once.
    var buffers: Bool
    /// Connections serve more than one request.
    var keepsConnections: Bool
    /// The first of its TLS contexts among the edge's, or -1.
    var firstTLSUpstream: Int
    /// How many servers `upstreams:` names.
    var upstreamCount: Int
    var bodyBytesMax: UInt64
    var connectTimeout: UInt64
    var firstByteTimeout: UInt64
    var requestTimeout: UInt64
    var idleTimeout: UInt64
    /// How long a connection may live, `TimerWheel.never` for no limit.
    var lifetime: UInt64
    /// Idle connections kept for each endpoint.
    var idleMax: Int

    /// A worker of ours: it is told `proxy-peer`, and ended when it is stuck.
    var isOurs: Bool { kind.contains(.ours) }
}

/// Everything an edge knows from its configuration, made once at its start.
struct EdgeSettings: ~Copyable {
    let options: EdgeOptions
    let listeners: FixedArray<ListenerSettings>
    /// Each listener's name in signals.
    let listenerNames: TextTable
    let services: FixedArray<ServiceSettings>
    let serviceNames: TextTable
    /// What each route sets and removes; as many as there are routes.
    let requestEdits: SlotTable<FieldEdits>
    let responseEdits: SlotTable<FieldEdits>
    /// What each route redirects to, or answers; empty for others.
    let locations: TextTable
    let bodies: TextTable
    /// What each route does.
    let routeKinds: FixedArray<RouteKind>
    /// Statuses of redirects and fixed answers.
    let statuses: FixedArray<UInt16>
    /// `https://{host}…{target}` on the first https listener's port.
    let httpsLocation: TextTable
    let requestLimits: HeadLimits
    let answerLimits: HeadLimits
    let spoolFolder: FolderPath

    /// `trusted_proxies`.
    let trusted: [CIDR]

    /// The number that stands for answers of the proxy's own among the edits: nothing is set or
    /// removed.
    var ownRoute: Int { routeKinds.count - 1 }

    /// Whether a peer's word about its own client is believed.
    func trusts(_ peer: IPAddress) -> Bool {
        guard !trusted.isEmpty else { return false }
        return trusted.contains { $0.contains(peer) }
    }
}
