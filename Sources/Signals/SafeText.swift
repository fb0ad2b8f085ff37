public import Memory

/// Text that came from outside, written so that it can neither end the line nor speak to a
/// terminal.
extension ByteWriter {
    /// Writes `"text"` as a JSON string.
    ///
    /// Valid UTF-8 stays as it is. Quotes, backslashes, controls (C0, DEL and C1) are escaped, each
    /// byte that is no UTF-8 becomes `\ufffd`. The result is valid JSON and one line, whatever came
    /// in.
    /// - Parameter limit: bytes of `text` that are used at most; a character is never cut in two.
    public mutating func writeJSON(_ text: Span<UInt8>, cutAt limit: Int = .max) {
        let text = text.cut(at: limit)
        write(0x22)
        if text.isPlain { write(text) } else { writeEscaped(text) }
        write(0x22)
    }

    /// As `writeJSON(_:cutAt:)`, and `null` for no bytes.
    public mutating func writeJSON(textOrNull text: Span<UInt8>, cutAt limit: Int = .max) {
        if text.isEmpty { write("null") } else { writeJSON(text, cutAt: limit) }
    }

    /// The largest number of bytes that one byte of text becomes in JSON.
    public static var escapedBytesMax: Int { 6 }

    private mutating func writeEscaped(_ text: Span<UInt8>) {
        var plainStart = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte < 0x80, isPlainByte(byte) {
                index += 1
                continue
            }
            let size = byte < 0x80 ? 1 : text.characterSize(at: index)
            if size > 1, !(byte == 0xC2 && text[index + 1] < 0xA0) {
                index += size
                continue
            }
            write(text.extracting(plainStart..<index))
            switch byte {
            case 0x22: write("\\\"")
            case 0x5C: write("\\\\")
            case 0x0A: write("\\n")
            case 0x0D: write("\\r")
            case 0x09: write("\\t")
            case 0xC2 where size == 2: writeEscape(text[index + 1])
            case 0x80...: write("\\ufffd")
            default: writeEscape(byte)
            }
            index += max(size, 1)
            plainStart = index
        }
        write(text.extracting(plainStart..<text.count))
    }

    private mutating func writeEscape(_ byte: UInt8) {
        write("\\u00")
        write(hexDigit(byte >> 4, ten: 0x61))
        write(hexDigit(byte & 15, ten: 0x61))
    }

    /// Writes text between the quotes of a common log line: printable ASCII as it is, all else, the
    /// quote and the backslash as `\xHH`; `-` for no bytes.
    /// - Parameter limit: bytes of `text` that are used at most.
    public mutating func writeCommon(_ text: Span<UInt8>, cutAt limit: Int = .max) {
        guard !text.isEmpty else { return write(0x2D) }
        let text = text.cut(at: limit)
        if text.isPlain, text.isASCII { return write(text) }
        for index in text.indices {
            let byte = text[index]
            if byte < 0x80, isPlainByte(byte) {
                write(byte)
            } else {
                write("\\x")
                write(hexDigit(byte >> 4, ten: 0x41))
                write(hexDigit(byte & 15, ten: 0x41))
            }
        }
    }

    /// Writes nanoseconds as seconds with six decimals, cut and not rounded.
    public mutating func write(seconds nanoseconds: UInt64) {
        guard nanoseconds >= 1000 else { return write("0.000000") }
        let microseconds = nanoseconds / 1000
        write(decimal: microseconds / 1_000_000)
        write(0x2E)
        write(decimal: microseconds % 1_000_000, digits: 6)
    }

    /// Writes nanoseconds as seconds, and `null` for `RequestResult.never`.
    mutating func write(secondsOrNull nanoseconds: UInt64) {
        if nanoseconds == RequestResult.never {
            write("null")
        } else {
            write(seconds: nanoseconds)
        }
    }

    /// Writes a number, and `null` for 0.
    mutating func write(decimalOrNull value: UInt64) {
        if value == 0 { write("null") } else { write(decimal: value) }
    }
}

/// Printable ASCII but for the quote and the backslash.
@inline(__always)
private func isPlainByte(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
}

@inline(__always)
private func hexDigit(_ value: UInt8, ten: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : ten - 10 + value
}

