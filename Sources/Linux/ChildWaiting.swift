import CLinux

extension ChildProcess {
    /// Waits until the process ends, for so long at most, and reaps it; nil when it still runs.
    package borrowing func waitForExit(milliseconds: Int32) -> ProcessEnd? {
        var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
        var result = unsafe poll(&entry, 1, milliseconds)
        // Once more after a signal: the time may double, and never goes on for ever.
        if result < 0, clinux_errno() == EINTR { result = unsafe poll(&entry, 1, milliseconds) }
        return result > 0 ? reap() : nil
    }
}
