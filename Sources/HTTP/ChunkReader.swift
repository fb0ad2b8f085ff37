import Memory

/// Reads the chunks of a chunked body up to the line of its last, empty chunk (RFC 9112 section
/// 7.1).
///
/// A size is 1 to 16 hexadecimal digits and nothing else; extensions are skipped, but only after a
/// `;`, without controls and bounded; every line ends in CR LF. The framing may not outweigh the
/// data by more than `overheadMax`.
struct ChunkReader {
    /// Bytes of one line's extensions.
    static let extensionBytesMax = 4 << 10
    /// Bytes of framing over the whole body beyond `overheadAllowed` for each chunk and one per two
    /// bytes of data.
    static let overheadMax = 16 << 10
    /// What a chunk's framing costs an honest sender.
    static let overheadAllowed = 16

    enum Step {
        /// Everything up to the data's end is used up.
        case data(start: Int, count: Int)
        /// Everything is used up.
        case needMore
        /// The line of the last chunk is used up.
        case lastChunk(consumed: Int)
        case faulty(BodyFault)
    }

    private enum Phase: UInt8 {
        case firstDigit, digits, extensions, sizeLineEnd, data, dataEnd, dataLineEnd
    }

    private var phase = Phase.firstDigit
    private var digits: UInt8 = 0
    /// The size being read, then the data that is left.
    private var left: UInt64 = 0
    private var lineBytes = 0
    private var overhead = 0

    init() {}

    mutating func next(_ bytes: Span<UInt8>) -> Step {
        var position = 0
        while position < bytes.count {
            if phase == .data {
                let rest = bytes.count - position
                let count = UInt64(rest) < left ? rest : Int(left)
                left -= UInt64(count)
                overhead = max(0, overhead - count / 2)
                if left == 0 { phase = .dataEnd }
                return .data(start: position, count: count)
            }
            if let fault = take(bytes[position]) { return .faulty(fault) }
            position += 1
            if phase == .data, left == 0 { return .lastChunk(consumed: position) }
        }
        return .needMore
    }

    /// Takes one byte of framing.
    private mutating func take(_ byte: UInt8) -> BodyFault? {
        lineBytes += 1
        switch phase {
        case .firstDigit, .digits: return takeSize(byte)
        case .extensions:
            if byte == Characters.carriageReturn {
                phase = .sizeLineEnd
                return nil
            }
            guard lineBytes <= Self.extensionBytesMax else { return .chunkOverhead }
            return (byte >= Characters.space && byte < 0x7f) || byte == Characters.tab
                ? nil : .badChunkSize
        case .sizeLineEnd:
            guard byte == Characters.lineFeed else { return .badChunkSize }
            overhead = max(0, overhead + lineBytes - Self.overheadAllowed)
            phase = .data
            return overhead <= Self.overheadMax ? nil : .chunkOverhead
        case .dataEnd:
            phase = .dataLineEnd
            return byte == Characters.carriageReturn ? nil : .badChunkEnd
        case .dataLineEnd:
            self = ChunkReader(overhead: overhead)
            return byte == Characters.lineFeed ? nil : .badChunkEnd
        case .data: return nil
        }
    }

    private init(overhead: Int) { self.overhead = overhead }

    private mutating func takeSize(_ byte: UInt8) -> BodyFault? {
        if let value = Characters.hexadecimalValue(byte) {
            digits += 1
            left = left << 4 | UInt64(value)
            phase = .digits
            // A size above 2^62 is no size; sums of sizes stay within 64 bits.
            return digits <= 16 && left < 1 << 62 ? nil : .badChunkSize
        }
        guard phase == .digits else { return .badChunkSize }
        switch byte {
        case Characters.carriageReturn: phase = .sizeLineEnd
        case 0x3b: phase = .extensions
        default: return .badChunkSize
        }
        return nil
    }
}
