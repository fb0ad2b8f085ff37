import Board
import Linux
import Memory
import Signals
import TLS

/// TLS on clients' connections, until requests can be read.
extension EdgeLoop where World: ~Copyable {
    /// Goes on with a client's handshake as far as its stream allows.
    mutating func continueHandshake(_ client: Int) {
        if !clients[client].has(.hasSession) {
            guard beginSession(client) else { return }
        }
        switch network.handshake(clients[client].stream) {
        case .done: handshakeDone(client)
        case .pending(let needsWrite):
            guard needsWrite, !clients[client].has(.watchesWrites) else { return }
            clients[client].set(.watchesWrites)
            network.rewatch(clients[client].stream, token: token(client: client), writable: true)
        case .failed(let failure):
            handshakeFailed(client, failure)
            closeClient(client)
        }
    }

    /// Looks at the first bytes: a plain request on a TLS port gets an answer that says so.
    ///
    /// - Returns: whether the handshake can go on.
    private mutating func beginSession(_ client: Int) -> Bool {
        switch network.firstBytes(clients[client].stream) {
        case .wouldBlock: return false
        case .ended:
            closeClient(client)
            return false
        case .plain:
            clients[client].set([.isPlainOnTLS, .readable])
            clients[client].clear(.isSecure)
            clients[client].phase = .reading
            timers.set(client, to: now + settings.options.timeouts.header)
            readClient(client)
            return false
        case .tls:
            network.beginTLS(clients[client].stream)
            clients[client].set(.hasSession)
            return true
        }
    }

    private mutating func handshakeDone(_ client: Int) {
        clients[client].tls = network.tlsFacts(clients[client].stream)
        clients[client].phase = .reading
        clients[client].set(.readable)
        counters.add(.handshakes)
        if clients[client].tls.isResumed { counters.add(.handshakesResumed) }
        raiseHandshake(client)
        timers.set(client, to: now + idleTime)
        readClient(client)
    }

    /// The time for the handshake is over.
    mutating func handshakeIsLate(_ client: Int) {
        handshakeFailed(client, TLSFailure(.timeout))
        closeClient(client)
    }

    private mutating func handshakeFailed(_ client: Int, _ failure: TLSFailure) {
        counters.add(.handshakeFailures)
        raiseHandshakeFailed(client, failure)
    }
}
