import Memory

/// A host and an optional port, as in `Host` and in absolute targets (RFC 9110 section 7.2),
/// checked strictly.
///
/// A host is a name of letters, digits, `-`, `.`, `_` and `~` with no empty label but a last one,
/// or an IPv6 address in brackets. User information, percent-encoding, commas and empty or zero
/// ports are refused.
struct Authority {
    /// The host without the port; with the brackets of an IPv6 address.
    var name: ByteRange
    /// From 1 to 65535, or 0 when there is none.
    var port: UInt16

    /// RFC 1035 allows 253; this leaves room for a last dot.
    static let nameBytesMax = 254

    init?(_ range: ByteRange, in bytes: Span<UInt8>) {
        let start = Int(range.start)
        guard !range.isEmpty else { return nil }
        let end: Int
        if bytes[start] == 0x5b {
            guard let bracket = Self.endOfAddress(bytes, from: start + 1, to: range.end) else {
                return nil
            }
            end = bracket + 1
        } else {
            guard let last = Self.endOfName(bytes, from: start, to: range.end) else { return nil }
            end = last
        }
        name = ByteRange(start: start, count: end - start)
        guard end < range.end else {
            port = 0
            return
        }
        guard bytes[end] == Characters.colon,
            let number = Self.port(bytes, from: end + 1, to: range.end)
        else { return nil }
        port = number
    }

    /// - Returns: where the name ends: at a colon or at `end`.
    private static func endOfName(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var position = start
        var wasDot = true
        while position < end {
            let kind = Characters.host[Int(bytes[position])]
            guard kind != 1 else {
                wasDot = false
                position &+= 1
                continue
            }
            if kind == 3 { break }
            guard kind == 2, !wasDot else { return nil }
            wasDot = true
            position &+= 1
        }
        guard position > start, position - start <= nameBytesMax else { return nil }
        return position
    }

    private static func port(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> UInt16? {
        guard start < end, end - start <= 5 else { return nil }
        var number = 0
        for position in start..<end {
            guard Characters.isDigit(bytes[position]) else { return nil }
            number = number &* 10 &+ Int(bytes[position] &- 0x30)
        }
        return number > 0 && number <= 65535 ? UInt16(number) : nil
    }

    /// Reads an IPv6 address up to its closing bracket (RFC 3986 section 3.2.2).
    ///
    /// - Returns: where the bracket is, or nil when it is no address.
    private static func endOfAddress(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var position = start
        var groups = 0
        var isShortened = false
        if position + 1 < end, bytes[position] == Characters.colon {
            guard bytes[position + 1] == Characters.colon else { return nil }
            isShortened = true
            position += 2
        }
        while position < end, bytes[position] != 0x5d {
            let groupStart = position
            while position < end, Characters.hexadecimalValue(bytes[position]) != nil {
                position += 1
            }
            guard position > groupStart, position < end else { return nil }
            if bytes[position] == 0x2e {
                guard let bracket = endOfIPv4(bytes, from: groupStart, to: end) else { return nil }
                position = bracket
                groups += 2
                break
            }
            guard position - groupStart <= 4 else { return nil }
            groups += 1
            guard bytes[position] == Characters.colon else { break }
            position += 1
            guard position < end else { return nil }
            if bytes[position] == Characters.colon {
                guard !isShortened else { return nil }
                isShortened = true
                position += 1
            } else if bytes[position] == 0x5d {
                return nil
            }
        }
        guard position < end, bytes[position] == 0x5d else { return nil }
        guard isShortened ? groups <= 7 : groups == 8 else { return nil }
        return position
    }

    /// - Returns: where the closing bracket is that follows four decimal numbers.
    private static func endOfIPv4(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int? {
        var position = start
        for part in 0..<4 {
            if part > 0 {
                guard position < end, bytes[position] == 0x2e else { return nil }
                position += 1
            }
            let partStart = position
            var number = 0
            while position < end, Characters.isDigit(bytes[position]), position - partStart < 3 {
                number = number * 10 + Int(bytes[position] - 0x30)
                position += 1
            }
            guard position > partStart, number < 256 else { return nil }
            // A leading zero is read as octal by some and as decimal by others.
            guard position == partStart + 1 || bytes[partStart] != 0x30 else { return nil }
        }
        return position < end && bytes[position] == 0x5d ? position : nil
    }
}
