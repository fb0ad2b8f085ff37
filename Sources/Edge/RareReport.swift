/// Something that may happen too often to be said each time: one line a minute at most, with a
/// count.
struct RareReport {
    private var count: UInt64 = 0
    private var mayBeSaidAt: UInt64 = 0

    /// Nanoseconds between two lines.
    static let pause: UInt64 = 60_000_000_000

    /// Notes that it has happened.
    ///
    /// - Returns: when it is to be said.
    mutating func note() -> UInt64 {
        count += 1
        return mayBeSaidAt
    }

    /// When it is to be said; nil when nothing has happened since.
    var dueAt: UInt64? { count > 0 ? mayBeSaidAt : nil }

    /// How often it has happened since it was said, if it is to be said now.
    mutating func take(now: UInt64) -> UInt64? {
        guard let dueAt, dueAt <= now else { return nil }
        mayBeSaidAt = now + Self.pause
        defer { count = 0 }
        return count
    }
}
