import CLinux
public import Memory

/// What came of reading from a stream.
public enum ReceiveResult: Equatable, Sendable {
    /// Bytes were added to the block. `isDrained`: the kernel had no more at that moment.
    case bytes(Int, isDrained: Bool)
    case wouldBlock
    /// The peer has ended its direction.
    case ended
    /// The connection is broken; the kernel's error number.
    case failed(Int32)
}

/// What came of writing to a stream.
public enum SendResult: Equatable, Sendable {
    /// The kernel took this many bytes, maybe fewer than there were.
    case bytes(Int)
    case wouldBlock
    /// The connection is broken; the kernel's error number.
    case failed(Int32)
}

/// What came of a connect.
public enum ConnectResult: Equatable, Sendable {
    case connected(Int32)
    case inProgress(Int32)
    /// The listener's queue is full (Unix sockets): busy, not ill.
    case full
    /// No descriptor is left.
    case exhausted
    /// The kernel's error number.
    case failed(Int32)
}

/// What came of an accept.
public enum AcceptResult: Equatable, Sendable {
    case accepted(Int32, InternetAddress)
    case wouldBlock
    /// No descriptor or memory is left; the connection stays in the queue.
    case exhausted(Int32)
}

/// The calls of the data path on stream sockets, which are all non-blocking and close-on-exec.
public enum StreamSocket {
    /// Blocks handed to the kernel with one write.
    static let vectorsMax = 16

    /// Reads into the room behind a block's last byte.
    public static func receive(
        _ socket: Int32, into block: BlockID, of pool: BlockPool
    ) -> ReceiveResult {
        let room = unsafe pool.unsafeRoom(in: block)
        precondition(room.count > 0)
        while true {
            let count = unsafe recv(socket, room.baseAddress!, room.count, 0)
            if count > 0 {
                pool.commit(count, to: block)
                return .bytes(count, isDrained: count < room.count)
            }
            if count == 0 { return .ended }
            let number = clinux_errno()
            if number == EAGAIN { return .wouldBlock }
            if number != EINTR { return .failed(number) }
        }
    }

    /// Writes a chain's first blocks with one call. Nothing is consumed from the chain.
    public static func send(
        _ socket: Int32, _ chain: BlockChain, of pool: BlockPool
    ) -> SendResult {
        let first = chain.first
        let second = chain.block(after: first, in: pool)
        while true {
            let count =
                second.isNone
                ? sendOne(socket, first, of: pool) : sendMany(socket, chain, of: pool)
            if count >= 0 { return .bytes(count) }
            let number = clinux_errno()
            if number == EAGAIN { return .wouldBlock }
            if number != EINTR { return .failed(number) }
        }
    }

    private static func sendOne(
        _ socket: Int32, _ block: BlockID, of pool: BlockPool
    ) -> Int {
        let bytes = unsafe pool.unsafeBytes(of: block)
        return unsafe CLinux.send(socket, bytes.baseAddress!, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private static func sendMany(
        _ socket: Int32, _ chain: BlockChain, of pool: BlockPool
    ) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: vectorsMax) { vectors in
            var count = 0
            var block = chain.first
            while !block.isNone, count < vectorsMax {
                let bytes = unsafe pool.unsafeBytes(of: block)
                unsafe vectors[count] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                count += 1
                block = chain.block(after: block, in: pool)
            }
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = count
            return unsafe sendmsg(socket, &message, Int32(MSG_NOSIGNAL))
        }
    }

    /// Takes one connection off a listener's queue.
    public static func accept(_ listener: Int32) -> AcceptResult {
        while true {
            var storage = sockaddr_storage()
            let socket = unsafe clinux_accept(listener, &storage)
            if socket >= 0 {
                return .accepted(socket, InternetAddress(&storage) ?? .loopback)
            }
            switch clinux_errno() {
            // EINVAL: it listens no more, and the master's order to stop is on its way.
            case EAGAIN, EINVAL: return .wouldBlock
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted(clinux_errno())
            // ECONNABORTED and the network errors of accept(2) are of that connection alone.
            default: continue
            }
        }
    }

