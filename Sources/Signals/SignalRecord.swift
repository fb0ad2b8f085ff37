import Memory

/// One signal as it lies in a ring: a head of four words, then numbers, then texts, all
/// little-endian.
///
///     0  signal (1 byte), layout (1), numbers (1), texts (1), four zeros
///     8  when it was raised, Unix nanoseconds
///    16  the request's id, 16 bytes, zeros for none
///    32  the numbers, eight bytes each
///     …  the texts: two bytes of length each, then the bytes
///
/// A view of bytes that somebody else holds, checked once when it is made. Which numbers and texts
/// a signal carries stands beside the functions that write it, in `SignalPayloads.swift`.
struct SignalRecord: ~Escapable {
    /// The layout of this page; another number is refused.
    static let layout: UInt8 = 1
    /// The size of a record in bytes at most; `SignalRings.payloadMax` is a little more. Texts are
    /// cut so that each signal stays below.
    static let bytesMax = 2000
    static let headBytes = 32
    static let textsMax = 8
    static let numbersMax = 16

    let signal: Signal
    let wall: UInt64
    let id: RequestID
    let bytes: Span<UInt8>
    private let numberCount: Int
    private let textCount: Int
    private var ranges = InlineArray<8, ByteRange>(repeating: .empty)

    /// Takes `bytes` as a record; nil when they are none. They may be longer, as slots of a ring
    /// are.
    @_lifetime(copy slot)
    init?(_ slot: Span<UInt8>) {
        guard slot.count >= Self.headBytes, let signal = Signal(rawValue: slot[0]),
            slot[1] == Self.layout, slot[2] <= Self.numbersMax, slot[3] <= Self.textsMax
        else { return nil }
        self.signal = signal
        wall = slot.word(at: 8)
        id = RequestID(high: slot.word(at: 16), low: slot.word(at: 24))
        numberCount = Int(slot[2])
        textCount = Int(slot[3])
        bytes = slot
        var position = Self.headBytes + 8 * numberCount
        for index in 0..<textCount {
            guard position + 2 <= slot.count else { return nil }
            let count = Int(bytes[position]) | Int(bytes[position + 1]) << 8
            guard position + 2 + count <= slot.count else { return nil }
            ranges[index] = ByteRange(start: position + 2, count: count)
            position += 2 + count
        }
        guard position <= slot.count else { return nil }
    }

    /// A number, 0 for one that the record does not carry.
    func number(_ index: Int) -> UInt64 {
        index < numberCount ? bytes.word(at: Self.headBytes + 8 * index) : 0
    }

    /// Where a text lies in `bytes`, empty for one that the record does not carry.
    func range(_ index: Int) -> ByteRange {
        index < textCount ? ranges[index] : .empty
    }

    /// A text, empty for one that the record does not carry.
    @_lifetime(copy self)
    func text(_ index: Int) -> Span<UInt8> {
        bytes.extracting(range(index).indices)
    }
}

/// Writes records, field after field. The counts given to `begin` have to be what follows.
extension ByteWriter {
    mutating func beginRecord(
        _ signal: Signal, numbers: Int, texts: Int, wall: UInt64, id: RequestID
    ) {
        write(signal.rawValue)
        write(SignalRecord.layout)
        write(UInt8(numbers))
        write(UInt8(texts))
        write("\0\0\0\0")
        write(word: wall)
        write(word: id.high)
        write(word: id.low)
    }

    /// A text of a record, cut at `limit` bytes (less than 64 KiB).
    mutating func write(recordText text: Span<UInt8>, cutAt limit: Int) {
        let text = text.cut(at: limit)
        write(UInt8(truncatingIfNeeded: text.count))
        write(UInt8(truncatingIfNeeded: text.count >> 8))
        write(text)
    }
}
