/// Why a request was refused: the status to answer with and the rule it broke.
///
/// After a refusal nothing that follows on the connection is read as a request. Ambiguous requests
/// are refused whatever another parser might make of them, because a second opinion about where a
/// request ends is an attack.
public enum Refusal: UInt8, CaseIterable, Equatable, Sendable {
    // The request line
    case oddMethod, connectMethod, oddTarget, backslashInPath, oddScheme, badAuthority
    case badVersion, unsupportedVersion, targetTooLong, tooManyEmptyLines
    // Lines and fields
    case bareLineFeed, bareCarriageReturn, lineWithoutColon, emptyName, blankBeforeColon, oddName
    case foldedLine, controlInValue, headTooLong, tooManyFields
    // What fields say
    case ambiguousPath
    case missingHost, repeatedHost, badHost
    case badLength, repeatedLength, lengthAndCoding, badCoding, unknownCoding, codingInOldVersion
    case badConnection, tooManyConnectionOptions, badExpectation
    // What the connection's owner finds
    case headTooSlow, bodyTooLarge, bodyTooSlow, tooBusy
    // The body
    case badChunkSize, badChunkEnd, chunkOverhead, trailersTooLong, badTrailer

    /// The status code of the answer.
    public var status: UInt16 {
        switch self {
        case .headTooSlow, .bodyTooSlow: 408
        case .bodyTooLarge: 413
        case .targetTooLong: 414
        case .headTooLong, .tooManyFields, .tooManyConnectionOptions, .trailersTooLong: 431
        case .unknownCoding: 501
        case .tooBusy: 503
        case .unsupportedVersion: 505
        default: 400
        }
    }

    /// The rule in one line, for the answer's body and the log.
    public var rule: StaticString {
        switch self {
        case .oddMethod: "the method must be capital letters, followed by one space"
        case .connectMethod: "CONNECT is for forward proxies; this is a reverse proxy"
        case .oddTarget: "the target must be a path or an http URL without blanks and controls"
        case .backslashInPath: "a backslash in a path must be percent-encoded"
        case .oddScheme: "the target's scheme must be http or https"
        case .badAuthority: "the target's host must be a name or address with an optional port"
        case .badVersion: "the request line must end in HTTP/1.1 or HTTP/1.0"
        case .unsupportedVersion: "only HTTP/1.1 and HTTP/1.0 are served"
        case .targetTooLong: "the target is longer than limits.target"
        case .tooManyEmptyLines: "too many empty lines before the request"
        case .bareLineFeed: "lines must end in CR LF, not in LF alone"
        case .bareCarriageReturn: "CR must be followed by LF"
        case .lineWithoutColon: "a field line needs a colon"
        case .emptyName: "a field name must not be empty"
        case .blankBeforeColon: "no blank may stand before a field's colon"
        case .oddName: "a field name has a character that is not allowed"
        case .foldedLine: "a field line must not begin with a blank (no line folding)"
        case .controlInValue: "a field value has a control character"
        case .headTooLong: "the head is longer than limits.header"
        case .tooManyFields: "there are more fields than limits.headers"
        case .ambiguousPath: "the path can be read in ways that lead to different places"
        case .missingHost: "HTTP/1.1 needs a Host field"
        case .repeatedHost: "Host must not be repeated"
        case .badHost: "Host must be one name or address with an optional port"
        case .badLength: "Content-Length must be one plain decimal number"
        case .repeatedLength: "Content-Length must not be repeated"
        case .lengthAndCoding: "Content-Length and Transfer-Encoding exclude each other"
        case .badCoding: "Transfer-Encoding must be exactly: chunked"
        case .unknownCoding: "the only transfer coding served is chunked"
        case .codingInOldVersion: "HTTP/1.0 has no Transfer-Encoding"
        case .badConnection: "Connection must be a list of names"
        case .tooManyConnectionOptions: "Connection names too many fields"
        case .badExpectation: "Expect must be exactly: 100-continue"
        case .headTooSlow: "the head did not arrive within timeout.header"
        case .bodyTooLarge: "the body is larger than limits.body"
        case .tooBusy: "there is no memory for another request now"
        case .bodyTooSlow: "the body came slower than timeout.body or timeout.body_rate"
        case .badChunkSize: "a chunk size must be a plain hexadecimal number"
        case .badChunkEnd: "a chunk must end in CR LF after its last byte"
        case .chunkOverhead: "the chunk extensions are too long for the data"
        case .trailersTooLong: "the trailer section is too long"
        case .badTrailer: "the trailer section breaks the rules of field lines"
        }
    }
}

/// What can be wrong with a field line, before it is known whose it is.
enum FieldFault: UInt8 {
    case bareLineFeed, bareCarriageReturn, lineWithoutColon, emptyName, blankBeforeColon, oddName
    case foldedLine, controlInValue, tooManyFields

    var refusal: Refusal {
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
