package import Configuration

/// One service: who answers, how requests are spread over them, and how long everything may take.
public struct ServiceOptions: Sendable, Equatable {
    public enum Kind: String, CaseIterable, Sendable {
        /// A Python app in prefork workers.
        case app
        /// Any program that speaks HTTP on the socket it is given.
        case command
        /// Servers that run already.
        case upstreams
        /// The built-in demo app.
        case demo
    }

    public enum Balance: String, CaseIterable, Sendable {
        case roundRobin = "round-robin"
        case leastConnections = "least-connections"
        case randomTwo = "random-two"
        case leastTime = "least-time"
        case consistentHash = "consistent-hash"
    }

    public enum Buffering: String, CaseIterable, Sendable {
        /// Requests are read whole before a worker is taken; responses are taken off it at once.
        case request
        /// Both stream, with back-pressure.
        case none
    }

    public struct Upstream: Sendable, Equatable {
        public var url: UpstreamURL
        /// 0 takes no requests.
        public var weight: Int
        /// A PEM file of the CAs to trust; nil: the system's.
        public var ca: String?
        /// The name to ask for and to verify; nil: the URL's host.
        public var serverName: String?
        public var verifies: Bool
    }

    public struct Queue: Sendable, Equatable {
        /// Requests that may wait, over all edges.
        public var length: Int
        /// How long one may wait, in nanoseconds.
        public var wait: UInt64
    }

    /// Times towards workers and upstreams, in nanoseconds.
    public struct Timeouts: Sendable, Equatable {
        public var connect: UInt64
        /// From the end of the request to the first byte of the final answer.
        public var firstByte: UInt64
        /// From the choice of the worker to the last byte of its answer.
        public var request: UInt64
        /// From a worker's start to its being ready.
        public var start: UInt64
        /// How long a worker that is to end may go on.
        public var drain: UInt64
    }

    /// Connections to each endpoint, in the words of SQLAlchemy's pool. Times in nanoseconds.
    public struct Pool: Sendable, Equatable {
        /// Connections that are kept.
        public var size: Int
        /// Connections beyond it while they are needed.
        public var maxOverflow: Int
        /// How long to wait for one.
        public var timeout: UInt64
        /// A connection older than this is not used again; nil: no limit.
        public var lifetime: UInt64?
        /// A connection idle for longer is closed.
        public var idle: UInt64
    }

    public struct Retry: Sendable, Equatable {
        /// Further attempts after the first.
        public var attempts: Int
        /// Retries there may be for each request, over all.
        public var budget: Double
    }

    public struct PassiveHealth: Sendable, Equatable {
        /// Failures within the window that take an endpoint out.
        public var failures: Int
        public var window: UInt64
        /// How long it is out before one trial request.
        public var pause: UInt64
    }

    public var name: String
    public var kind: Kind
    /// Worker processes; 0 for upstreams.
    public var workers: Int
    /// Requests a worker works on at once (threads, or concurrency); 0 for upstreams.
    public var capacity: Int
    /// Whether connections to a `command` are used again; true for every other kind.
    public var keepsConnections: Bool
    public var upstreams: [Upstream]
    public var balance: Balance
    public var hash: HashKey?
    public var queue: Queue
    public var timeouts: Timeouts
    public var pool: Pool
    public var retry: Retry
    public var health: PassiveHealth
    public var buffering: Buffering
    /// Bytes of a request body; nil: the limit of all.
    public var bodyBytes: Int?
}

extension ServiceOptions {
    /// Reads every service, in the order of the file.
    package static func all(_ configuration: EffectiveConfiguration) -> [ServiceOptions] {
        configuration.names("services.*").map { ServiceOptions(configuration, service: $0) }
    }

    /// Reads one service of the effective configuration.
    package init(_ configuration: EffectiveConfiguration, service name: String) {
        self.name = name
        kind = Self.kind(of: name, configuration)
        workers = configuration.value(Self.workerCount, name) ?? 0
        capacity =
            switch kind {
            case .app: configuration.value(Self.threads, name)
            case .command, .demo: configuration.value(Self.concurrency, name)
            case .upstreams: 0
            }
        keepsConnections =
            kind == .command ? configuration.value(Self.keepAlive, name) : true
        upstreams = Self.upstreams(of: name, configuration)
        balance = configuration.value(Self.balance, name)
        hash = configuration.value(Self.hash, name)
        queue = Queue(
            length: configuration.value(Self.queueLength, name),
            wait: configuration.value(Self.queueWait, name))
        timeouts = Timeouts(
            connect: configuration.value(Self.connect, name),
            firstByte: configuration.value(Self.firstByte, name),
            request: configuration.value(Self.request, name),
            start: configuration.value(Self.start, name),
            drain: configuration.value(Self.drain, name))
        pool = Pool(
            size: configuration.value(Self.poolSize, name),
            maxOverflow: configuration.value(Self.poolOverflow, name),
            timeout: configuration.value(Self.poolTimeout, name),
            lifetime: configuration.value(Self.poolLifetime, name),
            idle: configuration.value(Self.poolIdle, name))
        retry = Retry(
            attempts: configuration.value(Self.retryAttempts, name),
            budget: configuration.value(Self.retryBudget, name))
        health = PassiveHealth(
            failures: configuration.value(Self.healthFailures, name),
            window: configuration.value(Self.healthWindow, name),
            pause: configuration.value(Self.healthPause, name))
        buffering = configuration.value(Self.buffer, name) ?? (kind == .app ? .request : .none)
        bodyBytes = configuration.value(Self.bodySize, name)
    }

    private static func kind(of name: String, _ configuration: EffectiveConfiguration) -> Kind {
        let kind = Kind.allCases.first { configuration.has("services", name, $0.rawValue) }
        guard let kind else { preconditionFailure("service \(name) has no kind") }
        return kind
    }

    private static func upstreams(
        of name: String, _ configuration: EffectiveConfiguration
    ) -> [Upstream] {
        configuration.names("services.*.upstreams[]", name).map { number in
            Upstream(
                url: configuration.value(Self.url, name, number),
                weight: configuration.value(Self.weight, name, number),
                ca: configuration.value(Self.ca, name, number),
                serverName: configuration.value(Self.serverName, name, number),
                verifies: configuration.value(Self.verify, name, number))
        }
    }
}
