import Memory

/// What a path means, as against how it is written: what routes are matched on.
///
/// The request goes on as it was sent, and the service may read it in another way than its neighbour. So there are three views:
/// - *plain*: percent-escapes decoded, but for `%2F`, `%5C` and `%00`, which stay as they are.
/// - *resolved*: plain, empty segments left out, `.` and `..` carried out.
/// - *loose*: resolved, with `%2F`, `%5C` and `\` taken for `/` and what follows a `;` in a dot-segment left out, as some servers do.
///
/// A path of ordinary letters is its own view in all three, found by one look at its bytes and without copying.
struct PathViews {
    /// Whether the three views can differ, and whether the plain one differs from the bytes.
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

    /// Writes the resolved or the loose view of a plain one, and returns its length; nil if it climbs above the root.
    static func writeResolved(
        _ plain: Span<UInt8>, isLoose: Bool, into target: inout [UInt8]
    ) -> Int? {
        var count = 0
        var index = 0
        while index < plain.count {
            // One segment with the separator before it.
            while let width = separator(plain, at: index, isLoose: isLoose) { index += width }
            let start = index
            while index < plain.count, separator(plain, at: index, isLoose: isLoose) == nil {
                index += 1
            }
            let isLast = index == plain.count
            switch dots(plain, start, index, isLoose: isLoose) {
            case 1: if isLast { count = writeSlash(&target, count) }
            case 2:
                guard count > 0 else { return nil }
                while target[count - 1] != 0x2f { count -= 1 }
                count -= 1
                if isLast { count = writeSlash(&target, count) }
            default:
                // An empty last segment is the slash at the end.
                target[count] = 0x2f
                count += 1
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
        _ bytes: Span<UInt8>, at index: Int, isLoose: Bool
    ) -> Int? {
        guard index < bytes.count else { return nil }
        switch bytes[index] {
        case 0x2f: return 1
        case 0x5c: return isLoose ? 1 : nil
        case 0x25:
            guard isLoose, let decoded = decodedByte(bytes, at: index) else { return nil }
            return decoded == 0x2f || decoded == 0x5c ? 3 : nil
        default: return nil
        }
    }

    /// 1 for a segment `.`, 2 for `..`, else 0.
    private static func dots(
        _ bytes: Span<UInt8>, _ start: Int, _ end: Int, isLoose: Bool
    ) -> Int {
        var count = 0
        while start + count < end, count < 3, bytes[start + count] == 0x2e { count += 1 }
        guard count == 1 || count == 2 else { return 0 }
        let isWhole = start + count == end
        return isWhole || isLoose && bytes[start + count] == 0x3b ? count : 0
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
