import HTTP
import Linux
import Memory
import Signals

/// The answer: read from the endpoint, passed on to the client.
extension EdgeLoop where World: ~Copyable {
    /// Receives and reads an answer, as long as it comes, the client's side has room, and the
    /// turn's share lasts.
    mutating func readUpstream(_ upstream: Int) {
        let generation = upstreams.generation(at: upstream)
        receiveAnswers(upstream)
        guard upstreams.holds(upstream, generation: generation), upstreams[upstream].exchange >= 0
        else { return }
        setRequestClock(Int(upstreams[upstream].exchange))
    }

    private mutating func receiveAnswers(_ upstream: Int) {
        let generation = upstreams.generation(at: upstream)
        if upstreams[upstream].has(.isHeld) {
            guard wantsAnswer(upstream) else { return }
            upstreams[upstream].clear(.isHeld)
            readAnswer(upstream)
            guard upstreams.holds(upstream, generation: generation) else { return }
        }
        for _ in 0..<EdgeLimits.receivesPerTurn {
            guard upstreams[upstream].has(.readable), !upstreams[upstream].has(.isHeld),
                wantsAnswer(upstream)
            else { return }
            guard receiveAnswer(upstream) else { return }
            readAnswer(upstream)
            guard upstreams.holds(upstream, generation: generation) else { return }
        }
        if upstreams[upstream].has(.readable), wantsAnswer(upstream) { queue(upstream: upstream) }
    }

    /// Whether bytes of this answer can be taken in now; otherwise they stay in the kernel and slow
    /// the endpoint.
    func wantsAnswer(_ upstream: Int) -> Bool {
        let exchange = Int(upstreams[upstream].exchange)
        guard exchange >= 0 else { return true }
        let waiting = clients[Int(exchanges[exchange].client)].outbound.count
        if exchanges[exchange].has(.buffersAnswer) {
            if isSpooling(exchange) { return maySpool(exchange) }
            return waiting < responseMemoryMax || maySpool(exchange)
        }
        return waiting < unsentBytesMax
    }

    /// Receives once.
    ///
    /// - Returns: whether bytes came.
    private mutating func receiveAnswer(_ upstream: Int) -> Bool {
        var block = upstreams[upstream].inbound
        if block.isNone {
            block = pool.takeForBytes()
            guard !block.isNone else {
                pauseForMemory(
                    Token(.upstream, upstream, generation: upstreams.generation(at: upstream)))
                return false
            }
            upstreams[upstream].inbound = block
        } else if pool.room(in: block) == 0 {
            let wider = pool.widen(block)
            guard !wider.isNone else {
                // A small one that cannot grow is our want; a large one is the answer's length.
                if pool.size(of: block) == .large {
                    loseUpstream(upstream, .httpResponseHeaderSectionSize)
                } else {
                    pauseForMemory(
                        Token(.upstream, upstream, generation: upstreams.generation(at: upstream)))
                }
                return false
            }
            block = wider
            upstreams[upstream].inbound = block
        }
        switch network.receive(upstreams[upstream].stream, into: block, of: pool) {
        case .bytes(_, let isDrained):
            // A request is never sent again after the first byte of an answer.
            let exchange = Int(upstreams[upstream].exchange)
            if exchange >= 0 { exchanges[exchange].state.isReplayable = false }
            if isDrained, !upstreams[upstream].has(.peerClosed) {
                upstreams[upstream].clear(.readable)
            }
            return true
        case .wouldBlock:
            upstreams[upstream].clear(.readable)
            releaseEmptyInbound(upstream: upstream)
        case .ended:
            upstreams[upstream].clear(.readable)
            upstreams[upstream].set([.peerClosed, .isSpent])
            releaseEmptyInbound(upstream: upstream)
            answerStreamEnded(upstream, isBroken: false)
        case .failed:
            upstreams[upstream].clear(.readable)
            upstreams[upstream].set([.peerClosed, .isSpent])
            answerStreamEnded(upstream, isBroken: true)
        }
        return false
    }

    private func releaseEmptyInbound(upstream: Int) {
        let block = upstreams[upstream].inbound
        guard !block.isNone, pool.count(of: block) == 0 else { return }
        pool.give(block)
        upstreams[upstream].inbound = .none
    }

