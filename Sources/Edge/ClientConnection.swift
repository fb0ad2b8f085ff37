import HTTP
import Linux
import Memory
import Signals

/// One client's connection: its stream, what was received and not read, what waits to be sent.
struct ClientConnection {
    enum Phase: UInt8 {
        /// The TLS handshake is under way.
        case handshaking
        /// A request's head is awaited or has partly come.
        case reading
        /// A request is being served.
        case busy
        /// Bytes are passed through to an endpoint (after 101).
        case tunneling
        /// Everything was sent and our direction ended; what still comes is thrown away for a
        /// while, so that the last answer is not lost to a reset (RFC 9112 section 9.6).
        case lingering
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The stream may hold bytes that were not received.
        static let readable = Flags(rawValue: 1)
        /// The stream was full; an event will tell when it takes bytes again.
        static let blocked = Flags(rawValue: 2)
        /// The peer will send no more, as an event said; the last bytes may still be in the kernel.
        static let peerClosed = Flags(rawValue: 4)
        /// The end of the stream was received.
        static let ended = Flags(rawValue: 8)
        /// No further request is read; the connection ends when everything is sent.
        static let closing = Flags(rawValue: 16)
        /// In the list of connections to go on with this turn.
        static let queued = Flags(rawValue: 32)
        static let isSecure = Flags(rawValue: 64)
        /// Room to write is being watched.
        static let watchesWrites = Flags(rawValue: 128)
        /// Speaks plain HTTP on a TLS port: gets one answer that says so.
        static let isPlainOnTLS = Flags(rawValue: 256)
        /// Its stream speaks TLS from the first byte on.
        static let hasSession = Flags(rawValue: 512)
        /// Did not take its answer at once: `timeout.body` runs until it has taken what there is.
        static let isTimed = Flags(rawValue: 1024)
        /// Has ended its direction, and is asked whether it is still there.
        static let isProbed = Flags(rawValue: 2048)
    }

    let stream: Int32
    let listener: UInt16
    var phase: Phase
    var flags: Flags
    let address: InternetAddress
    /// Received and not read.
    var inbound = BlockID.none
    /// To be sent.
    var outbound = BlockChain()
    /// The slot of the request being served, or -1.
    var exchange: Int32 = -1
    /// Requests read so far.
    var requests: UInt32 = 0
    /// Unique within the edge.
    let number: UInt64
    let openedAt: UInt64
    var parser = RequestHeadParser()
    /// When the first byte of the head being read, or read last, was looked at.
    var headSince: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// Bytes it had taken off our kernel when its clock was set; those of TLS records are a few
    /// more than were handed over, so that only a difference means something.
    var taken = 0
    /// Bytes that had come from it when its body's clock was set, those of an unfinished TLS record
    /// as well.
    var arrived: UInt64 = 0
    /// `bytesIn` when it began to linger.
    var lingerFrom: UInt64 = 0
    /// Why it is closed, for the signal.
    var end = ConnectionEnd.client
    var tls = TLSFacts.none

    var peer: PeerAddress {
        address.isIPv4
            ? PeerAddress(ipv4: UInt32(truncatingIfNeeded: address.low))
            : PeerAddress(ipv6High: address.high, low: address.low)
    }

    mutating func set(_ flag: Flags) { flags.insert(flag) }
    mutating func clear(_ flag: Flags) { flags.remove(flag) }
    func has(_ flag: Flags) -> Bool { flags.contains(flag) }
}
