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

    /// Notes that a life has ended in which there was work to do, and gives the wait before the
    /// next: what ended it is more likely the work than the start, so it is forgotten what went
    /// before. None, unless the life was shorter than a step: that bounds the starts of a loop.
    package mutating func waitAfter(workingLife lifetime: UInt64) -> UInt64 {
        failures = 0
        return step - min(step, lifetime)
    }

    /// Whether a life was long enough to forget what went before.
    package func isStable(_ lifetime: UInt64) -> Bool { lifetime >= stable }

    /// Notes that a life of `lifetime` has ended and gives the wait before the next.
    package mutating func waitAfter(lifetime: UInt64) -> UInt64 {
        if isStable(lifetime) { failures = 0 }
        failures += 1
        guard failures > 1 else { return 0 }
        // The exponent is bounded before it can overflow: 2^40 times any step is over any ceiling.
        let doublings = min(failures - 2, 40)
        let wait = step.multipliedReportingOverflow(by: 1 << UInt64(doublings))
        return wait.overflow ? longest : min(wait.partialValue, longest)
    }
}

/// Lives that follow one another without a stable one: what has to be said loudly, though not each
/// time.
package struct CrashLoop: Equatable, Sendable {
    /// Short lives in a row.
    package private(set) var lives = 0
    /// Of them, those in a row that came to nothing: the last ones never were ready.
    package private(set) var falseStarts = 0
    /// When the first of them began.
    package private(set) var since: UInt64 = 0
    /// The number of lives that is said next; each time twice as many.
    private var nextSaid = Self.livesMin

    /// Fewer are no loop.
    package static let livesMin = 3

    package init() {}

    /// Notes that a life has ended.
    ///
    /// - Returns: whether it is time to say so.
    package mutating func ended(startedAt: UInt64, wasReady: Bool, isStable: Bool) -> Bool {
        if isStable { self = CrashLoop() }
        falseStarts = wasReady ? 0 : falseStarts + 1
        guard !isStable else { return false }
        if lives == 0 { since = startedAt }
        lives += 1
        guard lives >= nextSaid else { return false }
        nextSaid *= 2
        return true
    }
}
