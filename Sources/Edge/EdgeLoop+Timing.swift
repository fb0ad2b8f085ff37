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
        case .busy:
            note(.timeout, client)
            let exchange = Int(clients[client].exchange)
            if clients[client].has(.isTimed) {
                // The client does not take its answer.
                exchanges[exchange].state.conclude()
                abandon(exchange, as: .timeout)
            } else if clients[client].has(.readable) {
                // What it has sent waits for a block.
                let upstream = Int(exchanges[exchange].upstream)
                guard upstream < 0 else { return loseUpstream(upstream, .proxyInternalError) }
                fail(exchange, .proxyInternalError)
            } else {
                refuseBody(exchange, .bodyTooSlow)
            }
        case .tunneling:
            note(.timeout, client)
            let exchange = Int(clients[client].exchange)
            perform(exchanges[exchange].state.handle(.failed(.httpResponseTimeout)), exchange)
        case .lingering:
            closeClient(client)
        }
    }

    /// A head did not come in time, a last answer is not taken, or nothing has come for long.
    private mutating func readingTimeIsOver(_ client: Int) {
        if clients[client].has(.closing) {
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
        note(isDraining && idleTime == 0 ? .drain : .idle, client)
        closeClient(client)
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
        return !exchanges[exchange].has(.requestReceived) && maySend(exchange)
            && !exchanges[exchange].has(.sendingBroke) && upstreams[upstream].outbound.isEmpty
    }

    /// Whether the client does not wait to be told to go on; one that has begun does not.
    private func maySend(_ exchange: Int) -> Bool {
        !exchanges[exchange].has(.expectsContinue) || exchanges[exchange].result.requestBytes > 0
    }

    private mutating func upstreamTimeIsOver(_ upstream: Int) {
        guard upstreams[upstream].phase == .busy else { return closeUpstream(upstream) }
        // An answer nobody waits for, from a worker that does not end it.
        requestKill(upstream)
        closeUpstream(upstream)
    }

    /// Gives the client the time of `timeout.body` for its next bytes, less where its rate is too
    /// low; no time runs while it is us who do not take them, or the endpoint that has not said
    /// `100 Continue`. The time it has for taking its answer goes before.
    mutating func setBodyDeadline(_ exchange: Int) {
        setRequestClock(exchange)
        let client = Int(exchanges[exchange].client)
        guard !clients[client].has(.isTimed) else { return }
        guard wantsBody(exchange), maySend(exchange) else {
            exchanges[exchange].bodySince = 0
            return timers.set(client, to: TimerWheel.never)
        }
        if exchanges[exchange].bodySince == 0 {
            exchanges[exchange].bodySince = now
            exchanges[exchange].bodyBase = exchanges[exchange].result.requestBytes
        }
        var deadline = now + settings.options.timeouts.body
        let rate = UInt64(settings.options.timeouts.bodyRate)
        if rate > 0 {
            let count = exchanges[exchange].result.requestBytes - exchanges[exchange].bodyBase
            let allowed = count / rate * 1_000_000_000
            let latest =
                exchanges[exchange].bodySince + EdgeLimits.bodyRateGraceNanoseconds + allowed
            deadline = min(deadline, max(latest, now + TimerWheel.tick))
            if latest <= now { deadline = now }
        }
        timers.set(client, to: deadline)
    }
}
