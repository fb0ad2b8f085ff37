import Memory

/// What a worker of ours says in `proxy-exception`: `TYPE;MESSAGE;TRACEBACK`, each percent-encoded.
struct SaidException: ~Escapable {
    private let value: Span<UInt8>
    /// Where the parts lie, still encoded; empty for what is missing.
    let type: ByteRange
    let message: ByteRange
    let traceback: ByteRange

    @_lifetime(copy value)
    init(_ value: Span<UInt8>) {
        self.value = value
        var ends = InlineArray<2, Int>(repeating: value.count)
        var found = 0
        for index in value.indices where value[index] == 0x3b && found < 2 {
            ends[found] = index
            found += 1
        }
        func part(_ start: Int, _ end: Int) -> ByteRange {
            start < end ? ByteRange(start: start, count: end - start) : .empty
        }
        type = part(0, ends[0])
        message = part(ends[0] + 1, ends[1])
        traceback = part(ends[1] + 1, value.count)
    }

    /// Writes a part decoded; a broken escape stands for itself.
    ///
    /// - Returns: where it was written.
    func write(_ part: ByteRange, to writer: inout ByteWriter) -> ByteRange {
        let start = writer.count
        let bytes = value.extracting(part.indices)
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x25, index + 2 < bytes.count,
                let high = Self.digit(bytes[index + 1]), let low = Self.digit(bytes[index + 2])
            {
                writer.write(high << 4 | low)
                index += 3
            } else {
                writer.write(bytes[index])
                index += 1
            }
        }
        return ByteRange(start: start, count: writer.count - start)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