    /// Reads what was received, by what is expected.
    private mutating func readAnswer(_ upstream: Int) {
        let generation = upstreams.generation(at: upstream)
        let exchange = Int(upstreams[upstream].exchange)
        if exchange >= 0, exchanges[exchange].state.phase == .tunneling {
            return passToClient(exchange)
        }
        while !upstreams[upstream].has(.headRead) {
            guard readAnswerHead(upstream), upstreams.holds(upstream, generation: generation) else {
                return
            }
        }
        readAnswerBody(upstream)
    }

    /// Reads one head, interim or final.
    ///
    /// - Returns: whether there may be more to read.
    private mutating func readAnswerHead(_ upstream: Int) -> Bool {
        let block = upstreams[upstream].inbound
        guard !block.isNone else { return false }
        let exchange = Int(upstreams[upstream].exchange)
        let parse = upstreams[upstream].parser.parse(
            pool.bytes(of: block), limits: settings.answerLimits,
            context: upstreams[upstream].context, into: &responseHead)
        switch parse {
        case .incomplete: return false
        case .faulty(let fault):
            answerFaulty(upstream, fault)
            return false
        case .complete(let length):
            if exchange >= 0, exchanges[exchange].result.firstByte == RequestResult.never {
                exchanges[exchange].result.firstByte = now - exchanges[exchange].startedAt
            }
            if responseHead.isInformational {
                let generation = upstreams.generation(at: upstream)
                if exchange >= 0 { passInterim(exchange, block) }
                // A worker of ours goes on also when its client has gone over it.
                guard upstreams.holds(upstream, generation: generation),
                    !upstreams[upstream].has(.isHeld)
                else { return false }
                consumeAnswer(upstream, length)
                return true
            }
            upstreams[upstream].set(.headRead)
            if !responseHead.keepsAlive { upstreams[upstream].set(.isSpent) }
            upstreams[upstream].decoder = BodyDecoder(responseHead.framing)
            guard exchange < 0 || passAnswerHead(exchange, upstream, block, length) else {
                return false
            }
            return true
        }
    }

    /// Drops bytes of the answer that have been read.
    mutating func consumeAnswer(_ upstream: Int, _ count: Int) {
        let block = upstreams[upstream].inbound
        pool.consume(count, of: block)
        releaseEmptyInbound(upstream: upstream)
    }

    private mutating func answerFaulty(_ upstream: Int, _ fault: ResponseFault) {
        upstreams[upstream].set(.isSpent)
        reportAnswerFault(upstream, fault.rule)
        loseUpstream(
            upstream, fault.isTooLong ? .httpResponseHeaderSectionSize : .httpProtocolError)
    }

    /// Passes the body on as far as it has come.
    private mutating func readAnswerBody(_ upstream: Int) {
        let exchange = Int(upstreams[upstream].exchange)
        let generation = upstreams.generation(at: upstream)
        var pieces = 0
        while true {
            guard pieces < EdgeLimits.piecesPerTurn else { return pauseAnswer(upstream) }
            pieces += 1
            let block = upstreams[upstream].inbound
            let before = upstreams[upstream].decoder
            let step =
                block.isNone
                ? upstreams[upstream].decoder.next(Span(), trailers: &trailers)
                : upstreams[upstream].decoder.next(pool.bytes(of: block), trailers: &trailers)
            switch step {
            case .data(let range):
                guard passAnswerData(upstream, exchange, range) else {
                    // Nowhere to put it: it stays where it is until the client has taken what is
                    // before it.
                    upstreams[upstream].decoder = before
                    upstreams[upstream].set(.isHeld)
                    return waitForRoom(upstream, exchange)
                }
            case .needMore(let consumed):
                if consumed > 0 { consumeAnswer(upstream, consumed) }
                releaseEmptyInbound(upstream: upstream)
                if exchange >= 0 { flushClient(Int(exchanges[exchange].client)) }
                return
            case .end(let consumed):
                guard exchange < 0 || endAnswer(exchange, block) else {
                    upstreams[upstream].decoder = before
                    upstreams[upstream].set(.isHeld)
                    return waitForRoom(upstream, exchange)
                }
                if consumed > 0 { consumeAnswer(upstream, consumed) }
                releaseEmptyInbound(upstream: upstream)
                answerEnded(upstream)
                return
            case .faulty(let fault):
                upstreams[upstream].set(.isSpent)
                reportAnswerFault(upstream, fault.rule)
                loseUpstream(upstream, .httpResponseIncomplete)
                return
            }
            guard upstreams.holds(upstream, generation: generation) else { return }
        }
    }

