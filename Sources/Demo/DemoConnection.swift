import HTTP
import Linux
import Memory
import TLS

/// The sum over a request's body.
final class BodySum {
    var digest = Digest(.sha256)
}

/// Where the rest of an answer comes from.
enum AnswerSource: Equatable {
    /// Everything is in the output.
    case written
    /// The bytes of `/bytes` from a position on.
    case pattern(next: UInt64, total: UInt64)
    /// Pieces with pauses between them.
    case series(next: UInt64, count: UInt64, interval: UInt64, isEvents: Bool)
}

/// A request in hand.
struct DemoRequest {
    var page: DemoPage
    var isHead: Bool
    var place: Int?
    var body: BodyDecoder
    var sum: BodySum?
    /// The JSON object of the answer as far as it was known when the request began.
    var facts: [UInt8]
    /// The browser's page is wanted.
    var wantsHTML: Bool
    /// `Sec-WebSocket-Accept`, when the request is a good WebSocket handshake.
    var webSocketAccept: [UInt8]?
    var source = AnswerSource.written
    /// When the next piece is due, or the sleep is over; monotonic nanoseconds.
    var dueAt: UInt64 = 0
    var beganAt: UInt64
    /// The connection ends behind the answer.
    var closes: Bool
}

/// A connection from an edge.
struct DemoConnection: ~Copyable {
    enum Phase {
        /// Between requests, or within a head.
        case idle
        /// A whole head is there and waits for its turn.
        case waiting
        case receiving
        case sleeping
        case answering
        case webSocket
    }

    let socket: Descriptor
    var phase = Phase.idle
    var parser = RequestHeadParser()
    var input = BlockID.none
    var output = BlockChain()
    var request: DemoRequest?
    var echo: WebSocketEcho?
    /// The kernel may have bytes for us.
    var isReadable = true
    /// The peer sends no more.
    var hasPeerEnded = false
    /// Nobody reads what we write.
    var hasHungUp = false

    init(_ socket: consuming Descriptor) { self.socket = socket }
}
