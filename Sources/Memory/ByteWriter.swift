/// Writes bytes one after the other into memory that somebody else owns, and never past its end.
///
/// What does not fit sets `isOverfull` and is left out from there on; the caller checks once, at
/// the end. The memory has to outlive the writer, which is why only this module and its boxes make
/// one.
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
        let target = unsafe UnsafeMutableRawPointer(base + position)
        position &+= size
        unsafe bytes.withUnsafeBytes { source in
            guard size >= 8, size <= 32 else {
                guard size > 0 else { return }
                // Not `update`, which first asks in which direction to copy.
                return unsafe target.copyMemory(from: source.baseAddress!, byteCount: size)
            }
            // Names, hosts and ids: two or four words, which overlap, and no call.
            unsafe Self.copyWord(0, source, target)
            if size > 16 {
                unsafe Self.copyWord(8, source, target)
                unsafe Self.copyWord(size &- 16, source, target)
            }
            unsafe Self.copyWord(size &- 8, source, target)
        }
    }

    @inlinable
    @inline(__always)
    static func copyWord(
        _ offset: Int, _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawPointer
    ) {
        let word = unsafe (source.baseAddress! + offset).loadUnaligned(as: UInt64.self)
        unsafe (target + offset).storeBytes(of: word, as: UInt64.self)
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

    /// Writes a literal's UTF-8 bytes. Always inlined: its size is known then, and the copy is a
    /// few stores.
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
    @inlinable
    @inline(__always)
    public mutating func write(decimal value: UInt64, digits: Int = 1) {
        if value < 10, digits <= 1 {
            write(0x30 | UInt8(truncatingIfNeeded: value))
        } else if value < 100_000_000, digits <= 8 {
            writeShort(value, digits)
        } else {
            writeLong(value, digits)
        }
    }

    @usableFromInline
    mutating func writeLong(_ value: UInt64, _ digits: Int) {
        let start = position
        let high = value / 100_000_000
        if high < 100_000_000, digits <= 16 {
            writeShort(high, digits &- 8)
        } else {
            writeLong(high, digits &- 8)
        }
        writeShort(value % 100_000_000, 8)
        if isOverfull { position = start }
    }

    /// Writes a number below 10^8.
    @usableFromInline
    mutating func writeShort(_ value: UInt64, _ digits: Int) {
        let text = Self.eightDigits(value)
        let size = max(8 &- text.trailingZeroBitCount / 8, max(digits, 1))
        guard size <= end &- position else {
            end = -1
            return
        }
        var rest = (text | 0x3030_3030_3030_3030) >> UInt64(64 &- 8 &* size)
        if 8 <= end &- position {
            // What stands behind the digits is overwritten by what follows.
            unsafe UnsafeMutableRawPointer(base + position)
                .storeBytes(of: rest.littleEndian, as: UInt64.self)
        } else {
            for offset in 0..<size {
                unsafe base[position + offset] = UInt8(truncatingIfNeeded: rest)
                rest >>= 8
            }
        }
        position &+= size
    }

    /// The digits of a number below 10^8, one a byte, the first one lowest: halved into four, two
    /// and one digits at once.
    @inline(__always)
    private static func eightDigits(_ value: UInt64) -> UInt64 {
        let fours = value < 10_000 ? value << 32 : value / 10_000 | (value % 10_000) << 32
        let hundreds = (fours &* 10_486) >> 20 & 0x0000_007f_0000_007f
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000f_000f_000f_000f
        return tens | (twos &- tens &* 10) << 8
    }

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
