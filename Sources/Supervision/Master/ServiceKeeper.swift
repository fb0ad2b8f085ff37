internal import Board
internal import Linux
internal import Routing
internal import Signals

/// One service and what stands behind it: its row in the table is its own, so that edges meet only
/// what their configuration knows.
final class ServiceUnit {
    let name: String
    /// Its index in the table.
    let index: Int
    fileprivate(set) var options: ServiceOptions
    fileprivate(set) var pool: Pool?
    fileprivate(set) var upstreams: UpstreamSet?

    fileprivate init(_ options: ServiceOptions, index: Int) {
        name = options.name
        self.options = options
        self.index = index
    }

    fileprivate var backing: ServiceBacking? {
        if let pool { return .pool(pool.plan) }
        return upstreams.map { .upstreams($0.upstreams, capacity: $0.capacity) }
    }
}

/// All services: starts what stands behind them, replaces what a reload changes, and lets the rest
/// go.
final class ServiceKeeper {
    private let site: MasterSite
    private let resolver: Resolver
    private(set) var units: [ServiceUnit] = []
    /// Services that the configuration does not know any more, or knows with other settings, and
    /// the last generation that did.
    private var departing: [(unit: ServiceUnit, last: Int)] = []

    init(_ site: MasterSite, resolver: Resolver) {
        self.site = site
        self.resolver = resolver
    }

    // MARK: a change of configuration

    /// What is started for a configuration before it counts.
    final class Preparation {
        let changes: GenerationPlan
        fileprivate var fresh: [ServiceUnit] = []
        fileprivate var isOver = false
        /// Why it cannot be done: one line.
        fileprivate(set) var failure: String?
        fileprivate var done: () -> Void = {}

        fileprivate init(_ changes: GenerationPlan) { self.changes = changes }

        /// Each service's index in the table.
        fileprivate(set) var services: [(name: String, index: Int)] = []

        /// What the apps are, for people.
        var descriptions: [String] { fresh.compactMap { $0.pool?.description } }

        /// Everything has started, or failed for good.
        var hasSettled: Bool {
            fresh.allSatisfy { ($0.pool?.hasSettled ?? true) && ($0.upstreams?.hasSettled ?? true) }
        }
    }

    /// Starts what a configuration has and we do not; nothing that serves is touched.
    ///
    /// - Parameters:
    ///   - mayFail: a service without a ready worker is taken as it is (at start), instead of
    ///     failing the whole.
    ///   - changed: called whenever `hasSettled` or `failure` may have changed.
    func prepare(
        _ plan: MasterPlan, mayFail: Bool, changed: @escaping () -> Void
    ) throws(MasterFailure) -> Preparation {
        let old = units.compactMap { unit in unit.backing.map { (name: unit.name, settings: $0) } }
        let new = plan.services.map { (name: $0.options.name, settings: $0.backing) }
        let preparation = Preparation(GenerationPlan(from: old, to: new))
        preparation.done = changed
        do throws(MasterFailure) {
            for (options, backing) in plan.services {
                if preparation.changes.kept.contains(options.name),
                    let kept = units.first(where: { $0.name == options.name })
                {
                    preparation.services.append((kept.name, kept.index))
                    continue
                }
                let unit = try addUnit(options)
                preparation.services.append((unit.name, unit.index))
                preparation.fresh.append(unit)
                switch backing {
                case .pool(let plan): unit.pool = try pool(plan, unit, preparation, mayFail)
                case .upstreams(let upstreams, let capacity):
                    let set = UpstreamSet(
                        upstreams, capacity: capacity, name: unit.name, service: unit.index,
                        site: site, resolver: resolver)
                    set.settled = { [weak preparation] in preparation?.done() }
                    unit.upstreams = set
                }
            }
        } catch {
            withdraw(preparation)
            throw error
        }
        return preparation
    }

    /// Starts everything that was prepared.
    func begin(_ preparation: Preparation) {
        for fresh in preparation.fresh {
            fresh.pool?.begin()
            fresh.upstreams?.begin()
        }
    }

    private func pool(
        _ plan: PoolPlan, _ unit: ServiceUnit, _ preparation: Preparation, _ mayFail: Bool
    ) throws(MasterFailure) -> Pool {
        let pool = try Pool(plan, service: unit.index, site: site)
        pool.settled = { [weak preparation, unowned pool] isReady in
            guard let preparation, !preparation.isOver else { return }
            if !isReady && !mayFail {
                preparation.failure =
                    "services.\(plan.name): \(pool.lastFailure ?? "no worker could be started")"
            }
            preparation.done()
        }
        pool.loadFailed = { [unowned self, weak preparation] message, traceback in
            report(plan.name, message, traceback)
            guard let preparation, !preparation.isOver else { return }
            preparation.failure = Self.loadFailure(plan.name, message, traceback)
            preparation.done()
        }
        pool.rolled = { [unowned self] in report(plan.name, rollFailure: $0) }
        pool.ended = { [unowned self, unit, unowned pool] in
            if unit.pool === pool { unit.pool = nil }
            withdrawn.removeAll { $0 === pool }
            poolEnded()
        }
        return pool
    }

    private func report(_ name: String, rollFailure failure: String?) {
        guard let failure else {
            return site.log.info("rolled") { line in line.add("service", text: name) }
        }
        site.log.error("roll_failed") { line in
            line.add("service", text: name)
            line.add("error", text: failure)
        }
    }

