import CLinux

/// The kernel's clocks, read without a system call.
public enum Clock {
    /// Nanoseconds of `CLOCK_MONOTONIC`; never goes back.
    public static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }

    /// Nanoseconds since 1970-01-01 UTC; may step.
    public static var wall: UInt64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
