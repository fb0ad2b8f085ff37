/// Finds one value in a JSON object without building the rest.
///
/// Made for the lines of this module; anything else gives null or a value, and never traps: the
/// fuzz test drives it with damaged lines.
struct JSONScanner: ~Escapable {
    /// Objects and lists within each other: our own data has two levels.
    private static let depthMax = 16

    private let bytes: Span<UInt8>
    private var position = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    /// The value at a path of keys, null when there is none.
    @_lifetime(self: copy self)
    mutating func value(at path: [[UInt8]]) -> EventFilter.Value {
        for key in path {
            guard enterValue(of: key) else { return .null }
        }
        return value()
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    @_lifetime(self: copy self)
    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
            position += 1
        }
    }

    @_lifetime(self: copy self)
    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard next == byte else { return false }
        position += 1
        return true
    }

    /// Steps into the object at hand, to the value of `key`.
    @_lifetime(self: copy self)
    private mutating func enterValue(of key: [UInt8]) -> Bool {
        guard take(0x7B), !take(0x7D) else { return false }
        repeat {
            skipBlanks()
            let start = position + 1
            guard skipString() else { return false }
            // Our keys need no escapes.
            let isFound = isText(key, at: start, count: position - 1 - start)
            guard take(0x3A) else { return false }
            skipBlanks()
            if isFound { return true }
            guard skipValue(depth: 0) else { return false }
        } while take(0x2C)
        return false
    }

    private func isText(_ text: [UInt8], at start: Int, count: Int) -> Bool {
        guard count == text.count else { return false }
        for index in 0..<count where bytes[start + index] != text[index] { return false }
        return true
    }

    @_lifetime(self: copy self)
    private mutating func value() -> EventFilter.Value {
        skipBlanks()
        switch next {
        case 0x22: return string().map { .text($0) } ?? .null
        case 0x7B, 0x5B: return .structure
        case 0x74: return .flag(true)
        case 0x66: return .flag(false)
        case 0x2D, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39:
            let start = position
            skipScalar()
            var text: [UInt8] = []
            for index in start..<position { text.append(bytes[index]) }
            return Double(String(decoding: text, as: UTF8.self)).map { .number($0) } ?? .null
        default: return .null
        }
    }

    @_lifetime(self: copy self)
    private mutating func skipScalar() {
        while let byte = next, byte != 0x2C, byte != 0x7D, byte != 0x5D, byte > 0x20 {
            position += 1
        }
    }

    @_lifetime(self: copy self)
    private mutating func skipValue(depth: Int) -> Bool {
        guard depth < Self.depthMax, let first = next else { return false }
        switch first {
        case 0x22: return skipString()
        case 0x7B, 0x5B:
            position += 1
            let close: UInt8 = first + 2
            if take(close) { return true }
            repeat {
                skipBlanks()
                if first == 0x7B {
                    guard skipString(), take(0x3A) else { return false }
                    skipBlanks()
                }
                guard skipValue(depth: depth + 1) else { return false }
            } while take(0x2C)
            return take(close)
        default:
            let start = position
            skipScalar()
            return position > start
        }
    }

    /// Steps over the string at hand; false when there is none, or it does not end.
    @_lifetime(self: copy self)
    private mutating func skipString() -> Bool {
        guard next == 0x22 else { return false }
        position += 1
        while let byte = next {
            position += byte == 0x5C ? 2 : 1
            if byte == 0x22 { return true }
        }
        return false
    }

    /// The string at hand without its escapes; nil when there is none, or it does not end.
    @_lifetime(self: copy self)
    private mutating func string() -> [UInt8]? {
        guard next == 0x22 else { return nil }
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case 0x22: return text
            case 0x5C:
                guard let escaped = next else { return nil }
                position += 1
                guard unescape(escaped, into: &text) else { return nil }
            default: text.append(byte)
            }
        }
        return nil
    }

    @_lifetime(self: copy self)
    private mutating func unescape(_ escaped: UInt8, into text: inout [UInt8]) -> Bool {
        switch escaped {
        case 0x6E: text.append(0x0A)
        case 0x72: text.append(0x0D)
        case 0x74: text.append(0x09)
        case 0x75:
            guard position + 4 <= bytes.count else { return false }
            var code: UInt32 = 0
            for step in 0..<4 {
                guard let digit = Character(Unicode.Scalar(bytes[position + step])).hexDigitValue
                else { return false }
                code = code << 4 | UInt32(digit)
            }
            position += 4
            // Halves of a pair are not written by this module.
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default: text.append(escaped)
        }
        return true
    }
}