    private func report(_ name: String, _ message: String, _ traceback: String) {
        site.log.error("app_failed") { line in
            line.add("service", text: name)
            line.add("error", text: message)
            if !traceback.isEmpty { line.add("traceback", endOf: traceback) }
        }
    }

    /// One line with the cause, and the traceback's last line where that says more.
    static func loadFailure(_ name: String, _ message: String, _ traceback: String) -> String {
        let last = traceback.split(separator: "\n").last.map(String.init) ?? ""
        let more = last.isEmpty || message.contains(last) ? "" : " (\(last))"
        return "services.\(name): \(message)\(more)"
    }

    private func addUnit(_ options: ServiceOptions) throws(MasterFailure) -> ServiceUnit {
        do throws(BoardError) {
            let index = try site.memory.table.addService(
                name: options.name, queueLimit: options.queue.length)
            site.memory.board.clear(service: index)
            return ServiceUnit(options, index: index)
        } catch {
            throw MasterFailure(
                .failed,
                "services.\(options.name): no room in shared memory (\(error)); "
                    + "limits.services counts from the start of the proxy on")
        }
    }

    /// Makes what was prepared count: what it replaces, and what is gone from the configuration,
    /// departs with the edges that know it.
    func commit(_ preparation: Preparation, plan: MasterPlan, generation: Int) {
        preparation.isOver = true
        for name in preparation.changes.replaced + preparation.changes.removed {
            guard let position = units.firstIndex(where: { $0.name == name }) else { continue }
            let unit = units.remove(at: position)
            site.memory.table.retireService(
                unit.index, lastConfiguration: UInt64(generation - 1))
            departing.append((unit, generation - 1))
        }
        units += preparation.fresh
        for (options, _) in plan.services {
            guard let unit = units.first(where: { $0.name == options.name }) else { continue }
            unit.options = options
            site.memory.table.service(unit.index).setQueueLimit(options.queue.length)
        }
        let order = plan.services.map(\.options.name)
        units.sort { order.firstIndex(of: $0.name) ?? 0 < order.firstIndex(of: $1.name) ?? 0 }
    }

    /// Pools that were started and are not wanted after all.
    private var withdrawn: [Pool] = []

    /// Takes everything back that was prepared.
    func withdraw(_ preparation: Preparation) {
        guard !preparation.isOver else { return }
        preparation.isOver = true
        for fresh in preparation.fresh {
            fresh.upstreams?.end()
            if let pool = fresh.pool {
                withdrawn.append(pool)
                pool.killAll()
            }
            site.memory.table.retireService(fresh.index, lastConfiguration: 0)
        }
    }

    /// Lets services go that only edges of ended generations knew.
    /// - Parameter oldest: the oldest generation that lives.
    func generationsChanged(oldest: Int) {
        for (unit, last) in departing where last < oldest {
            unit.upstreams?.end()
            unit.upstreams = nil
            unit.pool?.drain(cause: .replaced)
        }
        departing.removeAll { $0.last < oldest && $0.unit.pool == nil }
    }

    // MARK: life

    private var allPools: [Pool] {
        units.compactMap(\.pool) + departing.compactMap(\.unit.pool) + withdrawn
    }

    /// No worker is left.
    var isEmpty: Bool { allPools.isEmpty }

    var deadline: UInt64? { allPools.compactMap(\.deadline).min() }

    func tick(now: UInt64) { for pool in allPools { pool.tick(now: now) } }

    func review() { for pool in allPools { pool.review() } }

    /// Pools of a preparation that does not count yet.
    func tick(_ preparation: Preparation, now: UInt64) {
        for fresh in preparation.fresh { fresh.pool?.tick(now: now) }
    }

    func deadline(_ preparation: Preparation) -> UInt64? {
        preparation.fresh.compactMap { $0.pool?.deadline }.min()
    }

    func kill(_ endpoint: EndpointReference) {
        _ = allPools.first { $0.kill(endpoint, cause: .timeout) }
    }

    func isBusy(_ endpoint: EndpointReference, place: Int) -> Bool {
        for pool in allPools {
            if let isBusy = pool.isBusy(endpoint, place: place) { return isBusy }
        }
        return false
    }

    /// Replaces the workers of these services by others with the code of now.
    ///
    /// - Parameter done: gets the services that have workers, and the failures.
    func roll(_ names: [String], done: @escaping ([String], [String]) -> Void) {
        let pools = units.filter { names.contains($0.name) }.compactMap(\.pool)
        let rolled = pools.map(\.name)
        guard !pools.isEmpty else { return done([], []) }
        var left = pools.count
        var failures: [String] = []
        for pool in pools {
            pool.roll { failure in
                if let failure { failures.append("services.\(pool.name): \(failure)") }
                left -= 1
                if left == 0 { done(rolled, failures) }
            }
        }
    }

    /// Called when no pool is left after `stop`.
    var stopped: () -> Void = {}
    private var isStopping = false

    /// Lets every worker finish what it has in hand and end.
    func stop() {
        isStopping = true
        for unit in units { unit.upstreams?.end() }
        for pool in allPools { pool.drain(cause: .stop) }
        poolEnded()
    }

    func stopNow() {
        isStopping = true
        for pool in allPools { pool.killAll() }
        poolEnded()
    }

    private func poolEnded() { if isStopping && allPools.isEmpty { stopped() } }

    /// Frees what nobody refers to any more.
    func reclaim() {
        _ = site.memory.table.reclaimEndpoints()
        _ = site.memory.table.reclaimServices()
    }
}
