import Memory

/// How long an endpoint takes to answer: a moving average in one shared word, which every edge
/// feeds.
///
/// Two edges that feed it at once may lose one of the samples; that does no harm.
struct LatencyEstimate {
    /// Microseconds in the low half, the time of the last sample in units of 2^20 ns (about a
    /// millisecond) in the high one.
    let word: UInt64

    /// After so many time units (about 4 s) without a sample the estimate halves, so that a slow
    /// endpoint is tried again.
    private static let halfLife: UInt64 = 4096

    /// The estimate as it stands at `now`; 0 when nothing is known.
    func microseconds(at now: UInt64) -> UInt64 {
        let age = (now >> 20 &- word >> 32) & 0xffff_ffff
        return (word & 0xffff_ffff) >> min(age / Self.halfLife, 32)
    }

    /// The word after one more sample, which counts a quarter.
    func adding(nanoseconds: UInt64, at now: UInt64) -> UInt64 {
        let sample = min(nanoseconds / 1000, 0xffff_ffff)
        let before = microseconds(at: now)
        let next = word == 0 ? sample : before - before / 4 + sample / 4
        // Never 0 once there was a sample, so that a fast endpoint is not taken for an unknown one.
        return max(1, min(next, 0xffff_ffff)) | (now >> 20 & 0xffff_ffff) << 32
    }
}
