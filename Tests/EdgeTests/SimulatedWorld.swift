import Board
import Linux
import Memory
import Signals
import TLS

@testable import Edge

/// A network in one process, driven by a seed and a clock of its own: streams that deliver in
/// pieces and with delay, take only so much, end and break; clients and servers that act at moments
/// of their own.
final class SimulatedWorld {
    /// One direction of a stream.
    struct Pipe {
        var bytes: [UInt8] = []
        /// Sent and not arrived yet.
        var inFlight: [UInt8] = []
        var endIsSent = false
        var hasEnded = false
        var isBroken = false
        var capacity: Int
        /// Bytes that have arrived; from `recordsBegin` on they can be read record by record.
        var arrived = 0
        var recordsBegin = 0
        var recordSize = 1

        /// What has come of whole records and was not read.
        var readable: Int { bytes.count - max(0, arrived - recordsBegin) % recordSize }

        /// Whether room to write is reported: like Linux, once a third is free.
        var isWritable: Bool { inFlight.count <= capacity * 2 / 3 }
    }

    /// One end of a stream that the edge holds.
    struct Stream {
        var incoming: Pipe
        var outgoing: Pipe
        var token: UInt64?
        var watchesWrites = false
        var wasFull = false
        var connectError: Int32 = 0
        /// Called after bytes, an end or a break have arrived at the far side.
        var far: (any FarEnd)?
    }

    struct Action {
        var time: UInt64
        var order: Int
        var body: () -> Void
    }

    var random: SeededGenerator
    var now: UInt64 = 1_000_000_000_000
    var streams: [Int32: Stream] = [:]
    var queue: [(Int32, InternetAddress)] = []
    var isListening = false
    var listenToken: UInt64 = 0
    var events: [(UInt64, Readiness)] = []
    var current: [(UInt64, Readiness)] = []
    var servers: [[UInt8]: () -> (any FarEnd)?] = [:]
    /// Endpoints that take no connection at this moment, and how often they were asked since `now`.
    var fullServers: Set<[UInt8]> = []
    var refusals: (count: Int, since: UInt64) = (0, 0)
    /// How long a connection to an endpoint takes, where that is not left to chance.
    var connectDelays: [[UInt8]: UInt64] = [:]
    /// Descriptors run out at so many of the next accepts.
    var exhaustedAccepts = 0
    /// So many of the next streams cannot be watched.
    var unwatchable = 0
    /// Far ends that take nothing off their streams.
    var stalled: Set<Int32> = []
    /// Far ends that are gone.
    var vanished: Set<Int32> = []
    /// Whether the kernel tells how much of what it was given has been taken.
    var tellsUnacknowledged = true
    /// Waits in a row that were to end at once, without the edge having done anything between them.
    var idleWaits = 0
    /// What the edge did that a faultless one does not do.
    var faults: Set<String> = []
    /// What happens to all streams: the sizes of pieces, the delays.
    var pieceMax = 4096
    var delayMax: UInt64 = 2_000_000
    var capacityMax = 20_000
    /// What clients connect to, and how often the edge asked for it.
    var localAddress = InternetAddress(ipv4: 0xc000_0201, port: 8080)
    var addressQuestions = 0
    /// Workers' processes that have ended.
    var endedProcesses: Set<Int32> = []
    private var actions: [Action] = []
    private var nextStream: Int32 = 10
    private var order = 0
    var wakes = 0

    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    var isIdle: Bool { actions.isEmpty && events.isEmpty }

    func at(_ delay: UInt64, _ body: @escaping () -> Void) {
        order += 1
        let action = Action(time: now + delay, order: order, body: body)
        let place = actions.firstIndex { ($0.time, $0.order) > (action.time, action.order) }
        actions.insert(action, at: place ?? actions.count)
    }

    /// Lets time pass until something is to be told, or `limit` is reached; false when nothing will
    /// ever happen.
    func advance(to limit: UInt64?) -> Bool {
        while events.isEmpty {
            guard let first = actions.first, limit == nil || first.time <= limit! else {
                guard let limit else { return false }
                now = max(now, limit)
                return true
            }
            actions.removeFirst()
            now = max(now, first.time)
            first.body()
        }
        return true
    }

    // MARK: streams

    func makeStream(_ far: any FarEnd) -> Int32 {
        nextStream += 1
        let capacity = Int.random(in: 64...capacityMax, using: &random)
        streams[nextStream] = Stream(
            incoming: Pipe(capacity: capacity), outgoing: Pipe(capacity: capacity), far: far)
        return nextStream
    }

