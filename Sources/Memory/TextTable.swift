/// Texts that never change, by number: names and templates of a configuration.
///
/// A table lives as long as its process, and its copies are the same table.
@safe
public struct TextTable {
    private let bytes: UnsafeMutablePointer<UInt8>
    private let ends: UnsafeMutablePointer<Int>
    /// How many texts there are.
    public let count: Int

    public init(_ texts: [[UInt8]]) {
        count = texts.count
        let size = texts.reduce(0) { $0 + $1.count }
        unsafe bytes = .allocate(capacity: max(size, 1))
        unsafe ends = .allocate(capacity: texts.count + 1)
        unsafe ends[0] = 0
        var end = 0
        for (number, text) in texts.enumerated() {
            for byte in text {
                unsafe bytes[end] = byte
                end += 1
            }
            unsafe ends[number + 1] = end
        }
    }

    /// The bytes of a text.
    public subscript(number: Int) -> Span<UInt8> {
        @_lifetime(immortal)
        get {
            precondition(number >= 0 && number < count)
            let start = unsafe ends[number]
            let span = unsafe Span(_unsafeStart: bytes + start, count: ends[number + 1] - start)
            return unsafe _overrideLifetime(span, borrowing: ())
        }
    }
}
