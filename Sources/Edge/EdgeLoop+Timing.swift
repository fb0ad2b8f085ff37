import HTTP
import Memory
import Signals

/// Time limits. Clients, requests and endpoint connections have one deadline each on the wheel.
extension EdgeLoop where World: ~Copyable {
    func timer(exchange: Int) -> Int { clients.capacity + exchange }

    func timer(upstream: Int) -> Int { clients.capacity + exchanges.capacity + upstream }

    /// Sets a request's timer to the earliest of its deadlines.
    mutating func arm(_ exchange: Int) {
        timers.set(timer(exchange: exchange), to: exchanges[exchange].deadline)
    }

    /// Deals with every deadline that has come.
    mutating func fireTimers() {
        while let thing = timers.next(now: now) {
            if thing < clients.capacity {
                if clients.isUsed(thing) { clientTimeIsOver(thing) }
            } else if thing < clients.capacity + exchanges.capacity {
                let exchange = thing - clients.capacity
                if exchanges.isUsed(exchange) { requestTimeIsOver(exchange) }
            } else {
                let upstream = thing - clients.capacity - exchanges.capacity
                if upstreams.isUsed(upstream) { upstreamTimeIsOver(upstream) }
            }
        }
    }

    private mutating func clientTimeIsOver(_ client: Int) {
        switch clients[client].phase {
        case .handshaking:
            handshakeIsLate(client)
        case .reading:
            readingTimeIsOver(client)
        case .busy where clients[client].has(.isTimed):
            takingTimeIsOver(client)
        case .busy:
            bodyTimeIsOver(client)
        case .tunneling:
            tunnelTimeIsOver(client)
        case .lingering:
            // A reset would take from the client what it has not taken yet.
            let (left, isMore) = noteTaken(client)
            guard left > 0, isMore else { return closeClient(client) }
            timers.set(client, to: now + settings.options.timeouts.body)
        }
    }

    /// Notes how much of what was handed to its stream a client has taken. What the kernel holds
    /// for a slow one is megabytes, and no event tells of the first third of it being taken.
    ///
    /// - Returns: what is left, and whether more was taken than was noted before.
    mutating func noteTaken(_ client: Int) -> (left: Int, isMore: Bool) {
        guard let left = network.unacknowledged(clients[client].stream) else { return (0, false) }
        let before = clients[client].taken
        clients[client].taken = Int(clients[client].bytesOut) - left
        return (left, clients[client].taken > before)
    }

    /// Nothing was written to the client for as long as it may take nothing. It goes on having time
    /// while it takes what is in the kernel, and where it is us who have nothing to give.
    private mutating func takingTimeIsOver(_ client: Int) {
        if clients[client].outbound.isEmpty || noteTaken(client).isMore {
            return timers.set(client, to: now + settings.options.timeouts.body)
        }
        note(.timeout, client)
        let exchange = Int(clients[client].exchange)
        exchanges[exchange].state.conclude()
        abandon(exchange, as: .timeout)
    }

    /// A head did not come in time, a last answer is not taken, or nothing has come for long.
    private mutating func readingTimeIsOver(_ client: Int) {
        if clients[client].has(.closing) {
            if noteTaken(client).isMore {
                return timers.set(client, to: now + settings.options.timeouts.body)
            }
            note(.timeout, client)
            return closeClient(client)
        }
        if clients[client].parser.hasBegun {
            // The rest of it is here, and waits for a block.
            if clients[client].has(.readable) { return turnAway(client) }
            note(.timeout, client)
            return refuse(client, .headTooSlow)
        }
        // What the kernel has already received in full is still answered.
        let generation = clients.generation(at: client)
        let requests = clients[client].requests
        clients[client].set(.readable)
        readClient(client)
        guard clients.holds(client, generation: generation), clients[client].phase == .reading,
            !clients[client].parser.hasBegun, clients[client].outbound.isEmpty,
            clients[client].requests == requests
        else { return }
        // Who still takes its last answer is not idle. In a stop it takes the rest without us.
        let isStop = idleTime == 0
        let (left, isMore) = noteTaken(client)
        if left > 0, isMore, !isStop { return timers.set(client, to: now + idleTime) }
        note(isStop ? .drain : .idle, client)
        closeClient(client)
    }

    /// Nothing was passed for long. What one side still takes of what was is not silence.
    private mutating func tunnelTimeIsOver(_ client: Int) {
        let exchange = Int(clients[client].exchange)
        let byClient = noteTaken(client)
        let byEndpoint = noteTaken(byEndpointOf: exchange)
        if byClient.left > 0 && byClient.isMore || byEndpoint.left > 0 && byEndpoint.isMore {
            return touchTunnel(exchange)
        }
        note(.timeout, client)
        perform(exchanges[exchange].state.handle(.failed(.httpResponseTimeout)), exchange)
    }

    /// As for a client, of a tunnel's endpoint.
    private mutating func noteTaken(byEndpointOf exchange: Int) -> (left: Int, isMore: Bool) {
        let upstream = Int(exchanges[exchange].upstream)
        guard !exchanges[exchange].has(.sendingBroke),
            let left = network.unacknowledged(upstreams[upstream].stream)
        else { return (0, false) }
        let before = upstreams[upstream].taken
        let passed = Int(exchanges[exchange].result.requestBytes)
        upstreams[upstream].taken = passed - upstreams[upstream].outbound.count - left
        return (left, upstreams[upstream].taken > before)
    }

