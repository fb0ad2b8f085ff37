import Board
import HTTP
import Memory
import Routing
import Signals

/// One request being served: its state, what it is about, and what it holds.
struct Exchange {
    struct Flags: OptionSet {
        let rawValue: UInt32
        static let isHead = Flags(rawValue: 1)
        static let isHTTP10 = Flags(rawValue: 2)
        /// The request has a body.
        static let hasBody = Flags(rawValue: 4)
        /// The request has been received to its end.
        static let requestReceived = Flags(rawValue: 8)
        /// The request has been handed to the endpoint's stream to its end.
        static let requestSent = Flags(rawValue: 16)
        /// The body is collected before a worker is taken.
        static let collectsBody = Flags(rawValue: 32)
        /// The answer is taken off the worker at once, into a file if need be.
        static let buffersAnswer = Flags(rawValue: 64)
        /// The client waits for `100 Continue`.
        static let expectsContinue = Flags(rawValue: 128)
        /// The client's connection is kept after the answer.
        static let keepsClient = Flags(rawValue: 256)
        static let wantsUpgrade = Flags(rawValue: 512)
        /// The body goes to the endpoint in chunks.
        static let chunksRequest = Flags(rawValue: 1024)
        /// The body goes to the client in chunks.
        static let chunksAnswer = Flags(rawValue: 2048)
        /// The answer's end is the connection's end (HTTP/1.0 clients).
        static let closesAnswer = Flags(rawValue: 4096)
        /// The endpoint is a worker of ours.
        static let isOurs = Flags(rawValue: 8192)
        /// The answer's file could not be written: what comes now waits in the kernel.
        static let spoolFailed = Flags(rawValue: 1 << 16)
        static let clientEndedTunnel = Flags(rawValue: 1 << 17)
        static let endpointEndedTunnel = Flags(rawValue: 1 << 18)
        static let endWasPassedToEndpoint = Flags(rawValue: 1 << 19)
        static let endWasPassedToClient = Flags(rawValue: 1 << 20)
        /// The method means something by its body: an empty one gets its length said.
        static let saysLength = Flags(rawValue: 1 << 21)
        /// A part of the answer waits in its file, or to be written there.
        static let isSpooling = Flags(rawValue: 1 << 22)
        /// `Connection` named fields, of the request or of its answer: trailers go no further.
        static let endsTrailers = Flags(rawValue: 1 << 23)
        static let endsAnswerTrailers = Flags(rawValue: 1 << 24)
        /// The method changes nothing.
        static let isSafe = Flags(rawValue: 1 << 25)
        /// The endpoint's stream took no more of the request; its answer may have come all the
        /// same.
        static let sendingBroke = Flags(rawValue: 32768)
    }

    var state: ExchangeState
    let client: Int32
    /// The slot of the connection to the endpoint, or -1.
    var upstream: Int32 = -1
    /// The service's position in the configuration, or -1.
    var service: Int32 = -1
    /// The matched route's position, or -1.
    var route: Int32 = -1
    var flags: Flags
    var facts: RequestFacts
    var result = RequestResult()
    /// Holds the texts of `facts`, and behind them the head as it is sent to the endpoint.
    var text: BlockID
    /// Parts of `text`: the name the client asked for in its TLS handshake, and the parts of the
    /// head as it is sent (the line, the rest of `proxy-peer` behind the place, the fields), or for
    /// a redirect the whole answer.
    var serverName = ByteRange.empty
    var line = ByteRange.empty
    var peer = ByteRange.empty
    var head = ByteRange.empty
    /// The place that is held for the request until it has a connection.
    var lease: Lease?
    /// Whom the request was last given to.
    var endpoint: EndpointReference?
    /// The request's entry in the ledger of requests in flight.
    var ledger: Int32 = -1
    /// How the client frames its body.
    let framing: BodyFraming
    var decoder: BodyDecoder
    /// The slot of the collected body, or -1.
    var body: Int32 = -1
    /// The slot of the file with the part of the answer the client has not taken, or -1.
    var spool: Int32 = -1
    /// What has gathered for the end of that file and is not written yet.
    var spoolEnd = BlockChain()
    /// Monotonic nanoseconds.
    let startedAt: UInt64
    /// The request's number in the queue, or -1.
    var waiter: Int32 = -1
    /// Endpoints that failed it.
    var tried = TriedEndpoints()
    /// Why it was tried again.
    var lastFailure: Failure?
    var waitingSince: UInt64 = 0
    var connectingSince: UInt64 = 0
    /// Since when it has been the client's turn to send its body, 0 while it is not; and how much
    /// of it had come by then, less what came of it that could not be read by itself.
    var bodySince: UInt64 = 0
    var bodyBase = 0
    /// Deadlines, `TimerWheel.never` when they do not run.
    var connectDeadline = TimerWheel.never
    var firstByteDeadline = TimerWheel.never
    var requestDeadline = TimerWheel.never
    /// Since when it is the client that is waited for, so that `requestDeadline` does not run; 0
    /// while it does.
    var clientSince: UInt64 = 0
    /// For consistent-hash.
    var keyHash: UInt64 = 0

    func has(_ flag: Flags) -> Bool { flags.contains(flag) }
    mutating func set(_ flag: Flags) { flags.insert(flag) }
    mutating func clear(_ flag: Flags) { flags.remove(flag) }

    /// The earliest deadline that runs.
    var deadline: UInt64 {
        min(connectDeadline, min(firstByteDeadline, runningRequestDeadline))
    }

    /// `requestDeadline` unless it stands.
    var runningRequestDeadline: UInt64 { clientSince == 0 ? requestDeadline : TimerWheel.never }
}
