import Board
import HTTP
import Linux
import Memory
import Routing
import Signals
import TLS

/// What came of writing an answer's head for the client.
private enum HeadWriting { case done, memoryIsScarce, tooLong }

/// Answers: the endpoint's head passed on, and those the proxy makes itself.
extension EdgeLoop where World: ~Copyable {
    /// Does what the state of a request asks for.
    mutating func perform(_ action: ExchangeAction, _ exchange: Int) {
        switch action {
        case .nothing: return
        case .choose: choose(exchange)
        case .wait: stand(exchange)
        case .connect: connect(exchange)
        case .send: send(exchange)
        case .retry(let failure): retry(exchange, failure)
        case .answer(let failure): answer(exchange, failure)
        case .cut(let failure): cut(exchange, failure)
        case .tunnel: beginTunnel(exchange)
        case .finish: finish(exchange)
        case .abandon: abandon(exchange)
        }
    }

    /// Something went wrong on a request's way.
    mutating func fail(_ exchange: Int, _ failure: Failure) {
        let mayRetry = exchanges[exchange].state.wantsRetry(failure) && mayRetry(exchange)
        perform(exchanges[exchange].state.handle(.failed(failure), mayRetry: mayRetry), exchange)
    }

    /// Passes the head of the answer on to the client.
    ///
    /// - Returns: false when the exchange has ended over it, or has to wait for a block.
    mutating func passAnswerHead(
        _ exchange: Int, _ upstream: Int, _ block: BlockID, _ length: Int
    ) -> Bool {
        let client = Int(exchanges[exchange].client)
        if endsWithThisAnswer(client) { exchanges[exchange].clear(.keepsClient) }
        let forwarding = ResponseForwarding(
            responseHead, clientVersion: exchanges[exchange].has(.isHTTP10) ? .http10 : .http11,
            keepsAlive: exchanges[exchange].has(.keepsClient)
                && exchanges[exchange].has(.requestReceived))
        if forwarding.framing == .chunked { exchanges[exchange].set(.chunksAnswer) }
        if responseHead.endsTrailers { exchanges[exchange].set(.endsAnswerTrailers) }
        if forwarding.framing == .untilClose { exchanges[exchange].set(.closesAnswer) }
        if !forwarding.keepsAlive { exchanges[exchange].clear(.keepsClient) }
        if isEventStream(in: pool.bytes(of: block)) { exchanges[exchange].clear(.buffersAnswer) }
        switch writeAnswerHead(exchange, client, forwarding, in: pool.bytes(of: block)) {
        case .done: break
        case .memoryIsScarce:
            holdAnswerHead(exchange)
            return false
        case .tooLong:
            loseUpstream(upstream, .httpResponseHeaderSectionSize)
            return false
        }
        if exchanges[exchange].has(.isOurs) { noteException(exchange, in: pool.bytes(of: block)) }
        consumeAnswer(upstream, length)
        exchanges[exchange].result.status = responseHead.status
        exchanges[exchange].firstByteDeadline = TimerWheel.never
        if responseHead.isUpgrade {
            perform(exchanges[exchange].state.handle(.upgraded), exchange)
            return false
        }
        perform(exchanges[exchange].state.handle(.answerBegan), exchange)
        return true
    }

    /// Whether the edge drains and nothing more of this client has been received: requests that
    /// were sent one behind the other are all answered.
    private func endsWithThisAnswer(_ client: Int) -> Bool {
        isDraining && clients[client].inbound.isNone && !clients[client].has(.readable)
    }

    private mutating func writeAnswerHead(
        _ exchange: Int, _ client: Int, _ forwarding: ResponseForwarding, in bytes: Span<UInt8>
    ) -> HeadWriting {
        var size = BlockSize.small
        while true {
            let block = pool.take(size)
            guard !block.isNone else { return .memoryIsScarce }
            var writer = pool.writer(into: block)
            writeAnswerHead(exchange, forwarding, in: bytes, to: &writer)
            if !writer.isOverfull {
                pool.commit(writer.count, to: block)
                clients[client].outbound.append(block, in: pool)
                return .done
            }
            pool.give(block)
            guard size == .small else { break }
            size = .large
        }
        return writeLongHead(exchange, client, forwarding, in: bytes)
    }

    /// Writes a head that filled a block as it came, and is longer with what is added to it.
    @inline(never)
    private mutating func writeLongHead(
        _ exchange: Int, _ client: Int, _ forwarding: ResponseForwarding, in bytes: Span<UInt8>
    ) -> HeadWriting {
        var isOverfull = false
        let head = longHeadText.fill {
            writeAnswerHead(exchange, forwarding, in: bytes, to: &$0)
            isOverfull = $0.isOverfull
        }
        guard !isOverfull else { return .tooLong }
        return clients[client].outbound.append(head, in: pool) ? .done : .memoryIsScarce
    }

