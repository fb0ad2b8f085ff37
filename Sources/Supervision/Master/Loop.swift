internal import Linux

/// The master's one event loop: descriptors with what to do when they are readable, and one
/// deadline.
final class Loop {
    private let poller: Poller
    private var handlers: [UInt64: () -> Void] = [:]
    private var lastToken: UInt64 = 0

    init() throws(SystemError) { poller = try Poller() }

    /// One descriptor that is waited for, until this value is let go or cancelled.
    final class Watch {
        private weak var loop: Loop?
        private let token: UInt64
        private let number: Int32

        fileprivate init(_ loop: Loop, _ token: UInt64, _ number: Int32) {
            self.loop = loop
            self.token = token
            self.number = number
        }

        deinit { cancel() }

        /// Stops waiting; to be called before the descriptor is closed.
        func cancel() {
            loop?.forget(token, number)
            loop = nil
        }
    }

    /// Calls `handler` in each turn in which `descriptor` is readable (or has room, with
    /// `writable`), closed or broken.
    func watch(
        _ descriptor: Int32, writable: Bool = false, _ handler: @escaping () -> Void
    ) throws(SystemError) -> Watch {
        lastToken += 1
        try poller.addLevel(descriptor, token: lastToken, writable: writable)
        handlers[lastToken] = handler
        return Watch(self, lastToken, descriptor)
    }

    private func forget(_ token: UInt64, _ number: Int32) {
        guard handlers.removeValue(forKey: token) != nil else { return }
        try? poller.remove(number)
    }

    /// Waits for something to do, at latest until `deadline` (monotonic nanoseconds), and does it.
    func turn(until deadline: UInt64?) throws(SystemError) {
        var milliseconds: Int32 = -1
        if let deadline {
            let now = Clock.monotonic
            // Rounded up, so that what is due is due when the wait is over.
            milliseconds =
                deadline > now ? Int32(clamping: (deadline - now + 999_999) / 1_000_000) : 0
        }
        let count = try poller.wait(milliseconds: milliseconds)
        for index in 0..<count {
            // A handler before this one may have ended this one's descriptor.
            handlers[poller.event(index).token]?()
        }
    }
}
