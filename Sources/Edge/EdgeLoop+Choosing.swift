import Board
import HTTP
import Linux
import Memory
import Routing
import Signals

/// Which endpoint gets a request, and the queue for those that find none free.
extension EdgeLoop where World: ~Copyable {
    /// Begins to serve a request from a service: its body is collected first where that is the
    /// rule.
    mutating func forward(_ exchange: Int) {
        let service = settings.services[Int(exchanges[exchange].service)]
        balancer.countRequest(service: service.slot)
        if service.isOurs { exchanges[exchange].set(.isOurs) }
        if service.buffers { exchanges[exchange].set(.buffersAnswer) }
        if case .length(let count) = exchanges[exchange].framing, count > service.bodyBytesMax {
            return refuseBody(exchange, .bodyTooLarge)
        }
        guard service.buffers, exchanges[exchange].has(.hasBody),
            !exchanges[exchange].has(.wantsUpgrade)
        else { return perform(exchanges[exchange].state.handle(.ready), exchange) }
        exchanges[exchange].set(.collectsBody)
        setBodyDeadline(exchange)
        let client = Int(exchanges[exchange].client)
        if exchanges[exchange].has(.expectsContinue) {
            let generation = exchanges.generation(at: exchange)
            sendContinue(exchange)
            guard exchanges.holds(exchange, generation: generation) else { return }
        }
        queue(client: client)
    }

    /// Chooses an endpoint and takes a place there.
    mutating func choose(_ exchange: Int) {
        let service = settings.services[Int(exchanges[exchange].service)]
        let choice = balancer.choose(
            service: service.slot, now: now, keyHash: exchanges[exchange].keyHash,
            tried: exchanges[exchange].tried)
        switch choice {
        case .endpoint(let lease):
            exchanges[exchange].lease = lease
            perform(exchanges[exchange].state.handle(.chosen), exchange)
        case .allFull:
            perform(exchanges[exchange].state.handle(.allFull), exchange)
        case .noneAvailable:
            // Workers come back, unless they were given up; servers elsewhere may not.
            if service.kind.contains(.upstream) || !balancer.hasHope(service: service.slot) {
                // After a retry that finds nobody else the first failure is the one to tell of.
                fail(exchange, exchanges[exchange].lastFailure ?? unavailable(service.slot))
            } else {
                perform(exchanges[exchange].state.handle(.allFull), exchange)
            }
        }
    }

    /// Why a service of servers elsewhere has none: no name was resolved yet, or none is up.
    private func unavailable(_ slot: Int) -> Failure {
        let hasRows = (0..<table.endpointHighWater).contains {
            let endpoint = table.endpoint($0)
            let state = endpoint.status.state
            return endpoint.service == slot && state != .free && state != .retired
        }
        return hasRows ? .destinationUnavailable : .dnsError
    }

    /// Puts a request into the queue. Who has to wait takes the first place there is, also where it
    /// failed before: the others may be paused for longer than it can wait.
    mutating func stand(_ exchange: Int) {
        let slot = settings.services[Int(exchanges[exchange].service)].slot
        let token = Token(.client, exchange, generation: exchanges.generation(at: exchange))
        if exchanges[exchange].waitingSince == 0 { exchanges[exchange].waitingSince = now }
        guard
            let waiter = balancer.wait(
                service: slot, token: token.bits, since: exchanges[exchange].waitingSince,
                keyHash: exchanges[exchange].keyHash)
        else {
            counters.add(.queueRefused)
            return fail(exchange, .connectionLimitReached)
        }
        counters.add(.queueEntered)
        exchanges[exchange].waiter = Int32(waiter)
        looksAt = min(looksAt, now + EdgeLimits.lookNanoseconds)
    }

