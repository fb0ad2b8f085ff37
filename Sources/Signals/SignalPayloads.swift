import Memory

/// What each signal carries in its record: the numbers and texts, in this order, on the writing and
/// on the reading side. Text limits keep every record below `SignalRecord.bytesMax`.
enum RecordLimit {
    /// Service, listener and plug-in names.
    static let sender = 128
    /// `web/3`, `10.0.0.5:8080`.
    static let endpoint = 128
    static let sni = 128
    static let method = 32
    static let target = 768
    static let host = 160
    static let referer = 160
    static let userAgent = 256
    /// An exception's type and message, and the end of its traceback, where the cause stands.
    static let type = 128
    static let message = 384
    static let traceback = 1024
    /// Reasons, differences, diagnostics.
    static let notes = 1536
}

/// A client's connection, as in the signals about one.
public struct ConnectionFacts: Equatable, Sendable {
    /// Its number, unique within its edge.
    public var connection: UInt64
    public var remote: PeerAddress
    public var remotePort: UInt16

    @inlinable
    public init(connection: UInt64, remote: PeerAddress, remotePort: UInt16) {
        self.connection = connection
        self.remote = remote
        self.remotePort = remotePort
    }
}

/// What a connection did until its end.
public struct ConnectionResult: Equatable, Sendable {
    public var requests: UInt64
    /// Bytes of the transport, TLS and framing included.
    public var receivedBytes: UInt64
    public var sentBytes: UInt64
    /// Nanoseconds.
    public var duration: UInt64
    public var reason: ConnectionEnd

    @inlinable
    public init(
        requests: UInt64, receivedBytes: UInt64, sentBytes: UInt64, duration: UInt64,
        reason: ConnectionEnd
    ) {
        self.requests = requests
        self.receivedBytes = receivedBytes
        self.sentBytes = sentBytes
        self.duration = duration
        self.reason = reason
    }
}

extension ByteWriter {
    mutating func writeStarted(_ facts: RequestFacts, _ text: RequestText, wall: UInt64) {
        beginRecord(.requestStarted, numbers: 6, texts: 8, wall: wall, id: facts.id)
        writeNumbers(of: facts)
        writeTexts(of: facts, text)
    }

    mutating func writeFinished(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText, wall: UInt64
    ) {
        beginRecord(.requestFinished, numbers: 14, texts: 8, wall: wall, id: facts.id)
        writeNumbers(of: facts)
        write(word: result.requestBytes)
        write(word: result.responseBytes)
        write(word: result.duration)
        write(word: result.queue)
        write(word: result.connect)
        write(word: result.firstByte)
        write(word: UInt64(result.worker) | UInt64(result.pid) << 32)
        let failure = result.failure?.rawValue ?? 0
        write(
            word: UInt64(result.status) | UInt64(result.retries) << 16
                | UInt64(result.outcome.rawValue) << 32 | UInt64(failure) << 40)
        writeTexts(of: facts, text)
    }

    private mutating func writeNumbers(of facts: RequestFacts) {
        write(word: facts.wall)
        write(word: facts.remote.high)
        write(word: facts.remote.low)
        write(word: facts.connection)
        write(
            word: UInt64(facts.connectionRequests) | UInt64(facts.remotePort) << 32
                | UInt64(facts.remote.family.rawValue) << 48 | UInt64(facts.version.rawValue) << 56)
        write(word: facts.tls.packed | UInt64(facts.scheme.rawValue) << 60)
    }

    private mutating func writeTexts(of facts: RequestFacts, _ text: RequestText) {
        write(recordText: text.service, cutAt: RecordLimit.sender)
        write(recordText: text.endpoint, cutAt: RecordLimit.endpoint)
        write(recordText: text.sni, cutAt: RecordLimit.sni)
        write(recordText: text.part(facts.method), cutAt: RecordLimit.method)
        write(recordText: text.part(facts.target), cutAt: RecordLimit.target)
        write(recordText: text.part(facts.host), cutAt: RecordLimit.host)
        write(recordText: text.part(facts.referer), cutAt: RecordLimit.referer)
        write(recordText: text.part(facts.userAgent), cutAt: RecordLimit.userAgent)
    }

