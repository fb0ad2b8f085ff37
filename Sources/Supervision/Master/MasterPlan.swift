internal import Board
package import Configuration
internal import Linux
internal import Routing
internal import Signals

/// What one reading of the configuration gave: checked, decided, and with every file read that only
/// the master may read.
package struct MasterReading: Sendable {
    package var configuration: EffectiveConfiguration
    /// Certificates, keys and upstreams' authorities for the edges, as `TLS.CertificateBundle`
    /// encodes them; empty without any.
    package var certificates: [UInt8]
    /// When some of them can be renewed without anybody's doing (Unix seconds); nil: none ever.
    package var renewAt: Int64?
    /// The folder of the file, where plug-ins start.
    package var folder: String
    package var warnings: [Diagnostic]
    /// What was decided and is worth a line.
    package var notices: [String]

    package init(
        configuration: EffectiveConfiguration, certificates: [UInt8], renewAt: Int64? = nil,
        folder: String, warnings: [Diagnostic] = [], notices: [String] = []
    ) {
        self.configuration = configuration
        self.certificates = certificates
        self.renewAt = renewAt
        self.folder = folder
        self.warnings = warnings
        self.notices = notices
    }
}

/// What the workers of a service are started from; a change of it replaces them.
struct PoolPlan: Equatable {
    var name: String
    var program: PoolOptions.Program
    var folder: String
    var python: String?
    var environment: [PoolOptions.Variable]
    /// Nil: as the master.
    var account: Account?
    var workers: Int
    /// Requests a worker takes at once.
    var capacity: Int
    var startLimit: UInt64
    var drainLimit: UInt64

    init(_ options: PoolOptions, account: Account?) {
        name = options.service.name
        program = options.program
        folder = options.dir
        python = options.python
        environment = options.environment
        self.account = account
        workers = max(1, options.service.workers)
        capacity = options.service.capacity
        startLimit = options.service.timeouts.start
        drainLimit = options.service.timeouts.drain
    }
}

/// What stands behind a service.
enum ServiceBacking: Equatable {
    case pool(PoolPlan)
    /// - Parameter capacity: connections to each of them, over all edges.
    case upstreams([ServiceOptions.Upstream], capacity: Int)
}

/// The configuration as the master obeys it.
struct MasterPlan {
    /// What it was made from.
    let reading: MasterReading
    let options: MasterOptions
    let logs: LogOptions
    let services: [(options: ServiceOptions, backing: ServiceBacking)]
    let plugins: [PluginOptions]
    /// The lines that children read.
    let lines: [UInt8]
    /// Whom edges run as; nil: as the master.
    let account: Account?

    init(_ reading: MasterReading) throws(MasterFailure) {
        self.reading = reading
        let configuration = reading.configuration
        options = MasterOptions(configuration)
        logs = LogOptions(configuration)
        plugins = PluginOptions.all(configuration)
        // What programs are told in their environment, passwords often, is for nobody else.
        lines = Array(configuration.lines(without: [PoolOptions.environmentPath]).utf8)
        account = try Self.account(options.user, options.group, of: "user")
        var services: [(options: ServiceOptions, backing: ServiceBacking)] = []
        for service in ServiceOptions.all(configuration) {
            guard let pool = PoolOptions(configuration, service: service.name) else {
                // As in SQLAlchemy, where each process has a pool of its own.
                let all =
                    (service.pool.size + service.pool.maxOverflow) * options.front.edges
                services.append(
                    (service, .upstreams(service.upstreams, capacity: min(all, capacityMax))))
                continue
            }
            var account = account
            if pool.user != nil || pool.group != nil {
                account = try Self.account(
                    pool.user ?? options.user, pool.group,
                    of: "services.\(service.name).user")
            }
            services.append((service, .pool(PoolPlan(pool, account: account))))
        }
        self.services = services
    }

    /// Looks a user up; nil when we are not root, and so stay who we are.
    private static func account(
        _ user: String?, _ group: String?, of key: String
    ) throws(MasterFailure) -> Account? {
        guard ProcessTraits.isRoot, let user else { return nil }
        guard let account = Account.named(user, group: group) else {
            let what = group.map { "user \(user) with group \($0)" } ?? "user \(user)"
            throw MasterFailure(.configuration, "\(key): there is no \(what)")
        }
        return account
    }

    var certificates: [UInt8] { reading.certificates }
    var folder: String { reading.folder }

    /// The events that somebody listens to.
    var listened: SignalSet { plugins.reduce(SignalSet()) { $0.union($1.events) } }
}
