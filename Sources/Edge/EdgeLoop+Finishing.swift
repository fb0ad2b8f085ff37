import Board
import HTTP
import Linux
import Memory
import Routing
import Signals

/// The end of a request, on every path: recorded once, everything given back, the connection kept
/// or closed.
extension EdgeLoop where World: ~Copyable {
    /// The client has been given the whole answer.
    mutating func finish(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        let wasTunnel = clients[client].phase == .tunneling
        let isSending = !exchanges[exchange].has(.requestReceived)
        let keeps = exchanges[exchange].has(.keepsClient) && !isSending
        if exchanges[exchange].upstream >= 0 { detach(exchange) }
        end(exchange)
        if wasTunnel {
            if !clients[client].has(.ended) { note(.finished, client) }
            return closeClient(client)
        }
        clients[client].phase = .reading
        guard keeps, !clients[client].has(.closing) else {
            clients[client].set(.closing)
            return endClient(client, isSending: isSending)
        }
        if clients[client].has(.ended), clients[client].inbound.isNone {
            return closeClient(client)
        }
        timers.set(client, to: now + idleTime)
        if !clients[client].inbound.isNone || clients[client].has(.readable) {
            queue(client: client)
        }
    }

    /// Breaks the client's connection: the answer cannot be completed, and must not look complete.
    /// What of it waits is sent first, once, so that the client sees an answer that broke and not a
    /// connection that was stale.
    mutating func cut(_ exchange: Int, _ failure: Failure) {
        let client = Int(exchanges[exchange].client)
        sendLast(client)
        let mustReset = exchanges[exchange].has(.closesAnswer)
        exchanges[exchange].result.failure = failure
        exchanges[exchange].result.outcome = outcome(of: failure, exchange)
        counters.add(.responsesCut)
        raiseException(exchange, failure)
        if exchanges[exchange].upstream >= 0 { detach(exchange) }
        exchanges[exchange].state.conclude()
        end(exchange)
        note(.finished, client)
        closeClient(client, isBroken: mustReset)
    }

    /// Gives what waits for a client to its stream, as far as that takes it at once.
    private mutating func sendLast(_ client: Int) {
        guard !clients[client].outbound.isEmpty, !clients[client].has(.blocked) else { return }
        let sent = network.send(clients[client].stream, clients[client].outbound, of: pool)
        guard case .bytes(let count) = sent else { return }
        clients[client].outbound.consume(count, in: pool)
        clients[client].bytesOut += UInt64(count)
    }

    /// The client is gone or given up, or the time of a drain is over: the record is made now, and
    /// a worker of ours finishes what it has begun. An answer that ends with its connection must
    /// not look complete.
    mutating func abandon(_ exchange: Int, as outcome: Outcome = .clientClosed) {
        let client = Int(exchanges[exchange].client)
        let mustReset = exchanges[exchange].has(.closesAnswer)
        exchanges[exchange].result.outcome = outcome
        if exchanges[exchange].upstream >= 0 { detach(exchange) }
        end(exchange)
        closeClient(client, isBroken: mustReset)
    }

    /// Parts a request from its endpoint before the answer has ended.
    ///
    /// A worker of ours keeps its place until it has finished, because only then the place is free;
    /// its answer is thrown away. A connection to others is closed.
    mutating func detach(_ exchange: Int) {
        startRequestClock(exchange)
        let upstream = Int(exchanges[exchange].upstream)
        exchanges[exchange].upstream = -1
        upstreams[upstream].exchange = -1
        upstreams[upstream].set(.isSpent)
        let deadline = exchanges[exchange].requestDeadline
        let mayFinish =
            exchanges[exchange].has(.isOurs) && exchanges[exchange].has(.requestSent)
            && upstreams[upstream].phase == .busy && clientsPhaseAllowsFinishing(exchange)
            && deadline > now
        guard mayFinish else { return closeUpstream(upstream) }
        timers.set(timer(upstream: upstream), to: deadline)
        upstreams[upstream].set(.readable)
        queue(upstream: upstream)
    }

    /// A tunnel's endpoint has nothing left to finish.
    private func clientsPhaseAllowsFinishing(_ exchange: Int) -> Bool {
        clients[Int(exchanges[exchange].client)].phase != .tunneling
    }

    /// Records a request and frees what it held. Its slot is another's from here on.
    private mutating func end(_ exchange: Int) {
        leaveQueue(exchange)
        if let lease = exchanges[exchange].lease {
            exchanges[exchange].lease = nil
            giveBack(lease)
        }
        record(exchange)
        discard(exchange)
    }

    /// Frees what a request holds, without a record.
    mutating func discard(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        clients[client].exchange = -1
        timers.clear(timer(exchange: exchange))
        if !exchanges[exchange].text.isNone { pool.give(exchanges[exchange].text) }
        freeBody(exchange)
        exchanges[exchange].spoolEnd.giveAll(to: pool)
        if exchanges[exchange].spool >= 0 { spools.remove(at: Int(exchanges[exchange].spool)) }
        exchanges.remove(at: exchange)
    }

    /// Frees the collected body: it will not be sent again.
    mutating func freeBody(_ exchange: Int) {
        let body = Int(exchanges[exchange].body)
        guard body >= 0 else { return }
        exchanges[exchange].body = -1
        bodies[body].clear(in: pool)
        bodies.remove(at: body)
    }

    /// No time limit of the endpoint's side runs any more.
    mutating func clearDeadlines(_ exchange: Int) {
        exchanges[exchange].connectDeadline = TimerWheel.never
        exchanges[exchange].firstByteDeadline = TimerWheel.never
        exchanges[exchange].requestDeadline = TimerWheel.never
        exchanges[exchange].clientSince = 0
        arm(exchange)
    }

    /// The client's body broke off before its end: there is nothing to complete, and nobody to
    /// answer.
    mutating func requestBrokeOff(_ exchange: Int) {
        perform(exchanges[exchange].state.handle(.clientGone), exchange)
    }
}
