import Board
import HTTP
import Linux
import Memory
import Routing
import Signals
import TLS

/// Connections to endpoints: made, taken, given back, closed.
extension EdgeLoop where World: ~Copyable {
    /// Takes an idle connection to the chosen endpoint, or makes one.
    mutating func connect(_ exchange: Int, _ lease: Lease) {
        exchanges[exchange].connectingSince = now
        noteEndpoint(exchange, lease)
        if let upstream = takeIdle(lease, for: exchange) {
            upstreams[upstream].lease = lease
            upstreams[upstream].phase = .busy
            upstreams[upstream].exchange = Int32(exchange)
            exchanges[exchange].upstream = Int32(upstream)
            exchanges[exchange].state.isConnectionReused = true
            return perform(exchanges[exchange].state.handle(.connected), exchange)
        }
        guard isOfThisConfiguration(lease, exchange) else {
            balancer.releaseFull(lease, now: now)
            return perform(exchanges[exchange].state.handle(.endpointFull), exchange)
        }
        guard !upstreams.isFull, let address = table.endpoint(Int(lease.endpoint.index)).address
        else {
            giveBack(lease)
            return fail(exchange, .destinationUnavailable)
        }
        switch network.connect(to: address) {
        case .connected(let stream): open(exchange, stream, lease, isConnecting: false)
        case .inProgress(let stream): open(exchange, stream, lease, isConnecting: true)
        case .full:
            balancer.releaseFull(lease, now: now)
            perform(exchanges[exchange].state.handle(.endpointFull), exchange)
        case .exhausted:
            giveBack(lease)
            fail(exchange, .proxyInternalError)
        case .failed(let number):
            // A worker's socket refuses only when the worker is gone: another one, or its
            // successor, takes the request, which nobody has seen.
            if !isUpstream(lease.endpoint) {
                balancer.markDown(lease.endpoint)
                giveBack(lease)
                return perform(exchanges[exchange].state.handle(.endpointFull), exchange)
            }
            endpointFailed(lease)
            giveBack(lease)
            fail(exchange, Self.failure(ofConnect: number))
        }
    }

    /// Whether an endpoint is what this edge's configuration says of its service. A service that
    /// changed has another row in the table, so that nothing else is met; here it would be a trap.
    private func isOfThisConfiguration(_ lease: Lease, _ exchange: Int) -> Bool {
        let endpoint = table.endpoint(Int(lease.endpoint.index))
        let kind = endpoint.status.kind
        let service = settings.services[Int(exchanges[exchange].service)]
        guard kind.subtracting(.tls) == service.kind else { return false }
        let speaksTLS =
            endpoint.number < service.upstreamCount
            && network.speaksTLS(upstream: service.firstTLSUpstream + endpoint.number)
        return kind.contains(.tls) == speaksTLS
    }

    /// An idle connection to this incarnation of the endpoint that has not been closed meanwhile.
    ///
    /// What came on it before this turn has been dealt with (`lookAtIdle`). A request that changes
    /// something asks the kernel once more, whether the endpoint has ended it or said something
    /// that nobody asked for; the others find out as they go, and are sent again.
    private mutating func takeIdle(_ lease: Lease, for exchange: Int) -> Int? {
        // Where one was dead the others are likely to be.
        guard !exchanges[exchange].state.hasMetStaleConnection else { return nil }
        while let upstream = idle.first(of: lease.endpoint, in: upstreams) {
            guard
                exchanges[exchange].has(.isSafe)
                    || network.isQuiet(upstreams[upstream].stream)
            else {
                closeUpstream(upstream)
                continue
            }
            idle.remove(upstream, in: upstreams)
            timers.set(timer(upstream: upstream), to: TimerWheel.never)
            return upstream
        }
        return nil
    }

    private mutating func open(
        _ exchange: Int, _ stream: Int32, _ lease: Lease, isConnecting: Bool
    ) {
        let upstream = upstreams.insert(
            UpstreamConnection(
                stream: stream, endpoint: lease.endpoint, lease: lease,
                phase: isConnecting ? .connecting : .busy, openedAt: now))
        upstreams[upstream].exchange = Int32(exchange)
        exchanges[exchange].upstream = Int32(upstream)
        exchanges[exchange].state.isConnectionReused = false
        guard network.watch(stream, token: token(upstream: upstream), writable: isConnecting) else {
            return loseUpstream(upstream, .proxyInternalError)
        }
        guard isConnecting else { return connected(upstream) }
        upstreams[upstream].set(.watchesWrites)
        let service = Int(exchanges[exchange].service)
        exchanges[exchange].connectDeadline = now + settings.services[service].connectTimeout
        arm(exchange)
    }

