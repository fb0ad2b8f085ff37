import COpenSSL
import Glibc

/// Two connected sockets, non-blocking, in one process; closed with this object at the latest.
final class Wire {
    private(set) var client: Int32
    private(set) var server: Int32

    init() {
        var pair: [Int32] = [-1, -1]
        let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let status = unsafe socketpair(AF_UNIX, Int32(flags), 0, &pair)
        precondition(status == 0)
        client = pair[0]
        server = pair[1]
    }

    deinit {
        closeClient()
        closeServer()
    }

    /// Closes the client's end, and waits until the server's can see it: a child that another test
    /// starts holds a copy until its exec.
    func closeClient() {
        guard client >= 0 else { return }
        close(client)
        client = -1
        guard server >= 0 else { return }
        var entry = pollfd(fd: server, events: Int16(POLLRDHUP), revents: 0)
        let count = unsafe poll(&entry, 1, 10_000)
        precondition(count == 1, "the other end is still open")
    }

    func closeServer() {
        if server >= 0 { close(server) }
        server = -1
    }
}

/// Takes what is there off a socket, at most `limit` bytes.
func take(_ descriptor: Int32, limit: Int = 65536) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = unsafe copenssl_receive(descriptor, &bytes, limit)
    return count > 0 ? Array(bytes[..<count]) : []
}

/// Puts bytes on a socket that has room for them.
func give(_ bytes: [UInt8], to descriptor: Int32) {
    let count = unsafe copenssl_send(descriptor, bytes, bytes.count)
    precondition(count == bytes.count, "the socket is full")
}
