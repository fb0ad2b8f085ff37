import Memory

/// Walks the elements of a comma-separated field value (RFC 9110 section 5.6.1), blanks trimmed.
///
/// It knows no quoted strings: it is for lists of tokens, where a quote is an error anyway.
struct ListScanner {
    private var position: Int
    private let end: Int
    private var isDone = false

    init(_ value: ByteRange) {
        position = Int(value.start)
        end = value.end
    }

    /// The next element, which may be empty; nil after the last one.
    mutating func next(in bytes: Span<UInt8>) -> ByteRange? {
        guard !isDone else { return nil }
        var start = position
        while position < end, bytes[position] != Characters.comma { position += 1 }
        var stop = position
        if position < end { position += 1 } else { isDone = true }
        while start < stop, Characters.isBlank(bytes[start]) { start += 1 }
        while stop > start, Characters.isBlank(bytes[stop - 1]) { stop -= 1 }
        return ByteRange(start: start, count: stop - start)
    }
}

extension Span<UInt8> {
    /// Whether a range is a token: not empty, token characters only.
    func isToken(_ range: ByteRange) -> Bool {
        guard !range.isEmpty else { return false }
        for index in range.indices where Characters.token[Int(self[index])] == 0 { return false }
        return true
    }

    /// Whether two ranges of this span hold the same text, letters of either case.
    func equals(_ one: ByteRange, ignoringCase other: ByteRange) -> Bool {
        guard one.count == other.count else { return false }
        for offset in 0..<Int(one.count)
        where Characters.lowercased(self[Int(one.start) + offset])
            != Characters.lowercased(self[Int(other.start) + offset])
        {
            return false
        }
        return true
    }
}
