/// Writes bytes one after the other into memory that somebody else owns, and never past its end.
///
/// What does not fit sets `isOverfull` and is left out from there on; the caller checks once, at the end.
/// The memory has to outlive the writer, which is why only this module and its boxes make one.
@safe
public struct ByteWriter: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    /// The size of the memory in bytes.
    public let capacity: Int
    /// Bytes written so far.
    public private(set) var count = 0
    /// True once something did not fit.
    public private(set) var isOverfull = false

    /// - Parameter memory: exclusive to this writer for its whole life.
    @unsafe
    public init(unsafeInto memory: UnsafeMutableBufferPointer<UInt8>) {
        unsafe base = memory.baseAddress!
        capacity = memory.count
    }

    public mutating func write(_ byte: UInt8) {
        guard count < capacity, !isOverfull else {
            isOverfull = true
            return
        }
        unsafe base[count] = byte
        count += 1
    }

    public mutating func write(_ bytes: Span<UInt8>) {
        let size = bytes.count
        guard size <= capacity - count, !isOverfull else {
            isOverfull = true
            return
        }
        guard size > 0 else { return }
        let target = unsafe base + count
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe target.update(from: source.baseAddress!, count: size)
        }
        count += size
    }

    /// Writes a literal's UTF-8 bytes.
    public mutating func write(_ literal: StaticString) {
        let size = literal.utf8CodeUnitCount
        guard size <= capacity - count, !isOverfull else {
            isOverfull = true
            return
        }
        unsafe (base + count).update(from: literal.utf8Start, count: size)
        count += size
    }

    /// Writes a number in decimal digits, padded with zeros to at least `digits`.
    public mutating func write(decimal value: UInt64, digits: Int = 1) {
        var width = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            width += 1
        }
        let size = max(width, digits)
        guard size <= capacity - count, !isOverfull else {
            isOverfull = true
            return
        }
        var position = count + size
        rest = value
        while position > count {
            position -= 1
            unsafe base[position] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
        count += size
    }

    /// Writes a number in lower-case hexadecimal digits without leading zeros.
    public mutating func write(hexadecimal value: UInt64) {
        let size = max(1, (64 - value.leadingZeroBitCount + 3) / 4)
        guard size <= capacity - count, !isOverfull else {
            isOverfull = true
            return
        }
        for step in 0..<size {
            let digit = UInt8(truncatingIfNeeded: (value >> UInt64(4 * (size - 1 - step))) & 15)
            unsafe base[count + step] = digit < 10 ? 0x30 + digit : 0x57 + digit
        }
        count += size
    }

    /// Goes back to `count` bytes, as if the rest had never been written; not past an overflow.
    public mutating func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }

    /// What has been written, to be read while the writer stands still.
    public var written: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            unsafe _overrideLifetime(
                Span(_unsafeStart: base, count: count), borrowing: self)
        }
    }
}
