/// Compiles the expression of a filter; the grammar stands at `EventFilter`.
struct EventFilterParser {
    private enum Token: Equatable {
        case end
        case open
        case close
        case not
        case and
        case or
        case comparison(EventFilter.Comparison)
        case value(EventFilter.Value)
        case name([String])
    }

    private let source: [UInt8]
    private var position = 0
    private var token = Token.end
    /// Where `token` begins.
    private var start = 0
    private var depth = 0

    init(_ source: [UInt8]) {
        self.source = source
    }

    mutating func parse() throws(EventFilterError) -> EventFilter.Node {
        guard source.count <= EventFilter.sourceBytesMax else {
            throw EventFilterError(
                column: EventFilter.sourceBytesMax + 1,
                message: "longer than \(EventFilter.sourceBytesMax) bytes")
        }
        try advance()
        let node = try expression()
        guard token == .end else { throw failure("and, or, or the end is expected here") }
        return node
    }

    private mutating func expression() throws(EventFilterError) -> EventFilter.Node {
        var node = try term()
        while token == .or {
            try advance()
            node = .or(node, try term())
        }
        return node
    }

    private mutating func term() throws(EventFilterError) -> EventFilter.Node {
        var node = try factor()
        while token == .and {
            try advance()
            node = .and(node, try factor())
        }
        return node
    }

    private mutating func factor() throws(EventFilterError) -> EventFilter.Node {
        guard token == .not else { return try comparison() }
        try enter()
        defer { depth -= 1 }
        try advance()
        return .not(try factor())
    }

    private mutating func comparison() throws(EventFilterError) -> EventFilter.Node {
        let one = try operand()
        guard case .comparison(let comparison) = token else { return one }
        try advance()
        let node = EventFilter.Node.comparison(comparison, one, try operand())
        if case .comparison = token { throw failure("comparisons are not chained; use and") }
        return node
    }

    private mutating func operand() throws(EventFilterError) -> EventFilter.Node {
        switch token {
        case .value(let value):
            try advance()
            return .value(value)
        case .name(let path):
            guard SignalKeys.all.contains(path.joined(separator: ".")) else {
                throw failure("no signal carries \(path.joined(separator: "."))")
            }
            try advance()
            return .name(path.map { Array($0.utf8) })
        case .open:
            try enter()
            defer { depth -= 1 }
            try advance()
            let node = try expression()
            guard token == .close else { throw failure("a closing parenthesis is missing") }
            try advance()
            return node
        case .end: throw failure("a value is missing")
        case .close, .not, .and, .or, .comparison: throw failure("a value is expected here")
        }
    }

    private mutating func enter() throws(EventFilterError) {
        depth += 1
        guard depth <= EventFilter.depthMax else {
            throw failure("more than \(EventFilter.depthMax) levels")
        }
    }

    private func failure(_ message: String) -> EventFilterError {
        EventFilterError(column: start + 1, message: message)
    }

    // MARK: tokens

    private var next: UInt8? { position < source.count ? source[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func advance() throws(EventFilterError) {
        while next == 0x20 || next == 0x09 { position += 1 }
        start = position
        guard let byte = next else {
            token = .end
            return
        }
        switch byte {
        case 0x22, 0x27: token = .value(.text(try string()))
        case 0x2D, 0x2E, 0x30...0x39: token = .value(.number(try number()))
        case 0x41...0x5A, 0x5F, 0x61...0x7A: token = word()
        default:
            position += 1
            token = try symbol(byte)
        }
    }

    private mutating func symbol(_ byte: UInt8) throws(EventFilterError) -> Token {
        switch byte {
        case 0x28: return .open
        case 0x29: return .close
        case 0x21: return take(0x3D) ? .comparison(.unequal) : .not
        case 0x3C: return .comparison(take(0x3D) ? .lessOrEqual : .less)
        case 0x3E: return .comparison(take(0x3D) ? .greaterOrEqual : .greater)
        case 0x3D where take(0x3D): return .comparison(.equal)
        case 0x3D: throw failure("= is not a comparison; use ==")
        case 0x26 where take(0x26): return .and
        case 0x7C where take(0x7C): return .or
        default: throw failure("a character that means nothing here")
        }
    }

    private mutating func word() -> Token {
        while let byte = next, isWordByte(byte) || byte == 0x2E { position += 1 }
        let text = String(decoding: source[start..<position], as: UTF8.self)
        switch text {
        case "and": return .and
        case "or": return .or
        case "not": return .not
        case "true": return .value(.flag(true))
        case "false": return .value(.flag(false))
        case "null": return .value(.null)
        default:
            return .name(
                text.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
        }
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: false
        }
    }

    private mutating func number() throws(EventFilterError) -> Double {
        position += 1
        while let byte = next {
            let isSign = byte == 0x2B || byte == 0x2D
            guard isWordByte(byte) || byte == 0x2E || isSign && source[position - 1] | 0x20 == 0x65
            else { break }
            position += 1
        }
        let text = String(decoding: source[start..<position], as: UTF8.self)
        let isPlain = text.utf8.allSatisfy { $0 < 0x3A || $0 | 0x20 == 0x65 }
        guard isPlain, let value = Double(text), value.isFinite else {
            throw failure("\(text) is not a number")
        }
        return value
    }

    /// A string in either kind of quotes, in which a backslash takes the next character as it is.
    private mutating func string() throws(EventFilterError) -> [UInt8] {
        let quote = source[position]
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            if byte == quote { return text }
            if byte == 0x5C {
                guard let escaped = next else { break }
                position += 1
                text.append(escaped)
            } else {
                text.append(byte)
            }
        }
        throw failure("the closing quote is missing")
    }
}

/// The keys of all signals' data, so that a misspelt name in a filter is an error and not silence.
enum SignalKeys {
    static let all: Set<String> = [
        "time", "id", "remote", "remote_port", "scheme", "host", "method", "target", "protocol",
        "status", "request_bytes", "response_bytes", "duration", "queue", "connect", "first_byte",
        "service", "endpoint", "worker", "pid", "retries", "connection", "connection_requests",
        "referer", "user_agent", "tls", "tls.version", "tls.cipher", "tls.group", "tls.resumed",
        "tls.sni", "tls.alpn", "outcome", "error", "origin", "type", "message", "traceback",
        "requests", "received_bytes", "sent_bytes", "reason", "alert", "sni", "version",
        "cipher", "group", "resumed", "alpn", "seconds",
        "generation", "differences", "diagnostics", "count",
    ]
}
