import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals

/// A listening socket as the master bound it.
struct BoundListener {
    /// The listener's number in the configuration.
    var number: Int
    var port: UInt16
    /// As in the ready line.
    var url: String
}

extension EdgeSettings {
    /// Room for what this proxy adds to heads, within one large block.
    private static let headBytesMax = BlockSize.large.bytes

    /// Makes the settings of an edge.
    ///
    /// - Parameters:
    ///   - routes: those of the edge's route table.
    ///   - sockets: what this edge accepts from.
    ///   - slots: each service's index in the shared table.
    init(
        _ configuration: EffectiveConfiguration, routes: [Route], sockets: [BoundListener],
        slots: [String: Int]
    ) {
        let options = EdgeOptions(configuration)
        let front = FrontOptions(configuration)
        let services = ServiceOptions.all(configuration)
        self.options = options
        listeners = FixedArray(count: sockets.count) { index in
            let listener = front.listeners[sockets[index].number]
            return ListenerSettings(
                isSecure: listener.url.scheme == .https, port: sockets[index].port,
                redirects: listener.redirectsToHTTPS)
        }
        listenerNames = TextTable(sockets.map { Array($0.url.utf8) })
        self.services = ServiceSettings.table(services, slots: slots, limits: options.limits)
        serviceNames = TextTable(services.map { Array($0.name.utf8) })
        requestEdits = SlotTable(capacity: routes.count + 1)
        responseEdits = SlotTable(capacity: routes.count + 1)
        for route in routes {
            _ = requestEdits.insert(route.requestEdits)
            _ = responseEdits.insert(route.responseEdits)
        }
        // What no route takes is answered by the proxy itself, with nothing set or removed.
        _ = requestEdits.insert(FieldEdits())
        _ = responseEdits.insert(FieldEdits())
        locations = TextTable(routes.map(\.redirectTemplate))
        bodies = TextTable(routes.map(\.body))
        let kinds: [(RouteKind, UInt16)] =
            routes.map { route in
                switch route.action {
                case .forward: (.forward, 0)
                case .redirect(let status): (.redirect, status)
                case .respond(let status): (.respond, status)
                }
            } + [(.forward, 0)]
        routeKinds = FixedArray(count: kinds.count) { kinds[$0].0 }
        statuses = FixedArray(count: kinds.count) { kinds[$0].1 }
        trusted = options.trustedProxies
        let port = front.redirectPort.flatMap { wanted in
            sockets.first { front.listeners[$0.number].url.scheme == .https }?.port ?? wanted
        }
        httpsLocation = TextTable([
            Array(
                (port == 443 || port == nil
                    ? "https://{host}{target}" : "https://{host}:\(port!){target}").utf8)
        ])
        requestLimits = HeadLimits(
            headBytes: options.limits.headerBytes, fieldCount: options.limits.headerFields,
            targetBytes: options.limits.targetBytes)
        answerLimits = HeadLimits(
            headBytes: min(options.limits.upstreamHeaderBytes, Self.headBytesMax),
            fieldCount: FieldTable.countMax)
        spoolFolder = FolderPath(DirectoryOptions(configuration).spool)
    }
}

extension RouteTable {
    /// The routes of a configuration.
    init(_ configuration: EffectiveConfiguration) {
        self.init(
            RouteOptions.all(configuration),
            services: ServiceOptions.all(configuration).map(\.name),
            targetBytes: EdgeOptions(configuration).limits.targetBytes)
    }
}

extension ServiceSettings {
    /// Fills a table that has no service.
    static var nothing: ServiceSettings {
        ServiceSettings(
            slot: 0, kind: [], dropsUnderscores: false, buffers: false, keepsConnections: false,
            firstTLSUpstream: -1, upstreamCount: 0, bodyBytesMax: 0, connectTimeout: 0,
            firstByteTimeout: 0, requestTimeout: 0, idleTimeout: 0, lifetime: 0,
            idleMax: 0)
    }

    /// The settings of every service, in the order of the configuration.
    fileprivate static func table(
        _ services: [ServiceOptions], slots: [String: Int], limits: EdgeOptions.Limits
    ) -> FixedArray<ServiceSettings> {
        var table: [ServiceSettings] = []
        var nextTLS = 0
        for service in services {
            table.append(
                ServiceSettings(
                    service, slot: slots[service.name] ?? 0, firstTLSUpstream: nextTLS,
                    limits: limits))
            nextTLS += service.upstreams.count
        }
        return FixedArray(count: max(table.count, 1)) { index in
            index < table.count ? table[index] : .nothing
        }
    }

    init(
        _ options: ServiceOptions, slot: Int, firstTLSUpstream: Int, limits: EdgeOptions.Limits
    ) {
        let kind: EndpointKind =
            switch options.kind {
            case .app, .demo: .ours
            case .command: .command
            case .upstreams: .upstream
            }
        let isUpstream = options.kind == .upstreams
        self.init(
            slot: slot, kind: kind, dropsUnderscores: options.kind == .app,
            buffers: options.buffering == .request, keepsConnections: options.keepsConnections,
            firstTLSUpstream: firstTLSUpstream, upstreamCount: options.upstreams.count,
            bodyBytesMax: UInt64(options.bodyBytes ?? limits.bodyBytes),
            connectTimeout: options.timeouts.connect,
            firstByteTimeout: options.timeouts.firstByte,
            requestTimeout: options.timeouts.request,
            // Only an upstream may close on us while we are idle; a worker of ours never does.
            idleTimeout: isUpstream ? options.pool.idle : Self.workerIdleTimeout,
            lifetime: options.pool.lifetime ?? TimerWheel.never,
            idleMax: isUpstream ? options.pool.size : Self.workerIdleMax)
    }

    /// Nanoseconds after which an idle connection to a worker of ours is closed: it costs both
    /// sides a descriptor.
    private static let workerIdleTimeout: UInt64 = 60_000_000_000
    /// Idle connections to one worker that an edge keeps: as many as it can have places, and a few.
    private static let workerIdleMax = 64
}
