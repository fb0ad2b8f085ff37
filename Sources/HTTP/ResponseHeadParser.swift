import Memory

/// What came of the bytes given to a response head parser.
public enum ResponseHeadParse: Equatable, Sendable {
    /// The head goes on; call again with the same bytes and more.
    case incomplete
    /// The head ends here: its length in bytes.
    case complete(Int)
    case faulty(ResponseFault)
}

/// Reads one response head (RFC 9112 sections 4 and 5) as strictly as requests are read.
///
/// Works as `RequestHeadParser` does. Interim responses (1xx) are heads of their own: parse again
/// behind them. `reset` it for the response to another request, so that interim responses are
/// counted per request.
public struct ResponseHeadParser: Sendable {
    /// Interim responses before the final one; more is an upstream that never answers.
    public static let informationalMax: UInt8 = 32

    private enum Phase: UInt8 { case version, status, reason, lineEnd, fields }

    private var phase = Phase.version
    private var version = Version.http11
    private var informational: UInt8 = 0
    private var isResumed = false
    private var status: UInt16 = 0
    private var offset: UInt32 = 0
    private var reasonOffset: UInt32 = 0
    private var section = FieldSection(at: 0)
    private var rules = ResponseRules()

    public init() {}

    private var position: Int {
        get { Int(offset) }
        set { offset = UInt32(truncatingIfNeeded: newValue) }
    }

    /// Whether a byte of a head was read.
    public var hasBegun: Bool { position > 0 }

    /// Forgets a head that was begun, and the interim responses before it.
    public mutating func reset() { self = ResponseHeadParser() }

    /// Reads on.
    ///
    /// - Parameters:
    ///   - bytes: everything received since the end of the last message.
    ///   - head: filled by the call that answers `.complete`.
    public mutating func parse(
        _ bytes: Span<UInt8>, limits: HeadLimits, context: ResponseContext,
        into head: inout ResponseHead
    ) -> ResponseHeadParse {
        let end = min(bytes.count, limits.headBytes)
        isResumed = position > 0
        head.reset()
        while position < end {
            let fault: ResponseFault?
            switch phase {
            case .version:
                if readUsualStatus(bytes, end) { continue }
                fault = scanVersion(bytes[position])
            case .status: fault = scanStatus(bytes[position])
            case .reason: fault = scanReason(bytes, end, &head)
            case .lineEnd:
                guard bytes[position] == Characters.lineFeed else {
                    return .faulty(.bareCarriageReturn)
                }
                section = FieldSection(at: position + 1)
                rules = ResponseRules()
                phase = .fields
                fault = nil
                position += 1
            case .fields: return parseFields(bytes, end, limits, context, &head)
            }
            if let fault { return .faulty(fault) }
        }
        return position < limits.headBytes ? .incomplete : .faulty(.headTooLong)
    }

    /// Takes `HTTP/1.1 `, a status and a space when they are here whole; else nothing.
    private mutating func readUsualStatus(_ bytes: Span<UInt8>, _ end: Int) -> Bool {
        let usual: UInt64 = 0x312e_312f_5054_5448
        guard position == 0, end >= 13, bytes.word(at: 0) == usual,
            bytes[8] == Characters.space, bytes[12] == Characters.space
        else { return false }
        var number: UInt16 = 0
        for index in 9..<12 {
            guard Characters.isDigit(bytes[index]) else { return false }
            number = number * 10 + UInt16(bytes[index] - 0x30)
        }
        guard number >= 100, number <= 599 else { return false }
        version = .http11
        status = number
        position = 13
        reasonOffset = offset
        phase = .reason
        return true
    }

    /// Takes one byte of `HTTP/1.1` and a space.
    private mutating func scanVersion(_ byte: UInt8) -> ResponseFault? {
        let expected: StaticString = "HTTP/1."
        switch position {
        case 0..<7:
            guard byte == expected.bytes[position] else { return .badVersion }
        case 7:
            guard byte == 0x30 || byte == 0x31 else { return .badVersion }
            version = byte == 0x30 ? .http10 : .http11
        default:
            guard byte == Characters.space else { return .badVersion }
            phase = .status
        }
        position += 1
        return nil
    }

    /// Takes one of three digits, or what follows them: a space, or the line's end without any
    /// reason.
    private mutating func scanStatus(_ byte: UInt8) -> ResponseFault? {
        if position < 12 {
            guard Characters.isDigit(byte) else { return .badStatus }
            status = status * 10 + UInt16(byte - 0x30)
            position += 1
            guard position < 12 || (status >= 100 && status <= 599) else {
                return .badStatus
            }
            return nil
        }
        guard byte == Characters.space || byte == Characters.carriageReturn else {
            return byte == Characters.lineFeed ? .bareLineFeed : .badStatus
        }
        position += 1
        reasonOffset = offset
        phase = byte == Characters.space ? .reason : .lineEnd
        return nil
    }

