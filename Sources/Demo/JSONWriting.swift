import Memory

extension ByteWriter {
    /// Writes a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 are taken for Latin-1.
    mutating func write(jsonString text: Span<UInt8>) {
        let isUTF8 = (try? UTF8Span(validating: text)) != nil
        write("\"")
        for index in text.indices {
            let byte = text[index]
            switch byte {
            case 0x22, 0x5c:
                write("\\")
                write(byte)
            case 0x80... where isUTF8: write(byte)
            case 0..<0x20, 0x7f...:
                write(byte < 0x10 ? "\\u000" : "\\u00")
                write(hexadecimal: UInt64(byte))
            default: write(byte)
            }
        }
        write("\"")
    }

    mutating func write(jsonString text: String) {
        let bytes = Array(text.utf8)
        write(jsonString: bytes.span)
    }

    /// Writes seconds with at least one decimal.
    mutating func write(seconds nanoseconds: UInt64) {
        write(decimal: nanoseconds / 1_000_000_000)
        write(".")
        var decimals = nanoseconds % 1_000_000_000
        var digits = 9
        while digits > 1, decimals % 10 == 0 {
            decimals /= 10
            digits -= 1
        }
        write(decimal: decimals, digits: digits)
    }

    /// Writes a value with everything but letters, digits and `-._~` percent-encoded.
    mutating func write(percentEncoded text: StaticString) {
        let bytes = text.bytes
        for index in bytes.indices {
            let byte = bytes[index]
            let isLetter = (byte | 0x20) &- 0x61 < 26
            if isLetter || byte &- 0x30 < 10 || byte == 0x2d || byte == 0x2e || byte == 0x5f
                || byte == 0x7e
            {
                write(byte)
            } else {
                write(byte < 0x10 ? "%0" : "%")
                write(hexadecimal: UInt64(byte))
            }
        }
    }
}
