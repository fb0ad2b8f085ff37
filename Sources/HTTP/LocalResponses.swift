public import Memory

/// The head of a response that the proxy makes itself.
public struct LocalResponse: Sendable {
    public var status: UInt16
    public var keepsAlive: Bool
    public var clientVersion: Version

    public init(status: UInt16, keepsAlive: Bool, clientVersion: Version = .http11) {
        self.status = status
        self.keepsAlive = keepsAlive
        self.clientVersion = clientVersion
    }
}

/// An answer that says what went wrong (the contract's section 4).
public struct ErrorAnswer: Sendable {
    public var response: LocalResponse
    /// A word of RFC 9209 for `Proxy-Status`.
    public var word: StaticString
    /// Seconds for `Retry-After`.
    public var retryAfter: UInt32?
    /// The request was HEAD: the body is announced and left out.
    public var isHead = false

    public init(_ response: LocalResponse, word: StaticString, retryAfter: UInt32? = nil) {
        self.response = response
        self.word = word
        self.retryAfter = retryAfter
    }

    /// The answer to a refused request, which ends the connection.
    public init(_ refusal: Refusal) {
        self.init(
            LocalResponse(status: refusal.status, keepsAlive: false), word: "http_request_error")
    }
}

extension ByteWriter {
    /// Begins the head of a response of our own: status line, `Date`, `X-Request-Id`, `Connection`.
    /// More fields may follow, and an empty line ends it.
    ///
    /// - Parameter dates: false where the configuration decides about `Date`.
    public mutating func begin(
        _ response: LocalResponse, marks: ResponseMarks, dates: Bool = true
    ) {
        write("HTTP/1.1 ")
        write(decimal: UInt64(response.status))
        write(" ")
        write(StatusCode.reason(response.status))
        write("\r\n")
        if dates { write(field: "Date", marks.date) }
        if marks.requestID.count > 0 { write(field: "X-Request-Id", marks.requestID) }
        writeConnection(
            ResponseForwarding(
                framing: .none, keepsAlive: response.keepsAlive,
                clientVersion: response.clientVersion))
    }

    /// Writes an error answer with its body: status and reason, the word, the detail if there is
    /// one, the request id.
    ///
    /// - Parameter detail: one line for people, a refusal's rule for example; may be empty.
    /// - Returns: the bytes of the body; 0 for HEAD.
    @discardableResult
    public mutating func write(
        error answer: ErrorAnswer, detail: Span<UInt8>, marks: ResponseMarks
    ) -> Int {
        begin(answer.response, marks: marks)
        let reason = StatusCode.reason(answer.response.status)
        let count =
            4 + reason.utf8CodeUnitCount + 1 + answer.word.utf8CodeUnitCount + 1
            + (detail.count > 0 ? detail.count + 1 : 0) + 8 + marks.requestID.count + 1
        write("Content-Type: text/plain\r\n")
        write(framing: .length(UInt64(count)))
        write("Proxy-Status: proxy; error=")
        write(answer.word)
        write("\r\n")
        if let seconds = answer.retryAfter {
            write("Retry-After: ")
            write(decimal: UInt64(seconds))
            write("\r\n")
        }
        write("\r\n")
        guard !answer.isHead else { return 0 }
        write(decimal: UInt64(answer.response.status), digits: 3)
        write(" ")
        write(reason)
        write("\n")
        write(answer.word)
        write("\n")
        if detail.count > 0 {
            write(detail)
            write("\n")
        }
        write("request ")
        write(marks.requestID)
        write("\n")
        return count
    }

    /// Writes a redirect.
    ///
    /// - Parameter template: the location, in which `{target}` stands for the request's path and
    ///   query, `{path}` for its path and `{host}` for its host without the port.
    public mutating func write(
        redirect response: LocalResponse, to template: Span<UInt8>, of head: borrowing RequestHead,
        from bytes: Span<UInt8>, origin: RequestOrigin, date: Span<UInt8>
    ) {
        begin(response, marks: ResponseMarks(requestID: origin.requestID, date: date))
        write("Location: ")
        var rest = template
        while rest.count > 0 {
            if rest.starts(with: "{target}") {
                if head.targetForm == .asterisk {
                    write("/")
                } else {
                    write(targetOf: head, from: bytes)
                }
                rest = rest.extracting(droppingFirst: 8)
            } else if rest.starts(with: "{path}") {
                write(pathOf: head, from: bytes)
                rest = rest.extracting(droppingFirst: 6)
            } else if rest.starts(with: "{host}") {
                write(hostOf: head, from: bytes, origin)
                rest = rest.extracting(droppingFirst: 6)
            } else {
                write(rest[0])
                rest = rest.extracting(droppingFirst: 1)
            }
        }
        write("\r\nContent-Length: 0\r\n\r\n")
    }

    private mutating func write(pathOf head: borrowing RequestHead, from bytes: Span<UInt8>) {
        let path = bytes.extracting(head.path.indices)
        if path.count == 0 { write("/") }
        write(path)
    }

    private mutating func write(
        hostOf head: borrowing RequestHead, from bytes: Span<UInt8>, _ origin: RequestOrigin
    ) {
        guard head.hostName.isEmpty else { return write(bytes.extracting(head.hostName)) }
        let whole = ByteRange(start: 0, count: origin.authority.count)
        let name = Authority(whole, in: origin.authority)?.name ?? whole
        write(origin.authority.extracting(name))
    }

    /// Writes the head of a configured answer (`respond`); the body follows, but for HEAD.
    public mutating func write(
        fixed response: LocalResponse, bodyBytes: Int, edits: FieldEdits,
        marks: ResponseMarks
    ) {
        begin(response, marks: marks, dates: !edits.governs(.date))
        edits.write(to: &self)
        if response.status != 204, response.status != 304 {
            write(framing: .length(UInt64(bodyBytes)))
        }
        write("\r\n")
    }
}

extension Span<UInt8> {
    func starts(with text: StaticString) -> Bool {
        let other = text.bytes
        guard count >= other.count else { return false }
        for index in other.indices where self[index] != other[index] { return false }
        return true
    }
}
