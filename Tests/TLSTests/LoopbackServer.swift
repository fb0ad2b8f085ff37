import Glibc
import Linux

@testable import TLS

/// A TLS server on a free port of 127.0.0.1 that serves one connection at a time, for real clients.
final class LoopbackServer {
    private let listener: ListeningSocket
    let port: UInt16

    /// No client takes longer than this to do its next step, in milliseconds.
    private static let patience: Int32 = 30_000

    init() throws {
        listener = try ListeningSocket(tcp: SocketAddress(address: "127.0.0.1", port: 0)!)
        port = listener.address.port!
    }

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
        guard wait(listener.number, for: Int32(POLLIN)), let owner = try? listener.accept() else {
            return nil
        }
        let connection = owner.number
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
        _ = consume owner
        return served
    }

    private func wait(_ descriptor: Int32, for events: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return unsafe poll(&entry, 1, LoopbackServer.patience) == 1
    }
}