    /// A connect in progress has ended, one way or the other.
    private mutating func connectEnded(_ upstream: Int) {
        let number = network.connectError(upstreams[upstream].stream)
        guard number == 0 else {
            return loseUpstream(upstream, Self.failure(ofConnect: number))
        }
        connected(upstream)
    }

    /// The connection stands: TLS begins where it has to, else the request is sent.
    private mutating func connected(_ upstream: Int) {
        let exchange = Int(upstreams[upstream].exchange)
        let endpoint = table.endpoint(Int(upstreams[upstream].endpoint.index))
        guard endpoint.status.kind.contains(.tls) else { return upstreamOpened(upstream) }
        let service = settings.services[Int(exchanges[exchange].service)]
        upstreams[upstream].phase = .handshaking
        network.beginTLS(
            upstreams[upstream].stream, upstream: service.firstTLSUpstream + endpoint.number)
        continueUpstreamHandshake(upstream)
    }

    private mutating func continueUpstreamHandshake(_ upstream: Int) {
        switch network.handshake(upstreams[upstream].stream) {
        case .done: upstreamOpened(upstream)
        case .pending(let needsWrite):
            guard needsWrite, !upstreams[upstream].has(.watchesWrites) else { return }
            upstreams[upstream].set(.watchesWrites)
            network.rewatch(
                upstreams[upstream].stream, token: token(upstream: upstream), writable: true)
        case .failed(let failure):
            reportTLSFailure(upstream, failure)
            loseUpstream(
                upstream, failure.isCertificateError ? .tlsCertificateError : .tlsProtocolError)
        }
    }

    private mutating func upstreamOpened(_ upstream: Int) {
        let exchange = Int(upstreams[upstream].exchange)
        upstreams[upstream].phase = .busy
        exchanges[exchange].connectDeadline = TimerWheel.never
        exchanges[exchange].result.connect = now - exchanges[exchange].connectingSince
        arm(exchange)
        perform(exchanges[exchange].state.handle(.connected), exchange)
    }

    /// An event of an endpoint's stream.
    mutating func upstreamReady(_ upstream: Int, _ readiness: Readiness) {
        switch upstreams[upstream].phase {
        case .connecting:
            return connectEnded(upstream)
        case .handshaking:
            return continueUpstreamHandshake(upstream)
        case .idle: return idleReady(upstream)
        case .busy: break
        }
        if !readiness.isDisjoint(with: [.peerClosed, .hungUp, .failed]) {
            upstreams[upstream].set([.peerClosed, .readable])
            let exchange = Int(upstreams[upstream].exchange)
            if readiness.contains(.failed), exchange >= 0,
                exchanges[exchange].state.phase == .tunneling
            {
                tunnelBroke(exchange)
            }
        }
        if readiness.contains(.readable) { upstreams[upstream].set(.readable) }
        if readiness.contains(.writable) { upstreams[upstream].clear(.blocked) }
        continueUpstream(upstream)
    }

    /// An event of an idle connection: nothing may come on it but its end. One of bytes that were
    /// read already says nothing.
    @inline(never)
    mutating func idleReady(_ upstream: Int) {
        if network.isQuiet(upstreams[upstream].stream) { return }
        closeUpstream(upstream)
    }

    /// Goes on with an endpoint's connection: after an event, or when its turn has come again.
    mutating func continueUpstream(_ upstream: Int) {
        let generation = upstreams.generation(at: upstream)
        if upstreams[upstream].exchange >= 0, !upstreams[upstream].has(.blocked) {
            sendOn(Int(upstreams[upstream].exchange))
            guard upstreams.holds(upstream, generation: generation) else { return }
        }
        readUpstream(upstream)
    }

    /// Sends on what waits for the endpoint; where that made room the client goes on, if only to
    /// end.
    private mutating func sendOn(_ exchange: Int) {
        let generation = exchanges.generation(at: exchange)
        let isTunnel = exchanges[exchange].state.phase == .tunneling
        if isTunnel { flushTunnel(exchange) } else { pumpRequest(exchange) }
        guard exchanges.holds(exchange, generation: generation),
            isTunnel || !exchanges[exchange].has(.requestReceived)
        else { return }
        queue(client: Int(exchanges[exchange].client))
    }

