import Memory

/// Writes the records of the signals that are not about a request's start and end.
extension ByteWriter {
    mutating func writeException(_ exception: ExceptionFacts, _ text: ExceptionText, wall: UInt64) {
        beginRecord(.requestException, numbers: 2, texts: 5, wall: wall, id: exception.id)
        let failure = exception.failure?.rawValue ?? 0
        write(word: UInt64(exception.origin.rawValue) | UInt64(failure) << 8)
        write(word: UInt64(exception.worker) | UInt64(exception.pid) << 32)
        write(recordText: text.service, cutAt: RecordLimit.sender)
        write(recordText: text.endpoint, cutAt: RecordLimit.endpoint)
        write(recordText: text.type, cutAt: RecordLimit.type)
        write(recordText: text.message, cutAt: RecordLimit.message)
        // The end of a traceback tells what happened, its beginning only how one got there.
        write(
            recordText: text.traceback.end(of: RecordLimit.traceback),
            cutAt: RecordLimit.traceback)
    }

    mutating func writeTearingDown(
        _ id: RequestID, _ outcome: Outcome, service: Span<UInt8>, wall: UInt64
    ) {
        beginRecord(.requestTearingDown, numbers: 1, texts: 1, wall: wall, id: id)
        write(word: UInt64(outcome.rawValue))
        write(recordText: service, cutAt: RecordLimit.sender)
    }

    mutating func writeOpened(_ facts: ConnectionFacts, listener: Span<UInt8>, wall: UInt64) {
        writeConnection(.connectionOpened, facts, numbers: 0, texts: 0, wall: wall)
        write(recordText: listener, cutAt: RecordLimit.sender)
    }

    mutating func writeClosed(
        _ facts: ConnectionFacts, _ result: ConnectionResult, listener: Span<UInt8>, wall: UInt64
    ) {
        writeConnection(.connectionClosed, facts, numbers: 5, texts: 0, wall: wall)
        write(word: result.requests)
        write(word: result.receivedBytes)
        write(word: result.sentBytes)
        write(word: result.duration)
        write(word: UInt64(result.reason.rawValue))
        write(recordText: listener, cutAt: RecordLimit.sender)
    }

    mutating func writeHandshake(
        _ facts: ConnectionFacts, _ tls: TLSFacts, duration: UInt64, sni: Span<UInt8>,
        listener: Span<UInt8>, wall: UInt64
    ) {
        writeConnection(.tlsHandshakeFinished, facts, numbers: 2, texts: 1, wall: wall)
        write(word: duration)
        write(word: tls.packed)
        write(recordText: listener, cutAt: RecordLimit.sender)
        write(recordText: sni, cutAt: RecordLimit.sni)
    }

    mutating func writeHandshake(
        _ facts: ConnectionFacts, failed reason: HandshakeFailure, alert: UInt8, duration: UInt64,
        sni: Span<UInt8>, listener: Span<UInt8>, wall: UInt64
    ) {
        writeConnection(.tlsHandshakeFailed, facts, numbers: 2, texts: 1, wall: wall)
        write(word: duration)
        write(word: UInt64(reason.rawValue) | UInt64(alert) << 8)
        write(recordText: listener, cutAt: RecordLimit.sender)
        write(recordText: sni, cutAt: RecordLimit.sni)
    }

    mutating func writeWorker(
        _ signal: Signal, slot: UInt32, pid: UInt32, seconds: UInt64, end: WorkerEnd,
        status: UInt16, service: Span<UInt8>, wall: UInt64
    ) {
        beginRecord(signal, numbers: 3, texts: 1, wall: wall, id: .none)
        write(word: UInt64(slot) | UInt64(pid) << 32)
        write(word: seconds)
        write(word: UInt64(end.rawValue) | UInt64(status) << 8)
        write(recordText: service, cutAt: RecordLimit.sender)
    }

    mutating func writeHealth(
        isUp: Bool, _ change: HealthChange, endpoint: Span<UInt8>, service: Span<UInt8>,
        wall: UInt64
    ) {
        beginRecord(
            isUp ? .upstreamUp : .upstreamDown, numbers: 1, texts: 2, wall: wall, id: .none)
        write(word: UInt64(change.rawValue))
        write(recordText: service, cutAt: RecordLimit.sender)
        write(recordText: endpoint, cutAt: RecordLimit.endpoint)
    }

    /// The signals that carry a number and a note: of the configuration, and of plug-ins.
    mutating func writeNote(
        _ signal: Signal, number: UInt64, note: Span<UInt8>, sender: Span<UInt8>, wall: UInt64
    ) {
        beginRecord(signal, numbers: 1, texts: 2, wall: wall, id: .none)
        write(word: number)
        write(recordText: sender, cutAt: RecordLimit.sender)
        write(recordText: note, cutAt: RecordLimit.notes)
    }
}

/// Who failed to answer a request, and where.
public struct ExceptionFacts: Equatable, Sendable {
    public var id: RequestID
    public var origin: Origin
    /// The word the client got, nil when the app itself answered.
    public var failure: Failure?
    /// The worker's slot, 0 for none.
    public var worker: UInt32
    /// The worker's process id, 0 for none.
    public var pid: UInt32

    @inlinable
    public init(id: RequestID, origin: Origin, failure: Failure?, worker: UInt32, pid: UInt32) {
        self.id = id
        self.origin = origin
        self.failure = failure
        self.worker = worker
        self.pid = pid
    }
}

/// The text of an exception; empty for what is not known. Borrowed for one call.
public struct ExceptionText: ~Escapable {
    public let service: Span<UInt8>
    public let endpoint: Span<UInt8>
    /// The exception's type, as the app's language names it.
    public let type: Span<UInt8>
    public let message: Span<UInt8>
    public let traceback: Span<UInt8>

    @inlinable
    @_lifetime(copy service, copy endpoint, copy type, copy message, copy traceback)
    public init(
        service: Span<UInt8>, endpoint: Span<UInt8>, type: Span<UInt8>, message: Span<UInt8>,
        traceback: Span<UInt8>
    ) {
        self.service = service
        self.endpoint = endpoint
        self.type = type
        self.message = message
        self.traceback = traceback
    }
}

extension Span<UInt8> {
    /// At most `limit` bytes from the end, without a first character that would be cut in two.
    @_lifetime(copy self)
    fileprivate func end(of limit: Int) -> Span<UInt8> {
        guard count > limit else { return self }
        var start = count - limit
        var steps = 0
        while start < count, steps < 3, self[start] & 0xC0 == 0x80 {
            start += 1
            steps += 1
        }
        return extracting(start..<count)
    }
}