    @inline(__always)
    private func writeAnswerHead(
        _ exchange: Int, _ forwarding: ResponseForwarding, in bytes: Span<UInt8>,
        to writer: inout ByteWriter
    ) {
        let text = pool.bytes(of: exchanges[exchange].text)
        let marks = ResponseMarks(
            requestID: text.extracting(exchanges[exchange].facts.idText.indices),
            date: date.bytes)
        writer.write(
            response: responseHead, from: bytes, as: forwarding, marks: marks,
            edits: settings.responseEdits[Int(exchanges[exchange].route)])
    }

    /// Reads the head that lies in the endpoint's block once more when there are blocks: nothing of
    /// it has been passed on. The answer has begun to come, so that its first byte is not waited
    /// for.
    private mutating func holdAnswerHead(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        upstreams[upstream].clear(.headRead)
        upstreams[upstream].parser.reset()
        upstreams[upstream].set(.isHeld)
        exchanges[exchange].firstByteDeadline = TimerWheel.never
        arm(exchange)
        pauseForMemory(
            Token(.upstream, upstream, generation: upstreams.generation(at: upstream)))
    }

    /// Whether the answer is an event stream, which is never held back.
    private func isEventStream(in bytes: Span<UInt8>) -> Bool {
        guard let field = responseHead.fields.first(.contentType) else { return false }
        return bytes.extracting(field.value.indices).begins(with: "text/event-stream")
    }

    /// Passes an interim answer on: 100 to a client that waits for it, others to any HTTP/1.1
    /// client. The exchange may have ended over it; where a 100 finds no block its head is held.
    mutating func passInterim(_ exchange: Int, _ block: BlockID) {
        let isContinue = responseHead.status == 100
        guard !exchanges[exchange].has(.isHTTP10),
            !isContinue || exchanges[exchange].has(.expectsContinue)
        else { return }
        let client = Int(exchanges[exchange].client)
        let out = pool.take(.large)
        guard !out.isNone else {
            // Nobody waits for the others.
            if isContinue { holdAnswerHead(exchange) }
            return
        }
        var writer = pool.writer(into: out)
        writer.write(
            informational: responseHead, from: pool.bytes(of: block),
            edits: settings.responseEdits[Int(exchanges[exchange].route)])
        guard !writer.isOverfull else { return pool.give(out) }
        pool.commit(writer.count, to: out)
        clients[client].outbound.append(out, in: pool)
        if isContinue {
            exchanges[exchange].clear(.expectsContinue)
            setBodyDeadline(exchange)
        }
        flushClient(client)
    }

    /// Tells the client to send its body. The block of its head has just been given back, so that
    /// only one who has begun to send can find none; he does not wait.
    mutating func sendContinue(_ exchange: Int) {
        exchanges[exchange].clear(.expectsContinue)
        setBodyDeadline(exchange)
        let client = Int(exchanges[exchange].client)
        let block = pool.take(.small)
        guard !block.isNone else { return }
        var writer = pool.writer(into: block)
        writer.writeContinue()
        pool.commit(writer.count, to: block)
        clients[client].outbound.append(block, in: pool)
        flushClient(client)
    }

    /// Ends the framing of the answer towards the client.
    ///
    /// - Parameter block: where the trailers lie, `.none` without any.
    /// - Returns: false, with nothing written, when the edge has no block left.
    mutating func endAnswer(_ exchange: Int, _ block: BlockID) -> Bool {
        guard exchanges[exchange].has(.chunksAnswer) else { return true }
        let out = pool.take(block.isNone || trailers.count == 0 ? .small : .large)
        guard !out.isNone else {
            trailers.removeAll()
            return false
        }
        var writer = pool.writer(into: out)
        if block.isNone || trailers.count == 0 || exchanges[exchange].has(.endsAnswerTrailers) {
            writer.writeLastChunk()
        } else {
            writer.writeLastChunk(
                trailers: trailers, from: pool.bytes(of: block),
                edits: settings.responseEdits[Int(exchanges[exchange].route)])
        }
        trailers.removeAll()
        pool.commit(writer.count, to: out)
        putBehind(exchange, out)
        return true
    }

    /// Answers with the proxy's own error.
    mutating func answer(_ exchange: Int, _ failure: Failure) {
        exchanges[exchange].result.failure = failure
        exchanges[exchange].result.status = failure.status
        exchanges[exchange].result.outcome = outcome(of: failure, exchange)
        raiseException(exchange, failure)
        answer(exchange, status: failure.status, failure, detail: Span())
    }