    /// Serves those whose turn has come, sends away those who waited too long, and wakes edges that
    /// got a place; once a turn.
    mutating func serveQueue() {
        if balancer.hasWaiters, looksAt <= now {
            balancer.look()
            looksAt = now + EdgeLimits.lookNanoseconds
        }
        while let served = balancer.nextServed(now: now) {
            let exchange = Token(bits: served.token).index
            exchanges[exchange].waiter = -1
            exchanges[exchange].lease = served.lease
            perform(exchanges[exchange].state.handle(.chosen), exchange)
        }
        while let token = balancer.nextExpired(now: now) {
            let exchange = Token(bits: token).index
            exchanges[exchange].waiter = -1
            noteWait(exchange)
            counters.add(.queueExpired)
            fail(exchange, .connectionLimitReached)
        }
        if !balancer.hasWaiters { looksAt = TimerWheel.never }
        var wakes = balancer.takeWakes()
        while wakes != 0 {
            network.wake(edge: wakes.trailingZeroBitCount)
            wakes &= wakes &- 1
        }
    }

    /// Takes a request out of the queue: its client is gone, or it is answered otherwise.
    mutating func leaveQueue(_ exchange: Int) {
        guard exchanges[exchange].waiter >= 0 else { return }
        balancer.cancel(Int(exchanges[exchange].waiter))
        exchanges[exchange].waiter = -1
        noteWait(exchange)
    }

    /// Notes how long a request has waited for a place, now that it waits no more.
    private mutating func noteWait(_ exchange: Int) {
        let waited = now - exchanges[exchange].waitingSince
        exchanges[exchange].result.queue = waited
        counters.add(.queueNanoseconds, waited)
    }

    /// Uses the place a request was given.
    mutating func connect(_ exchange: Int) {
        guard let lease = exchanges[exchange].lease else { preconditionFailure("no place is held") }
        exchanges[exchange].lease = nil
        if exchanges[exchange].waitingSince > 0 {
            noteWait(exchange)
        } else if exchanges[exchange].result.queue == RequestResult.never {
            exchanges[exchange].result.queue = 0
        }
        let service = settings.services[Int(exchanges[exchange].service)]
        exchanges[exchange].requestDeadline = now + service.requestTimeout
        connect(exchange, lease)
    }

    /// Gives a place back; who waits for it is served or woken at the turn's end.
    mutating func giveBack(_ lease: Lease) { balancer.release(lease) }

    /// An endpoint has failed a request; before its place is given back.
    mutating func endpointFailed(_ lease: Lease) { report(lease, .failed) }

    /// An endpoint has answered a request; before its place is given back.
    ///
    /// - Parameter latency: nanoseconds from sending to the end of the answer.
    mutating func endpointAnswered(_ lease: Lease, latency: UInt64) {
        report(lease, .answered(latency: latency))
    }

    private mutating func report(_ lease: Lease, _ outcome: EndpointOutcome) {
        switch balancer.report(lease, outcome, now: now) {
        case nil: return
        case .up(let endpoint): raiseHealth(endpoint, isUp: true)
        case .down(let endpoint, _): raiseHealth(endpoint, isUp: false)
        }
    }

    /// Whether the service's budget and `retry.attempts` allow this request one more attempt;
    /// counts it if so.
    mutating func mayRetry(_ exchange: Int) -> Bool {
        let service = Int(exchanges[exchange].service)
        guard service >= 0 else { return false }
        let attempts = Int(exchanges[exchange].result.retries) + 1
        return balancer.mayRetry(service: settings.services[service].slot, attempts: attempts)
    }

    /// Tries a request again: elsewhere, unless it was only the connection that was stale.
    mutating func retry(_ exchange: Int, _ failure: Failure) {
        let retries = exchanges[exchange].state.retries(
            countsStale: exchanges[exchange].has(.isOurs))
        if retries > exchanges[exchange].result.retries { counters.add(.retries) }
        exchanges[exchange].result.retries = retries
        exchanges[exchange].lastFailure = failure
        clearDeadlines(exchange)
        // While it waits for a place its body is not read, however long that takes.
        setBodyDeadline(exchange)
        exchanges[exchange].waitingSince = 0
        exchanges[exchange].clear([.requestSent, .sendingBroke, .chunksRequest])
        if let endpoint = exchanges[exchange].endpoint, !exchanges[exchange].state.wasStale {
            exchanges[exchange].tried.insert(endpoint)
        }
        choose(exchange)
    }

    /// The position of the service in a slot of the table; nil when this configuration has none
    /// there.
    func service(ofSlot slot: Int) -> Int? {
        for index in 0..<settings.serviceNames.count where settings.services[index].slot == slot {
            return index
        }
        return nil
    }
}
