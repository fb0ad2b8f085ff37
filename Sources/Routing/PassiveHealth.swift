public import Board
import Memory

/// What became of a request, as far as it says something about the endpoint.
public enum EndpointOutcome: Equatable, Sendable {
    /// It answered, whatever the status, after so many nanoseconds to the first byte.
    case answered(latency: UInt64)
    /// It did not: refused, closed before an answer, too late, or against the protocol.
    case failed
    /// Nothing is known: the client went away first.
    case unknown
}

/// A change of an endpoint's health, for the signals `upstream_up` and `upstream_down`.
public enum HealthChange: Equatable, Sendable {
    /// The trial request was answered.
    case up(EndpointReference)
    /// Failed so often within the window; out until the time given (nanoseconds of the monotonic
    /// clock).
    case down(EndpointReference, until: UInt64)
}

/// Takes an endpoint out when requests fail there, and lets one request at a time try it again.
///
/// All state is in the endpoint's shared words, so that the edges judge together. The last
/// available endpoint of a service is never taken out: an edge pauses first, then looks whether
/// another is left, and takes it back if not; so two edges cannot take out the last two.
struct PassiveHealth: Sendable {
    let options: ServiceOptions.PassiveHealth

    /// Failures in the low 16 bits; above, when the window began, in units of 2^20 ns.
    private struct Window {
        var failures: UInt64
        var begin: UInt64

        init(_ word: UInt64) {
            failures = word & 0xffff
            begin = word >> 16
        }

        var word: UInt64 { failures | begin << 16 }
    }

    /// Counts a failure, and says whether there were enough within the window.
    func countFailure(_ slot: EndpointSlot, now: UInt64) -> Bool {
        let time = now >> 20
        // Each round lost is another edge's failure counted; the bound is never reached.
        for _ in 0..<64 {
            let before = slot.failures.loadRelaxed()
            var window = Window(before)
            if window.failures == 0 || time &- window.begin > options.window >> 20 {
                window = Window(0)
                window.begin = time
            }
            window.failures = min(window.failures + 1, 0xffff)
            let isEnough = window.failures >= UInt64(options.failures)
            let next = isEnough ? 0 : window.word
            if slot.failures.compareExchange(expected: before, desired: next) { return isEnough }
        }
        return false
    }

    /// Pauses an endpoint, unless it would be the last one.
    ///
    /// - Parameter members: the service's ready endpoints.
    func pause(
        _ slot: EndpointSlot, among members: borrowing PoolMembers, now: UInt64
    ) -> HealthChange? {
        let until = now &+ options.pause
        guard slot.pausedUntil.compareExchange(expected: 0, desired: until) else { return nil }
        for position in 0..<members.count where members.index(position) != slot.index {
            if members.isRunning(position) { return .down(slot.reference, until: until) }
        }
        _ = slot.pausedUntil.compareExchange(expected: until, desired: 0)
        return nil
    }
}

extension PoolMembers {
    /// Ready and not paused, not even for a trial.
    func isRunning(_ position: Int) -> Bool {
        let slot = slot(position)
        return slot.status == status(position) && slot.pausedUntil.loadSequential() == 0
    }
}
