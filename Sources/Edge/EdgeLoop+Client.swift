import Board
import HTTP
import Linux
import Memory
import Signals

/// The client's side: receive, read heads, flush, close.
extension EdgeLoop where World: ~Copyable {
    /// An event of a client's stream.
    mutating func clientReady(_ client: Int, _ readiness: Readiness) {
        if readiness.contains(.failed) {
            return clientBroke(client)
        }
        if readiness.contains(.readable) { clients[client].set(.readable) }
        if readiness.contains(.writable) { clients[client].clear(.blocked) }
        if readiness.contains(.peerClosed) || readiness.contains(.hungUp) {
            return clientHalfClosed(client)
        }
        continueClient(client)
    }

    /// The client sends no more. Where it may be waiting for its answer its kernel is asked from
    /// time to time: the end of a stream looks the same when it is gone.
    private mutating func clientHalfClosed(_ client: Int) {
        clients[client].set([.peerClosed, .readable])
        let generation = clients.generation(at: client)
        continueClient(client)
        guard clients.holds(client, generation: generation), clients[client].exchange >= 0 else {
            return
        }
        probe(client)
    }

    /// Lets the kernel ask a half-closed client whether it is there, from now on.
    mutating func probe(_ client: Int) {
        guard !clients[client].has(.isProbed) else { return }
        clients[client].set(.isProbed)
        network.probe(clients[client].stream)
    }

    /// Goes on with a client wherever it stands: after an event, or when its turn has come again.
    mutating func continueClient(_ client: Int) {
        if clients[client].phase == .handshaking {
            return continueHandshake(client)
        }
        let generation = clients.generation(at: client)
        if !clients[client].outbound.isEmpty || clients[client].exchange >= 0 {
            flushClient(client)
            guard clients.holds(client, generation: generation) else { return }
        }
        readClient(client)
    }

    /// Reads what was received, and receives more, as long as somebody wants it and the turn's
    /// share lasts. The end of the stream counts only when everything before it was read.
    mutating func readClient(_ client: Int) {
        let generation = clients.generation(at: client)
        for _ in 0..<EdgeLimits.receivesPerTurn {
            if !clients[client].inbound.isNone {
                readInput(client)
                // A request that began or ended by that is gone on with before more is received.
                guard clients.holds(client, generation: generation), !clients[client].has(.queued)
                else { return }
            }
            guard wantsInput(client) else { return }
            if clients[client].has(.ended) { return inputEnded(client) }
            guard clients[client].has(.readable), receive(client) else { return }
        }
        queue(client: client)
    }

    /// Receives once.
    ///
    /// - Returns: whether bytes came, or the end.
    private mutating func receive(_ client: Int) -> Bool {
        var block = clients[client].inbound
        if block.isNone {
            let isHead = clients[client].phase == .reading
            block = isHead ? pool.take(.small) : pool.takeForBytes()
            guard !block.isNone else {
                pauseForMemory(Token(.client, client, generation: clients.generation(at: client)))
                return false
            }
            clients[client].inbound = block
        } else if pool.room(in: block) == 0 {
            block = pool.widen(block)
            guard !block.isNone else {
                pauseForMemory(Token(.client, client, generation: clients.generation(at: client)))
                return false
            }
            clients[client].inbound = block
        }
        switch network.receive(clients[client].stream, into: block, of: pool) {
        case .bytes(let count, let isDrained):
            clients[client].bytesIn += UInt64(count)
            if isDrained, !clients[client].has(.peerClosed) { clients[client].clear(.readable) }
            return true
        case .wouldBlock:
            clients[client].clear(.readable)
            releaseEmptyInbound(client)
        case .ended:
            clients[client].clear(.readable)
            clients[client].set(.ended)
            releaseEmptyInbound(client)
            return true
        case .failed:
            clientBroke(client)
        }
        return false
    }

    private func releaseEmptyInbound(_ client: Int) {
        let block = clients[client].inbound
        guard !block.isNone, pool.count(of: block) == 0 else { return }
        pool.give(block)
        clients[client].inbound = .none
    }

    /// Whether bytes of this client can be taken in now; what is not wanted stays in the kernel and
    /// slows the sender.
    private func wantsInput(_ client: Int) -> Bool {
        switch clients[client].phase {
        case .handshaking: return false
        case .reading: return !clients[client].has(.closing)
        case .lingering: return true
        case .busy: return wantsBody(Int(clients[client].exchange))
        case .tunneling:
            let exchange = Int(clients[client].exchange)
            let upstream = Int(exchanges[exchange].upstream)
            return exchanges[exchange].has(.sendingBroke)
                || upstreams[upstream].outbound.count < unsentBytesMax
        }
    }

    /// Reads what was received, by the connection's phase.
    private mutating func readInput(_ client: Int) {
        switch clients[client].phase {
        case .handshaking: return
        case .reading: readHead(client)
        case .busy: readBody(client)
        case .tunneling: passToUpstream(client)
        case .lingering:
            let block = clients[client].inbound
            pool.consume(pool.count(of: block), of: block)
            let thrownAway = clients[client].bytesIn - clients[client].lingerFrom
            if thrownAway > EdgeLimits.lingerBytesMax { return closeClient(client) }
        }
        if clients.isUsed(client) { releaseEmptyInbound(client) }
    }

    /// Reads a request's head and begins to serve it.
    private mutating func readHead(_ client: Int) {
        let block = clients[client].inbound
        guard !block.isNone, !clients[client].has(.closing) else { return }
        let hadBegun = clients[client].parser.hasBegun
        if !hadBegun { clients[client].headSince = now }
        let parse = clients[client].parser.parse(
            pool.bytes(of: block), limits: settings.requestLimits, into: &requestHead)
        switch parse {
        case .complete(let length):
            beginRequest(client, headLength: length)
        case .refused(let refusal):
            refuse(client, refusal)
        case .incomplete:
            if !hadBegun, clients[client].parser.hasBegun {
                timers.set(client, to: now + settings.options.timeouts.header)
            }
        }
    }

