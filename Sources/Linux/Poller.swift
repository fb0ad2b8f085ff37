import CLinux

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// There are bytes, a connection to accept, or the end of the stream.
    public static let readable = Readiness(rawValue: 1)
    /// There is room to write, or a connect has ended.
    public static let writable = Readiness(rawValue: 4)
    /// An error is pending on the descriptor.
    public static let failed = Readiness(rawValue: 8)
    /// Both directions are closed.
    public static let hungUp = Readiness(rawValue: 16)
    /// The peer will send no more.
    public static let peerClosed = Readiness(rawValue: 0x2000)
}

/// Waits for many descriptors at once: an epoll instance and the events of its last wait.
@safe
public struct Poller: ~Copyable {
    /// Events taken with one wait; more stay in the kernel for the next.
    public static let eventsMax = 256

    private let instance: Descriptor
    private let events: UnsafeMutablePointer<epoll_event>

    public init() throws(SystemError) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw SystemError("epoll_create1") }
        instance = Descriptor(owning: number)
        unsafe events = .allocate(capacity: Self.eventsMax)
    }

    deinit { unsafe events.deallocate() }

    /// The instance's own descriptor: readable when one of its events waits.
    public var descriptor: Int32 { instance.number }

    /// Reports changes of a descriptor's readiness (edge-triggered) with `token`.
    public func add(_ descriptor: Int32, token: UInt64, writable: Bool) throws(SystemError) {
        let interest = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | (writable ? EPOLLOUT.rawValue : 0)
        try control(EPOLL_CTL_ADD, descriptor, interest | EPOLLET.rawValue, token)
    }

    /// Changes whether room to write is reported too; an edge is reported anew when it is there
    /// already.
    public func change(_ descriptor: Int32, token: UInt64, writable: Bool) throws(SystemError) {
        let interest = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | (writable ? EPOLLOUT.rawValue : 0)
        try control(EPOLL_CTL_MOD, descriptor, interest | EPOLLET.rawValue, token)
    }

    /// Reports a descriptor as long as it is readable (level-triggered): listeners, event counters,
    /// channels; or, with `writable`, as long as there is room to write.
    public func addLevel(
        _ descriptor: Int32, token: UInt64, writable: Bool = false
    ) throws(SystemError) {
        let interest = writable ? EPOLLOUT.rawValue : EPOLLIN.rawValue
        try control(EPOLL_CTL_ADD, descriptor, interest, token)
    }

    /// Stops reporting a descriptor that stays open.
    public func remove(_ descriptor: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, descriptor, 0, 0)
    }

    /// Waits until something is ready.
    ///
    /// - Parameter milliseconds: 0 returns at once, -1 waits without end.
    /// - Returns: the number of events; 0 also when a signal came.
    public func wait(milliseconds: Int32) throws(SystemError) -> Int {
        let count = unsafe epoll_wait(
            instance.number, events, Int32(Self.eventsMax), milliseconds)
        if count >= 0 { return Int(count) }
        guard clinux_errno() == EINTR else { throw SystemError("epoll_wait") }
        return 0
    }

    /// An event of the last wait.
    public func event(_ index: Int) -> (token: UInt64, readiness: Readiness) {
        precondition(index >= 0 && index < Self.eventsMax)
        let event = unsafe events[index]
        return unsafe (event.data.u64, Readiness(rawValue: event.events))
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ interest: UInt32, _ token: UInt64
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        unsafe event.events = interest
        unsafe event.data.u64 = token
        let result = unsafe epoll_ctl(instance.number, operation, descriptor, &event)
        guard result == 0 else { throw SystemError("epoll_ctl") }
    }
}
