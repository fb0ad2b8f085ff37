import CLinux

/// The few descriptors a supervising process waits for, level-triggered, each under a token.
///
/// Not for the data path, which has its own edge-triggered poller.
package struct ReadinessSet: ~Copyable {
    /// What is true of a descriptor.
    package struct Event: Equatable, Sendable {
        package var token: UInt64
        package var isReadable: Bool
        package var isWritable: Bool
        /// The other end is gone, or the descriptor has an error.
        package var isClosed: Bool
    }

    /// Events taken from the kernel at once; the rest come with the next call.
    private static let eventsMax = 256

    private let poller: Descriptor

    package init() throws(SystemError) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw SystemError("epoll_create1") }
        poller = Descriptor(owning: number)
    }

    /// Waits for `descriptor` too; closing its last copy takes it out again.
    package func add(
        _ descriptor: Int32, token: UInt64, reading: Bool = true, writing: Bool = false
    ) throws(SystemError) {
        try control(0, descriptor, token, reading, writing)
    }

    package func change(
        _ descriptor: Int32, token: UInt64, reading: Bool, writing: Bool
    ) throws(SystemError) {
        try control(1, descriptor, token, reading, writing)
    }

    package func remove(_ descriptor: Int32) {
        _ = clinux_epoll_token(poller.number, 2, descriptor, 0, 0)
    }

    /// What is ready, at latest after `nanoseconds` (for ever when nil); empty when the time is over.
    package func wait(nanoseconds: UInt64?) throws(SystemError) -> [Event] {
        var room = unsafe [epoll_event](repeating: epoll_event(), count: Self.eventsMax)
        // Rounded up, so that a deadline is over when the wait is.
        let milliseconds = nanoseconds.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
        let count = unsafe epoll_wait(poller.number, &room, Int32(Self.eventsMax), milliseconds)
        guard count >= 0 else {
            if clinux_errno() == EINTR { return [] }
            throw SystemError("epoll_wait")
        }
        var events: [Event] = []
        for position in 0..<Int(count) {
            let flags = unsafe room[position].events
            events.append(
                Event(
                    token: unsafe clinux_epoll_event_token(&room[position]),
                    isReadable: flags & EPOLLIN.rawValue != 0,
                    isWritable: flags & EPOLLOUT.rawValue != 0,
                    isClosed: flags & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0))
        }
        return events
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ token: UInt64, _ reading: Bool, _ writing: Bool
    ) throws(SystemError) {
        let events = (reading ? EPOLLIN.rawValue : 0) | (writing ? EPOLLOUT.rawValue : 0)
        guard clinux_epoll_token(poller.number, operation, descriptor, events, token) == 0 else {
            throw SystemError("epoll_ctl")
        }
    }
}