    private func report(_ stream: Int32, _ readiness: Readiness) {
        guard let token = streams[stream]?.token else { return }
        events.append((token, readiness))
    }

    /// A piece of what one side has sent arrives at the other.
    private func schedule(_ stream: Int32, toEdge: Bool) {
        at(UInt64.random(in: 0...delayMax, using: &random)) { [self] in
            guard streams[stream] != nil else { return }
            if toEdge { arriveAtEdge(stream) } else { arriveAtFarEnd(stream) }
        }
    }

    private func arriveAtEdge(_ stream: Int32) {
        var pipe = streams[stream]!.incoming
        let count = min(Int.random(in: 1...pieceMax, using: &random), pipe.inFlight.count)
        pipe.bytes += pipe.inFlight.prefix(count)
        pipe.arrived += count
        pipe.inFlight.removeFirst(count)
        let isEnd = pipe.inFlight.isEmpty && pipe.endIsSent
        if isEnd { pipe.hasEnded = true }
        let goesOn = !pipe.inFlight.isEmpty
        streams[stream]!.incoming = pipe
        if count > 0 || isEnd { report(stream, isEnd ? [.readable, .peerClosed] : .readable) }
        if goesOn { schedule(stream, toEdge: true) }
    }

    func arriveAtFarEnd(_ stream: Int32) {
        guard !stalled.contains(stream) else { return }
        take(Int.random(in: 1...pieceMax, using: &random), of: stream)
        guard let pipe = streams[stream]?.outgoing else { return }
        let goesOn = !pipe.inFlight.isEmpty || pipe.endIsSent && !pipe.hasEnded
        if goesOn { schedule(stream, toEdge: false) }
    }

    /// The far side takes so many bytes, or what there is.
    func take(_ most: Int, of stream: Int32) {
        var pipe = streams[stream]!.outgoing
        let count = min(most, pipe.inFlight.count)
        let arrived = Array(pipe.inFlight.prefix(count))
        pipe.inFlight.removeFirst(count)
        let isEnd = pipe.inFlight.isEmpty && pipe.endIsSent && !pipe.hasEnded
        if isEnd { pipe.hasEnded = true }
        streams[stream]!.outgoing = pipe
        if streams[stream]!.wasFull, pipe.isWritable {
            streams[stream]!.wasFull = false
            if streams[stream]!.watchesWrites { report(stream, .writable) }
        }
        let far = streams[stream]!.far
        if count > 0 { far?.received(arrived, stream, self) }
        if isEnd { far?.ended(stream, self) }
    }

    /// The far side takes what comes again.
    func resume(_ stream: Int32) {
        stalled.remove(stream)
        guard let pipe = streams[stream]?.outgoing, !pipe.inFlight.isEmpty || pipe.endIsSent else {
            return
        }
        schedule(stream, toEdge: false)
    }

    /// The far side sends.
    func send(_ bytes: [UInt8], on stream: Int32) {
        guard streams[stream] != nil, !bytes.isEmpty else { return }
        streams[stream]!.incoming.inFlight += bytes
        schedule(stream, toEdge: true)
    }

    /// The far side has sent, and it is here: in the same turn as whatever else is.
    ///
    /// - Parameter isReported: whether the edge's next wait tells of it.
    func deliver(_ text: String, on stream: Int32, isReported: Bool = true) {
        streams[stream]!.incoming.bytes += Array(text.utf8)
        if isReported { report(stream, .readable) }
    }

    /// The far side ends its direction.
    func end(_ stream: Int32) {
        guard streams[stream] != nil else { return }
        streams[stream]!.incoming.endIsSent = true
        schedule(stream, toEdge: true)
    }

    /// The far side is gone without a break: its end arrives, and its kernel denies the stream when
    /// it is asked.
    func vanish(_ stream: Int32) {
        stalled.insert(stream)
        vanished.insert(stream)
        end(stream)
    }

    /// The far side breaks the stream.
    func reset(_ stream: Int32) {
        guard streams[stream] != nil else { return }
        streams[stream]!.incoming.isBroken = true
        streams[stream]!.outgoing.isBroken = true
        report(stream, [.readable, .failed, .hungUp, .peerClosed])
    }

    /// A client connects.
    func connect(_ client: any FarEnd) -> Int32 {
        let stream = makeStream(client)
        queue.append((stream, InternetAddress(ipv4: 0x7f00_0001, port: UInt16(stream))))
        if isListening { events.append((listenToken, .readable)) }
        return stream
    }
}