    private mutating func scanReason(
        _ bytes: Span<UInt8>, _ end: Int, _ head: inout ResponseHead
    ) -> ResponseFault? {
        position = Characters.endOfValue(bytes, from: position, to: end)
        guard position < end else { return nil }
        guard bytes[position] == Characters.carriageReturn else {
            return bytes[position] == Characters.lineFeed ? .bareLineFeed : .badReason
        }
        let start = Int(reasonOffset)
        head.reason = ByteRange(start: start, count: position - start)
        position += 1
        phase = .lineEnd
        return nil
    }

    private mutating func parseFields(
        _ bytes: Span<UInt8>, _ end: Int, _ limits: HeadLimits, _ context: ResponseContext,
        _ head: inout ResponseHead
    ) -> ResponseHeadParse {
        let countMax = min(limits.fieldCount, head.fields.capacity)
        while true {
            switch section.next(bytes, end: end, countMax: countMax, into: &head.fields) {
            case .field(let field, _):
                guard field.code != .other else { continue }
                if let fault = rules.note(field, in: bytes) { return .faulty(fault) }
            case .incomplete:
                position = section.position
                return position < limits.headBytes ? .incomplete : .faulty(.headTooLong)
            case .faulty(let fault): return .faulty(fault.responseFault)
            case .end:
                let length = section.position
                guard !isResumed else { return parseAgain(bytes, length, limits, context, &head) }
                head.status = status
                head.version = version
                if let fault = rules.conclude(bytes, context, &head) { return .faulty(fault) }
                return complete(length, head.isInformational)
            }
        }
    }

    /// Reads the whole head in one go, now that its end is known.
    private mutating func parseAgain(
        _ bytes: Span<UInt8>, _ length: Int, _ limits: HeadLimits, _ context: ResponseContext,
        _ head: inout ResponseHead
    ) -> ResponseHeadParse {
        let interim = informational
        self = ResponseHeadParser()
        informational = interim
        return parse(bytes.extracting(first: length), limits: limits, context: context, into: &head)
    }

    private mutating func complete(_ length: Int, _ isInformational: Bool) -> ResponseHeadParse {
        let interim = isInformational ? informational + 1 : 0
        guard interim <= Self.informationalMax else { return .faulty(.endlessInformational) }
        self = ResponseHeadParser()
        informational = interim
        return .complete(length)
    }
}

/// What the fields of a response say about its body and its connection.
struct ResponseRules {
    private var hasConnection = false
    private var upgrade = Upgrade.none
    private var length: UInt64?
    private var coding = CodingList()

    mutating func note(_ field: Field, in bytes: Span<UInt8>) -> ResponseFault? {
        switch field.code {
        case .contentLength:
            guard length == nil else { return .repeatedLength }
            guard let number = DecimalNumber.parse(field.value, in: bytes) else {
                return .badLength
            }
            length = number
        case .transferEncoding:
            guard coding.note(field.value, in: bytes) else { return .badCoding }
        case .connection: hasConnection = true
        case .upgrade:
            let isWebSocket = bytes.equals(field.value, ignoringCase: "websocket")
            upgrade = upgrade == .none && isWebSocket ? .webSocket : .other
        default: break
        }
        return nil
    }

    mutating func conclude(
        _ bytes: Span<UInt8>, _ context: ResponseContext, _ head: inout ResponseHead
    ) -> ResponseFault? {
        if coding.isPresent {
            guard length == nil else { return .lengthAndCoding }
            guard head.version == .http11 else { return .codingInOldVersion }
            guard coding.isChunkedAlone else { return .badCoding }
        }
        var options = ConnectionOptions()
        if hasConnection, !options.readAll(bytes, &head.fields) { options.giveUp() }
        head.contentLength = length
        head.keepsAlive = !options.close && (head.version == .http11 || options.keepAlive)
        head.endsTrailers = options.namedCount > 0
        if head.status < 200 { return concludeInformational(context, head) }
        if context.isHead || head.status == 304 { return nil }
        guard head.status != 204 else {
            // Announced bytes may still come: such a connection must not carry another answer.
            if coding.isPresent || length ?? 0 > 0 { head.keepsAlive = false }
            return nil
        }
        if coding.isPresent {
            head.framing = .chunked
        } else if let length {
            head.framing = .length(length)
        } else {
            head.framing = .untilClose
            head.keepsAlive = false
        }
        return nil
    }

    private func concludeInformational(
        _ context: ResponseContext, _ head: borrowing ResponseHead
    ) -> ResponseFault? {
        guard !coding.isPresent, length ?? 0 == 0 else { return .bodyInInformational }
        guard head.isUpgrade else { return nil }
        guard context.allowsUpgrade else { return .unsolicitedUpgrade }
        switch upgrade {
        case .webSocket: return nil
        case .other: return .otherUpgrade
        case .none: return .upgradeWithoutProtocol
        }
    }
}
