/// How long to wait before something that ended is started again: not at all the first time, then
/// doubling to a ceiling, and forgotten after a stable life.
///
/// Times are nanoseconds. A crash loop so costs one start each `longest`, and a single crash costs
/// no wait.
package struct RestartPolicy: Equatable, Sendable {
    /// The wait after the second failure; each further one doubles it.
    private let step: UInt64
    /// The longest wait.
    private let longest: UInt64
    /// A life at least this long forgets what went before.
    private let stable: UInt64
    /// Failures in a row, each after less than a stable life.
    package private(set) var failures = 0

    package init(step: UInt64, longest: UInt64, stable: UInt64) {
        self.step = step
        self.longest = longest
        self.stable = stable
    }

    /// For edges: back at once, and never away for long, because nobody else serves their sockets.
    package static let edge = RestartPolicy(
        step: 50_000_000, longest: 2_000_000_000, stable: 5_000_000_000)
    /// For workers and zygotes, whose start may cost seconds of work each time.
    package static let worker = RestartPolicy(
        step: 100_000_000, longest: 30_000_000_000, stable: 10_000_000_000)
    /// For plug-in hosts and the resolver, whose work can wait.
    package static let attendant = RestartPolicy(
        step: 100_000_000, longest: 30_000_000_000, stable: 30_000_000_000)

    /// Notes that a life of `lifetime` has ended and gives the wait before the next.
    package mutating func waitAfter(lifetime: UInt64) -> UInt64 {
        if lifetime >= stable { failures = 0 }
        failures += 1
        guard failures > 1 else { return 0 }
        // The exponent is bounded before it can overflow: 2^40 times any step is over any ceiling.
        let doublings = min(failures - 2, 40)
        let wait = step.multipliedReportingOverflow(by: 1 << UInt64(doublings))
        return wait.overflow ? longest : min(wait.partialValue, longest)
    }
}
