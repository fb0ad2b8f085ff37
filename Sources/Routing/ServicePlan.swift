/// What an edge's balancer has to know of a service.
public struct ServicePlan: Sendable {
    /// The service's index in the table.
    public var service: Int
    public var balance: ServiceOptions.Balance
    public var health: ServiceOptions.PassiveHealth
    public var retry: ServiceOptions.Retry
    /// How long a request may wait for a place, in nanoseconds.
    ///
    /// Waiting for a connection of an upstream's pool is waiting for a place: the shorter of
    /// `queue.wait` and `pool.timeout` holds.
    public var wait: UInt64

    public init(service: Int, _ options: ServiceOptions) {
        let wait =
            options.kind == .upstreams
            ? min(options.queue.wait, options.pool.timeout) : options.queue.wait
        self.init(
            service: service, balance: options.balance, health: options.health,
            retry: options.retry, wait: wait)
    }

    init(
        service: Int, balance: ServiceOptions.Balance, health: ServiceOptions.PassiveHealth,
        retry: ServiceOptions.Retry, wait: UInt64
    ) {
        self.service = service
        self.balance = balance
        self.health = health
        self.retry = retry
        self.wait = wait
    }

    /// A plan with the defaults of the configuration but for what is given.
    package init(service: Int, balance: ServiceOptions.Balance, wait: UInt64) {
        self.init(
            service: service, balance: balance,
            health: .init(failures: 5, window: 10_000_000_000, pause: 10_000_000_000),
            retry: .init(attempts: 1, budget: 0.2), wait: wait)
    }
}
