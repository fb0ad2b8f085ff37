internal import Linux

/// The master's end of a child's control channel: JSON packets both ways.
final class Channel {
    private let socket: MessageSocket
    private var watch: Loop.Watch?
    private let received: (JSONValue) -> Void
    private let closed: () -> Void

    /// - Parameters:
    ///   - received: called with each packet; a packet that is no JSON object is left out.
    ///   - closed: called once, when the child has closed its end or died.
    init(
        _ end: OpenFile, on loop: Loop,
        received: @escaping (JSONValue) -> Void, closed: @escaping () -> Void = {}
    ) throws(SystemError) {
        socket = MessageSocket(owning: try end.descriptor.duplicate())
        self.received = received
        self.closed = closed
        watch = try loop.watch(self.socket.number) { [weak self] in self?.receive() }
    }

    /// Sends a packet; false when the child is gone or does not read, or the packet is too large.
    @discardableResult
    func send(_ message: JSONValue, descriptors: [Int32] = []) -> Bool {
        (try? socket.send(message.bytes, descriptors: descriptors)) == .sent
    }

    /// Hears nothing more, not even what has come already.
    func close() { watch = nil }

    /// Takes what has come; to be called once more when the child has ended.
    func drainPackets() { receive() }

    private func receive() {
        // Bounded, so that a child that talks without end holds nobody up.
        for _ in 0..<Self.packetsPerTurn {
            guard watch != nil else { return }
            do {
                switch try socket.receive() {
                case .packet(let bytes, _):
                    if let message = JSONValue(parsing: bytes) { received(message) }
                case .nothing: return
                case .closed:
                    end()
                    return
                }
            } catch {
                // A packet too large for us is gone; the channel goes on.
                guard error.number != 90 else { continue }
                end()
                return
            }
        }
    }

    private func end() {
        watch = nil
        closed()
    }

    private static let packetsPerTurn = 64
}

/// The lines a child prints, taken as they come.
final class OutputReader {
    private var pipe: OutputPipe
    private var watch: Loop.Watch?
    private let line: (String) -> Void

    /// - Parameter line: called with each line.
    init(
        _ end: OpenFile, on loop: Loop, line: @escaping (String) -> Void
    ) throws(SystemError) {
        pipe = OutputPipe(owning: try end.descriptor.duplicate())
        self.line = line
        watch = try loop.watch(pipe.number) { [weak self] in self?.read() }
    }

    /// Takes what is there; to be called once more when the child has ended.
    func read() {
        for text in pipe.lines() { line(text) }
        if pipe.isClosed { watch = nil }
    }
}

/// Both ends of a child's channel, before the child is started: ours, and the one it inherits.
struct ChannelEnds {
    let ours: OpenFile
    let theirs: OpenFile

    init() throws(SystemError) {
        let (one, other) = try MessageSocket.Pair().release()
        ours = OpenFile(owning: Descriptor(owning: one))
        theirs = OpenFile(owning: Descriptor(owning: other))
    }
}

/// Both ends of the pipe that a child prints into: ours, and the one it inherits.
struct OutputEnds {
    let ours: OpenFile
    let theirs: OpenFile

    init() throws(SystemError) {
        let (reader, writer) = try OutputPipe.pipe().release()
        ours = OpenFile(owning: Descriptor(owning: reader))
        theirs = OpenFile(owning: Descriptor(owning: writer))
    }
}
