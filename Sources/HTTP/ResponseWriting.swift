public import Memory

/// How a response is sent to the client.
public struct ResponseForwarding: Sendable {
    /// How the body is framed on the client's connection.
    public var framing: BodyFraming
    /// Keep the client's connection for its next request; not with `untilClose`.
    public var keepsAlive: Bool
    /// The version of the client's request.
    public var clientVersion: Version

    public init(framing: BodyFraming, keepsAlive: Bool, clientVersion: Version) {
        self.framing = framing
        self.keepsAlive = keepsAlive && framing != .untilClose
        self.clientVersion = clientVersion
    }

    /// The framing that says where a response ends to a client of that version: a body of unknown
    /// length is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0.
    public init(_ head: borrowing ResponseHead, clientVersion: Version, keepsAlive: Bool) {
        switch head.framing {
        case .none, .length:
            self.init(
                framing: head.framing, keepsAlive: keepsAlive, clientVersion: clientVersion)
        case .chunked, .untilClose:
            self.init(
                framing: clientVersion == .http11 ? .chunked : .untilClose, keepsAlive: keepsAlive,
                clientVersion: clientVersion)
        }
    }
}

/// What every response of this proxy carries.
public struct ResponseMarks: ~Escapable {
    public let requestID: Span<UInt8>
    /// The date now, as `write(httpDate:)` writes it.
    public let date: Span<UInt8>

    @_lifetime(copy requestID, copy date)
    public init(requestID: Span<UInt8>, date: Span<UInt8>) {
        self.requestID = requestID
        self.date = date
    }
}

extension ByteWriter {
    /// Writes the head that goes to the client: a final response's, or that of a 101.
    ///
    /// Check `isOverfull` afterwards.
    ///
    /// - Parameters:
    ///   - bytes: the span `head` was parsed from.
    ///   - edits: what the route sets and removes.
    public mutating func write(
        response head: borrowing ResponseHead, from bytes: Span<UInt8>,
        as forwarding: ResponseForwarding, marks: ResponseMarks, edits: FieldEdits
    ) {
        // An HTTP/1.1 status line with a reason is what would be written.
        let isPlain = head.version == .http11 && !head.reason.isEmpty
        if !isPlain { writeStatusLine(head, from: bytes) }
        var dropped = FieldNameSet.rewrittenInResponses
        if forwarding.framing != .chunked { dropped.insert(.trailer) }
        write(
            fields: head.fields, behind: isPlain ? head.reason.end + 2 : 0, from: bytes,
            dropping: dropped, edits: edits)
        edits.write(to: &self)
        if !edits.governs(.date), head.fields.first(.date) == nil {
            write(field: "Date", marks.date)
        }
        write(field: "X-Request-Id", marks.requestID)
        if !edits.governs(.via) { write("Via: 1.1 proxy\r\n") }
        if head.isUpgrade {
            write("Connection: Upgrade\r\n")
            if let upgrade = head.fields.first(.upgrade) {
                write(field: "Upgrade", bytes.extracting(upgrade.value))
            }
        } else {
            if let length = head.lengthWithoutBody {
                write(framing: .length(length))
            } else {
                write(framing: forwarding.framing)
            }
            writeConnection(forwarding)
        }
        write("\r\n")
    }

    /// Writes the head of an interim response (103 …), for HTTP/1.1 clients only (RFC 9110 section
    /// 15.2).
    ///
    /// - Parameter edits: what the route sets and removes: neither passes, and nothing is set here.
    public mutating func write(
        informational head: borrowing ResponseHead, from bytes: Span<UInt8>, edits: FieldEdits
    ) {
        writeStatusLine(head, from: bytes)
        write(fields: head.fields, from: bytes, dropping: .rewrittenInResponses, edits: edits)
        write("\r\n")
    }

    /// Tells the client to send its body (RFC 9110 section 15.2.1).
    public mutating func writeContinue() { write("HTTP/1.1 100 Continue\r\n\r\n") }

    private mutating func writeStatusLine(
        _ head: borrowing ResponseHead, from bytes: Span<UInt8>
    ) {
        write("HTTP/1.1 ")
        write(decimal: UInt64(head.status))
        write(" ")
        if head.reason.isEmpty {
            write(StatusCode.reason(head.status))
        } else {
            write(bytes.extracting(head.reason))
        }
        write("\r\n")
    }

    mutating func writeConnection(_ forwarding: ResponseForwarding) {
        if !forwarding.keepsAlive {
            write("Connection: close\r\n")
        } else if forwarding.clientVersion == .http10 {
            write("Connection: keep-alive\r\n")
        }
    }
}

extension ResponseHead {
    /// What `Content-Length` said of a body that does not follow (RFC 9110 section 8.6).
    var lengthWithoutBody: UInt64? {
        framing == .none && status != 204 && status >= 200 ? contentLength : nil
    }
}

extension FieldNameSet {
    /// Names that this proxy writes anew in every response.
    static var rewrittenInResponses: FieldNameSet {
        FieldNameSet(bits: bit(.contentLength) | bit(.xRequestID))
    }
}
