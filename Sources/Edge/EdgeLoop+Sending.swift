import Board
import HTTP
import Linux
import Memory
import Signals

/// The request: its body received from the client, and all of it sent to the endpoint.
extension EdgeLoop where World: ~Copyable {
    /// Whether more of a request's body can be taken in now.
    func wantsBody(_ exchange: Int) -> Bool {
        guard !exchanges[exchange].has(.requestReceived) else { return false }
        if exchanges[exchange].state.phase == .collecting { return true }
        let upstream = Int(exchanges[exchange].upstream)
        guard upstream >= 0, upstreams[upstream].phase == .busy else { return false }
        return exchanges[exchange].has(.sendingBroke)
            || upstreams[upstream].outbound.count < unsentBytesMax
    }

    /// Reads what has come of a request's body, and hands it on or collects it.
    mutating func readBody(_ client: Int) {
        let exchange = Int(clients[client].exchange)
        let exchangeGeneration = exchanges.generation(at: exchange)
        var pieces = 0
        while exchanges.holds(exchange, generation: exchangeGeneration), wantsBody(exchange),
            pieces < EdgeLimits.piecesPerTurn
        {
            let block = clients[client].inbound
            let step =
                block.isNone
                ? exchanges[exchange].decoder.next(Span(), trailers: &trailers)
                : exchanges[exchange].decoder.next(pool.bytes(of: block), trailers: &trailers)
            switch step {
            case .data(let range):
                guard takeBody(client, exchange, range) else { return }
                pieces += 1
            case .needMore(let consumed):
                if consumed > 0 { consumeInput(client, consumed) }
                if pieces > 0 { bodyGrew(exchange) }
                return
            case .end(let consumed):
                guard endBody(exchange, block) else { return }
                if consumed > 0 { consumeInput(client, consumed) }
                return bodyEnded(client, exchange)
            case .faulty(let fault):
                return refuseBody(exchange, fault.refusal)
            }
        }
        guard pieces > 0, exchanges.holds(exchange, generation: exchangeGeneration) else { return }
        bodyGrew(exchange)
        guard exchanges.holds(exchange, generation: exchangeGeneration) else { return }
        // The endpoint took it at once: what is left is read, if only the end.
        if wantsBody(exchange) { queue(client: client) }
    }

    private mutating func takeBody(_ client: Int, _ exchange: Int, _ range: ByteRange) -> Bool {
        let block = clients[client].inbound
        exchanges[exchange].result.requestBytes += UInt64(range.count)
        guard exchanges[exchange].result.requestBytes <= bodyLimit(of: exchange) else {
            refuseBody(exchange, .bodyTooLarge)
            return false
        }
        if exchanges[exchange].state.phase == .collecting {
            guard collect(exchange, pool.bytes(of: block).extracting(range.indices)) else {
                return false
            }
        } else if !exchanges[exchange].has(.sendingBroke) {
            exchanges[exchange].state.isReplayable = false
            let upstream = Int(exchanges[exchange].upstream)
            let isWhole = range.start == 0 && Int(range.count) == pool.count(of: block)
            if isWhole, !exchanges[exchange].has(.chunksRequest) {
                clients[client].inbound = .none
                upstreams[upstream].outbound.append(block, in: pool)
                return true
            }
            let data = pool.bytes(of: block).extracting(range.indices)
            guard
                append(
                    data, inChunks: exchanges[exchange].has(.chunksRequest),
                    to: &upstreams[upstream].outbound)
            else {
                loseUpstream(upstream, .proxyInternalError)
                return false
            }
        }
        consumeInput(client, range.end)
        return true
    }

    /// Puts body bytes with the others that are collected.
    private mutating func collect(_ exchange: Int, _ data: Span<UInt8>) -> Bool {
        if exchanges[exchange].body < 0 {
            guard !bodies.isFull else {
                fail(exchange, .proxyInternalError)
                return false
            }
            exchanges[exchange].body = Int32(bodies.insert(BodyStore()))
        }
        do throws(BodyStore.Fault) {
            try bodies[Int(exchanges[exchange].body)].append(
                data, memoryMax: settings.options.limits.bodyMemoryBytes,
                folder: settings.spoolFolder, in: pool)
            return true
        } catch {
            switch error {
            case .memoryIsScarce: fail(exchange, .proxyInternalError)
            case .spool(let cause):
                reportSpool(cause)
                fail(exchange, .spoolFull)
            }
            return false
        }
    }

