import Signals

/// How far a request has come.
enum ExchangePhase: UInt8 {
    /// Its body is collected before a worker is taken.
    case collecting
    /// An endpoint is being chosen.
    case choosing
    /// It waits in the service's queue for a place.
    case waiting
    /// The connection to the endpoint is being made.
    case connecting
    /// It goes to the endpoint, and no answer has begun.
    case sending
    /// The answer's head was passed on; its body is coming.
    case answering
    /// The answer is complete, or the proxy's own; the client has not taken all of it.
    case delivering
    /// Both sides speak another protocol.
    case tunneling
    case ended
}

/// What happens to a request.
enum ExchangeEvent: Equatable {
    /// Its head was read, and its body collected if it has to be.
    case ready
    /// A place at an endpoint is held.
    case chosen
    /// Every endpoint that is well has all the requests it can work on.
    case allFull
    /// The endpoint does not take connections at this moment (its queue is full): busy, not ill.
    case endpointFull
    case connected
    /// The answer's head was passed on to the client.
    case answerBegan
    /// The endpoint changes to the protocol the client asked for.
    case upgraded
    /// The answer's last byte has come from the endpoint.
    case answerEnded
    /// The client has been given the last byte.
    case delivered
    case failed(Failure)
    /// The client's connection is broken.
    case clientGone
}

/// What is to be done next.
enum ExchangeAction: Equatable {
    case nothing
    /// Choose an endpoint.
    case choose
    /// Stand in the queue.
    case wait
    /// Take or make a connection to the endpoint.
    case connect
    /// Send the request on the connection.
    case send
    /// Give the endpoint up and choose again; the failure that was met.
    case retry(Failure)
    /// Answer with the proxy's own error.
    case answer(Failure)
    /// Break the client's connection: the answer cannot be completed.
    case cut(Failure)
    /// Both directions are passed through from here on.
    case tunnel
    /// Everything was delivered: record it, and keep or close the connection.
    case finish
    /// Nobody waits for the answer any more: record it, let the worker finish.
    case abandon
}

/// The life of one request as decisions: events in, actions out, nothing else touched.
struct ExchangeState {
    private(set) var phase = ExchangePhase.collecting
    /// Tries beyond the first, those of a stale connection among them; see `retries`.
    private var furtherTries: UInt16 = 0
    /// The request may be sent twice (RFC 9110 section 9.2.2).
    let isIdempotent: Bool
    /// A dead idle connection was met before; it is met once without counting as an attempt, and no
    /// idle connection is tried after it.
    private(set) var hasMetStaleConnection = false
    /// The last retry was for such a connection: the endpoint itself is not at fault.
    private(set) var wasStale = false

    /// Everything needed to send the request again is still there, and no byte of an answer has
    /// come; false once a streamed byte has gone.
    var isReplayable = true
    /// At least one byte was written on the present connection.
    var wasSent = false
    /// The present connection has served a request before.
    var isConnectionReused = false

    init(isIdempotent: Bool) { self.isIdempotent = isIdempotent }

    /// Decides what an event means.
    ///
    /// - Parameter mayRetry: the service's budget allows one more attempt; see `wantsRetry`.
    mutating func handle(_ event: ExchangeEvent, mayRetry: Bool = false) -> ExchangeAction {
        switch (phase, event) {
        case (.collecting, .ready):
            phase = .choosing
            return .choose
        case (.choosing, .chosen), (.waiting, .chosen):
            phase = .connecting
            return .connect
        case (.choosing, .allFull), (.waiting, .allFull), (.connecting, .endpointFull):
            phase = .waiting
            return .wait
        case (.connecting, .connected):
            phase = .sending
            return .send
        case (.sending, .answerBegan):
            phase = .answering
            return .nothing
        case (.sending, .upgraded):
            phase = .tunneling
            return .tunnel
        case (.answering, .answerEnded):
            phase = .delivering
            return .nothing
        case (.delivering, .delivered), (.tunneling, .delivered):
            phase = .ended
            return .finish
        case (.connecting, .failed(let failure)), (.sending, .failed(let failure)):
            return retryOrAnswer(failure, mayRetry: mayRetry)
        case (.collecting, .failed(let failure)), (.choosing, .failed(let failure)),
            (.waiting, .failed(let failure)):
            phase = .delivering
            return .answer(failure)
        case (.answering, .failed(let failure)), (.tunneling, .failed(let failure)),
            (.delivering, .failed(let failure)):
            phase = .ended
            return .cut(failure)
        case (.ended, _):
            return .nothing
        case (_, .clientGone):
            phase = .ended
            return .abandon
        default:
            preconditionFailure("event \(event) is impossible in phase \(phase)")
        }
    }

    /// The proxy answers by itself: no endpoint is asked.
    mutating func answerDirectly() {
        precondition(phase == .collecting)
        phase = .delivering
    }

    /// The client broke a rule in the midst of its request.
    ///
    /// - Returns: whether it can still be told; false when an answer has begun already.
    mutating func refuse() -> Bool {
        switch phase {
        case .collecting, .choosing, .waiting, .connecting, .sending:
            phase = .delivering
            return true
        case .answering, .delivering, .tunneling, .ended: return false
        }
    }

    /// Everything is over, whatever came before.
    mutating func conclude() { phase = .ended }

    private mutating func retryOrAnswer(_ failure: Failure, mayRetry: Bool) -> ExchangeAction {
        let isStale = meetsStaleConnection(failure)
        if isStale || mayRetry && wantsRetry(failure) {
            furtherTries += 1
            wasStale = isStale
            if isStale { hasMetStaleConnection = true }
            wasSent = false
            phase = .choosing
            return .retry(failure)
        }
        phase = .delivering
        return .answer(failure)
    }

    /// Tries beyond the first that count as attempts: against `retry.attempts`, and in the log.
    ///
    /// - Parameter countsStale: whether a connection that was found dead was one. A worker of ours
    ///   never closes one, so that it has died, and perhaps of the request.
    func retries(countsStale: Bool) -> UInt16 {
        hasMetStaleConnection && !countsStale ? furtherTries - 1 : furtherTries
    }

    /// Whether a failure is one that another endpoint may mend, so that the budget has to be asked.
    func wantsRetry(_ failure: Failure) -> Bool {
        guard phase == .connecting || phase == .sending, !meetsStaleConnection(failure) else {
            return false
        }
        return isReplayable && failure.isRetryable(isIdempotent: isIdempotent, wasSent: wasSent)
    }

    /// Whether the endpoint is to blame: not for closing an idle connection while this request was
    /// on its way to it.
    func blamesEndpoint(for failure: Failure) -> Bool {
        failure != .proxyInternalError
            && !(phase == .sending && failure == .connectionTerminated && isConnectionReused)
    }

    /// Whether such a close can be made good, once, without being counted.
    private func meetsStaleConnection(_ failure: Failure) -> Bool {
        failure == .connectionTerminated && isConnectionReused && !hasMetStaleConnection
            && isReplayable && failure.isRetryable(isIdempotent: isIdempotent, wasSent: wasSent)
    }
}