    /// The address an accepted connection came to.
    public static func localAddress(_ socket: Int32) -> InternetAddress {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard unsafe clinux_address_own(socket, &storage, &size) == 0 else { return .loopback }
        return InternetAddress(&storage) ?? .loopback
    }

    /// Begins a TCP connection without delay of small writes.
    public static func connect(to address: InternetAddress) -> ConnectResult {
        let family = address.isIPv4 ? AF_INET : AF_INET6
        let socket = clinux_stream_socket(family)
        guard socket >= 0 else { return failure(of: clinux_errno()) }
        var one: Int32 = 1
        let set = unsafe setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        precondition(set == 0)
        let result = unsafe address.withKernelForm { unsafe clinux_connect(socket, $0, $1) }
        return outcome(of: result, socket)
    }

    /// Connects to a Unix socket by its path's bytes (at most 107).
    public static func connect(toUnixPath path: Span<UInt8>) -> ConnectResult {
        let socket = clinux_stream_socket(AF_UNIX)
        guard socket >= 0 else { return failure(of: clinux_errno()) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        precondition(path.count < MemoryLayout.size(ofValue: address.sun_path))
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            for index in path.indices { unsafe target[index] = path[index] }
        }
        let result = unsafe clinux_connect(
            socket, &address, socklen_t(MemoryLayout<sockaddr_un>.size))
        return outcome(of: result, socket)
    }

    /// How a connect that was in progress has ended: 0, or the kernel's error number.
    public static func connectError(_ socket: Int32) -> Int32 {
        var number: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &size)
        return result == 0 ? number : clinux_errno()
    }

    /// Bytes that were handed to the kernel and the peer has not acknowledged; nil where the kernel
    /// does not tell.
    public static func unacknowledged(_ socket: Int32) -> Int? {
        var count: Int32 = 0
        return unsafe clinux_unacknowledged(socket, &count) == 0 ? Int(count) : nil
    }

    /// Ends our direction; the peer sees the end of the stream.
    public static func shutdownWrite(_ socket: Int32) {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// Lets the next close send a reset, so that the peer sees a break and no clean end.
    public static func resetOnClose(_ socket: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Lets the kernel ask the peer whether it is still there, after so many seconds of silence and
    /// each time they have passed again; after `times` questions without an answer, or with one
    /// that says no, the connection is broken (`Readiness.failed`).
    ///
    /// It tells a peer that has only ended its direction from one that has closed: the latter's
    /// kernel forgets the connection after a while (`tcp_fin_timeout`, 60 s) and says so then.
    public static func probePeer(_ socket: Int32, everySeconds seconds: Int32, times: Int32) {
        func set(_ level: Int32, _ name: Int32, _ value: Int32) {
            var value = value
            unsafe setsockopt(socket, level, name, &value, 4)
        }
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, seconds)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, seconds)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, times)
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
    }

    /// Looks at the first bytes without taking them.
    public static func peek<let count: Int>(
        _ socket: Int32, into bytes: inout InlineArray<count, UInt8>
    ) -> ReceiveResult {
        var span = bytes.mutableSpan
        let result = unsafe span.withUnsafeMutableBytes {
            unsafe recv(socket, $0.baseAddress!, $0.count, Int32(MSG_PEEK))
        }
        if result > 0 { return .bytes(result, isDrained: true) }
        if result == 0 { return .ended }
        return clinux_errno() == EAGAIN ? .wouldBlock : .failed(clinux_errno())
    }

    /// Closes a socket that no owner holds.
    public static func close(_ socket: Int32) { CLinux.close(socket) }

    private static func outcome(of result: Int32, _ socket: Int32) -> ConnectResult {
        if result == 0 { return .connected(socket) }
        let number = clinux_errno()
        if number == EINPROGRESS { return .inProgress(socket) }
        CLinux.close(socket)
        return failure(of: number)
    }

    private static func failure(of number: Int32) -> ConnectResult {
        switch number {
        case EAGAIN: .full
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: .exhausted
        default: .failed(number)
        }
    }
}
