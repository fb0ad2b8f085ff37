import Board
import HTTP
import Memory

/// One connection to an endpoint: idle, or with one request on it.
struct UpstreamConnection {
    enum Phase: UInt8 {
        case connecting
        /// The TLS handshake is under way.
        case handshaking
        /// A request is on it, or (without an exchange) the answer nobody waits for.
        case busy
        case idle
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The stream may hold bytes that were not received.
        static let readable = Flags(rawValue: 1)
        /// The stream was full; an event will tell when it takes bytes again.
        static let blocked = Flags(rawValue: 2)
        static let peerClosed = Flags(rawValue: 4)
        /// The answer's head has been read.
        static let headRead = Flags(rawValue: 16)
        /// Must not serve another request.
        static let isSpent = Flags(rawValue: 32)
        static let watchesWrites = Flags(rawValue: 64)
        /// In the list of connections to go on with this turn.
        static let queued = Flags(rawValue: 128)
        /// Bytes of the answer wait in `inbound` for room on the client's side.
        static let isHeld = Flags(rawValue: 256)
    }

    let stream: Int32
    let endpoint: EndpointReference
    /// The place held for the request on it; nil while it is idle.
    var lease: Lease?
    var phase: Phase
    var flags: Flags = []
    /// The slot of the request on it, or -1.
    var exchange: Int32 = -1
    var inbound = BlockID.none
    var outbound = BlockChain()
    var parser = ResponseHeadParser()
    var decoder = BodyDecoder(.none)
    /// What the answer's meaning depends on.
    var context = ResponseContext(isHead: false, allowsUpgrade: false)
    /// When the request now on it was begun to be sent.
    var sentAt: UInt64 = 0
    /// Bytes of a tunnel it had taken off our kernel when that was last asked.
    var taken = 0
    /// Neighbours in the endpoint's list of idle connections, -1 for none.
    var previousIdle: Int32 = -1
    var nextIdle: Int32 = -1
    let openedAt: UInt64

    mutating func set(_ flag: Flags) { flags.insert(flag) }
    mutating func clear(_ flag: Flags) { flags.remove(flag) }
    func has(_ flag: Flags) -> Bool { flags.contains(flag) }
}
