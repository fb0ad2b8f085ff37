import Memory

/// What came of the bytes given to a head parser.
public enum HeadParse: Equatable, Sendable {
    /// The head goes on; call again with the same bytes and more.
    case incomplete
    /// The head ends here: its length in bytes, empty lines before it included.
    case complete(Int)
    case refused(Refusal)
}

/// Reads one request head (RFC 9112 sections 3 and 5) and refuses everything that is ambiguous.
///
/// Stops where the bytes stop and goes on there: each call gets the same bytes from the head's
/// beginning, and more. What it answers does not depend on where they were cut. After `.complete`
/// it is ready for the next head, in a span that begins behind this one; after `.refused` the
/// connection is over.
///
/// The state is small, and the head belongs to nobody between two calls: one head serves all
/// connections of a loop. A head that came in pieces is read a second time, once, when its end is
/// there, so that no byte is read more than twice.
public struct RequestHeadParser: Sendable {
    /// Empty lines that are skipped before a request (RFC 9112 section 2.2); old clients send one
    /// behind a body.
    public static let emptyLinesMax = 4
    /// The longest registered method has 17 letters.
    public static let methodBytesMax = 32

    private enum Phase: UInt8 { case start, emptyLineEnd, method, target, version, fields }

    private var phase = Phase.start
    private var method = Method.other
    private var emptyLines: UInt8 = 0
    private var minorDigit: UInt8 = 0
    private var isResumed = false
    private var offset: UInt32 = 0
    private var markOffset: UInt32 = 0
    private var queryOffset: UInt32 = .max
    private var section = FieldSection(at: 0)
    private var rules = RequestRules()

    public init() {}

    private var position: Int {
        get { Int(offset) }
        set { offset = UInt32(truncatingIfNeeded: newValue) }
    }

    private var mark: Int {
        get { Int(markOffset) }
        set { markOffset = UInt32(truncatingIfNeeded: newValue) }
    }

    /// Whether a byte of a request was read: the connection is not idle (408 may be answered).
    public var hasBegun: Bool { phase.rawValue > Phase.emptyLineEnd.rawValue }

    /// Forgets a head that was begun.
    public mutating func reset() { self = RequestHeadParser() }

    /// Reads on.
    ///
    /// - Parameters:
    ///   - bytes: everything received since the end of the last message.
    ///   - head: filled by the call that answers `.complete`.
    public mutating func parse(
        _ bytes: Span<UInt8>, limits: HeadLimits, into head: inout RequestHead
    ) -> HeadParse {
        let end = min(bytes.count, limits.headBytes)
        isResumed = phase != .start || emptyLines > 0
        head.reset()
        while position < end {
            let refusal: Refusal?
            switch phase {
            case .start, .emptyLineEnd: refusal = skipEmptyLine(bytes[position])
            case .method: refusal = scanMethod(bytes, end, &head)
            case .target: refusal = scanTarget(bytes, end, limits.targetBytes, &head)
            case .version:
                if readUsualVersion(bytes, end, &head) { continue }
                refusal = scanVersion(bytes, &head)
            case .fields: return parseFields(bytes, end, limits, &head)
            }
            if let refusal { return .refused(refusal) }
        }
        return position < limits.headBytes ? .incomplete : .refused(.headTooLong)
    }

    private mutating func skipEmptyLine(_ byte: UInt8) -> Refusal? {
        if phase == .emptyLineEnd {
            guard byte == Characters.lineFeed else { return .bareCarriageReturn }
            position += 1
            emptyLines += 1
            phase = .start
            return emptyLines > Self.emptyLinesMax ? .tooManyEmptyLines : nil
        }
        guard byte != Characters.carriageReturn else {
            position += 1
            phase = .emptyLineEnd
            return nil
        }
        guard byte != Characters.lineFeed else { return .bareLineFeed }
        mark = position
        phase = .method
        return nil
    }

    private mutating func scanMethod(
        _ bytes: Span<UInt8>, _ end: Int, _ head: inout RequestHead
    ) -> Refusal? {
        var position = self.position
        let stop = min(end, mark + Self.methodBytesMax + 1)
        while position < stop, Self.isMethodByte(bytes[position]) { position &+= 1 }
        self.position = position
        guard position - mark <= Self.methodBytesMax else { return .oddMethod }
        guard position < end else { return nil }
        guard bytes[position] == Characters.space, position > mark else { return .oddMethod }
        head.methodName = ByteRange(start: mark, count: position - mark)
        method = Method(head.methodName, in: bytes)
        self.position = position + 1
        mark = position + 1
        phase = .target
        return nil
    }

    private static func isMethodByte(_ byte: UInt8) -> Bool {
        byte &- 0x41 < 26 || byte == 0x2d || byte == 0x5f
    }

