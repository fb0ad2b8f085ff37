public import Memory

/// A response's head as ranges of the bytes it was parsed from; made once, reused for every
/// response.
public struct ResponseHead: ~Copyable {
    /// From 100 to 599.
    public internal(set) var status: UInt16 = 0
    public internal(set) var reason = ByteRange.empty
    public internal(set) var version = Version.http11
    /// How the body ends; `none` for HEAD, 1xx, 204 and 304 whatever the fields say (RFC 9112
    /// section 6.3).
    public internal(set) var framing = BodyFraming.none
    /// What `Content-Length` says, also where no body follows (HEAD, 304).
    public internal(set) var contentLength: UInt64?
    /// Whether the upstream connection can be used again once the body was read to its end and
    /// nothing is left over.
    public internal(set) var keepsAlive = false
    /// As a request's.
    public internal(set) var endsTrailers = false
    public internal(set) var fields: FieldTable

    /// A 1xx response other than 101: the final one follows it.
    @inlinable public var isInformational: Bool { status < 200 && status != 101 }

    /// The protocol changes: what follows is no HTTP.
    @inlinable public var isUpgrade: Bool { status == 101 }

    /// - Parameter fieldCapacity: the most fields.
    public init(fieldCapacity: Int) { fields = FieldTable(capacity: fieldCapacity) }

    /// Forgets everything and keeps the memory.
    public mutating func reset() {
        status = 0
        reason = .empty
        version = .http11
        framing = .none
        contentLength = nil
        keepsAlive = false
        endsTrailers = false
        fields.removeAll()
    }
}

/// What the request said that the response's meaning depends on.
public struct ResponseContext: Sendable {
    /// The request was HEAD: no body follows.
    public var isHead: Bool
    /// The request asked for WebSocket, so that a 101 is expected, and one to WebSocket alone (RFC
    /// 9110 section 7.8).
    public var allowsUpgrade: Bool

    public init(isHead: Bool, allowsUpgrade: Bool) {
        self.isHead = isHead
        self.allowsUpgrade = allowsUpgrade
    }
}

/// Why an upstream's answer is no good: the client gets 502 and the connection is never used again.
public enum ResponseFault: UInt8, CaseIterable, Equatable, Sendable {
    case badVersion, badStatus, badReason
    case bareLineFeed, bareCarriageReturn, lineWithoutColon, emptyName, blankBeforeColon, oddName
    case foldedLine, controlInValue
    /// `http_response_header_section_size` of RFC 9209.
    case headTooLong
    /// As `headTooLong`.
    case tooManyFields
    case badLength, repeatedLength, lengthAndCoding, badCoding, codingInOldVersion
    case bodyInInformational, unsolicitedUpgrade, upgradeWithoutProtocol, otherUpgrade
    case endlessInformational

    /// Whether the head was longer than allowed rather than wrong.
    public var isTooLong: Bool { self == .headTooLong || self == .tooManyFields }

    /// What was wrong in one line, for the log.
    public var rule: StaticString {
        switch self {
        case .badVersion: "the status line must begin with HTTP/1.1 or HTTP/1.0"
        case .badStatus: "the status code must be three digits from 100 to 599"
        case .badReason: "the reason phrase has a control character"
        case .bareLineFeed: "lines must end in CR LF, not in LF alone"
        case .bareCarriageReturn: "CR must be followed by LF"
        case .lineWithoutColon: "a field line needs a colon"
        case .emptyName: "a field name must not be empty"
        case .blankBeforeColon: "no blank may stand before a field's colon"
        case .oddName: "a field name has a character that is not allowed"
        case .foldedLine: "a field line must not begin with a blank (no line folding)"
        case .controlInValue: "a field value has a control character"
        case .headTooLong: "the head is longer than limits.upstream_header"
        case .tooManyFields: "there are more than 1024 fields, the most that a head can have"
        case .badLength: "Content-Length must be one decimal number"
        case .repeatedLength: "Content-Length must not be repeated"
        case .lengthAndCoding: "Content-Length and Transfer-Encoding exclude each other"
        case .badCoding: "Transfer-Encoding must be exactly: chunked"
        case .codingInOldVersion: "HTTP/1.0 has no Transfer-Encoding"
        case .bodyInInformational: "a 1xx response must not announce a body"
        case .unsolicitedUpgrade: "101 was not asked for"
        case .upgradeWithoutProtocol: "101 needs an Upgrade field"
        case .otherUpgrade: "101 must change to the protocol that was asked for: websocket"
        case .endlessInformational: "too many 1xx responses"
        }
    }
}

extension FieldFault {
    var responseFault: ResponseFault {
        switch self {
        case .bareLineFeed: .bareLineFeed
        case .bareCarriageReturn: .bareCarriageReturn
        case .lineWithoutColon: .lineWithoutColon
        case .emptyName: .emptyName
        case .blankBeforeColon: .blankBeforeColon
        case .oddName: .oddName
        case .foldedLine: .foldedLine
        case .controlInValue: .controlInValue
        case .tooManyFields: .tooManyFields
        }
    }
}
