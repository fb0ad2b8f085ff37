import CLinux

/// The calls on an eventfd, by which one process wakes another.
public enum EventCounter {
    /// A new counter, non-blocking and close-on-exec.
    public static func make() throws(SystemError) -> Descriptor {
        let number = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard number >= 0 else { throw SystemError("eventfd") }
        return Descriptor(owning: number)
    }

    /// Makes the counter readable. A counter that is full is readable already, so nothing can fail.
    public static func signal(_ counter: Int32) {
        var one: UInt64 = 1
        _ = unsafe write(counter, &one, 8)
    }

    /// Sets the counter back, so that it is readable no more.
    public static func clear(_ counter: Int32) {
        var value: UInt64 = 0
        _ = unsafe read(counter, &value, 8)
    }
}