/// Whoever is at the other side of a stream.
protocol FarEnd: AnyObject {
    func received(_ bytes: [UInt8], _ stream: Int32, _ world: SimulatedWorld)
    /// The edge has ended its direction, or closed.
    func ended(_ stream: Int32, _ world: SimulatedWorld)
    /// The edge has broken the stream.
    func broke(_ stream: Int32, _ world: SimulatedWorld)
}

/// The world as the edge sees it.
struct SimulatedNetwork: ~Copyable, Network {
    let world: SimulatedWorld

    var monotonic: UInt64 { world.now }
    var wall: UInt64 { 1_760_000_000_000_000_000 + world.now }

    mutating func wait(nanoseconds: UInt64?) -> Int {
        world.idleWaits = nanoseconds == 0 && world.events.isEmpty ? world.idleWaits + 1 : 0
        if world.idleWaits > 1000 { world.faults.insert("the edge spins") }
        _ = world.advance(to: nanoseconds.map { world.now + $0 })
        world.current = Array(world.events.prefix(64))
        world.events.removeFirst(world.current.count)
        return world.current.count
    }

    func event(_ index: Int) -> (token: UInt64, readiness: Readiness) { world.current[index] }

    mutating func accept(listener: Int) -> AcceptResult {
        guard !world.queue.isEmpty else { return .wouldBlock }
        if world.exhaustedAccepts > 0 {
            world.exhaustedAccepts -= 1
            return .exhausted(24)
        }
        let (stream, address) = world.queue.removeFirst()
        return .accepted(stream, address)
    }

    mutating func listen(listener: Int, token: UInt64, isOn: Bool) {
        world.isListening = isOn
        world.listenToken = token
        if isOn, !world.queue.isEmpty { world.events.append((token, .readable)) }
    }

    func localAddress(_ stream: Int32) -> InternetAddress {
        world.addressQuestions += 1
        return world.localAddress
    }

    mutating func connect(to address: EndpointAddress) -> ConnectResult {
        guard case .unix(let path) = address else { return .failed(111) }
        if world.fullServers.contains(path) {
            if world.refusals.since != world.now { world.refusals = (0, world.now) }
            world.refusals.count += 1
            guard world.refusals.count > 100 else { return .full }
            world.faults.insert("the edge asks a full endpoint without end")
            return .failed(111)
        }
        guard let far = world.servers[path]?() else { return .failed(111) }
        let stream = world.makeStream(far)
        let delay = world.connectDelays[path]
        guard delay != nil || Bool.random(using: &world.random) else { return .connected(stream) }
        let world = self.world
        world.at(delay ?? UInt64.random(in: 0...1_000_000, using: &world.random)) {
            guard world.streams[stream] != nil else { return }
            if let token = world.streams[stream]!.token {
                world.events.append((token, .writable))
            }
        }
        return .inProgress(stream)
    }

    mutating func connectError(_ stream: Int32) -> Int32 { world.streams[stream]!.connectError }

    mutating func watch(_ stream: Int32, token: UInt64, writable: Bool) -> Bool {
        if world.unwatchable > 0 {
            world.unwatchable -= 1
            return false
        }
        world.streams[stream]!.token = token
        world.streams[stream]!.watchesWrites = writable
        if !world.streams[stream]!.incoming.bytes.isEmpty {
            world.events.append((token, .readable))
        }
        return true
    }

    mutating func rewatch(_ stream: Int32, token: UInt64, writable: Bool) {
        world.streams[stream]!.watchesWrites = writable
        guard writable else { return }
        if world.streams[stream]!.outgoing.isWritable {
            world.events.append((token, .writable))
        } else {
            world.streams[stream]!.wasFull = true
        }
    }

    mutating func receive(
        _ stream: Int32, into block: BlockID, of pool: BlockPool
    ) -> ReceiveResult {
        var pipe = world.streams[stream]!.incoming
        world.idleWaits = 0
        if pipe.isBroken { return .failed(104) }
        guard pipe.readable > 0 else { return pipe.hasEnded ? .ended : .wouldBlock }
        let room = pool.room(in: block)
        let count = min(room, pipe.readable)
        var writer = pool.writer(into: block)
        for byte in pipe.bytes.prefix(count) { writer.write(byte) }
        pool.commit(count, to: block)
        pipe.bytes.removeFirst(count)
        world.streams[stream]!.incoming = pipe
        return .bytes(count, isDrained: count < room)
    }

