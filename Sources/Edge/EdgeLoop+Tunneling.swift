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
        arm(exchange)
        upstreams[upstream].set(.isSpent)
        touchTunnel(exchange)
        queue(client: client)
        if !upstreams[upstream].inbound.isNone { return passToClient(exchange) }
        flushClient(client)
    }

    private mutating func touchTunnel(_ exchange: Int) {
        timers.set(Int(exchanges[exchange].client), to: now + settings.options.timeouts.tunnel)
    }

    /// Passes what the client sent on to the endpoint.
    mutating func passToUpstream(_ client: Int) {
        let block = clients[client].inbound
        let exchange = Int(clients[client].exchange)
        guard !block.isNone, pool.count(of: block) > 0 else { return }
        let upstream = Int(exchanges[exchange].upstream)
        clients[client].inbound = .none
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
        finishTunnelIfDone(exchange)
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

    /// Passes an end on once everything before it was, and ends the tunnel after both.
    private mutating func finishTunnelIfDone(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        let upstream = Int(exchanges[exchange].upstream)
        let toEndpointIsDone =
            exchanges[exchange].has(.clientEndedTunnel) && upstreams[upstream].outbound.isEmpty
            && clients[client].inbound.isNone
        let toClientIsDone =
            exchanges[exchange].has(.endpointEndedTunnel) && clients[client].outbound.isEmpty
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
