import Board
import Linux
import Memory
import Routing
import Signals

/// The channel to the master, and how long a drain may take.
struct Orders: ~Copyable {
    let channel: MessageSocket?
    /// This edge's event counter, or -1.
    let wake: Int32
    let stopNanoseconds: UInt64
    let reloadNanoseconds: UInt64

    init(_ channel: consuming MessageSocket?, wake: Int32, drain front: FrontOptions) {
        self.channel = channel
        self.wake = wake
        stopNanoseconds = front.drain
        reloadNanoseconds = front.drainAfterReload
    }
}

/// What the master says, and what is said to it.
extension EdgeLoop where World: ~Copyable {
    /// Takes what the master has sent. The end of the channel means that it is gone, and this edge
    /// goes with it.
    mutating func takeOrders() {
        guard orders.channel != nil else { return }
        do throws(SystemError) {
            while true {
                switch try orders.channel!.receive() {
                case .nothing: return
                case .closed: return endNow()
                case .packet(let bytes, var descriptors):
                    guard let packet = JSONValue(parsing: bytes) else { continue }
                    obey(packet, &descriptors)
                }
            }
        } catch {
            endNow()
        }
    }

    private mutating func obey(
        _ packet: JSONValue, _ descriptors: inout MessageSocket.Descriptors
    ) {
        switch packet["command"]?.text {
        case "accept": beginAccepting()
        case "drain": drain(within: orders.reloadNanoseconds, closesIdle: false)
        case "stop": drain(within: orders.stopNanoseconds, closesIdle: true)
        case "stop_now": endNow()
        case "logs":
            let access = packet["access"]?.boolean == true ? take(&descriptors) : -1
            let errors = packet["errors"]?.boolean == true ? take(&descriptors) : -1
            journal.reopen(access: access, errors: errors, now: now)
        default: break
        }
    }

    private func take(_ descriptors: inout MessageSocket.Descriptors) -> Int32 {
        guard let descriptor = descriptors.next() else { return -1 }
        return descriptor.release()
    }

    private mutating func beginAccepting() {
        guard !isAccepting, !isDraining else { return }
        isAccepting = true
        setListening(true)
        tell(["event": "accepting"])
    }

    /// Takes no new connection but those that wait, ends each with its next answer, and itself with
    /// the last one.
    ///
    /// - Parameter closesIdle: connections without a request are closed (a stop), those with one
    ///   behind its answer; otherwise each gets one more answer (a reload), because the client may
    ///   be sending at this moment.
    mutating func drain(within nanoseconds: UInt64, closesIdle: Bool) {
        if !isDraining { stopAccepting() }
        drainDeadline = min(drainDeadline, now + nanoseconds)
        closeIdleUpstreams()
        guard closesIdle else { return }
        idleTime = 0
        for client in 0..<clients.highWater where clients.isUsed(client) {
            guard clients[client].phase == .reading, clients[client].exchange < 0,
                clients[client].inbound.isNone, clients[client].outbound.isEmpty
            else { continue }
            // What the kernel has already received in full is still answered.
            clients[client].set(.readable)
            readClient(client)
            guard clients.isUsed(client), clients[client].exchange < 0,
                clients[client].inbound.isNone, clients[client].outbound.isEmpty
            else { continue }
            clients[client].end = .drain
            closeClient(client)
        }
    }

    /// Takes what waits, because the master closes a listener that is gone from the configuration
    /// once this is said.
    private mutating func stopAccepting() {
        isDraining = true
        if isAccepting {
            isAccepting = false
            setListening(false)
            for listener in 0..<settings.listeners.count {
                accept(listener, atMost: EdgeLimits.acceptsAtDrain)
            }
        }
        tell(["event": "stopped"])
    }

    mutating func closeIdleUpstreams() {
        for upstream in 0..<upstreams.highWater where upstreams.isUsed(upstream) {
            if upstreams[upstream].phase == .idle { closeUpstream(upstream) }
        }
    }

    /// Ends whatever still runs: the time of a drain is over, or the master is gone. A request that
    /// was received and has no byte of an answer yet gets one that says so.
    mutating func closeEverything() {
        for client in 0..<clients.highWater where clients.isUsed(client) {
            clients[client].end = .drain
            if let failure = lateness(Int(clients[client].exchange)) {
                let generation = clients.generation(at: client)
                answerLate(Int(clients[client].exchange), failure)
                guard clients.holds(client, generation: generation) else { continue }
            }
            let exchange = Int(clients[client].exchange)
            if exchange >= 0 {
                exchanges[exchange].state.conclude()
                exchanges[exchange].clear(.isOurs)
                abandon(exchange, as: .timeout)
            } else {
                closeClient(client)
            }
        }
    }

    /// What a received request without an answer is told when the time of a drain is over; nil for
    /// others.
    private func lateness(_ exchange: Int) -> Failure? {
        guard exchange >= 0, exchanges[exchange].has(.requestReceived) else { return nil }
        switch exchanges[exchange].state.phase {
        case .choosing, .waiting: return .connectionLimitReached
        case .connecting: return .connectionTimeout
        case .sending: return .httpResponseTimeout
        case .collecting, .answering, .delivering, .tunneling, .ended: return nil
        }
    }

    private mutating func answerLate(_ exchange: Int, _ failure: Failure) {
        exchanges[exchange].clear([.isOurs, .keepsClient])
        if exchanges[exchange].upstream >= 0 { detach(exchange) }
        perform(exchanges[exchange].state.handle(.failed(failure)), exchange)
    }

    private mutating func endNow() {
        isDraining = true
        drainDeadline = now
    }

    /// Tells the master something; a channel that is full or gone loses it, and the master sees to
    /// that by itself.
    mutating func tell(_ packet: JSONValue) {
        guard orders.channel != nil else { return }
        do throws(SystemError) {
            _ = try orders.channel!.send(packet.bytes)
        } catch {
            return
        }
    }

    /// Asks the master to end a worker that is stuck. Nothing more is given to it, so that its
    /// place is nobody's when it comes back; should the order be lost, the master shows it again.
    mutating func requestKill(_ upstream: Int) {
        let endpoint = upstreams[upstream].endpoint
        counters.add(.timeouts)
        balancer.markDown(endpoint)
        tell([
            "event": "kill_worker", "endpoint": .whole(endpoint.index),
            "generation": .whole(endpoint.generation), "reason": "timeout",
        ])
    }
}
