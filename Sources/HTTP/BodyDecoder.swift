public import Memory

/// Why a body cannot be read on: its framing is broken, and with it the connection.
public enum BodyFault: UInt8, CaseIterable, Equatable, Sendable {
    case badChunkSize, badChunkEnd, chunkOverhead, trailersTooLong
    case badTrailer

    /// As the refusal of a request.
    public var refusal: Refusal {
        switch self {
        case .badChunkSize: .badChunkSize
        case .badChunkEnd: .badChunkEnd
        case .chunkOverhead: .chunkOverhead
        case .trailersTooLong: .trailersTooLong
        case .badTrailer: .badTrailer
        }
    }

    /// What was wrong in one line.
    public var rule: StaticString { refusal.rule }
}

/// What a body decoder made of the bytes it was given. All ranges and counts are of that span.
public enum BodyStep: Equatable, Sendable {
    /// Body bytes; everything up to the range's end is used up. Call again with what follows.
    case data(ByteRange)
    /// So many bytes are used up and the body goes on: call again when more has come. What was not
    /// used up (a part of the trailer section) has to be given again, with more behind it.
    case needMore(consumed: Int)
    /// The body ends so many bytes into the span. Trailer fields, if any, are in the table.
    case end(consumed: Int)
    case faulty(BodyFault)
}

/// What the end of a stream means for a body.
public enum BodyFinish: Equatable, Sendable {
    case complete
    /// Bytes are missing (`http_response_incomplete` of RFC 9209); never to be completed silently.
    case truncated
}

/// Finds the end of a body and the body's bytes among its framing (RFC 9112 sections 6 and 7),
/// copying nothing.
///
/// The caller forwards the ranges out of its own receive buffer. What the steps add up to does not
/// depend on where the bytes were cut.
public struct BodyDecoder: Sendable {
    /// The longest trailer section in bytes, its last empty line included; it has to fit into the
    /// receive buffer whole.
    public static let trailerBytesMax = 8 << 10

    private enum State {
        case ended
        case counted(left: UInt64)
        case chunked(ChunkReader)
        case trailers
        case untilClose
    }

    private var state: State
    /// Bytes of body so far, without framing.
    public private(set) var dataBytes: UInt64 = 0

    public init(_ framing: BodyFraming) {
        switch framing {
        case .none, .length(0): state = .ended
        case .length(let count): state = .counted(left: count)
        case .chunked: state = .chunked(ChunkReader())
        case .untilClose: state = .untilClose
        }
    }

    /// Whether the body was read to its end.
    public var hasEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// What it means that nothing more will come.
    public func finish() -> BodyFinish {
        switch state {
        case .ended, .untilClose: .complete
        default: .truncated
        }
    }

    /// Reads on.
    ///
    /// - Parameters:
    ///   - bytes: what follows the bytes that were used up.
    ///   - trailers: takes the trailer fields, which are ranges of the span given when `end` is
    ///     answered; fields that may not stand in trailers are left out (RFC 9110 section 6.5.1).
    ///     Its capacity is their limit.
    public mutating func next(_ bytes: Span<UInt8>, trailers: inout FieldTable) -> BodyStep {
        switch state {
        case .ended: return .end(consumed: 0)
        case .untilClose:
            guard bytes.count > 0 else { return .needMore(consumed: 0) }
            return data(start: 0, count: bytes.count)
        case .counted(let left):
            guard bytes.count > 0 else { return .needMore(consumed: 0) }
            let count = UInt64(bytes.count) < left ? bytes.count : Int(left)
            state = UInt64(count) == left ? .ended : .counted(left: left - UInt64(count))
            return data(start: 0, count: count)
        case .chunked(var reader):
            let step = reader.next(bytes)
            state = .chunked(reader)
            switch step {
            case .data(let start, let count): return data(start: start, count: count)
            case .needMore: return .needMore(consumed: bytes.count)
            case .faulty(let fault): return .faulty(fault)
            case .lastChunk(let consumed):
                state = .trailers
                return readTrailers(bytes, behind: consumed, &trailers)
            }
        case .trailers: return readTrailers(bytes, behind: 0, &trailers)
        }
    }

    private mutating func data(start: Int, count: Int) -> BodyStep {
        dataBytes += UInt64(count)
        return .data(ByteRange(start: start, count: count))
    }

    /// Reads the trailer section, from its beginning each time: it is short, and the table belongs
    /// to nobody between two calls.
    ///
    /// - Parameter used: bytes of the span before the section.
    private mutating func readTrailers(
        _ bytes: Span<UInt8>, behind used: Int, _ trailers: inout FieldTable
    ) -> BodyStep {
        var section = FieldSection(at: 0)
        trailers.removeAll()
        let rest = bytes.extracting(used..<bytes.count)
        let end = min(rest.count, Self.trailerBytesMax)
        while true {
            switch section.next(rest, end: end, countMax: trailers.capacity, into: &trailers) {
            case .field:
                let code = trailers[trailers.count - 1].code
                if FieldNameSet.forbiddenInTrailers.contains(code) { trailers.removeLast() }
            case .faulty(.tooManyFields): return .faulty(.trailersTooLong)
            case .faulty: return .faulty(.badTrailer)
            case .incomplete:
                let isFull = section.position >= Self.trailerBytesMax
                return isFull ? .faulty(.trailersTooLong) : .needMore(consumed: used)
            case .end:
                state = .ended
                trailers.moveRanges(by: used)
                return .end(consumed: used + section.position)
            }
        }
    }
}

extension FieldNameSet {
    /// Names that say how a message is framed, routed, authenticated or processed: too late in a
    /// trailer (RFC 9110 section 6.5.1).
    static var forbiddenInTrailers: FieldNameSet {
        FieldNameSet(
            bits:
                hopByHop.bits | neverHopByHop.bits | bit(.trailer) | bit(.authorization)
                | bit(.cookie)
                | bit(.wwwAuthenticate) | bit(.proxyStatus) | bit(.contentType)
                | bit(.contentEncoding) | bit(.contentRange) | bit(.cacheControl) | bit(.pragma)
                | bit(.range) | bit(.ifMatch) | bit(.ifNoneMatch) | bit(.ifModifiedSince)
                | bit(.ifUnmodifiedSince) | bit(.ifRange) | bit(.maxForwards) | bit(.age)
                | bit(.expires) | bit(.date) | bit(.location) | bit(.retryAfter) | bit(.vary)
                | bit(.warning) | bit(.origin) | bit(.accept) | bit(.acceptEncoding)
                | bit(.webSocketKey) | bit(.webSocketVersion) | bit(.webSocketAccept))
    }
}