    mutating func send(
        _ stream: Int32, _ chain: BlockChain, of pool: BlockPool
    ) -> SendResult {
        var pipe = world.streams[stream]!.outgoing
        world.idleWaits = 0
        if pipe.isBroken { return .failed(32) }
        let room = pipe.capacity - pipe.inFlight.count
        guard room > 0 else {
            world.streams[stream]!.wasFull = true
            return .wouldBlock
        }
        let wasEmpty = pipe.inFlight.isEmpty
        var count = Int.random(in: 1...max(1, min(room, chain.count)), using: &world.random)
        if Int.random(in: 0..<4, using: &world.random) > 0 { count = min(room, chain.count) }
        var left = count
        var block = chain.first
        while left > 0, !block.isNone {
            let bytes = pool.bytes(of: block)
            for index in 0..<min(left, bytes.count) { pipe.inFlight.append(bytes[index]) }
            left -= min(left, bytes.count)
            block = chain.block(after: block, in: pool)
        }
        world.streams[stream]!.outgoing = pipe
        if wasEmpty { kick(stream) }
        return .bytes(count - left)
    }

    private func kick(_ stream: Int32) {
        let world = self.world
        world.at(UInt64.random(in: 0...world.delayMax, using: &world.random)) {
            if world.streams[stream] != nil { world.arriveAtFarEnd(stream) }
        }
    }

    mutating func isQuiet(_ stream: Int32) -> Bool {
        let pipe = world.streams[stream]!.incoming
        return pipe.bytes.isEmpty && !pipe.hasEnded && !pipe.isBroken
    }

    func unacknowledged(_ stream: Int32) -> Int? {
        let pipe = world.streams[stream]!.outgoing
        return world.tellsUnacknowledged ? pipe.inFlight.count : nil
    }

    func recordBytes(_ stream: Int32) -> UInt64 { UInt64(world.streams[stream]!.incoming.arrived) }

    mutating func shutdownWrite(_ stream: Int32) {
        world.streams[stream]!.outgoing.endIsSent = true
        kick(stream)
    }

    mutating func probe(_ stream: Int32) {
        let world = self.world
        // A kernel forgets after 60 seconds; the next question finds that out.
        guard world.vanished.contains(stream) else { return }
        world.at(75_000_000_000) { world.reset(stream) }
    }

    mutating func close(_ stream: Int32, isBroken: Bool) {
        let world = self.world
        guard var pipe = world.streams[stream]?.outgoing else {
            preconditionFailure("stream \(stream) is closed twice")
        }
        let far = world.streams[stream]!.far
        if isBroken || pipe.isBroken {
            world.streams[stream] = nil
            world.at(0) { far?.broke(stream, world) }
            return
        }
        // What was sent still arrives, and then the end.
        pipe.endIsSent = true
        let rest = pipe.inFlight
        let wasEnded = pipe.hasEnded
        world.streams[stream] = nil
        world.at(UInt64.random(in: 0...world.delayMax, using: &world.random)) {
            if !rest.isEmpty { far?.received(rest, stream, world) }
            if !wasEnded { far?.ended(stream, world) }
        }
    }

    mutating func firstBytes(_ stream: Int32) -> FirstBytesResult {
        let pipe = world.streams[stream]!.incoming
        guard pipe.bytes.isEmpty else { return .tls }
        return pipe.hasEnded || pipe.isBroken ? .ended : .wouldBlock
    }
    mutating func beginTLS(_ stream: Int32) {}
    func speaksTLS(upstream: Int) -> Bool { false }
    mutating func beginTLS(_ stream: Int32, upstream: Int) { preconditionFailure("no TLS here") }
    /// It ends with the client's `hello`, and everything behind that is plain.
    mutating func handshake(_ stream: Int32) -> HandshakeResult {
        let hello = Array("hello".utf8)
        guard world.streams[stream]!.incoming.bytes.starts(with: hello) else {
            return .pending(needsWrite: false)
        }
        world.streams[stream]!.incoming.bytes.removeFirst(hello.count)
        return .done
    }
    func tlsFacts(_ stream: Int32) -> Signals.TLSFacts { .none }
    func writeServerName(_ stream: Int32, to writer: inout ByteWriter) {}
    func lives(pid: Int32) -> Bool { pid > 0 && !world.endedProcesses.contains(pid) }
    mutating func wake(edge slot: Int) { world.wakes += 1 }
}