    private mutating func consumeInput(_ client: Int, _ count: Int) {
        let block = clients[client].inbound
        pool.consume(count, of: block)
        guard pool.count(of: block) == 0 else { return }
        pool.give(block)
        clients[client].inbound = .none
    }

    /// More of the body has come: the time limits begin anew, and what is streamed goes on.
    private mutating func bodyGrew(_ exchange: Int) {
        setBodyDeadline(exchange)
        if exchanges[exchange].upstream >= 0 { pumpRequest(exchange) }
    }

    /// Ends the framing of a streamed body towards the endpoint.
    ///
    /// - Parameter block: where the trailers lie, `.none` without any.
    /// - Returns: false when the edge has no block left; the endpoint has been given up then.
    private mutating func endBody(_ exchange: Int, _ block: BlockID) -> Bool {
        let upstream = Int(exchanges[exchange].upstream)
        guard exchanges[exchange].has(.chunksRequest), upstream >= 0,
            !exchanges[exchange].has(.sendingBroke)
        else { return true }
        let out = pool.take(block.isNone || trailers.count == 0 ? .small : .large)
        guard !out.isNone else {
            loseUpstream(upstream, .proxyInternalError)
            return false
        }
        var writer = pool.writer(into: out)
        if block.isNone || trailers.count == 0 || exchanges[exchange].has(.endsTrailers) {
            writer.writeLastChunk()
        } else {
            writer.writeLastChunk(
                trailers: trailers, from: pool.bytes(of: block),
                dropsUnderscores: settings.services[Int(exchanges[exchange].service)]
                    .dropsUnderscores,
                edits: settings.requestEdits[Int(exchanges[exchange].route)])
        }
        trailers.removeAll()
        pool.commit(writer.count, to: out)
        upstreams[upstream].outbound.append(out, in: pool)
        return true
    }

    /// The request has been received to its end.
    private mutating func bodyEnded(_ client: Int, _ exchange: Int) {
        exchanges[exchange].set(.requestReceived)
        setRequestClock(exchange)
        setBodyDeadline(exchange)
        if exchanges[exchange].state.phase == .collecting {
            perform(exchanges[exchange].state.handle(.ready), exchange)
        } else if exchanges[exchange].upstream >= 0 {
            pumpRequest(exchange)
        }
    }

    /// Begins to send a request on the connection it was given.
    mutating func send(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        upstreams[upstream].sentAt = now
        upstreams[upstream].context = ResponseContext(
            isHead: exchanges[exchange].has(.isHead),
            allowsUpgrade: exchanges[exchange].has(.wantsUpgrade))
        noteSending(exchange)
        guard writeHead(exchange, upstream) else {
            return loseUpstream(upstream, .proxyInternalError)
        }
        if exchanges[exchange].body >= 0 { bodies[Int(exchanges[exchange].body)].rewind() }
        let generation = exchanges.generation(at: exchange)
        pumpRequest(exchange)
        guard exchanges.holds(exchange, generation: generation),
            !exchanges[exchange].has(.requestSent), exchanges[exchange].upstream >= 0
        else { return }
        arm(exchange)
        // What came with the head of a streamed request waits in the client's block.
        if !exchanges[exchange].has(.requestReceived) {
            queue(client: Int(exchanges[exchange].client))
        }
    }

