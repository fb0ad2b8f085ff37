import HTTP
import Linux
import Memory
import Signals

/// After 101: bytes are passed through in both directions, with back-pressure, until both sides
/// have ended.
extension EdgeLoop where World: ~Copyable {
    /// Begins to pass through; the 101 is on its way to the client.
    mutating func beginTunnel(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        let upstream = Int(exchanges[exchange].upstream)
        clients[client].phase = .tunneling
        exchanges[exchange].firstByteDeadline = TimerWheel.never
        exchanges[exchange].requestDeadline = TimerWheel.never
        // No file is between the two: who does not take what there is slows the other.
        exchanges[exchange].clear(.buffersAnswer)
        arm(exchange)
        upstreams[upstream].set(.isSpent)
        touchTunnel(exchange)
        queue(client: client)
        if !upstreams[upstream].inbound.isNone { return passToClient(exchange) }
        flushClient(client)
    }

    /// Something passed. What a broken endpoint has left behind the client has to take as fast as
    /// any answer.
    mutating func touchTunnel(_ exchange: Int) {
        let timeouts = settings.options.timeouts
        let isBroken = exchanges[exchange].has(.sendingBroke)
        timers.set(
            Int(exchanges[exchange].client), to: now + (isBroken ? timeouts.body : timeouts.tunnel))
    }

    /// Passes what the client sent on to the endpoint.
    mutating func passToUpstream(_ client: Int) {
        let block = clients[client].inbound
        let exchange = Int(clients[client].exchange)
        guard !block.isNone, pool.count(of: block) > 0 else { return }
        let upstream = Int(exchanges[exchange].upstream)
        clients[client].inbound = .none
        // Nobody takes it any more.
        if exchanges[exchange].has(.sendingBroke) { return pool.give(block) }
        exchanges[exchange].result.requestBytes += UInt64(pool.count(of: block))
        upstreams[upstream].outbound.append(block, in: pool)
        touchTunnel(exchange)
        flushTunnel(exchange)
    }

    /// Passes what the endpoint sent on to the client.
    mutating func passToClient(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        let client = Int(exchanges[exchange].client)
        let block = upstreams[upstream].inbound
        guard !block.isNone, pool.count(of: block) > 0 else { return }
        upstreams[upstream].inbound = .none
        exchanges[exchange].result.responseBytes += UInt64(pool.count(of: block))
        clients[client].outbound.append(block, in: pool)
        touchTunnel(exchange)
        flushClient(client)
    }

    /// Writes to the endpoint what waits for it.
    mutating func flushTunnel(_ exchange: Int) {
        let upstream = Int(exchanges[exchange].upstream)
        let generation = upstreams.generation(at: upstream)
        pumpRequest(exchange)
        guard upstreams.holds(upstream, generation: generation) else { return }
        if exchanges[exchange].has(.sendingBroke) { touchTunnel(exchange) }
        finishTunnelIfDone(exchange)
    }

    /// The endpoint's stream is broken: nothing more goes there. What it sent before may still be
    /// read.
    mutating func tunnelBroke(_ exchange: Int) {
        exchanges[exchange].set(.sendingBroke)
        touchTunnel(exchange)
    }

    /// The client has ended its direction.
    mutating func tunnelHalfClosed(byClient exchange: Int) {
        exchanges[exchange].set(.clientEndedTunnel)
        finishTunnelIfDone(exchange)
    }

    /// The endpoint has ended its direction.
    mutating func tunnelHalfClosed(byEndpoint exchange: Int) {
        exchanges[exchange].set(.endpointEndedTunnel)
        finishTunnelIfDone(exchange)
    }

    /// The client has taken everything.
    mutating func tunnelDrained(_ exchange: Int) { finishTunnelIfDone(exchange) }

    /// Passes an end on once everything before it was, and ends the tunnel after both, or when the
    /// endpoint is gone and the client has what it left behind.
    private mutating func finishTunnelIfDone(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        let upstream = Int(exchanges[exchange].upstream)
        let toEndpointIsDone =
            exchanges[exchange].has(.clientEndedTunnel) && upstreams[upstream].outbound.isEmpty
            && clients[client].inbound.isNone
        let toClientIsDone =
            exchanges[exchange].has(.endpointEndedTunnel) && clients[client].outbound.isEmpty
        if exchanges[exchange].has(.sendingBroke) {
            if toClientIsDone { fail(exchange, .connectionTerminated) }
            return
        }
        if toEndpointIsDone, !exchanges[exchange].has(.endWasPassedToEndpoint) {
            exchanges[exchange].set(.endWasPassedToEndpoint)
            network.shutdownWrite(upstreams[upstream].stream)
        }
        if toClientIsDone, !exchanges[exchange].has(.endWasPassedToClient) {
            exchanges[exchange].set(.endWasPassedToClient)
            network.shutdownWrite(clients[client].stream)
        }
        guard toEndpointIsDone, toClientIsDone else { return }
        perform(exchanges[exchange].state.handle(.delivered), exchange)
    }
}