    private mutating func requestTimeIsOver(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        guard upstream >= 0, exchanges[exchange].deadline <= now else { return arm(exchange) }
        if exchanges[exchange].connectDeadline <= now {
            exchanges[exchange].connectDeadline = TimerWheel.never
            return loseUpstream(upstream, .connectionTimeout)
        }
        // What waits for a block is not late.
        let isLate = !upstreams[upstream].has(.isHeld) && !upstreams[upstream].has(.readable)
        let failure = isLate ? Failure.httpResponseTimeout : .proxyInternalError
        let isWholeTime = exchanges[exchange].runningRequestDeadline <= now
        // A worker of ours that is stuck is ended, so that its place comes back; others are just
        // left.
        if exchanges[exchange].has(.isOurs) {
            if isWholeTime, isLate { requestKill(upstream) }
            detach(exchange)
            return fail(exchange, failure)
        }
        loseUpstream(upstream, failure)
    }

    /// Lets `timeout.request` run, or stand while it is the client that is waited for.
    mutating func setRequestClock(_ exchange: Int) {
        guard exchanges[exchange].requestDeadline != TimerWheel.never else { return }
        guard waitsForClient(exchange) else { return startRequestClock(exchange) }
        if exchanges[exchange].clientSince == 0 { exchanges[exchange].clientSince = now }
    }

    /// Lets `timeout.request` run on with what is left of it.
    mutating func startRequestClock(_ exchange: Int) {
        let since = exchanges[exchange].clientSince
        guard since > 0, exchanges[exchange].requestDeadline != TimerWheel.never else { return }
        exchanges[exchange].requestDeadline += now - since
        exchanges[exchange].clientSince = 0
        arm(exchange)
    }

    /// Whether the endpoint can do no more before the client sends more of its body, or takes what
    /// has come of the answer.
    private func waitsForClient(_ exchange: Int) -> Bool {
        let upstream = Int(exchanges[exchange].upstream)
        guard upstream >= 0, upstreams[upstream].phase == .busy else { return false }
        if exchanges[exchange].state.phase == .answering, !wantsAnswer(upstream) { return true }
        return !exchanges[exchange].has(.requestReceived) && !awaitsContinue(exchange)
            && !exchanges[exchange].has(.sendingBroke) && upstreams[upstream].outbound.isEmpty
    }

    private mutating func upstreamTimeIsOver(_ upstream: Int) {
        guard upstreams[upstream].phase == .busy else { return closeUpstream(upstream) }
        // An answer nobody waits for, from a worker that does not end it.
        requestKill(upstream)
        closeUpstream(upstream)
    }

    /// Gives the client the time for its next bytes, while it is its turn to send some: not while
    /// it is us who do not take them, or while it waits to be told to go on. The time it has for
    /// taking its answer goes before.
    mutating func setBodyDeadline(_ exchange: Int) {
        setRequestClock(exchange)
        let client = Int(exchanges[exchange].client)
        guard !clients[client].has(.isTimed) else { return }
        guard wantsBody(exchange), !awaitsContinue(exchange) else {
            exchanges[exchange].bodySince = 0
            return timers.set(client, to: TimerWheel.never)
        }
        if exchanges[exchange].bodySince == 0 {
            exchanges[exchange].bodySince = now
            exchanges[exchange].bodyBase = Int(exchanges[exchange].result.requestBytes)
        }
        clients[client].arrived = arrived(client)
        timers.set(client, to: bodyDeadline(exchange))
    }

    /// Whether the client waits for `100 Continue`; many go on without after a while.
    func awaitsContinue(_ exchange: Int) -> Bool {
        exchanges[exchange].has(.expectsContinue) && exchanges[exchange].result.requestBytes == 0
    }

    /// When a client that sends nothing more of its body is given up: after `timeout.body`, and
    /// when `timeout.body` and the time its bytes take at `timeout.body_rate` have passed since the
    /// body began.
    private func bodyDeadline(_ exchange: Int) -> UInt64 {
        let timeout = settings.options.timeouts.body
        let rate = UInt64(settings.options.timeouts.bodyRate)
        guard rate > 0 else { return now + timeout }
        let count = UInt64(
            Int(exchanges[exchange].result.requestBytes) - exchanges[exchange].bodyBase)
        let (seconds, rest) = count.quotientAndRemainder(dividingBy: rate)
        let earned =
            min(seconds, EdgeLimits.bodySecondsMax) * 1_000_000_000 + rest * 1_000_000_000 / rate
        return min(now, exchanges[exchange].bodySince + earned) + timeout
    }

    /// Bytes that have come from a client, whether or not there was anything to read in them.
    private func arrived(_ client: Int) -> UInt64 {
        clients[client].has(.hasSession)
            ? network.recordBytes(clients[client].stream) : clients[client].bytesIn
    }

    /// Nothing of the body came for as long as nothing may come, or too little since it began.
    private mutating func bodyTimeIsOver(_ client: Int) {
        let exchange = Int(clients[client].exchange)
        guard wantsBody(exchange), !awaitsContinue(exchange) else {
            return setBodyDeadline(exchange)
        }
        // It came, and it is us who had no memory to take it; or the client takes an answer that
        // began before the body's end, and need not send the rest.
        let isAnswered = exchanges[exchange].state.phase == .answering
        if clients[client].has(.readable) || isAnswered && noteTaken(client).isMore {
            exchanges[exchange].bodySince = 0
            return setBodyDeadline(exchange)
        }
        // A part of a TLS record, or of a chunk's framing.
        let came = arrived(client) - clients[client].arrived
        clients[client].arrived += came
        exchanges[exchange].bodyBase -= Int(came)
        if came > 0, bodyDeadline(exchange) > now { return setBodyDeadline(exchange) }
        note(.timeout, client)
        refuseBody(exchange, .bodyTooSlow)
    }
}