    /// The client will send no more.
    private mutating func inputEnded(_ client: Int) {
        switch clients[client].phase {
        case .handshaking, .lingering: closeClient(client)
        case .reading:
            // A head that breaks off was no request; there is nobody to answer.
            if clients[client].outbound.isEmpty {
                closeClient(client)
            } else {
                clients[client].set(.closing)
            }
        case .busy:
            let exchange = Int(clients[client].exchange)
            // A half-closed client still gets its answer; one whose body breaks off does not.
            if !exchanges[exchange].has(.requestReceived) { requestBrokeOff(exchange) }
        case .tunneling:
            tunnelHalfClosed(byClient: Int(clients[client].exchange))
        }
    }

    /// Writes what waits, as far as the stream takes it, and says so to whoever waits for that.
    mutating func flushClient(_ client: Int) {
        while true {
            while !clients[client].outbound.isEmpty {
                guard !clients[client].has(.blocked) else { return }
                switch network.send(clients[client].stream, clients[client].outbound, of: pool) {
                case .bytes(let count):
                    clients[client].outbound.consume(count, in: pool)
                    clients[client].bytesOut += UInt64(count)
                case .wouldBlock: return clientBlocked(client)
                case .failed: return clientBroke(client)
                }
            }
            let exchange = Int(clients[client].exchange)
            guard exchange >= 0 else {
                if clients[client].has(.closing) { endClient(client) }
                return
            }
            let generation = exchanges.generation(at: exchange)
            if refillFromSpool(exchange) { continue }
            if exchanges.holds(exchange, generation: generation) { clientDrained(exchange) }
            return
        }
    }

    private mutating func clientBlocked(_ client: Int) {
        clients[client].set(.blocked)
        compact(&clients[client].outbound)
        if !clients[client].has(.watchesWrites) {
            clients[client].set(.watchesWrites)
            network.rewatch(clients[client].stream, token: token(client: client), writable: true)
        }
        _ = noteTaken(client)
        if clients[client].phase == .busy || clients[client].phase == .reading {
            clients[client].set(.isTimed)
            timers.set(client, to: now + settings.options.timeouts.body)
        }
    }

    /// Exchanges a nearly empty large block for a small one before its bytes have to wait for long.
    private func compact(_ chain: inout BlockChain) {
        guard chain.count <= EdgeLimits.compactBytesMax, !chain.isEmpty else { return }
        var smaller = BlockChain()
        var block = chain.first
        while !block.isNone {
            guard smaller.append(pool.bytes(of: block), in: pool) else {
                return smaller.giveAll(to: pool)
            }
            block = chain.block(after: block, in: pool)
        }
        chain.giveAll(to: pool)
        chain = smaller
    }

    /// Ends a connection after its last answer: at once when nothing unread can be there, else with
    /// a while of listening.
    ///
    /// - Parameter isSending: the last request has not come to its end. What is on its way would
    ///   meet a reset, and that may take the answer from the client (RFC 9112 section 9.6).
    mutating func endClient(_ client: Int, isSending: Bool = false) {
        if !clients[client].has(.ended) { note(.finished, client) }
        let isQuiet =
            clients[client].inbound.isNone && !clients[client].has(.readable) && !isSending
            || clients[client].has(.ended)
        if isQuiet, clients[client].phase != .lingering { return closeClient(client) }
        guard clients[client].phase != .lingering else { return }
        clients[client].phase = .lingering
        clients[client].lingerFrom = clients[client].bytesIn
        network.shutdownWrite(clients[client].stream)
        timers.set(client, to: now + EdgeLimits.lingerNanoseconds)
        queue(client: client)
    }

    /// The stream is broken: a reset, or a write that failed.
    mutating func clientBroke(_ client: Int) {
        note(.reset, client)
        let exchange = Int(clients[client].exchange)
        if exchange >= 0 { perform(exchanges[exchange].state.handle(.clientGone), exchange) }
        if clients.isUsed(client) { closeClient(client) }
    }

    /// Notes why a connection ends; the first reason counts.
    mutating func note(_ end: ConnectionEnd, _ client: Int) {
        if clients[client].end == .client { clients[client].end = end }
    }

    /// Closes a connection without a request on it.
    ///
    /// - Parameter isBroken: the client has to see a break, because the end of the stream would
    ///   look like the answer's.
    mutating func closeClient(_ client: Int, isBroken: Bool = false) {
        precondition(clients[client].exchange < 0)
        timers.clear(client)
        if !clients[client].inbound.isNone { pool.give(clients[client].inbound) }
        clients[client].outbound.giveAll(to: pool)
        connectionClosed(client)
        network.close(clients[client].stream, isBroken: isBroken)
        let address = clients[client].address
        addresses.remove(high: address.high, low: address.low)
        clients.remove(at: client)
        resumeAccepting()
    }

    /// Closes a connection for want of memory or room; what it asked for was not begun.
    mutating func turnAway(_ client: Int) {
        counters.add(.connectionsRefused)
        limitReportsAt = min(limitReportsAt, memoryReport.note())
        clients[client].end = .limit
        closeClient(client)
    }

    func token(client: Int) -> UInt64 {
        Token(.client, client, generation: clients.generation(at: client)).bits
    }

    /// Goes on with a client later in this turn.
    mutating func queue(client: Int) {
        guard !clients[client].has(.queued) else { return }
        clients[client].set(.queued)
        ready.append(Token(.client, client, generation: clients.generation(at: client)))
    }
}
