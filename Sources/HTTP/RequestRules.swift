import Memory

/// What the fields of a request say about its host, its body and its connection, and the rules they
/// must keep.
///
/// Field by field while the head is read, so that a refusal comes as early as possible; the rest at
/// the end.
struct RequestRules {
    /// More names than this in `Connection` are an attack on the time it takes to look for them.
    static let connectionOptionsMax = 32

    private var hasHost = false
    private var hasConnection = false
    private var hasUpgrade = false
    private var hasExpectation = false
    private var length: UInt64?
    private var coding = CodingList()

    /// Takes note of a field that was just read.
    ///
    /// - Parameter padding: more blanks stand around the value than the one space everybody sends.
    mutating func note(
        _ field: Field, padding: Bool, in bytes: Span<UInt8>, _ head: inout RequestHead
    ) -> Refusal? {
        switch field.code {
        case .host: return noteHost(field.value, in: bytes, &head)
        case .contentLength:
            guard length == nil else { return .repeatedLength }
            guard !padding, let number = DecimalNumber.parse(field.value, in: bytes) else {
                return .badLength
            }
            length = number
        case .transferEncoding:
            guard !padding, coding.note(field.value, in: bytes) else { return .badCoding }
        case .connection: hasConnection = true
        case .upgrade:
            head.upgrade =
                !hasUpgrade && bytes.equals(field.value, ignoringCase: "websocket")
                ? .webSocket : .other
            hasUpgrade = true
        case .expect:
            guard !hasExpectation, bytes.equals(field.value, ignoringCase: "100-continue") else {
                return .badExpectation
            }
            hasExpectation = true
        default: break
        }
        return nil
    }

    private mutating func noteHost(
        _ value: ByteRange, in bytes: Span<UInt8>, _ head: inout RequestHead
    ) -> Refusal? {
        guard !hasHost else { return .repeatedHost }
        guard let authority = Authority(value, in: bytes) else { return .badHost }
        hasHost = true
        if head.targetForm != .absolute { head.setHost(value, authority) }
        return nil
    }

    /// Decides what the whole head means.
    mutating func conclude(_ bytes: Span<UInt8>, _ head: inout RequestHead) -> Refusal? {
        let isOld = head.version == .http10
        guard hasHost || isOld else { return .missingHost }
        if let refusal = concludeFraming(isOld: isOld, &head) { return refusal }
        var options = ConnectionOptions()
        if hasConnection {
            guard options.readAll(bytes, &head.fields) else { return .badConnection }
            guard options.namedCount <= Self.connectionOptionsMax else {
                return .tooManyConnectionOptions
            }
        }
        head.keepsAlive = !options.close && (!isOld || options.keepAlive)
        head.endsTrailers = options.namedCount > 0
        head.expectsContinue = hasExpectation && !isOld && head.framing.hasBody
        concludeUpgrade(isAsked: options.upgrade && !isOld, &head)
        return nil
    }

    private func concludeFraming(isOld: Bool, _ head: inout RequestHead) -> Refusal? {
        guard coding.isPresent else {
            if let length { head.framing = length == 0 ? .none : .length(length) }
            return nil
        }
        guard length == nil else { return .lengthAndCoding }
        guard !isOld else { return .codingInOldVersion }
        guard coding.isChunkedAlone else { return coding.isUnknown ? .unknownCoding : .badCoding }
        head.framing = .chunked
        return nil
    }

    private func concludeUpgrade(isAsked: Bool, _ head: inout RequestHead) {
        guard hasUpgrade else { return }
        guard isAsked else {
            head.upgrade = .none
            return
        }
        if head.method != .get || head.framing != .none { head.upgrade = .other }
    }
}

extension BodyFraming {
    /// Whether bytes follow the head (a length of 0 is `none` in requests).
    @inlinable public var hasBody: Bool {
        switch self {
        case .none, .length(0): false
        default: true
        }
    }
}

/// Reads a plain decimal number: digits alone.
enum DecimalNumber {
    /// 18 digits stay below 2^60: sums and differences of lengths never overflow.
    static let digitsMax = 18

    static func parse(_ range: ByteRange, in bytes: Span<UInt8>) -> UInt64? {
        guard !range.isEmpty, range.count <= digitsMax else { return nil }
        var number: UInt64 = 0
        for index in range.indices {
            guard Characters.isDigit(bytes[index]) else { return nil }
            number = number &* 10 &+ UInt64(bytes[index] &- 0x30)
        }
        return number
    }
}

