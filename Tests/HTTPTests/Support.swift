import HTTP
import Memory

/// Bytes of a text.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension [UInt8] {
    /// The text a range holds.
    func text(_ range: ByteRange) -> String {
        String(decoding: self[range.indices], as: UTF8.self)
    }
}

/// Runs `body` on a writer of `capacity` bytes and returns what it wrote.
func written(capacity: Int = 1 << 17, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
    defer { unsafe memory.deallocate() }
    var writer = unsafe ByteWriter(unsafeInto: memory)
    body(&writer)
    precondition(!writer.isOverfull)
    let span = writer.written
    return span.indices.map { span[$0] }
}

/// A field as texts.
struct FieldText: Equatable, CustomStringConvertible {
    var name: String
    var value: String
    var isHopByHop: Bool

    var description: String { "\(name): \(value)\(isHopByHop ? " (ends here)" : "")" }
}

func fieldTexts(_ table: borrowing FieldTable, _ bytes: [UInt8]) -> [FieldText] {
    var texts: [FieldText] = []
    for index in 0..<table.count {
        let field = table[index]
        texts.append(
            FieldText(
                name: bytes.text(field.name), value: bytes.text(field.value),
                isHopByHop: field.isHopByHop))
    }
    return texts
}

/// All that a request head says, as a value to compare.
struct RequestSummary: Equatable {
    var length = 0
    var method = ""
    var code = HTTP.Method.other
    var form = TargetForm.origin
    var path = ""
    var query: String?
    var version = Version.http11
    var host = ""
    var hostName = ""
    var port: UInt16 = 0
    var framing = BodyFraming.none
    var keepsAlive = false
    var expectsContinue = false
    var upgrade = Upgrade.none
    var fields: [FieldText] = []
}

enum RequestOutcome: Equatable {
    case incomplete
    case refused(Refusal)
    case complete(RequestSummary)

    var summary: RequestSummary? {
        if case .complete(let summary) = self { summary } else { nil }
    }
}

/// Parses a request whose bytes come in pieces.
///
/// - Parameter cuts: how many bytes are there at each call before the last, rising.
func parseRequest(
    _ bytes: [UInt8], cuts: [Int] = [], limits: HeadLimits = HeadLimits(), capacity: Int = 128
) -> RequestOutcome {
    var parser = RequestHeadParser()
    var head = RequestHead(fieldCapacity: capacity)
    for count in cuts + [bytes.count] {
        // The head belongs to nobody between two calls: another connection's request goes through
        // it.
        var other = RequestHeadParser()
        let foreign = Array("POST /x?y HTTP/1.0\r\nHost: z\r\nUpgrade: q\r\n\r\n".utf8)
        _ = other.parse(foreign.span, limits: HeadLimits(), into: &head)
        switch parser.parse(bytes.span.extracting(first: count), limits: limits, into: &head) {
        case .incomplete: continue
        case .refused(let refusal): return .refused(refusal)
        case .complete(let length): return .complete(summary(head, length, bytes))
        }
    }
    return .incomplete
}

private func summary(
    _ head: borrowing RequestHead, _ length: Int, _ bytes: [UInt8]
) -> RequestSummary {
    RequestSummary(
        length: length, method: bytes.text(head.methodName), code: head.method,
        form: head.targetForm, path: bytes.text(head.path),
        query: head.hasQuery ? bytes.text(head.query) : nil, version: head.version,
        host: bytes.text(head.host), hostName: bytes.text(head.hostName), port: head.hostPort,
        framing: head.framing, keepsAlive: head.keepsAlive,
        expectsContinue: head.expectsContinue, upgrade: head.upgrade,
        fields: fieldTexts(head.fields, bytes))
}

/// All that a response head says, as a value to compare.
struct ResponseSummary: Equatable {
    var length = 0
    var status: UInt16 = 0
    var reason = ""
    var version = Version.http11
    var framing = BodyFraming.none
    var contentLength: UInt64?
    var keepsAlive = false
    var fields: [FieldText] = []
}

enum ResponseOutcome: Equatable {
    case incomplete
    case faulty(ResponseFault)
    case complete(ResponseSummary)

    var summary: ResponseSummary? {
        if case .complete(let summary) = self { summary } else { nil }
    }
}

let plainContext = ResponseContext(isHead: false, allowsUpgrade: false)

func parseResponse(
    _ bytes: [UInt8], cuts: [Int] = [], limits: HeadLimits = HeadLimits(),
    context: ResponseContext = plainContext, capacity: Int = 128
) -> ResponseOutcome {
    var parser = ResponseHeadParser()
    var head = ResponseHead(fieldCapacity: capacity)
    for count in cuts + [bytes.count] {
        var other = ResponseHeadParser()
        let foreign = Array("HTTP/1.0 404 Foreign\r\nContent-Length: 7\r\n\r\n".utf8)
        _ = other.parse(
            foreign.span, limits: HeadLimits(), context: plainContext, into: &head)
        let step = parser.parse(
            bytes.span.extracting(first: count), limits: limits, context: context, into: &head)
        switch step {
        case .incomplete: continue
        case .faulty(let fault): return .faulty(fault)
        case .complete(let length): return .complete(summary(head, length, bytes))
        }
    }
    return .incomplete
}

private func summary(
    _ head: borrowing ResponseHead, _ length: Int, _ bytes: [UInt8]
) -> ResponseSummary {
    ResponseSummary(
        length: length, status: head.status, reason: bytes.text(head.reason),
        version: head.version, framing: head.framing, contentLength: head.contentLength,
        keepsAlive: head.keepsAlive, fields: fieldTexts(head.fields, bytes))
}

/// What came out of a body, as a value to compare.
struct BodySummary: Equatable {
    enum Ending: Equatable {
        /// It goes on.
        case open(BodyFinish)
        /// It ended after so many bytes.
        case ended(Int)
        case faulty(BodyFault)
    }

    var data: [UInt8] = []
    var trailers: [FieldText] = []
    var ending = Ending.open(.truncated)
}

/// Reads a body whose bytes come in pieces, as a connection does: what is not used up stays in the
/// buffer.
func decodeBody(
    _ bytes: [UInt8], _ framing: BodyFraming, cuts: [Int] = [], capacity: Int = 16
) -> BodySummary {
    var decoder = BodyDecoder(framing)
    var table = FieldTable(capacity: capacity)
    var summary = BodySummary()
    var used = 0
    for count in cuts + [bytes.count] {
        reading: while true {
            let rest = Array(bytes[used..<count])
            switch decoder.next(rest.span, trailers: &table) {
            case .data(let range):
                summary.data += rest[range.indices]
                used += range.end
            case .needMore(let consumed):
                used += consumed
                break reading
            case .end(let consumed):
                summary.trailers = fieldTexts(table, rest)
                summary.ending = .ended(used + consumed)
                return summary
            case .faulty(let fault):
                summary.ending = .faulty(fault)
                return summary
            }
        }
    }
    summary.ending = .open(decoder.finish())
    return summary
}

/// A seeded source of numbers (SplitMix64), so that every failure can be played again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
