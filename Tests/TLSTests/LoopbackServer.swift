import Glibc

@testable import TLS

/// A TLS server on a free port of 127.0.0.1 that serves one connection at a time, for real clients.
final class LoopbackServer {
    private let listener: Int32
    let port: UInt16

    /// No client takes longer than this to do its next step, in milliseconds.
    private static let patience: Int32 = 10_000

    init() {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let number = listener
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard unsafe bind(number, raw, size) == 0, listen(number, 8) == 0 else {
                    return Int32(-1)
                }
                return unsafe getsockname(number, raw, &size)
            }
        }
        precondition(status == 0, "no free port")
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(listener) }

    /// What one connection came to.
    struct Served: Equatable {
        var handshake: TLSHandshake
        var isResumed = false
        var request = ""
    }

    /// Takes the next connection, answers its first bytes, and closes it.
    func serveOne(_ context: TLSContext, answer: String = "HTTP/1.0 200 OK\r\n\r\nhello\n")
        -> Served?
    {
        guard wait(listener, for: Int32(POLLIN)) else { return nil }
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return nil }
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        defer { close(connection) }
        var session = context.accept(connection)
        var served = Served(handshake: session.handshake())
        while !served.handshake.isFinal {
            let event = served.handshake == .wantsWrite ? POLLOUT : POLLIN
            guard wait(connection, for: Int32(event)) else { return served }
            served.handshake = session.handshake()
        }
        guard served.handshake == .done else { return served }
        served.isResumed = session.facts.isResumed
        while served.request.isEmpty {
            let (bytes, end) = readAll(&session)
            served.request = String(decoding: bytes, as: UTF8.self)
            guard bytes.isEmpty, end == .wouldBlock(.read) else { break }
            guard wait(connection, for: Int32(POLLIN)) else { break }
        }
        _ = write(answer, &session)
        _ = session.shutdown()
        // The client has read everything once it closes too.
        _ = Glibc.shutdown(connection, Int32(SHUT_WR))
        while wait(connection, for: Int32(POLLIN)), !take(connection).isEmpty {}
        return served
    }

    private func wait(_ descriptor: Int32, for events: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return unsafe poll(&entry, 1, LoopbackServer.patience) == 1
    }
}