    /// Goes on with what was received when the others have had their turn.
    private mutating func pauseAnswer(_ upstream: Int) {
        upstreams[upstream].set(.isHeld)
        queue(upstream: upstream)
        let exchange = Int(upstreams[upstream].exchange)
        if exchange >= 0 { flushClient(Int(exchanges[exchange].client)) }
    }

    /// The client makes room by taking what waits; if nothing does, it is blocks that are wanting.
    private mutating func waitForRoom(_ upstream: Int, _ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        if clients[client].outbound.isEmpty, !isSpooling(exchange) {
            return pauseForMemory(
                Token(.upstream, upstream, generation: upstreams.generation(at: upstream)))
        }
        flushClient(client)
    }

    /// Hands body bytes of the answer to the client's side.
    ///
    /// - Returns: false when there is no room for them; nothing has changed then.
    private mutating func passAnswerData(
        _ upstream: Int, _ exchange: Int, _ range: ByteRange
    ) -> Bool {
        let block = upstreams[upstream].inbound
        guard exchange >= 0 else {
            consumeAnswer(upstream, range.end)
            return true
        }
        let client = Int(exchanges[exchange].client)
        let isWhole = range.start == 0 && Int(range.count) == pool.count(of: block)
        if isWhole, !exchanges[exchange].has(.chunksAnswer), !isSpooling(exchange),
            !mustSpool(exchange, Int(range.count))
        {
            exchanges[exchange].result.responseBytes += UInt64(range.count)
            upstreams[upstream].inbound = .none
            clients[client].outbound.append(block, in: pool)
            return true
        }
        let data = pool.bytes(of: block).extracting(range.indices)
        guard appendAnswer(exchange, data) else { return false }
        exchanges[exchange].result.responseBytes += UInt64(range.count)
        consumeAnswer(upstream, range.end)
        return true
    }

    /// The endpoint's stream has ended or broken.
    private mutating func answerStreamEnded(_ upstream: Int, isBroken: Bool) {
        let exchange = Int(upstreams[upstream].exchange)
        if exchange >= 0, exchanges[exchange].state.phase == .tunneling {
            if isBroken { tunnelBroke(exchange) }
            return tunnelHalfClosed(byEndpoint: exchange)
        }
        guard upstreams[upstream].has(.headRead) else {
            return loseUpstream(upstream, .connectionTerminated)
        }
        guard !isBroken, upstreams[upstream].decoder.finish() == .complete else {
            return loseUpstream(upstream, .httpResponseIncomplete)
        }
        guard exchange < 0 || endAnswer(exchange, .none) else {
            return loseUpstream(upstream, .proxyInternalError)
        }
        answerEnded(upstream)
    }

    /// The answer has been read to its end.
    private mutating func answerEnded(_ upstream: Int) {
        let exchange = Int(upstreams[upstream].exchange)
        if let lease = upstreams[upstream].lease {
            endpointAnswered(lease, latency: now - upstreams[upstream].sentAt)
        }
        // What a broken sending leaves behind must not meet the next request.
        if exchange >= 0, !exchanges[exchange].has(.requestSent) {
            upstreams[upstream].set(.isSpent)
        }
        releaseUpstream(upstream)
        guard exchange >= 0 else { return }
        exchanges[exchange].upstream = -1
        exchanges[exchange].firstByteDeadline = TimerWheel.never
        exchanges[exchange].requestDeadline = TimerWheel.never
        arm(exchange)
        perform(exchanges[exchange].state.handle(.answerEnded), exchange)
        flushClient(Int(exchanges[exchange].client))
    }
}
