/// What an edge's balancer has to know of a service.
public struct ServicePlan: Sendable {
    /// The service's index in the table.
    public var service: Int
    public var balance: ServiceOptions.Balance
    public var health: ServiceOptions.PassiveHealth
    public var retry: ServiceOptions.Retry
    /// How long a request may wait for a place, in nanoseconds.
    public var wait: UInt64

    public init(service: Int, _ options: ServiceOptions) {
        self.init(
            service: service, balance: options.balance, health: options.health,
            retry: options.retry, wait: options.queue.wait)
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
}