    /// Puts the head together from its parts, with what is known only now.
    private mutating func writeHead(_ exchange: Int, _ upstream: Int) -> Bool {
        let text = pool.bytes(of: exchanges[exchange].text)
        let lateBytesMax = 256
        let count = Int(
            exchanges[exchange].line.count + exchanges[exchange].peer.count
                + exchanges[exchange].head.count)
        let block = pool.take(count + lateBytesMax <= BlockSize.small.bytes ? .small : .large)
        guard !block.isNone else { return false }
        var writer = pool.writer(into: block)
        writer.write(text.extracting(exchanges[exchange].line.indices))
        if exchanges[exchange].has(.isOurs) {
            writer.write(peerPlace: upstreams[upstream].lease?.place ?? 0)
            writer.write(text.extracting(exchanges[exchange].peer.indices))
        }
        writer.write(text.extracting(exchanges[exchange].head.indices))
        writer.write(requestEnd: requestEnd(exchange))
        guard !writer.isOverfull else {
            pool.give(block)
            return false
        }
        pool.commit(writer.count, to: block)
        upstreams[upstream].outbound.append(block, in: pool)
        return true
    }

    private mutating func requestEnd(_ exchange: Int) -> RequestEnd {
        let service = settings.services[Int(exchanges[exchange].service)]
        var end = RequestEnd(framing: .none)
        if exchanges[exchange].has(.collectsBody) {
            end.framing = .length(exchanges[exchange].result.requestBytes)
        } else if exchanges[exchange].has(.hasBody) {
            end.framing = exchanges[exchange].framing
            end.forwardsExpectation = exchanges[exchange].has(.expectsContinue)
        }
        if end.framing == .chunked { exchanges[exchange].set(.chunksRequest) }
        end.saysLength = exchanges[exchange].has(.saysLength)
        end.upgrades = exchanges[exchange].has(.wantsUpgrade)
        end.closes = !service.keepsConnections
        return end
    }

    /// Sends what there is of a request, as far as the endpoint's stream takes it.
    mutating func pumpRequest(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        guard upstreams[upstream].phase == .busy, !exchanges[exchange].has(.sendingBroke) else {
            return
        }
        var budget = EdgeLimits.receivesPerTurn
        while true {
            guard flushUpstream(upstream, exchange) else { return }
            let body = Int(exchanges[exchange].body)
            guard body >= 0, !exchanges[exchange].has(.requestSent) else { break }
            guard budget > 0 else { return queue(upstream: upstream) }
            budget -= 1
            do throws(BodyStore.Fault) {
                let count = try bodies[body].read(into: &upstreams[upstream].outbound, in: pool)
                guard count > 0 else { break }
            } catch {
                if case .spool(let cause) = error { reportSpool(cause) }
                return loseUpstream(upstream, .proxyInternalError)
            }
        }
        guard exchanges[exchange].has(.requestReceived) else {
            return setBodyDeadline(exchange)
        }
        if !exchanges[exchange].has(.requestSent) { requestSent(exchange) }
    }

    /// - Returns: whether everything was taken.
    private mutating func flushUpstream(_ upstream: Int, _ exchange: Int) -> Bool {
        while !upstreams[upstream].outbound.isEmpty {
            guard !upstreams[upstream].has(.blocked) else { return false }
            switch network.send(upstreams[upstream].stream, upstreams[upstream].outbound, of: pool)
            {
            case .bytes(let count):
                upstreams[upstream].outbound.consume(count, in: pool)
                exchanges[exchange].state.wasSent = true
            case .wouldBlock:
                upstreams[upstream].set(.blocked)
                if !upstreams[upstream].has(.watchesWrites) {
                    upstreams[upstream].set(.watchesWrites)
                    network.rewatch(
                        upstreams[upstream].stream, token: token(upstream: upstream),
                        writable: true)
                }
                return false
            case .failed:
                // The endpoint takes no more; it may have answered before it closed (RFC 9112
                // section 9.5).
                exchanges[exchange].set(.sendingBroke)
                upstreams[upstream].set([.isSpent, .readable, .peerClosed])
                upstreams[upstream].outbound.giveAll(to: pool)
                queue(upstream: upstream)
                return false
            }
        }
        return true
    }

    private mutating func requestSent(_ exchange: Int) {
        exchanges[exchange].set(.requestSent)
        guard exchanges[exchange].state.phase == .sending else { return }
        let service = Int(exchanges[exchange].service)
        exchanges[exchange].firstByteDeadline = now + settings.services[service].firstByteTimeout
        arm(exchange)
    }
}
