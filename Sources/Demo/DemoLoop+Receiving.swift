import HTTP
import Linux
import Memory
import TLS

extension DemoLoop {
    /// What came of reading.
    enum Received { case bytes, nothing, closed }

    /// Does all that can be done on a connection now.
    func serve(_ index: Int) {
        while connections.isUsed(index) {
            let goesOn =
                switch connections[index].phase {
                case .idle: readHead(index, isCalled: false)
                case .waiting: false
                case .receiving: readBody(index)
                case .sleeping: endSleep(index)
                case .answering: writeAnswer(index)
                case .webSocket: echo(index)
                }
            guard goesOn else { return }
        }
    }

    /// Reads a head and begins its request, or lets it wait for its turn.
    ///
    /// - Parameter isCalled: it has waited; it is its turn.
    /// - Returns: whether there is more to do.
    func readHead(_ index: Int, isCalled: Bool) -> Bool {
        while true {
            let block = connections[index].input
            if !block.isNone, pool.count(of: block) > 0 {
                var parser = connections[index].parser
                let step = parser.parse(
                    pool.bytes(of: block), limits: Self.headLimits, into: &head)
                connections[index].parser = parser
                switch step {
                case .incomplete: break
                case .refused(let refusal):
                    refuse(index, refusal)
                    return false
                case .complete(let length):
                    guard isCalled || (active < worker.concurrency && waiting.isEmpty) else {
                        connections[index].phase = .waiting
                        let generation = connections.generation(at: index)
                        waiting.append((index, generation))
                        return false
                    }
                    begin(index, headBytes: length)
                    return true
                }
            }
            guard receive(index) == .bytes else { return false }
        }
    }

    /// Takes bytes from the kernel; a connection that has ended between two requests is closed.
    func receive(_ index: Int) -> Received {
        guard connections[index].isReadable else { return .nothing }
        var block = connections[index].input
        if block.isNone {
            block = pool.take(.small)
        } else if pool.room(in: block) == 0 {
            block = pool.widen(block)
        }
        guard !block.isNone else {
            close(index)
            return .closed
        }
        connections[index].input = block
        switch StreamSocket.receive(connections[index].socket.number, into: block, of: pool) {
        case .bytes(_, let isDrained):
            connections[index].isReadable = !isDrained || connections[index].hasPeerEnded
            return .bytes
        case .wouldBlock:
            connections[index].isReadable = false
            return .nothing
        case .ended, .failed:
            close(index)
            return .closed
        }
    }

    /// Reads the body to its end, then answers.
    func readBody(_ index: Int) -> Bool {
        guard var request = connections[index].request else { return false }
        while true {
            let block = connections[index].input
            let isEmpty = block.isNone
            let bytes = isEmpty ? Span() : pool.bytes(of: block)
            let step = request.body.next(bytes, trailers: &trailers)
            switch step {
            case .data(let range):
                request.sum?.digest.update(bytes.extracting(range))
                pool.consume(range.end, of: block)
            case .end(let consumed):
                if !isEmpty { pool.consume(consumed, of: block) }
                connections[index].request = request
                dropInput(index)
                answer(index)
                return connections.isUsed(index)
            case .faulty:
                close(index)
                return false
            case .needMore(let consumed):
                if !isEmpty { pool.consume(consumed, of: block) }
                connections[index].request = request
                guard flush(index) else { return false }
                guard receive(index) == .bytes else { return false }
            }
        }
    }

    /// Gives an empty receive buffer back.
    func dropInput(_ index: Int) {
        let block = connections[index].input
        guard !block.isNone, pool.count(of: block) == 0 else { return }
        pool.give(block)
        connections[index].input = .none
    }

    /// Feeds what a WebSocket client sent to the echo, and sends what came of it.
    func echo(_ index: Int) -> Bool {
        while true {
            guard flush(index) else { return false }
            guard connections[index].output.isEmpty else { return false }
            guard let hasEnded = connections[index].echo?.hasEnded, !hasEnded else {
                close(index)
                return false
            }
            let block = connections[index].input
            if !block.isNone, pool.count(of: block) > 0 {
                connections[index].echo?.receive(pool.bytes(of: block))
                pool.consume(pool.count(of: block), of: block)
                let replies = connections[index].echo?.replies ?? []
                connections[index].echo?.replies = []
                guard append(replies.span, to: index) else { return false }
                continue
            }
            guard receive(index) == .bytes else { return false }
        }
    }

    /// Closes a connection; a request in hand ends with it.
    func close(_ index: Int) {
        if let request = connections[index].request { end(request) }
        if !connections[index].input.isNone { pool.give(connections[index].input) }
        connections[index].output.giveAll(to: pool)
        connections.remove(at: index)
    }

    /// Counts a request that is over.
    func end(_ request: DemoRequest) {
        setBusy(request.place, false)
        active -= 1
        costs.add(now - min(now, request.beganAt), now: now)
    }
}
