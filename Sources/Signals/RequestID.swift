public import Memory

/// Names one request everywhere: in `X-Request-Id`, the access log, signals and error pages.
///
/// A ULID: 48 bits of Unix milliseconds, then 80 random bits, written as 26 characters of
/// Crockford's base 32, so that ids sort by time as text.
public struct RequestID: Equatable, Hashable, Sendable {
    /// The milliseconds and the upper 16 random bits.
    public let high: UInt64
    /// The lower 64 random bits.
    public let low: UInt64

    /// The characters of an id as text.
    public static let characterCount = 26

    /// No request: what records without one carry.
    public static let none = RequestID(high: 0, low: 0)

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The Unix time in milliseconds that the id was made in.
    @inlinable public var milliseconds: UInt64 { high >> 16 }

    /// Reads the 26 characters; letters of either case, and no others than the 32 of the alphabet.
    public init?(_ text: Span<UInt8>) {
        guard text.count == Self.characterCount, text[0] <= 0x37 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in text.indices {
            let digit = Self.digit(text[index])
            guard digit < 32 else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(digit)
        }
        self.init(high: high, low: low)
    }

    /// Writes the 26 characters.
    public func write(to writer: inout ByteWriter) {
        // Five bits a character: two of the first byte, then three times eight.
        let first = Self.characters(high >> 56)
        writer.write(UInt8(truncatingIfNeeded: first >> 48))
        writer.write(UInt8(truncatingIfNeeded: first >> 56))
        writer.write(word: Self.characters(high >> 16))
        writer.write(word: Self.characters(high << 24 | low >> 40))
        writer.write(word: Self.characters(low))
    }

    /// The lowest 40 bits as eight of Crockford's digits (no I, L, O and U), the first one in the lowest byte.
    @inline(__always)
    private static func characters(_ bits: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var digits = (bits << 12) & 0x000F_FFFF_0000_0000 | bits & 0xF_FFFF
        digits = (digits & 0x000F_FC00_000F_FC00) << 6 | digits & 0x0000_03FF_0000_03FF
        digits = (digits & 0x03E0_03E0_03E0_03E0) << 3 | digits & 0x001F_001F_001F_001F
        var text = digits &+ 0x30 &* ones
        // From 10 on letters, seven behind the digits; and one more behind each letter that is left out.
        text &+= (((digits &+ (0x80 - 10) &* ones) >> 7) & ones) &* 7
        text &+= ((digits &+ (0x80 - 18) &* ones) >> 7) & ones
        text &+= ((digits &+ (0x80 - 20) &* ones) >> 7) & ones
        text &+= ((digits &+ (0x80 - 22) &* ones) >> 7) & ones
        text &+= ((digits &+ (0x80 - 27) &* ones) >> 7) & ones
        return text.byteSwapped
    }

    /// The value of a character, 32 and more for none.
    private static func digit(_ character: UInt8) -> UInt8 {
        switch character {
        case 0x30...0x39: return character - 0x30
        case 0x41...0x5A, 0x61...0x7A:
            let letter = character & 0xDF
            switch letter {
            case 0x41...0x48: return letter - 0x41 + 10
            case 0x4A, 0x4B: return letter - 0x4A + 18
            case 0x4D, 0x4E: return letter - 0x4D + 20
            case 0x50...0x54: return letter - 0x50 + 22
            case 0x56...0x5A: return letter - 0x56 + 27
            default: return 255
            }
        default: return 255
        }
    }
}

/// Makes request ids that always grow, also within a millisecond and when the clock is set back.
///
/// Two generators with different seeds share no ids but by chance in 2^80. The seed comes from the
/// kernel once a process; an id costs no system call.
public struct RequestIDGenerator: Sendable {
    private var first: UInt64
    private var second: UInt64
    private var last = RequestID.none

    /// - Parameter seed: 128 random bits; not both zero.
    public init(seed: (UInt64, UInt64)) {
        first = seed.0
        second = seed.0 | seed.1 == 0 ? 1 : seed.1
    }

    /// The next id, made at `wall` Unix nanoseconds.
    public mutating func next(wall: UInt64) -> RequestID {
        let milliseconds = min(wall / 1_000_000, 1 << 48 - 1)
        if milliseconds > last.milliseconds {
            // The top random bit stays clear, so that counting up has room within the millisecond.
            last = RequestID(
                high: milliseconds << 16 | random() & 0x7FFF, low: random())
        } else {
            let (low, overflow) = last.low.addingReportingOverflow(1)
            last = RequestID(high: overflow ? last.high &+ 1 : last.high, low: low)
        }
        return last
    }

    /// xoroshiro128++ by Blackman and Vigna.
    private mutating func random() -> UInt64 {
        let sum = first &+ second
        let result = (sum << 17 | sum >> 47) &+ first
        let mixed = first ^ second
        first = (first << 49 | first >> 15) ^ mixed ^ (mixed << 21)
        second = mixed << 28 | mixed >> 36
        return result
    }
}
