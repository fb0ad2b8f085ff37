import CLinux

/// The kernel's clocks, in nanoseconds.
///
/// Loops read `monotonic` once a turn and pass it down as `now`; `wall` is only for what people read.
public enum SystemClock {
    /// Time since some fixed moment, never set back: for durations and deadlines.
    public static var monotonic: UInt64 { clinux_clock(CLOCK_MONOTONIC) }
    /// Time since 1970 in UTC.
    public static var wall: UInt64 { clinux_clock(CLOCK_REALTIME) }
}