extension Span<UInt8> {
    /// True when every byte is printable ASCII other than the quote and the backslash: nothing to
    /// escape.
    ///
    /// Eight bytes at once, the last eight over again those before them: most texts are shorter
    /// than a vector.
    var isPlain: Bool {
        var odd: UInt64 = 0
        let end = count
        if end >= 8 {
            var index = 0
            while index &+ 8 < end {
                odd |= Self.oddBytes(word(at: index))
                index &+= 8
            }
            odd |= Self.oddBytes(word(at: end &- 8))
        } else {
            var text: UInt64 = 0x2020_2020_2020_2020
            for index in indices { text = text &<< 8 | UInt64(self[index]) }
            odd = Self.oddBytes(text)
        }
        return odd & 0x8080_8080_8080_8080 == 0
    }

    /// Not zero in the top bits of the bytes if one is a control, a quote, a backslash, DEL or
    /// above it.
    @inline(__always)
    private static func oddBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (0x22 &* ones)
        let backslashes = word ^ (0x5C &* ones)
        // A byte that is 0 borrows; so may those above it, when the answer is no already.
        return word | (word &+ ones) | (word &- 0x20 &* ones) | (quotes &- ones)
            | (backslashes &- ones)
    }

    fileprivate var isASCII: Bool {
        var all: UInt8 = 0
        for index in indices { all |= self[index] }
        return all < 0x80
    }

    /// At most `limit` bytes from the front, without a last character that would be cut in two.
    @_lifetime(copy self)
    func cut(at limit: Int) -> Span<UInt8> {
        guard count > limit else { return self }
        var end = limit
        // A continuation byte follows: go back to the first byte of its character.
        var steps = 0
        while end > 0, steps < 3, self[end] & 0xC0 == 0x80 {
            end -= 1
            steps += 1
        }
        if self[end] & 0xC0 == 0x80 { end = limit }
        return extracting(0..<end)
    }

    /// What it takes in a JSON string, in bytes, without the quotes.
    var sizeInJSON: Int {
        if isPlain { return count }
        var size = 0
        var index = 0
        while index < count {
            let one = sizeInJSON(at: index)
            index += one.bytes
            size += one.escaped
        }
        return size
    }

    /// As much from the front as takes at most `room` bytes in a JSON string; a character is never
    /// cut in two.
    @_lifetime(copy self)
    func front(inJSON room: Int) -> Span<UInt8> {
        if isPlain { return extracting(0..<Swift.min(count, room)) }
        var left = room
        var index = 0
        while index < count {
            let one = sizeInJSON(at: index)
            guard one.escaped <= left else { break }
            index += one.bytes
            left -= one.escaped
        }
        return extracting(0..<index)
    }

    /// As much of the end as takes at most `room` bytes in a JSON string.
    @_lifetime(copy self)
    func end(inJSON room: Int) -> Span<UInt8> {
        var excess = sizeInJSON - room
        var index = 0
        while excess > 0 {
            let one = sizeInJSON(at: index)
            index += one.bytes
            excess -= one.escaped
        }
        return extracting(index..<count)
    }

    /// The character at `index`, or a byte that is none: its bytes, and those it takes in a JSON
    /// string (`writeEscaped`).
    private func sizeInJSON(at index: Int) -> (bytes: Int, escaped: Int) {
        let byte = self[index]
        guard byte >= 0x80 else {
            if isPlainByte(byte) { return (1, 1) }
            let isShort = [0x22, 0x5C, 0x0A, 0x0D, 0x09].contains(byte)
            return (1, isShort ? 2 : ByteWriter.escapedBytesMax)
        }
        let size = characterSize(at: index)
        guard size > 0 else { return (1, ByteWriter.escapedBytesMax) }
        let isControl = byte == 0xC2 && self[index + 1] < 0xA0
        return (size, isControl ? ByteWriter.escapedBytesMax : size)
    }

    /// The bytes of the well-formed UTF-8 character at `index` (Unicode 15, table 3-7), 0 for none.
    func characterSize(at index: Int) -> Int {
        let first = self[index]
        let rest = count - index - 1
        func continues(_ step: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
            self[index + step] >= low && self[index + step] <= high
        }
        switch first {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: return rest >= 1 && continues(1) ? 2 : 0
        case 0xE0...0xEF:
            guard rest >= 2, continues(2) else { return 0 }
            let low: UInt8 = first == 0xE0 ? 0xA0 : 0x80
            let high: UInt8 = first == 0xED ? 0x9F : 0xBF
            return continues(1, low, high) ? 3 : 0
        case 0xF0...0xF4:
            guard rest >= 3, continues(2), continues(3) else { return 0 }
            let low: UInt8 = first == 0xF0 ? 0x90 : 0x80
            let high: UInt8 = first == 0xF4 ? 0x8F : 0xBF
            return continues(1, low, high) ? 4 : 0
        default: return 0
        }
    }
}
