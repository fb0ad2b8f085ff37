/// Which names are to be looked up when: again when an answer is over its time, and sooner after a
/// failure.
///
/// A pure value; times are nanoseconds, monotonic.
package struct NameSchedule: Equatable, Sendable {
    /// Bounds for how long an answer is believed, whatever its source says, in seconds: a TTL of 0
    /// must not make a busy loop, and one of a week must not hold a moved service up for ever.
    private static let secondsMin = 1
    private static let secondsMax = 3600
    /// For answers without a TTL, in seconds: those of a hosts file, and those of a name server
    /// that says 0, such as Consul's, which c-ares gives alike. Short for the latter, and no work
    /// worth counting for the former.
    private static let secondsUnknown = 5
    /// The longest wait after failures, in seconds.
    private static let failureSecondsMax = 30
    private static let second: UInt64 = 1_000_000_000

    private struct Name: Equatable {
        var dueAt: UInt64?
        var failures = 0
    }

    private var names: [String: Name] = [:]

    package init() {}

    /// Makes these the names that are looked up; new ones at once.
    package mutating func set(_ wanted: [String], now: UInt64) {
        let set = Set(wanted)
        names = names.filter { set.contains($0.key) }
        for name in set where names[name] == nil { names[name] = Name(dueAt: now) }
    }

    /// The names that are due; each is then waited for until it is answered.
    package mutating func takeDue(now: UInt64) -> [String] {
        let due = names.filter { ($0.value.dueAt ?? .max) <= now }.map(\.key).sorted()
        for name in due { names[name]?.dueAt = nil }
        return due
    }

    /// A look-up was answered; nil: without saying for how long.
    package mutating func answered(_ name: String, seconds: Int?, now: UInt64) {
        guard names[name] != nil else { return }
        let bounded = min(max(seconds ?? Self.secondsUnknown, Self.secondsMin), Self.secondsMax)
        names[name] = Name(dueAt: now + UInt64(bounded) * Self.second)
    }

    /// A look-up failed.
    package mutating func failed(_ name: String, now: UInt64) {
        guard var entry = names[name] else { return }
        let seconds = min(1 << min(entry.failures, 10), Self.failureSecondsMax)
        entry.failures += 1
        entry.dueAt = now + UInt64(seconds) * Self.second
        names[name] = entry
    }

    /// When the next name is due; nil: none is.
    package var deadline: UInt64? { names.values.compactMap(\.dueAt).min() }
}
