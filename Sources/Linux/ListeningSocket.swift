import CLinux

/// A socket that takes connections; it is non-blocking and close-on-exec.
package struct ListeningSocket: ~Copyable, Sendable {
    package let descriptor: Descriptor
    /// The address with the real port.
    package let address: SocketAddress

    package var number: Int32 { descriptor.number }

    /// Binds a TCP address and listens.
    package init(
        tcp address: SocketAddress, backlog: Int = 1024, sharesPort: Bool = true
    ) throws(SystemError) {
        let descriptor = try Self.bind(address, sharesPort)
        try Self.startListening(descriptor.number, backlog: backlog)
        self.address = try SocketAddress(ofSocket: descriptor.number)
        self.descriptor = descriptor
    }

    /// Binds a TCP address; nobody can connect before `startListening`.
    ///
    /// With `sharesPort` several such sockets of one user listen on one address, and the kernel
    /// spreads connections over them. IPv6 sockets take IPv6 only, so that both families can be
    /// bound side by side. Accepted connections send small pieces at once. Errors: `EADDRINUSE`,
    /// `EACCES` below port 1024, `EADDRNOTAVAIL`.
    package init(bound address: SocketAddress, sharesPort: Bool = true) throws(SystemError) {
        let descriptor = try Self.bind(address, sharesPort)
        self.address = try SocketAddress(ofSocket: descriptor.number)
        self.descriptor = descriptor
    }

    private static func bind(
        _ address: SocketAddress, _ sharesPort: Bool
    ) throws(SystemError) -> Descriptor {
        let number = socket(address.family, streamFlags, 0)
        guard number >= 0 else { throw SystemError("socket") }
        let descriptor = Descriptor(owning: number)
        try descriptor.set(SOL_SOCKET, SO_REUSEADDR, 1)
        if sharesPort { try descriptor.set(SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.kind == .ipv6 {
            try descriptor.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
        }
        // Accepted connections inherit it. Without it the short end of a long answer waits for the
        // delayed acknowledgement of the short piece before it (40 ms; RFC 1122 section 4.2.3.4).
        try descriptor.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        try descriptor.bind(address)
        return descriptor
    }

    /// Takes connections from now on, at most `backlog` that wait; may be said again to change it.
    package static func startListening(_ number: Int32, backlog: Int) throws(SystemError) {
        guard listen(number, Int32(clamping: backlog)) == 0 else {
            throw SystemError("listen")
        }
    }

    /// Lets nobody connect any more; those who wait in the queue can still be accepted.
    ///
    /// Who comes finds the port closed, or another socket of it; handshakes under way are finished.
    /// To be followed by `stopListening`.
    package static func turnAway(_ number: Int32) throws(SystemError) {
        guard clinux_leave_interfaces(number) == 0 else { throw SystemError("setsockopt") }
    }

    /// Ends to listen for every process that holds the socket, whose port is free to others who
    /// listen. What waits in the queue is reset.
    package static func stopListening(_ number: Int32) { shutdown(number, Int32(SHUT_RDWR)) }

    /// Binds a Unix socket: a file of this mode and owner, made in one step that nobody else gets
    /// in between of.
    ///
    /// The file must not be there yet. `owner` needs root when it is not us.
    package init(
        unix path: String, mode: UInt32 = 0o600, owner: Account? = nil, backlog: Int = 1024
    ) throws(SystemError) {
        let address = try SocketAddress.unix(path: path)
        let number = socket(AF_UNIX, streamFlags, 0)
        guard number >= 0 else { throw SystemError("socket") }
        let descriptor = Descriptor(owning: number)
        // The mode of the socket's inode is what the file gets, so it is never wider than asked.
        guard fchmod(number, mode) == 0 else { throw SystemError("fchmod") }
        if let owner, owner.user != geteuid() || owner.group != getegid() {
            guard fchown(number, owner.user, owner.group) == 0 else { throw SystemError("fchown") }
        }
        try descriptor.bind(address)
        try Self.startListening(number, backlog: backlog)
        if let owner, owner.user != geteuid() || owner.group != getegid() {
            guard unsafe chown(path, owner.user, owner.group) == 0 else {
                throw SystemError("chown")
            }
        }
        guard unsafe chmod(path, mode) == 0 else { throw SystemError("chmod") }
        self.address = address
        self.descriptor = descriptor
    }

    /// Makes sure that nobody listens on a TCP address, not even one who would share the port.
    ///
    /// It only binds, and so never takes a connection away. Throws `EADDRINUSE` and the like.
    package static func checkFree(_ address: SocketAddress) throws(SystemError) {
        let number = socket(address.family, streamFlags, 0)
        guard number >= 0 else { throw SystemError("socket") }
        let descriptor = Descriptor(owning: number)
        try descriptor.set(SOL_SOCKET, SO_REUSEADDR, 1)
        if address.kind == .ipv6 { try descriptor.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        let result = unsafe address.withRaw { raw, size in
            unsafe clinux_address_bind(number, raw, size)
        }
        guard result == 0 else { throw SystemError("bind") }
    }

    /// Takes over a socket that listens already.
    package init(owning descriptor: consuming Descriptor) throws(SystemError) {
        address = try SocketAddress(ofSocket: descriptor.number)
        self.descriptor = descriptor
    }

    /// One waiting connection, non-blocking and close-on-exec; nil when none waits.
    package func accept() throws(SystemError) -> Descriptor? {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = clinux_accept_plain(descriptor.number, flags)
        if number >= 0 { return Descriptor(owning: number) }
        switch clinux_errno() {
        case EAGAIN, EINTR, ECONNABORTED: return nil
        default: throw SystemError("accept4")
        }
    }

    /// The same of a socket that somebody else holds.
    package static func accept(from number: Int32) throws(SystemError) -> Descriptor? {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let accepted = clinux_accept_plain(number, flags)
        return accepted >= 0 ? Descriptor(owning: accepted) : nil
    }

    /// Connects to `address`, waiting for at most the kernel's own time; for tests and for the
    /// control socket.
    package static func connect(to address: SocketAddress) throws(SystemError) -> Descriptor {
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let number = socket(address.family, flags, 0)
        guard number >= 0 else { throw SystemError("socket") }
        let descriptor = Descriptor(owning: number)
        let result = unsafe address.withRaw { raw, size in
            unsafe clinux_address_connect(number, raw, size)
        }
        guard result == 0 else { throw SystemError("connect") }
        return descriptor
    }

    /// Makes accepting wait, as programs expect it that inherit a socket.
    package static func makeBlocking(_ number: Int32) throws(SystemError) {
        let flags = clinux_fcntl(number, F_GETFL, 0)
        guard flags >= 0, clinux_fcntl(number, F_SETFL, flags & ~O_NONBLOCK) == 0 else {
            throw SystemError("fcntl")
        }
    }

    /// Whether a connection waits in the queue of a listening socket.
    package static func hasWaiting(_ number: Int32) -> Bool {
        var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, 0) == 1
    }

    /// Whether something listens at `address` right now; refused or absent is a no. Full, as Unix
    /// sockets say it (unix(7)), is a yes: who listens there is only busy.
    package static func accepts(_ address: SocketAddress) -> Bool {
        let flags = streamFlags
        let number = socket(address.family, flags, 0)
        guard number >= 0 else { return false }
        let descriptor = Descriptor(owning: number)
        let result = unsafe address.withRaw { raw, size in
            unsafe clinux_address_connect(number, raw, size)
        }
        if result == 0 || clinux_errno() == EAGAIN { return true }
        guard clinux_errno() == EINPROGRESS else { return false }
        return descriptor.isConnected(within: probeMilliseconds)
    }
}

/// How long a probe waits for a connection that was begun. Loopback answers at once.
private let probeMilliseconds: Int32 = 50

private let streamFlags =
    Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)

extension Descriptor {
    fileprivate borrowing func set(_ level: Int32, _ name: Int32, _ value: Int32)
        throws(SystemError)
    {
        guard clinux_set_option(number, level, name, value) == 0 else {
            throw SystemError("setsockopt")
        }
    }

    fileprivate borrowing func bind(_ address: SocketAddress) throws(SystemError) {
        let socket = number
        let result = unsafe address.withRaw { raw, size in
            unsafe clinux_address_bind(socket, raw, size)
        }
        guard result == 0 else { throw SystemError("bind") }
    }

    fileprivate borrowing func isConnected(within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, milliseconds) == 1 else { return false }
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe getsockopt(number, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else {
            return false
        }
        return failure == 0
    }
}