    private mutating func scanTarget(
        _ bytes: Span<UInt8>, _ end: Int, _ targetBytes: Int, _ head: inout RequestHead
    ) -> Refusal? {
        var position = self.position
        let stop = min(end, mark + targetBytes + 1)
        while position < stop {
            let kind = Characters.target[Int(bytes[position])]
            if kind != 1 {
                if kind == 0 { break }
                if queryOffset == .max {
                    guard kind == 2 else { return .backslashInPath }
                    queryOffset = UInt32(truncatingIfNeeded: position)
                }
            }
            position &+= 1
        }
        self.position = position
        guard position - mark <= targetBytes else { return .targetTooLong }
        guard position < end else { return nil }
        guard bytes[position] == Characters.space, position > mark else { return .oddTarget }
        head.target = ByteRange(start: mark, count: position - mark)
        self.position = position + 1
        head.method = method
        let queryMark = queryOffset == .max ? nil : Int(queryOffset)
        if let refusal = head.readTarget(bytes, queryMark: queryMark) { return refusal }
        mark = position + 1
        phase = .version
        return nil
    }

    /// Takes `HTTP/1.1` CR LF when it is here whole; else nothing.
    private mutating func readUsualVersion(
        _ bytes: Span<UInt8>, _ end: Int, _ head: inout RequestHead
    ) -> Bool {
        let usual: UInt64 = 0x312e_312f_5054_5448
        guard position == mark, position + 10 <= end, bytes.word(at: position) == usual,
            bytes[position + 8] == Characters.carriageReturn,
            bytes[position + 9] == Characters.lineFeed
        else { return false }
        head.version = .http11
        position += 10
        beginFields()
        return true
    }

    private mutating func beginFields() {
        section = FieldSection(at: position)
        rules = RequestRules()
        phase = .fields
    }

    /// Takes one byte of `HTTP/1.1` CR LF.
    private mutating func scanVersion(_ bytes: Span<UInt8>, _ head: inout RequestHead) -> Refusal? {
        let byte = bytes[position]
        let offset = position - mark
        position += 1
        switch offset {
        case 0..<7:
            let expected: StaticString = "HTTP/1."
            return byte == expected.bytes[offset] ? nil : .badVersion
        case 7:
            guard Characters.isDigit(byte) else { return .badVersion }
            minorDigit = byte
            head.version = byte == 0x30 ? .http10 : .http11
            return nil
        case 8:
            guard byte == Characters.carriageReturn else {
                return byte == Characters.lineFeed ? .bareLineFeed : .badVersion
            }
            return minorDigit <= 0x31 ? nil : .unsupportedVersion
        default:
            guard byte == Characters.lineFeed else { return .bareCarriageReturn }
            beginFields()
            return nil
        }
    }

    private mutating func parseFields(
        _ bytes: Span<UInt8>, _ end: Int, _ limits: HeadLimits, _ head: inout RequestHead
    ) -> HeadParse {
        let countMax = min(limits.fieldCount, head.fields.capacity)
        while true {
            switch section.next(bytes, end: end, countMax: countMax, into: &head.fields) {
            case .field(let field, let hasPadding):
                guard field.code != .other else { continue }
                if let refusal = rules.note(field, padding: hasPadding, in: bytes, &head) {
                    return .refused(refusal)
                }
            case .incomplete:
                position = section.position
                return position < limits.headBytes ? .incomplete : .refused(.headTooLong)
            case .faulty(let fault): return .refused(fault.refusal)
            case .end:
                let length = section.position
                guard !isResumed else { return parseAgain(bytes, length, limits, &head) }
                if let refusal = rules.conclude(bytes, &head) { return .refused(refusal) }
                self = RequestHeadParser()
                return .complete(length)
            }
        }
    }

    /// Reads the whole head in one go, now that its end is known.
    private mutating func parseAgain(
        _ bytes: Span<UInt8>, _ length: Int, _ limits: HeadLimits, _ head: inout RequestHead
    ) -> HeadParse {
        self = RequestHeadParser()
        return parse(bytes.extracting(first: length), limits: limits, into: &head)
    }
}

extension Method {
    init(_ name: ByteRange, in bytes: Span<UInt8>) {
        var word: UInt64 = 0
        guard name.count <= 7 else {
            self = .other
            return
        }
        for index in name.indices { word = word << 8 | UInt64(bytes[index]) }
        switch word {
        case 0x474554: self = .get
        case 0x4845_4144: self = .head
        case 0x504f_5354: self = .post
        case 0x505554: self = .put
        case 0x4445_4c45_5445: self = .delete
        case 0x43_4f4e_4e45_4354: self = .connect
        case 0x4f_5054_494f_4e53: self = .options
        case 0x54_5241_4345: self = .trace
        case 0x50_4154_4348: self = .patch
        default: self = .other
        }
    }
}
