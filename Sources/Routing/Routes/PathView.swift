import Memory

/// What a path means, as against how it is written: what routes are matched on.
///
/// The request goes on as it was sent, and one service reads it in another way than the next. The
/// *plain* view has percent-escapes decoded, but for `%2F`, `%5C` and `%00`, which stay as they
/// are. A *reading* of it has `.` and `..` carried out, as servers do, which differ in what they
/// take for a separator, for a dot-segment, and for a segment at all; so there are eight.
///
/// A path of ordinary letters is its own view and reading, found by one look at its bytes and
/// without copying.
struct PathViews {
    /// How a server may read a path.
    struct Reading: OptionSet {
        let rawValue: Int

        /// `%2F`, `%5C` and `\` are taken for `/`.
        static let looseSeparators = Reading(rawValue: 1)
        /// What follows a `;` is left out of a dot-segment: `..;x` is `..`.
        static let looseDots = Reading(rawValue: 2)
        /// Empty segments count as segments.
        static let emptySegments = Reading(rawValue: 4)

        /// How many readings there are: raw values from 0.
        static let count = 8
    }

    /// Whether readings can differ, and whether the plain view differs from the bytes.
    struct Traits {
        var hasEscapes = false
        /// `//`, `/.`, a backslash, or an escape of one of these.
        var isTricky = false
    }

    /// One look at the path, as sent.
    static func traits(of path: Span<UInt8>) -> Traits {
        var traits = Traits()
        var before: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            switch byte {
            case 0x25:
                traits.hasEscapes = true
                let decoded = decodedByte(path, at: index)
                if decoded == 0x2f || decoded == 0x5c || decoded == 0x2e || decoded == 0x00 {
                    traits.isTricky = true
                }
            case 0x2f, 0x2e: if before == 0x2f { traits.isTricky = true }
            case 0x5c: traits.isTricky = true
            default: break
            }
            before = byte
        }
        return traits
    }

    /// Writes the plain view, and returns its length; `path` has no more bytes than `target`.
    static func writePlain(_ path: Span<UInt8>, into target: inout [UInt8]) -> Int {
        var count = 0
        var index = 0
        while index < path.count {
            let byte = path[index]
            if byte == 0x25, let decoded = decodedByte(path, at: index), decoded != 0x2f,
                decoded != 0x5c, decoded != 0x00
            {
                target[count] = decoded
                index += 3
            } else {
                target[count] = byte
                index += 1
            }
            count += 1
        }
        return count
    }

    /// Writes a reading of a plain view, and returns its length; nil if it climbs above the root.
    static func write(
        _ reading: Reading, of plain: Span<UInt8>, into target: inout [UInt8]
    ) -> Int? {
        var count = 0
        var index = 0
        while index < plain.count {
            // One segment with the separator before it.
            index += separator(plain, at: index, reading) ?? 0
            if !reading.contains(.emptySegments) {
                while let width = separator(plain, at: index, reading) { index += width }
            }
            let start = index
            while index < plain.count, separator(plain, at: index, reading) == nil { index += 1 }
            let isLast = index == plain.count
            switch dots(plain, start, index, reading) {
            case 1: if isLast { count = writeSlash(&target, count) }
            case 2:
                guard count > 0 else { return nil }
                while target[count - 1] != 0x2f { count -= 1 }
                count -= 1
                if isLast { count = writeSlash(&target, count) }
            default:
                // An empty last segment is the slash at the end.
                count = writeSlash(&target, count)
                for position in start..<index {
                    target[count] = plain[position]
                    count += 1
                }
            }
        }
        return count == 0 ? writeSlash(&target, 0) : count
    }

    private static func writeSlash(_ target: inout [UInt8], _ count: Int) -> Int {
        target[count] = 0x2f
        return count + 1
    }

    /// How many bytes of separator stand at an index.
    private static func separator(
        _ bytes: Span<UInt8>, at index: Int, _ reading: Reading
    ) -> Int? {
        guard index < bytes.count else { return nil }
        if bytes[index] == 0x2f { return 1 }
        guard reading.contains(.looseSeparators) else { return nil }
        if bytes[index] == 0x5c { return 1 }
        guard bytes[index] == 0x25, let decoded = decodedByte(bytes, at: index) else { return nil }
        return decoded == 0x2f || decoded == 0x5c ? 3 : nil
    }

    /// 1 for a segment `.`, 2 for `..`, else 0.
    private static func dots(
        _ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ reading: Reading
    ) -> Int {
        var count = 0
        while start + count < end, count < 3, bytes[start + count] == 0x2e { count += 1 }
        guard count == 1 || count == 2 else { return 0 }
        if start + count == end { return count }
        return reading.contains(.looseDots) && bytes[start + count] == 0x3b ? count : 0
    }

    /// The byte that `%XX` at an index stands for.
    @inline(__always)
    static func decodedByte(_ bytes: Span<UInt8>, at index: Int) -> UInt8? {
        guard index + 2 < bytes.count, let high = digit(bytes[index + 1]),
            let low = digit(bytes[index + 2])
        else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
