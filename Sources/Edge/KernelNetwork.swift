import Board
import Linux
import Memory
import Signals
import TLS

/// The kernel: epoll and sockets, with OpenSSL on those that speak TLS.
struct KernelNetwork: ~Copyable, Network {
    private let poller: Poller
    private let listeners: [Int32]
    private let wakers: [Int32]
    private let server: TLSContext?
    private let upstreams: [TLSUpstream?]
    private let sessions: SlotTable<TLSSession>
    /// For each descriptor the slot of its session plus one; 0 for a plain stream.
    private let slots: FixedArray<UInt32>

    /// - Parameters:
    ///   - listeners: the listening sockets, in the order of the configuration.
    ///   - wakers: the event counter of each edge slot, -1 where there is none.
    ///   - server: for the listeners that speak TLS.
    ///   - upstreams: for the endpoints that speak TLS, by their position.
    ///   - streamsMax: more streams than there can ever be at once.
    ///   - descriptorsMax: no descriptor's number reaches this.
    init(
        listeners: [Int32], wakers: [Int32], server: TLSContext?, upstreams: [TLSUpstream?],
        streamsMax: Int, descriptorsMax: Int
    ) throws(SystemError) {
        poller = try Poller()
        self.listeners = listeners
        self.wakers = wakers
        self.server = server
        self.upstreams = upstreams
        sessions = SlotTable(capacity: streamsMax)
        slots = FixedArray(zeroed: descriptorsMax)
    }

    var monotonic: UInt64 { Clock.monotonic }
    var wall: UInt64 { Clock.wall }

    mutating func wait(nanoseconds: UInt64?) -> Int {
        // Rounded up: waking early would turn the loop for nothing.
        let milliseconds = nanoseconds.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
        do throws(SystemError) {
            return try poller.wait(milliseconds: milliseconds)
        } catch {
            preconditionFailure("epoll_wait failed: \(error)")
        }
    }

    func event(_ index: Int) -> (token: UInt64, readiness: Readiness) { poller.event(index) }

    /// Reports a descriptor that is no stream: the control channel, the edge's own event counter.
    func report(_ descriptor: Int32, token: Token) throws(SystemError) {
        try poller.addLevel(descriptor, token: token.bits)
    }

    mutating func accept(listener: Int) -> AcceptResult { StreamSocket.accept(listeners[listener]) }

    mutating func listen(listener: Int, token: UInt64, isOn: Bool) {
        do throws(SystemError) {
            if isOn {
                try poller.addLevel(listeners[listener], token: token)
            } else {
                try poller.remove(listeners[listener])
            }
        } catch {
            preconditionFailure("a listener cannot be watched: \(error)")
        }
    }

    func localAddress(_ stream: Int32) -> InternetAddress { StreamSocket.localAddress(stream) }

    mutating func connect(to address: EndpointAddress) -> ConnectResult {
        switch address {
        case .unix(let path): return StreamSocket.connect(toUnixPath: path.span)
        case .ipv4(let bytes, let port):
            var word: UInt32 = 0
            for byte in bytes { word = word << 8 | UInt32(byte) }
            return StreamSocket.connect(to: InternetAddress(ipv4: word, port: port))
        case .ipv6(let bytes, let port, _):
            var high: UInt64 = 0
            var low: UInt64 = 0
            for index in 0..<8 {
                high = high << 8 | UInt64(bytes[index])
                low = low << 8 | UInt64(bytes[index + 8])
            }
            return StreamSocket.connect(to: InternetAddress(high: high, low: low, port: port))
        }
    }

    mutating func connectError(_ stream: Int32) -> Int32 { StreamSocket.connectError(stream) }

    mutating func watch(_ stream: Int32, token: UInt64, writable: Bool) -> Bool {
        guard Int(stream) < slots.count else { return false }
        do throws(SystemError) {
            try poller.add(stream, token: token, writable: writable)
            return true
        } catch {
            return false
        }
    }

    mutating func rewatch(_ stream: Int32, token: UInt64, writable: Bool) {
        do throws(SystemError) {
            try poller.change(stream, token: token, writable: writable)
        } catch {
            preconditionFailure("a stream cannot be watched: \(error)")
        }
    }

    @inline(__always)
    private func session(of stream: Int32) -> Int { Int(slots[Int(stream)]) - 1 }

