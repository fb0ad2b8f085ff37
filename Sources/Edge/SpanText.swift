import Memory

extension Span<UInt8> {
    /// Whether the bytes begin with a text of small ASCII letters and signs, letters of either case
    /// alike.
    func begins(with text: StaticString) -> Bool {
        let wanted = text.bytes
        guard count >= wanted.count else { return false }
        for index in wanted.indices {
            let byte = self[index]
            let isCapital = byte >= 0x41 && byte <= 0x5a
            guard (isCapital ? byte | 0x20 : byte) == wanted[index] else { return false }
        }
        return true
    }
}
