public import Memory

/// Sizes of the framing around a chunk (RFC 9112 section 7.1).
public enum ChunkFraming {
    /// The most bytes that `write(chunkSize:)` writes: 16 digits and CRLF.
    public static let sizeLineBytesMax = 18
    /// What `writeChunkEnd` writes: CRLF.
    public static let endBytes = 2
    /// What `writeLastChunk` writes without trailers.
    public static let lastChunkBytes = 5
}

extension ByteWriter {
    /// Begins a chunk. Zero bytes make no chunk: that would be the last one.
    public mutating func write(chunkSize count: Int) {
        precondition(count > 0)
        write(hexadecimal: UInt64(count))
        write("\r\n")
    }

    /// Ends a chunk after its last byte.
    public mutating func writeChunkEnd() { write("\r\n") }

    /// Ends a chunked body without trailers.
    public mutating func writeLastChunk() { write("0\r\n\r\n") }

    /// Ends a chunked body with the trailer fields that go on.
    ///
    /// What may not pass in the head does not pass here either: receivers may put trailers among
    /// the head's fields (RFC 9110 section 6.5.2).
    ///
    /// - Parameters:
    ///   - bytes: the span the decoder found the trailers in.
    ///   - dropsUnderscores: as `RequestForwarding.dropsUnderscores`.
    ///   - edits: what the route sets and removes in the head: neither passes, and nothing is set
    ///     here.
    public mutating func writeLastChunk(
        trailers: borrowing FieldTable, from bytes: Span<UInt8>, dropsUnderscores: Bool = false,
        edits: FieldEdits
    ) {
        write("0\r\n")
        write(
            fields: trailers, from: bytes, dropping: FieldNameSet(),
            dropsUnderscores: dropsUnderscores, edits: edits)
        write("\r\n")
    }
}