    /// Answers a request whose body breaks a rule; the connection ends with it.
    mutating func refuseBody(_ exchange: Int, _ refusal: Refusal) {
        let upstream = Int(exchanges[exchange].upstream)
        exchanges[exchange].clear(.keepsClient)
        note(.refused, Int(exchanges[exchange].client))
        exchanges[exchange].result.failure = .httpRequestError
        exchanges[exchange].result.outcome = .rejected
        if upstream >= 0 { detach(exchange) }
        guard exchanges[exchange].state.refuse() else {
            return cut(exchange, .httpRequestError)
        }
        exchanges[exchange].result.status = refusal.status
        answer(exchange, status: refusal.status, .httpRequestError, detail: refusal.rule.bytes)
    }

    private mutating func answer(
        _ exchange: Int, status: UInt16, _ failure: Failure, detail: Span<UInt8>
    ) {
        let client = Int(exchanges[exchange].client)
        if endsWithThisAnswer(client) || !exchanges[exchange].has(.requestReceived) {
            exchanges[exchange].clear(.keepsClient)
        }
        leaveQueue(exchange)
        clearDeadlines(exchange)
        var response = ErrorAnswer(
            LocalResponse(
                status: status, keepsAlive: exchanges[exchange].has(.keepsClient),
                clientVersion: exchanges[exchange].has(.isHTTP10) ? .http10 : .http11),
            word: failure.word, retryAfter: failure.retryAfter)
        response.isHead = exchanges[exchange].has(.isHead)
        let block = pool.take(.small)
        guard !block.isNone else {
            exchanges[exchange].result.status = 0
            return cut(exchange, failure)
        }
        let text = pool.bytes(of: exchanges[exchange].text)
        var writer = pool.writer(into: block)
        let bodyBytes = writer.write(
            error: response, detail: detail,
            marks: ResponseMarks(
                requestID: text.extracting(exchanges[exchange].facts.idText.indices),
                date: date.bytes))
        exchanges[exchange].result.responseBytes = UInt64(bodyBytes)
        pool.commit(writer.count, to: block)
        clients[client].outbound.append(block, in: pool)
        flushClient(client)
    }

    /// Answers a plain request on a TLS port: with the URL that would have worked.
    mutating func refusePlain(_ client: Int) {
        let block = clients[client].inbound
        clients[client].requests += 1
        clients[client].set(.closing)
        note(.refused, client)
        let id = requestIDs.next(wall: wall)
        if requestHead.host.isEmpty { writeOwnAuthority(client) }
        let detail = plainText.fill {
            $0.write("this port speaks https: https://")
            let bytes = pool.bytes(of: block)
            if requestHead.host.isEmpty {
                $0.write(authorityText.bytes)
            } else {
                $0.write(bytes.extracting(requestHead.host.indices))
            }
            if requestHead.targetForm != .asterisk { $0.write(targetOf: requestHead, from: bytes) }
        }
        let out = pool.take(.large)
        guard !out.isNone else {
            logRefused(client, id, status: 0, bodyBytes: 0)
            return closeClient(client)
        }
        var writer = pool.writer(into: out)
        let bodyBytes = writer.write(
            error: ErrorAnswer(
                LocalResponse(status: 400, keepsAlive: false), word: "http_request_error"),
            detail: detail,
            marks: ResponseMarks(
                requestID: idText.fill { id.write(to: &$0) }, date: date.bytes))
        logRefused(client, id, status: 400, bodyBytes: bodyBytes)
        pool.commit(writer.count, to: out)
        clients[client].outbound.append(out, in: pool)
        pool.give(block)
        clients[client].inbound = .none
        clients[client].set(.readable)
        flushClient(client)
    }

    /// Refuses what is no request, and reads nothing more on the connection.
    mutating func refuse(_ client: Int, _ refusal: Refusal) {
        counters.add(.headsRejected)
        let bytes =
            clients[client].inbound.isNone ? Span() : pool.bytes(of: clients[client].inbound)
        if FirstBytes.looksLikeTLS(bytes), clients[client].requests == 0 {
            reportTLSOnPlainPort(client)
            return closeClient(client)
        }
        clients[client].requests += 1
        clients[client].set(.closing)
        note(.refused, client)
        clients[client].phase = .reading
        let id = requestIDs.next(wall: wall)
        let text = idText.fill { id.write(to: &$0) }
        let block = pool.take(.small)
        guard !block.isNone else {
            logRefused(client, id, status: 0, bodyBytes: 0)
            return closeClient(client)
        }
        var writer = pool.writer(into: block)
        let bodyBytes = writer.write(
            error: ErrorAnswer(refusal), detail: refusal.rule.bytes,
            marks: ResponseMarks(requestID: text, date: date.bytes))
        logRefused(client, id, status: refusal.status, bodyBytes: bodyBytes)
        pool.commit(writer.count, to: block)
        clients[client].outbound.append(block, in: pool)
        if !clients[client].inbound.isNone {
            pool.give(clients[client].inbound)
            clients[client].inbound = .none
            clients[client].set(.readable)
        }
        flushClient(client)
    }
}
