/// Writes bytes one after the other into memory that somebody else owns, and never past its end.
///
/// What does not fit sets `isOverfull` and is left out from there on; the caller checks once, at the end.
/// The memory has to outlive the writer, which is why only this module and its boxes make one.
@safe
public struct ByteWriter: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    /// The size of the memory in bytes.
    public let capacity: Int
    /// Where the next byte goes.
    @usableFromInline var position = 0
    /// Where the memory ends; below any position once something did not fit.
    @usableFromInline var end: Int

    /// - Parameter memory: exclusive to this writer for its whole life.
    @unsafe
    @inlinable
    public init(unsafeInto memory: UnsafeMutableBufferPointer<UInt8>) {
        unsafe base = memory.baseAddress!
        capacity = memory.count
        end = memory.count
    }

    /// Bytes written so far.
    @inlinable public var count: Int { position }

    /// True once something did not fit.
    @inlinable public var isOverfull: Bool { end < 0 }

    @inlinable
    @inline(__always)
    public mutating func write(_ byte: UInt8) {
        guard position < end else {
            end = -1
            return
        }
        unsafe base[position] = byte
        position &+= 1
    }

    @inlinable
    public mutating func write(_ bytes: Span<UInt8>) {
        let size = bytes.count
        guard size <= end &- position else {
            end = -1
            return
        }
        guard size > 0 else { return }
        // Not `update`, which first asks in which direction to copy.
        let target = unsafe UnsafeMutableRawPointer(base + position)
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe target.copyMemory(from: source.baseAddress!, byteCount: size)
        }
        position &+= size
    }

    /// Writes eight bytes, the lowest one first.
    @inlinable
    @inline(__always)
    public mutating func write(word: UInt64) {
        guard 8 <= end &- position else {
            end = -1
            return
        }
        unsafe UnsafeMutableRawPointer(base + position)
            .storeBytes(of: word.littleEndian, as: UInt64.self)
        position &+= 8
    }

    /// Writes a literal's UTF-8 bytes. Always inlined: its size is known then, and the copy is a few stores.
    @inlinable
    @inline(__always)
    public mutating func write(_ literal: StaticString) {
        let size = literal.utf8CodeUnitCount
        guard size <= end &- position else {
            end = -1
            return
        }
        unsafe UnsafeMutableRawPointer(base + position)
            .copyMemory(from: literal.utf8Start, byteCount: size)
        position &+= size
    }

    /// Writes a number in decimal digits, padded with zeros to at least `digits`.
    public mutating func write(decimal value: UInt64, digits: Int = 1) {
        if value < 10, digits <= 1 { return write(0x30 | UInt8(truncatingIfNeeded: value)) }
        let size = max(Self.digits(of: value), digits)
        guard size <= end &- position else {
            end = -1
            return
        }
        var target = unsafe base + position + size
        let start = unsafe base + position
        var rest = value
        while rest >= 10 {
            // Two digits a division.
            let pair = Int(truncatingIfNeeded: rest % 100)
            rest /= 100
            unsafe target -= 2
            unsafe target[0] = Self.pairs[2 &* pair]
            unsafe target[1] = Self.pairs[2 &* pair &+ 1]
        }
        if rest > 0 {
            unsafe target -= 1
            unsafe target[0] = 0x30 | UInt8(truncatingIfNeeded: rest)
        }
        while unsafe target > start {
            unsafe target -= 1
            unsafe target[0] = 0x30
        }
        position &+= size
    }

    /// How many decimal digits a number has.
    private static func digits(of value: UInt64) -> Int {
        var width = 1
        var rest = value
        while rest >= 10_000 {
            rest /= 10_000
            width &+= 4
        }
        return width &+ (rest >= 1000 ? 3 : rest >= 100 ? 2 : rest >= 10 ? 1 : 0)
    }

    /// `00` to `99`.
    private static let pairs: InlineArray<200, UInt8> = [
        0x30, 0x30, 0x30, 0x31, 0x30, 0x32, 0x30, 0x33, 0x30, 0x34,
        0x30, 0x35, 0x30, 0x36, 0x30, 0x37, 0x30, 0x38, 0x30, 0x39,
        0x31, 0x30, 0x31, 0x31, 0x31, 0x32, 0x31, 0x33, 0x31, 0x34,
        0x31, 0x35, 0x31, 0x36, 0x31, 0x37, 0x31, 0x38, 0x31, 0x39,
        0x32, 0x30, 0x32, 0x31, 0x32, 0x32, 0x32, 0x33, 0x32, 0x34,
        0x32, 0x35, 0x32, 0x36, 0x32, 0x37, 0x32, 0x38, 0x32, 0x39,
        0x33, 0x30, 0x33, 0x31, 0x33, 0x32, 0x33, 0x33, 0x33, 0x34,
        0x33, 0x35, 0x33, 0x36, 0x33, 0x37, 0x33, 0x38, 0x33, 0x39,
        0x34, 0x30, 0x34, 0x31, 0x34, 0x32, 0x34, 0x33, 0x34, 0x34,
        0x34, 0x35, 0x34, 0x36, 0x34, 0x37, 0x34, 0x38, 0x34, 0x39,
        0x35, 0x30, 0x35, 0x31, 0x35, 0x32, 0x35, 0x33, 0x35, 0x34,
        0x35, 0x35, 0x35, 0x36, 0x35, 0x37, 0x35, 0x38, 0x35, 0x39,
        0x36, 0x30, 0x36, 0x31, 0x36, 0x32, 0x36, 0x33, 0x36, 0x34,
        0x36, 0x35, 0x36, 0x36, 0x36, 0x37, 0x36, 0x38, 0x36, 0x39,
        0x37, 0x30, 0x37, 0x31, 0x37, 0x32, 0x37, 0x33, 0x37, 0x34,
        0x37, 0x35, 0x37, 0x36, 0x37, 0x37, 0x37, 0x38, 0x37, 0x39,
        0x38, 0x30, 0x38, 0x31, 0x38, 0x32, 0x38, 0x33, 0x38, 0x34,
        0x38, 0x35, 0x38, 0x36, 0x38, 0x37, 0x38, 0x38, 0x38, 0x39,
        0x39, 0x30, 0x39, 0x31, 0x39, 0x32, 0x39, 0x33, 0x39, 0x34,
        0x39, 0x35, 0x39, 0x36, 0x39, 0x37, 0x39, 0x38, 0x39, 0x39,
    ]

    /// Writes a number in lower-case hexadecimal digits without leading zeros.
    public mutating func write(hexadecimal value: UInt64) {
        let size = max(1, (64 - value.leadingZeroBitCount + 3) / 4)
        guard size <= end &- position else {
            end = -1
            return
        }
        for step in 0..<size {
            let digit = UInt8(truncatingIfNeeded: (value >> UInt64(4 * (size - 1 - step))) & 15)
            unsafe base[position + step] = digit < 10 ? 0x30 + digit : 0x57 + digit
        }
        position += size
    }

    /// Goes back to `count` bytes, as if the rest had never been written; not past an overflow.
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= position)
        position = count
    }

    /// What has been written, to be read while the writer stands still.
    public var written: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            unsafe _overrideLifetime(
                Span(_unsafeStart: base, count: position), borrowing: self)
        }
    }
}