/// The transfer codings of one message over all its `Transfer-Encoding` fields (RFC 9112 section
/// 6.1).
struct CodingList {
    private(set) var isPresent = false
    private var chunkedCount = 0
    private var hasOther = false
    private var endsInChunked = false

    /// Nothing but one `chunked`.
    var isChunkedAlone: Bool { chunkedCount == 1 && !hasOther }

    /// A well-formed list with a coding that is not served, and with `chunked`, if at all, only at
    /// its end.
    var isUnknown: Bool { hasOther && (chunkedCount == 0 || (chunkedCount == 1 && endsInChunked)) }

    /// - Returns: false when the value is no list of codings.
    mutating func note(_ value: ByteRange, in bytes: Span<UInt8>) -> Bool {
        isPresent = true
        var list = ListScanner(value)
        while let element = list.next(in: bytes) {
            if bytes.equals(element, ignoringCase: "chunked") {
                chunkedCount += 1
                endsInChunked = true
            } else {
                guard Self.isCoding(element, in: bytes) else { return false }
                hasOther = true
                endsInChunked = false
            }
        }
        return true
    }

    /// A token, or a token with parameters (`gzip;q=1`) whose name is not `chunked`.
    private static func isCoding(_ element: ByteRange, in bytes: Span<UInt8>) -> Bool {
        var end = Int(element.start)
        while end < element.end, Characters.token[Int(bytes[end])] != 0 { end += 1 }
        let name = ByteRange(start: Int(element.start), count: end - Int(element.start))
        guard !name.isEmpty, !bytes.equals(name, ignoringCase: "chunked") else { return false }
        for index in end..<element.end {
            let byte = bytes[index]
            let isSeparator = byte == 0x3b || byte == 0x3d || byte == 0x22
            guard isSeparator || Characters.isBlank(byte) || Characters.token[Int(byte)] != 0
            else { return false }
        }
        return end == element.end || bytes[end] == 0x3b
            || Characters.isBlank(bytes[end])
                && element.indices.contains(where: { bytes[$0] == 0x3b })
    }
}

/// The options of all `Connection` fields (RFC 9110 section 7.6.1).
struct ConnectionOptions {
    fileprivate(set) var close = false
    private(set) var keepAlive = false
    private(set) var upgrade = false
    /// Options that name fields.
    fileprivate(set) var namedCount = 0

    /// Reads the options and marks the fields they name.
    ///
    /// - Returns: false when one is no token.
    mutating func readAll(_ bytes: Span<UInt8>, _ fields: inout FieldTable) -> Bool {
        for index in 0..<fields.count where fields[index].code == .connection {
            let value = fields[index].value
            if bytes.equals(value, ignoringCase: "keep-alive") {
                keepAlive = true
                continue
            }
            var list = ListScanner(value)
            while let option = list.next(in: bytes) {
                guard !option.isEmpty else { continue }
                guard bytes.isToken(option) else { return false }
                note(option, bytes, &fields)
            }
        }
        return true
    }

    private mutating func note(
        _ option: ByteRange, _ bytes: Span<UInt8>, _ fields: inout FieldTable
    ) {
        if bytes.equals(option, ignoringCase: "close") {
            close = true
        } else if bytes.equals(option, ignoringCase: "keep-alive") {
            keepAlive = true
        } else if bytes.equals(option, ignoringCase: "upgrade") {
            upgrade = true
        } else {
            namedCount += 1
            guard namedCount <= RequestRules.connectionOptionsMax else { return }
            for index in 0..<fields.count
            where !FieldNameSet.neverHopByHop.contains(fields[index].code)
                && bytes.equals(fields[index].name, ignoringCase: option)
            {
                fields.markHopByHop(at: index)
            }
        }
    }
}

extension FieldNameSet {
    /// Names that `Connection` cannot switch off: this proxy decides about them itself.
    static var neverHopByHop: FieldNameSet {
        FieldNameSet(
            bits:
                bit(.host) | bit(.contentLength) | bit(.via) | bit(.forwarded) | bit(.xForwardedFor)
                | bit(.xForwardedProto) | bit(.xForwardedHost) | bit(.xForwardedPort)
                | bit(.xForwardedPrefix) | bit(.xRequestID) | bit(.expect) | bit(.setCookie))
    }
}

extension ConnectionOptions {
    /// The options could not be read: the connection is not to be kept, and fields may be named.
    mutating func giveUp() {
        close = true
        namedCount += 1
    }
}