    mutating func receive(
        _ stream: Int32, into block: BlockID, of pool: BlockPool
    ) -> ReceiveResult {
        let slot = session(of: stream)
        guard slot >= 0 else { return StreamSocket.receive(stream, into: block, of: pool) }
        var total = 0
        while pool.room(in: block) > 0 {
            switch sessions[slot].read(into: block, of: pool) {
            case .bytes(let count):
                total += count
                guard sessions[slot].mayReadMore else { return .bytes(total, isDrained: true) }
            case .wouldBlock:
                return total > 0 ? .bytes(total, isDrained: true) : .wouldBlock
            case .closed: return total > 0 ? .bytes(total, isDrained: false) : .ended
            case .truncated, .failed:
                return total > 0
                    ? .bytes(total, isDrained: false) : .failed(SystemError.connectionReset)
            }
        }
        return .bytes(total, isDrained: false)
    }

    mutating func send(
        _ stream: Int32, _ chain: BlockChain, of pool: BlockPool
    ) -> SendResult {
        let slot = session(of: stream)
        guard slot >= 0 else { return StreamSocket.send(stream, chain, of: pool) }
        let first = chain.first
        let second = chain.block(after: first, in: pool)
        let result =
            second.isNone
            ? sessions[slot].write(pool.bytes(of: first))
            : sessions[slot].write(pool.bytes(of: first), pool.bytes(of: second))
        switch result {
        case .wrote(let count): return .bytes(count)
        case .wouldBlock: return .wouldBlock
        case .failed: return .failed(SystemError.connectionReset)
        }
    }

    mutating func isQuiet(_ stream: Int32) -> Bool {
        var bytes = InlineArray<1, UInt8>(repeating: 0)
        return StreamSocket.peek(stream, into: &bytes) == .wouldBlock
    }

    func unacknowledged(_ stream: Int32) -> Int? { StreamSocket.unacknowledged(stream) }

    func recordBytes(_ stream: Int32) -> UInt64 { sessions[session(of: stream)].bytesReceived }

    mutating func shutdownWrite(_ stream: Int32) {
        let slot = session(of: stream)
        if slot >= 0 { _ = sessions[slot].shutdown() }
        StreamSocket.shutdownWrite(stream)
    }

    mutating func probe(_ stream: Int32) {
        StreamSocket.probePeer(
            stream, everySeconds: EdgeLimits.probeSeconds, times: EdgeLimits.probesMax)
    }

    mutating func close(_ stream: Int32, isBroken: Bool) {
        let slot = Int(stream) < slots.count ? session(of: stream) : -1
        if slot >= 0 {
            if !isBroken { _ = sessions[slot].shutdown() }
            sessions.remove(at: slot)
            slots[Int(stream)] = 0
        }
        if isBroken { StreamSocket.resetOnClose(stream) }
        StreamSocket.close(stream)
    }

    mutating func firstBytes(_ stream: Int32) -> FirstBytesResult {
        var bytes = InlineArray<8, UInt8>(repeating: 0)
        switch StreamSocket.peek(stream, into: &bytes) {
        case .bytes(let count, _):
            return FirstBytes.looksLikeHTTP(bytes.span.extracting(first: count)) ? .plain : .tls
        case .wouldBlock: return .wouldBlock
        case .ended, .failed: return .ended
        }
    }

    mutating func beginTLS(_ stream: Int32) {
        guard let server else { preconditionFailure("a TLS listener without a certificate") }
        adopt(server.accept(stream), stream)
    }

    func speaksTLS(upstream: Int) -> Bool {
        if case .some = upstreams[upstream] { true } else { false }
    }

    mutating func beginTLS(_ stream: Int32, upstream: Int) {
        guard let context = upstreams[upstream] else {
            preconditionFailure("an endpoint speaks TLS that the configuration does not know of")
        }
        adopt(context.connect(stream), stream)
    }

    private mutating func adopt(_ session: consuming TLSSession, _ stream: Int32) {
        slots[Int(stream)] = UInt32(sessions.insert(session) + 1)
    }

    mutating func handshake(_ stream: Int32) -> HandshakeResult {
        switch sessions[session(of: stream)].handshake() {
        case .done: .done
        case .wantsRead: .pending(needsWrite: false)
        case .wantsWrite: .pending(needsWrite: true)
        case .closed: .failed(TLSFailure(.closed))
        case .failed(let failure): .failed(failure)
        }
    }

    func tlsFacts(_ stream: Int32) -> Signals.TLSFacts {
        let facts = sessions[session(of: stream)].facts
        return Signals.TLSFacts(
            version: facts.version, cipher: facts.cipher, group: facts.group,
            isResumed: facts.isResumed,
            alpn: facts.applicationProtocol == .http11 ? .http1 : .none)
    }

    func writeServerName(_ stream: Int32, to writer: inout ByteWriter) {
        let slot = session(of: stream)
        if slot >= 0 { writer.write(sessions[slot].serverName) }
    }

    func lives(pid: Int32) -> Bool { ProcessTraits.lives(pid) }

    mutating func wake(edge slot: Int) {
        if wakers[slot] >= 0 { EventCounter.signal(wakers[slot]) }
    }
}