    /// Numbers and the sender of the signals about a connection; more may follow.
    mutating func writeConnection(
        _ signal: Signal, _ facts: ConnectionFacts, numbers: Int, texts: Int, wall: UInt64
    ) {
        beginRecord(signal, numbers: 4 + numbers, texts: 1 + texts, wall: wall, id: .none)
        write(word: facts.connection)
        write(word: facts.remote.high)
        write(word: facts.remote.low)
        write(word: UInt64(facts.remotePort) | UInt64(facts.remote.family.rawValue) << 16)
    }
}

extension SignalRecord {
    /// The facts of `request_started` and `request_finished`; their ranges point into `bytes`.
    var requestFacts: RequestFacts {
        let mixed = number(4)
        let tls = number(5)
        var facts = RequestFacts(
            id: id, wall: number(0),
            remote: PeerAddress(raw: UInt8(truncatingIfNeeded: mixed >> 48), number(1), number(2)),
            remotePort: UInt16(truncatingIfNeeded: mixed >> 32),
            scheme: .init(rawValue: UInt8(truncatingIfNeeded: tls >> 60)) ?? .unknown,
            version: .init(rawValue: UInt8(truncatingIfNeeded: mixed >> 56)) ?? .unknown,
            tls: TLSFacts(packed: tls), connection: number(3),
            connectionRequests: UInt32(truncatingIfNeeded: mixed))
        facts.method = range(3)
        facts.target = range(4)
        facts.host = range(5)
        facts.referer = range(6)
        facts.userAgent = range(7)
        return facts
    }

    /// The result in `request_finished`.
    var requestResult: RequestResult {
        var result = RequestResult()
        result.requestBytes = number(6)
        result.responseBytes = number(7)
        result.duration = number(8)
        result.queue = number(9)
        result.connect = number(10)
        result.firstByte = number(11)
        result.worker = UInt32(truncatingIfNeeded: number(12))
        result.pid = UInt32(truncatingIfNeeded: number(12) >> 32)
        let mixed = number(13)
        result.status = UInt16(truncatingIfNeeded: mixed)
        result.retries = UInt16(truncatingIfNeeded: mixed >> 16)
        result.outcome = Outcome(rawValue: UInt8(truncatingIfNeeded: mixed >> 32)) ?? .proxyError
        result.failure = Failure(rawValue: UInt8(truncatingIfNeeded: mixed >> 40))
        return result
    }

    /// The texts of `request_started` and `request_finished`.
    var requestText: RequestText {
        @_lifetime(copy self)
        get { RequestText(head: bytes, service: text(0), endpoint: text(1), sni: text(2)) }
    }

    /// The facts of the signals about a connection.
    var connectionFacts: ConnectionFacts {
        let mixed = number(3)
        return ConnectionFacts(
            connection: number(0),
            remote: PeerAddress(raw: UInt8(truncatingIfNeeded: mixed >> 16), number(1), number(2)),
            remotePort: UInt16(truncatingIfNeeded: mixed))
    }
}

extension TLSFacts {
    /// All facts in the lower 57 bits of a word.
    var packed: UInt64 {
        UInt64(version) | UInt64(cipher) << 16 | UInt64(group) << 32 | (isResumed ? 1 << 48 : 0)
            | UInt64(alpn.rawValue) << 49
    }

    init(packed: UInt64) {
        self.init(
            version: UInt16(truncatingIfNeeded: packed),
            cipher: UInt16(truncatingIfNeeded: packed >> 16),
            group: UInt16(truncatingIfNeeded: packed >> 32), isResumed: packed >> 48 & 1 == 1,
            alpn: ALPN(rawValue: UInt8(truncatingIfNeeded: packed >> 49 & 127)) ?? .none)
    }
}

extension PeerAddress {
    fileprivate init(raw: UInt8, _ high: UInt64, _ low: UInt64) {
        self.init(family: Family(rawValue: raw) ?? .none, high: high, low: low)
    }
}
