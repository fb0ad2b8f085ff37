import Memory

/// The parameters of a query, `name=value` joined by `&`; the first of equal names counts.
struct QueryParameters: ~Escapable {
    private let query: Span<UInt8>

    @_lifetime(copy query)
    init(_ query: Span<UInt8>) { self.query = query }

    /// A whole number within bounds; nil when it is none.
    func number(
        _ name: StaticString, default usual: UInt64, in bounds: ClosedRange<UInt64>
    ) -> UInt64? {
        guard let value = range(of: name) else { return usual }
        return Self.number(query.extracting(value), in: bounds)
    }

    /// Seconds with up to nine decimals, 0 to `DemoPage.secondsMax`, as nanoseconds.
    func nanoseconds(_ name: StaticString, default usual: UInt64) -> UInt64? {
        guard let value = range(of: name) else { return usual }
        let text = query.extracting(value)
        var point = 0
        while point < text.count, text[point] != 0x2e { point += 1 }
        let bounds = 0...DemoPage.secondsMax
        guard let whole = Self.number(text.extracting(first: point), in: bounds) else { return nil }
        var sum = whole * 1_000_000_000
        if point < text.count {
            let decimals = text.extracting(droppingFirst: point + 1)
            guard decimals.count <= 9, var part = Self.number(decimals, in: 0...999_999_999) else {
                return nil
            }
            for _ in decimals.count..<9 { part *= 10 }
            sum += part
        }
        return sum <= DemoPage.secondsMax * 1_000_000_000 ? sum : nil
    }

    /// Digits alone, within bounds.
    static func number(_ text: Span<UInt8>, in bounds: ClosedRange<UInt64>) -> UInt64? {
        guard text.count > 0, text.count <= 18 else { return nil }
        var sum: UInt64 = 0
        for index in text.indices {
            guard text[index] >= 0x30, text[index] <= 0x39 else { return nil }
            sum = sum * 10 + UInt64(text[index] - 0x30)
        }
        return bounds.contains(sum) ? sum : nil
    }

    private func range(of name: StaticString) -> Range<Int>? {
        let wanted = name.bytes
        var start = 0
        while start < query.count {
            var end = start
            while end < query.count, query[end] != 0x26 { end += 1 }
            var equal = start
            while equal < end, query[equal] != 0x3d { equal += 1 }
            if equal < end, matches(wanted, start..<equal) { return equal + 1..<end }
            start = end + 1
        }
        return nil
    }

    private func matches(_ wanted: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count == wanted.count else { return false }
        for offset in 0..<wanted.count where query[range.lowerBound + offset] != wanted[offset] {
            return false
        }
        return true
    }
}