    /// The answer has been read to its end: the place is free, and the connection is kept if it can
    /// be.
    mutating func releaseUpstream(_ upstream: Int) {
        if let lease = upstreams[upstream].lease {
            upstreams[upstream].lease = nil
            giveBack(lease)
        }
        upstreams[upstream].exchange = -1
        let isClean =
            !upstreams[upstream].has(.isSpent) && upstreams[upstream].inbound.isNone
            && upstreams[upstream].outbound.isEmpty && !upstreams[upstream].has(.peerClosed)
            && !upstreams[upstream].has(.readable)
        guard isClean, let deadline = idleDeadline(upstream) else {
            return closeUpstream(upstream)
        }
        if upstreams[upstream].has(.watchesWrites) {
            upstreams[upstream].clear(.watchesWrites)
            network.rewatch(
                upstreams[upstream].stream, token: token(upstream: upstream), writable: false)
        }
        upstreams[upstream].phase = .idle
        upstreams[upstream].clear(.headRead)
        upstreams[upstream].parser.reset()
        idle.insert(upstream, in: upstreams)
        timers.set(timer(upstream: upstream), to: deadline)
    }

    /// Gives up a connection with a request on it, and tells the request why.
    mutating func loseUpstream(_ upstream: Int, _ failure: Failure) {
        let exchange = Int(upstreams[upstream].exchange)
        if let lease = upstreams[upstream].lease {
            if blamesEndpoint(upstream, failure) { endpointFailed(lease) }
            upstreams[upstream].lease = nil
            giveBack(lease)
        }
        upstreams[upstream].exchange = -1
        closeUpstream(upstream)
        guard exchange >= 0 else { return }
        exchanges[exchange].upstream = -1
        fail(exchange, failure)
    }

    /// Whether a failure counts against the endpoint's health (`Routing.md`): what a worker of ours
    /// answers does not, and the master sees to one that has ended.
    private func blamesEndpoint(_ upstream: Int, _ failure: Failure) -> Bool {
        let exchange = Int(upstreams[upstream].exchange)
        guard exchange < 0 || exchanges[exchange].state.blamesEndpoint(for: failure) else {
            return false
        }
        let endpoint = upstreams[upstream].endpoint
        return isUpstream(endpoint) || failure.showsIllWorker && lives(endpoint)
    }

    /// Whether an endpoint is a server elsewhere, and no worker of ours.
    private func isUpstream(_ endpoint: EndpointReference) -> Bool {
        table.endpoint(Int(endpoint.index)).status.kind.contains(.upstream)
    }

    /// Closes a connection on which no request is.
    mutating func closeUpstream(_ upstream: Int) {
        precondition(upstreams[upstream].exchange < 0)
        if upstreams[upstream].phase == .idle { idle.remove(upstream, in: upstreams) }
        if let lease = upstreams[upstream].lease { giveBack(lease) }
        timers.clear(timer(upstream: upstream))
        if !upstreams[upstream].inbound.isNone { pool.give(upstreams[upstream].inbound) }
        upstreams[upstream].outbound.giveAll(to: pool)
        network.close(upstreams[upstream].stream, isBroken: false)
        upstreams.remove(at: upstream)
    }

    /// When an idle connection is closed; nil when this one is not worth keeping.
    private func idleDeadline(_ upstream: Int) -> UInt64? {
        let endpoint = table.endpoint(Int(upstreams[upstream].endpoint.index))
        guard !isDraining, endpoint.status.generation == upstreams[upstream].endpoint.generation,
            let service = service(ofSlot: endpoint.service)
        else { return nil }
        let settings = settings.services[service]
        // What others wait for is not closed for being more than the pool keeps.
        let kept = max(settings.idleMax, balancer.waiting(service: endpoint.service))
        let isKept =
            settings.keepsConnections && idle.count(endpoint.index) < kept
            && (settings.lifetime == TimerWheel.never
                || now - upstreams[upstream].openedAt < settings.lifetime)
        return isKept ? now + settings.idleTimeout : nil
    }

    static func failure(ofConnect number: Int32) -> Failure {
        number == SystemError.timedOut ? .connectionTimeout : .connectionRefused
    }

    func token(upstream: Int) -> UInt64 {
        Token(.upstream, upstream, generation: upstreams.generation(at: upstream)).bits
    }

    mutating func queue(upstream: Int) {
        guard !upstreams[upstream].has(.queued) else { return }
        upstreams[upstream].set(.queued)
        ready.append(
            Token(.upstream, upstream, generation: upstreams.generation(at: upstream)))
    }
}
