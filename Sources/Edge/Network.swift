import Board
import Linux
import Memory
import Signals
import TLS

/// What a stream's TLS handshake has come to.
enum HandshakeResult: Equatable {
    case done
    /// It goes on when the stream is readable, or writable if `needsWrite`.
    case pending(needsWrite: Bool)
    case failed(TLSFailure)
}

/// What a connection's first bytes are, before any has been taken off the stream.
enum FirstBytesResult: Equatable {
    case tls, plain
    case wouldBlock
    case ended
}

/// The world as one edge sees it: byte streams, listeners, time. The kernel in production, a seeded
/// simulation in tests.
///
/// A stream is a small number that is valid until `close`. Readiness is edge-triggered: an event
/// says that something has changed, and whoever has not drained a stream remembers that himself.
protocol Network: ~Copyable {
    /// Nanoseconds of a clock that never goes back.
    var monotonic: UInt64 { get }
    /// Unix nanoseconds.
    var wall: UInt64 { get }

    /// Waits for events, at most this long; nil waits without end.
    ///
    /// - Returns: how many events there are.
    mutating func wait(nanoseconds: UInt64?) -> Int
    /// An event of the last wait.
    func event(_ index: Int) -> (token: UInt64, readiness: Readiness)

    /// Takes a connection off a listener's queue.
    mutating func accept(listener: Int) -> AcceptResult
    /// Reports a listener's connections with `token`, or stops to.
    mutating func listen(listener: Int, token: UInt64, isOn: Bool)

    /// The address a client's connection came to.
    func localAddress(_ stream: Int32) -> InternetAddress

    mutating func connect(to address: EndpointAddress) -> ConnectResult
    /// How a connect in progress has ended: 0, or the kernel's error number.
    mutating func connectError(_ stream: Int32) -> Int32

    /// Reports a stream's readiness with `token`; true for `writable` also when it takes bytes
    /// again.
    mutating func watch(_ stream: Int32, token: UInt64, writable: Bool) -> Bool
    /// Changes whether room to write is reported.
    mutating func rewatch(_ stream: Int32, token: UInt64, writable: Bool)

    mutating func receive(
        _ stream: Int32, into block: BlockID, of pool: BlockPool
    ) -> ReceiveResult
    /// Writes the first bytes of a chain; consumes nothing.
    mutating func send(
        _ stream: Int32, _ chain: BlockChain, of pool: BlockPool
    ) -> SendResult
    /// Whether nothing at all waits on a stream, not even its end; takes nothing.
    mutating func isQuiet(_ stream: Int32) -> Bool
    /// Bytes that a stream took and its peer has not; nil where nobody can tell.
    func unacknowledged(_ stream: Int32) -> Int?
    /// Bytes that have come on a stream that speaks TLS, those of an unfinished record as well.
    func recordBytes(_ stream: Int32) -> UInt64
    mutating func shutdownWrite(_ stream: Int32)
    /// Finds out by and by whether a stream's peer is gone; the stream is reported broken then.
    mutating func probe(_ stream: Int32)
    /// - Parameter isBroken: the peer has to see a break, not an end.
    mutating func close(_ stream: Int32, isBroken: Bool)

    /// Looks at what a client of a TLS listener begins with.
    mutating func firstBytes(_ stream: Int32) -> FirstBytesResult
    /// Speaks TLS on a client's stream from here on.
    mutating func beginTLS(_ stream: Int32)
    /// Whether there is a TLS context for a configured upstream.
    ///
    /// - Parameter upstream: the position among the configured TLS upstreams.
    func speaksTLS(upstream: Int) -> Bool
    /// Speaks TLS on a stream to an endpoint from here on, under the name the certificate has to
    /// carry.
    ///
    /// - Parameter upstream: the position among the configured upstreams.
    mutating func beginTLS(_ stream: Int32, upstream: Int)
    mutating func handshake(_ stream: Int32) -> HandshakeResult
    /// What the finished handshake agreed on.
    func tlsFacts(_ stream: Int32) -> Signals.TLSFacts
    /// Writes the server name a client asked for.
    func writeServerName(_ stream: Int32, to writer: inout ByteWriter)

    /// Whether a process runs and has not begun to end.
    func lives(pid: Int32) -> Bool
    /// Wakes another edge: a place it waits for has become free.
    mutating func wake(edge slot: Int)
}
